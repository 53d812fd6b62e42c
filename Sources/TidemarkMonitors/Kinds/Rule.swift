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

    private struct Watch {
        var monitor: Int
        var rule: ShareRule
    }

    private let plan: Plan
    /// By segment, by window length, by column.
    private let watching: [[[[Watch]]]]

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        let stream = plan.stream
        let rules = stream.monitors.indices.filter { stream.monitors[$0].kind == Self.spec.name }
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map { column in
                    rules.compactMap { index in
                        let monitor = stream.monitors[index]
                        guard monitor.segments.contains(segment), monitor.windows.contains(size),
                            monitor.columns.contains(column)
                        else { return nil }
                        return Watch(
                            monitor: index,
                            rule: ShareRule(
                                most: Self.most(of: monitor), level: nil, ignoreBelow: 0,
                                rowCountMin: UInt64(max(0, monitor.minRows))))
                    }
                }
            }
        }
    }

    /// The share of rows that may break the rule.
    private static func most(of monitor: MonitorPlan) -> Double {
        monitor.settings.values.first { $0.name == "broken" }?.value.asNumber ?? 0
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        column.map { !watching[segment][size][$0].isEmpty } ?? false
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard let column = window.column, !window.binnings.isEmpty else { return }
        let cells = unsafe window.cells(0)
        let now = ShareCount(
            Int64(unsafe cells[Self.brokenCell]), of: Int64(window.valueCount(0)))
        for watch in watching[window.segment][window.closing.size][column] {
            let monitor = plan.stream.monitors[watch.monitor]
            let most = Self.most(of: monitor)
            var finding = watch.rule.judge(now, nil)
            if most > 0, finding.verdict == .excess {
                // Of no row at all one is too many; of a share chance has its part.
                finding.p = shareAboveP(now, most: most)
                if let level = monitor.level, let p = finding.p, p > level { finding.verdict = .ok }
            }
            guard monitor.alerts else { continue }
            let verdict = VerdictRecord(
                monitor: monitor.name, baseline: "", p: finding.p,
                level: most > 0 ? monitor.level : nil, effect: finding.effect, ignoreBelow: most,
                verdict: finding.verdict)
            record.verdicts.append(verdict)
            let effect = finding.effect ?? 0
            let isNear = effect > 0 && effect >= most * monitor.clearBelow
            alerts.take(
                finding.verdict, isNear: isNear, of: watch.monitor, window
            ) { saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: Self.spec.name, threshold: most,
                    summary: summary(saying.transition, monitor, record, now, most))
                alert.value = finding.effect
                alert.p = finding.p
                alert.n = Int64(now.total)
                return alert
            }
        }
    }

    /// One sentence for a person; the topology may have words of its own.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ now: ShareCount, _ most: Double
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        if let template = monitor.summary {
            return filled(
                template,
                [
                    ("{column}", record.column), ("{group}", group),
                    ("{value}", shortText(now.share)), ("{threshold}", shortText(most)),
                    ("{baseline}", ""),
                ])
        }
        let what = "\(now.count) of \(counted(Int64(now.total), "row")) of \(group)"
        return transition == .firing
            ? "\(monitor.name): \(what) break the rule, a share of \(shortText(now.share)) over "
                + shortText(most)
            : "\(monitor.name): \(what) break the rule, as few as may be again"
    }
}
