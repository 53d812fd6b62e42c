/// What a key of a topology takes.
///
/// Lint, plan, the JSON Schema and `list operators` all read this.
package struct FieldSpec: Sendable {
    /// The values a key takes.
    ///
    /// Limits are part of the type; times are milliseconds.
    package indirect enum Kind: Sendable, Equatable {
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
    }

    /// As it stands in a topology.
    package var name: String
    /// What values it takes.
    package var kind: Kind
    /// `off` is a value, too.
    package var takesOff: Bool
    /// A topology without it is refused.
    package var isRequired: Bool
    /// As an op writes it; `nil`: none.
    package var defaultText: String?
    /// What it is for, in a few words.
    package var help: String
    /// The full language knows it; this version refuses it.
    package var isLater: Bool

    /// A key and its default, as an op writes it.
    package init(
        _ name: String, _ kind: Kind, _ defaultText: String?, off: Bool = false,
        required: Bool = false, later: Bool = false, _ help: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultText = defaultText
        self.takesOff = off
        self.isRequired = required
        self.isLater = later
        self.help = help
    }

    /// A key without a default.
    package init(
        _ name: String, _ kind: Kind, off: Bool = false, required: Bool = false,
        later: Bool = false, _ help: String
    ) {
        self.init(name, kind, nil, off: off, required: required, later: later, help)
    }

    /// A key of the full language that this version refuses.
    static func later(_ name: String, _ help: String) -> FieldSpec {
        FieldSpec(name, .any(""), later: true, help)
    }

    /// One word: `duration`, `count`, ….
    package var typeName: String {
        switch kind {
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
        switch kind {
        case .duration: "ms s m h d w"
        case .size: "KiB MiB GiB KB MB GB"
        case .share: "%"
        case .rate: "per second, minute, hour, day, week, month"
        default: nil
        }
    }

    /// What bounds the value, as an op writes it.
    package var limits: String? {
        switch kind {
        case .text(let max): max == .max ? nil : "at most \(max) letters"
        case .count(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .duration(let range):
            "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
        case .size(let range): "\(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
        case .share(let max): "0% to \(shareText(max))"
        case .choice(let words): words.joined(separator: " ")
        default: nil
        }
    }

    /// What a message says was expected.
    package var expected: String {
        let text: String =
            switch kind {
            case .text(let max): max == .max ? "text" : "text of at most \(max) letters"
            case .name: "a name (a letter, then letters, digits, _ or -)"
            case .path: "a path"
            case .secret: "a reference"
            case .boolean: "true or false"
            case .count(let range):
                range.upperBound == .max
                    ? "a count from \(range.lowerBound)"
                    : "a count from \(range.lowerBound) to \(range.upperBound)"
            case .number: "a number"
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
        return takesOff ? text + ", or off" : text
    }
}

/// A part of a topology with its keys: an operator of the catalogue, or a map inside of one.
package struct OperatorSpec: Sendable {
    /// As messages and `tidemark list operators` name it.
    package var name: String
    /// Where it stands: `source`, `segments.*`, or nothing for the top level.
    package var path: String
    /// What it is for, in a few words.
    package var summary: String
    /// In the order in which they are listed.
    package var fields: [FieldSpec]
    /// YAML, a few lines.
    package var example: String

    package init(
        _ name: String, path: String, _ summary: String, _ fields: [FieldSpec], example: String
    ) {
        self.name = name
        self.path = path
        self.summary = summary
        self.fields = fields
        self.example = example
    }

    /// The key of that name; `nil`: the part has none.
    package func field(_ name: String) -> FieldSpec? { fields.first { $0.name == name } }
}

/// `a`, `a or b`, `a, b or c`.
func alternatives(_ words: [String]) -> String {
    guard let last = words.last else { return "" }
    guard words.count > 1 else { return last }
    return words.dropLast().joined(separator: ", ") + " or " + last
}

let secondMs: Int64 = 1000
let minuteMs: Int64 = 60_000
let hourMs: Int64 = 3_600_000
let dayMs: Int64 = 86_400_000
let weekMs: Int64 = 604_800_000

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
func sizeText(_ bytes: Int64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, Int64)]
    where bytes >= 1 << shift && bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(unit)" }
    return "\(bytes)B"
}

/// `0.05` as `5%`.
func shareText(_ share: Double) -> String { numberText(share * 100) + "%" }

/// Without `.0`; twelve digits at most.
func numberText(_ value: Double) -> String {
    if value == value.rounded(), value.magnitude < 1e15 { return String(Int64(value)) }
    let rounded = (value * 1e10).rounded() / 1e10
    return rounded.isFinite && rounded != 0 && value.magnitude > 1e-4 ? "\(rounded)" : "\(value)"
}
