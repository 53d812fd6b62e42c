package import TidemarkDrift

/// A fixed way to count values into cells.
///
/// The memory of the edges is that of whoever made it.
@safe
package struct Binning: @unchecked Sendable {
    // Immutable once the shape of a column is made.
    /// The baseline whose edges or categories these are; `nil`: declared in the topology.
    package var baseline: Int?
    /// Numbers: edges, ascending; the outer ones may be infinite.
    package var edges: UnsafeMutablePointer<Double>?
    /// How many edges there are.
    package var edgeCount: Int
    /// The outer bins hold the tails, so that nothing is under or over.
    package var isOpen: Bool
    /// Texts: hash of each category, in the order of the baseline.
    package var categories: [UInt64]
    /// Texts without categories: the low bits of a hash are its cell.
    package var isHashed: Bool
    /// Counters: under, bins, over; or categories and other.
    package var counterCount: Int
    /// Where its counters begin among those of the group.
    package var counterStart: Int
    /// An earlier one of the column has the same cells: the counters are that one's.
    package var isShared = false
    /// What the baseline holds of the group and column.
    package var entry: BaselineTable.Entry?
    /// Its counts, as tests want them.
    package var reference: ReferenceCounts?
    /// The entry is that of all rows together, though the file has groups.
    package var isFallback = false
    /// The share of the entry's values in one cell of many: changes within it are not seen.
    package var hiddenShare = 0.0
    /// Texts: the counters of those that the baseline does not know; `nil`: nobody can tell.
    ///
    /// They are one, or as many as `KnownTexts` has cells.
    package var unknownCounters: Range<Int>?

    /// Cells between edges, or of categories, or (without either) of hashes.
    package init(
        baseline: Int? = nil, edges: UnsafeMutablePointer<Double>? = nil, edgeCount: Int = 0,
        isOpen: Bool = false, categories: [UInt64] = [], isHashed: Bool = false,
        counterCount: Int, counterStart: Int
    ) {
        self.baseline = baseline
        unsafe self.edges = unsafe edges
        self.edgeCount = edgeCount
        self.isOpen = isOpen
        self.categories = categories
        self.isHashed = isHashed
        self.counterCount = counterCount
        self.counterStart = counterStart
    }

    /// Cells that are compared: without the outer two where nothing falls into them.
    package var cellCount: Int { isOpen ? counterCount - 2 : counterCount }

    /// The first of them among the group's counters.
    package var cellStart: Int { isOpen ? counterStart + 1 : counterStart }

    /// Where one of them ends and the next begins; none for texts.
    var boundaries: UnsafeBufferPointer<Double> {
        guard let edges = unsafe edges else {
            return unsafe UnsafeBufferPointer(start: nil, count: 0)
        }
        // The outer edges of open bins are infinite.
        return isOpen
            ? unsafe UnsafeBufferPointer(start: edges + 1, count: max(0, edgeCount - 2))
            : unsafe UnsafeBufferPointer(start: edges, count: edgeCount)
    }

    /// The edges of numbers, a copy; empty for texts.
    var edgeValues: [Double] {
        guard let edges = unsafe edges else { return [] }
        return (0..<edgeCount).map { unsafe edges[$0] }
    }

    /// The share of counts in these cells that lies in one of many values.
    ///
    /// Cells by hash are taken for single values: one of them is full where one value is frequent.
    func hiddenShare(of counts: ReferenceCounts) -> Double {
        guard counts.valueCount > 0, !isHashed else { return 0 }
        var cells = counts.counts
        if edgeCount == 0 { return Double(cells.last ?? 0) / Double(counts.valueCount) }
        let outer = isOpen ? 0 : 1
        for atom in entry?.atoms ?? [] {
            let place = (0..<edgeCount).last { unsafe (edges?[$0] ?? .infinity) <= atom }
            if let place, cells.indices.contains(place + outer) { cells[place + outer] = 0 }
        }
        return Double(cells.max() ?? 0) / Double(counts.valueCount)
    }
}
