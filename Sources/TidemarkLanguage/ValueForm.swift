import TidemarkText

/// The form of a value: what may be written, and what people are told of it.
///
/// Limits are part of the form; times are milliseconds.
package enum ValueForm: Sendable, Equatable {
    case text(lengthMax: Int)
    case name
    case path
    case secret
    case boolean
    case count(ClosedRange<Int64>)
    case number(ClosedRange<Double>)
    case duration(ClosedRange<Int64>)
    case time
    case size(ClosedRange<Int64>)
    /// 1 is 100%.
    case share(max: Double)
    case rate
    case hold
    case choice([String])
    case selector
    case condition
    case list(String)
    case map(String)
    case any(String)

    /// One word: `duration`, `count`, ….
    package var typeName: String {
        switch self {
        case .text: "text"
        case .name: "name"
        case .path: "path"
        case .secret: "secret"
        case .boolean: "boolean"
        case .count: "count"
        case .number: "number"
        case .duration: "duration"
        case .time: "time"
        case .size: "size"
        case .share: "share"
        case .rate: "rate"
        case .hold: "hold"
        case .choice: "word"
        case .selector: "selector"
        case .condition: "row condition"
        case .list: "list"
        case .map: "map"
        case .any: "value"
        }
    }

    /// The unit of the value where its text has one.
    package var unit: String? {
        switch self {
        case .duration: "ms s m h d w"
        case .size: "KiB MiB GiB KB MB GB"
        case .share: "%"
        case .rate: "per second, minute, hour, day, week, month"
        default: nil
        }
    }

    /// What bounds the value, as an author of topologies writes it.
    package var limits: String? {
        switch self {
        case .text(let max): max == .max ? nil : "at most \(max) characters"
        case .count(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .number(let range):
            range.lowerBound.isFinite && range.upperBound.isFinite
                ? "\(numberText(range.lowerBound)) to \(numberText(range.upperBound))" : nil
        case .duration(let range):
            "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
        case .size(let range): "\(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
        case .share(let max): "0% to \(shareText(max))"
        case .choice(let words): words.joined(separator: " ")
        default: nil
        }
    }

    /// A text of this form as a value of JSON: YAML reads some as numbers or booleans.
    func value(_ text: String) -> JSONValue {
        switch self {
        case .boolean where text == "true" || text == "false": return .boolean(text == "true")
        case .count:
            if let number = Scalars.integer(text) { return .integer(number) }
        case .number:
            if let number = Scalars.number(text) { return .number(number) }
        default: break
        }
        return .text(text)
    }

    /// What a message says was expected.
    package var expected: String {
        switch self {
        case .text(let max): max == .max ? "text" : "text of at most \(max) characters"
        case .name: "a name (a letter, then letters, digits, _ or -)"
        case .path: "a path"
        case .secret: "a reference"
        case .boolean: "true or false"
        case .count(let range):
            range.upperBound == .max
                ? "a count from \(range.lowerBound)"
                : "a count from \(range.lowerBound) to \(range.upperBound)"
        case .number: limits.map { "a number from \($0)" } ?? "a number"
        case .duration(let range):
            "a duration from \(durationText(range.lowerBound)) to "
                + durationText(range.upperBound)
        case .time: "a time like 2026-01-31T12:00:00Z"
        case .size(let range):
            "a size from \(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
        case .share(let max): "0% to \(shareText(max))"
        case .rate: "a rate like `1 per week`"
        case .hold: "a duration, or windows like `2 of 3`"
        case .choice(let words): alternatives(words)
        case .selector: "columns: a name, a range, a pattern or a word"
        case .condition: "a row condition"
        case .list(let what), .map(let what), .any(let what): what
        }
    }
}
