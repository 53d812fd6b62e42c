/// The known name nearest to `name`: at most a third of its letters differ.
package func nearest(_ name: String, _ known: [String]) -> String? {
    let limit = max(1, name.unicodeScalars.count / 3)
    var best: (name: String, distance: Int)?
    let count = name.unicodeScalars.count
    for candidate in known where abs(candidate.unicodeScalars.count - count) <= limit {
        // A name has so many letters more at least.
        let distance = editDistance(name, candidate)
        if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// Letters added, removed, replaced or swapped to make `b` of `a`.
///
/// - Complexity: O(letters of `a` × letters of `b`), 80 of each at most.
package func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.unicodeScalars.prefix(80))
    let b = Array(b.unicodeScalars.prefix(80))
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    // Three rows of the table: the one before the last is for letters that are swapped.
    let width = b.count + 1
    var table = [Int](repeating: 0, count: 3 * width)
    for j in 0..<width { table[j] = j }
    for i in 1...a.count {
        let (row, last, before) = (i % 3 * width, (i + 2) % 3 * width, (i + 1) % 3 * width)
        table[row] = i
        for j in 1...b.count {
            let cost = a[i - 1] == b[j - 1] ? 0 : 1
            var least = min(table[last + j] + 1, table[row + j - 1] + 1, table[last + j - 1] + cost)
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                least = min(least, table[before + j - 2] + 1)
            }
            table[row + j] = least
        }
    }
    return table[a.count % 3 * width + b.count]
}

/// What was found, as messages show it: in backticks, cut at 40 letters, without control characters.
package func shown(_ text: String) -> String {
    var out = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == 40 {
            out += "…"
            break
        }
        out.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
    }
    return "`\(out)`"
}
