import TidemarkText

/// How many rows a row stands for, where records are a sample.
package enum RowWeight: Sendable, Equatable {
    /// As many for each.
    case each(Double)
    /// What a column says, by its place. A row that says nothing, or no number above 0, stands for none.
    case column(Int)

    /// As an expression over the columns of rows.
    fileprivate var expression: RowExpression {
        switch self {
        case .each(let weight): .number(weight)
        case .column(let place):
            .call(
                "if",
                [.compare(.greater, .column(place), .number(0)), .column(place), .null])
        }
    }
}

/// Aggregates of all rows that a sample stands for, put together from sums over the sample.
extension MetricReader {
    /// What stands for an aggregate where rows have weights; `nil`: the weights make no difference to it.
    ///
    /// Weights that are the same for all rows make a difference to counts and sums alone.
    mutating func weighted(
        _ aggregate: Aggregate, at syntax: Syntax
    ) throws(ExpressionFailure) -> Syntax.Kind? {
        guard let weight = scope.weight else { return nil }
        let parts = WeightedParts(aggregate, weight.expression, at: syntax)
        if case .each(let each) = weight {
            switch aggregate.kind {
            case .rows, .count, .sum:
                return parts.binary("*", parts.part(.number(each)), parts.part(add(aggregate))).kind
            default: return nil
            }
        }
        switch aggregate.kind {
        case .min, .max, .distinct, .test: return nil
        case .quantile:
            throw ExpressionFailure(
                "weighted-rank", syntax.offset,
                "rows have weights, and ranks of weighted rows are not kept",
                expected:
                    "an aggregate that is a sum: count sum mean sd share null_share correlation",
                suggestion: "`share(x <= bound)`, or a column without `role: weight`")
        case .rows: return add(parts.sum(parts.weight))
        case .count: return add(parts.sum(parts.weight, where: parts.hasValue))
        case .sum: return add(parts.sum(parts.product))
        case .mean: return ratio(parts, of: parts.value, where: parts.hasValue)
        case .share:
            return ratio(
                parts, of: .call("if", [parts.value, .number(1), .number(0)]), where: parts.hasValue
            )
        case .nullShare:
            return ratio(
                parts, of: .call("if", [.isNull(parts.value), .number(1), .number(0)]), where: nil)
        case .sd:
            let count = parts.part(add(parts.sum(parts.weight, where: parts.hasValue)))
            let sum = parts.part(add(parts.sum(parts.product)))
            let squares = parts.part(
                add(parts.sum(.arithmetic(.multiply, parts.product, parts.value))))
            // Rows that the sample stands for are counted: n − 1 is the sum of weights less 1.
            let spread = parts.binary(
                "-", squares, parts.binary("/", parts.binary("*", sum, sum), count))
            return parts.root(
                parts.binary("/", spread, parts.binary("-", count, parts.part(.number(1)))))
        }
    }

    /// Σ w·x over Σ w, of rows for which a condition is true; notes its standard error.
    private mutating func ratio(
        _ parts: WeightedParts, of value: RowExpression, where condition: RowExpression?
    ) -> Syntax.Kind {
        let weight = parts.weight
        let product = RowExpression.arithmetic(.multiply, weight, value)
        func sum(_ reader: inout MetricReader, _ value: RowExpression) -> Syntax {
            parts.part(reader.add(parts.sum(value, where: condition)))
        }
        let top = sum(&self, product)
        let bottom = sum(&self, weight)
        let kind = parts.binary("/", top, bottom).kind
        let whole = parts.part(kind)
        // Linearised: the root of Σ (w·x − r·w)² over Σ w, where r is the ratio.
        let squares = sum(&self, .arithmetic(.multiply, product, product))
        let both = sum(&self, .arithmetic(.multiply, product, weight))
        let weights = sum(&self, .arithmetic(.multiply, weight, weight))
        let rest = parts.binary(
            "-", parts.binary("*", whole, weights), parts.binary("*", parts.part(.number(2)), both))
        let sum = parts.binary("+", squares, parts.binary("*", whole, rest))
        noteError(parts.binary("/", parts.part(parts.root(sum)), bottom), of: parts.offset)
        return kind
    }
}

/// An aggregate, taken apart.
private struct WeightedParts {
    private let aggregate: Aggregate
    private let end: Int
    let offset: Int
    let weight: RowExpression
    /// What it is taken of.
    let value: RowExpression
    /// Weight times value.
    let product: RowExpression
    /// Whether a row has a value.
    let hasValue: RowExpression

    init(_ aggregate: Aggregate, _ weight: RowExpression, at syntax: Syntax) {
        self.aggregate = aggregate
        self.weight = weight
        (offset, end) = (syntax.offset, syntax.end)
        value = aggregate.value ?? .null
        product = .arithmetic(.multiply, weight, value)
        hasValue = .not(.isNull(value))
    }

    /// The sum of a number over the rows of the aggregate, and for which a further condition is true.
    func sum(_ value: RowExpression, where condition: RowExpression? = nil) -> Aggregate {
        var sum = Aggregate(kind: .sum, value: value, type: .number, baseline: aggregate.baseline)
        sum.condition =
            switch (aggregate.condition, condition) {
            case (let own?, let condition?): .and(own, condition)
            case (let own, let condition): own ?? condition
            }
        return sum
    }

    func part(_ kind: Syntax.Kind) -> Syntax { Syntax(kind: kind, offset: offset, end: end) }

    func binary(_ symbol: String, _ a: Syntax, _ b: Syntax) -> Syntax {
        part(.arithmetic(Syntax.Symbol(text: symbol), a, b))
    }

    /// The square root of what is at least 0, but for the rounding of sums.
    func root(_ value: Syntax) -> Syntax.Kind {
        func argument(_ value: Syntax) -> Syntax.Argument {
            Syntax.Argument(value: value, offset: offset)
        }
        let least = part(.call("greatest", [argument(value), argument(part(.number(0)))]))
        return .call("sqrt", [argument(least)])
    }
}
