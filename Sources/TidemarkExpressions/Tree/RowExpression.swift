/// A typed expression over the columns of one row, as it was checked when it was read.
///
/// Three-valued: an operator on null gives null, but `false and null` is false and `true or null`
/// is true. A filter keeps only true.
package indirect enum RowExpression: Sendable, Hashable {
    case number(Double)
    case text(String)
    case boolean(Bool)
    /// Milliseconds.
    case duration(Double)
    case null
    /// A place in `StreamPlan.columns`.
    case column(Int)
    case compare(Comparison, RowExpression, RowExpression)
    case and(RowExpression, RowExpression)
    case or(RowExpression, RowExpression)
    case not(RowExpression)
    case isNull(RowExpression)
    /// The value equals one of the literals; those of a condition are the texts `true` and `false`.
    case isIn(RowExpression, [RowExpression])
    case arithmetic(Arithmetic, RowExpression, RowExpression)
    case negate(RowExpression)
    /// A function by its name.
    case call(String, [RowExpression])
    /// Literals, as an argument.
    case list([RowExpression])

    /// Of numbers by size, of texts byte by byte; booleans only for equality.
    package enum Comparison: String, Sendable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    }
    /// Of doubles, as IEEE 754 has them.
    package enum Arithmetic: String, Sendable { case add, subtract, multiply, divide }

    /// What it is made of.
    package var parts: [RowExpression] {
        switch self {
        case .number, .text, .boolean, .duration, .null, .column: []
        case .compare(_, let a, let b), .and(let a, let b), .or(let a, let b),
            .arithmetic(_, let a, let b):
            [a, b]
        case .not(let a), .isNull(let a), .negate(let a), .isIn(let a, _): [a]
        case .call(_, let arguments): arguments
        case .list(let literals): literals
        }
    }

    /// Places of the columns that it names.
    package var columns: Set<Int> {
        if case .column(let place) = self { return [place] }
        return parts.reduce(into: []) { $0.formUnion($1.columns) }
    }
}
