import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Freshness of the source as a whole: nothing arrives on it.
///
/// What the wall clock decides is no function of the log, so the transition is entry state: written
/// down with the alert, in one unit of commit, and not made again by the next process.
struct SourceSilence: Monitor {
    static let spec = KindSpec(name: "freshness")

    private let monitors: [FreshnessPlan]
    private let source: String
    private let mutes: Mutes
    private let text: SourceText
    /// By monitor: when the last record before the silence arrived, while its alert fires.
    private var firingSinceMs: [Int: Int64] = [:]
    private var entries: EntryStore<Int>

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        let monitors = plan.stream.freshness.filter { $0.per == .source }
        self.monitors = monitors
        source = plan.stream.source.topics.joined(separator: ", ")
        text = SourceText(plan: plan)
        mutes = Mutes(plan)
        entries = EntryStore(.silence) { Self.key(monitors[$0]) }
    }

    mutating func advance(_ moment: Moment, emit: (OutputRecord) -> Void) -> Advance {
        guard case .caughtUp(let arrival) = moment else { return Advance() }
        var advance = Advance()
        // A silence that an earlier process spoke of goes on until something arrives.
        let lastMs = arrival.lastMs ?? firingSinceMs.values.max() ?? arrival.startedMs
        for (index, monitor) in monitors.enumerated() {
            if let sinceMs = firingSinceMs[index] {
                guard lastMs > sinceMs else { continue }
                firingSinceMs[index] = nil
                entries.remove(index)
                record(.resolved, monitor, sinceMs: sinceMs, endMs: lastMs).forEach(emit)
            } else {
                guard arrival.nowMs - lastMs >= monitor.limitMs else { continue }
                // A planned silence does not count.
                let startMs = mutes.silenceStart(
                    monitor: monitor.name, part: [], sinceMs: lastMs, nowMs: arrival.nowMs)
                guard arrival.nowMs - startMs >= monitor.limitMs else { continue }
                firingSinceMs[index] = lastMs
                entries.write(index, isNew: true, byteCount: monitor.name.utf8.count)
                record(.noData, monitor, sinceMs: lastMs, endMs: lastMs + monitor.limitMs).forEach(
                    emit)
                advance.alertCount += 1
            }
            advance.hasSpoken = true
        }
        return advance
    }

    private func record(
        _ transition: AlertRecord.Transition, _ monitor: FreshnessPlan, sinceMs: Int64, endMs: Int64
    ) -> [OutputRecord] {
        text.record(
            transition, monitor: monitor.name, severity: monitor.severity, test: "freshness",
            value: Double(endMs - sinceMs) / 1000, threshold: Double(monitor.limitMs) / 1000,
            summary: monitor.summary
                ?? (transition == .noData
                    ? "nothing has arrived on \(source) for \(monitor.limitMs / 1000) s"
                    : "records arrive on \(source) again, after \((endMs - sinceMs) / 1000) s"),
            runbook: monitor.runbook, description: monitor.description, openedMs: sinceMs,
            window: Window(startMs: sinceMs, endMs: endMs))
    }

    // MARK: State

    var pendingBytes: Int { entries.pendingBytes }

    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        entries.take(epoch: epoch) { [firingSinceMs] index in
            firingSinceMs[index].map { EntryContent(appliedThroughMs: $0) }
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? {
        guard frame.kind == .silence, key.starts(with: Self.prefix) else { return nil }
        guard let index = monitors.firstIndex(where: { Self.key($0) == key }) else {
            return .noMonitor
        }
        firingSinceMs[index] = frame.appliedThroughMs
        return .taken
    }

    private static let prefix = Array("silence/".utf8)

    private static func key(_ monitor: FreshnessPlan) -> [UInt8] {
        prefix + percentEncoded(Array(monitor.name.utf8))
    }
}
