import CKernels

/// Integers with their counts, in buckets of eight that are compared at once; its owner frees it.
///
/// - Memory: 16 B a place, and a byte a bucket.
@safe
package struct ItemTable {
    private var table: tk_item_table
    /// How many places there are.
    package let placeCount: Int

    /// A free table of 2^`lgPlaces` places.
    ///
    /// - Precondition: `lgPlaces >= 4`.
    package init(lgPlaces: Int) {
        precondition(lgPlaces >= 4, "a table of items has two buckets at least")
        placeCount = 1 << lgPlaces
        unsafe table = tk_item_table(
            keys: .allocate(capacity: placeCount), counts: .allocate(capacity: placeCount),
            fill: .allocate(capacity: placeCount / 8),
            lg_buckets: Int32(truncatingIfNeeded: lgPlaces - 3))
        clear()
    }

    /// Gives the memory back; nothing else may be called then.
    package func deallocate() {
        unsafe table.keys.deallocate()
        unsafe table.counts.deallocate()
        unsafe table.fill.deallocate()
    }

    /// Makes all places free.
    package func clear() {
        var table = unsafe self.table
        unsafe tk_clear_items(&table)
    }

    /// Adds values, each once, until `room` of them were new.
    ///
    /// - Precondition: there are more than `room` free places.
    /// - Returns: How many values were taken, and how many of them were new.
    /// - Complexity: about 3 ns a value.
    package func add(_ values: UnsafePointer<Int64>, count: Int, room: Int) -> (Int, new: Int) {
        var table = unsafe self.table
        var new = 0
        let taken = unsafe tk_add_items(&table, values, count, room, &new)
        return (taken, new)
    }

    /// Adds to the count of a value.
    ///
    /// - Precondition: there is a free place.
    /// - Returns: Whether it is new.
    package func add(_ value: Int64, weight: UInt64) -> Bool {
        var table = unsafe self.table
        return unsafe tk_add_item(&table, value, weight) != 0
    }

    /// The count of a value, 0 where it is not held.
    package func count(of value: Int64) -> UInt64 {
        var table = unsafe self.table
        return unsafe tk_item_count(&table, value)
    }

    /// How many counts exceed a bound.
    package func countAbove(_ bound: UInt64) -> Int {
        unsafe tk_count_above(table.counts, placeCount, bound)
    }

    /// Keeps what exceeds a bound, each less the bound.
    ///
    /// `keys` and `counts` are room for eight more than that.
    ///
    /// - Returns: How many they are.
    /// - Complexity: O(places), about a nanosecond each without AVX-512.
    package func reduce(
        by bound: UInt64, keys: UnsafeMutablePointer<UInt64>, counts: UnsafeMutablePointer<UInt64>
    ) -> Int {
        var table = unsafe self.table
        return unsafe tk_reduce_items(&table, bound, keys, counts)
    }

    /// Calls `body` with each value and its count, in no order.
    package func forEach(_ body: (Int64, UInt64) -> Void) {
        for place in 0..<placeCount where unsafe table.counts[place] > 0 {
            unsafe body(Int64(bitPattern: table.keys[place]), table.counts[place])
        }
    }

    /// Takes over all places of a table of the same size.
    package func update(from other: ItemTable) {
        precondition(placeCount == other.placeCount, "tables of one size are copied")
        unsafe table.keys.update(from: other.table.keys, count: placeCount)
        unsafe table.counts.update(from: other.table.counts, count: placeCount)
        unsafe table.fill.update(from: other.table.fill, count: placeCount / 8)
    }
}
