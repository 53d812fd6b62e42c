import TidemarkAlerts
package import TidemarkCore
package import TidemarkDataflow
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
    /// The records of topics, that of alerts and those of the destinations that its route has; their key is the
    /// alert's id.
    ///
    /// An alert that is muted goes to no destination: nobody is to be told.
    package func records(_ outputs: OutputsPlan) -> [OutputRecord] {
        var alert = self
        alert.routes = mutedBy == nil ? destinations(outputs) : []
        let (key, value, headers) = (Array(id.utf8), alert.encoded(), alert.headers)
        let topics = alert.routes.compactMap { name in
            outputs.destinations.first { $0.name == name }?.topic
        }
        return ([outputs.alerts] + topics).map {
            OutputRecord(topic: $0, key: key, value: value, headers: headers)
        }
    }

    /// Those of the first route that takes it.
    private func destinations(_ outputs: OutputsPlan) -> [String] {
        outputs.routes.first { route in
            route.takes(monitor: monitor, severity: severity)
                && route.takes { name in
                    group.dimensions.first { $0.name == name }?.value.map {
                        String(decoding: $0, as: UTF8.self)
                    }
                }
        }?.to ?? []
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
    /// The id of an alert that fires already.
    func id(of series: AlertSeries, openingStartMs: Int64, _ closing: WindowClosing) -> String {
        let monitor = plan.stream.monitors[series.monitor].name
        return identity.alertID(
            monitor: "\(monitor)/\(plan.stream.segments[series.segment].name)",
            group: String(decoding: series.group, as: UTF8.self),
            column: series.column.map { plan.stream.columns[$0].name } ?? "",
            openingStartMs: openingStartMs,
            openingEndMs: openingStartMs + closing.window.lengthMs)
    }

    /// Fills the topology's own text in, once all is known of the alert.
    func finish(_ alert: inout AlertRecord, _ monitor: MonitorPlan) {
        guard let template = monitor.summary else { return }
        let baseline =
            plan.stream.baselines.indices.contains(monitor.baseline)
            ? plan.stream.baselines[monitor.baseline].name : ""
        alert.summary = filled(
            template,
            [
                ("{column}", alert.column),
                ("{group}", String(decoding: alert.group.part, as: UTF8.self)),
                ("{value}", alert.value.map { plainNumber($0) } ?? ""),
                ("{effect}", (alert.effect ?? alert.value).map { plainNumber($0) } ?? ""),
                ("{threshold}", plainNumber(alert.threshold)), ("{baseline}", baseline),
                ("{usual}", alert.usual ?? ""), ("{now}", alert.now ?? ""),
                ("{changes}", Self.text(alert.changes)), ("{monitor}", alert.monitor),
                ("{severity}", alert.severity),
            ])
    }

    /// `0.6 to 0.65 2% → 14%, 0.3 to 0.35 12% → 1%`: the first three.
    static func text(_ changes: [CellChange]) -> String {
        changes.prefix(3).map {
            "\($0.cell) \(percentText($0.baseline)) → \(percentText($0.current))"
        }.joined(separator: ", ")
    }

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
