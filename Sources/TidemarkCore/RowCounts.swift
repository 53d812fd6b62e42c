/// How the rows of a group and window were counted for one column.
package struct RowCounts: Sendable, Equatable {
    /// All rows of the group and window: the sum of the five that follow.
    package var total: Int64 = 0
    /// Rows whose value could be used.
    package var value: Int64 = 0
    /// Rows that say null, or a text that stands for null.
    package var null: Int64 = 0
    /// Rows without the field.
    package var missing: Int64 = 0
    /// Rows with a value of another type than the column's, or a fraction in a column of integers.
    package var wrongType: Int64 = 0
    /// Rows with NaN or an infinity.
    package var nonFinite: Int64 = 0
    /// Rows that came after every window of this length that they belong to was over.
    ///
    /// They are counted in the window that the watermark was in, and not in `total`.
    package var late: Int64 = 0
    /// Rows too far ahead of the reference clock, counted where the late ones are, and not in
    /// `total`.
    package var quarantined: Int64 = 0
    package init() {}

    /// Joins the counts of other rows.
    package mutating func add(_ other: RowCounts) {
        total += other.total
        value += other.value
        null += other.null
        missing += other.missing
        wrongType += other.wrongType
        nonFinite += other.nonFinite
        late += other.late
        quarantined += other.quarantined
    }
}
