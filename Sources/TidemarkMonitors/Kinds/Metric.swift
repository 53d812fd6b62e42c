import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Holds a metric to bounds: they are fixed, need no baseline, and spend no budget of false alerts.
struct Metric: Monitor {
    static let spec = KindSpec(name: "metric") {
        ("metric", $0.metric.above ?? $0.metric.below ?? 0)
    }

    private let plan: Plan
    private let watching: MetricWatches
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        watching = MetricWatches(plan.stream, kind: Self.spec.name)
        overridden = OverriddenMonitors(plan)
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !watching.monitors(segment: segment, size: size, column: column).isEmpty
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        for index in watching.monitors(
            segment: window.segment, size: window.closing.size, column: window.column)
        {
            let monitor = overridden.plan(index, column: window.column, part: window.part)
            guard monitor.alerts else { continue }
            let rule = monitor.metric
            let value = record.metric?.value
            var verdict = Verdict.tooFew
            if let value, record.rows.total >= monitor.minRows { verdict = rule.verdict(value) }
            record.verdicts.append(
                VerdictRecord(
                    monitor: monitor.name, baseline: "", p: nil, level: nil, effect: value,
                    ignoreBelow: nil, verdict: verdict))
            let isNear = value.map { rule.isNear($0, clearBelow: monitor.clearBelow) } ?? false
            alerts.take(verdict, isNear: isNear, of: index, window) { saying, text in
                let isAbove = value.map { rule.isAbove($0) } ?? false
                let threshold = (isAbove ? rule.above : rule.below) ?? 0
                var alert = text.record(
                    saying, monitor, record, window.closing, test: Self.spec.name,
                    threshold: threshold,
                    summary: summary(saying.transition, record, threshold, isAbove))
                (alert.value, alert.effect) = (value, value)
                alert.isAbove = isAbove
                alert.now = value.map { plainNumber($0) }
                alert.n = record.rows.total
                return alert
            }
        }
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ record: AggregateRecord, _ threshold: Double,
        _ isAbove: Bool
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let value = record.metric?.value.map { plainNumber($0) } ?? "-"
        return transition == .firing
            ? "\(record.column) of \(group) is \(value), \(isAbove ? "over" : "under") "
                + plainNumber(threshold)
            : "\(record.column) of \(group) is \(value), as it should be again"
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

/// Which monitors of a kind watch which metrics.
struct MetricWatches {
    /// By segment, by window length, by column.
    private let watching: [[[[Int]]]]

    init(_ stream: StreamPlan, kind: String) {
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map {
                    stream.monitors(of: kind, segment: segment, size: size, column: $0)
                }
            }
        }
    }

    func monitors(segment: Int, size: Int, column: Int?) -> [Int] {
        column.map { watching[segment][size][$0] } ?? []
    }
}
