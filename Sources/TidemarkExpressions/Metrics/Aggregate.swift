/// What is taken of the rows of a group in a window: one number.
package enum AggregateKind: Sendable, Hashable {
    /// All rows.
    case rows
    /// Rows that have the value.
    case count
    case sum
    case mean
    /// Standard deviation, which divides by n − 1.
    case sd
    case min
    case max
    /// The value of a rank from 0 to 1.
    case quantile(Double)
    /// How many different texts there are.
    case distinct
    /// Rows in which a condition is true, of those in which it is not null.
    case share
    /// Rows that lack the value, of all rows.
    case nullShare
    /// How far a column differs from a baseline, by the test of this name.
    case test(String)
}

/// An aggregate as an expression asks for it.
package struct Aggregate: Sendable, Hashable {
    /// What is taken.
    package var kind: AggregateKind
    /// What it is taken of, over the columns of the stream; `nil`: of rows.
    package var value: RowExpression?
    /// The type of `value`.
    package var type: ExpressionType?
    /// Which rows it takes; `nil`: all of the group.
    package var condition: RowExpression?
    /// The baseline that it is taken of, or compared with; `nil`: the window itself.
    package var baseline: String?

    /// An aggregate of the window, or of a baseline.
    package init(
        kind: AggregateKind, value: RowExpression? = nil, type: ExpressionType? = nil,
        condition: RowExpression? = nil, baseline: String? = nil
    ) {
        self.kind = kind
        self.value = value
        self.type = type
        self.condition = condition
        self.baseline = baseline
    }
}

/// A function of the rows of a window, as expressions have it.
package struct AggregateSpec: Sendable {
    /// As expressions have it.
    package let name: String
    /// `quantile(x, q)`.
    package let signature: String
    /// What its first argument may be; empty: it needs none.
    let takes: [ExpressionType]
    /// How many arguments it has.
    let argumentCounts: ClosedRange<Int>
    /// What it takes of rows.
    let kind: AggregateKind
    /// What it is, for people.
    package let help: String
}

/// The functions of a window.
package enum Aggregates {
    private static let any = ExpressionType.allCases

    /// In the order in which they are listed to people.
    package static let all: [AggregateSpec] = [
        spec("count", "count([x])", [], 0...1, .rows, "rows, or those that have the value"),
        spec("sum", "sum(x)", [.number], 1...1, .sum, "the sum of the values; 0 without any"),
        spec("mean", "mean(x)", [.number], 1...1, .mean, "their mean"),
        spec(
            "sd", "sd(x)", [.number], 1...1, .sd, "their standard deviation, which divides by n − 1"
        ),
        spec("min", "min(x)", [.number], 1...1, .min, "the smallest"),
        spec("max", "max(x)", [.number], 1...1, .max, "the largest"),
        spec(
            "quantile", "quantile(x, q)", [.number], 2...2, .quantile(0.5),
            "the value of rank q, 0 to 1, within 1% of itself"),
        spec(
            "median", "median(x)", [.number], 1...1, .quantile(0.5),
            "`quantile` of rank 0.5"),
        spec(
            "distinct", "distinct(x)", [.text, .boolean, .number], 1...1, .distinct,
            "about how many different values there are, within 5%"),
        spec(
            "share", "share(c)", [.boolean], 1...1, .share,
            "rows in which the condition is true, of those in which it is true or false"),
        spec(
            "null_share", "null_share(x)", any, 1...1, .nullShare,
            "rows that lack the value, of all rows"),
        spec(
            "correlation", "correlation(x, y)", [.number], 2...2, .sd,
            "Pearson's correlation, of rows that have both"),
    ]

    /// Those, and what is made of them beside a baseline, for people.
    package static let listed: [(signature: String, help: String)] =
        all.map { ($0.signature, $0.help) } + [
            ("… where c", "in an aggregate: of the rows in which the condition is true"),
            (
                "… over b",
                "in an aggregate: of what a baseline holds, not of the window; a count or a sum over several windows is that of one on average"
            ),
            ("change(a, b)", "what it is now over what it is in the baseline, less 1"),
            (
                "psi(x, b)",
                "how far a column differs from a baseline, in the unit of `ignore_below`: so does every two-sample test"
            ),
        ]

    private static func spec(
        _ name: String, _ signature: String, _ takes: [ExpressionType],
        _ counts: ClosedRange<Int>, _ kind: AggregateKind, _ help: String
    ) -> AggregateSpec {
        AggregateSpec(
            name: name, signature: signature, takes: takes, argumentCounts: counts, kind: kind,
            help: help)
    }

    /// The function of a name; `nil`: there is none.
    static func named(_ name: String) -> AggregateSpec? { all.first { $0.name == name } }
}
