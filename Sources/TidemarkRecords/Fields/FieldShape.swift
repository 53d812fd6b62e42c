package import TidemarkText

/// What a value of a field looks like in JSON: the source of the schemas and of the tables of fields.
package indirect enum FieldShape: Sendable, Equatable {
    /// Always the same value.
    case constant(JSONValue)
    /// `true` or `false`.
    case flag
    /// A whole number of either sign.
    case integer
    /// A whole number, 0 or more.
    case count
    /// Any finite number.
    case number
    /// Any text.
    case text
    /// One of some texts.
    case word([String])
    /// Values of one kind.
    case list(FieldShape)
    /// Named fields, and no others.
    case object([FieldFacts])
    /// Values of one kind under names that the data has; of names a regular expression, if not all
    /// are good.
    case map(FieldShape, names: String?)
    /// The dimensions of a group with their values.
    case group

    /// As the tables of fields have it.
    package var words: String {
        switch self {
        case .constant(let value): "always `\(String(decoding: value.encoded(), as: UTF8.self))`"
        case .flag: "true or false"
        case .integer, .count: "integer"
        case .number: "number"
        case .text: "text"
        case .word(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .list(.object): "list of objects"
        case .list(let element): "list of \(element.words)s"
        case .object, .group: "object"
        case .map(let value, _): "object of \(value.words)s"
        }
    }
}

/// What is known of a field: all that its declaration says but where the value is.
package struct FieldFacts: Sendable, Equatable {
    /// The member's name in JSON, or the header's.
    package var name: String
    /// What its value looks like.
    package var shape: FieldShape
    /// What a number counts in, where the meaning does not say it by itself; `nil`: nothing to say.
    package var unit: FieldUnit?
    /// When the field is there, after "present"; `nil`: always.
    package var presence: String?
    /// What the value means, for the schemas and the documentation, in Markdown.
    package var help: String

    package init(
        name: String, shape: FieldShape, unit: FieldUnit? = nil, presence: String? = nil,
        help: String
    ) {
        self.name = name
        self.shape = shape
        self.unit = unit
        self.presence = presence
        self.help = help
    }

    /// Every record has it.
    package var isRequired: Bool { presence == nil }
}

/// What a field's number is measured in.
package enum FieldUnit: String, Sendable {
    /// A time: it may lie before 1970.
    case timeMs = "ms since 1970, UTC"
    /// A length of time.
    case ms
    /// A probability or a share of a whole, 0 to 1.
    case share = "0 to 1"
}
