import TidemarkKernels

/// Exact counts by dictionary code: an open-addressing table whose slot is the code itself, so that
/// a small dictionary is a plain array.
///
/// - Memory: nothing while empty, then 10 bytes a slot, at most half of them taken.
@safe
struct CodeCounter: ~Copyable {
    /// A table that is empty and not in use.
    @unsafe
    struct Table {
        var codes: UnsafeMutablePointer<UInt32>
        var counts: UnsafeMutablePointer<UInt32>
        var used: UnsafeMutablePointer<UInt32>
        var mask: Int

        func deallocate() {
            unsafe codes.deallocate()
            unsafe counts.deallocate()
            unsafe used.deallocate()
        }
    }

    private var codes: UnsafeMutablePointer<UInt32>
    private var counts: UnsafeMutablePointer<UInt32>
    /// The slots that are taken, as they were: a table that has grown may be nearly empty.
    private var used: UnsafeMutablePointer<UInt32>
    private var mask: Int
    private(set) var distinctCount = 0
    private(set) var valueCount: Int64 = 0

    private static let free = UInt32.max

    /// Allocates nothing.
    init() {
        mask = -1
        unsafe codes = Self.none
        unsafe counts = Self.none
        unsafe used = Self.none
    }

    deinit {
        guard mask >= 0 else { return }
        unsafe codes.deallocate()
        unsafe counts.deallocate()
        unsafe used.deallocate()
    }

    /// Stands for no memory; never read.
    private static var none: UnsafeMutablePointer<UInt32> {
        unsafe UnsafeMutablePointer(bitPattern: MemoryLayout<UInt32>.alignment)
            .unsafelyUnwrapped
    }

    var byteCount: Int { (mask + 1) * 10 }

    /// Whether counting needs a table first: see `use`.
    var needsTable: Bool { mask < 0 }

    /// Counts in a table that another counter has grown; `nil`: in a small one.
    mutating func use(_ table: Table?) {
        precondition(mask < 0, "the counter has a table")
        if let table = unsafe table {
            unsafe codes = unsafe table.codes
            unsafe counts = unsafe table.counts
            unsafe used = unsafe table.used
            mask = unsafe table.mask
        } else {
            mask = 15
            unsafe codes = Self.allocate(16, filledWith: Self.free)
            unsafe counts = Self.allocate(16, filledWith: 0)
            unsafe used = Self.allocate(8, filledWith: 0)
        }
    }

    /// Forgets all counts and hands the table over, empty; `nil` if there is none.
    mutating func takeTable() -> Table? {
        guard mask >= 0 else { return nil }
        reset()
        let table = unsafe Table(codes: codes, counts: counts, used: used, mask: mask)
        mask = -1
        unsafe codes = Self.none
        unsafe counts = Self.none
        unsafe used = Self.none
        return unsafe table
    }

    /// Forgets all counts.
    mutating func reset() {
        for place in 0..<distinctCount { unsafe codes[Int(used[place])] = Self.free }
        distinctCount = 0
        valueCount = 0
    }

    /// Begins to fetch the slot of a code.
    func prefetch(_ code: UInt32) {
        guard mask >= 0 else { return }
        let slot = Int(code) & mask
        unsafe prefetchForWriting(codes + slot, byteCount: 4)
        unsafe prefetchForWriting(counts + slot, byteCount: 4)
    }

    /// Counts the codes of some rows; `UInt32.max` is no value.
    ///
    /// - Returns: how many rows were taken: fewer than given when `distinctCountMax` was reached, so
    ///   that what happens then depends on the row, not on the batch.
    mutating func add(
        _ column: UnsafePointer<UInt32>, rows: UnsafePointer<UInt16>, count: Int,
        distinctCountMax: Int
    ) -> Int {
        if mask < 0 { unsafe use(nil) }
        var (codes, counts, mask) = unsafe (codes, counts, mask)
        var empty = 0
        for index in 0..<count {
            let code = unsafe column[Int(rows[index])]
            // Nearly every row: a code that stands in its own slot.
            let slot = Int(code) & mask
            if unsafe codes[slot] == code && code != Self.free {
                unsafe counts[slot] &+= 1
                continue
            }
            if code == .max {
                empty &+= 1
                continue
            }
            guard add(code) else { continue }
            if distinctCount >= distinctCountMax {
                valueCount += Int64(index + 1 - empty)
                return index + 1
            }
            unsafe (codes, counts, mask) = unsafe (self.codes, self.counts, self.mask)
        }
        valueCount += Int64(count - empty)
        return count
    }

    /// Counts a code, but not among `valueCount`.
    ///
    /// - Returns: it is a new one.
    @inline(__always)
    private mutating func add(_ code: UInt32, _ count: UInt32 = 1) -> Bool {
        var slot = Int(code) & mask
        while true {
            let held = unsafe codes[slot]
            if held == code {
                unsafe counts[slot] &+= count
                return false
            }
            if held == Self.free { break }
            slot = (slot + 1) & mask
        }
        unsafe codes[slot] = code
        unsafe counts[slot] = count
        unsafe used[distinctCount] = UInt32(truncatingIfNeeded: slot)
        distinctCount += 1
        if distinctCount * 2 > mask { grow() }
        return true
    }

    /// Calls `body` with each code and its count, in no stated order.
    func forEach(_ body: (UInt32, UInt32) -> Void) {
        for place in 0..<distinctCount {
            let slot = unsafe Int(used[place])
            body(unsafe codes[slot], unsafe counts[slot])
        }
    }

    /// Takes over new codes after the dictionary was compacted.
    mutating func remap(_ newCodes: [UInt32]) {
        guard mask >= 0 else { return }
        var other = CodeCounter()
        unsafe other.use(nil)
        forEach { code, count in _ = other.add(newCodes[Int(code)], count) }
        other.valueCount = valueCount
        self = other
    }

    private mutating func grow() {
        let (oldCodes, oldCounts, oldUsed) = unsafe (codes, counts, used)
        let slotCount = (mask + 1) * 2
        mask = slotCount - 1
        unsafe codes = Self.allocate(slotCount, filledWith: Self.free)
        unsafe counts = Self.allocate(slotCount, filledWith: 0)
        unsafe used = Self.allocate(slotCount / 2, filledWith: 0)
        for place in 0..<distinctCount {
            let old = unsafe Int(oldUsed[place])
            var slot = Int(unsafe oldCodes[old]) & mask
            while unsafe codes[slot] != Self.free { slot = (slot + 1) & mask }
            unsafe codes[slot] = oldCodes[old]
            unsafe counts[slot] = oldCounts[old]
            unsafe used[place] = UInt32(truncatingIfNeeded: slot)
        }
        unsafe oldCodes.deallocate()
        unsafe oldCounts.deallocate()
        unsafe oldUsed.deallocate()
    }

    private static func allocate(_ count: Int, filledWith value: UInt32)
        -> UnsafeMutablePointer<UInt32>
    {
        let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        unsafe memory.initialize(repeating: value, count: count)
        return unsafe memory
    }
}

/// Tables of counters whose pane was sealed, by column: the next pane starts with one that has grown.
///
/// The owner is the folder.
@safe
final class CodeTables {
    private var tables: [[CodeCounter.Table]]
    /// What a column keeps at most, and how large at most.
    private static let tableCountMax = 16
    private static let slotCountMax = 8192

    init(columnCount: Int) { unsafe tables = Array(repeating: [], count: columnCount) }

    deinit {
        for column in unsafe tables.indices {
            while let table = unsafe take(column) { unsafe table.deallocate() }
        }
    }

    func take(_ column: Int) -> CodeCounter.Table? { unsafe tables[column].popLast() }

    func give(_ column: Int, _ table: CodeCounter.Table?) {
        guard let table = unsafe table else { return }
        guard unsafe tables[column].count < Self.tableCountMax && table.mask < Self.slotCountMax
        else {
            unsafe table.deallocate()
            return
        }
        unsafe tables[column].append(table)
    }
}
