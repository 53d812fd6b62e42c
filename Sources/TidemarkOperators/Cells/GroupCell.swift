import TidemarkCore
import TidemarkDataflow
import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches

/// What is known of a text column in a group: the mergeable form.
///
/// It belongs to its cell.
final class CategorySummary: @unchecked Sendable {
    var valueCount: Int64 = 0
    /// Order-free.
    var distinct: HLLSketch
    /// Ordered.
    var frequent = FrequentItems()

    init(_ plan: ColumnSummary) {
        let type: HLLType =
            switch plan.registerBits {
            case 4: .hll4
            case 6: .hll6
            default: .hll8
            }
        distinct = HLLSketch(lgK: plan.distinctLgK ?? 12, type: type)
    }

    private init(_ other: CategorySummary) {
        valueCount = other.valueCount
        distinct = other.distinct.copy()
        frequent = other.frequent.copy()
    }

    func copy() -> CategorySummary { CategorySummary(self) }

    var byteCount: Int { distinct.byteCount + frequent.byteCount }

    /// Forgets all texts.
    func reset() {
        valueCount = 0
        distinct.reset()
        frequent.reset()
    }
}

/// Everything that is kept of one group in one pane, and later in one window: counts, sums, bins
/// and sketches of each watched column.
///
/// One object takes all three places (open pane, partial, window), so that folding and merging are
/// the only verbs. It has one owner at a time and moves between threads with the partial that holds
/// it.
///
/// - Memory: about 200 bytes a numeric column, its bins, and its sketches.
@safe
final class GroupCell: @unchecked Sendable {
    // The owner is whoever holds the pane or window.
    let shape: GroupShape
    var rowCount: Int64 = 0
    var lateCount: Int64 = 0
    var quarantinedCount: Int64 = 0
    /// Null, missing, wrong type, non-finite: four a column.
    let states: UnsafeMutablePointer<Int64>
    let exact: UnsafeMutablePointer<NumericCell>
    let ordered: UnsafeMutablePointer<OrderedCell>
    let kll: UnsafeMutablePointer<KLLSketch>
    let counters: UnsafeMutablePointer<UInt64>
    /// Texts of an open pane.
    let codes: UnsafeMutablePointer<CodeCounter>
    let categories: [CategorySummary?]
    /// By column; empty where no column has any.
    private let parts: [[any CellPart]]
    let correlations: [CorrelationCell]
    private let columnCount: Int
    private let memory: CellMemory
    private let pool: CellPool?

    static let stateCount = 4

    /// A cell without rows; memory is taken from `pool` and given back to it.
    ///
    /// `seed` keys the sketches' random choices. It is made of what the cell is for (group,
    /// partition, pane or slice), so that a replay makes the same ones.
    convenience init(shape: GroupShape, seed: UInt64, pool: CellPool? = nil) {
        let seeds = (0..<shape.columns.count).lazy.map {
            seed &+ UInt64($0) &* 0x9e37_79b9_7f4a_7c15
        }
        self.init(
            shape: shape, memory: pool?.take(shape) ?? CellMemory(shape), pool: pool,
            parts: shape.hasParts
                ? zip(shape.columns, seeds).map {
                    CellParts.make(
                        $0.column.summary, PartContext(seed: $1, topicHash: shape.topicHash),
                        orderFreeOnly: shape.values.isOther)
                } : [],
            correlations: shape.correlations.map { CorrelationCell(places: $0) })
        for index in 0..<columnCount { unsafe kll[index].reset(seed: seeds[index]) }
    }

    /// An equal cell with memory of its own.
    ///
    /// - Precondition: it is no longer in an open pane, so its texts are folded.
    func copy() -> GroupCell {
        let copy = GroupCell(
            shape: shape, memory: CellMemory(copying: memory), pool: nil,
            parts: parts.map { $0.map { $0.copy() } },
            correlations: correlations.map { $0.copy() })
        copy.rowCount = rowCount
        copy.lateCount = lateCount
        copy.quarantinedCount = quarantinedCount
        return copy
    }

    private init(
        shape: GroupShape, memory: CellMemory, pool: CellPool?, parts: [[any CellPart]],
        correlations: [CorrelationCell]
    ) {
        self.shape = shape
        self.memory = memory
        self.pool = pool
        self.parts = parts
        self.correlations = correlations
        columnCount = shape.columns.count
        unsafe states = memory.states
        unsafe exact = memory.exact
        unsafe ordered = memory.ordered
        unsafe counters = memory.counters
        unsafe kll = memory.kll
        unsafe codes = memory.codes
        categories = memory.categories
    }

    /// Begins to fetch the cell itself.
    @inline(__always)
    func prefetch() {
        unsafe prefetchForWriting(Unmanaged.passUnretained(self).toOpaque(), byteCount: 128)
    }

    /// Begins to fetch what folding numbers of a column changes.
    func prefetch(_ index: Int) {
        let column = shape.foldings[index]
        unsafe prefetchForWriting(exact + index, byteCount: MemoryLayout<NumericCell>.size)
        unsafe prefetchForWriting(
            counters + column.counterStart,
            byteCount: min(24, column.edgeCount) * MemoryLayout<UInt64>.size)
        if column.wantsRun {
            unsafe prefetchForWriting(kll + index, byteCount: MemoryLayout<KLLSketch>.size)
        }
    }

    /// Begins to fetch where the sketch's next values go; the sketch itself is there.
    func prefetchRun(_ index: Int) {
        if shape.foldings[index].wantsRun { unsafe kll[index].prefetch() }
    }

    /// Begins to fetch what leads to the columns; the cell itself is there.
    func prefetchShape() {
        unsafe prefetchForWriting(Unmanaged.passUnretained(shape).toOpaque(), byteCount: 64)
    }

    // Another thread folded it: what closing reads is in that one's caches, or in memory.

    /// Begins to fetch what closing reads first; the cell itself is there.
    func prefetchForClosing() {
        unsafe prefetchForReading(
            kll, byteCount: columnCount &* MemoryLayout<KLLSketch>.stride)
        unsafe prefetchForReading(
            exact, byteCount: columnCount &* MemoryLayout<NumericCell>.stride)
        unsafe prefetchForReading(
            counters, byteCount: shape.counterCount &* MemoryLayout<UInt64>.stride)
        unsafe prefetchForReading(
            states, byteCount: columnCount &* Self.stateCount &* MemoryLayout<Int64>.stride)
    }

    /// Begins to fetch the levels of all sketches; `prefetchForClosing` was long ago.
    func prefetchLevels() {
        for index in 0..<columnCount where shape.foldings[index].wantsRun {
            unsafe kll[index].prefetchLevels()
        }
    }

    /// Begins to fetch what a column's sketch holds; `prefetchLevels` was some time ago.
    func prefetchItems(_ index: Int) {
        if index < columnCount, shape.foldings[index].wantsRun { unsafe kll[index].prefetchItems() }
    }

    /// The quantiles of a column that is not kept in KLL over f32.
    func wideQuantiles(_ index: Int) -> WideQuantiles? {
        for part in parts(index) { if let wide = part as? WideQuantiles { return wide } }
        return nil
    }

    /// The frequent texts of a column, sorted in: a copy, as the cell may be part of later windows.
    func settledFrequent(_ index: Int) -> FrequentItems {
        guard let category = categories[index] else { return FrequentItems() }
        return category.frequent.settledCopy()
    }

    /// What a column keeps beside what all columns have.
    func parts(_ index: Int) -> [any CellPart] { shape.hasParts ? parts[index] : [] }

    // Nobody else holds the cell by now, whoever merged or published it.
    deinit { pool?.give(memory) }

    var byteCount: Int {
        var count = memory.byteCount
        for index in 0..<columnCount {
            for part in parts(index) { count += part.byteCount }
        }
        for cell in correlations { count += cell.byteCount }
        return count
    }

    /// Joins what is order-free: the same in any order.
    func mergeOrderFree(_ other: GroupCell) {
        rowCount += other.rowCount
        lateCount += other.lateCount
        quarantinedCount += other.quarantinedCount
        for index in 0..<(columnCount * Self.stateCount) {
            unsafe states[index] += other.states[index]
        }
        let sameCounters = shape.counterCount == other.shape.counterCount
        if sameCounters {
            for index in 0..<shape.counterCount { unsafe counters[index] += other.counters[index] }
        }
        for index in 0..<columnCount {
            unsafe exact[index].merge(other.exact[index])
            CellParts.merge(parts(index), other.parts(index), orderFree: true)
            guard let mine = categories[index], let theirs = other.categories[index] else {
                continue
            }
            mine.valueCount += theirs.valueCount
            mine.distinct.merge(theirs.distinct)
        }
    }

    /// Joins the rest: in the canonical order of panes and partitions.
    func mergeOrdered(_ other: GroupCell) {
        for (mine, theirs) in zip(correlations, other.correlations) { mine.merge(theirs) }
        for index in 0..<columnCount {
            let summary = shape.columns[index].column.summary
            if case .ordered = shape.columns[index].sums {
                unsafe ordered[index].merge(other.ordered[index])
            }
            if !summary.quantiles.isEmpty { unsafe kll[index].merge(other.kll[index]) }
            CellParts.merge(parts(index), other.parts(index), orderFree: false)
            if summary.topCount != nil, let mine = categories[index],
                let theirs = other.categories[index]
            {
                mine.frequent.merge(theirs.frequent)
            }
        }
    }

    /// Rows of the group as a whole.
    var rowCounts: RowCounts {
        var counts = RowCounts()
        counts.total = rowCount
        counts.late = lateCount
        counts.quarantined = quarantinedCount
        return counts
    }

    /// Rows of a column by what became of them.
    func rowCounts(_ index: Int) -> RowCounts {
        var counts = rowCounts
        let base = index * Self.stateCount
        counts.null = unsafe states[base]
        counts.missing = unsafe states[base + 1]
        counts.wrongType = unsafe states[base + 2]
        counts.nonFinite = unsafe states[base + 3]
        counts.value =
            rowCount - counts.null - counts.missing - counts.wrongType - counts.nonFinite
        return counts
    }

    /// The published histogram of a number, as a sketch; nil where there is none.
    func histogram(_ index: Int, nullCount: Int64) -> FrozenHistogram? {
        let shape = shape.columns[index]
        guard shape.hasHistogram, let binning = shape.binnings.first,
            let edges = unsafe binning.edges
        else { return nil }
        return FrozenHistogram(
            edges: (0..<binning.edgeCount).map { unsafe edges[$0] },
            cells: (0..<binning.counterCount).map { unsafe counters[binning.counterStart + $0] },
            nullCount: UInt64(nullCount))
    }

    /// The cells of one binning: under, bins, over; without the outer two where they cannot be.
    ///
    /// They are the cell's own counters.
    func cells(_ binning: Binning) -> UnsafeBufferPointer<UInt64> {
        unsafe UnsafeBufferPointer(
            start: counters + binning.cellStart, count: binning.cellCount)
    }
}
