import TidemarkBatch
import TidemarkCodec
import TidemarkDataflow
import TidemarkKernels

/// When rows wait for more rows of their cell before they are folded.
///
/// It changes what folding costs, and no result.
package struct StagingPolicy: Sendable {
    /// With fewer open cells nothing waits: they stay in the processor's caches.
    package var cellCountMin = 96
    /// A cell that has at least this many rows in the batch is folded at once.
    package var longRunCount = 16
    /// Rows of one cell that wait at most; not less than `longRunCount`.
    package var rowCountMax = MemoryEstimate.waitingRowCount

    package init() {}

    /// Every row is folded with its batch.
    package static var never: StagingPolicy {
        var policy = StagingPolicy()
        policy.cellCountMin = .max
        return policy
    }
}

/// Rows that wait for more rows of their cell.
///
/// Where a batch has a few rows for each of many cells, the cost of a visit to a (cell, column) is
/// that of fetching it from memory, not of adding the rows.
///
/// A row that waits touches two or three cache lines, of a block of its cell, and the cell is folded
/// when the block is full. A block holds the values row by row: numbers, then, where something asks for
/// them, event time, offset and place in the record, then codes; before the rows stand counts of values that were not there.
/// Kernels read a column in place, as rows that lie a fixed number of words apart.
///
/// - Memory: what blocks take counts as memory of panes; what was not needed for a pane's time is given
///   back.
/// - Complexity: no allocation while there are enough blocks.
///
/// The owner is the folder.
@safe
final class RowStaging {
    /// Where a watched column stands in a row.
    enum Place {
        /// A number, so many words from the row's start.
        case number(Int)
        /// A dictionary code, so many halves of a word from the row's start.
        case code(Int)
        /// Nothing: of a time or a free text only rows without a value are counted.
        case none
    }

    let places: [Place]
    /// Whether rows carry event time, offset and place in the record: the words behind the numbers.
    let carriesRecord: Bool
    /// By row of a block: words, and halves of words, from the first row's.
    let wordRows: UnsafeMutablePointer<UInt16>
    let codeRows: UnsafeMutablePointer<UInt16>
    /// By cell of the batch: its block, nil for one that is folded at once.
    let blockOf: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>?>
    let numberCount: Int
    let policy: StagingPolicy

    private let numberColumns: [Int]
    private let codeColumns: [Int]
    private let wordCount: Int
    private let stateWordCount: Int
    private let nextRow: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>>
    private let sources: UnsafeMutablePointer<UnsafePointer<UInt64>>
    private let codeSources: UnsafeMutablePointer<UnsafePointer<UInt32>>
    private let pool: BlockPool

    /// How many rows ahead memory is fetched.
    private static let distance = 16

    /// `columns`: the watched ones, each a place in the frame, and whether it has numbers, or texts that are counted.
    init(
        columns: [(column: Int, isNumbers: Bool, isCounted: Bool)], carriesRecord: Bool,
        policy: StagingPolicy,
        rowCountMax: Int
    ) {
        precondition(policy.longRunCount <= policy.rowCountMax, "rows of a batch fit a block")
        self.carriesRecord = carriesRecord
        numberColumns = columns.filter(\.isNumbers).map(\.column)
        codeColumns = columns.filter(\.isCounted).map(\.column)
        let codeStart = 2 * (numberColumns.count + (carriesRecord ? 3 : 0))
        var (numbers, codes) = (0, codeStart)
        places = columns.map { column in
            if column.isNumbers {
                defer { numbers += 1 }
                return .number(numbers)
            }
            guard column.isCounted else { return .none }
            defer { codes += 1 }
            return .code(codes)
        }
        numberCount = numberColumns.count
        let words = max(1, (codes + 1) / 2)
        // Whole lines where that takes little; an odd number of them, for rows of a power of two would
        // share a few sets of the cache.
        let lines = (words + 7) / 8
        wordCount = lines * 64 - words * 8 <= words ? (lines > 8 ? lines | 1 : lines) * 8 : words
        stateWordCount = (columns.count * GroupCell.stateCount + 63) / 64 * 8
        var policy = policy
        // A place in a block has 16 bits, a count of values that are not there 8.
        if 2 * policy.rowCountMax * wordCount > 1 << 16 || policy.rowCountMax > 255 {
            policy = .never
        }
        self.policy = policy
        pool = BlockPool(
            blockByteCount: (stateWordCount + policy.rowCountMax * wordCount) * 8)
        unsafe wordRows = .allocate(capacity: policy.rowCountMax)
        unsafe codeRows = .allocate(capacity: policy.rowCountMax)
        for row in 0..<policy.rowCountMax {
            unsafe wordRows[row] = UInt16(truncatingIfNeeded: row * wordCount)
            unsafe codeRows[row] = UInt16(truncatingIfNeeded: 2 * row * wordCount)
        }
        unsafe blockOf = .allocate(capacity: rowCountMax)
        unsafe nextRow = .allocate(capacity: rowCountMax)
        unsafe sources = .allocate(capacity: numberColumns.count)
        unsafe codeSources = .allocate(capacity: codeColumns.count)
    }

    deinit {
        unsafe wordRows.deallocate()
        unsafe codeRows.deallocate()
        unsafe blockOf.deallocate()
        unsafe nextRow.deallocate()
        unsafe sources.deallocate()
        unsafe codeSources.deallocate()
    }

    /// Memory of all blocks, those that wait for a cell among them.
    var byteCount: Int { pool.byteCount }

    /// The first row of a block.
    func rows(of block: UnsafeMutablePointer<UInt64>) -> UnsafeMutablePointer<UInt64> {
        unsafe block + stateWordCount
    }

    // MARK: Blocks

    /// Takes the block of a cell back.
    func give(_ slot: inout CellSlots.Slot) {
        guard let block = unsafe slot.block else { return }
        precondition(slot.waitingCount == 0, "rows that wait were folded")
        unsafe slot.block = nil
        unsafe pool.give(block)
    }

    /// Gives back memory that was not needed since the last call; called after panes were sealed.
    func trim() { pool.trim() }

    /// Begins to fetch one of as many parts of a block's rows as there are columns.
    func prefetch(_ slot: CellSlots.Slot, part: Int) {
        guard let block = unsafe slot.block else { return }
        let end = (stateWordCount + Int(slot.waitingCount) * wordCount) * 8
        let size = (end / places.count + 64) & ~63
        let start = part * size
        guard start < end else { return }
        unsafe prefetchForWriting(
            UnsafeRawPointer(block) + start, byteCount: min(size, end - start))
    }

    /// Calls `body` with the place, column by column four a column, of each count that is not 0, and
    /// the count; they are 0 afterwards.
    func takeStates(_ block: UnsafeMutablePointer<UInt64>, _ body: (Int, Int64) -> Void) {
        for word in 0..<stateWordCount {
            var counts = unsafe block[word].littleEndian
            guard counts != 0 else { continue }
            unsafe block[word] = 0
            var place = word * 8
            while counts != 0 {
                if counts & 0xff != 0 { body(place, Int64(counts & 0xff)) }
                counts >>= 8
                place += 1
            }
        }
    }

    // MARK: A batch

    /// Makes the next rows of a cell of the batch wait.
    func begin(_ local: Int, _ slot: inout CellSlots.Slot, count: Int) {
        if unsafe slot.block == nil {
            let block = unsafe pool.take()
            unsafe block.initialize(repeating: 0, count: stateWordCount)
            unsafe slot.block = block
        }
        guard let block = unsafe slot.block else { return }
        unsafe blockOf[local] = block
        unsafe nextRow[local] = rows(of: block) + Int(slot.waitingCount) * wordCount
        slot.waitingCount += UInt16(truncatingIfNeeded: count)
    }

    /// Copies the rows of cells that wait into their blocks, and takes them out of `localOf`.
    func append(
        _ batch: RecordBatch, _ rows: RowTable, _ frame: Frame,
        localOf: UnsafeMutablePointer<UInt16>, outside: UInt16
    ) {
        for (place, column) in numberColumns.enumerated() {
            guard let numbers = unsafe frame.columns[column].numbers else { continue }
            unsafe sources[place] = UnsafePointer(
                UnsafeRawPointer(numbers).assumingMemoryBound(to: UInt64.self))
        }
        for (place, column) in codeColumns.enumerated() {
            guard let codes = unsafe frame.columns[column].codes else { continue }
            unsafe codeSources[place] = UnsafePointer(codes)
        }
        let (sources, codeSources, nextRow, blockOf) = unsafe (
            self.sources, self.codeSources, self.nextRow, self.blockOf
        )
        let (numberCount, codeCount, wordCount) = (numberCount, codeColumns.count, wordCount)
        let codeStart = numberCount + (carriesRecord ? 3 : 0)
        let rowCount = frame.rowCount
        let offsets = unsafe rows.map.offsets(of: batch)
        for row in 0..<rowCount {
            if row + Self.distance < rowCount {
                let ahead = unsafe localOf[row + Self.distance]
                if ahead != outside, unsafe blockOf[Int(ahead)] != nil {
                    unsafe prefetchForWriting(nextRow[Int(ahead)], byteCount: wordCount * 8)
                }
            }
            let local = unsafe Int(localOf[row])
            guard local != Int(outside), unsafe blockOf[local] != nil else { continue }
            unsafe localOf[row] = outside
            let to = unsafe nextRow[local]
            unsafe nextRow[local] = to + wordCount
            for place in 0..<numberCount { unsafe to[place] = sources[place][row] }
            if carriesRecord {
                unsafe to[numberCount] = UInt64(bitPattern: rows.eventTimeMs[row])
                unsafe to[numberCount + 1] = UInt64(bitPattern: offsets[row])
                unsafe to[numberCount + 2] = UInt64(rows.map.place(of: row))
            }
            let codes = unsafe UnsafeMutableRawPointer(to + codeStart)
                .assumingMemoryBound(to: UInt32.self)
            for place in 0..<codeCount { unsafe codes[place] = codeSources[place][row] }
        }
    }
}

extension ColumnType {
    /// Whether texts are counted by their dictionary codes.
    var isCounted: Bool { fieldKind.storage == .codes && self != .text }
}
