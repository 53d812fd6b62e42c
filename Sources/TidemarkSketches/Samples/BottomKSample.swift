import TidemarkKernels
import TidemarkText

/// A record that was kept, named by where it lies.
package struct SampledValue: BitwiseCopyable, Sendable, Equatable {
    /// What decides whether it is kept: a hash of its coordinates.
    package let hash: UInt64
    /// The input partition.
    package let partition: Int32
    /// The offset in it.
    package let offset: Int64
    /// The value of the column.
    package let value: Double

    static func precedes(_ a: SampledValue, _ b: SampledValue) -> Bool {
        if a.hash != b.hash { return a.hash < b.hash }
        return a.partition != b.partition ? a.partition < b.partition : a.offset < b.offset
    }
}

/// The `k` records of the smallest hashes of their coordinates: an order-free summary.
///
/// That is a uniform sample without replacement.
///
/// Which records are kept depends on nothing but which records there were, so a record that is read
/// twice is kept once and any merge order gives the same bytes.
///
/// - Error: that of a simple random sample of `min(k, n)`; `n` is estimated within 1 / √(k − 2).
/// - Memory: 32 B an entry, at most 2 k entries.
/// - Source: bottom-k (KMV): Cohen, Kaplan, PODC 2007.
package struct BottomKSample: ~Copyable, OrderFree, Sendable {
    /// How many are kept at most.
    package let k: Int
    private let key: UInt64
    private var kept: [SampledValue]
    private var isSorted: Bool
    private var threshold: UInt64
    // Rows come partition by partition: its key is drawn once.
    private var partition: Int32
    private var partitionKey: UInt64

    /// An empty sample of the topic whose name hashes to `topicHash`; allocates nothing.
    ///
    /// - Precondition: `1 <= k <= 65536`.
    package init(k: Int, topicHash: UInt64) {
        precondition(1 <= k && k <= 65_536, "k of a sample is 1 to 65,536")
        self.k = k
        key = topicHash
        partition = 0
        partitionKey = CounterRandom.key(topicHash, 0)
        kept = []
        isSorted = true
        threshold = .max
    }

    /// Offers a row: its record, and the how manieth of that record's rows it is, from 0.
    ///
    /// - Complexity: O(1) amortised; about 2 ns once the sample is full.
    package mutating func update(
        _ value: Double, partition: Int32, offset: Int64, place: Int64 = 0
    ) {
        if partition != self.partition {
            self.partition = partition
            partitionKey = CounterRandom.key(key, UInt64(UInt32(bitPattern: partition)))
        }
        let key =
            place == 0
            ? partitionKey : CounterRandom.key(partitionKey, UInt64(bitPattern: place))
        let hash = CounterRandom(key: key).draw(UInt64(bitPattern: offset))
        guard hash <= threshold else { return }
        add(SampledValue(hash: hash, partition: partition, offset: offset, value: value))
    }

    private mutating func add(_ one: SampledValue) {
        if kept.capacity < 2 * k && kept.count == kept.capacity {
            kept.reserveCapacity(Swift.min(2 * k, Swift.max(16, 2 * kept.count)))
        }
        kept.append(one)
        isSorted = false
        if kept.count >= 2 * k { settle() }
    }

    private mutating func settle() {
        guard !isSorted else { return }
        heapSort()
        var count = 0
        for i in kept.indices where count < k {
            if count > 0, !SampledValue.precedes(kept[count - 1], kept[i]) { continue }
            kept[count] = kept[i]
            count += 1
        }
        kept.removeLast(kept.count - count)
        isSorted = true
        if count == k { threshold = kept[count - 1].hash }
    }

    /// In place: the library's sort allocates.
    private mutating func heapSort() {
        func sink(_ from: Int, _ end: Int) {
            var at = from
            while 2 * at + 1 < end {
                var child = 2 * at + 1
                if child + 1 < end, SampledValue.precedes(kept[child], kept[child + 1]) {
                    child += 1
                }
                guard SampledValue.precedes(kept[at], kept[child]) else { return }
                kept.swapAt(at, child)
                at = child
            }
        }
        for i in stride(from: kept.count / 2 - 1, through: 0, by: -1) { sink(i, kept.count) }
        for end in stride(from: kept.count - 1, to: 0, by: -1) {
            kept.swapAt(0, end)
            sink(0, end)
        }
    }

    /// Adds the records of the other sample.
    ///
    /// - Precondition: equal `k` and topic.
    package mutating func merge(_ other: borrowing BottomKSample) {
        precondition(k == other.k && key == other.key, "one sample size and topic for a column")
        for one in other.kept where one.hash <= threshold { add(one) }
    }

    /// Whether the two can be merged: one size, one topic.
    package func isLike(_ other: borrowing BottomKSample) -> Bool {
        k == other.k && key == other.key
    }

    /// An equal sample with memory of its own.
    package borrowing func copy() -> BottomKSample {
        var other = BottomKSample(k: k, topicHash: key)
        other.kept = kept
        other.isSorted = isSorted
        other.threshold = threshold
        return other
    }

    /// The records kept, by hash.
    package var values: [SampledValue] {
        var all = copy()
        all.settle()
        return all.kept
    }

    /// How many different records were offered: exact up to `k`, else estimated.
    package var estimate: Double {
        let all = values
        guard all.count == k, k > 1 else { return Double(all.count) }
        return Double(k - 1) / ((Double(all[k - 1].hash) + 1) * 0x1p-64)
    }

    /// Bytes of our own: header, topic hash, entries by hash.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.bottomK.header(UInt32(k))
        bytes.append(littleEndian: key)
        for one in values {
            bytes.append(littleEndian: one.hash)
            bytes.append(littleEndian: one.offset)
            bytes.append(littleEndian: one.partition)
            bytes.append(one.value)
        }
        return bytes
    }

    /// The sample that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> BottomKSample {
        var reader = ByteReader(bytes)
        let k = Int(try OwnFamily.bottomK.readHeader(&reader))
        guard 1 <= k && k <= 65_536 else { throw .corrupt(field: "k", offset: 4) }
        var sample = BottomKSample(k: k, topicHash: try reader.read(UInt64.self))
        guard reader.left % 28 == 0, reader.left <= 28 * k else {
            throw .corrupt(field: "entries", offset: reader.offset)
        }
        while reader.left > 0 {
            let at = reader.offset
            let hash = try reader.read(UInt64.self)
            let offset = try reader.read(Int64.self)
            let partition = try reader.read(Int32.self)
            let one = SampledValue(
                hash: hash,
                partition: partition,
                offset: offset,
                value: try reader.readDouble()
            )
            if let last = sample.kept.last, !SampledValue.precedes(last, one) {
                throw .corrupt(field: "order", offset: at)
            }
            sample.kept.append(one)
        }
        if sample.kept.count == k, let last = sample.kept.last { sample.threshold = last.hash }
        return sample
    }
}
