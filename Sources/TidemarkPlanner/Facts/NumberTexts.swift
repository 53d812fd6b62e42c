import TidemarkLanguage

/// `2.07e-6`: three digits.
func scientific(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return numberText(value) }
    var exponent = 0
    var mantissa = value
    while mantissa >= 10 {
        mantissa /= 10
        exponent += 1
    }
    while mantissa < 1 {
        mantissa *= 10
        exponent -= 1
    }
    var digits = Int((mantissa * 100).rounded())
    if digits >= 1000 {
        digits /= 10
        exponent += 1
    }
    if exponent >= -2, exponent <= 3 { return numberText(value) }
    let fraction = digits % 100
    return "\(digits / 100).\(fraction < 10 ? "0" : "")\(fraction)e\(exponent)"
}

/// `483840` as `483,840`.
func grouped(_ value: Double) -> String {
    guard value.magnitude < 1e15 else { return scientific(value) }
    let digits = Array(String(Int64(value.rounded())))
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return text
}

/// Names in order, with runs such as `f0 f1 … f11` as `f0..f11`.
func ranges(_ names: [String]) -> String {
    var parts: [String] = []
    var index = 0
    while index < names.count {
        func split(_ name: String) -> (String, Int)? {
            let digits = String(name.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
            guard let number = Int(digits), String(number) == digits else { return nil }
            return (String(name.dropLast(digits.count)), number)
        }
        var end = index
        if let (stem, first) = split(names[index]) {
            while end + 1 < names.count, let (next, number) = split(names[end + 1]), next == stem,
                number == first + (end + 1 - index)
            { end += 1 }
        }
        if end - index >= 2 {
            parts.append("\(names[index])..\(names[end])")
        } else {
            parts.append(contentsOf: names[index...end])
        }
        index = end + 1
    }
    return parts.joined(separator: " ")
}
