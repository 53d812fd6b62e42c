import TidemarkKernels
import TidemarkText

/// Exact counts of the values of a small dictionary: an order-free summary.
///
/// Up to `capacity` values are told apart. Beyond, those of the smallest hashes stay and the counts
/// of the others join in `otherCount`: which stay depends on the set of values alone, and the count
/// of one that stays is exact always.
///
/// - Error: none for the values kept.
/// - Memory: about 48 B a value and its bytes.
package struct ExactCounts: ~Copyable, OrderFree, Sendable {
    /// How many values are told apart.
    package let capacity: Int
    /// By hash, then bytes.
    package private(set) var items: [CountedItem]
    /// Counts of values that were not kept.
    package private(set) var otherCount: UInt64

    /// An empty summary.
    ///
    /// - Precondition: `1 <= capacity <= 65536`.
    package init(capacity: Int = 4096) {
        precondition(1 <= capacity && capacity <= 65_536, "1 to 65,536 values")
        self.capacity = capacity
        items = []
        otherCount = 0
    }

    /// All counts that went in.
    package var total: UInt64 { items.reduce(otherCount) { $0 &+ $1.count } }

    /// Adds counted values, in any order; equal ones may come more than once.
    ///
    /// - Complexity: O(n log n).
    package mutating func update(_ added: [CountedItem]) {
        join(added.filter { $0.count > 0 }.sorted(by: CountedItem.precedes))
    }

    /// How often a value occurred; nil where it was not kept.
    package func count(of bytes: [UInt8]) -> UInt64? {
        let hash = murmur3(bytes).low
        return items.first { $0.hash == hash && $0.bytes == bytes }?.count
    }

    /// Joins what is sorted; equal neighbours become one.
    private mutating func join(_ sorted: [CountedItem]) {
        var joined: [CountedItem] = []
        joined.reserveCapacity(items.count + sorted.count)
        func put(_ item: CountedItem) {
            if let last = joined.last, last.hash == item.hash, last.bytes == item.bytes {
                joined[joined.count - 1].count &+= item.count
            } else {
                joined.append(item)
            }
        }
        var i = 0
        var j = 0
        while i < items.count || j < sorted.count {
            if j == sorted.count
                || (i < items.count && !CountedItem.precedes(sorted[j], items[i]))
            {
                put(items[i])
                i += 1
            } else {
                put(sorted[j])
                j += 1
            }
        }
        for item in joined.dropFirst(capacity) { otherCount &+= item.count }
        items = Array(joined.prefix(capacity))
    }

    /// Adds the counts of the other summary.
    ///
    /// - Precondition: equal capacities.
    /// - Complexity: O(values).
    package mutating func merge(_ other: borrowing ExactCounts) {
        precondition(capacity == other.capacity, "the planner gives one capacity to a column")
        otherCount &+= other.otherCount
        join(other.items)
    }

    /// Equal counts with memory of their own.
    package borrowing func copy() -> ExactCounts {
        var other = ExactCounts(capacity: capacity)
        other.items = items
        other.otherCount = otherCount
        return other
    }

    /// Bytes of our own: header, the others' count, then values with their counts by hash.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.exactCounts.header(UInt32(capacity))
        bytes.append(varint: otherCount)
        bytes.append(varint: UInt64(items.count))
        for item in items {
            bytes.append(varint: item.count)
            bytes.append(varint: UInt64(item.bytes.count))
            bytes.append(contentsOf: item.bytes)
        }
        return bytes
    }

    /// The counts that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> ExactCounts {
        var reader = ByteReader(bytes)
        let capacity = Int(try OwnFamily.exactCounts.readHeader(&reader))
        guard 1 <= capacity && capacity <= 65_536 else {
            throw .corrupt(field: "capacity", offset: 4)
        }
        var counts = ExactCounts(capacity: capacity)
        counts.otherCount = try reader.readVarint()
        let itemCount = try reader.readVarint()
        guard itemCount <= UInt64(capacity), counts.otherCount == 0 || itemCount == capacity else {
            throw .corrupt(field: "values", offset: 8)
        }
        for _ in 0..<itemCount {
            let at = reader.offset
            let count = try reader.readVarint()
            let length = Int(clamping: try reader.readVarint())
            let item = CountedItem(bytes: Array(try reader.readBytes(length)), count: count)
            guard count > 0 else { throw .corrupt(field: "count", offset: at) }
            if let last = counts.items.last, !CountedItem.precedes(last, item) {
                throw .corrupt(field: "order", offset: at)
            }
            counts.items.append(item)
        }
        try reader.finish()
        return counts
    }
}
