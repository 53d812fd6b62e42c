import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Alerts about the source that every topology has: what the runtime sees of it, said once when it
/// begins and once when it is over.
///
/// Which ones fire is entry state, written down with the alert, so that the next process neither
/// repeats nor forgets one.
struct SourceConditions: Monitor {
    static let spec = KindSpec(name: "source")

    private let plan: Plan
    private let text: SourceText
    private struct Firing {
        var sinceMs: Int64
        /// When it was last seen; until then it is not over.
        var seenMs: Int64
    }
    private var firing: [SourceCondition.Kind: Firing] = [:]
    private var entries = EntryStore<SourceCondition.Kind>(.silence) { Self.key($0) }
    /// A condition that was not seen for so long is over.
    static let clearMs: Int64 = 60_000

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        text = SourceText(plan: plan)
    }

    mutating func advance(_ moment: Moment, emit: (OutputRecord) -> Void) -> Advance {
        guard case .conditions(let conditions, let nowMs) = moment else { return Advance() }
        for kind in firing.keys where firing[kind]?.seenMs == .max {
            // Restored: whether it is still so shows within a minute.
            firing[kind]?.seenMs = nowMs
        }
        var advance = Advance()
        for condition in conditions {
            if firing[condition.kind] != nil {
                firing[condition.kind]?.seenMs = nowMs
                continue
            }
            firing[condition.kind] = Firing(sinceMs: nowMs, seenMs: nowMs)
            entries.write(condition.kind, isNew: true, byteCount: 32)
            advance.alertCount += 1
            opened(condition, nowMs: nowMs).forEach(emit)
        }
        advance.hasSpoken = advance.alertCount > 0
        for (kind, known) in firing.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where nowMs - known.seenMs >= Self.clearMs {
            firing[kind] = nil
            entries.remove(kind)
            advance.hasSpoken = true
            closed(kind, sinceMs: known.sinceMs, nowMs: nowMs).forEach(emit)
        }
        return advance
    }

    private func opened(_ condition: SourceCondition, nowMs: Int64) -> [OutputRecord] {
        text.record(
            .firing, monitor: condition.kind.rawValue, severity: condition.kind.severity,
            test: condition.kind.rawValue, value: condition.value,
            threshold: condition.threshold, summary: condition.summary, runbook: nil,
            openedMs: nowMs, window: Window(startMs: nowMs, endMs: nowMs + 1))
    }

    private func closed(
        _ kind: SourceCondition.Kind, sinceMs: Int64, nowMs: Int64
    ) -> [OutputRecord] {
        text.record(
            .resolved, monitor: kind.rawValue, severity: kind.severity,
            test: kind.rawValue, value: 0, threshold: 0,
            summary: "over: \(kind.rawValue) on \(source)", runbook: nil,
            openedMs: sinceMs, window: Window(startMs: sinceMs, endMs: max(nowMs, sinceMs + 1)))
    }

    private var source: String { plan.stream.source.topics.joined(separator: ", ") }

    // MARK: State

    var pendingBytes: Int { entries.pendingBytes }

    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        entries.take(epoch: epoch) { [firing] kind in
            firing[kind].map { EntryContent(appliedThroughMs: $0.sinceMs) }
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? {
        guard frame.kind == .silence, key.starts(with: Self.prefix) else { return nil }
        guard let kind = SourceCondition.Kind.allCases.first(where: { Self.key($0) == key }) else {
            return .unusable("the source has no condition of that name")
        }
        firing[kind] = Firing(sinceMs: frame.appliedThroughMs, seenMs: .max)
        return .taken
    }

    private static let prefix = Array("source/".utf8)
    private static func key(_ kind: SourceCondition.Kind) -> [UInt8] {
        prefix + Array(kind.rawValue.utf8)
    }
}
