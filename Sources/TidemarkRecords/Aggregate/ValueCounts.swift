/// Exact counts of texts, the most frequent first; `other` is what further texts have together.
package struct ValueCounts: Sendable {
    /// Texts with their counts.
    package var items: [(value: [UInt8], count: Int64)]
    /// How many rows have other texts than these.
    package var other: Int64
    package init(items: [(value: [UInt8], count: Int64)], other: Int64) {
        self.items = items
        self.other = other
    }
}
