import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Freshness monitors of the source as a whole: nothing arrives on it.
///
/// What the wall clock decides is no function of the log, so the transition is entry state: written
/// down with the alert, in one unit of commit, and not made again by the next process.
struct SilenceMonitors {
    private let plan: Plan
    private let text: SilenceText
    /// By monitor: when the last record before the silence arrived, while its alert fires.
    private var firingSinceMs: [Int: Int64] = [:]
    private var dirty: Set<Int> = []
    /// When the minute began after which reading was stopped, while that page is open.
    private(set) var holdSinceMs: Int64?
    private var isHoldDirty = false
    /// No freshness monitor has this key: theirs begin with `silence/`.
    private static let holdKey = Array("bad_rows".utf8)

    init(plan: Plan) {
        self.plan = plan
        text = SilenceText(plan: plan)
    }

    /// The newest arrival before the silences that were said.
    var sinceMs: Int64? { firingSinceMs.values.max() }

    mutating func observe(
        _ arrival: Arrival, emit: (OutputRecord) -> Void
    ) -> (alerts: Int, spoke: Bool) {
        var alerts = 0
        var spoke = false
        for (index, monitor) in plan.stream.freshness.enumerated() where monitor.per == .source {
            if let sinceMs = firingSinceMs[index] {
                guard arrival.lastMs > sinceMs else { continue }
                firingSinceMs[index] = nil
                emit(record(.resolved, monitor, sinceMs: sinceMs, endMs: arrival.lastMs))
            } else {
                guard arrival.nowMs - arrival.lastMs >= monitor.limitMs else { continue }
                firingSinceMs[index] = arrival.lastMs
                emit(
                    record(
                        .noData, monitor, sinceMs: arrival.lastMs,
                        endMs: arrival.lastMs + monitor.limitMs))
                alerts += 1
            }
            dirty.insert(index)
            spoke = true
        }
        return (alerts, spoke)
    }

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        defer {
            dirty = []
            isHoldDirty = false
        }
        var entries: [StateEntry] = []
        if isHoldDirty {
            let value = holdSinceMs.map {
                StateFrame(kind: .silence, epoch: epoch, appliedThroughMs: $0, payload: [])
                    .encoded()
            }
            entries.append(StateEntry(key: Self.holdKey, value: value))
        }
        return entries
            + dirty.map { index in
                let value = firingSinceMs[index].map {
                    StateFrame(kind: .silence, epoch: epoch, appliedThroughMs: $0, payload: [])
                        .encoded()
                }
                return StateEntry(key: key(index), value: value)
            }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        if key == Self.holdKey {
            holdSinceMs = frame.appliedThroughMs
            return .taken
        }
        guard let index = plan.stream.freshness.indices.first(where: { self.key($0) == key }) else {
            return .unusable("no monitor of this topology has it")
        }
        firingSinceMs[index] = frame.appliedThroughMs
        return .taken
    }

    private func key(_ index: Int) -> [UInt8] {
        Array("silence/".utf8) + percentEncoded(Array(plan.stream.freshness[index].name.utf8))
    }

    /// The page of the circuit breaker.
    mutating func hold(_ poison: Poison) -> OutputRecord {
        let openedMs = holdSinceMs ?? poison.startMs
        holdSinceMs = openedMs
        isHoldDirty = true
        return record(
            .firing, poison, openedMs: openedMs,
            summary:
                "\(poison.deadLetterCount) of \(poison.recordCount) records on \(sourceText) were dead"
                + " letters or quarantined in a minute: reading has stopped until the next start")
    }

    /// The end of that page.
    ///
    /// - Returns: `nil`, if none is open.
    mutating func release(_ calm: Poison) -> OutputRecord? {
        guard let openedMs = holdSinceMs else { return nil }
        holdSinceMs = nil
        isHoldDirty = true
        return record(
            .resolved, calm, openedMs: openedMs,
            summary:
                "records on \(sourceText) are read again: \(calm.deadLetterCount) of"
                + " \(calm.recordCount) were dead letters or quarantined in a minute")
    }

    private var sourceText: String { plan.stream.source.topics.joined(separator: ", ") }

    private func record(
        _ transition: AlertRecord.Transition, _ minute: Poison, openedMs: Int64, summary: String
    ) -> OutputRecord {
        text.record(
            transition, monitor: "bad_rows", severity: .page, test: "bad_rows", value: minute.share,
            threshold: plan.limits.badRowShare ?? 0, summary: summary, runbook: "tidemark dlq list",
            openedMs: openedMs, window: Window(startMs: minute.startMs, endMs: minute.endMs))
    }

    private func record(
        _ transition: AlertRecord.Transition, _ monitor: FreshnessPlan, sinceMs: Int64, endMs: Int64
    ) -> OutputRecord {
        let source = plan.stream.source.topics.joined(separator: ", ")
        return text.record(
            transition, monitor: monitor.name, severity: monitor.severity, test: "freshness",
            value: Double(endMs - sinceMs) / 1000, threshold: Double(monitor.limitMs) / 1000,
            summary: monitor.summary
                ?? (transition == .noData
                    ? "nothing has arrived on \(source) for \(monitor.limitMs / 1000) s"
                    : "records arrive on \(source) again, after \((endMs - sinceMs) / 1000) s"),
            runbook: monitor.runbook, description: monitor.description, openedMs: sinceMs,
            window: Window(startMs: sinceMs, endMs: endMs))
    }
}
