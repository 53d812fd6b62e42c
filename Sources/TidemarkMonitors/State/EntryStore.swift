import TidemarkCodec
import TidemarkDataflow

/// What a state entry is to hold.
struct EntryContent {
    /// See `StateFrame.appliedThroughMs`.
    var appliedThroughMs: Int64
    /// What is kept, in the form of its kind.
    var payload: [UInt8] = []
    /// Only windows that come again still need it.
    var isLeaving = false
}

/// Which state entries of one owner the next unit of commit writes, and which it takes away.
///
/// The values stay with their owner, which says what changed and, when a unit is made, what each entry
/// holds. A key comes at most once in a unit, and an entry that no unit has written is not taken away.
///
/// Some values can't go at once: a window that they were applied to may come again (delivery at least
/// once), and would be taken for a new one if the entry were gone. Such an entry is written once more and
/// then *leaves*: it is taken away when its owner says that no such window comes any more.
///
/// - Memory: what changed since the last unit, and what is leaving.
/// - Complexity: O(1) for a change; a unit costs what changed and what is leaving.
struct EntryStore<ID: Hashable> {
    private enum Change {
        /// Written for the first time.
        case create
        case update
        case remove
    }

    private let kind: StateFrame.Kind
    private let key: (ID) -> [UInt8]
    private var changes: [ID: (change: Change, byteCount: Int)] = [:]
    private var leaving: Set<ID> = []
    /// Which windows do not come again.
    private(set) var settled: SettledWindows
    /// About what the next unit has to write, bytes; kept up to date.
    private(set) var pendingBytes = 0

    /// A frame, and the heads of the allocations of a key and a value.
    private static var overheadBytes: Int { 100 }

    /// - `key`: the key of an entry.
    /// - `sizeCount`: lengths of windows, where the owner tells of those that were closed.
    init(_ kind: StateFrame.Kind, sizeCount: Int = 0, key: @escaping (ID) -> [UInt8]) {
        self.kind = kind
        self.key = key
        settled = SettledWindows(sizeCount: sizeCount)
    }

    // MARK: Changes

    /// Notes that an entry has to be written.
    ///
    /// - `isNew`: no unit has written it yet, and it was not read back.
    /// - `byteCount`: about how long its key and its payload are.
    mutating func write(_ id: ID, isNew: Bool = false, byteCount: Int) {
        let bytes = byteCount + Self.overheadBytes
        let before = changes[id]
        let change: Change =
            switch before?.change {
            case .create: .create
            case .update, .remove: .update
            case nil: isNew ? .create : .update
            }
        pendingBytes += bytes - (before?.byteCount ?? 0)
        changes[id] = (change, bytes)
    }

    /// Notes that an entry has to go, if it was ever written.
    mutating func remove(_ id: ID) {
        let before = changes.removeValue(forKey: id)
        pendingBytes -= before?.byteCount ?? 0
        guard before?.change != .create else { return }
        pendingBytes += Self.overheadBytes
        changes[id] = (.remove, Self.overheadBytes)
    }

    /// Notes that an entry was read back which is only there for windows that come again.
    mutating func restoreLeaving(_ id: ID) { leaving.insert(id) }

    /// Whether an entry is still to be written for the first time.
    func isNew(_ id: ID) -> Bool { changes[id]?.change == .create }

    /// Notes that a window was closed, after all its groups.
    mutating func close(_ closing: WindowClosing) { settled.close(closing) }

    // MARK: Units

    /// Lets go of entries that are leaving, before a unit is made: the unit takes them away.
    ///
    /// - `isOver`: no window comes again that this entry is there for.
    /// - Returns: those that went.
    mutating func letGo(where isOver: (ID) -> Bool) -> [ID] {
        let over = leaving.filter { changes[$0] == nil && isOver($0) }
        for id in over {
            leaving.remove(id)
            remove(id)
        }
        return Array(over)
    }

    /// What the next unit writes and takes away, in no order; that unit is through when it is asked again.
    ///
    /// - `content`: what an entry holds; `nil`: nothing any more.
    mutating func take(epoch: Int, _ content: (ID) -> EntryContent?) -> [StateEntry] {
        var entries: [StateEntry] = []
        entries.reserveCapacity(changes.count)
        for (id, change) in changes {
            leaving.remove(id)
            guard change.change != .remove, let content = content(id) else {
                entries.append(StateEntry(key: key(id), value: nil))
                continue
            }
            if content.isLeaving { leaving.insert(id) }
            let frame = StateFrame(
                kind: kind, epoch: epoch, appliedThroughMs: content.appliedThroughMs,
                payload: content.payload)
            entries.append(StateEntry(key: key(id), value: frame.encoded()))
        }
        changes = [:]
        pendingBytes = 0
        settled.settle()
        return entries
    }
}
