import Glibc
import TidemarkKernels
import TidemarkText

/// One row of the most frequent items.
package struct FrequentItem: Sendable, Equatable {
    /// The item's bytes.
    package let bytes: [UInt8]
    /// The estimated count: the upper bound, as DataSketches gives it.
    package let estimate: UInt64
    /// The true count is at least this.
    package let lower: UInt64
    /// The true count is at most this.
    package let upper: UInt64
}

/// An item with its exact count, on its way into a summary.
package struct CountedItem: Sendable {
    /// The item's bytes.
    package var bytes: [UInt8]
    /// The low half of its `murmur3`.
    package var hash: UInt64
    /// How often it occurred.
    package var count: UInt64

    /// An item with the hash that the summary orders by.
    package init(bytes: [UInt8], count: UInt64) {
        self.init(bytes: bytes, hash: murmur3(bytes).low, count: count)
    }

    /// An item whose hash is known already.
    package init(bytes: [UInt8], hash: UInt64, count: UInt64) {
        self.bytes = bytes
        self.hash = hash
        self.count = count
    }

    static func precedes(_ a: CountedItem, _ b: CountedItem) -> Bool {
        a.hash != b.hash ? a.hash < b.hash : a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

/// A text with its exact count, on its way into a summary: `start` counts from bytes that are given
/// beside it.
package struct TextCount: BitwiseCopyable, Sendable {
    /// The low half of the text's `murmur3`.
    package var hash: UInt64
    /// How often it occurred.
    package var count: UInt64
    /// Where the text begins.
    package var start: Int
    /// How many bytes it has.
    package var byteCount: Int

    /// A text of `byteCount` bytes from `start` on.
    package init(hash: UInt64, count: UInt64, start: Int, byteCount: Int) {
        self.hash = hash
        self.count = count
        self.start = start
        self.byteCount = byteCount
    }
}

/// The most frequent of many byte strings, by Misra and Gries: an ordered summary.
///
/// Exact while there are at most `capacity` distinct items. Beyond, the (capacity + 1)-th largest
/// count is taken off every item and added to `offset`; what is left of an item is a lower bound,
/// and with `offset` an upper one, of its true count, also after merges.
///
/// Items are plain numbers beside one block of bytes, so that merging and sorting move memory and
/// count no references.
///
/// - Error: `offset` ≤ total / (capacity + 1).
/// - Memory: 32 B an item and its bytes; nothing when empty.
/// - Source: Misra, Gries 1982; Agarwal et al., "Mergeable summaries", 2012; bytes as Apache
///   DataSketches' `frequent_items_sketch` of strings.
package struct FrequentItems: ~Copyable, Ordered, Sendable {
    /// Logarithm of the table size in the bytes.
    package let lgMax: Int
    /// All counts that went in.
    package internal(set) var total: UInt64
    // What reductions took off so far, and what is left: by hash, then bytes, each item once, counts
    // above 0.
    var taken: UInt64
    var items: [TextCount]
    // Added and not yet sorted in: merging many small summaries sorts once.
    var loose: [TextCount]
    // The texts of both.
    var texts: [UInt8]

    /// An empty summary.
    ///
    /// - Precondition: `3 <= lgMax <= 20`.
    package init(lgMax: Int = 10) {
        precondition(3 <= lgMax && lgMax <= 20, "lgMax of frequent items is 3 to 20")
        self.lgMax = lgMax
        total = 0
        taken = 0
        items = []
        loose = []
        texts = []
    }

    /// How many items are kept at most.
    package var capacity: Int { 3 << (lgMax - 2) }
    /// How many items are kept.
    package var itemCount: Int { loose.isEmpty ? items.count : settledCopy().items.count }
    /// The largest count that an item may lack; 0 while exact.
    package var offset: UInt64 { loose.isEmpty ? taken : settledCopy().taken }
    /// Whether all counts are exact.
    package var isExact: Bool { offset == 0 }
    /// Memory behind the summary.
    package var byteCount: Int {
        MemoryLayout<TextCount>.stride * (items.capacity + loose.capacity) + texts.capacity
    }

    /// Adds counted items; equal items may come more than once, counts of 0 are left out.
    ///
    /// Reductions happen when eight times the capacity are at hand, and when the summary is read:
    /// both depend on what was added, in its order, alone.
    package mutating func update(_ added: [CountedItem]) {
        for item in added where item.count > 0 {
            total &+= item.count
            loose.append(
                TextCount(
                    hash: item.hash, count: item.count,
                    start: texts.count, byteCount: item.bytes.count))
            texts.append(contentsOf: item.bytes)
        }
        if loose.count > 8 * capacity { settle() }
    }

    /// Adds different texts with counts above 0, and leaves the memory at `added` in the order of
    /// hashes.
    ///
    /// A summary that was empty reduces at once, unless two texts share a hash.
    /// - Complexity: O(n), about 15 ns a text.
    package mutating func update(
        _ added: UnsafeMutableBufferPointer<TextCount>, texts source: UnsafePointer<UInt8>?
    ) {
        guard let base = added.baseAddress else { return }
        unsafe sortByHash(base, count: added.count)
        var sum: UInt64 = 0
        var isUnique = true
        for place in 0..<added.count {
            unsafe sum &+= base[place].count
            if place > 0, unsafe base[place].hash == base[place - 1].hash { isUnique = false }
        }
        total &+= sum
        guard isUnique, items.isEmpty, loose.isEmpty else {
            unsafe Self.take(
                UnsafeBufferPointer(added), from: source, over: 0, into: &loose, &texts)
            if loose.count > 8 * capacity { settle() }
            return
        }
        let cut = unsafe Self.cut(UnsafeBufferPointer(added), to: capacity)
        taken &+= cut
        unsafe Self.take(
            UnsafeBufferPointer(added), from: source, over: cut, into: &items, &texts)
    }

    /// Forgets all items; keeps the memory, but for what more or longer texts than usual took.
    package mutating func reset() {
        total = 0
        taken = 0
        items.removeAll(keepingCapacity: items.capacity <= 2 * capacity)
        loose.removeAll(keepingCapacity: loose.capacity <= 2 * capacity)
        texts.removeAll(keepingCapacity: texts.capacity <= 32 * capacity)
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    package mutating func merge(_ next: borrowing FrequentItems) {
        total &+= next.total
        taken &+= next.taken
        let shift = texts.count
        texts.append(contentsOf: next.texts)
        Self.append(next.items, shift: shift, to: &loose)
        if loose.count > 8 * capacity { settle() }
        guard !next.loose.isEmpty else { return }
        // Settling leaves the bytes of dropped texts behind: those of `next` come once more.
        let again = texts.count
        let isSettled = loose.isEmpty
        if isSettled { texts.append(contentsOf: next.texts) }
        Self.append(next.loose, shift: isSettled ? again : shift, to: &loose)
        if loose.count > 8 * capacity { settle() }
    }

    private static func append(
        _ added: [TextCount], shift: Int, to list: inout [TextCount]
    ) {
        let first = list.count
        // More panes of about this size follow, usually.
        if list.isEmpty { list.reserveCapacity(min(4 * added.count, 8_192)) }
        list.append(contentsOf: added)
        guard shift > 0 else { return }
        unsafe list.withUnsafeMutableBufferPointer { list in
            for place in first..<list.count { unsafe list[place].start &+= shift }
        }
    }

    /// Copies those above `cut` behind a list, less `cut`, and their texts behind the texts.
    private static func take(
        _ added: UnsafeBufferPointer<TextCount>, from source: UnsafePointer<UInt8>?,
        over cut: UInt64, into list: inout [TextCount], _ texts: inout [UInt8]
    ) {
        var byteCount = 0
        var kept = 0
        for place in added.indices where unsafe added[place].count > cut {
            unsafe byteCount &+= added[place].byteCount
            kept &+= 1
        }
        var at = texts.count
        texts.append(contentsOf: repeatElement(0, count: byteCount))
        list.reserveCapacity(list.count + kept)
        unsafe texts.withUnsafeMutableBufferPointer { texts in
            for place in added.indices {
                let item = unsafe added[place]
                guard item.count > cut else { continue }
                let count = item.byteCount
                if count > 0, let base = texts.baseAddress, let source = unsafe source {
                    unsafe copyText(source + item.start, count: count, to: base + at)
                }
                list.append(
                    TextCount(
                        hash: item.hash, count: item.count &- cut, start: at, byteCount: count))
                at &+= count
            }
        }
    }

    /// Sorts in what was added.
    mutating func settle() {
        guard !loose.isEmpty else { return }
        let count = loose.count + items.count
        let all = UnsafeMutablePointer<TextCount>.allocate(capacity: count)
        defer { unsafe all.deallocate() }
        unsafe loose.withUnsafeBufferPointer { loose in
            unsafe items.withUnsafeBufferPointer { items in
                unsafe writeByHash([loose, items], count: count, into: all)
            }
        }
        // Those of one text become one, in place.
        var used = 0
        unsafe texts.withUnsafeBufferPointer { texts in
            var run = 0
            for place in 0..<count {
                let item = unsafe all[place]
                if unsafe used > run && all[run].hash != item.hash {
                    unsafe Self.order(all + run, count: used &- run, texts)
                    run = used
                }
                var same = run
                while unsafe same < used && !Self.equal(all[same], item, texts) { same &+= 1 }
                if same < used {
                    unsafe all[same].count &+= item.count
                } else {
                    unsafe all[used] = item
                    used &+= 1
                }
            }
            unsafe Self.order(all + run, count: used &- run, texts)
        }
        loose = []
        let old = texts
        items = []
        texts = []
        let joined = unsafe UnsafeBufferPointer(start: UnsafePointer(all), count: used)
        let cut = unsafe Self.cut(joined, to: capacity)
        taken &+= cut
        unsafe old.withUnsafeBufferPointer { old in
            unsafe Self.take(joined, from: old.baseAddress, over: cut, into: &items, &texts)
        }
    }

    /// All of one hash: rarely more than one text.
    private static func order(
        _ items: UnsafeMutablePointer<TextCount>, count: Int, _ texts: UnsafeBufferPointer<UInt8>
    ) {
        for place in 1..<Swift.max(1, count) {
            let item = unsafe items[place]
            var at = place
            while unsafe at > 0 && precedes(item, items[at - 1], texts) {
                unsafe items[at] = items[at - 1]
                at -= 1
            }
            unsafe items[at] = item
        }
    }

    private static func equal(
        _ a: TextCount, _ b: TextCount, _ texts: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        guard a.byteCount == b.byteCount else { return false }
        guard a.byteCount > 0, let base = texts.baseAddress else { return true }
        return unsafe memcmp(base + a.start, base + b.start, a.byteCount) == 0
    }

    /// The order of bytes.
    private static func precedes(
        _ a: TextCount, _ b: TextCount, _ texts: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        let common = Swift.min(a.byteCount, b.byteCount)
        guard common > 0, let base = texts.baseAddress else { return a.byteCount < b.byteCount }
        let order = unsafe memcmp(base + a.start, base + b.start, common)
        return order != 0 ? order < 0 : a.byteCount < b.byteCount
    }

    private borrowing func bytes(of item: TextCount) -> [UInt8] {
        Array(texts[item.start..<item.start + item.byteCount])
    }

    /// The (capacity + 1)-th largest count; 0 where there are no more.
    private static func cut(_ items: UnsafeBufferPointer<TextCount>, to capacity: Int) -> UInt64 {
        guard items.count > capacity else { return 0 }
        // Nearly all counts are small: how many there are of each says where the place falls.
        var tally = InlineArray<64, Int>(repeating: 0)
        for place in items.indices {
            tally[Int(Swift.min(unsafe items[place].count, 63))] &+= 1
        }
        var above = tally[63]
        if above <= capacity {
            for count in stride(from: 62, through: 0, by: -1) {
                above += tally[count]
                if above > capacity { return UInt64(count) }
            }
        }
        var counts: [UInt64] = []
        for place in items.indices where unsafe items[place].count >= 63 {
            counts.append(unsafe items[place].count)
        }
        counts.sort()
        return counts[counts.count - 1 - capacity]
    }

    /// An equal summary.
    package borrowing func copy() -> FrequentItems {
        var other = FrequentItems(lgMax: lgMax)
        other.total = total
        other.taken = taken
        other.items = items
        other.loose = loose
        other.texts = texts
        return other
    }

    /// A copy with what was added sorted in: for those who read more than once.
    package borrowing func settledCopy() -> FrequentItems {
        var other = copy()
        other.settle()
        return other
    }

    /// The `n` items of the largest counts, by count descending, then by bytes.
    ///
    /// - Complexity: O(items) for small `n`.
    package func top(_ n: Int) -> [FrequentItem] {
        guard loose.isEmpty else { return settledCopy().top(n) }
        guard n > 0 else { return [] }
        // The best so far, in order; most items are told off by the last one's count.
        var best: [TextCount] = []
        best.reserveCapacity(n + 1)
        unsafe texts.withUnsafeBufferPointer { texts in
            func precedes(_ a: TextCount, _ b: TextCount) -> Bool {
                a.count != b.count ? a.count > b.count : unsafe Self.precedes(a, b, texts)
            }
            unsafe items.withUnsafeBufferPointer { items in
                // Counts are above 0.
                var least: UInt64 = 0
                for place in items.indices where unsafe items[place].count >= least {
                    let item = unsafe items[place]
                    if best.count == n {
                        guard precedes(item, best[n - 1]) else { continue }
                        best.removeLast()
                    }
                    var at = best.count
                    while at > 0, precedes(item, best[at - 1]) { at -= 1 }
                    best.insert(item, at: at)
                    if best.count == n { least = best[n - 1].count }
                }
            }
        }
        return best.map { item in
            FrequentItem(
                bytes: bytes(of: item),
                estimate: item.count + taken,
                lower: item.count,
                upper: item.count + taken
            )
        }
    }

    /// What the true count of an item may be.
    package func bounds(of bytes: [UInt8]) -> (lower: UInt64, upper: UInt64) {
        guard loose.isEmpty else { return settledCopy().bounds(of: bytes) }
        let hash = murmur3(bytes).low
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        while low < items.count, items[low].hash == hash {
            if self.bytes(of: items[low]) == bytes {
                return (items[low].count, items[low].count + taken)
            }
            low += 1
        }
        return (0, taken)
    }

    // MARK: Bytes

    /// Bytes of a DataSketches `frequent_items_sketch` of strings, items in the order of their
    /// hashes.
    package func serialize() -> [UInt8] {
        guard loose.isEmpty else { return settledCopy().serialize() }
        var lgNow = 3
        while items.count > 3 << (lgNow - 2) { lgNow += 1 }
        // No total means no item ever: the short form.
        let empty = total == 0
        let head: [UInt8] = [
            empty ? 1 : 4, 1, 10, UInt8(lgMax), UInt8(Swift.min(lgNow, lgMax)), empty ? 5 : 0, 0, 0,
        ]
        if empty { return head }
        var byteCount = 32 + items.count * 12
        for item in items { byteCount &+= item.byteCount }
        return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { bytes, written in
            written = byteCount
            guard let to = UnsafeMutableRawPointer(bytes.baseAddress) else { return }
            // Every target is little-endian.
            for place in 0..<8 { unsafe bytes[place] = head[place] }
            unsafe to.storeBytes(of: UInt64(items.count), toByteOffset: 8, as: UInt64.self)
            unsafe to.storeBytes(of: total, toByteOffset: 16, as: UInt64.self)
            unsafe to.storeBytes(of: taken, toByteOffset: 24, as: UInt64.self)
            var at = unsafe to + 32
            for item in items {
                unsafe at.storeBytes(of: item.count, as: UInt64.self)
                unsafe at += 8
            }
            unsafe texts.withUnsafeBufferPointer { texts in
                for item in items {
                    let count = UInt32(truncatingIfNeeded: item.byteCount)
                    unsafe at.storeBytes(of: count, as: UInt32.self)
                    unsafe at += 4
                    guard item.byteCount > 0, let source = texts.baseAddress else { continue }
                    unsafe copyText(
                        source + item.start, count: item.byteCount,
                        to: at.assumingMemoryBound(to: UInt8.self))
                    unsafe at += item.byteCount
                }
            }
        }
    }

    /// The summary that DataSketches bytes of frequent strings hold.
    ///
    /// - Throws: `SketchError` for anything else.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> FrequentItems {
        var reader = ByteReader(bytes)
        let head = try FrequentItemsHeader(&reader)
        var summary = FrequentItems(lgMax: head.lgMax)
        guard !head.isEmpty else {
            try reader.finish()
            return summary
        }
        for weight in head.weights {
            let length = Int(try reader.read(UInt32.self))
            let text = Array(try reader.readBytes(length))
            summary.loose.append(
                TextCount(
                    hash: murmur3(text).low, count: weight,
                    start: summary.texts.count, byteCount: length))
            summary.texts.append(contentsOf: text)
        }
        try reader.finish()
        summary.settle()
        guard summary.items.count == head.weights.count else {
            throw .corrupt(field: "item twice", offset: 32)
        }
        summary.total = head.total
        summary.taken = head.offset
        return summary
    }
}

/// Copies a text: most have a few bytes.
@inline(__always)
private func copyText(
    _ from: UnsafePointer<UInt8>, count: Int, to: UnsafeMutablePointer<UInt8>
) {
    guard count > 16 || count < 4 else {
        // Two halves that may overlap.
        let (source, target) = unsafe (UnsafeRawPointer(from), UnsafeMutableRawPointer(to))
        if count >= 8 {
            let first = unsafe source.loadUnaligned(as: UInt64.self)
            let last = unsafe source.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
            unsafe target.storeBytes(of: first, as: UInt64.self)
            unsafe target.storeBytes(of: last, toByteOffset: count - 8, as: UInt64.self)
        } else {
            let first = unsafe source.loadUnaligned(as: UInt32.self)
            let last = unsafe source.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)
            unsafe target.storeBytes(of: first, as: UInt32.self)
            unsafe target.storeBytes(of: last, toByteOffset: count - 4, as: UInt32.self)
        }
        return
    }
    unsafe to.update(from: from, count: count)
}

/// Sorts by hash, in place.
private func sortByHash(_ items: UnsafeMutablePointer<TextCount>, count: Int) {
    guard count > 16 else { return unsafe insertionSort(items, count: count) }
    let sorted = UnsafeMutablePointer<TextCount>.allocate(capacity: count)
    defer { unsafe sorted.deallocate() }
    unsafe writeByHash(
        [UnsafeBufferPointer(start: UnsafePointer(items), count: count)], count: count,
        into: sorted)
    unsafe items.update(from: sorted, count: count)
}

/// Writes the items of some lists in the order of their hashes; those of one hash as they came.
///
/// Hashes are spread evenly, so as many buckets as items leave next to nothing to sort in each.
private func writeByHash(
    _ lists: [UnsafeBufferPointer<TextCount>], count: Int,
    into sorted: UnsafeMutablePointer<TextCount>
) {
    let lgBuckets = max(1, min(12, Int.bitWidth - (count - 1).leadingZeroBitCount))
    let shift = UInt64(64 - lgBuckets)
    let ends = UnsafeMutablePointer<UInt32>.allocate(capacity: 1 << lgBuckets + 1)
    defer { unsafe ends.deallocate() }
    unsafe ends.initialize(repeating: 0, count: 1 << lgBuckets + 1)
    for index in unsafe lists.indices {
        let list = unsafe lists[index]
        for place in 0..<list.count {
            unsafe ends[Int(truncatingIfNeeded: list[place].hash >> shift) &+ 1] &+= 1
        }
    }
    for bucket in 1...1 << lgBuckets { unsafe ends[bucket] &+= ends[bucket &- 1] }
    for index in unsafe lists.indices {
        let list = unsafe lists[index]
        for place in 0..<list.count {
            let bucket = unsafe Int(truncatingIfNeeded: list[place].hash >> shift)
            unsafe (sorted + Int(ends[bucket])).initialize(to: list[place])
            unsafe ends[bucket] &+= 1
        }
    }
    // Nothing has far to go now, unless somebody chose texts whose hashes share their highest bits.
    var fullest: UInt32 = 0
    for bucket in 1..<1 << lgBuckets {
        fullest = unsafe max(fullest, ends[bucket] &- ends[bucket &- 1])
    }
    if unsafe max(fullest, ends[0]) > 48 {
        var all = unsafe UnsafeMutableBufferPointer(start: sorted, count: count)
        return unsafe all.sort { $0.hash < $1.hash }
    }
    unsafe insertionSort(sorted, count: count)
}

private func insertionSort(_ items: UnsafeMutablePointer<TextCount>, count: Int) {
    for place in 1..<max(1, count) {
        let item = unsafe items[place]
        var at = place
        while unsafe at > 0 && items[at &- 1].hash > item.hash {
            unsafe items[at] = items[at &- 1]
            at &-= 1
        }
        unsafe items[at] = item
    }
}
