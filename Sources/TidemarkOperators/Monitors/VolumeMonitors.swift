import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkRecords

/// Judges how many rows a group has in a window, by a bound or beside the windows before it.
///
/// The verdicts stand in a record of the group as a whole. A group that is known (it had rows, no
/// longer ago than it takes to forget it) and has none in a window has 0; but not where groups beyond
/// the segment's limit were merged: it may be among them.
struct VolumeMonitors {
    private let plan: Plan
    private let alertText: AlertText
    /// By segment, by window length: the monitors that watch it.
    private let watching: [[[Int]]]

    init(plan: Plan) {
        self.plan = plan
        alertText = AlertText(plan: plan)
        let stream = plan.stream
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.monitors.indices.filter {
                    stream.monitors[$0].volume != nil
                        && stream.monitors[$0].segments.contains(segment)
                        && stream.monitors[$0].windows.contains(size)
                }
            }
        }
    }

    /// The baselines of the monitors that watch windows of this length.
    func baselines(segment: Int, size: Int) -> [Int] {
        Set(watching[segment][size].map { plan.stream.monitors[$0].baseline }).sorted()
    }

    /// Whether a group without rows is judged there though it has no baseline: by a bound.
    func hasBound(segment: Int, size: Int) -> Bool {
        watching[segment][size].contains { index in
            plan.stream.monitors[index].volume?.below != nil
        }
    }

    /// Judges a group's record of this kind, and adds the verdicts to it.
    ///
    /// - Returns: the alert events that the window brought about.
    func judge(
        _ record: inout AggregateRecord, segment: Int, references: [Int: LearnedReference],
        _ closing: WindowClosing, alerts: inout AlertStates
    ) -> [AlertRecord] {
        var events: [AlertRecord] = []
        for index in watching[segment][closing.size] {
            let monitor = plan.stream.monitors[index]
            guard let rule = monitor.volume, let reference = references[monitor.baseline] else {
                continue
            }
            let judgement = judge(record.rows.total, rule, monitor, reference)
            if monitor.alerts { record.verdicts.append(judgement.record) }
            guard monitor.alerts, let said = judgement.said,
                let action = alerts.observe(
                    AlertSeries(
                        monitor: index, segment: segment, size: closing.size, column: nil,
                        group: record.group.part), said, closing)
            else { continue }
            var alert = alertText.record(
                action, monitor, record, closing, test: "volume", threshold: judgement.threshold,
                summary: summary(action.transition, monitor, record, judgement))
            alert.value = Double(record.rows.total)
            alert.isAbove = judgement.isAbove
            alert.p = judgement.record.p
            alert.n = record.rows.total
            alert.nBaseline = rule.testCount > 0 ? reference.progress.rows : 0
            alert.baseline = judgement.record.baseline
            events.append(alert)
        }
        return events
    }

    private struct Judgement {
        var record: VerdictRecord
        /// `nil`: no verdict.
        var said: AlertVerdict?
        var threshold: Double
        var isAbove: Bool
    }

    private func judge(
        _ rows: Int64, _ rule: VolumeRule, _ monitor: MonitorPlan, _ reference: LearnedReference
    ) -> Judgement {
        var record = VerdictRecord(
            monitor: monitor.name, baseline: "", p: nil, level: nil, effect: nil, ignoreBelow: nil,
            verdict: .ok)
        // Bounds first: they need no baseline, and spend no budget.
        if let below = rule.below, rows < below {
            record.verdict = .drop
            return Judgement(
                record: record, said: .breached, threshold: Double(below), isAbove: false)
        }
        if let above = rule.above, rows > above {
            record.verdict = .rise
            return Judgement(
                record: record, said: .breached, threshold: Double(above), isAbove: true)
        }
        let bound = Double(rule.below ?? rule.above ?? 0)
        guard rule.testCount > 0 else {
            return Judgement(
                record: record, said: .cleared, threshold: bound, isAbove: rule.below == nil)
        }
        record.baseline = plan.stream.baselines[monitor.baseline].label
        record.level = monitor.level
        record.ignoreBelow = rule.drop ?? rule.rise
        guard reference.isInForce else {
            record.verdict = .learning
            record.learned = reference.progress
            return Judgement(record: record, said: nil, threshold: bound, isAbove: false)
        }
        guard
            let result = volumeResult(
                rows: rows,
                of: VolumeReference(
                    windows: reference.progress.windows, rows: reference.progress.rows,
                    squares: reference.squares))
        else {
            record.verdict = .tooFew
            return Judgement(record: record, said: nil, threshold: bound, isAbove: false)
        }
        record.expected = result.expected
        // The side on which it lies, where that one is watched.
        let isAbove = rule.drop == nil || (result.change > 0 && rule.rise != nil)
        let share = (isAbove ? rule.rise : rule.drop) ?? 0
        let p = isAbove ? result.pRise : result.pDrop
        let effect = isAbove ? result.change : -result.change
        record.p = p
        record.effect = effect
        record.ignoreBelow = share
        let isSignificant = monitor.level.map { p <= $0 } ?? true
        let threshold = result.expected * (isAbove ? 1 + share : 1 - share)
        var said = AlertVerdict.cleared
        if isSignificant, effect >= share {
            record.verdict = isAbove ? .rise : .drop
            said = .breached
        } else if effect >= share * monitor.clearBelow {
            // Windows without rows are learned, and make the next one less of a surprise: chance is
            // what an alert begins with, size what it ends with.
            said = .between
        }
        return Judgement(record: record, said: said, threshold: threshold, isAbove: isAbove)
    }

    /// One sentence for a person; the topology may have words of its own.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ judgement: Judgement
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let threshold = shortText(judgement.threshold)
        if let template = monitor.summary {
            return filled(
                template,
                [
                    ("{column}", ""), ("{group}", group), ("{value}", "\(record.rows.total)"),
                    ("{threshold}", threshold),
                    ("{baseline}", plan.stream.baselines[monitor.baseline].name),
                ])
        }
        let expected = judgement.record.expected.map { ", \(shortText($0)) were expected" } ?? ""
        return transition == .firing
            ? "\(group) has \(record.rows.total) rows in a window, \(judgement.isAbove ? "over" : "under") \(threshold)\(expected)"
            : "\(group) has \(record.rows.total) rows in a window, as it should again"
    }
}
