import TidemarkKernels

/// Exact counts by dictionary code: an open-addressing table whose slot is the code itself, so that
/// a small dictionary is a plain array.
///
/// - Memory: nothing while empty, then 10 bytes a slot, at most half of them taken.
@safe
struct CodeCounter: ~Copyable {
    /// A code and how often it came, side by side: a row touches one cache line.
    struct Slot: BitwiseCopyable {
        var code: UInt32
        var count: UInt32
    }

    /// A table that is empty and not in use.
    @unsafe
    struct Table {
        var slots: UnsafeMutablePointer<Slot>
        var used: UnsafeMutablePointer<UInt32>
        var mask: Int

        func deallocate() {
            unsafe slots.deallocate()
            unsafe used.deallocate()
        }
    }

    private var slots: UnsafeMutablePointer<Slot>
    /// The slots that are taken, in the order in which they were: a table that has grown may be
    /// nearly empty.
    private var used: UnsafeMutablePointer<UInt32>
    private var mask: Int
    private(set) var distinctCount = 0
    private(set) var valueCount: Int64 = 0

    private static let free = Slot(code: .max, count: 0)

    /// Allocates nothing.
    init() {
        mask = -1
        unsafe slots = Self.none()
        unsafe used = Self.none()
    }

    deinit {
        guard mask >= 0 else { return }
        unsafe slots.deallocate()
        unsafe used.deallocate()
    }

    /// Stands for no memory; never read.
    private static func none<Item>() -> UnsafeMutablePointer<Item> {
        unsafe UnsafeMutablePointer(bitPattern: MemoryLayout<Item>.alignment).unsafelyUnwrapped
    }

    var byteCount: Int { (mask + 1) * 10 }

    /// Whether counting needs a table first: see `use`.
    var needsTable: Bool { mask < 0 }

    /// Counts in a table that another counter has grown; `nil`: in a small one.
    mutating func use(_ table: Table?) {
        precondition(mask < 0, "the counter has a table")
        if let table = unsafe table {
            unsafe slots = unsafe table.slots
            unsafe used = unsafe table.used
            mask = unsafe table.mask
        } else {
            mask = 15
            unsafe slots = Self.allocate(16, filledWith: Self.free)
            unsafe used = Self.allocate(8, filledWith: 0)
        }
    }

    /// Forgets all counts and hands the table over, empty; `nil` if there is none.
    mutating func takeTable() -> Table? {
        guard mask >= 0 else { return nil }
        reset()
        let table = unsafe Table(slots: slots, used: used, mask: mask)
        mask = -1
        unsafe slots = Self.none()
        unsafe used = Self.none()
        return unsafe table
    }

    /// Forgets all counts.
    mutating func reset() {
        for place in 0..<distinctCount { unsafe slots[Int(used[place])] = Self.free }
        distinctCount = 0
        valueCount = 0
    }

    /// Begins to fetch the slot of a code.
    func prefetch(_ code: UInt32) {
        guard mask >= 0 else { return }
        unsafe prefetchForWriting(slots + (Int(code) & mask), byteCount: 8)
    }

    /// Begins to fetch the slots of the codes of some rows.
    func prefetch(_ column: UnsafePointer<UInt32>, rows: UnsafePointer<UInt16>, count: Int) {
        guard mask >= 0 else { return }
        // Smaller tables are a few lines.
        let count = mask < 64 ? min(1, count) : count
        for index in 0..<count { unsafe prefetch(column[Int(rows[index])]) }
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
        var (slots, mask) = unsafe (slots, mask)
        var empty = 0
        for index in 0..<count {
            let code = unsafe column[Int(rows[index])]
            // Nearly every row: a code that stands in its own slot.
            let slot = Int(code) & mask
            if unsafe slots[slot].code == code && code != .max {
                unsafe slots[slot].count &+= 1
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
            unsafe (slots, mask) = unsafe (self.slots, self.mask)
        }
        valueCount += Int64(count - empty)
        return count
    }

    /// Counts a code, but not among `valueCount`.
    ///
    /// - Returns: whether the code is a new one.
    @inline(__always)
    private mutating func add(_ code: UInt32, _ count: UInt32 = 1) -> Bool {
        var slot = Int(code) & mask
        while true {
            let held = unsafe slots[slot].code
            if held == code {
                unsafe slots[slot].count &+= count
                return false
            }
            if held == .max { break }
            slot = (slot + 1) & mask
        }
        unsafe slots[slot] = Slot(code: code, count: count)
        unsafe used[distinctCount] = UInt32(truncatingIfNeeded: slot)
        distinctCount += 1
        if distinctCount * 2 > mask { grow() }
        return true
    }

    /// Calls `body` with each code and its count, in no stated order.
    func forEach(_ body: (UInt32, UInt32) -> Void) {
        for place in 0..<distinctCount {
            let slot = unsafe slots[Int(used[place])]
            body(slot.code, slot.count)
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
        let (oldSlots, oldUsed) = unsafe (slots, used)
        let slotCount = (mask + 1) * 2
        mask = slotCount - 1
        unsafe slots = Self.allocate(slotCount, filledWith: Self.free)
        unsafe used = Self.allocate(slotCount / 2, filledWith: 0)
        for place in 0..<distinctCount {
            let old = unsafe oldSlots[Int(oldUsed[place])]
            var slot = Int(old.code) & mask
            while unsafe slots[slot].code != .max { slot = (slot + 1) & mask }
            unsafe slots[slot] = old
            unsafe used[place] = UInt32(truncatingIfNeeded: slot)
        }
        unsafe oldSlots.deallocate()
        unsafe oldUsed.deallocate()
    }

    private static func allocate<Item: BitwiseCopyable>(_ count: Int, filledWith value: Item)
        -> UnsafeMutablePointer<Item>
    {
        let memory = UnsafeMutablePointer<Item>.allocate(capacity: count)
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
