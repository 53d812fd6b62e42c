import TidemarkText

/// How often values came, those of the smallest hashes: an order-free summary of which values there were.
///
/// With no more values than it has room for it knows them all. Else it is a sample of values at random, and of each of
/// them every row is counted. Values are told apart by 32 bits of their hashes.
///
/// - Memory: 16 bytes a value, 512 of them at most.
package struct SeenValues: Sendable, Equatable {
    /// Values that it has room for.
    package static let capacity = 512

    /// A value.
    package struct Item: Sendable, Equatable {
        /// A part of its hash.
        package var hash: UInt32
        /// How often it came.
        package var count: UInt64

        package init(hash: UInt32, count: UInt64) {
            self.hash = hash
            self.count = count
        }
    }

    /// By hash.
    package private(set) var items: [Item] = []
    /// Of values with greater hashes nothing is known; `.max`: all values are here.
    package private(set) var through = UInt32.max

    package init() {}

    /// Adds values in any order; equal ones may come more than once.
    package mutating func add(_ added: [Item]) {
        // Of very many most are not kept: those below a bound that surely leaves enough come first.
        var bound = UInt32.max
        if added.count > 4 * Self.capacity {
            bound = UInt32(UInt64(UInt32.max) * UInt64(2 * Self.capacity) / UInt64(added.count))
        }
        func sorted(_ hashes: ClosedRange<UInt32>) -> [Item] {
            added.filter { $0.count > 0 && hashes.contains($0.hash) }.sorted { $0.hash < $1.hash }
        }
        join(sorted(0...min(bound, through)))
        if through > bound { join(sorted(bound + 1...through)) }
    }

    /// Adds what another one holds.
    package mutating func merge(_ other: SeenValues) {
        through = min(through, other.through)
        items.removeLast(items.count - place(behind: through))
        join(other.items.prefix(other.place(behind: through)))
    }

    /// The items up to a hash.
    package func items(through hash: UInt32) -> ArraySlice<Item> {
        items.prefix(place(behind: hash))
    }

    /// Whether a value came; of those up to `through`.
    package func contains(_ hash: UInt32) -> Bool {
        let place = place(behind: hash)
        return place > 0 && items[place - 1].hash == hash
    }

    /// How many items have no greater hash.
    private func place(behind hash: UInt32) -> Int {
        var (low, high) = (0, items.count)
        while low < high {
            let middle = (low + high) / 2
            if items[middle].hash <= hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Joins what is sorted; equal neighbours become one.
    private mutating func join(_ sorted: some RandomAccessCollection<Item>) {
        guard !sorted.isEmpty else { return }
        var joined: [Item] = []
        joined.reserveCapacity(items.count + sorted.count)
        func put(_ item: Item) {
            if let last = joined.last, last.hash == item.hash {
                joined[joined.count - 1].count &+= item.count
            } else {
                joined.append(item)
            }
        }
        var rest = sorted[...]
        for item in items {
            while let next = rest.first, next.hash < item.hash {
                put(next)
                rest = rest.dropFirst()
            }
            put(item)
        }
        rest.forEach(put)
        if joined.count > Self.capacity {
            through = joined[Self.capacity - 1].hash
            joined.removeLast(joined.count - Self.capacity)
        }
        items = joined
    }

    // MARK: Bytes

    /// Appends all that it holds.
    package func write(_ bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(items.count))
        bytes.append(varint: UInt64(through))
        var last: UInt32 = 0
        for item in items {
            bytes.append(varint: UInt64(item.hash - last))
            bytes.append(varint: item.count)
            last = item.hash
        }
    }

    /// What `write` wrote, taken off the front; `nil`: it is none.
    package init?(_ bytes: inout ArraySlice<UInt8>) {
        guard let count = bytes.popVarint(), count <= UInt64(Self.capacity),
            let through = bytes.popVarint(), through <= UInt64(UInt32.max)
        else { return nil }
        self.through = UInt32(through)
        var last: UInt64 = 0
        for number in 0..<count {
            guard let step = bytes.popVarint(), let times = bytes.popVarint(), times > 0,
                step > 0 || number == 0, step <= through, last + step <= through
            else { return nil }
            last += step
            items.append(Item(hash: UInt32(last), count: times))
        }
    }
}

/// Which values of a column there were: a sample of all, and those that are frequent.
///
/// A value is frequent where it has at least one in 200 of the rows that were counted together: those of a pane in a
/// partition. Of a value that never was, fewer than one in 200 rows had it. Both are the same however they are merged.
package struct SeenCounts: Sendable, Equatable {
    /// One in so many rows makes a value frequent.
    package static let frequentOneIn: UInt64 = 200

    /// Of all values.
    package private(set) var all = SeenValues()
    /// Of those that are frequent, the rows in which they were.
    package private(set) var frequent = SeenValues()

    package init() {}

    /// Adds the values of rows that are counted together.
    package mutating func add(_ items: [SeenValues.Item]) {
        let rows = items.reduce(0) { $0 &+ $1.count }
        all.add(items)
        frequent.add(items.filter { $0.count &* Self.frequentOneIn >= rows })
    }

    /// Adds what another one holds.
    package mutating func merge(_ other: SeenCounts) {
        all.merge(other.all)
        frequent.merge(other.frequent)
    }

    /// Memory that it holds, bytes.
    package var byteCount: Int { 64 + 16 * (all.items.count + frequent.items.count) }

    /// Appends all that it holds.
    package func write(_ bytes: inout [UInt8]) {
        all.write(&bytes)
        // Most columns have few values, each of them frequent.
        let isSame = all == frequent
        bytes.append(isSame ? 1 : 0)
        if !isSame { frequent.write(&bytes) }
    }

    /// What `write` wrote, taken off the front; `nil`: it is none.
    package init?(_ bytes: inout ArraySlice<UInt8>) {
        guard let all = SeenValues(&bytes), let form = bytes.popFirst(), form <= 1 else {
            return nil
        }
        self.all = all
        guard form == 0 else {
            frequent = all
            return
        }
        guard let frequent = SeenValues(&bytes) else { return nil }
        self.frequent = frequent
    }
}

extension [SeenCounts] {
    /// Adds what others hold of the same columns.
    mutating func merge(_ others: [SeenCounts]) {
        for (place, other) in others.enumerated() {
            if place == count { append(SeenCounts()) }
            self[place].merge(other)
        }
    }

    /// Appends all that they hold.
    func write(_ bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(count))
        for one in self { one.write(&bytes) }
    }

    /// What `write` wrote, taken off the front; `nil`: it is none.
    init?(_ bytes: inout ArraySlice<UInt8>) {
        guard let count = bytes.popVarint(), count <= 4_096 else { return nil }
        self = []
        for _ in 0..<count {
            guard let one = SeenCounts(&bytes) else { return nil }
            append(one)
        }
    }
}
