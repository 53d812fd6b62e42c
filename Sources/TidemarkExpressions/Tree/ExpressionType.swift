/// What an expression's value is when it is not null.
package enum ExpressionType: String, Sendable, Hashable, CaseIterable {
    /// A double; never NaN or infinite.
    case number
    case boolean
    /// Compared byte by byte.
    case text
    /// Milliseconds since 1970, UTC.
    case time
    /// Milliseconds.
    case duration

    /// As messages name a value of it: `a number`.
    package var article: String {
        switch self {
        case .number: "a number"
        case .boolean: "a condition"
        case .text: "text"
        case .time: "a time"
        case .duration: "a duration"
        }
    }

    /// It is kept as a double.
    var isNumeric: Bool { self == .number || self == .time || self == .duration }
}

/// A column as expressions see it.
package struct ExpressionColumn: Sendable, Hashable {
    /// By which expressions name it.
    package var name: String
    /// What its values are.
    package var type: ExpressionType
    /// Its numbers are integers.
    package var isWhole: Bool
    /// It is read from records, and a row without a value has a reason for that.
    package var isRead: Bool

    package init(name: String, type: ExpressionType, isWhole: Bool = false, isRead: Bool = true) {
        self.name = name
        self.type = type
        self.isWhole = isWhole
        self.isRead = isRead
    }
}
