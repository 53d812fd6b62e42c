/// A typed expression over the columns of one row, as the planner checked it.
///
/// Three-valued: an operator on null gives null, but `false and null` is false and `true or null`
/// is true. A filter keeps only true.
package indirect enum RowExpression: Sendable, Equatable {
    case number(Double)
    case text(String)
    case boolean(Bool)
    case null
    /// A place in `StreamPlan.columns`.
    case column(Int)
    case compare(Comparison, RowExpression, RowExpression)
    case and(RowExpression, RowExpression)
    case or(RowExpression, RowExpression)
    case not(RowExpression)
    case isNull(RowExpression)
    /// The value equals one of the literals.
    case isIn(RowExpression, [RowExpression])
    case arithmetic(Arithmetic, RowExpression, RowExpression)
    case negate(RowExpression)
    case call(RowFunction, [RowExpression])

    /// Of numbers by size, of texts byte by byte; booleans only for equality.
    package enum Comparison: String, Sendable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    }
    /// Of doubles, as IEEE 754 has them.
    package enum Arithmetic: String, Sendable { case add, subtract, multiply, divide }
}

/// Functions of one row; the raw value is the name in the language.
package enum RowFunction: String, Sendable, CaseIterable {
    case abs, floor, ceil, round, sqrt, exp, log, least, greatest, coalesce
    case lower, upper, length
    case startsWith = "starts_with"
    case endsWith = "ends_with"
    case contains
}

/// What an expression's value is when it is not null.
package enum ExpressionType: String, Sendable { case number, text, boolean }
