import TidemarkText

/// Why a text is not the value it should be: the rule and what to say.
package struct ScalarProblem: Error, Equatable {
    /// A rule that `tidemark explain` knows.
    package var rule: String
    /// What was found, for a person.
    package var message: String
    /// What could have stood there; `nil`: what the key's spec says.
    package var expected: String?
    /// What to write instead; `nil`: nobody can know.
    package var suggestion: String?

    package init(rule: String, message: String, expected: String?, suggestion: String?) {
        self.rule = rule
        self.message = message
        self.expected = expected
        self.suggestion = suggestion
    }
}

/// Events in a period: `1 per week`.
package struct Rate: Sendable, Equatable {
    /// How many events, above zero.
    package var count: Double
    /// The period, ms.
    package var periodMs: Int64

    package init(count: Double, periodMs: Int64) {
        self.count = count
        self.periodMs = periodMs
    }

    /// The name of the period; `nil`: it has none.
    package var periodName: String? { Scalars.periods.first { $0.ms == periodMs }?.name }
}

/// The values of the language, from their texts.
package enum Scalars {
    /// What a duration looks like.
    package static let durationLike = "like 250ms, 5s, 1h30m"

    /// A duration (`1h30m`), ms; `expected` is what the message says where its unit is missing.
    package static func duration(_ text: String, _ expected: String) -> Result<Int64, ScalarProblem>
    {
        let units: [(name: String, ms: Int64)] = [
            ("ms", 1), ("s", secondMs), ("m", minuteMs), ("h", hourMs), ("d", dayMs), ("w", weekMs),
        ]
        let bytes = Array(text.utf8)
        var total: Int64 = 0
        var index = 0
        var lastUnit = Int64.max
        func fail() -> Result<Int64, ScalarProblem> { .failure(badDuration(text, expected)) }
        guard !bytes.isEmpty else { return fail() }
        while index < bytes.count {
            let from = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
            guard index > from, index - from <= 15,
                let number = Int64(String(decoding: bytes[from..<index], as: UTF8.self))
            else { return fail() }
            let unitFrom = index
            while index < bytes.count, (0x61...0x7a).contains(bytes[index]) { index += 1 }
            let unit = String(decoding: bytes[unitFrom..<index], as: UTF8.self)
            guard let ms = units.first(where: { $0.name == unit })?.ms, ms < lastUnit else {
                return fail()
            }
            lastUnit = ms
            let (product, overflow) = number.multipliedReportingOverflow(by: ms)
            let (sum, overflow2) = total.addingReportingOverflow(product)
            guard !overflow, !overflow2 else { return fail() }
            total = sum
        }
        return .success(total)
    }

    private static func badDuration(_ text: String, _ expected: String) -> ScalarProblem {
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e }) {
            return ScalarProblem(
                rule: "bad-duration", message: "\(shown(text)) has no unit", expected: expected,
                suggestion: "`\(text)s`, or `\(text)m` if minutes were meant")
        }
        if text.hasPrefix("P") {
            var rest = text.dropFirst()
            if rest.first == "T" { rest = rest.dropFirst() }
            let guess = rest.lowercased()
            let isKnown = if case .success = duration(guess, expected) { true } else { false }
            return ScalarProblem(
                rule: "bad-duration", message: "ISO 8601 is not read here", expected: durationLike,
                suggestion: isKnown ? "`\(guess)`" : nil)
        }
        // `5 sec`, `5min`: the number and the first letter of the unit.
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let word = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        var guess: String?
        if !digits.isEmpty {
            if word.hasPrefix("mil") || word == "msec" {
                guess = "\(digits)ms"
            } else if word.hasPrefix("mo") {
                guess = nil
            } else if let first = word.first, "smhdw".contains(first), word.allSatisfy(\.isLetter) {
                guess = "\(digits)\(first)"
            }
        }
        return ScalarProblem(
            rule: "bad-duration", message: "\(shown(text)) is not a duration",
            expected: durationLike, suggestion: guess.map { "`\($0)`" })
    }

    /// A size (`64MiB`), bytes.
    package static func size(_ text: String) -> Result<Int64, ScalarProblem> {
        let units: [(String, Int64)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("KB", 1000),
            ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000),
        ]
        for (unit, factor) in units where text.hasSuffix(unit) {
            if let number = integer(String(text.dropLast(unit.count))) {
                let (product, overflow) = number.multipliedReportingOverflow(by: factor)
                if !overflow { return .success(product) }
            }
        }
        if integer(text) != nil {
            return .failure(
                ScalarProblem(
                    rule: "bad-size", message: "\(shown(text)) has no unit", expected: "like 64MiB",
                    suggestion: "`\(text)MiB`"))
        }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let word = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let guess =
            ["k": "KiB", "m": "MiB", "g": "GiB"][String(word.prefix(1))].map { "`\(digits)\($0)`" }
        return .failure(
            ScalarProblem(
                rule: "bad-size", message: "\(shown(text)) is not a size", expected: "like 64MiB",
                suggestion: digits.isEmpty ? nil : guess))
    }

    /// Digits, with `_` between them.
    package static func integer(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 25,
            (0x30...0x39).contains(first), last != 0x5f,
            bytes.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x5f })
        else { return nil }
        let digits = bytes.filter { $0 != 0x5f }
        guard digits.count == 1 || digits[0] != 0x30 else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    /// A whole number from 0 on.
    package static func count(_ text: String) -> Result<Int64, ScalarProblem> {
        if let value = integer(text) { return .success(value) }
        return .failure(
            ScalarProblem(
                rule: "bad-count", message: "\(shown(text)) is not a count", expected: nil,
                suggestion: number(text).flatMap {
                    $0 >= 0 && $0 < 1e15 ? "`\(Int64($0.rounded()))`" : nil
                }))
    }

    /// Decimal or with an exponent; finite.
    package static func number(_ text: String) -> Double? {
        var bytes = Array(text.utf8).filter { $0 != 0x5f }
        guard !text.hasPrefix("_"), !text.hasSuffix("_"), bytes.count <= 40 else { return nil }
        let all = bytes
        if bytes.first == 0x2d || bytes.first == 0x2b { bytes.removeFirst() }
        guard let first = bytes.first, (0x30...0x39).contains(first),
            bytes.allSatisfy({
                (0x30...0x39).contains($0) || [0x2e, 0x65, 0x45, 0x2d, 0x2b].contains($0)
            }), let value = Double(String(decoding: all, as: UTF8.self)), value.isFinite
        else { return nil }
        return value
    }

    /// `5%` or `0.05`.
    package static func share(_ text: String, max: Double) -> Result<Double, ScalarProblem> {
        let limit = "0% to \(shareText(max))"
        if text.hasSuffix("%"), let value = number(String(text.dropLast())) {
            let share = value / 100
            if share >= 0, share <= max { return .success(share) }
            return .failure(
                ScalarProblem(
                    rule: "bad-share", message: "\(shown(text)) is out of bounds", expected: limit,
                    suggestion: nil))
        }
        if let value = number(text) {
            if value > 1, value <= max {
                // 20 may mean 20% or twenty times: whoever means the latter says so.
                return .failure(
                    ScalarProblem(
                        rule: "bad-share",
                        message: "\(shown(text)) would be \(numberText(value * 100))%",
                        expected: "above 1 with its sign, as in 250%",
                        suggestion: "`\(text)%`, or `\(numberText(value * 100))%` if that is meant")
                )
            }
            if value >= 0, value <= max { return .success(value) }
            return .failure(
                ScalarProblem(
                    rule: "bad-share",
                    message: value < 0
                        ? "\(shown(text)) is below zero"
                        : "\(shown(text)) would be \(numberText(value * 100))%", expected: limit,
                    suggestion: value > 0 && value / 100 <= max ? "`\(text)%`" : nil))
        }
        return .failure(
            ScalarProblem(
                rule: "bad-share", message: "\(shown(text)) is not a share", expected: limit,
                suggestion: nil))
    }

    /// `true` or `false`.
    package static func boolean(_ text: String) -> Result<Bool, ScalarProblem> {
        switch text {
        case "true": return .success(true)
        case "false": return .success(false)
        default:
            let guess: String? =
                switch text.lowercased() {
                case "yes", "y", "on", "1", "true": "`true`"
                case "no", "n", "0", "false": "`false`"
                default: nil
                }
            return .failure(
                ScalarProblem(
                    rule: "bad-boolean",
                    message: guess == nil
                        ? "\(shown(text)) is not a boolean"
                        : "\(shown(text)) is a word, not a boolean", expected: "true or false",
                    suggestion: guess))
        }
    }

    /// The periods that a rate may name.
    package static let periods: [(name: String, ms: Int64)] = [
        ("second", secondMs), ("minute", minuteMs), ("hour", hourMs), ("day", dayMs),
        ("week", weekMs), ("month", 30 * dayMs),
    ]

    /// Events in a period: `1 per week`.
    package static func rate(_ text: String) -> Result<Rate, ScalarProblem> {
        let words = text.split(separator: " ").map(String.init)
        if words.count == 3, words[1] == "per", let count = number(words[0]), count > 0,
            let period = periods.first(where: { $0.name == words[2] })
        {
            return .success(Rate(count: count, periodMs: period.ms))
        }
        var guess: String?
        if let period = periods.first(where: {
            text.hasSuffix($0.name) || text.hasSuffix($0.name + "s")
        }) {
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            guess = "`\(digits.isEmpty ? "1" : digits) per \(period.name)`"
        } else if number(text) != nil {
            guess = "`\(text) per week`"
        }
        return .failure(
            ScalarProblem(
                rule: "bad-rate", message: "\(shown(text)) is not a rate",
                expected: "like `1 per week` (second, minute, hour, day, week, month)",
                suggestion: guess))
    }

    /// `2 of 3`.
    package static func windowsOf(_ text: String) -> (Int, Int)? {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 3, words[1] == "of", let a = integer(words[0]),
            let b = integer(words[2]),
            a >= 1, a <= b, b <= 1000
        else { return nil }
        return (Int(a), Int(b))
    }

    /// Whether it is a name: a small letter, then small letters, digits, `_` or `-`.
    package static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, (0x61...0x7a).contains(first), bytes.count <= 63 else {
            return false
        }
        return bytes.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f || $0 == 0x2d
        }
    }

    /// What to report of a text that is not a name.
    package static func badName(_ text: String, _ expected: String) -> ScalarProblem {
        var guess = ""
        for character in text.lowercased().unicodeScalars {
            let isFine =
                character.isASCII
                && (character.properties.isAlphabetic || (0x30...0x39).contains(character.value))
            guess.unicodeScalars.append(isFine ? character : "-")
        }
        return ScalarProblem(
            rule: "bad-name", message: "\(shown(text)) is not a name", expected: expected,
            suggestion: isName(guess) ? "`\(guess)`" : nil)
    }

    /// A name that may stand in an expression; capitals allowed.
    package static func isColumnName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= 63 else { return false }
        func isLetter(_ byte: UInt8) -> Bool {
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
        }
        return (isLetter(first) || first == 0x5f)
            && bytes.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    }

    /// `2026-01-31`, `2026-01-31T12:00:00Z`, with a fraction or an offset; milliseconds since 1970.
    package static func time(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ from: Int, _ length: Int) -> Int64? {
            guard from + length <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[from..<from + length] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard bytes.count >= 10, bytes[4] == 0x2d, bytes[7] == 0x2d, let year = number(0, 4),
            let month = number(5, 2), let day = number(8, 2), (1...12).contains(month)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...days[Int(month) - 1]).contains(day), year >= 2000 else { return nil }
        var ms = CivilDate.day(year: year, month: month, day: day) * dayMs
        if bytes.count == 10 { return ms }
        guard bytes.count >= 20, bytes[10] == 0x54, bytes[13] == 0x3a, bytes[16] == 0x3a,
            let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2),
            hour < 24, minute < 60, second < 60
        else { return nil }
        ms += hour * hourMs + minute * minuteMs + second * secondMs
        var index = 19
        if bytes[index] == 0x2e {
            index += 1
            var scale: Int64 = 100
            let from = index
            while index < bytes.count, let digit = number(index, 1) {
                ms += digit * scale
                scale /= 10
                index += 1
            }
            guard index > from else { return nil }
        }
        guard index < bytes.count else { return nil }
        if bytes[index] == 0x5a { return index + 1 == bytes.count ? ms : nil }
        guard bytes.count == index + 6, bytes[index] == 0x2b || bytes[index] == 0x2d,
            bytes[index + 3] == 0x3a, let h = number(index + 1, 2), let m = number(index + 4, 2),
            h < 24, m < 60
        else { return nil }
        let offset = h * hourMs + m * minuteMs
        return bytes[index] == 0x2b ? ms - offset : ms + offset
    }
}
