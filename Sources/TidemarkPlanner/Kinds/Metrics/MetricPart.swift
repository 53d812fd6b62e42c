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
            scope.declareMetric(entry.key, metric, at: entry.value.place)
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

    // MARK: Beside baselines

    /// Whether a baseline keeps what a metric takes; reported where it does not.
    static func canBeHeld(
        _ metric: MetricExpression, to baseline: Int, at place: Place, _ scope: Scope
    ) -> Bool {
        let plan = scope.baselines.plans[baseline]
        let held = metric.over(plan.name).aggregates.filter { $0.baseline == plan.name }
        guard
            let refusal = held.lazy.compactMap({ plan.asMetricBaseline.refusal(of: $0) }).first
        else { return true }
        scope.reading.say(
            "not-kept", at: place, refusal.message, expected: refusal.expected, suggestion: nil)
        return false
    }

    /// Tests of columns that metrics name, as monitors of drift would have them: each needs the same cells, and the
    /// same checks.
    static func comparisons(_ scope: Scope) -> [ReadMonitor] {
        var found: [ReadMonitor] = []
        for declared in scope.metrics.declared {
            let name = scope.columns[declared.column].name
            for aggregate in declared.metric.aggregates {
                guard case .test(let test) = aggregate.kind,
                    case .column(let column) = aggregate.value,
                    let baseline = baseline(of: aggregate, scope)
                else { continue }
                var plan = AlertKeys.usual
                (plan.name, plan.kind, plan.baseline) = (name, Drift().name, baseline)
                plan.tests = .named([.init(test: test, ignoreBelow: 0)])
                plan.columns = [column]
                plan.segments = scope.segments.plans.indices.filter {
                    scope.segments.plans[$0].columns.contains(column)
                }
                plan.windows = Array(scope.windows.indices)
                found.append(
                    ReadMonitor(
                        plan: plan, place: declared.place, testPlace: declared.place))
            }
        }
        return found
    }

    /// Checks what metrics compare.
    static func check(_ scope: Scope) {
        for var comparison in comparisons(scope) { Drift().check(&comparison, scope) }
        // Each baseline that is added up has to be of windows that can be kept.
        var known: Set<Int> = []
        for declared in scope.metrics.declared {
            for aggregate in declared.metric.aggregates {
                guard let baseline = baseline(of: aggregate, scope),
                    let learning = scope.baselines.plans[baseline].learning,
                    known.insert(baseline).inserted
                else { continue }
                var plan = AlertKeys.usual
                plan.name = scope.columns[declared.column].name
                plan.baseline = baseline
                for window in scope.windows {
                    if Reach.sayIfTooMany(learning, window, of: plan, scope) { break }
                }
            }
        }
    }

    private static func baseline(of aggregate: Aggregate, _ scope: Scope) -> Int? {
        aggregate.baseline.flatMap { name in
            scope.baselines.plans.firstIndex { $0.name == name }
        }
    }

    // MARK: Columns of aggregates

    /// Finds or makes the column of each aggregate, once it is known what is kept of the others.
    static func place(_ scope: inout Scope) -> [MetricPlan] {
        scope.metrics.declared.map { declared in
            let name = scope.columns[declared.column].name
            return MetricPlan(
                column: declared.column, metric: declared.metric,
                inputs: declared.metric.aggregates.map { aggregate in
                    var input = MetricColumns.place(aggregate, of: "metrics.\(name)", &scope)
                    input.baseline = baseline(of: aggregate, scope)
                    return input
                })
        }
    }
}

extension BaselinePlan {
    /// As expressions over aggregates know it.
    fileprivate var asMetricBaseline: MetricBaseline {
        switch origin {
        case .file, .topic: MetricBaseline(name, keeps: .nulls)
        case .learned: MetricBaseline(name, keeps: .sums)
        case .other: MetricBaseline(name, keeps: .everything)
        }
    }
}

/// The metrics of a topology, while it is read.
struct Metrics {
    /// In the order in which they were read.
    fileprivate(set) var declared: [(column: Int, metric: MetricExpression, place: Place)] = []
}

extension Scope {
    /// Adds a metric, and the column that it is published as.
    ///
    /// - `isPublished`: false: monitors alone want it.
    /// - Returns: the place of the column.
    @discardableResult
    mutating func declareMetric(
        _ name: String, _ metric: MetricExpression, at place: Place, isPublished: Bool = true
    ) -> Int {
        var column = ColumnPlan(
            name: name, role: .metric, type: metric.type == .boolean ? .boolean : .number, path: [])
        (column.isRead, column.isUnpublished) = (false, !isPublished)
        add([column])
        metrics.declared.append((columns.count - 1, metric, place))
        // What is compared is watched.
        for aggregate in metric.aggregates {
            if case .test = aggregate.kind, case .column(let column) = aggregate.value {
                named.insert(column)
            }
        }
        return columns.count - 1
    }

    /// What expressions over aggregates may name.
    var metricScope: MetricScope {
        // Columns keep their places: those of metrics are no columns of rows.
        var names = columns.map(\.asExpressionColumn)
        for declared in metrics.declared { names[declared.column].name = "" }
        var scope = MetricScope(
            columns: names,
            dimensions: Array(Set(segments.plans.flatMap { $0.dimensions.map(\.name) })).sorted(),
            baselines: baselines.plans.prefix(baselines.declaredCount).map(\.asMetricBaseline),
            tests: TwoSample.all.map { $0.spec.name })
        scope.weight = weight
        for declared in metrics.declared where !columns[declared.column].isUnpublished {
            scope.metrics.append((name: columns[declared.column].name, metric: declared.metric))
        }
        return scope
    }
}
