// How numbers are shown to people; records have all their digits.

/// `1234567` as `1,234,567`.
package func grouped(_ number: Int64) -> String {
    var digits = String(number.magnitude)
    var out = ""
    while digits.count > 3 {
        out = "," + digits.suffix(3) + out
        digits = String(digits.dropLast(3))
    }
    return (number < 0 ? "-" : "") + digits + out
}

/// `1 window`, `2,000 windows`.
package func counted(_ number: Int64, _ noun: String) -> String {
    "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// A number with this many digits after the point.
package func fixed(_ number: Double, _ digits: Int) -> String {
    guard number.isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (number.magnitude * scale).rounded()
    guard scaled < 9e18 else { return "\(number)" }
    let whole = Int64(scaled)
    let unit = Int64(scale)
    let sign = number < 0 && whole != 0 ? "-" : ""
    guard digits > 0 else { return sign + "\(whole)" }
    let fraction = String(whole % unit)
    return sign + "\(whole / unit)." + String(repeating: "0", count: digits - fraction.count)
        + fraction
}

/// A number with three digits after the point, or all of it where it is very large or very small; `-`: there
/// is none.
package func shortNumber(_ number: Double?) -> String {
    guard let number else { return "-" }
    return number.magnitude >= 1e6 || (number != 0 && number.magnitude < 1e-3)
        ? "\(number)" : fixed(number, 3)
}

/// Counts as a line of blocks, the largest one full.
package func bars(_ counts: [Int64]) -> String {
    let blocks = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    let most = max(1, counts.max() ?? 1)
    return counts.map { count in
        count <= 0 ? " " : blocks[Int(Double(count) / Double(most) * 7)]
    }.joined()
}
