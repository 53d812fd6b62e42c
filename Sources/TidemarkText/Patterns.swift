/// `*` any letters, `?` one letter.
package func matchesPattern(_ name: String, _ pattern: String) -> Bool {
    let name = Array(name.utf8)
    let pattern = Array(pattern.utf8)
    var n = 0
    var p = 0
    var star: (pattern: Int, name: Int)?
    while n < name.count {
        if p < pattern.count, pattern[p] == 0x2a {
            star = (p, n)
            p += 1
        } else if p < pattern.count, pattern[p] == 0x3f || pattern[p] == name[n] {
            p += 1
            n += 1
        } else if let back = star {
            p = back.pattern + 1
            n = back.name + 1
            star = (back.pattern, n)
        } else {
            return false
        }
    }
    return pattern[p...].allSatisfy { $0 == 0x2a }
}
