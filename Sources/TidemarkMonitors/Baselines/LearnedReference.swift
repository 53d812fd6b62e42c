package import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// What a group's window should be like, in the cells of the stream: windows of its own that were learned, those of all
/// groups together, another group in the same window, or what a topic says.
struct LearnedReference {
    var progress: LearnedProgress
    var isInForce = false
    /// The group is what others are compared with: nothing is said of it.
    var isItself = false
    /// Counts of all cells of the learned columns, one column after the other.
    var cells: [UInt64] = []
    /// By place of the column in its segment: where its cells are.
    var ranges: [Int: Range<Int>] = [:]
    /// The start of the group's first window with rows; `nil`: none is over yet.
    var beganMs: Int64?
    /// Σ rows² over the windows that `progress` counts.
    var squares: UInt128 = 0
    /// By place of the column in its segment: what became of its rows, where that is kept.
    var rows: [Int: RowCounts] = [:]
    /// By place of the column in its segment: which values there were, where that is kept.
    var seen: [Int: SeenCounts] = [:]
    /// By place of the metric's column in the plan: its values in windows that have one, in their order.
    var values: [Int: [Double]] = [:]
    /// As records name it; `nil`: as the plan does.
    var label: String?

    /// Why there is nothing to compare a column with: it is not whole yet, or has nothing of the group.
    func verdict(lacking place: Int) -> Verdict {
        isInForce && ranges[place] == nil ? .noBaseline : .learning
    }
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

extension WindowReferences {
    /// What metrics take of a baseline of the stream; `nil`: it is not whole, or is the group itself.
    package func learned(_ baseline: Int) -> LearnedAmounts? {
        guard let reference = byBaseline[baseline], reference.isInForce, !reference.isItself else {
            return nil
        }
        return LearnedAmounts(reference)
    }
}

extension WindowReferences {
    /// What a baseline in force says became of a column's rows, by its place in the segment; `nil`: nothing.
    package func rows(_ baseline: Int, place: Int) -> RowCounts? {
        guard let reference = byBaseline[baseline], reference.isInForce else { return nil }
        return reference.rows[place]
    }
}

/// What was learned of a group's windows, added up.
package struct LearnedAmounts {
    private let reference: LearnedReference

    fileprivate init(_ reference: LearnedReference) { self.reference = reference }

    /// How many windows it was learned of.
    package var windows: Int64 { reference.progress.windows }
    /// Rows in all of them.
    package var rows: Int64 { reference.progress.rows }

    /// What was learned at a place: that of a column in the segment, or behind them all of what metrics take of it.
    package subscript(place: Int) -> ArraySlice<UInt64>? {
        guard let range = reference.ranges[place] else { return nil }
        return reference.cells[range]
    }
}

/// What a group holds of a window that closes, in the cells in which baselines are learned.
package struct GroupCounts {
    /// Rows of the group.
    package var rows: Int64
    /// Counts of the cells of a column, by its place in the segment.
    package var cells: (Int) -> [UInt64]
    /// What became of the rows of a column, by its place in the segment.
    package var rowCounts: (Int) -> RowCounts
    /// The value of a metric, by the place of its column in the plan; `nil`: it has none.
    package var value: (Int) -> Double? = { _ in nil }
    /// Which values of a column there were, by its place in the segment; `nil`: nobody keeps it.
    package var seen: (Int) -> SeenCounts? = { _ in nil }

    package init(
        rows: Int64, cells: @escaping (Int) -> [UInt64],
        rowCounts: @escaping (Int) -> RowCounts
    ) {
        self.rows = rows
        self.cells = cells
        self.rowCounts = rowCounts
    }
}

/// What a baseline learns of what became of a column's rows: counts that are added up.
extension RowCounts {
    /// How many counts that are.
    static let learnedCount = 5

    var learned: [UInt64] {
        [value, null, missing, wrongType, nonFinite].map { UInt64(clamping: $0) }
    }

    /// Of counts that were added up; the first of the slice are taken.
    init(learned: ArraySlice<UInt64>) {
        self.init()
        let counts = learned.prefix(Self.learnedCount).map { Int64(clamping: $0) }
        (value, null, missing) = (counts[0], counts[1], counts[2])
        (wrongType, nonFinite) = (counts[3], counts[4])
        total = counts.reduce(0, +)
    }
}
