/// What is known of each group in one open pane, 16 bytes a group: where its cell is, what a batch has
/// of it, and its rows that wait.
///
/// One table that stays in the processor's caches, so that a batch with a row for each of thousands
/// of cells need not touch the cells. The owner is the folder.
@safe
final class CellSlots {
    @safe
    struct Slot {
        /// Rows that were not folded yet; nil until the first one has to wait.
        var block: UnsafeMutablePointer<UInt64>?
        /// The cell's place in the pane, -1 for none.
        var place: Int32 = -1
        var waitingCount: UInt16 = 0
        /// The cell's place among those of the batch that is at work, else `outside`.
        var local: UInt16 = CellSlots.outside
    }

    static let outside = UInt16.max

    /// By group.
    private(set) var slots: UnsafeMutablePointer<Slot>
    private(set) var count: Int

    init(count: Int) {
        self.count = count
        unsafe slots = .allocate(capacity: max(1, count))
        unsafe slots.initialize(repeating: Slot(), count: count)
    }

    deinit { unsafe slots.deallocate() }

    /// Makes room for this many groups; moves all slots.
    func grow(to newCount: Int) {
        guard newCount > count else { return }
        let grown = UnsafeMutablePointer<Slot>.allocate(capacity: newCount)
        unsafe grown.update(from: slots, count: count)
        unsafe (grown + count).initialize(repeating: Slot(), count: newCount - count)
        unsafe slots.deallocate()
        unsafe slots = grown
        count = newCount
    }
}
