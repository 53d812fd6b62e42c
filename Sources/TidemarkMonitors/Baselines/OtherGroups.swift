import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Other groups as baselines: champion against challenger, one region against another.
///
/// Both are groups of one segment in one window, and all of them are at hand when it closes. So there is no state,
/// and the result is the same for any number of workers.
struct OtherGroups {
    private let stream: StreamPlan
    /// By segment.
    private let uses: [[BaselineUse]]

    init(plan: Plan) {
        stream = plan.stream
        uses = BaselineUse.all(plan.stream) { $0.other != nil }
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
            guard let plan = stream.baselines[use.baseline].other else { continue }
            guard let group = plan.group(of: values) else {
                var reference = LearnedReference(progress: progress(plan, rows: 0))
                reference.isItself = true
                found[use.baseline] = reference
                continue
            }
            guard let other = counts(group.part) else {
                found[use.baseline] = LearnedReference(progress: progress(plan, rows: 0))
                continue
            }
            var reference = LearnedReference(progress: progress(plan, rows: other.rows))
            reference.isInForce = other.rows >= plan.minRows
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
