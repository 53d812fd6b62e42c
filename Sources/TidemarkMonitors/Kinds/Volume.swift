import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkRecords

/// Judges how many rows a group has in a window, or what an aggregate of them comes to, by a bound or beside the
/// windows before it.
///
/// The verdicts stand in a record of the group as a whole. A group that is known (it had rows, no
/// longer ago than it takes to forget it) and has none in a window has 0; but not where groups beyond
/// the segment's limit were merged: it may be among them. An aggregate is judged as a metric is, in the windows in which
/// the group has rows.
struct Volume: Monitor {
    static let spec = KindSpec(name: "volume") { ("volume", $0.ignoreBelow ?? 0) }

    private let plan: Plan
    private let watching: MonitorReach
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        overridden = OverriddenMonitors(plan)
        watching = MonitorReach(plan.stream, kind: Self.spec.name)
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !watching.monitors(segment: segment, size: size, column: column).isEmpty
    }

    /// A group that is known and has no row has 0 of them; where a bound says how many there must be, it is
    /// judged before it has a baseline.
    func absentees(segment: Int, size: Int) -> Absentees? {
        let monitors = watching.monitors(segment: segment, size: size, column: nil).map {
            plan.stream.monitors[$0]
        }
        guard !monitors.isEmpty else { return nil }
        return Absentees(
            baselines: Set(monitors.map(\.baseline)).sorted(),
            needsNoBaseline: monitors.contains { $0.volume.below != nil })
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        let rows = window.rows.total
        let value = window.column == nil ? Double(rows) : record.metric?.value
        for index in watching.monitors(of: window) {
            let monitor = overridden.plan(index, column: window.column, part: window.part)
            guard let reference = window.references[monitor.baseline], !reference.isItself else {
                continue
            }
            let judgement = judge(value, window, monitor.volume, monitor, reference)
            guard monitor.isJudged else { continue }
            record.verdicts.append(judgement.record)
            alerts.take(
                judgement.record.verdict, isNear: judgement.isNear, of: index, window
            ) { saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: "volume",
                    threshold: judgement.threshold,
                    summary: summary(saying.transition, record, monitor, judgement))
                let unit = window.column == nil ? " rows" : ""
                alert.value = value
                alert.isAbove = judgement.isAbove
                (alert.effect, alert.effectBound) = (
                    judgement.record.effect, judgement.record.ignoreBelow
                )
                alert.usual = judgement.record.expected.map { plainNumber($0) + unit }
                alert.now = window.column == nil ? "\(rows) rows" : value.map { plainNumber($0) }
                alert.p = judgement.record.p
                alert.n = rows
                alert.nBaseline = monitor.volume.testCount > 0 ? reference.progress.rows : 0
                alert.baseline = judgement.record.baseline
                return alert
            }
        }
    }

    private struct Judgement {
        var record: VerdictRecord
        /// See `AlertDesk.take`.
        var isNear = false
        var threshold: Double
        var isAbove = false
    }

    private func judge(
        _ value: Double?, _ window: borrowing WindowEvidence, _ rule: VolumeRule,
        _ monitor: MonitorPlan, _ reference: LearnedReference
    ) -> Judgement {
        var record = VerdictRecord(
            monitor: monitor.name, baseline: "", p: nil, level: nil, effect: nil, ignoreBelow: nil,
            verdict: .ok)
        // Bounds first: they need no baseline, and spend no budget.
        if let below = rule.below, let value, value < Double(below) {
            record.verdict = .drop
            return Judgement(record: record, threshold: Double(below))
        }
        if let above = rule.above, let value, value > Double(above) {
            record.verdict = .rise
            return Judgement(record: record, threshold: Double(above), isAbove: true)
        }
        let bound = Double(rule.below ?? rule.above ?? 0)
        // Nothing is neither few nor many.
        if value == nil { record.verdict = .tooFew }
        guard rule.testCount > 0 else {
            return Judgement(record: record, threshold: bound, isAbove: rule.below == nil)
        }
        record.baseline = plan.stream.baselines[monitor.baseline].label
        record.level = monitor.level
        record.ignoreBelow = rule.drop ?? rule.rise
        guard reference.isInForce else {
            record.verdict = .learning
            record.learned = reference.progress
            return Judgement(record: record, threshold: bound)
        }
        guard let value, let result = result(value, window, monitor, reference) else {
            record.verdict = .tooFew
            return Judgement(record: record, threshold: bound)
        }
        return judge(result, rule, monitor, record)
    }

    /// The window beside those that were learned; `nil`: they are too few to say.
    private func result(
        _ value: Double, _ window: borrowing WindowEvidence, _ monitor: MonitorPlan,
        _ reference: LearnedReference
    ) -> VolumeResult? {
        if let column = window.column {
            return amountResult(value, of: reference.values[column] ?? [])
        }
        return volumeResult(
            rows: window.rows.total,
            of: VolumeReference(
                windows: reference.progress.windows, rows: reference.progress.rows,
                squares: reference.squares),
            takesOne: plan.stream.baselines[monitor.baseline].learning?.span == .sameTime)
    }

    /// Judges what there is beside what was expected.
    private func judge(
        _ result: VolumeResult, _ rule: VolumeRule, _ monitor: MonitorPlan, _ record: VerdictRecord
    ) -> Judgement {
        var record = record
        // The side on which they lie, where that one is watched.
        let isAbove = rule.drop == nil || (result.change > 0 && rule.rise != nil)
        let share = (isAbove ? rule.rise : rule.drop) ?? 0
        let p = isAbove ? result.pRise : result.pDrop
        let effect = isAbove ? result.change : -result.change
        record.expected = result.expected
        record.p = p
        record.effect = effect
        record.ignoreBelow = share
        let isSignificant = monitor.level.map { p <= $0 } ?? true
        if isSignificant, effect >= share { record.verdict = isAbove ? .rise : .drop }
        // Windows without rows are learned, and make the next one less of a surprise: chance is what an
        // alert begins with, size what it ends with.
        return Judgement(
            record: record, isNear: effect >= share * monitor.clearBelow,
            threshold: result.expected
                * (isAbove == (result.expected >= 0) ? 1 + share : 1 - share),
            isAbove: isAbove)
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ record: AggregateRecord, _ monitor: MonitorPlan,
        _ judgement: Judgement
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let threshold = shortText(judgement.threshold)
        let verb = monitor.columns.isEmpty ? "were" : "was"
        let expected = judgement.record.expected.map { ", \(shortText($0)) \(verb) expected" } ?? ""
        let found =
            monitor.columns.isEmpty
            ? "\(group) has \(record.rows.total) rows in a window"
            : "\(record.column) of \(group) is \(record.metric?.value.map { plainNumber($0) } ?? "-")"
        return transition == .firing
            ? "\(found), \(judgement.isAbove ? "over" : "under") \(threshold)\(expected)"
            : "\(found), as it should \(monitor.columns.isEmpty ? "" : "be ")again"
    }
}
