/// A row that was sampled: where it lies, and the column's value in it.
package struct SampledRow: Sendable, Equatable {
    /// The number of the partition; 0 for a file.
    package var partition: Int
    /// The record's offset; in a file its number, from 0.
    package var offset: Int64
    /// The column's value in that row.
    package var value: Double
    package init(partition: Int, offset: Int64, value: Double) {
        self.partition = partition
        self.offset = offset
        self.value = value
    }
}
