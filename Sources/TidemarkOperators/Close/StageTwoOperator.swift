import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
import TidemarkKernels
package import TidemarkMonitors
import TidemarkText

/// Stage 2: partials to windows, windows to tests, records and alerts.
///
/// One thread owns it.
package final class StageTwoOperator: StageTwo {
    let plan: Plan
    let baselines: [BaselineTable]
    /// By window length; a slice is a step of those windows, with all its panes merged, by segment.
    var windows: [TwoStackWindow<[SegmentWindow]>]
    /// Memory of each slice, bytes, by window length: kept, as it is asked for often.
    var sliceBytes: [[Int64: (bytes: Int, isFlipped: Bool)]]
    /// Memory of each prefix, bytes, since the last slide.
    var prefixBytes: [Int?]
    /// Memory of what came late, bytes, since it last changed.
    var lateBytes: [Int?]
    var monitors: MonitorSet
    var writer: ResultWriter
    /// The state topic names this topology.
    private var isOwnerKnown = false
    private static let ownerKey = Array("topology".utf8)
    private let keep: [Set<[UInt8]>]
    /// By column: the first segment that watches it; rows are counted there.
    let homes: [Int?]
    /// By window length: some segment has it; windows of others hold nothing.
    private let hasSegment: [Bool]
    var snapshots = WindowSnapshots()
    /// `nil`: there are no metrics.
    let metrics: MetricEvaluator?

    private let rank: @Sendable ([UInt8]) -> UInt64

    /// `rank`: orders groups where there are too many: that of stage 1.
    package init(
        plan: Plan, baselines: [BaselineTable],
        rank: @escaping @Sendable ([UInt8]) -> UInt64 = { textHash($0) }
    ) {
        self.rank = rank
        self.plan = plan
        self.baselines = baselines
        windows = plan.stream.windows.map { TwoStackWindow(length: $0.sliceCount) }
        sliceBytes = windows.map { _ in [:] }
        prefixBytes = windows.map { _ in nil }
        lateBytes = windows.map { _ in nil }
        writer = ResultWriter(plan)
        metrics = MetricEvaluator(plan.stream)
        homes = plan.stream.columns.indices.map { column in
            plan.stream.segments.firstIndex { $0.columns.contains(column) }
        }
        hasSegment = plan.stream.windows.indices.map { size in
            plan.stream.segments.contains { $0.windows.contains(size) }
        }
        let keep = plan.stream.segments.map { segment in
            Set(
                segment.keep.map { values in
                    GroupValues(
                        dimensions: zip(segment.dimensions, values).map {
                            ($0.name, Array($1.utf8))
                        }
                    ).part
                })
        }
        self.keep = keep
        monitors = MonitorSet(plan) { part, segment in
            GroupRank(isNamed: keep[segment].contains(part), hash: rank(part))
        }
    }

    /// Memory of slices, of what is joined from them, and of learned and expected groups.
    ///
    /// - Complexity: O(slices); what did not change since the last call is not weighed again.
    package var byteCount: Int {
        var sum = monitors.byteCount
        for (size, window) in windows.enumerated() {
            var known: [Int64: (bytes: Int, isFlipped: Bool)] = [:]
            for index in window.indices {
                let isFlipped = window.isFlipped(index)
                let bytes: Int
                if let last = sliceBytes[size][index], last.isFlipped == isFlipped {
                    bytes = last.bytes
                } else {
                    let next = window.suffix(after: index)
                    bytes = (window[index] ?? []).enumerated().reduce(0) {
                        $0 + $1.element.byteCount(beside: next?[$1.offset])
                    }
                }
                known[index] = (bytes, isFlipped)
                sum += bytes
            }
            sliceBytes[size] = known
            if prefixBytes[size] == nil {
                prefixBytes[size] = (window.joinedPrefix ?? []).reduce(0) {
                    $0 + $1.byteCount(beside: nil)
                }
            }
            if lateBytes[size] == nil {
                lateBytes[size] = window.latecomers.joined().reduce(0) {
                    $0 + $1.byteCount(beside: nil)
                }
            }
            sum += (prefixBytes[size] ?? 0) + (lateBytes[size] ?? 0)
        }
        return sum
    }

    var emptySlice: [SegmentWindow] { plan.stream.segments.map { _ in SegmentWindow() } }

    // MARK: Merging

    /// Adds the partials to the slice of each window length; a slice is shared by all windows over
    /// it.
    package func merge(
        _ partials: [any Partial], of sourceMs: Int64, in startMs: Int64,
        into targets: [(window: Window, size: Int)]
    ) {
        let panes = partials.compactMap { $0 as? PanePartial }
        precondition(panes.count == partials.count, "stage 2 is given what stage 1 sealed")
        for (size, window) in plan.stream.windows.enumerated()
        where hasSegment[size] && targets.contains(where: { $0.size == size }) {
            let index = window.slice(at: startMs)
            let source = window.slice(at: sourceMs)
            sliceBytes[size][index] = nil
            if source == index || index - source >= window.sliceCount {
                windows[size].update(at: index, default: emptySlice) {
                    add(panes, size: size, isTooLate: source != index, to: &$0, seed: index)
                }
            } else {
                var slice = emptySlice
                // A seed of its own: that of the slice is taken.
                add(panes, size: size, isTooLate: false, to: &slice, seed: ~source)
                windows[size].insert(late: slice, of: source, at: index)
                lateBytes[size] = nil
            }
        }
    }

    /// Adds partials to a slice; what is too late for windows of its length is counted there.
    private func add(
        _ panes: [PanePartial], size: Int, isTooLate: Bool, to slice: inout [SegmentWindow],
        seed index: Int64
    ) {
        let seed = UInt64(bitPattern: index &* plan.stream.windows[size].stepMs)
        for pane in panes {
            for (index, partial) in pane.segments.enumerated()
            where plan.stream.segments[index].windows.contains(size) {
                if isTooLate {
                    slice[index].addLate(partial, seed: seed)
                } else {
                    slice[index].add(
                        partial, takesOver: plan.stream.windows.count == 1, seed: seed)
                }
            }
        }
    }

    /// Applies the group limit to the window as a whole: a group that any partial cut belongs to
    /// the rest.
    func limitGroups(_ target: inout SegmentWindow, segment index: Int) -> [GroupCell] {
        let segment = plan.stream.segments[index]
        let ranked = target.groups.values.map { cell in
            (cell: cell, rank: rank(cell.shape.part, segment: index))
        }.sorted { $0.rank < $1.rank }
        var cells = ranked.map(\.cell)
        var keptCount = ranked.firstIndex { !($0.rank < target.cut) } ?? ranked.count
        keptCount = min(keptCount, segment.groupCountMax)
        if keptCount < cells.count {
            target.moveToOther(cells[keptCount...]) {
                GroupShape(
                    values: GroupValues(dimensions: [], isOther: true), segment: segment,
                    stream: plan.stream, baselines: baselines,
                    monitored: segment.columns.map { _ in MonitoredBaselines() })
            }
            cells.removeSubrange(keptCount...)
        }
        return cells.sorted { $0.shape.part.precedes($1.shape.part) }
    }

    private func rank(_ part: [UInt8], segment index: Int) -> GroupRank {
        GroupRank(isNamed: keep[index].contains(part), hash: rank(part))
    }

    // MARK: Moments

    /// Tells all monitors.
    package func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance { try monitors.advance(moment, emit: emit) }

    // MARK: State

    /// What alerts, baselines, silences and snapshots changed, by key; with the first of it the
    /// topology's name.
    package func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        var entries =
            monitors.takeEntries(epoch: epoch, settledMs: settledMs)
            + snapshots.takeTombstones()
        // Beside other state: who has none disturbs nobody.
        if !isOwnerKnown, entries.contains(where: { $0.value != nil }) {
            isOwnerKnown = true
            entries.append(
                StateEntry(
                    key: Self.ownerKey,
                    value: StateFrame(
                        kind: .owner, epoch: epoch, appliedThroughMs: TimeLimit.never,
                        payload: Array(plan.name.utf8)
                    ).encoded()))
        }
        return entries.sorted { $0.key.precedes($1.key) }
    }

    /// Bytes of everything that has entries.
    package var pendingEntryBytes: Int { monitors.pendingBytes }

    /// Reads the frame, and gives it to whom its kind belongs to.
    package func restore(_ entry: StateEntry, epoch: Int) -> StateRestoration {
        let frame: StateFrame
        do throws(StateFrame.Rejection) {
            frame = try StateFrame(entry.value ?? [])
        } catch {
            switch error {
            case .newer(let version): return .newer(version: version)
            case .damaged(let why): return .unusable(why)
            }
        }
        if frame.kind == .owner {
            let name = String(decoding: frame.payload, as: UTF8.self)
            guard name == plan.name else { return .otherTopology(name) }
            if frame.epoch == epoch {
                isOwnerKnown = true
                return .taken
            }
        }
        guard frame.epoch == epoch else {
            monitors.restore(abandoned: frame, key: entry.key)
            return .otherEpoch(frame.epoch)
        }
        switch frame.kind {
        case .window, .windowList:
            snapshots.restore(frame, key: entry.key)
            return .taken
        case .owner: return .unusable("it names no topology")
        default: return monitors.restore(frame, key: entry.key)
        }
    }
}
