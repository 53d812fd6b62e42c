import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKernels

extension AlertIdentity {
    /// Names by MurmurHash3.
    static let murmur = AlertIdentity { bytes in
        let hash = murmur3(bytes)
        return (hash.low, hash.high)
    }
}

extension AlertRecord {
    /// The record of a topic: its key is the alert's id.
    func output(to topic: String) -> OutputRecord {
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
        alert.level = monitor.level
        alert.owner = plan.owner
        alert.labels = plan.labels
        alert.runbook = monitor.runbook
        alert.description = monitor.description ?? plan.description
        return alert
    }
}

/// A template with its words filled in.
func filled(_ template: String, _ words: [(name: String, word: String)]) -> String {
    words.reduce(template) { text, word in
        text.split(separator: word.name, omittingEmptySubsequences: false)
            .joined(separator: word.word)
    }
}

/// Four digits behind the point at most.
func shortText(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
