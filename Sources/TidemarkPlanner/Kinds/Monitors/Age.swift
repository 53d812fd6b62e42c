import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A group serves for longer than it should: the age of a model.
struct Age: MonitorKind {
    let name = "age"
    var standsByName: Bool { false }
    private static var usual: MonitorPlan {
        var plan = AlertKeys.usual
        plan.settings = Settings([])
        return plan
    }
    private let limit = Setting(
        "age", \MonitorPlan.ageLimitMs, .duration(1000...3660 * dayMs), usual: usual,
        says: "90d", json: "limit_ms", "the longest time that it may serve")
    private let since = Setting(
        "since", \MonitorPlan.ageSinceMs, ValueType<Int64>.time.optional, usual: usual,
        says: "the group's first window with rows", json: "since_ms",
        "when it was trained, or began to serve")
    let part: PartSpec?
    var usualSeverity: Severity { .warn }

    init() {
        let own: [any TopologyKey] = [
            limit, since, Reach.segments, Reach.windows, OverridesPart.key([limit, since]),
            KeySpec.later(
                "min_rows", "", because: "a group of one row serves as well",
                instead: "no key: it is judged in every window with rows"),
            KeySpec.later(
                "against", "", because: "an age is held to its limit", instead: "`since`"),
        ]
        part = PartSpec(
            name, path: "monitors.*",
            "a group that serves for longer than it should: a model's age",
            own + AlertKeys.ofMonitor,
            example: "monitors: { stale: { age: 90d, segments: [by-version], severity: info } }")
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        let own = [limit, since]
        guard var plan = start(monitor, as: "a monitor of age", own, overridable: own, scope)?.plan
        else { return }
        // It keeps when a group began, and no more.
        var learning = LearningPlan(span: .first, lengthMs: secondMs)
        learning.minRows = 0
        plan.baseline = scope.baselines.add(
            BaselinePart.Baseline(
                plan: BaselinePlan(
                    name: scope.baselines.ownName(of: entry.key), learning: learning),
                place: entry.keyPlace))
        found.judges.append(
            ReadMonitor(plan: plan, place: entry.keyPlace, testPlace: entry.keyPlace))
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int { 0 }

    func compares(_ plan: MonitorPlan) -> Bool { false }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        let since = plan.ageSinceMs.map { " since \(timeText($0))" } ?? ""
        return MonitorCells(
            test: name, columns: nil, ignored: durationText(plan.ageLimitMs) + since)
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        [limit, since].compactMap { $0.fact(plan) }
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.data = [Identity.Line("age", plan.name)]
        identity.judged = [Identity.Line("limit", plan.name, plan.ageLimitMs, plan.ageSinceMs)]
        return identity
    }
}
