import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkTelemetry
import TidemarkText

/// A commit log that tells the console and the log of alerts once they are out.
///
/// What is told was committed: an alert that a crash kept back is told by the process that publishes it.
///
/// `@unchecked Sendable`: the coordinator is the only caller, one thread at a time.
final class AnnouncedLog: CommitLog, @unchecked Sendable {
    private let inner: any CommitLog
    private let alertsTopic: String
    private let log: Log
    /// Alerts of one unit that are told one by one: after an outage there may be thousands.
    private static let toldMax = 50

    init(_ inner: any CommitLog, plan: Plan, log: Log) {
        self.inner = inner
        self.log = log
        alertsTopic = plan.outputs.alerts
    }

    var clusterId: String { inner.clusterId }
    var trouble: String? { inner.trouble }
    func check(topics: [String]) throws(ConnectorError) { try inner.check(topics: topics) }
    func takeOver() throws(ConnectorError) { try inner.takeOver() }
    func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] { try inner.committed(partitions) }
    func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) { try inner.restore(take) }
    func close(withinMs: Int64) { inner.close(withinMs: withinMs) }

    func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool {
        guard try inner.commit(unit, waitMs: waitMs) else { return false }
        let alerts = unit.records.filter { $0.topic == alertsTopic }
        for record in alerts.prefix(Self.toldMax) {
            guard let event = record.value.flatMap({ try? AlertRecord(reading: $0) }) else {
                continue
            }
            tell(event)
        }
        if alerts.count > Self.toldMax {
            log.warning(
                "more alerts were published at once", ["count": alerts.count - Self.toldMax])
        }
        return true
    }

    /// On a terminal a line to read, elsewhere a line of the log.
    private func tell(_ event: AlertRecord) {
        let isCalm = event.isResolved || event.mutedBy != nil
        let level = isCalm ? Log.Level.info : .warning
        if Log.isTerminal {
            log.print(event.line, level)
        } else {
            log.log(
                level, "alert",
                [
                    "state": event.transition.rawValue, "severity": event.severity,
                    "monitor": event.monitor,
                    "segment": event.operatorName, "group": event.group.text,
                    "column": event.column,
                    "window_end": timeText(event.window.endMs),
                    "muted": event.mutedBy ?? "no", "summary": event.summary, "id": event.id,
                ])
        }
    }
}
