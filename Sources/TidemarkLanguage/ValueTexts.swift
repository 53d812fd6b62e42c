import TidemarkText

/// `a`, `a or b`, `a, b or c`.
package func alternatives(_ words: [String]) -> String {
    guard let last = words.last else { return "" }
    guard words.count > 1 else { return last }
    return words.dropLast().joined(separator: ", ") + " or " + last
}

/// All names where they are few; else those that are nearest to `name`, and how many there are.
package func someOf(_ names: [String], near name: String) -> String {
    guard names.count > 30 else {
        return names.count == 1 ? names[0] : "one of " + names.joined(separator: ", ")
    }
    let nearest = names.map { ($0, editDistance(name, $0)) }.enumerated()
        .sorted { ($0.element.1, $0.offset) < ($1.element.1, $1.offset) }.prefix(10)
        .map(\.element.0)
    return "one of \(names.count) columns, like " + nearest.joined(separator: ", ")
}

/// A second, ms.
package let secondMs: Int64 = 1000
/// A minute, ms.
package let minuteMs: Int64 = 60_000
/// An hour, ms.
package let hourMs: Int64 = 3_600_000
/// A day, ms.
package let dayMs: Int64 = 86_400_000
/// A week, ms.
package let weekMs: Int64 = 604_800_000

/// `90000` as `1m30s`.
package func durationText(_ ms: Int64) -> String {
    guard ms > 0 else { return "0s" }
    for (unit, size) in [
        ("w", weekMs), ("d", dayMs), ("h", hourMs), ("m", minuteMs), ("s", secondMs),
    ]
    where ms % size == 0 { return "\(ms / size)\(unit)" }
    var rest = ms
    var text = ""
    for (unit, size) in [("d", dayMs), ("h", hourMs), ("m", minuteMs), ("s", secondMs), ("ms", 1)]
    where rest >= size {
        text += "\(rest / size)\(unit)"
        rest %= size
    }
    return text
}

/// `536870912` as `512MiB`.
package func sizeText(_ bytes: Int64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, Int64)]
    where bytes >= 1 << shift && bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(unit)" }
    return "\(bytes)B"
}

/// `0.05` as `5%`.
package func shareText(_ share: Double) -> String { numberText(share * 100) + "%" }

/// Without `.0`; twelve digits at most.
package func numberText(_ value: Double) -> String {
    if value == value.rounded(), value.magnitude < 1e15 { return String(Int64(value)) }
    let rounded = (value * 1e10).rounded() / 1e10
    return rounded.isFinite && rounded != 0 && value.magnitude > 1e-4 ? "\(rounded)" : "\(value)"
}
