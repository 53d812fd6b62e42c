import TidemarkDataflow
import TidemarkRecords

/// What is learned of a group's windows, as the reference of a later one.
struct LearnedReference {
    var progress: LearnedProgress
    var isInForce = false
    /// Counts of all cells of the learned columns, one column after the other.
    var cells: [UInt64] = []
    /// By place of the column in its segment: where its cells are.
    var ranges: [Int: Range<Int>] = [:]
    /// Σ rows² over the windows that `progress` counts.
    var squares: UInt128 = 0
}

/// What was learned of a group by the start of a window, by baseline.
package struct WindowReferences {
    private var byBaseline: [Int: LearnedReference] = [:]

    init() {}

    /// By place in `StreamPlan.baselines`; `nil`: nothing is learned there.
    subscript(baseline: Int) -> LearnedReference? {
        get { byBaseline[baseline] }
        set { byBaseline[baseline] = newValue }
    }
}
