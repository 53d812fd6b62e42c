import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Holds a metric to bounds, and to what it is in a baseline.
///
/// Bounds are fixed: they need no baseline, and spend no budget of false alerts. A change has to be surely greater than
/// the share that is allowed, at the level of the budget, where the errors of both numbers are known.
struct Metric: Monitor {
    static let spec = KindSpec(name: "metric") {
        ("metric", $0.metric.change ?? $0.metric.above ?? $0.metric.below ?? 0)
    }

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
            guard monitor.isJudged, let found = finding(monitor, window, record) else { continue }
            record.verdicts.append(found.record)
            alerts.take(found.record.verdict, isNear: found.isNear, of: index, window) {
                saying, text in
                var alert = text.record(
                    saying, monitor, record, window.closing, test: Self.spec.name,
                    threshold: found.threshold,
                    summary: summary(saying.transition, monitor, record, found))
                alert.value = record.metric?.value
                alert.effect = found.record.effect
                alert.effectBound = found.record.ignoreBelow
                alert.isAbove = found.isAbove
                alert.usual = found.record.expected.map { plainNumber($0) }
                alert.now = record.metric?.value.map { plainNumber($0) }
                alert.p = found.record.p
                alert.n = record.rows.total
                alert.baseline = found.record.baseline
                return alert
            }
        }
    }

    private struct Finding {
        var record: VerdictRecord
        /// See `AlertDesk.take`.
        var isNear = false
        var threshold: Double
        var isAbove = false
    }

    /// What a monitor makes of a window; `nil`: it has nothing to say of the group.
    private func finding(
        _ monitor: MonitorPlan, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> Finding? {
        let rule = monitor.metric
        let value = record.metric?.value
        var verdict = VerdictRecord(
            monitor: monitor.name, baseline: "", p: nil, level: nil, effect: value,
            ignoreBelow: nil, verdict: .tooFew)
        let isAbove = value.map { rule.isAbove($0) } ?? false
        var found = Finding(
            record: verdict, threshold: (isAbove ? rule.above : rule.below) ?? 0, isAbove: isAbove)
        if value == nil, let pending = window.pending(record, plan.stream) {
            guard let pending else { return nil }
            (verdict.verdict, verdict.learned) = (.learning, pending)
            found.record = verdict
            return found
        }
        if let value, record.rows.total >= monitor.minRows {
            found.record.verdict = rule.verdict(value)
            found.isNear = rule.isNear(value, clearBelow: monitor.clearBelow)
        }
        // What breaks a bound breaks it whatever is usual.
        guard let most = rule.change, !found.record.verdict.isBreach else { return found }
        return change(most, monitor, window, record, found)
    }

    /// What a monitor makes of a window beside a baseline.
    private func change(
        _ most: Double, _ monitor: MonitorPlan, _ window: borrowing WindowEvidence,
        _ record: AggregateRecord, _ bounded: Finding
    ) -> Finding? {
        let baseline = plan.stream.baselines[monitor.baseline]
        let reference = window.references[monitor.baseline]
        // What others are compared with is not compared with itself.
        if reference?.isItself ?? false { return nil }
        var found = bounded
        found.threshold = most
        found.record.baseline = baseline.label
        (found.record.level, found.record.ignoreBelow) = (monitor.level, most)
        found.record.effect = nil
        found.record.verdict = .tooFew
        if baseline.isOfStream, !(reference?.isInForce ?? false) {
            (found.record.verdict, found.record.learned) = (.learning, reference?.progress)
            return found
        }
        guard let value = record.metric?.value, record.rows.total >= monitor.minRows else {
            return found
        }
        guard let usual = monitor.metric.usual, window.metrics.indices.contains(usual),
            let then = window.metrics[usual].value
        else {
            if !baseline.isOfStream { found.record.verdict = .noBaseline }
            return found
        }
        guard
            let result = changeResult(
                now: Estimate(value, error: record.metric?.standardError),
                then: Estimate(then, error: window.metrics[usual].standardError), most: most)
        else { return found }
        (found.record.expected, found.record.effect, found.record.p) = (
            then, result.change, result.p
        )
        let isSure = result.p.flatMap { p in monitor.level.map { p <= $0 } } ?? true
        found.isAbove = result.change > 0
        found.isNear =
            bounded.isNear || isSure && abs(result.change) >= most * monitor.clearBelow
        found.record.verdict =
            abs(result.change) > most && isSure ? (found.isAbove ? .rise : .drop) : .ok
        return found
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ found: Finding
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        var text =
            "\(record.column) of \(group) is \(record.metric?.value.map { plainNumber($0) } ?? "-")"
        if let change = found.record.effect, let usual = found.record.expected,
            plan.stream.baselines.indices.contains(monitor.baseline)
        {
            text +=
                ", \(percentText(abs(change))) \(found.isAbove ? "more" : "less") than "
                + "\(plainNumber(usual)) in \(plan.stream.baselines[monitor.baseline].name)"
        }
        guard transition == .firing else { return text + ", as it should be again" }
        if found.record.expected == nil {
            text += ", \(found.isAbove ? "over" : "under") \(plainNumber(found.threshold))"
        }
        return text
    }
}

extension WindowEvidence {
    /// Why a metric has no value: a baseline that it is taken of is not whole yet, or (`.some(nil)`) is the group itself;
    /// `nil`: for no such reason.
    func pending(_ record: AggregateRecord, _ stream: StreamPlan) -> LearnedProgress?? {
        guard let metric = stream.metrics.first(where: { $0.column == column }) else { return nil }
        for baseline in metric.inputs.compactMap(\.baseline)
        where stream.baselines[baseline].isOfStream {
            let reference = references[baseline]
            if reference?.isItself ?? false { return .some(nil) }
            if let reference, !reference.isInForce { return reference.progress }
        }
        return nil
    }
}

extension MetricRule {
    fileprivate func verdict(_ value: Double) -> Verdict {
        if let above, value > above { return .rise }
        if let below, value < below { return .drop }
        return .ok
    }

    /// Whether a value is no breach, and still closer to a bound than where an alert ends.
    fileprivate func isNear(_ value: Double, clearBelow: Double) -> Bool {
        if let above, value > above - (1 - clearBelow) * abs(above) { return true }
        if let below, value < below + (1 - clearBelow) * abs(below) { return true }
        return false
    }

    /// Whether the bound next to a value is the upper one.
    fileprivate func isAbove(_ value: Double) -> Bool {
        guard let above else { return false }
        guard let below else { return true }
        return abs(value - above) <= abs(value - below)
    }
}
