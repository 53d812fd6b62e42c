import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A metric outside of its bounds.
struct Metric: MonitorKind {
    let name = "metric"
    private let value = KeySpec(
        "metric", .any("a metric"), required: true,
        "the name of a metric, or an expression over aggregates")
    private let above = Setting(
        "above", \MonitorPlan.metric.above, Self.bound.optional, usual: AlertKeys.usual,
        json: "above", "greater values are too great")
    private let below = Setting(
        "below", \MonitorPlan.metric.below, Self.bound.optional, usual: AlertKeys.usual,
        json: "below", "smaller values are too small")
    private let outside = KeySpec(
        "outside", .list("two numbers: [least, most]"), says: "off", "both bounds at once")
    private let change = Setting(
        "change", \MonitorPlan.metric.change, ValueType.share(max: 100).optional,
        usual: AlertKeys.usual, json: "change",
        "with `against`: more or less than there by this share, and surely so where an error is known"
    )
    private let minRows = Setting(
        "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: AlertKeys.usual,
        json: "min_rows", "fewer rows: `too_few`")
    let part: PartSpec?
    var standsByName: Bool { false }
    var usualSeverity: Severity { .warn }

    /// `0.05` or `5%`.
    private static let bound = ValueType<Double>(
        .any("a number, or a share such as 5%"),
        parse: { text, spec in
            text.hasSuffix("%")
                ? ValueType.share(max: 1e6).read(text, of: spec)
                : ValueType.number(-1e300...1e300).read(text, of: spec)
        }, text: { "\($0)" }, json: { .number($0) })

    init() {
        let own: [any TopologyKey] = [
            value, above, below, outside, Reach.against, change, minRows, Reach.segments,
            Reach.windows, OverridesPart.key([above, below, change, minRows]),
        ]
        part = PartSpec(
            name, path: "monitors.*", "a number outside of bounds, or unlike that of a baseline",
            own + AlertKeys.ofMonitor,
            example:
                "monitors: { declines: { metric: share(decision == 'decline'), outside: [0.5%, 6%] } }"
        )
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        let overridable = [above, below, change, minRows]
        guard
            let (f, common) = start(
                monitor, as: "a metric monitor", [minRows], overridable: overridable, scope)
        else { return }
        var plan = common
        let node = f[value]
        guard let rule = rule(f, entry), let node,
            let column = MetricWatched.column(node, of: entry, wanted: .number, &scope)
        else { return }
        plan.metric = rule
        plan.columns = [column]
        plan.needsCells = false
        if rule.change != nil {
            guard let baseline = Reach.baseline(f, of: entry, learns: true, &scope),
                let usual = usual(of: column, in: baseline, node, &scope)
            else { return }
            (plan.baseline, plan.metric.usual) = (baseline, usual)
        }
        found.judges.append(ReadMonitor(plan: plan, place: node.place, testPlace: node.place))
    }

    /// The place among the metrics of what a metric is in a baseline; `nil` after saying why that can't be had.
    private func usual(
        of column: Int, in baseline: Int, _ node: Node, _ scope: inout Scope
    ) -> Int? {
        guard let metric = scope.metrics.declared.first(where: { $0.column == column })?.metric,
            MetricPart.canBeHeld(metric, to: baseline, at: node.place, scope)
        else { return nil }
        let plan = scope.baselines.plans[baseline]
        let name = "\(scope.columns[column].name) over \(plan.name)"
        if let known = scope.metrics.declared.firstIndex(where: {
            scope.columns[$0.column].name == name
        }) {
            return known
        }
        scope.declareMetric(name, metric.over(plan.name), at: node.place, isPublished: false)
        return scope.metrics.declared.count - 1
    }

    /// The bounds; `nil` after reporting what is wrong with them.
    private func rule(_ f: Fields, _ entry: Node.Entry) -> MetricRule? {
        var plan = AlertKeys.usual
        f.read([above, below, change], into: &plan)
        var rule = plan.metric
        var place = f[below]?.place ?? f[above]?.place ?? entry.keyPlace
        let both = f[outside]
        if let node = f[Reach.against], rule.change == nil {
            f.reading.say(
                "misplaced-key", at: node.place, "`against` has no effect without `change`",
                expected: "`change` beside it", suggestion: "`change: 5%`")
            return nil
        }
        if let node = both {
            place = node.place
            let numbers = f.reading.list(node, what: "two numbers", countMax: 2).compactMap {
                f.reading.scalar($0, Key("outside", Self.bound, usual: 0, ""))
            }
            guard numbers.count == 2, rule.above == nil, rule.below == nil else {
                f.reading.say(
                    "bad-bounds", at: node.place,
                    numbers.count == 2
                        ? "`outside` and `above` or `below` say the same twice"
                        : "`outside` takes the least and the most that are right",
                    expected: "two numbers, alone", suggestion: "`outside: [0.5%, 6%]`")
                return nil
            }
            (rule.below, rule.above) = (numbers[0], numbers[1])
        }
        if rule == MetricRule() {
            f.reading.say(
                "metric-without-bound", at: entry.keyPlace,
                "\(shown(entry.key)) does not say what is too great or too small",
                expected: "one of above, below, outside, or against with change",
                suggestion: "`above: 5%`")
            return nil
        }
        if let above = rule.above, let below = rule.below, below > above {
            f.reading.say(
                "out-of-limits", at: place, "everything is outside of \(below) to \(above)",
                expected: "the smaller number first", suggestion: "`[\(above), \(below)]`")
            return nil
        }
        return rule
    }

    func check(_ read: inout ReadMonitor, _ scope: Scope) {
        guard compares(read.plan) else { return }
        let baseline = scope.baselines.plans[read.plan.baseline]
        if let learning = baseline.learning {
            for window in read.plan.windows {
                if Reach.sayIfTooMany(learning, scope.windows[window], of: read.plan, scope) {
                    return
                }
            }
        }
        if let other = baseline.other { Reach.keepSegments(of: other, &read, scope) }
    }

    /// Bounds cost no budget.
    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        compares(plan) ? 1 : 0
    }

    func compares(_ plan: MonitorPlan) -> Bool { plan.metric.change != nil }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        let bounds = [("below", plan.metric.below), ("above", plan.metric.above)].compactMap {
            name, bound in bound.map { "\(name) \($0)" }
        }
        let change = plan.metric.change.map { ["change \(shareText($0))"] } ?? []
        return MonitorCells(
            test: name, columns: nil, ignored: (bounds + change).joined(separator: " "))
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let beside: [Fact] =
            compares(plan)
            ? [("against", .text(stream.baselines[plan.baseline].name))]
                + [change.fact(plan)].compactMap(\.self)
            : []
        return [("metric", .text(stream.columnNames(plan.columns)))]
            + [above.fact(plan), below.fact(plan)].compactMap(\.self) + beside
            + [minRows.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = name
        identity.effects = [plan.metric.above, plan.metric.below, plan.metric.change].map {
            $0?.canonicalText ?? "off"
        }
        .joined(separator: ",")
        return identity
    }
}

/// The metric that a monitor watches: one that is declared, or one of its own.
enum MetricWatched {
    /// The place of its column; `nil` after reporting what is wrong.
    static func column(
        _ node: Node, of entry: Node.Entry, wanted: ExpressionType, _ scope: inout Scope
    ) -> Int? {
        // Of a monitor that compares with several baselines the second finds what the first has made.
        if let text = node.text,
            let known = scope.metrics.declared.first(where: {
                (scope.columns[$0.column].name == text || $0.place == node.place)
                    && $0.metric.type == wanted && !scope.columns[$0.column].isUnpublished
            })
        {
            return known.column
        }
        guard !scope.columns.contains(where: { $0.name == entry.key }) else {
            scope.reading.say(
                "duplicate-name", at: entry.keyPlace,
                "\(shown(entry.key)) is a column; what this monitor watches is published under its name",
                expected: "another name", suggestion: "`\(entry.key)-bounds`")
            return nil
        }
        return MetricPart.expression(node, wanted: wanted, scope).map {
            scope.declareMetric(entry.key, $0, at: node.place)
        }
    }
}
