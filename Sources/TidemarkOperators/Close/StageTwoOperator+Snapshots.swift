import TidemarkCore
package import TidemarkDataflow
import TidemarkMonitors
import TidemarkSketches
import TidemarkText

/// Open windows as state entries, and back: slice by slice.
extension StageTwoOperator {
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
        monitors.resume(throughMs: max(throughMs, publishedThroughMs))
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

    /// What a slice holds by itself: a suffix aggregate shares groups with the one behind it.
    private func own(
        _ window: TwoStackWindow<[SegmentWindow]>, at index: Int64
    ) -> [SegmentWindow] {
        let slice = window[index] ?? emptySlice
        guard let next = window.suffix(after: index) else { return slice }
        return zip(slice, next).map { $0.own(beside: $1) }
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
}
