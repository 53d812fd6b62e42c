/// One side of a comparison: how its values fell into cells.
///
/// It looks at counts and edges that somebody else keeps, and so is made for a comparison and not
/// kept: 80 bytes on the stack, no allocation.
@safe
package struct Evidence: ~Copyable {
    private let counts: UnsafeBufferPointer<UInt64>
    private let boundaries: UnsafeBufferPointer<Double>
    /// Values in all cells.
    package let valueCount: UInt64
    /// The smallest and the largest value; nil where that isn't known.
    package let range: ClosedRange<Double>?

    /// The side with these counts.
    ///
    /// `valueCount`: their sum. `boundaries`: where one cell ends and the next begins, ascending: one
    /// fewer than cells, or none where cells have no edges. The first cell holds all that is smaller,
    /// the last one what is left.
    /// - Precondition: whatever the buffers point to outlives the evidence, and doesn't change.
    @unsafe
    package init(
        counts: UnsafeBufferPointer<UInt64>, valueCount: UInt64,
        boundaries: UnsafeBufferPointer<Double>, range: ClosedRange<Double>?
    ) {
        unsafe self.counts = counts
        unsafe self.boundaries = boundaries
        self.valueCount = valueCount
        self.range = range
    }

    /// How many cells there are.
    package var cellCount: Int { unsafe counts.count }

    /// Values in a cell.
    package func count(_ cell: Int) -> UInt64 {
        precondition(cell >= 0 && cell < cellCount, "a cell of the side")
        return unsafe counts[cell]
    }

    /// The share of all values that lies in a cell.
    package func share(_ cell: Int) -> Double { Double(count(cell)) / Double(valueCount) }

    /// How many boundaries there are: one fewer than cells, or none where cells have no edges.
    package var boundaryCount: Int { unsafe boundaries.count }

    /// Where a cell ends and the next begins.
    package func boundary(_ cell: Int) -> Double {
        precondition(cell >= 0 && cell < boundaryCount, "a boundary between two cells")
        return unsafe boundaries[cell]
    }

    /// Whether this and another side can be compared: the same cells, and values on both sides.
    ///
    /// - Precondition: both have the same number of cells.
    package func isComparable(with other: borrowing Evidence) -> Bool {
        precondition(cellCount == other.cellCount, "both sides have the same cells")
        return valueCount > 0 && other.valueCount > 0
    }
}

/// The side that many windows are compared with: its counts, summed once.
@safe
package final class ReferenceCounts: @unchecked Sendable {
    // Immutable after `init`; the memory of the counts is its own.
    private let memory: UnsafeMutableBufferPointer<UInt64>
    /// Values in all cells.
    package let valueCount: UInt64
    /// The smallest and the largest value; nil where that isn't known.
    package let range: ClosedRange<Double>?

    /// A side with these counts.
    package convenience init(_ counts: [UInt64], range: ClosedRange<Double>? = nil) {
        self.init(counts[...], range: range)
    }

    /// A side with these counts.
    package init(_ counts: ArraySlice<UInt64>, range: ClosedRange<Double>? = nil) {
        unsafe memory = .allocate(capacity: counts.count)
        _ = unsafe memory.initialize(from: counts)
        valueCount = counts.reduce(0, &+)
        self.range = range
    }

    deinit { unsafe memory.deallocate() }

    /// Of all cells, in order: a copy.
    package var counts: [UInt64] { unsafe Array(memory) }

    /// This as one side of a comparison; `boundaries` as `Evidence` wants them.
    ///
    /// - Precondition: this and the boundaries outlive what is returned.
    @unsafe
    package func evidence(boundaries: UnsafeBufferPointer<Double>) -> Evidence {
        unsafe Evidence(
            counts: UnsafeBufferPointer(memory), valueCount: valueCount, boundaries: boundaries,
            range: range)
    }
}
