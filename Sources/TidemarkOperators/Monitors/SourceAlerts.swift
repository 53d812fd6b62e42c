import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Alerts about the source that every topology has: what the runtime sees of it, said once when it
/// begins and once when it is over.
///
/// Which ones fire is entry state, written down with the alert, so that the next process neither
/// repeats nor forgets one.
struct SourceAlerts {
    private let plan: Plan
    private let text: SilenceText
    private struct Firing {
        var sinceMs: Int64
        /// When it was last seen; until then it is not over.
        var seenMs: Int64
    }
    private var firing: [SourceCondition.Kind: Firing] = [:]
    private var dirty: Set<SourceCondition.Kind> = []
    /// A condition that was not seen for so long is over.
    static let clearMs: Int64 = 60_000

    init(plan: Plan) {
        self.plan = plan
        text = SilenceText(plan: plan)
    }

    /// Takes in what is so now.
    ///
    /// - Returns: alerts that began to fire, and whether anything was emitted.
    mutating func observe(
        _ conditions: [SourceCondition], nowMs: Int64, emit: (OutputRecord) -> Void
    ) -> (alerts: Int, spoke: Bool) {
        for kind in firing.keys where firing[kind]?.seenMs == .max {
            // Restored: whether it is still so shows within a minute.
            firing[kind]?.seenMs = nowMs
        }
        var alerts = 0
        for condition in conditions {
            if firing[condition.kind] != nil {
                firing[condition.kind]?.seenMs = nowMs
                continue
            }
            firing[condition.kind] = Firing(sinceMs: nowMs, seenMs: nowMs)
            dirty.insert(condition.kind)
            alerts += 1
            emit(
                text.record(
                    .firing, monitor: condition.kind.rawValue, severity: condition.kind.severity,
                    test: condition.kind.rawValue, value: condition.value,
                    threshold: condition.threshold, summary: condition.summary, runbook: nil,
                    openedMs: nowMs, window: Window(startMs: nowMs, endMs: nowMs + 1)))
        }
        var spoke = alerts > 0
        for (kind, known) in firing.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where nowMs - known.seenMs >= Self.clearMs {
            firing[kind] = nil
            dirty.insert(kind)
            spoke = true
            emit(
                text.record(
                    .resolved, monitor: kind.rawValue, severity: kind.severity,
                    test: kind.rawValue, value: 0, threshold: 0,
                    summary: "no longer so: \(kind.rawValue) on \(source)", runbook: nil,
                    openedMs: known.sinceMs,
                    window: Window(startMs: known.sinceMs, endMs: max(nowMs, known.sinceMs + 1))))
        }
        return (alerts, spoke)
    }

    private var source: String { plan.stream.source.topics.joined(separator: ", ") }

    // MARK: State

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        defer { dirty = [] }
        return dirty.map { kind in
            StateEntry(
                key: Self.key(kind),
                value: firing[kind].map {
                    StateFrame(
                        kind: .silence, epoch: epoch, appliedThroughMs: $0.sinceMs, payload: []
                    ).encoded()
                })
        }
    }

    /// `nil`: the key is not of such an entry.
    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? {
        guard key.starts(with: Self.prefix) else { return nil }
        guard let kind = SourceCondition.Kind.allCases.first(where: { Self.key($0) == key }) else {
            return .unusable("no condition of a source has that name")
        }
        firing[kind] = Firing(sinceMs: frame.appliedThroughMs, seenMs: .max)
        return .taken
    }

    private static let prefix = Array("source/".utf8)
    private static func key(_ kind: SourceCondition.Kind) -> [UInt8] {
        prefix + Array(kind.rawValue.utf8)
    }
}
