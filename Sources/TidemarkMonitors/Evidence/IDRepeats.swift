/// What is known of ids that came again: of all of them, or of a sample by their hashes.
package struct IDRepeats: Sendable, Equatable {
    /// Ids that were looked at.
    package var idCount: Int64
    /// Those of them that came more than once.
    package var repeatedCount: Int64
    /// Rows that have one of them.
    package var rowCount: Int64

    package init(idCount: Int64, repeatedCount: Int64, rowCount: Int64) {
        self.idCount = idCount
        self.repeatedCount = repeatedCount
        self.rowCount = rowCount
    }
}
