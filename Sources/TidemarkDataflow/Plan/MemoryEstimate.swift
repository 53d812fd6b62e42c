import TidemarkCore
import TidemarkLanguage

/// About how much memory groups take, from the plan alone: what `limits.memory` is held against before
/// anything runs.
///
/// Sketches are counted as they are after 10,000 rows of a group in a pane or window (ten times as many
/// rows take KLL to twice that); a text column with more different values than its frequent items keep
/// is counted at its usual size, not at its largest. `MemoryTests` holds the numbers against real cells.
package struct MemoryEstimate: Sendable, Equatable {
    /// Rows of one cell that wait to be folded together, where there are many cells.
    package static let waitingRowCount = 48

    /// Bytes of one group with all its columns, by place of the segment.
    ///
    /// Everywhere that it stands at once: open panes of a partition, slices of all window lengths,
    /// learned windows.
    package let groupBytes: [Int]

    /// The estimate for a plan.
    ///
    /// - Complexity: O(segments × columns × monitors).
    package init(_ plan: Plan) {
        let stream = plan.stream
        let bound = stream.source.outOfOrdernessMs
        groupBytes = stream.segments.enumerated().map { index, segment in
            let cell = Self.cellBytes(segment, stream)
            let paneCount = 1 + (bound + stream.paneMs - 1) / stream.paneMs
            let sliceCount = segment.windows.reduce(Int64(0)) { sum, size in
                let window = stream.windows[size]
                // Where windows overlap much, what has come of a block is kept beside its slices.
                let prefixCount: Int64 = window.sliceCount > 2 ? 1 : 0
                return sum + prefixCount
                    + (window.lengthMs + bound + window.stepMs - 1) / window.stepMs
            }
            // A pane that is shorter than every window has fewer rows: sketches are smaller there.
            let isWhole = stream.windows.contains { $0.lengthMs == stream.paneMs }
            let waiting = Self.waitingRowCount * 8 * (segment.columns.count + 2)
            return ((isWhole ? cell : cell / 3) + waiting) * Int(paneCount)
                + cell * Int(sliceCount)
                + Self.learnedBytes(index, stream)
        }
    }

    /// How many groups of one segment, with all their columns, so many bytes hold.
    package func groupCount(segment: Int, bytes: Int) -> Int { max(0, bytes) / groupBytes[segment] }

    /// All segments, with so many groups each.
    package func bytes(groupCounts: [Int]) -> Int {
        zip(groupBytes, groupCounts).reduce(0) { sum, segment in
            let (bytes, isOver) = segment.0.multipliedReportingOverflow(by: segment.1)
            return isOver ? .max / 64 : sum + bytes
        }
    }

    /// A group with its columns in one pane or window, bytes.
    package static func cellBytes(_ segment: SegmentPlan, _ stream: StreamPlan) -> Int {
        segment.columns.reduce(512) { $0 + columnBytes(stream.columns[$1], $1, stream) }
    }

    private static func columnBytes(_ column: ColumnPlan, _ place: Int, _ stream: StreamPlan) -> Int
    {
        let summary = column.summary
        var bytes = 400
        // A list of counters for each baseline, and of the histogram.
        let baselines = Set(
            stream.monitors.filter { $0.columns.contains(place) && $0.baseline >= 0 }
                .map(\.baseline))
        var lists = baselines.count
        if summary.histogram != nil { lists = max(1, lists) }
        bytes += lists * 26 * 8
        if column.type.isNumeric, !summary.quantiles.isEmpty {
            switch summary.quantileSketch {
            case .kll: bytes += 10 * summary.kllK + 5_200
            case .kllDoubles: bytes += 20 * summary.kllK + 10_400
            case .ddsketch: bytes += 6_500
            }
        }
        if column.type.isText {
            if let lgK = summary.distinctLgK { bytes += 1 << lgK }
            if summary.topCount != nil { bytes += 11_000 }
        }
        if summary.shape { bytes += 600 }
        if summary.logLinear { bytes += 6_500 }
        if let count = summary.valueCountMax { bytes += 64 * count }
        if let count = summary.sampleCount { bytes += 96 * count }
        if summary.countsRepeats { bytes += 4_096 * 64 }
        if summary.keepsSeen { bytes += 2 * 512 * 16 }
        bytes += 8 * column.tallies.count
        if summary.metricSums { bytes += 1_150 }
        if summary.metricQuantiles { bytes += 6_500 }
        for part in summary.parts { bytes += part.cellBytes }
        return bytes
    }

    /// What learned baselines keep of a group: 1.5 bytes a cell and window.
    private static func learnedBytes(_ index: Int, _ stream: StreamPlan) -> Int {
        var bytes = 0
        for (number, baseline) in stream.baselines.enumerated() {
            guard let learning = baseline.learning else { continue }
            let monitors = stream.monitors.filter {
                $0.baseline == number && $0.segments.contains(index)
            }
            let metrics = stream.metricUse(of: number)
            let columns = Set(monitors.flatMap(\.columns)).union(metrics?.cells ?? []).count
            // Of few values a few bytes, of many up to 16 KiB.
            let seen = Set(monitors.filter(\.asksSeen).flatMap(\.columns)).count
            // Sums have some two hundred digits, most of which are 0.
            let values = (metrics?.values ?? []).reduce(0) {
                $0 + (stream.learnedTake(of: $1) == .sums ? 240 : 8)
            }
            let sizes = metrics == nil ? [] : stream.segments[index].windows
            for size in Set(monitors.flatMap(\.windows) + sizes) {
                // Of the pool there is one, and not one for each group.
                if learning.isPooled { continue }
                let windows = learning.keptCount(lengthMs: stream.windows[size].lengthMs)
                let kept = learning.span == .first ? 6 : Int(windows)
                bytes += 256 + kept * (48 + columns * 24 * 3 / 2 + values + seen * 2_048)
            }
        }
        return bytes
    }
}
