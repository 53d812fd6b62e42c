package import TidemarkText

/// A type of values that keys take: its form, and the way from a text to a value and back.
package struct ValueType<Value: Sendable>: Sendable {
    /// What people are told of it.
    package let form: ValueForm
    /// `off` is a value, too.
    package let takesOff: Bool
    /// The value of a text.
    let parse: @Sendable (String, KeySpec) -> Result<Value, ScalarProblem>
    /// As an author of topologies writes it; `nil`: the value is written by leaving the key out.
    package let text: @Sendable (Value) -> String?
    /// As the plan's JSON has it.
    package let json: @Sendable (Value) -> JSONValue

    /// A type in its own words.
    package init(
        _ form: ValueForm, takesOff: Bool = false,
        parse: @escaping @Sendable (String, KeySpec) -> Result<Value, ScalarProblem>,
        text: @escaping @Sendable (Value) -> String?,
        json: @escaping @Sendable (Value) -> JSONValue
    ) {
        self.form = form
        self.takesOff = takesOff
        self.parse = parse
        self.text = text
        self.json = json
    }

    /// The value of a text, as it stands behind the key of `spec`.
    package func read(_ text: String, of spec: KeySpec) -> Result<Value, ScalarProblem> {
        parse(text, spec)
    }

    /// The same values, and `off` for none.
    package var orOff: ValueType<Value?> { maybe(takesOff: true) }

    /// The same values; a key that is left out has none.
    package var optional: ValueType<Value?> { maybe(takesOff: false) }

    private func maybe(takesOff: Bool) -> ValueType<Value?> {
        let (parse, text, json) = (self.parse, self.text, self.json)
        return ValueType<Value?>(
            form, takesOff: takesOff, parse: { parse($0, $1).map(Optional.some) },
            text: { $0.map(text) ?? (takesOff ? "off" : nil) },
            json: { $0.map(json) ?? .null })
    }
}

/// A value out of its bounds, with the nearest one that is in them.
private func outOfLimits(_ text: String, _ spec: KeySpec, nearest: String) -> ScalarProblem {
    ScalarProblem(
        rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
        expected: spec.expected, suggestion: "`\(nearest)`")
}

extension ClosedRange {
    /// The value of the range that is nearest to one outside of it.
    fileprivate func bound(nearest value: Bound) -> Bound {
        value < lowerBound ? lowerBound : upperBound
    }
}

extension ValueType where Value == Int64 {
    /// A duration with its unit, such as `1h30m`; ms.
    package static func duration(_ range: ClosedRange<Int64>) -> ValueType {
        ValueType(
            .duration(range),
            parse: { text, spec in
                Scalars.duration(text, spec.expected).flatMap { value in
                    range.contains(value)
                        ? .success(value)
                        : .failure(
                            outOfLimits(
                                text, spec, nearest: durationText(range.bound(nearest: value))))
                }
            },
            text: { durationText($0) }, json: { .integer($0) })
    }
}

extension ValueType where Value == Int64 {
    /// A time, such as `2026-12-01T08:00:00Z`; ms since 1970.
    package static var time: ValueType {
        ValueType(
            .time,
            parse: { text, spec in
                Scalars.time(text).map { .success($0) }
                    ?? .failure(
                        ScalarProblem(
                            rule: "bad-time", message: "\(shown(text)) is not a time",
                            expected: spec.expected, suggestion: nil))
            },
            text: { timeText($0) }, json: { .integer($0) })
    }
}

extension ValueType where Value: FixedWidthInteger {
    /// A whole number.
    package static func count(_ range: ClosedRange<Int64>) -> ValueType {
        ValueType(
            .count(range),
            parse: { text, spec in
                Scalars.count(text).flatMap { value in
                    range.contains(value)
                        ? .success(Value(value))
                        : .failure(
                            outOfLimits(text, spec, nearest: "\(range.bound(nearest: value))"))
                }
            },
            text: { "\($0)" }, json: { .integer(Int64($0)) })
    }

    /// A size with its unit, such as `64MiB`; bytes.
    package static func size(_ range: ClosedRange<Int64>) -> ValueType {
        ValueType(
            .size(range),
            parse: { text, spec in
                Scalars.size(text).flatMap { value in
                    range.contains(value)
                        ? .success(Value(value))
                        : .failure(
                            outOfLimits(
                                text, spec, nearest: sizeText(range.bound(nearest: value))))
                }
            },
            text: { sizeText(Int64($0)) }, json: { .integer(Int64($0)) })
    }
}

extension ValueType where Value == Double {
    /// A share: `5%` or `0.05`.
    package static func share(max: Double) -> ValueType {
        ValueType(
            .share(max: max), parse: { text, _ in Scalars.share(text, max: max) },
            text: { shareText($0) }, json: { .number($0) })
    }

    /// A number in a range.
    package static func number(_ range: ClosedRange<Double>) -> ValueType {
        ValueType(
            .number(range),
            parse: { text, spec in
                guard let value = Scalars.number(text) else {
                    return .failure(
                        ScalarProblem(
                            rule: "bad-number", message: "\(shown(text)) is not a number",
                            expected: nil, suggestion: nil))
                }
                return range.contains(value)
                    ? .success(value)
                    : .failure(
                        outOfLimits(text, spec, nearest: numberText(range.bound(nearest: value))))
            },
            text: { numberText($0) }, json: { .number($0) })
    }
}

extension ValueType where Value == Bool {
    /// `true` or `false`.
    package static var boolean: ValueType { boolean(takesOff: false) }

    /// `true` or `false`, and `off` for the latter.
    package static var booleanOrOff: ValueType { boolean(takesOff: true) }

    private static func boolean(takesOff: Bool) -> ValueType {
        ValueType(
            .boolean, takesOff: takesOff,
            parse: { text, _ in
                takesOff && text == "off" ? .success(false) : Scalars.boolean(text)
            },
            text: { $0 ? "true" : "false" }, json: { .boolean($0) })
    }
}

extension ValueType where Value == Rate {
    /// Events in a period, such as `1 per week`.
    package static var rate: ValueType {
        ValueType(
            .rate, parse: { text, _ in Scalars.rate(text) },
            text: { "\(numberText($0.count)) per \($0.periodName ?? durationText($0.periodMs))" },
            json: { .object([("count", .number($0.count)), ("period_ms", .integer($0.periodMs))]) })
    }
}

extension ValueType where Value == String {
    /// Any text.
    package static func text(lengthMax: Int) -> ValueType {
        ValueType(
            .text(lengthMax: lengthMax),
            parse: { text, spec in
                let length = text.unicodeScalars.count
                guard length > lengthMax else { return .success(text) }
                return .failure(
                    ScalarProblem(
                        rule: "too-long", message: "\(length) characters", expected: spec.expected,
                        suggestion: "a shorter one"))
            },
            text: { $0 }, json: { .text($0) })
    }

    /// A path of a file.
    package static var path: ValueType {
        ValueType(
            .path,
            parse: { text, _ in
                guard text.isEmpty else { return .success(text) }
                return .failure(
                    ScalarProblem(
                        rule: "bad-path", message: "an empty path", expected: "a path",
                        suggestion: nil))
            },
            text: { $0 }, json: { .text($0) })
    }

    /// A name: a small letter, then small letters, digits, `_` or `-`.
    package static var name: ValueType {
        ValueType(
            .name,
            parse: { text, spec in
                Scalars.isName(text)
                    ? .success(text) : .failure(Scalars.badName(text, spec.expected))
            },
            text: { $0 }, json: { .text($0) })
    }

    /// One of a few words; `later` are those that a later version will know, `refused` those with the reason
    /// why they are not.
    package static func choice(
        _ words: [String], later: [String] = [], refused: [String: String] = [:]
    ) -> ValueType {
        .choice(words.map { ($0, $0) }, later: later, refused: refused)
    }
}

extension ValueType where Value: Equatable {
    /// One of a few words, each for a value; `later` are those that a later version will know, `refused` those
    /// with the reason why they are not.
    package static func choice(
        _ words: [(String, Value)], later: [String] = [], refused: [String: String] = [:]
    ) -> ValueType {
        let names = words.map(\.0)
        @Sendable func word(_ value: Value) -> String? { words.first { $0.1 == value }?.0 }
        return ValueType(
            .choice(names),
            parse: { text, spec in
                if let value = words.first(where: { $0.0 == text })?.1 { return .success(value) }
                if later.contains(text) {
                    return .failure(
                        ScalarProblem(
                            rule: "later", message: "\(shown(text)) comes in a later version",
                            expected: spec.expected, suggestion: names.first.map { "`\($0)`" }))
                }
                if let because = refused[text] {
                    return .failure(
                        ScalarProblem(
                            rule: "later", message: "\(shown(text)) is refused: \(because)",
                            expected: spec.expected, suggestion: names.first.map { "`\($0)`" }))
                }
                return .failure(
                    ScalarProblem(
                        rule: "unknown-word", message: "\(shown(text)) is not known here",
                        expected: spec.expected,
                        suggestion: nearest(text, names).map { "`\($0)`" }))
            },
            text: { word($0) }, json: { word($0).map(JSONValue.text) ?? .null })
    }
}

extension ValueType
where Value: RawRepresentable & CaseIterable & Equatable, Value.RawValue == String {
    /// One of the cases, by its raw value.
    package static func choice(
        later: [String] = [], refused: [String: String] = [:]
    ) -> ValueType {
        .choice(Value.allCases.map { ($0.rawValue, $0) }, later: later, refused: refused)
    }
}
