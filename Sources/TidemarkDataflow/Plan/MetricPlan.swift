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

/// What a baseline of the stream keeps of a column for metrics, from window to window.
package enum LearnedTake: Int, Sendable, Comparable {
    /// Rows, and those that have a value.
    case rows
    /// Rows in which a condition is true as well.
    case ones
    /// The sums of the values and of their squares as well.
    case sums

    package static func < (a: LearnedTake, b: LearnedTake) -> Bool { a.rawValue < b.rawValue }

    /// What an aggregate needs; `nil`: nothing of a column.
    init?(_ kind: AggregateKind) {
        switch kind {
        case .count, .nullShare: self = .rows
        case .share: self = .ones
        case .sum, .mean, .sd: self = .sums
        case .rows, .min, .max, .quantile, .distinct, .test: return nil
        }
    }
}

/// What metrics want of a baseline.
package struct MetricUse: Sendable {
    /// Columns whose cells are compared with it.
    package var cells: Set<Int> = []
    /// Columns of which it keeps counts or sums.
    package var values: Set<Int> = []
}

extension StreamPlan {
    /// What metrics want of a baseline; `nil`: nothing.
    package func metricUse(of baseline: Int) -> MetricUse? {
        let inputs = metrics.flatMap(\.inputs).filter { $0.baseline == baseline }
        guard !inputs.isEmpty else { return nil }
        var use = MetricUse()
        for input in inputs {
            guard let column = input.column else { continue }
            if case .test = input.kind { use.cells.insert(column) }
            if LearnedTake(input.kind) != nil { use.values.insert(column) }
        }
        return use
    }

    /// What baselines of the stream keep of a column for metrics; `nil`: nothing.
    package func learnedTake(of column: Int) -> LearnedTake? {
        metrics.lazy.flatMap(\.inputs).filter { input in
            input.column == column
                && input.baseline.map { baselines[$0].learning != nil } ?? false
        }.compactMap { LearnedTake($0.kind) }.max()
    }
}
