import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// What the alerts of watchers have in common: of the source as a whole, or of who is silent.
struct SourceText {
    private let plan: Plan
    private let identity = AlertIdentity.murmur

    init(plan: Plan) { self.plan = plan }

    /// The records of an event: one for each topic.
    ///
    /// `segment`: its name, and the group in it; `nil`: the source as a whole.
    func record(
        _ transition: AlertRecord.Transition, monitor: String, severity: Severity, test: String,
        value: Double, threshold: Double, summary: String, runbook: String?,
        description: String? = nil, openedMs: Int64,
        window: Window, segment: (name: String, group: GroupValues)? = nil,
        mute: AlertMute? = nil
    ) -> [OutputRecord] {
        let group = segment?.group ?? GroupValues(dimensions: [])
        let id = identity.alertID(
            monitor: segment.map { "\(monitor)/\($0.name)" } ?? monitor,
            group: String(decoding: group.part, as: UTF8.self), column: "",
            openingStartMs: openedMs, openingEndMs: openedMs)
        var alert = AlertRecord(
            id: id,
            eventId: identity.eventID(
                alert: id, transition: transition.rawValue,
                sequence: transition == .resolved ? 1 : 0),
            transition: transition, topology: plan.name, revision: plan.revision,
            monitor: monitor, severity: severity.rawValue, summary: summary,
            operatorName: segment?.name ?? "", group: group, column: "", test: test,
            threshold: threshold, window: window, openedMs: openedMs, firstSeenMs: openedMs,
            backfill: mute == .backfill, n: 0, nBaseline: 0, baseline: "")
        alert.value = value
        alert.mutedBy = mute?.name
        alert.owner = plan.owner
        alert.labels = plan.labels
        alert.runbook = runbook
        alert.description = description ?? plan.description
        return alert.records(plan.outputs)
    }
}
