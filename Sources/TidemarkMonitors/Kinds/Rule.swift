import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Rules: a condition is false for more rows than it may be.
///
/// The condition is a column of the plan's own: 1 where it is false, 0 where it is true, null where it is null.
/// So its counts are cells of a histogram, which come out the same in any order.
struct Rule: Monitor {
    static let spec = KindSpec(name: "rule") { ("rule", most(of: $0)) }

    /// The cell of rows that break the rule; below it is that of rows that keep it.
    private static let brokenCell = 2

    private let watching: MonitorReach
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        overridden = OverriddenMonitors(plan)
        watching = MonitorReach(plan.stream, kind: Self.spec.name)
    }

    /// The share of rows that may break the rule.
    private static func most(of monitor: MonitorPlan) -> Double {
        monitor.settings["broken"]?.asNumber ?? 0
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !watching.monitors(segment: segment, size: size, column: column).isEmpty
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard let column = window.column, !window.binnings.isEmpty else { return }
        let cells = unsafe window.cells(0)
        let now = ShareCount(
            Int64(unsafe cells[Self.brokenCell]), of: Int64(window.valueCount(0)))
        for index in watching.monitors(of: window) {
            let monitor = overridden.plan(index, column: column, part: window.part)
            guard monitor.isJudged else { continue }
            let most = Self.most(of: monitor)
            let rule = ShareRule(
                most: most, level: monitor.level, ignoreBelow: 0,
                rowCountMin: UInt64(max(0, monitor.minRows)))
            let finding = rule.judge(now, nil)
            record.verdicts.append(
                VerdictRecord(
                    monitor: monitor.name, baseline: "", p: finding.p,
                    level: most > 0 ? monitor.level : nil, effect: finding.effect,
                    ignoreBelow: most, verdict: finding.verdict))
            alerts.take(
                finding.verdict, isNear: rule.isNear(finding, clearBelow: monitor.clearBelow),
                of: index, window
            ) { saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: Self.spec.name, threshold: most,
                    summary: summary(saying.transition, monitor, record, now, most))
                alert.value = finding.effect
                (alert.effect, alert.effectBound) = (finding.effect, most)
                alert.usual = "at most \(percentText(most))"
                alert.now = percentText(now.share)
                alert.p = finding.p
                alert.n = Int64(now.total)
                return alert
            }
        }
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ now: ShareCount, _ most: Double
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let what = "\(now.count) of \(counted(Int64(now.total), "row")) of \(group)"
        return transition == .firing
            ? "\(monitor.name): \(what) break the rule, a share of \(shortText(now.share)) over "
                + shortText(most)
            : "\(monitor.name): \(what) break the rule, as few as may be again"
    }
}
