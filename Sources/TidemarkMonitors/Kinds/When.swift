import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Fires while a condition over the rows of a window is true; null is no verdict.
struct When: Monitor {
    static let spec = KindSpec(name: "when") { _ in ("when", 0) }

    private let plan: Plan
    private let watching: MonitorReach
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        watching = MonitorReach(plan.stream, kind: Self.spec.name)
        overridden = OverriddenMonitors(plan)
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !watching.monitors(segment: segment, size: size, column: column).isEmpty
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        for index in watching.monitors(of: window) {
            let monitor = overridden.plan(index, column: window.column, part: window.part)
            guard monitor.isJudged else { continue }
            var verdict = Verdict.tooFew
            var learned: LearnedProgress?
            if record.metric?.holds == nil, let pending = window.pending(record, plan.stream) {
                guard let pending else { continue }
                (verdict, learned) = (.learning, pending)
            }
            if let holds = record.metric?.holds, record.rows.total >= monitor.minRows {
                verdict = holds ? .met : .ok
            }
            var said = VerdictRecord(
                monitor: monitor.name, baseline: "", p: nil, level: nil, effect: nil,
                ignoreBelow: nil, verdict: verdict)
            said.learned = learned
            record.verdicts.append(said)
            alerts.take(verdict, isNear: false, of: index, window) { saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: "when", threshold: 0,
                    summary: summary(saying.transition, monitor, record))
                alert.n = record.rows.total
                return alert
            }
        }
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let condition = monitor.settings["when"]?.asText ?? ""
        return transition == .firing
            ? "\(monitor.name) of \(group): \(condition)"
            : "\(monitor.name) of \(group): no longer \(condition)"
    }
}
