import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Other groups as baselines: champion against challenger, one region against another.
///
/// Both are groups of one segment in one window, and all of them are at hand when it closes. So there is no state,
/// and the result is the same for any number of workers.
struct OtherGroups {
    /// What monitors want of such a baseline in a segment.
    private struct Use {
        var baseline: Int
        var plan: OtherGroupPlan
        var sizes: Set<Int>
        /// Places of columns in the segment.
        var columns: [Int]
    }

    /// By segment.
    private let uses: [[Use]]

    init(plan: Plan) {
        let stream = plan.stream
        uses = stream.segments.enumerated().map { index, segment in
            stream.baselines.indices.compactMap { baseline in
                let monitors = stream.monitors.filter {
                    $0.baseline == baseline && $0.segments.contains(index)
                }
                let metrics = stream.metricUse(of: baseline)
                guard let other = stream.baselines[baseline].other,
                    !monitors.isEmpty || metrics != nil
                else { return nil }
                return Use(
                    baseline: baseline, plan: other,
                    sizes: Set(
                        monitors.flatMap(\.windows) + (metrics == nil ? [] : segment.windows)),
                    columns: segment.columns.indices.filter { place in
                        monitors.contains { $0.columns.contains(segment.columns[place]) }
                            || metrics?.cells.contains(segment.columns[place]) ?? false
                    })
            }
        }
    }

    /// Whether groups of a segment are compared with each other in windows of a length.
    func areWanted(segment: Int, size: Int) -> Bool {
        uses[segment].contains { $0.sizes.contains(size) }
    }

    /// Adds the groups that a group is compared with.
    ///
    /// - `counts`: what the window holds of a group, by its part; `nil`: no row of it, or it is beyond the limit.
    func add(
        _ values: GroupValues, segment: Int, _ closing: WindowClosing,
        counts: ([UInt8]) -> GroupCounts?, to found: inout WindowReferences
    ) {
        for use in uses[segment] where use.sizes.contains(closing.size) {
            guard let group = use.plan.group(of: values) else {
                var reference = LearnedReference(progress: progress(use.plan, rows: 0))
                reference.isItself = true
                found[use.baseline] = reference
                continue
            }
            guard let other = counts(group.part) else {
                found[use.baseline] = LearnedReference(progress: progress(use.plan, rows: 0))
                continue
            }
            var reference = LearnedReference(progress: progress(use.plan, rows: other.rows))
            reference.isInForce = other.rows >= use.plan.minRows
            reference.squares = UInt128(other.rows) * UInt128(other.rows)
            for place in use.columns {
                let cells = other.cells(place)
                let start = reference.cells.count
                reference.ranges[place] = start..<start + cells.count
                reference.cells += cells
                reference.rows[place] = other.rowCounts(place)
                reference.seen[place] = other.seen(place)
            }
            found[use.baseline] = reference
        }
    }

    private func progress(_ plan: OtherGroupPlan, rows: Int64) -> LearnedProgress {
        LearnedProgress(
            windows: rows > 0 ? 1 : 0, windowsNeeded: 1, rows: rows, rowsNeeded: plan.minRows)
    }
}
