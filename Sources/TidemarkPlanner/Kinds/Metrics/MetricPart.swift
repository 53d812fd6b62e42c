import TidemarkDataflow
import TidemarkDrift
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Numbers that are worked out of the rows of each group in each window.
enum MetricPart {
    private static let countMax = 200

    /// Reads the metrics of a topology, each of which may name those before it.
    static func read(_ top: Fields, _ scope: inout Scope) {
        guard let node = top[TopologyPart.metrics] else { return }
        for entry in top.reading.named(
            node, what: "metrics", item: "an expression over aggregates", countMax: countMax)
        {
            guard isFree(entry, scope),
                let metric = expression(entry.value, wanted: .number, scope)
            else { continue }
            scope.declareMetric(entry.key, metric)
        }
    }

    /// Whether nothing else has the name of a metric.
    private static func isFree(_ entry: Node.Entry, _ scope: Scope) -> Bool {
        let reading = scope.reading
        guard reading.isName(entry.key, at: entry.keyPlace) else { return false }
        guard !scope.columns.contains(where: { $0.name == entry.key }) else {
            reading.say(
                "duplicate-name", at: entry.keyPlace,
                "\(shown(entry.key)) is a column already; a metric is published beside it",
                expected: "another name", suggestion: "`\(entry.key)_value`")
            return false
        }
        return true
    }

    /// The metric that `node` holds; `nil` after saying why it is none.
    static func expression(
        _ node: Node, wanted: ExpressionType, _ scope: Scope
    ) -> MetricExpression? {
        guard let metric = ExpressionReader.metric(node, scope.metricScope, scope.reading) else {
            return nil
        }
        guard metric.type == wanted || metric.type == nil else {
            sayWrongType(node, metric, wanted, scope.reading)
            return nil
        }
        // What is always null is no condition and no number.
        guard metric.type != nil else {
            scope.reading.say(
                "always-null", at: node.place, "this is always null", expected: "an aggregate",
                suggestion: nil)
            return nil
        }
        if let later = metric.aggregates.first(where: { $0.baseline != nil }) {
            scope.reading.say(
                "later", at: node.place,
                "aggregates beside a baseline (`\(later.baseline ?? "")`) come in a later version",
                expected: "aggregates of the window", suggestion: "a drift monitor")
            return nil
        }
        return metric
    }

    private static func sayWrongType(
        _ node: Node, _ metric: MetricExpression, _ wanted: ExpressionType, _ reading: Reading
    ) {
        let found = metric.type?.article ?? "null"
        if wanted == .boolean {
            reading.say(
                "not-a-condition", at: node.place, "this is \(found)", expected: "true or false",
                suggestion: "a comparison, `\(node.text ?? "") > 0.1`")
        } else {
            reading.say(
                "not-a-number", at: node.place, "this is \(found)", expected: "a number",
                suggestion: metric.type == .boolean ? "a monitor with `when`" : nil)
        }
    }

    // MARK: Columns of aggregates

    /// Finds or makes the column of each aggregate, once it is known what is kept of the others.
    static func place(_ scope: inout Scope) -> [MetricPlan] {
        scope.metrics.declared.map { declared in
            let name = scope.columns[declared.column].name
            return MetricPlan(
                column: declared.column, metric: declared.metric,
                inputs: declared.metric.aggregates.map {
                    MetricColumns.place($0, of: "metrics.\(name)", &scope)
                })
        }
    }
}

/// The metrics of a topology, while it is read.
struct Metrics {
    /// In the order in which they were read.
    fileprivate(set) var declared: [(column: Int, metric: MetricExpression)] = []
}

extension Scope {
    /// Adds a metric, and the column that it is published as.
    ///
    /// - Returns: the place of the column.
    @discardableResult
    mutating func declareMetric(_ name: String, _ metric: MetricExpression) -> Int {
        var column = ColumnPlan(
            name: name, role: .metric, type: metric.type == .boolean ? .boolean : .number, path: [])
        column.isRead = false
        add([column])
        metrics.declared.append((columns.count - 1, metric))
        return columns.count - 1
    }

    /// What expressions over aggregates may name.
    var metricScope: MetricScope {
        // Columns keep their places: those of metrics are no columns of rows.
        var names = columns.map(\.asExpressionColumn)
        for (column, _) in metrics.declared { names[column].name = "" }
        var scope = MetricScope(
            columns: names,
            dimensions: Array(Set(segments.plans.flatMap { $0.dimensions.map(\.name) })).sorted(),
            baselines: baselines.plans.prefix(baselines.declaredCount).map(\.name),
            tests: TwoSample.all.map { $0.spec.name })
        for (column, metric) in metrics.declared {
            scope.metrics.append((name: columns[column].name, metric: metric))
        }
        return scope
    }
}
