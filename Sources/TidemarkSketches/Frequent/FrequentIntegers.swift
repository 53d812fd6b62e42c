import TidemarkKernels
import TidemarkText

/// The most frequent of many integers, weighted: an ordered summary.
///
/// Misra and Gries in an open table: when three times the capacity is held, the (capacity + 1)-th
/// largest count is taken off every item and added to `offset`, and at most `capacity` items stay.
/// What is left of an item is a lower bound, and with `offset` an upper one,
/// of its true count, also after merges.
///
/// - Error: `offset` ≤ total / (capacity + 1); exact while there are at most `capacity` items.
/// - Memory: nothing when empty, 17 B a place, 68 kB at most for `lgMax` 10.
/// - Source: Misra, Gries 1982; bytes as Apache DataSketches' `frequent_items_sketch` of 64-bit
///   integers.
@safe
package struct FrequentIntegers: ~Copyable, Ordered {
    /// A value, and what its true count may be.
    package struct Item: BitwiseCopyable, Sendable, Equatable {
        /// The integer.
        package let value: Int64
        /// The true count is at least this.
        package let lower: UInt64
        /// The true count is at most this.
        package let upper: UInt64
    }

    /// Logarithm of the table size in the bytes.
    package let lgMax: Int
    /// All weights that went in.
    package private(set) var total: UInt64 = 0
    private var taken: UInt64 = 0
    private var table: ItemTable?
    // Room for what a reduction keeps, counts behind keys, made by the first one.
    private var survivors: UnsafeMutablePointer<UInt64>?
    private var lgSize = 0
    private var itemCount = 0

    /// An empty summary; allocates nothing.
    ///
    /// - Precondition: `3 <= lgMax <= 20`.
    package init(lgMax: Int = 10) {
        precondition(3 <= lgMax && lgMax <= 20, "lgMax of frequent items is 3 to 20")
        self.lgMax = lgMax
        table = nil
        unsafe survivors = nil
    }

    deinit {
        table?.deallocate()
        unsafe survivors?.deallocate()
    }

    /// How many items are kept at most in answers and bytes.
    package var capacity: Int { 3 << (lgMax - 2) }
    private var isReduced: Bool { itemCount <= capacity }
    // So many before a reduction, which then pays for itself.
    private var itemCountMax: Int { 3 * capacity }
    /// Memory behind the summary, its own fields included.
    package var byteCount: Int {
        MemoryLayout<FrequentIntegers>.size + (table == nil ? 0 : 17 << lgSize)
    }

    /// Adds integers, each with weight 1.
    ///
    /// - Complexity: about 2.3 ns an integer where some are frequent, 3 where a quarter is rare (AVX-512).
    package mutating func update(_ values: UnsafePointer<Int64>, count: Int) {
        total &+= UInt64(truncatingIfNeeded: count)
        var at = 0
        while at < count {
            if isFull { makeRoom() }
            guard let table else { return }
            // Up to the next growth every new value finds a place.
            let room = Swift.min(itemCountMax, (3 << lgSize) / 4 + 1) &- itemCount
            let (taken, new) = unsafe table.add(values + at, count: count &- at, room: room)
            at &+= taken
            itemCount &+= new
        }
    }

    private var isFull: Bool {
        table == nil || itemCount &* 4 >= 3 << lgSize || itemCount >= itemCountMax
    }

    /// Adds the values of an array, each with weight 1.
    package mutating func update(_ values: [Int64]) {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe update(base, count: buffer.count)
        }
    }

    /// Adds an integer with a weight; 0 changes nothing.
    package mutating func update(_ value: Int64, weight: UInt64) {
        guard weight > 0 else { return }
        total &+= weight
        if isFull { makeRoom() }
        insert(value, weight)
    }

    private mutating func insert(_ value: Int64, _ weight: UInt64) {
        if let table, table.add(value, weight: weight) { itemCount += 1 }
    }

    private mutating func makeRoom() {
        if itemCount >= itemCountMax {
            reduce()
        } else {
            grow(to: table == nil ? 4 : Swift.min(lgSize + 1, lgMax + 2))
        }
    }

    private mutating func grow(to lg: Int) {
        let old = table
        let grown = ItemTable(lgPlaces: lg)
        lgSize = lg
        table = grown
        guard let old else { return }
        old.forEach { _ = grown.add($0, weight: $1) }
        old.deallocate()
    }

    /// Keeps what exceeds the (capacity + 1)-th largest count.
    private mutating func reduce() {
        guard !isReduced, let table else { return }
        let cut = self.cut(table)
        taken &+= cut
        let room = capacity + 8
        if unsafe survivors == nil { unsafe survivors = .allocate(capacity: 2 * room) }
        guard let kept = unsafe survivors else { return }
        itemCount = unsafe table.reduce(by: cut, keys: kept, counts: kept + room)
    }

    /// The (capacity + 1)-th largest count: the least that no more than `capacity` exceed.
    private func cut(_ table: ItemTable) -> UInt64 {
        // Nearly always 1 or 2: doubled until it is enough, then halved in.
        var high: UInt64 = 1
        while table.countAbove(high) > capacity { high <<= 1 }
        var low = high >> 1
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if table.countAbove(middle) > capacity { low = middle } else { high = middle }
        }
        return high
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    package mutating func merge(_ next: borrowing FrequentIntegers) {
        guard next.total > 0 else { return }
        total &+= next.total
        taken &+= next.taken
        guard let theirs = next.table else { return }
        // All join before anything is taken off: the order of places makes no difference.
        while table == nil || 4 * (itemCount + next.itemCount) > 3 << lgSize {
            grow(to: table == nil ? 4 : lgSize + 1)
        }
        theirs.forEach { insert($0, $1) }
        if itemCount > capacity { reduce() }
        if lgSize > lgMax + 2 { grow(to: lgMax + 2) }
    }

    /// An equal sketch with memory of its own.
    package borrowing func copy() -> FrequentIntegers {
        var other = FrequentIntegers(lgMax: lgMax)
        other.total = total
        other.taken = taken
        guard let table else { return other }
        other.grow(to: lgSize)
        other.table?.update(from: table)
        other.itemCount = itemCount
        return other
    }

    private borrowing func reducedCopy() -> FrequentIntegers {
        var other = copy()
        other.reduce()
        return other
    }

    // MARK: Answers

    /// The largest count that an item may lack; 0 while exact.
    package var offset: UInt64 { isReduced ? taken : reducedCopy().taken }
    /// Whether all counts are exact.
    package var isExact: Bool { offset == 0 }

    /// All items kept, by count descending, then by value.
    package var items: [Item] {
        guard isReduced else { return reducedCopy().items }
        guard let table else { return [] }
        var items: [Item] = []
        table.forEach { items.append(Item(value: $0, lower: $1, upper: $1 &+ taken)) }
        items.sort { $0.lower != $1.lower ? $0.lower > $1.lower : $0.value < $1.value }
        return items
    }

    /// What the true count of an integer may be.
    package func bounds(of value: Int64) -> (lower: UInt64, upper: UInt64) {
        guard isReduced else { return reducedCopy().bounds(of: value) }
        let count = table?.count(of: value) ?? 0
        return (count, count &+ taken)
    }

    // MARK: Bytes

    /// Bytes of a DataSketches `frequent_items_sketch` of 64-bit integers, items by value.
    package borrowing func serialize() -> [UInt8] {
        guard isReduced else { return reducedCopy().serialize() }
        let items = self.items.sorted { $0.value < $1.value }
        var lgNow = 3
        while items.count > 3 << (lgNow - 2) { lgNow += 1 }
        let empty = total == 0
        var bytes: [UInt8] = [
            empty ? 1 : 4, 1, 10, UInt8(lgMax), UInt8(Swift.min(lgNow, lgMax)), empty ? 5 : 0, 0, 0,
        ]
        if empty { return bytes }
        bytes.reserveCapacity(32 + 16 * items.count)
        bytes.append(littleEndian: UInt32(items.count))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: total)
        bytes.append(littleEndian: taken)
        for item in items { bytes.append(littleEndian: item.lower) }
        for item in items { bytes.append(littleEndian: item.value) }
        return bytes
    }

    /// The summary that DataSketches bytes of frequent 64-bit integers hold.
    ///
    /// - Throws: `SketchError` for anything else.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> FrequentIntegers {
        var reader = ByteReader(bytes)
        let head = try FrequentItemsHeader(&reader)
        var summary = FrequentIntegers(lgMax: head.lgMax)
        guard !head.isEmpty else {
            try reader.finish()
            return summary
        }
        guard reader.left == 8 * head.weights.count else {
            throw .truncated(needed: reader.offset + 8 * head.weights.count, byteCount: bytes.count)
        }
        for weight in head.weights {
            summary.update(try reader.read(Int64.self), weight: weight)
        }
        guard summary.itemCount == head.weights.count else {
            throw .corrupt(field: "item twice", offset: 32)
        }
        summary.total = head.total
        summary.taken = head.offset
        return summary
    }
}

// The owner hands it over; nothing is shared.
extension FrequentIntegers: @unchecked Sendable {}

/// What DataSketches' frequent items begin with, whatever the items are.
struct FrequentItemsHeader {
    var lgMax: Int
    var isEmpty: Bool
    var total: UInt64 = 0
    var offset: UInt64 = 0
    var weights: [UInt64] = []

    init(_ reader: inout ByteReader) throws(SketchError) {
        let preamble = try reader.read(UInt8.self)
        let version = try reader.read(UInt8.self)
        let family = try reader.read(UInt8.self)
        lgMax = Int(try reader.read(UInt8.self))
        let lgNow = Int(try reader.read(UInt8.self))
        let flags = try reader.read(UInt8.self)
        _ = try reader.read(UInt16.self)
        guard family == 10 else { throw .unsupported(field: "family", value: Int(family)) }
        guard version == 1 else { throw .unsupported(field: "serial version", value: Int(version)) }
        guard 3 <= lgMax && lgMax <= 20 else { throw .corrupt(field: "lgMax", offset: 3) }
        guard lgNow <= lgMax else { throw .corrupt(field: "lgCur", offset: 4) }
        isEmpty = flags & 5 != 0
        guard preamble == (isEmpty ? 1 : 4) else { throw .corrupt(field: "preamble", offset: 0) }
        if isEmpty { return }
        let count = Int(try reader.read(UInt32.self))
        _ = try reader.read(UInt32.self)
        total = try reader.read(UInt64.self)
        offset = try reader.read(UInt64.self)
        guard count <= 3 << (lgMax - 2) else { throw .corrupt(field: "items", offset: 8) }
        guard offset <= total else { throw .corrupt(field: "offset", offset: 24) }
        var sum: UInt64 = 0
        for _ in 0..<count {
            let at = reader.offset
            let weight = try reader.read(UInt64.self)
            let (next, over) = sum.addingReportingOverflow(weight)
            guard weight > 0, !over, next <= total else {
                throw .corrupt(field: "weight", offset: at)
            }
            sum = next
            weights.append(weight)
        }
    }
}
