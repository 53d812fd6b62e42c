import TidemarkKernels

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

/// The most frequent of many byte strings, by Misra and Gries: an ordered summary.
///
/// Exact while there are at most `capacity` distinct items. Beyond, the (capacity + 1)-th largest
/// count is taken off every item and added to `offset`; what is left of an item is a lower bound,
/// and with `offset` an upper one, of its true count, also after merges.
///
/// - Error: `offset` ≤ total / (capacity + 1).
/// - Memory: about 48 B an item and its bytes; nothing when empty.
/// - Source: Misra, Gries 1982; Agarwal et al., "Mergeable summaries", 2012; bytes as Apache
///   DataSketches' `frequent_items_sketch` of strings.
package struct FrequentItems: ~Copyable, Ordered, Sendable {
    /// Logarithm of the table size in the bytes.
    package let lgMax: Int
    /// All counts that went in.
    package internal(set) var total: UInt64
    // What reductions took off so far, and what is left: in the order of `precedes`, each item once,
    // counts above 0.
    var taken: UInt64
    var items: [CountedItem]
    // Added and not yet sorted in: merging many small summaries sorts once.
    var loose: [CountedItem]

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
    }

    /// How many items are kept at most.
    package var capacity: Int { 3 << (lgMax - 2) }
    /// How many items are kept.
    package var itemCount: Int { loose.isEmpty ? items.count : settledCopy().items.count }
    /// The largest count that an item may lack; 0 while exact.
    package var offset: UInt64 { loose.isEmpty ? taken : settledCopy().taken }
    /// Whether all counts are exact.
    package var isExact: Bool { offset == 0 }

    /// Adds counted items; equal items may come more than once, counts of 0 are left out.
    ///
    /// Reductions happen when eight times the capacity are at hand, and when the summary is read:
    /// both depend on what was added, in its order, alone.
    ///
    /// `sorted`: by hash, then bytes, each item once: the cheap case.
    /// - Complexity: O(n log n), O(n) if `sorted` and the summary was empty.
    package mutating func update(_ added: [CountedItem], sorted: Bool = false) {
        for item in added { total &+= item.count }
        if sorted, items.isEmpty, loose.isEmpty {
            items = added
            reduce()
        } else {
            add(added)
        }
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    package mutating func merge(_ next: borrowing FrequentItems) {
        total &+= next.total
        taken &+= next.taken
        add(next.items)
        if !next.loose.isEmpty { add(next.loose) }
    }

    /// Sorts in what was added: for those who read more than once.
    package mutating func settle() {
        guard !loose.isEmpty else { return }
        // Plain keys sort without touching the items' bytes.
        var keys = loose.indices.map { (hash: loose[$0].hash, place: $0) }
        keys.sort { $0.hash != $1.hash ? $0.hash < $1.hash : $0.place < $1.place }
        var joined: [CountedItem] = []
        joined.reserveCapacity(items.count + loose.count)
        var run: [CountedItem] = []
        var item = 0
        var key = 0
        while item < items.count || key < keys.count {
            if key == keys.count || (item < items.count && items[item].hash < keys[key].hash) {
                joined.append(items[item])
                item += 1
                continue
            }
            // All of one hash: rarely more than one text.
            let hash = keys[key].hash
            run.removeAll(keepingCapacity: true)
            while item < items.count, items[item].hash == hash {
                run.append(items[item])
                item += 1
            }
            while key < keys.count, keys[key].hash == hash {
                let place = keys[key].place
                key += 1
                guard loose[place].count > 0 else { continue }
                if let known = run.firstIndex(where: { $0.bytes == loose[place].bytes }) {
                    run[known].count &+= loose[place].count
                } else {
                    run.append(loose[place])
                }
            }
            if run.count > 1 { run.sort(by: CountedItem.precedes) }
            joined.append(contentsOf: run)
        }
        items = joined
        loose.removeAll(keepingCapacity: false)
        reduce()
    }

    /// An equal summary.
    package borrowing func copy() -> FrequentItems {
        var other = FrequentItems(lgMax: lgMax)
        other.total = total
        other.taken = taken
        other.items = items
        other.loose = loose
        return other
    }

    private borrowing func settledCopy() -> FrequentItems {
        var other = copy()
        other.settle()
        return other
    }

    private mutating func add(_ added: [CountedItem]) {
        loose.append(contentsOf: added)
        if loose.count > 8 * capacity { settle() }
    }

    /// The `n` items of the largest counts, by count descending, then by bytes.
    ///
    /// - Complexity: O(items) for small `n`.
    package func top(_ n: Int) -> [FrequentItem] {
        guard loose.isEmpty else { return settledCopy().top(n) }
        guard n > 0 else { return [] }
        func precedes(_ a: Int, _ b: Int) -> Bool {
            items[a].count != items[b].count
                ? items[a].count > items[b].count
                : items[a].bytes.lexicographicallyPrecedes(items[b].bytes)
        }
        // The best so far, in order; most items are told off by the last one's count.
        var best: [Int] = []
        for place in items.indices {
            if best.count == n {
                guard items[place].count >= items[best[n - 1]].count, precedes(place, best[n - 1])
                else { continue }
                best.removeLast()
            }
            var at = best.count
            while at > 0, precedes(place, best[at - 1]) { at -= 1 }
            best.insert(place, at: at)
        }
        return best.map { place in
            FrequentItem(
                bytes: items[place].bytes,
                estimate: items[place].count + taken,
                lower: items[place].count,
                upper: items[place].count + taken
            )
        }
    }

    /// What the true count of an item may be.
    package func bounds(of bytes: [UInt8]) -> (lower: UInt64, upper: UInt64) {
        guard loose.isEmpty else { return settledCopy().bounds(of: bytes) }
        let hash = murmur3(bytes).low
        let probe = CountedItem(bytes: bytes, hash: hash, count: 0)
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if CountedItem.precedes(items[middle], probe) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < items.count, items[low].hash == hash, items[low].bytes == bytes else {
            return (0, taken)
        }
        return (items[low].count, items[low].count + taken)
    }

    private mutating func reduce() {
        guard items.count > capacity else { return }
        let counts = items.map(\.count).sorted(by: >)
        let cut = counts[capacity]
        taken &+= cut
        var kept: [CountedItem] = []
        kept.reserveCapacity(capacity)
        for item in items where item.count > cut {
            kept.append(CountedItem(bytes: item.bytes, hash: item.hash, count: item.count - cut))
        }
        items = kept
    }

    // MARK: Bytes

    /// Bytes of a DataSketches `frequent_items_sketch` of strings, items in the order of their
    /// hashes.
    package func serialize() -> [UInt8] {
        guard loose.isEmpty else { return settledCopy().serialize() }
        var lgNow = 3
        while items.count > 3 << (lgNow - 2) { lgNow += 1 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32 + items.count * 28)
        // No total means no item ever: the short form.
        let empty = total == 0
        bytes.append(contentsOf: [
            empty ? 1 : 4, 1, 10, UInt8(lgMax), UInt8(Swift.min(lgNow, lgMax)), empty ? 5 : 0, 0, 0,
        ])
        if empty { return bytes }
        bytes.append(littleEndian: UInt32(items.count))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: total)
        bytes.append(littleEndian: taken)
        for item in items { bytes.append(littleEndian: item.count) }
        for item in items {
            bytes.append(littleEndian: UInt32(item.bytes.count))
            bytes.append(contentsOf: item.bytes)
        }
        return bytes
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
        var read: [CountedItem] = []
        for weight in head.weights {
            let length = Int(try reader.read(UInt32.self))
            read.append(CountedItem(bytes: Array(try reader.readBytes(length)), count: weight))
        }
        try reader.finish()
        summary.loose = read
        summary.settle()
        guard summary.items.count == head.weights.count else {
            throw .corrupt(field: "item twice", offset: 32)
        }
        summary.total = head.total
        summary.taken = head.offset
        return summary
    }
}
