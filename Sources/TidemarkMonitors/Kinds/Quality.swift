import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Quality: more rows than allowed lack a value, or have a category that the baseline does not know.
struct Quality: Monitor {
    static let spec = KindSpec(name: "quality") { monitor in
        (check(of: monitor)?.rawValue ?? "", most(of: monitor) ?? monitor.ignoreBelow ?? 0)
    }

    /// What a share is taken of.
    private enum Check: String {
        /// Rows that say null or lack the field, of all rows.
        case null
        /// Values outside of those that the baseline keeps, of all values.
        ///
        /// A baseline keeps the most frequent ones, and what share the others have: it is that share which
        /// must not grow.
        case unseen
    }

    private struct Watch {
        var monitor: Int
        var check: Check
        var rule: ShareRule
    }

    private let plan: Plan
    /// By segment, by window length, by column.
    private let watching: [[[[Watch]]]]

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        let stream = plan.stream
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map { column in
                    stream.monitors.indices.compactMap { index in
                        let monitor = stream.monitors[index]
                        guard monitor.kind == Self.spec.name, let check = Self.check(of: monitor),
                            monitor.segments.contains(segment), monitor.windows.contains(size),
                            monitor.columns.contains(column)
                        else { return nil }
                        return Watch(
                            monitor: index, check: check,
                            rule: ShareRule(
                                most: Self.most(of: monitor), level: monitor.level,
                                ignoreBelow: monitor.ignoreBelow ?? 0,
                                rowCountMin: UInt64(max(0, monitor.minRows))))
                    }
                }
            }
        }
    }

    private static func check(of monitor: MonitorPlan) -> Check? {
        monitor.settings.values.first { $0.name == "check" }?.value.asText
            .flatMap(Check.init(rawValue:))
    }

    /// The share that is allowed; `nil`: that of the baseline.
    private static func most(of monitor: MonitorPlan) -> Double? {
        monitor.settings.values.first { $0.name == "most" }?.value.asNumber
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        column.map { !watching[segment][size][$0].isEmpty } ?? false
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard let column = window.column else { return }
        for watch in watching[window.segment][window.closing.size][column] {
            let monitor = plan.stream.monitors[watch.monitor]
            let (now, then) = shares(watch.check, monitor.baseline, window)
            let finding = watch.rule.judge(now, then)
            guard monitor.alerts else { continue }
            var verdict = VerdictRecord(
                monitor: monitor.name, baseline: label(of: monitor) ?? "", p: finding.p,
                level: watch.rule.most == nil ? monitor.level : nil, effect: finding.effect,
                ignoreBelow: watch.rule.bound, verdict: finding.verdict)
            if then == nil, watch.rule.most == nil || watch.check == .unseen {
                verdict.verdict = .noBaseline
                (verdict.p, verdict.effect) = (nil, nil)
            }
            record.verdicts.append(verdict)
            let isNear = (finding.effect ?? 0) >= watch.rule.bound * monitor.clearBelow
            alerts.take(
                verdict.verdict, isNear: isNear, of: watch.monitor, window
            ) { saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: watch.check.rawValue,
                    threshold: watch.rule.bound,
                    summary: summary(saying.transition, monitor, record, watch, now))
                alert.value = finding.effect
                alert.p = finding.p
                alert.n = Int64(now?.total ?? 0)
                alert.nBaseline = Int64(then?.total ?? 0)
                alert.baseline = verdict.baseline
                return alert
            }
        }
    }

    private func label(of monitor: MonitorPlan) -> String? {
        plan.stream.baselines.indices.contains(monitor.baseline)
            ? plan.stream.baselines[monitor.baseline].label : nil
    }

    /// The share in the window and that in the baseline; `nil`: it is not known.
    private func shares(
        _ check: Check, _ baseline: Int, _ window: borrowing WindowEvidence
    ) -> (now: ShareCount?, then: ShareCount?) {
        let binning = window.binnings.firstIndex { $0.baseline == baseline }
        let entry = binning.flatMap { window.binnings[$0].entry }
        switch check {
        case .null:
            let rows = window.rows
            return (
                ShareCount(rows.null + rows.missing, of: rows.total),
                entry.map { ShareCount($0.nullCount, of: $0.rowCount + $0.nullCount) }
            )
        case .unseen:
            guard let binning, case .categorical(_, _, let other)? = entry?.shape else {
                return (nil, nil)
            }
            let cells = unsafe window.cells(binning)
            let unseen = unsafe cells.last ?? 0
            return (
                ShareCount(Int64(unseen), of: Int64(window.valueCount(binning))),
                ShareCount(other, of: entry?.rowCount ?? 0)
            )
        }
    }

    /// One sentence for a person; the topology may have words of its own.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ watch: Watch, _ now: ShareCount?
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let share = shortText(now?.share ?? 0)
        let threshold = shortText(watch.rule.bound)
        if let template = monitor.summary {
            return filled(
                template,
                [
                    ("{column}", record.column), ("{group}", group), ("{value}", share),
                    ("{threshold}", threshold), ("{baseline}", label(of: monitor) ?? ""),
                ])
        }
        let what =
            switch watch.check {
            case .null: "of the rows have no value"
            case .unseen: "of the values are not known to the baseline"
            }
        let bound =
            watch.rule.most == nil
            ? "more than in the baseline by \(threshold)" : "over \(threshold)"
        return "\(record.column) of \(group): a share of \(share) \(what)"
            + (transition == .firing ? ", \(bound)" : ", as it should be again")
    }
}
