package import TidemarkCore
package import TidemarkDataflow
import TidemarkDrift
package import TidemarkRecords

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
    /// What the baselines that quality compares with hold of the group and column.
    let entries: [BaselineEntry]
    /// By check of quality, the place of the counter of its rows among those of the group.
    private let tallies: [(check: String, counter: Int)]
    /// What is known of ids that came again; `nil`: nobody counts them.
    let repeats: IDRepeats?
    /// Which values there were; `nil`: nobody keeps it.
    let seen: SeenCounts?
    /// The metrics of the group, in the order of the plan; none where a column is judged.
    let metrics: [MetricRecord]
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
        counted: ColumnCounts = ColumnCounts(), counters: UnsafePointer<UInt64>
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
        entries = counted.entries
        tallies = counted.tallies
        repeats = counted.repeats
        seen = counted.seen
        metrics = []
        unsafe self.counters = counters
    }

    /// A group as a whole, or a metric of it.
    ///
    /// - `column`: that of the metric.
    /// - `metrics`: all of the group, in the order of the plan.
    package init(
        _ closing: WindowClosing, segment: Int, column: Int? = nil, part: [UInt8],
        rows: RowCounts, references: WindowReferences, metrics: [MetricRecord] = []
    ) {
        self.metrics = metrics
        self.closing = closing
        self.segment = segment
        self.column = column
        place = 0
        self.part = part
        self.rows = rows
        isNumeric = false
        binnings = []
        learned = nil
        range = nil
        self.references = references
        entries = []
        tallies = []
        repeats = nil
        seen = nil
        unsafe counters = nil
    }

    /// Rows that were counted for a check of quality; `nil`: nobody counts them.
    func tally(_ check: String) -> Int64? {
        guard let counters = unsafe counters,
            let place = tallies.first(where: { $0.check == check })
        else { return nil }
        return Int64(truncatingIfNeeded: unsafe counters[place.counter])
    }

    /// Values that the baseline of a binning does not know, by cell; `nil`: nobody can tell.
    func unknownCounts(_ binning: Int) -> [Int64]? {
        guard let counters = unsafe counters, let places = binnings[binning].unknownCounters else {
            return nil
        }
        return places.map { Int64(truncatingIfNeeded: unsafe counters[$0]) }
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

    /// What a baseline holds of the column, in cells of the window; `nil`: nothing, or not yet.
    ///
    /// - `isOfStream`: it is no file.
    func comparable(with baseline: Int, isOfStream: Bool) -> ComparableCells? {
        guard isOfStream else {
            guard let place = binnings.firstIndex(where: { $0.baseline == baseline }),
                let known = binnings[place].reference
            else { return nil }
            return ComparableCells(
                binning: place, reference: known, hiddenShare: binnings[place].hiddenShare)
        }
        guard let found = references[baseline], found.isInForce, let own = learned,
            let range = found.ranges[place], range.count == binnings[own].cellCount
        else { return nil }
        let reference = ReferenceCounts(found.cells[range])
        return ComparableCells(
            binning: own, reference: reference,
            hiddenShare: binnings[own].hiddenShare(of: reference))
    }

    /// How far the column differs from a baseline by a test, in the test's own unit of size; `nil`: it can't be told.
    ///
    /// - `isOfStream`: the baseline is no file.
    package func effect(of test: String, against baseline: Int, isOfStream: Bool) -> Double? {
        guard let type = TwoSample.named(test),
            isOfStream
                || binnings.contains(where: { $0.baseline == baseline && !$0.isFallback }),
            !(references[baseline]?.isItself ?? false),
            let cells = comparable(with: baseline, isOfStream: isOfStream)
        else { return nil }
        return compare(
            cells.binning, valueCount: valueCount(cells.binning), with: cells.reference, by: type
        )?.effect
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

/// What a window can be compared with.
struct ComparableCells {
    /// Place of the binning among the column's.
    var binning: Int
    /// What the baseline counted into its cells.
    var reference: ReferenceCounts
    /// The share of that in one cell of many values.
    var hiddenShare: Double
}

/// What a baseline holds of a group and column.
package struct BaselineEntry: Sendable {
    /// Place in `StreamPlan.baselines`.
    package var baseline: Int
    /// What it holds.
    package var entry: BaselineTable.Entry
    /// It is that of all rows together, though the file has groups.
    package var isFallback: Bool

    package init(baseline: Int, entry: BaselineTable.Entry, isFallback: Bool) {
        self.baseline = baseline
        self.entry = entry
        self.isFallback = isFallback
    }
}

/// What checks of quality ask of a column beside its rows and cells.
package struct ColumnCounts: Sendable {
    /// What baselines hold of the group and column.
    package var entries: [BaselineEntry] = []
    /// By check, the place of the counter of its rows among those of the group.
    package var tallies: [(check: String, counter: Int)] = []
    /// What is known of ids that came again; `nil`: nobody counts them.
    package var repeats: IDRepeats?
    /// Which values there were; `nil`: nobody keeps it.
    package var seen: SeenCounts?

    package init() {}
}
