package import TidemarkExpressions

/// A number, or a condition, that is worked out of the rows of each group in each window.
///
/// It is published as a column of its own, and monitors watch it as they watch columns; but no row has a value
/// of it.
package struct MetricPlan: Sendable, Equatable {
    /// Place in `StreamPlan.columns` of the column that it is published as.
    package var column: Int
    /// What is worked out.
    package var metric: MetricExpression
    /// By aggregate of `metric`: where stage 2 finds it.
    package var inputs: [MetricInput]
    /// It is a condition, not a number.
    package var isCondition: Bool { metric.type == .boolean }

    package init(column: Int, metric: MetricExpression, inputs: [MetricInput] = []) {
        self.column = column
        self.metric = metric
        self.inputs = inputs
    }
}

/// An aggregate with the columns that it is taken of.
package struct MetricInput: Sendable, Hashable {
    /// What is taken of the column's rows.
    package var kind: AggregateKind
    /// Place in `StreamPlan.columns`; `nil`: of the group's rows.
    package var column: Int?
    /// Place in `StreamPlan.baselines` of what it is compared with; `nil`: nothing.
    package var baseline: Int?

    package init(kind: AggregateKind, column: Int? = nil, baseline: Int? = nil) {
        self.kind = kind
        self.column = column
        self.baseline = baseline
    }
}
