import TidemarkCore
import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// The age of a model: how long a group serves already, by the end of a window in which it has rows.
///
/// A group is as old as its first window with rows, of which the head of a learned baseline knows, or as the topology
/// says. One that had no rows for a week is new when it returns.
struct Age: Monitor {
    static let spec = KindSpec(name: "age") { ("age", Double($0.ageLimitMs) / 1000) }

    private let watching: MonitorReach
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        overridden = OverriddenMonitors(plan)
        watching = MonitorReach(plan.stream, kind: Self.spec.name)
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !watching.monitors(segment: segment, size: size, column: column).isEmpty
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard window.rows.total > 0 else { return }
        let span = window.closing.window
        for index in watching.monitors(of: window) {
            let monitor = overridden.plan(index, column: nil, part: window.part)
            guard monitor.isJudged else { continue }
            let beganMs =
                monitor.ageSinceMs ?? window.references[monitor.baseline]?.beganMs ?? span.startMs
            let ageMs = max(0, span.endMs - beganMs)
            let (age, limit) = (Double(ageMs) / 1000, Double(monitor.ageLimitMs) / 1000)
            let verdict: Verdict = ageMs > monitor.ageLimitMs ? .excess : .ok
            record.verdicts.append(
                VerdictRecord(
                    monitor: monitor.name, baseline: "", p: nil, level: nil, effect: age,
                    ignoreBelow: limit, verdict: verdict))
            alerts.take(verdict, isNear: false, of: index, window) { saying, text in
                let group = String(decoding: record.group.part, as: UTF8.self)
                let since = "\(group) serves since \(timeText(beganMs))"
                var alert = text.record(
                    saying, monitor, record, window.closing, test: Self.spec.name,
                    threshold: limit,
                    summary: saying.transition == .firing
                        ? "\(since), for longer than \(durationText(monitor.ageLimitMs))"
                        : "\(since), as it may")
                alert.value = age
                (alert.effect, alert.effectBound) = (age, limit)
                alert.usual = "at most \(durationText(monitor.ageLimitMs))"
                alert.now = durationText(ageMs)
                alert.n = window.rows.total
                return alert
            }
        }
    }
}
