import TidemarkDataflow
import TidemarkExpressions

/// Columns that aggregates are taken of: one that is watched anyway where it says enough, else a hidden one of the
/// aggregate's own.
enum MetricColumns {
    /// Where stage 2 finds an aggregate.
    ///
    /// - `source`: the key of the topology that asks for it.
    static func place(
        _ aggregate: Aggregate, of source: String, _ scope: inout Scope
    ) -> MetricInput {
        guard let value = aggregate.value else {
            guard let condition = aggregate.condition else { return MetricInput(kind: .rows) }
            let one = RowExpression.call("if", [condition, .number(1), .null])
            return MetricInput(kind: .count, column: hidden(one, .number, source, &scope))
        }
        let watched = aggregate.condition == nil ? watchedEverywhere(value, scope) : nil
        switch aggregate.kind {
        case .rows, .count:
            if let watched { return MetricInput(kind: .count, column: watched) }
            let one = RowExpression.call(
                "if", [and(aggregate.condition, .not(.isNull(value))), .number(1), .null])
            return MetricInput(kind: .count, column: hidden(one, .number, source, &scope))
        case .nullShare:
            if let watched { return MetricInput(kind: .nullShare, column: watched) }
            return share(of: .isNull(value), aggregate.condition, source, &scope)
        case .share: return share(of: value, aggregate.condition, source, &scope)
        case .distinct:
            let column = watched.flatMap { isCounted($0, scope) ? $0 : nil }
            return MetricInput(
                kind: .distinct,
                column: column
                    ?? texts(where: aggregate.condition, value, aggregate.type, source, &scope))
        case .sum, .mean, .sd, .min, .max, .quantile:
            let column =
                watched ?? hidden(chosen(value, aggregate.condition), .number, source, &scope)
            switch aggregate.kind {
            case .sum, .mean, .sd: scope.schema.columns[column].summary.metricSums = true
            case .quantile: scope.schema.columns[column].summary.metricQuantiles = true
            default: break
            }
            return MetricInput(kind: aggregate.kind, column: column)
        case .test:
            guard case .column(let column) = value else { return MetricInput(kind: aggregate.kind) }
            return MetricInput(kind: aggregate.kind, column: column)
        }
    }

    private static func and(_ condition: RowExpression?, _ other: RowExpression) -> RowExpression {
        condition.map { .and($0, other) } ?? other
    }

    /// The value where a condition is true, else null.
    private static func chosen(
        _ value: RowExpression, _ condition: RowExpression?
    ) -> RowExpression {
        condition.map { .call("if", [$0, value, .null]) } ?? value
    }

    /// The column that a value is, if all segments watch it.
    private static func watchedEverywhere(_ value: RowExpression, _ scope: Scope) -> Int? {
        guard case .column(let column) = value,
            scope.segments.plans.allSatisfy({ $0.columns.contains(column) })
        else { return nil }
        return column
    }

    /// Whether different texts of a column are counted already.
    private static func isCounted(_ column: Int, _ scope: Scope) -> Bool {
        scope.columns[column].type.isText && scope.columns[column].summary.distinctLgK != nil
    }

    /// Zeros and ones, whose mean is the share.
    private static func share(
        of condition: RowExpression, _ rows: RowExpression?, _ source: String,
        _ scope: inout Scope
    ) -> MetricInput {
        let number = RowExpression.call(
            "if",
            [.isNull(condition), .null, .call("if", [condition, .number(1), .number(0)])])
        let column = hidden(chosen(number, rows), .number, source, &scope)
        // Sums of what lies within known edges are exact in the core of a cell.
        scope.schema.columns[column].summary.histogram = .edges([0, 0.5, 1])
        return MetricInput(kind: .share, column: column)
    }

    private static func texts(
        where condition: RowExpression?, _ value: RowExpression, _ type: ExpressionType?,
        _ source: String, _ scope: inout Scope
    ) -> Int {
        let text = type == .text ? value : .call("text", [value])
        let column = hidden(chosen(text, condition), .category, source, &scope)
        scope.schema.columns[column].summary.distinctLgK = 12
        return column
    }

    /// The hidden column that an expression computes, watched in all segments.
    private static func hidden(
        _ expression: RowExpression, _ type: ColumnType, _ source: String, _ scope: inout Scope
    ) -> Int {
        if let known = scope.columns.firstIndex(where: {
            $0.isUnpublished && $0.type == type && $0.computation?.expression == expression
        }) {
            return known
        }
        let number = scope.columns.count { $0.isUnpublished }
        var column = ColumnPlan(
            name: "\(source)#\(number)", role: .attribute, type: type, path: [])
        (column.isRead, column.isComputed, column.isHidden) = (false, true, true)
        column.isUnpublished = true
        column.computation = ColumnPlan.Computation(source: source, expression: expression)
        scope.add([column])
        let place = scope.columns.count - 1
        scope.segments.watch(everywhere: place)
        return place
    }
}
