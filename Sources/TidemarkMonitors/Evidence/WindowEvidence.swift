package import TidemarkCore
package import TidemarkDataflow
import TidemarkDrift

/// What a window holds of a column of a group, or of the group as a whole, as monitors see it.
///
/// It looks at counts that somebody else keeps, and so is made for a judgement and not kept: on the stack,
/// without an allocation.
@safe
package struct WindowEvidence: ~Copyable {
    /// Which window.
    package let closing: WindowClosing
    /// Place in `StreamPlan.segments`.
    package let segment: Int
    /// Place in `StreamPlan.columns`; `nil`: the group as a whole.
    package let column: Int?
    /// The part of the group, as keys have it.
    package let part: [UInt8]
    /// How its rows were counted.
    package let rows: RowCounts
    /// The column holds numbers.
    let isNumeric: Bool
    /// How values were counted into cells.
    let binnings: [Binning]
    /// Place of the binning in which baselines are learned; `nil`: none is.
    let learned: Int?
    /// The smallest and the largest value; `nil` where that isn't known.
    let range: ClosedRange<Double>?
    /// Place of the column in its segment.
    let place: Int
    /// What was learned of the group by the window's start.
    let references: WindowReferences
    /// The counters of all binnings.
    private let counters: UnsafePointer<UInt64>?

    /// A column of a group.
    ///
    /// - `place`: of the column in its segment.
    /// - `learned`: place of the binning in which baselines are learned.
    /// - `counters`: those of all binnings.
    /// - Precondition: the counters outlive what is made of them, and don't change.
    @unsafe
    package init(
        _ closing: WindowClosing, segment: Int, column: Int, place: Int, part: [UInt8],
        rows: RowCounts, isNumeric: Bool, binnings: [Binning], learned: Int?,
        range: ClosedRange<Double>?, references: WindowReferences,
        counters: UnsafePointer<UInt64>
    ) {
        self.closing = closing
        self.segment = segment
        self.column = column
        self.place = place
        self.part = part
        self.rows = rows
        self.isNumeric = isNumeric
        self.binnings = binnings
        self.learned = learned
        self.range = range
        self.references = references
        unsafe self.counters = counters
    }

    /// A group as a whole.
    init(
        _ closing: WindowClosing, segment: Int, part: [UInt8], rows: RowCounts,
        references: WindowReferences
    ) {
        self.closing = closing
        self.segment = segment
        column = nil
        place = 0
        self.part = part
        self.rows = rows
        isNumeric = false
        binnings = []
        learned = nil
        range = nil
        self.references = references
        unsafe counters = nil
    }

    /// Counts of the cells of a binning.
    func cells(_ binning: Int) -> UnsafeBufferPointer<UInt64> {
        guard let counters = unsafe counters else {
            return unsafe UnsafeBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeBufferPointer(
            start: counters + binnings[binning].cellStart, count: binnings[binning].cellCount)
    }

    /// Values in all cells of a binning.
    func valueCount(_ binning: Int) -> UInt64 {
        let counts = unsafe cells(binning)
        var sum: UInt64 = 0
        for cell in 0..<counts.count { unsafe sum &+= counts[cell] }
        return sum
    }

    /// Runs a test on the window and a reference that was counted into the same cells.
    ///
    /// - `valueCount`: of the window.
    func compare(
        _ binning: Int, valueCount: UInt64, with reference: ReferenceCounts,
        by test: any TwoSampleTest.Type
    ) -> TestResult? {
        let boundaries = unsafe binnings[binning].boundaries
        let now = unsafe Evidence(
            counts: cells(binning), valueCount: valueCount, boundaries: boundaries, range: range)
        let then = unsafe reference.evidence(boundaries: boundaries)
        return test.compare(now, then)
    }
}
