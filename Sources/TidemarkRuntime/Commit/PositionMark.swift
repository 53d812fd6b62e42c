/// What a position that somebody set by hand carries in place of commit metadata.
///
/// The next start finds no metadata there and begins the state epoch that the mark names: one that
/// no record of state was ever written under.
package struct PositionMark: Sendable, Equatable {
    /// The state epoch that begins with these positions.
    package var stateEpoch: Int

    /// A mark with the number of the new epoch.
    package init(stateEpoch: Int) { self.stateEpoch = stateEpoch }

    /// Reads a mark; `nil` if the text is none.
    package init?(_ text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, words[0] == "by-hand", let epoch = Int(words[1]), epoch >= 0 else {
            return nil
        }
        stateEpoch = epoch
    }

    /// As it stands in the offset's metadata.
    package var text: String { "by-hand \(stateEpoch)" }
}
