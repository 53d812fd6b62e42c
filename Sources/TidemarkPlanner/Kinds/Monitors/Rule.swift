import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A condition that rows have to keep.
///
/// What is judged is a column of its own: 1 where the condition is false, 0 where it is true, else null.
struct Rule: MonitorKind {
    let name = "rule"
    var standsByName: Bool { false }
    var usualSeverity: Severity { .warn }
    private let condition = KeySpec(
        "rule", .condition, required: true, "what is true of rows as they should be")
    private let broken = Key(
        "broken", ValueType.share(max: 1), usual: 0,
        "the share of rows for which it may be false; those for which it is null count for neither")
    private let minRows: Setting<MonitorPlan>
    let part: PartSpec?

    init() {
        var usual = AlertKeys.usual
        usual.minRows = 1
        minRows = Setting(
            "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: usual,
            json: "min_rows", "fewer rows for which it is true or false: `too_few`")
        let own: [any TopologyKey] = [
            condition, broken, Reach.segments, Reach.windows, minRows,
            KeySpec.later(
                "against", "", because: "a rule is held to the share that it allows",
                instead: "`metric: share(…)` with `against` and `change`"),
            OverridesPart.key([minRows]),
        ]
        part = PartSpec(
            name, path: "monitors.*", "a condition that rows have to keep",
            own + AlertKeys.ofMonitor,
            example: "monitors: { sane: { rule: score >= 0 and score <= 1, broken: 1% } }")
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        let begun = start(
            monitor, as: "a rule", [minRows], overridable: [minRows], scope,
            usual: { $0.minRows = 1 })
        guard let (f, common) = begun, let node = f[condition], !scope.columns.isEmpty,
            let read = ExpressionReader.condition(
                node, for: "a rule", columns: scope.columns, reading: scope.reading)
        else { return }
        var plan = common
        plan.settings = Settings([("broken", .number(f.value(broken)))])
        var column = ColumnPlan(name: entry.key, role: .rule, type: .number, path: [])
        column.isHidden = true
        column.computation = ColumnPlan.Computation(
            source: "monitors.\(entry.key).rule",
            expression: .call(
                "if", [.isNull(read), .null, .call("if", [read, .number(0), .number(1)])]))
        column.summary.histogram = .edges([-0.5, 0.5, 1.5])
        column.summary.moments = true
        let place = scope.columns.count
        scope.add([column])
        for segment in plan.segments { scope.segments.own.append((segment, place)) }
        plan.columns = [place]
        found.judges.append(
            ReadMonitor(plan: plan, place: node.place, testPlace: node.place))
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        share(of: plan) > 0 ? 1 : 0
    }

    func compares(_ plan: MonitorPlan) -> Bool { false }

    private func share(of plan: MonitorPlan) -> Double {
        plan.settings["broken"]?.asNumber ?? 0
    }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        MonitorCells(test: name, columns: nil, ignored: "broken \(shareText(share(of: plan)))")
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        [("broken", .number(share(of: plan)))] + [minRows.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = name
        identity.effects = share(of: plan).canonicalText
        return identity
    }
}
