import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
import TidemarkKernels
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Stage 2: partials to windows, windows to tests, records and alerts.
///
/// One thread owns it.
package final class StageTwoOperator: StageTwo {
    private let plan: Plan
    private let baselines: [BaselineTable]
    /// By window length; a slice is a step of those windows, with all its panes merged, by segment.
    private var windows: [TwoStackWindow<[SegmentWindow]>]
    /// Memory of each slice, bytes, by window length: kept, as it is asked for often.
    private var sliceBytes: [[Int64: (bytes: Int, isFlipped: Bool)]]
    /// Memory of each prefix, bytes, since the last slide.
    private var prefixBytes: [Int?]
    /// Memory of what came late, bytes, since it last changed.
    private var lateBytes: [Int?]
    private let monitors: DriftMonitors
    /// How records name the baselines.
    private let labels: [String]
    /// How keys of records of the window that is being closed end.
    private var keyTail: [UInt8] = []
    /// Headers of the records of aggregates of that window.
    private var aggregateHeaders: [(name: String, value: [UInt8])] = []
    private var encoder = AggregateEncoder()
    /// By window length, by column: how series end.
    private let seriesTails: [[[UInt8]]]
    private var sketches: SketchPublisher?
    private let volumes: VolumeMonitors
    private var abandoned: AbandonedAlerts
    private let alertText: AlertText
    private var alerts: AlertStates
    private var learned: LearnedBaselines
    private var watchers: [any Watcher]
    /// The state topic names this topology.
    private var isOwnerKnown = false
    private static let ownerKey = Array("topology".utf8)
    private let keep: [Set<[UInt8]>]
    /// By column: the first segment that watches it; rows are counted there.
    private let homes: [Int?]
    /// By window length: some segment has it; windows of others hold nothing.
    private let hasSegment: [Bool]
    private var snapshots = WindowSnapshots()
    private var blindNotices: BlindNotices

    private let rank: @Sendable ([UInt8]) -> UInt64

    private static let jsonHeaders = [(name: "content-type", value: Array("application/json".utf8))]

    /// `rank`: orders groups where there are too many: that of stage 1.
    package init(
        plan: Plan, baselines: [BaselineTable],
        rank: @escaping @Sendable ([UInt8]) -> UInt64 = { textHash($0) }
    ) {
        self.rank = rank
        self.plan = plan
        blindNotices = BlindNotices(plan)
        self.baselines = baselines
        windows = plan.stream.windows.map { TwoStackWindow(length: $0.sliceCount) }
        sliceBytes = windows.map { _ in [:] }
        prefixBytes = windows.map { _ in nil }
        lateBytes = windows.map { _ in nil }
        labels = plan.stream.baselines.map(\.label)
        seriesTails = plan.stream.windows.map { window in
            plan.stream.columns.map {
                AggregateRecord.seriesTail(column: $0.name, lengthMs: window.lengthMs)
            }
        }
        sketches = SketchPublisher(plan.outputs)
        monitors = DriftMonitors(plan: plan)
        volumes = VolumeMonitors(plan: plan)
        abandoned = AbandonedAlerts(plan: plan)
        alertText = AlertText(plan: plan)
        alerts = AlertStates(plan: plan)
        learned = LearnedBaselines(plan: plan)
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
        watchers = allWatchers(plan) { part, segment in
            GroupRank(isNamed: keep[segment].contains(part), hash: rank(part))
        }
    }

    /// Memory of slices, of what is joined from them, and of learned and expected groups.
    ///
    /// - Complexity: O(slices); what did not change since the last call is not weighed again.
    package var byteCount: Int {
        var sum = watchers.reduce(learned.byteCount) { $0 + $1.byteCount }
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

    /// What a slice holds by itself: a suffix aggregate shares groups with the one behind it.
    private func own(
        _ window: TwoStackWindow<[SegmentWindow]>, at index: Int64
    ) -> [SegmentWindow] {
        let slice = window[index] ?? emptySlice
        guard let next = window.suffix(after: index) else { return slice }
        return zip(slice, next).map { $0.own(beside: $1) }
    }

    private var emptySlice: [SegmentWindow] { plan.stream.segments.map { _ in SegmentWindow() } }

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
    private func limitGroups(_ target: inout SegmentWindow, segment index: Int) -> [GroupCell] {
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
                    monitored: segment.columns.map { _ in [] })
            }
            cells.removeSubrange(keptCount...)
        }
        return cells.sorted { $0.shape.part.precedes($1.shape.part) }
    }

    private func rank(_ part: [UInt8], segment index: Int) -> GroupRank {
        GroupRank(isNamed: keep[index].contains(part), hash: rank(part))
    }

    // MARK: Moments

    /// Tells every watcher; when the state was restored, publishes the end of alerts that nothing goes on
    /// with.
    package func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance {
        if case .started = moment {
            for alert in abandoned.records { emit(alert.output(to: plan.outputs.alerts)) }
            abandoned = AbandonedAlerts(plan: plan)
        }
        var advance = Advance()
        for index in watchers.indices {
            advance.add(try watchers[index].advance(moment, emit: emit))
        }
        return advance
    }

    // MARK: State

    /// What alerts, baselines, silences and snapshots changed, by key; with the first of it the
    /// topology's name.
    package func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        var entries =
            alerts.takeEntries(epoch: epoch) + learned.takeEntries(epoch: epoch)
            + snapshots.takeTombstones(epoch: epoch)
        for index in watchers.indices {
            entries += watchers[index].takeEntries(epoch: epoch, settledMs: settledMs)
        }
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
    package var pendingEntryBytes: Int {
        watchers.reduce(alerts.pendingBytes + learned.pendingBytes) { $0 + $1.pendingBytes }
    }

    /// Writes the first slice of each window: the later ones are first slices of other open
    /// windows.
    package func snapshot(
        _ listed: [WindowSnapshot], throughMs: Int64, epoch: Int
    ) -> [StateEntry] {
        let states = listed.map { snapshot -> (WindowSnapshots.Listed, [UInt8]) in
            // Its first slice; the later ones are first slices of windows that are open too.
            let window = windows[snapshot.size]
            let index = plan.stream.windows[snapshot.size].slice(at: snapshot.window.startMs)
            var bytes: [UInt8] = []
            write(own(window, at: index), to: &bytes)
            let late = window.latecomers(index)
            let isFlipped = window.isFlipped(index)
            let isAbsent = window[index] == nil
            if isFlipped || isAbsent || late != nil {
                bytes.append(
                    (isFlipped ? Self.flippedMark : 0) | (isAbsent ? Self.absentMark : 0)
                        | (late == nil ? 0 : Self.lateMark))
            }
            if let late { write(late, to: &bytes) }
            return (
                WindowSnapshots.Listed(
                    plan: plan.stream.windows[snapshot.size], startMs: snapshot.window.startMs,
                    referenceMs: snapshot.referenceMs, partCount: 0), bytes
            )
        }
        return snapshots.write(states, throughMs: throughMs, epoch: epoch)
    }

    /// Puts the slices of the snapshot back, in the form that they had: joined ones stay joined.
    package func restoreWindows(
        throughMs: Int64, publishedThroughMs: Int64
    ) -> [WindowSnapshot]? {
        for index in watchers.indices {
            watchers[index].resume(throughMs: max(throughMs, publishedThroughMs))
        }
        guard let found = snapshots.read(throughMs: throughMs) else { return nil }
        var restored: [WindowSnapshot] = []
        // Later ones first: suffix aggregates share what stands behind them.
        for (listed, state) in found.sorted(by: { $0.listed.startMs > $1.listed.startMs }) {
            guard let size = plan.stream.windows.firstIndex(of: listed.plan) else { return nil }
            let window = Window(
                startMs: listed.startMs, endMs: listed.startMs + listed.plan.lengthMs)
            // Published after the snapshot was taken.
            if window.endMs <= publishedThroughMs { continue }
            let index = listed.plan.slice(at: listed.startMs)
            do throws(SketchError) {
                var (slice, isFlipped, isAbsent, late) = try readState(state)
                if let late { windows[size].restore(late: late, at: index) }
                if isAbsent {
                    // Nothing fell there: else the window would be taken for one that has lost its rows.
                } else if isFlipped {
                    if let next = windows[size].suffix(after: index) {
                        for place in slice.indices { slice[place].inherit(next[place]) }
                    }
                    windows[size].restore(flipped: slice, at: index)
                } else {
                    windows[size].insert(slice, at: index)
                }
            } catch {
                windows = plan.stream.windows.map { TwoStackWindow(length: $0.sliceCount) }
                return nil
            }
            restored.append(
                WindowSnapshot(window: window, size: size, referenceMs: listed.referenceMs))
        }
        return restored
    }

    /// Behind a slice that is a suffix aggregate.
    private static let flippedMark: UInt8 = 1
    /// Behind a slice of which, or in which, something came late: that follows.
    private static let lateMark: UInt8 = 2
    /// Behind an empty slice that stands for none.
    private static let absentMark: UInt8 = 4

    private typealias Latecomers = TwoStackWindow<[SegmentWindow]>.Latecomers

    private func write(_ slice: [SegmentWindow], to bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(plan.stream.segments.count))
        for segment in slice { segment.writeState(&bytes) }
    }

    private func write(_ late: Latecomers, to bytes: inout [UInt8]) {
        for slice in [late.arrived, late.missed, late.crossed] {
            bytes.append(varint: slice == nil ? 0 : 1)
            if let slice { write(slice, to: &bytes) }
        }
        bytes.append(varint: UInt64(late.waiting.count))
        for one in late.waiting {
            bytes.append(littleEndian: UInt64(bitPattern: one.at))
            write(one.slice, to: &bytes)
        }
    }

    private func readState(
        _ state: [UInt8]
    ) throws(SketchError) -> (
        slice: [SegmentWindow], isFlipped: Bool, isAbsent: Bool, late: Latecomers?
    ) {
        var reader = ByteReader(state)
        let slice = try readSlice(&reader)
        let marks = reader.left > 0 ? try reader.read(UInt8.self) : 0
        guard marks & ~(Self.flippedMark | Self.lateMark | Self.absentMark) == 0 else {
            throw .corrupt(field: "slice", offset: reader.offset)
        }
        var late: Latecomers?
        if marks & Self.lateMark != 0 { late = try readLate(&reader) }
        try reader.finish()
        return (slice, marks & Self.flippedMark != 0, marks & Self.absentMark != 0, late)
    }

    private func readLate(_ reader: inout ByteReader) throws(SketchError) -> Latecomers {
        var late = Latecomers()
        if try reader.readVarint() == 1 { late.arrived = try readSlice(&reader) }
        if try reader.readVarint() == 1 { late.missed = try readSlice(&reader) }
        if try reader.readVarint() == 1 { late.crossed = try readSlice(&reader) }
        for _ in 0..<(try reader.readVarint()) {
            let at = Int64(bitPattern: try reader.read(UInt64.self))
            late.waiting.append((at, try readSlice(&reader)))
        }
        return late
    }

    private func readSlice(_ reader: inout ByteReader) throws(SketchError) -> [SegmentWindow] {
        guard try reader.readVarint() == UInt64(plan.stream.segments.count) else {
            throw .corrupt(field: "segments", offset: 0)
        }
        let monitored = monitoredBaselines(plan.stream)
        var segments: [SegmentWindow] = []
        for (index, segment) in plan.stream.segments.enumerated() {
            segments.append(
                try SegmentWindow.readState(&reader) { values in
                    GroupShape(
                        values: values, segment: segment, stream: plan.stream,
                        baselines: baselines, monitored: monitored[index])
                })
        }
        return segments
    }

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
            abandoned.take(frame, key: entry.key)
            return .otherEpoch(frame.epoch)
        }
        switch frame.kind {
        case .alert: return alerts.restore(frame, key: entry.key)
        case .baseline: return learned.restore(frame, key: entry.key)
        case .silence, .freshness:
            for index in watchers.indices {
                if let outcome = watchers[index].restore(frame, key: entry.key) { return outcome }
            }
            return .noMonitor
        case .window, .windowList:
            snapshots.restore(frame, key: entry.key)
            return .taken
        case .owner: return .unusable("it names no topology")
        }
    }

    // MARK: Closing

    /// Slides the windows of that length on, limits the groups, then judges and publishes group by
    /// group.
    package func close(_ closing: WindowClosing, emit: (OutputRecord) -> Void) -> WindowTally {
        var tally = WindowTally()
        let start = decimalText(closing.window.startMs)
        keyTail = [0x2f] + start
        sketches?.window = (start, decimalText(closing.window.endMs))
        aggregateHeaders = Self.jsonHeaders
        if let heldBy = closing.heldBy {
            aggregateHeaders.append((name: "held_by", value: Array("\(heldBy)".utf8)))
        }
        let size = plan.stream.windows[closing.size]
        let first = size.slice(at: closing.window.startMs)
        (prefixBytes[closing.size], lateBytes[closing.size]) = (nil, nil)
        guard
            var segments = windows[closing.size].slide(to: first..<first + size.sliceCount)
        else { return tally }
        tally.isThere = true
        tally.columns = plan.stream.columns.map { _ in RowCounts() }
        for index in segments.indices {
            let cells = limitGroups(&segments[index], segment: index)
            cells.first?.prefetchForClosing()
            for (number, cell) in cells.enumerated() {
                if number + 2 < cells.count { cells[number + 2].prefetch() }
                if number + 1 < cells.count { cells[number + 1].prefetchForClosing() }
                publish(cell, segment: index, closing, otherGroupCount: nil, &tally, emit)
            }
            if let other = segments[index].other {
                let count = segments[index].otherGroups?.estimate
                publish(other, segment: index, closing, otherGroupCount: count, &tally, emit)
            } else {
                judgeAbsent(cells, segment: index, closing, &tally, emit)
            }
        }
        tally.notices += learned.closed(closing)
        giveUpAlerts(closing, &tally, emit)
        return tally
    }

    /// Resolves alerts of groups that are gone.
    private func giveUpAlerts(
        _ closing: WindowClosing, _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        let learned = learned
        let plan = plan
        let over = alerts.closed(closing) { series in
            let place = LearnedBaselines.Place(
                baseline: plan.stream.monitors[series.monitor].baseline, segment: series.segment,
                size: series.size)
            return !learned.knows(series.group, at: place)
        }
        for (series, saying) in over {
            let record = alertText.expired(series, saying, closing)
            publish(record.map { [$0] } ?? [], &tally, emit)
        }
    }

    private func publish(
        _ cell: GroupCell, segment index: Int, _ closing: WindowClosing, otherGroupCount: Int?,
        _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        let segment = plan.stream.segments[index]
        tally.rows += cell.rowCount
        let references = learned.references(cell, segment: index, closing)
        let publishes = plan.outputs.aggregates != nil
        let wantsKLL = sketches?.wantsKLL ?? false
        let seriesHead =
            publishes
            ? AggregateRecord.seriesHead(
                operatorName: segment.name, groupPart: cell.shape.part) : []
        cell.prefetchLevels()
        cell.prefetchItems(0)
        for (place, column) in segment.columns.enumerated() {
            cell.prefetchItems(place + 1)
            // Sorted once, for quantiles and for the bytes; registers are counted once.
            let view =
                wantsKLL && cell.shape.columns[place].wantsRun
                ? unsafe cell.kll[place].view() : nil
            let frequent = cell.settledFrequent(place)
            let registers =
                cell.shape.columns[place].column.summary.distinctLgK == nil
                ? nil : cell.categories[place]?.distinct.registerCounts
            var record = self.record(cell, place, segment, closing, view, frequent, registers)
            record.otherGroupCount = otherGroupCount
            let events = monitors.judge(
                &record, cell: cell, place: place, segment: index, column: column,
                references: references, closing, alerts: &alerts)
            if homes[column] == index, closing.size == segment.windows.first {
                tally.columns[column].add(record.rows)
            }
            count(record, &tally)
            if publishes {
                if place == 0 { encoder.begin(record) }
                let series = joined(seriesHead, seriesTails[closing.size][column])
                let key = joined(series, keyTail)
                publish(record, key: key, series: series, &tally, emit)
                sketches?.publish(
                    record, cell, place, view, frequent, registers, key: key, series: series, emit)
            }
            publish(events, &tally, emit)
        }
        if !cell.shape.values.isOther {
            judgeVolume(
                cell.shape.values, cell.rowCounts, segment: index, references, closing, &tally, emit
            ) { _ in true }
        }
        // What a window taught is in force from the next one on.
        learned.learn(cell, segment: index, closing, alerts: alerts)
    }

    /// Counts what monitors said of a record's window.
    private func count(_ record: AggregateRecord, _ tally: inout WindowTally) {
        tally.notices += blindNotices.notices(of: record)
        for verdict in record.verdicts {
            tally.verdicts.add(verdict.verdict, of: verdict.monitor)
            if verdict.verdict == .noBaseline {
                tally.groupsWithoutBaseline.insert(
                    "\(record.operatorName)/\(String(decoding: record.group.part, as: UTF8.self))")
            }
        }
    }

    /// Publishes a record of the group and window that the encoder was told of.
    private func publish(
        _ record: AggregateRecord, key: [UInt8], series: [UInt8], _ tally: inout WindowTally,
        _ emit: (OutputRecord) -> Void
    ) {
        guard let topic = plan.outputs.aggregates else { return }
        emit(
            OutputRecord(
                topic: topic, key: key, value: encoder.encode(record), headers: aggregateHeaders,
                partitionKey: series))
        tally.aggregates += 1
    }

    private func publish(
        _ events: [AlertRecord], _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        for event in events {
            emit(event.output(to: plan.outputs.alerts))
            if event.transition == .firing { tally.alerts += 1 }
        }
    }

    // MARK: Volume

    /// Publishes the record of a group as a whole, where a monitor watches its rows and it is news.
    private func judgeVolume(
        _ group: GroupValues, _ rows: RowCounts, segment index: Int,
        _ references: [Int: LearnedReference], _ closing: WindowClosing,
        _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void,
        isNews: (AggregateRecord) -> Bool
    ) {
        guard !volumes.baselines(segment: index, size: closing.size).isEmpty else { return }
        var record = AggregateRecord(
            topology: plan.name, revision: plan.revision,
            operatorName: plan.stream.segments[index].name, group: group, column: "", role: "",
            isNumeric: false, window: closing.window, rev: closing.rev, complete: closing.complete,
            backfill: closing.backfill)
        record.rows = rows
        let events = volumes.judge(
            &record, segment: index, references: references, closing, alerts: &alerts)
        count(record, &tally)
        if isNews(record) {
            let series = record.series
            encoder.begin(record)
            publish(record, key: record.key(series: series), series: series, &tally, emit)
        }
        publish(events, &tally, emit)
    }

    /// Groups that are known and have no row in the window: 0 is a number, too.
    ///
    /// Their records are published when they fall silent and when the verdicts change, not in every
    /// window: what is expected is state.
    private func judgeAbsent(
        _ present: [GroupCell], segment index: Int, _ closing: WindowClosing,
        _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        let places = volumes.baselines(segment: index, size: closing.size).map {
            LearnedBaselines.Place(baseline: $0, segment: index, size: closing.size)
        }
        guard closing.complete, !places.isEmpty else { return }
        let here = Set(present.map(\.shape.part))
        var absent: [[UInt8]: [LearnedBaselines.Place]] = [:]
        for place in places {
            for group in learned.groups(at: place, startMs: closing.window.startMs)
            where !here.contains(group) {
                absent[group, default: []].append(place)
            }
        }
        for group in absent.keys.sorted(by: { $0.precedes($1) }) {
            guard let places = absent[group],
                let values = GroupValues(
                    part: group, names: plan.stream.segments[index].dimensions.map(\.name))
            else { continue }
            var references: [Int: LearnedReference] = [:]
            var isAwake = volumes.hasBound(segment: index, size: closing.size)
            for place in places {
                let reference = learned.reference(
                    place, group: group, startMs: closing.window.startMs, cellCount: 0)
                guard let reference else { continue }
                references[place.baseline] = reference
                if isAwake { continue }
                isAwake = !learned.isAsleep(
                    place, group: group, startMs: closing.window.startMs, reference)
            }
            guard isAwake, let owner = places.first else { continue }
            let before = learned.silence(owner, group: group)
            var now: [UInt8]?
            judgeVolume(values, RowCounts(), segment: index, references, closing, &tally, emit) {
                now = Array($0.verdicts.map(\.verdict.rawValue).joined(separator: ",").utf8)
                return now != before
            }
            if let now { learned.setSilence(owner, group: group, now) }
            for place in places {
                learned.learn(
                    place, group: group, closing, rows: 0, isPresent: false, cells: [],
                    alerts: alerts)
            }
        }
    }

    private func record(
        _ cell: GroupCell, _ place: Int, _ segment: SegmentPlan, _ closing: WindowClosing,
        _ view: KLLView?, _ frequent: borrowing FrequentItems,
        _ registers: HLLSketch.RegisterCounts?
    ) -> AggregateRecord {
        let shape = cell.shape.columns[place]
        let column = shape.column
        var record = AggregateRecord(
            topology: plan.name, revision: plan.revision, operatorName: segment.name,
            group: cell.shape.values, column: column.name, role: column.role.rawValue,
            isNumeric: column.type.isNumeric, window: closing.window, rev: closing.rev,
            complete: closing.complete, backfill: closing.backfill)
        record.rows = cell.rowCounts(place)
        let summary = column.summary
        switch shape.sums {
        case .exact(let sums):
            let numeric = unsafe cell.exact[place]
            if summary.range, numeric.count > 0 {
                (record.min, record.max) = (numeric.min, numeric.max)
            }
            if summary.moments {
                record.mean = numeric.mean(sums)
                record.sd = numeric.sd(sums)
            }
        case .ordered:
            let numeric = unsafe cell.ordered[place]
            if summary.range, numeric.count > 0 {
                (record.min, record.max) = (numeric.min, numeric.max)
            }
            if summary.moments {
                record.mean = numeric.mean
                record.sd = numeric.sd
            }
        case .none: break
        }
        let extent = cell.extent(place)
        if let view, view.count > 0 {
            record.quantiles = summary.quantiles.map { extent.holding($0, view.quantile($0)) }
        } else if shape.wantsRun {
            let values = unsafe cell.kll[place].quantiles(summary.quantiles)
            record.quantiles = zip(summary.quantiles, values).map { extent.holding($0, $1) }
        }
        if shape.wantsRun { record.quantilesOverflow = extent.isBeyondSingle }
        if let wide = cell.wideQuantiles(place) {
            let values = wide.quantiles(summary.quantiles)
            record.quantiles = zip(summary.quantiles, values).map { extent.holding($0, $1) }
        }
        if shape.hasHistogram, column.type.isNumeric, let binning = shape.binnings.first {
            let cells = unsafe cell.cells(binning)
            let outer = binning.isOpen ? 0 : 1
            let counts = (outer..<cells.count - outer).map {
                Int64(truncatingIfNeeded: unsafe cells[$0])
            }
            record.histogram = HistogramRecord(
                edges: binning.baseline.map { labels[$0] } ?? "declared",
                under: outer == 0 ? 0 : Int64(truncatingIfNeeded: unsafe cells[0]), counts: counts,
                over: outer == 0
                    ? 0 : Int64(truncatingIfNeeded: unsafe cells[cells.count - 1]))
        }
        cell.describeParts(place, into: &record)
        if let category = cell.categories[place], record.rows.value > 0 {
            if summary.distinctLgK != nil, let registers {
                let (estimate, lower, upper) = category.distinct.estimateAndBounds(
                    standardDeviations: 2, registers)
                record.distinct = DistinctRecord(
                    estimate: estimate, lower: lower, upper: upper)
            }
            if let count = summary.topCount {
                record.top = frequent.top(count).map {
                    TopItem(
                        value: $0.bytes, count: Int64($0.estimate), lower: Int64($0.lower),
                        upper: Int64($0.upper))
                }
            }
        }
        return record
    }
}
