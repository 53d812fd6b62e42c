import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A condition over the rows of a window.
struct When: MonitorKind {
    let name = "when"
    private let condition = KeySpec(
        "when", .any("a condition over aggregates"), required: true,
        "fires while it is true; null is no verdict")
    private let minRows = Setting(
        "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: AlertKeys.usual,
        json: "min_rows", "fewer rows: `too_few`")
    let part: PartSpec?
    var standsByName: Bool { false }
    var usualSeverity: Severity { .warn }

    init() {
        let own: [any TopologyKey] = [
            condition, minRows, Reach.segments, Reach.windows, OverridesPart.key([minRows]),
            KeySpec.later(
                "against", "", because: "a condition names its baselines itself",
                instead: "`over BASELINE` inside of an aggregate, or `change`"),
        ]
        part = PartSpec(
            name, path: "monitors.*", "a condition over aggregates",
            own + AlertKeys.ofMonitor,
            example:
                "monitors: { bursts: { when: \"count() > 200 and distinct(card_id) / count() < 20%\" } }"
        )
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        guard
            let (f, common) = start(
                monitor, as: "a `when` monitor", [minRows], overridable: [minRows], scope),
            let node = f[condition],
            let column = MetricWatched.column(node, of: entry, wanted: .boolean, &scope)
        else { return }
        var plan = common
        plan.columns = [column]
        plan.settings = Settings([("when", .text(node.text ?? ""))])
        found.judges.append(ReadMonitor(plan: plan, place: node.place, testPlace: node.place))
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int { 0 }
    func compares(_ plan: MonitorPlan) -> Bool { false }

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        MonitorCells(test: name, columns: nil, ignored: "")
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        [("when", plan.settings["when"] ?? .null)]
            + [minRows.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = name
        return identity
    }
}
