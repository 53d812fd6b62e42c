import TidemarkDataflow

/// What monitors and metrics want of a learned baseline in a segment.
struct LearnedUse {
    var baseline: Int
    var sizes: Set<Int>
    /// Places of columns in the segment; behind them all, of what metrics take of each.
    var columns: [Int]
    /// Those of them of which it is kept what became of their rows.
    var rowColumns: [Int]
    /// Columns of metrics of which the value of each window is kept.
    var values: [Int]
    /// Places of columns in the segment of which it is kept which values there were.
    var seen: [Int]
    /// Those that compare with it.
    var monitors: Set<Int>
    /// All groups learn one together.
    var isPooled: Bool

    /// What is wanted of each learned baseline in a segment; those that nobody wants are left out.
    static func all(in segment: Int, _ stream: StreamPlan) -> [LearnedUse] {
        stream.baselines.indices.compactMap { LearnedUse($0, in: segment, stream) }
    }

    private init?(_ baseline: Int, in index: Int, _ stream: StreamPlan) {
        let segment = stream.segments[index]
        let places = stream.monitors.indices.filter {
            stream.monitors[$0].baseline == baseline
                && stream.monitors[$0].segments.contains(index)
        }
        let monitors = places.map { stream.monitors[$0] }
        let metrics = stream.metricUse(of: baseline)
        guard let learning = stream.baselines[baseline].learning,
            !monitors.isEmpty || metrics != nil
        else { return nil }
        let columns = segment.columns.indices.filter { place in
            monitors.contains {
                $0.needsCells && $0.columns.contains(segment.columns[place])
            } || metrics?.cells.contains(segment.columns[place]) ?? false
        }
        let taken = segment.columns.indices.filter {
            metrics?.values.contains(segment.columns[$0]) ?? false
        }
        self.baseline = baseline
        sizes = Set(monitors.flatMap(\.windows) + (metrics == nil ? [] : segment.windows))
        self.columns = columns + taken.map { segment.columns.count + $0 }
        rowColumns = segment.columns.indices.filter { place in
            monitors.contains { $0.asksEntries && $0.columns.contains(segment.columns[place]) }
        }
        values = Set(monitors.filter(\.keepsValues).flatMap(\.columns)).sorted()
        seen = segment.columns.indices.filter { place in
            monitors.contains { $0.asksSeen && $0.columns.contains(segment.columns[place]) }
        }
        self.monitors = Set(places)
        isPooled = learning.isPooled
    }
}
