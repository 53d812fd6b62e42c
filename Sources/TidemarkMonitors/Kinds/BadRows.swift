import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// The circuit breaker: where most rows of a minute are dead letters, quarantined or withdrawn, it stops the
/// reading and pages somebody.
///
/// The next start reads on. The page is resolved once the rows of a minute were good again for the most
/// part; that it is open is entry state.
struct BadRows: Monitor {
    static let spec = KindSpec(name: "bad_rows")

    private let plan: Plan
    private let source: String
    private let text: SourceText
    private var gauge: BadRowGauge
    /// When the minute began after which reading was stopped, while that page is open.
    private var openedMs: Int64?
    private var entry = EntryStore<Int>(.silence) { _ in Self.key }
    /// No freshness monitor has this key: theirs begin with `silence/`.
    private static let key = Array("bad_rows".utf8)

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        source = plan.stream.source.topics.joined(separator: ", ")
        text = SourceText(plan: plan)
        gauge = BadRowGauge(plan.limits)
    }

    mutating func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance {
        guard case .intake(let intake) = moment else { return Advance() }
        gauge.add(intake)
        if let found = gauge.excess(nowMs: intake.nowMs, isToEnd: intake.isToEnd) {
            guard !intake.isToEnd else {
                throw ConnectorError(
                    .environment,
                    "\(found.badCount) of \(found.rowCount) records of the last minute were dead"
                        + " letters, more than limits.bad_rows allows",
                    hint: "tidemark dlq list")
            }
            opened(found).forEach(emit)
            return Advance(alertCount: 1, hasSpoken: true, holdsReading: true)
        }
        guard let openedMs, let calm = gauge.relief(nowMs: intake.nowMs) else { return Advance() }
        closed(calm, openedMs: openedMs).forEach(emit)
        return Advance(hasSpoken: true)
    }

    private mutating func opened(_ minute: BadRowGauge.Minute) -> [OutputRecord] {
        let sinceMs = openedMs ?? minute.startMs
        entry.write(0, isNew: openedMs == nil, byteCount: Self.key.count)
        openedMs = sinceMs
        return record(
            .firing, minute, openedMs: sinceMs,
            summary:
                "\(minute.badCount) of \(minute.rowCount) records on \(source) were dead"
                + " letters or quarantined in a minute: reading has stopped; the next start reads again"
        )
    }

    private mutating func closed(_ minute: BadRowGauge.Minute, openedMs: Int64) -> [OutputRecord] {
        self.openedMs = nil
        entry.remove(0)
        return record(
            .resolved, minute, openedMs: openedMs,
            summary:
                "records on \(source) are read again: \(minute.badCount) of"
                + " \(minute.rowCount) were dead letters or quarantined in a minute")
    }

    private func record(
        _ transition: AlertRecord.Transition, _ minute: BadRowGauge.Minute, openedMs: Int64,
        summary: String
    ) -> [OutputRecord] {
        text.record(
            transition, monitor: "bad_rows", severity: .page, test: "bad_rows", value: minute.share,
            threshold: plan.limits.badRowShare ?? 0, summary: summary, runbook: "tidemark dlq list",
            openedMs: openedMs, window: Window(startMs: minute.startMs, endMs: minute.endMs))
    }

    // MARK: State

    var pendingBytes: Int { entry.pendingBytes }

    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        entry.take(epoch: epoch) { [openedMs] _ in
            openedMs.map { EntryContent(appliedThroughMs: $0) }
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? {
        guard frame.kind == .silence, key == Self.key else { return nil }
        openedMs = frame.appliedThroughMs
        return .taken
    }
}
