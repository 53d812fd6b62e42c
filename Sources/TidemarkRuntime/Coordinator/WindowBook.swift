import TidemarkCore
import TidemarkDataflow

/// Which windows are open, which panes wait to be merged into them, and how far both are.
///
/// It decides what is due; merging and closing are the stage's.
struct WindowBook {
    /// A pane that is due, with the windows that it belongs to.
    struct DuePane {
        var startMs: Int64
        var parts: PendingPanes.Parts
        /// None, where all of them are published.
        var windows: [OpenWindow]
        /// The greatest reference clock at the first rows of its partials.
        var referenceMs: Int64
    }

    let calendar: WindowCalendar
    private let paneMs: Int64
    /// Windows that were over for longer when their first row was read are backfill.
    private let maxAgeMs: Int64
    private var pending = PendingPanes()
    /// Memory of partials that wait for their panes to be sealed everywhere, bytes.
    private(set) var pendingBytes = 0
    /// Windows that hold a pane, and the greatest reference clock at the first rows of its panes.
    private var open: [OpenWindow: Int64] = [:]
    private(set) var publishedThroughMs: Int64
    private(set) var mergedThroughMs: Int64
    /// Panes that end by then are in the snapshot that the next offsets speak of.
    private(set) var snapshotThroughMs: Int64
    private(set) var incompleteThroughMs: Int64
    private(set) var incompleteRev: Int
    /// What earlier processes published as incomplete: a window that ends by then gets the next `rev`.
    private let earlierIncompleteThroughMs: Int64
    private let earlierIncompleteRev: Int
    /// Windows that start before this lack rows, since a partition was entered inside its log.
    private(set) var incompleteBeforeMs: Int64

    init(_ plan: StreamPlan, _ start: CoordinatorStart) {
        calendar = WindowCalendar(windows: plan.windows, paneMs: plan.paneMs)
        paneMs = plan.paneMs
        maxAgeMs = plan.monitors.map(\.maxAgeMs).max() ?? 3_600_000
        let known = start.metadata.compactMap(\.self)
        publishedThroughMs = known.map(\.publishedThroughMs).max() ?? TimeLimit.never
        snapshotThroughMs = start.snapshotThroughMs
        mergedThroughMs = max(publishedThroughMs, snapshotThroughMs)
        incompleteThroughMs = known.map(\.incompleteThroughMs).max() ?? TimeLimit.never
        incompleteRev = known.map(\.incompleteRev).max() ?? 0
        incompleteBeforeMs = max(
            known.map(\.enteredBeforeMs).max() ?? TimeLimit.never, start.incompleteBeforeMs)
        earlierIncompleteThroughMs = incompleteThroughMs
        earlierIncompleteRev = incompleteRev
        for window in start.windows {
            open[OpenWindow(window: window.window, size: window.size)] = window.referenceMs
        }
    }

    /// Windows that hold a pane and are not closed.
    var openCount: Int { open.count }
    /// Panes that wait to be sealed by every partition.
    var paneCount: Int { pending.count }

    // MARK: Panes

    /// Whether a pane is read again though the snapshot holds it, and perhaps not from its first row.
    func isInSnapshot(_ paneStartMs: Int64) -> Bool {
        snapshotThroughMs != TimeLimit.never && paneStartMs + paneMs <= snapshotThroughMs
    }

    private func unpublishedWindows(of paneStartMs: Int64) -> [OpenWindow] {
        calendar.windows(of: paneStartMs).filter { $0.window.endMs > publishedThroughMs }
    }

    /// Whether a pane lies in a window that is not published.
    func isUnpublished(_ paneStartMs: Int64) -> Bool {
        calendar.lastEndMs(of: paneStartMs) > publishedThroughMs
    }

    mutating func add(_ partial: any Partial, slot: Int, sourceMs: Int64, startMs: Int64) {
        pending.add(partial, slot: slot, sourceMs: sourceMs, startMs: startMs)
        pendingBytes += partial.byteCount
    }

    /// Takes the next pane that ends by then; its windows are open from here on.
    ///
    /// - `slots`: know where the pane began in each partition.
    mutating func takePane(endingBy endMs: Int64, _ slots: [PartitionSlot]) -> DuePane? {
        guard let startMs = pending.firstMs, startMs <= endMs - paneMs else { return nil }
        let parts = pending.removeFirst()
        pendingBytes -= parts.reduce(0) { $0 + $1.partial.byteCount }
        var pane = DuePane(
            startMs: startMs, parts: parts, windows: unpublishedWindows(of: startMs),
            referenceMs: TimeLimit.never)
        guard !pane.windows.isEmpty else { return pane }
        pane.referenceMs =
            parts.compactMap { slots[$0.slot].origins[startMs]?.clock.referenceMs }.max()
            ?? TimeLimit.never
        for window in pane.windows {
            open[window] = max(open[window] ?? TimeLimit.never, pane.referenceMs)
        }
        return pane
    }

    // MARK: Time

    /// Moves on to a watermark, or to the end of a window before it.
    ///
    /// - Returns: how far.
    mutating func advance(to watermarkMs: Int64) -> Int64 {
        mergedThroughMs = min(watermarkMs, nextClosingMs ?? watermarkMs)
        return mergedThroughMs
    }

    /// The end of the first window that holds something, or will, and is not closed yet.
    ///
    /// The first pane that waits may lie in no window that ends as early as one of a later pane: after a restart
    /// its shorter windows are published.
    private var nextClosingMs: Int64? {
        var endMs = open.keys.lazy.map(\.window.endMs).min() ?? .max
        for startMs in pending.waiting {
            // No window ends before a pane that it holds.
            guard startMs + paneMs < endMs else { break }
            endMs = unpublishedWindows(of: startMs).lazy.map(\.window.endMs).reduce(endMs, min)
        }
        guard endMs < .max else { return nil }
        return max(endMs, mergedThroughMs == TimeLimit.never ? endMs : mergedThroughMs + 1)
    }

    /// Takes the windows that end by then, in the order in which they close.
    mutating func takeClosings(
        endingBy endMs: Int64, complete: Bool, heldBy: TopicPartition?
    ) -> [WindowClosing] {
        open.keys.filter { $0.window.endMs <= endMs }.sorted().map { window in
            let referenceMs = open.removeValue(forKey: window) ?? TimeLimit.never
            let ageMs =
                referenceMs == TimeLimit.never ? 0 : referenceMs - window.window.endMs
            let wasIncomplete = window.window.endMs <= earlierIncompleteThroughMs
            return WindowClosing(
                window: window.window, size: window.size,
                complete: complete && window.window.startMs >= incompleteBeforeMs,
                rev: wasIncomplete ? earlierIncompleteRev + 1 : 0,
                backfill: ageMs > maxAgeMs, ageMs: ageMs, heldBy: heldBy)
        }
    }

    /// Notes that everything that ends by then was published.
    mutating func publish(throughMs: Int64) {
        publishedThroughMs = max(publishedThroughMs, throughMs)
    }

    /// Notes that windows which start before that lack rows.
    mutating func note(incompleteBeforeMs beforeMs: Int64) {
        incompleteBeforeMs = max(incompleteBeforeMs, beforeMs)
    }

    /// Notes that the input has ended: the open windows are closed as incomplete.
    mutating func end() {
        guard let lastMs = open.keys.map(\.window.endMs).max() else { return }
        incompleteRev =
            earlierIncompleteThroughMs > publishedThroughMs ? earlierIncompleteRev + 1 : 0
        incompleteThroughMs = lastMs
    }

    // MARK: Snapshots

    /// Event time between the oldest pane that a restart would read again and the merged watermark.
    func rereadSpanMs(_ slots: [PartitionSlot]) -> Int64 {
        guard mergedThroughMs != TimeLimit.never else { return 0 }
        let oldest = slots.lazy.flatMap(\.origins.keys)
            .filter { !isInSnapshot($0) && isUnpublished($0) }.min()
        return oldest.map { mergedThroughMs - $0 } ?? 0
    }

    /// The open windows as they are to be written out: from here on a restart takes them from there and
    /// reads what came after.
    mutating func takeSnapshot() -> [WindowSnapshot] {
        snapshotThroughMs = mergedThroughMs
        return open.keys.sorted().map {
            WindowSnapshot(
                window: $0.window, size: $0.size, referenceMs: open[$0] ?? TimeLimit.never)
        }
    }

    /// The end of the last pane that a restart does not read again.
    ///
    /// - `takesSnapshot`: one is about to be taken.
    func settledMs(takesSnapshot: Bool) -> Int64 {
        calendar.settledMs(
            publishedThroughMs: publishedThroughMs,
            snapshotThroughMs: takesSnapshot ? mergedThroughMs : snapshotThroughMs)
    }
}
