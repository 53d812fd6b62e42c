import TidemarkDataflow

/// What monitors and metrics want in a segment of a baseline that is asked for anew with each window: nothing is learned
/// of it.
struct BaselineUse {
    /// Place in `StreamPlan.baselines`.
    var baseline: Int
    /// Lengths of windows that are compared with it.
    var sizes: Set<Int>
    /// Places of columns in the segment.
    var columns: [Int]

    /// By segment, what is wanted of the baselines that are meant; those that nobody wants are left out.
    static func all(
        _ stream: StreamPlan, where isMeant: (BaselinePlan) -> Bool
    ) -> [[BaselineUse]] {
        stream.segments.indices.map { segment in
            stream.baselines.indices.compactMap { baseline in
                isMeant(stream.baselines[baseline])
                    ? BaselineUse(baseline, in: segment, stream) : nil
            }
        }
    }

    private init?(_ baseline: Int, in index: Int, _ stream: StreamPlan) {
        let segment = stream.segments[index]
        let monitors = stream.monitors.filter {
            $0.baseline == baseline && $0.segments.contains(index)
        }
        let metrics = stream.metricUse(of: baseline)
        guard !monitors.isEmpty || metrics != nil else { return nil }
        self.baseline = baseline
        sizes = Set(monitors.flatMap(\.windows) + (metrics == nil ? [] : segment.windows))
        columns = segment.columns.indices.filter { place in
            monitors.contains { $0.columns.contains(segment.columns[place]) }
                || metrics?.cells.contains(segment.columns[place]) ?? false
        }
    }
}
