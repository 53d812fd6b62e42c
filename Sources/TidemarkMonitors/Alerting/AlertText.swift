import TidemarkAlerts
package import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkKernels
package import TidemarkRecords

extension AlertIdentity {
    /// Ids made with MurmurHash3.
    static let murmur = AlertIdentity { bytes in
        let hash = murmur3(bytes)
        return (hash.low, hash.high)
    }
}

extension AlertRecord {
    /// The record of a topic: its key is the alert's id.
    package func output(to topic: String) -> OutputRecord {
        OutputRecord(topic: topic, key: Array(id.utf8), value: encoded(), headers: headers)
    }
}

/// What the alerts of all monitors of groups have in common.
struct AlertText {
    private let plan: Plan
    private let identity = AlertIdentity.murmur

    init(plan: Plan) { self.plan = plan }

    /// The record of an event, without its evidence.
    func record(
        _ action: AlertSaying, _ monitor: MonitorPlan,
        _ record: AggregateRecord, _ closing: WindowClosing, test: String, threshold: Double,
        summary: String
    ) -> AlertRecord {
        let id = identity.alertID(
            monitor: "\(monitor.name)/\(record.operatorName)",
            group: String(decoding: record.group.part, as: UTF8.self), column: record.column,
            openingStartMs: action.event.openingStartMs,
            openingEndMs: action.event.openingStartMs + closing.window.lengthMs)
        var alert = AlertRecord(
            id: id,
            eventId: identity.eventID(
                alert: id, transition: action.transition.rawValue, sequence: action.event.sequence),
            transition: action.transition, topology: plan.name, revision: plan.revision,
            monitor: monitor.name, severity: monitor.severity.rawValue, summary: summary,
            operatorName: record.operatorName, group: record.group, column: record.column,
            test: test, threshold: threshold, window: closing.window,
            openedMs: action.event.openingStartMs, firstSeenMs: action.event.firstSeenMs,
            backfill: closing.backfill, n: 0, nBaseline: 0, baseline: "")
        alert.mutedBy = action.mute?.name
        alert.reason = action.reason
        alert.level = monitor.level
        alert.owner = plan.owner
        alert.labels = plan.labels
        alert.runbook = monitor.runbook
        alert.description = monitor.description ?? plan.description
        return alert
    }
}

extension AlertText {
    /// The resolution of an alert that had no verdict for long; nil if its key is of no group.
    ///
    /// `unjudged`: see `KindSpec`.
    func expired(
        _ series: AlertSeries, _ saying: AlertSaying, _ closing: WindowClosing,
        unjudged: (MonitorPlan) -> (test: String, threshold: Double)
    ) -> AlertRecord? {
        let monitor = plan.stream.monitors[series.monitor]
        let segment = plan.stream.segments[series.segment]
        guard
            let group = GroupValues(part: series.group, names: segment.dimensions.map(\.name))
        else { return nil }
        let column = series.column.map { plan.stream.columns[$0] }
        let record = AggregateRecord(
            topology: plan.name, revision: plan.revision, operatorName: segment.name,
            group: group, column: column?.name ?? "", role: column?.role.rawValue ?? "",
            isNumeric: column?.type.isNumeric ?? false, window: closing.window, rev: closing.rev,
            complete: closing.complete, backfill: closing.backfill)
        let what = column.map { "\($0.name) of " } ?? "rows of "
        let name = String(decoding: series.group, as: UTF8.self)
        let (test, threshold) = unjudged(monitor)
        return self.record(
            saying, monitor, record, closing, test: test, threshold: threshold,
            summary: "\(what)\(name): no verdict for \(lengthText(monitor.resolveAfterMs)), the"
                + " group is no longer expected")
    }
}

/// A template with its words filled in.
func filled(_ template: String, _ words: [(name: String, word: String)]) -> String {
    words.reduce(template) { text, word in
        text.split(separator: word.name, omittingEmptySubsequences: false)
            .joined(separator: word.word)
    }
}

/// A number with at most four digits after the point.
func shortText(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
