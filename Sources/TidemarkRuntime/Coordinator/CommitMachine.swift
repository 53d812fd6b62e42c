import TidemarkCore
import TidemarkDataflow

/// The unit of commit: what the next one publishes, whose answers it waits for, how large it may be.
struct CommitMachine {
    private enum State {
        case none
        /// Waits for the snapshots of these workers, which park until all have answered: what stands
        /// in the mailbox then is what the snapshots stand for, no more.
        case barrier(missing: Set<Int>)
        /// On its way.
        case committing(CommitUnit)
    }

    private var state = State.none
    /// Number of the barrier that is on, or was last.
    private(set) var epoch = 0
    /// Number of the commit in the life of the application.
    private var sequence: Int
    /// What the next unit publishes.
    private var outbox: [OutputRecord] = []
    private var outboxBytes = 0
    /// Bytes of the unit that is on its way.
    private var unitBytes = 0
    /// A unit takes windows in until it is as large as this: less where units take long to get through.
    private(set) var unitBytesMax: Int
    private let unitBytesLimit: Int
    /// When the unit that is on its way was made.
    private var unitBeganNs: Int64 = 0
    /// How long the last unit took to get through, ms.
    private(set) var lastUnitMs: Int64 = 0
    private var lastCommitNs: Int64
    /// Tombstones of entries of earlier state epochs, for the first commit.
    private var staleEntries: [StateEntry]
    /// Floors that the next unit records, by slot.
    var proposedFloors: [Int: Int64] = [:]
    /// There is something to commit.
    var hasNews: Bool
    /// A window that just ended was closed, or an alert fires: they do not wait for the tick.
    var isUrgent = false

    init(
        _ settings: RunSettings, sequence: Int, staleEntries: [StateEntry], nowNs: Int64
    ) {
        unitBytesLimit = settings.unitBytesMax
        unitBytesMax = min(settings.unitBytesMax, RunSettings.unitBytesFirst)
        self.sequence = sequence
        self.staleEntries = staleEntries
        hasNews = !staleEntries.isEmpty
        lastCommitNs = nowNs
    }

    /// Takes a record in, for the next unit.
    mutating func emit(_ record: OutputRecord) {
        outboxBytes += record.byteCount
        outbox.append(record)
    }

    /// Memory of what is to be published, bytes.
    var byteCount: Int { outboxBytes + unitBytes }

    /// Neither a barrier is on nor a unit on its way.
    var isIdle: Bool {
        if case .none = state { return true }
        return false
    }

    /// The unit that is on its way.
    var unit: CommitUnit? {
        if case .committing(let unit) = state { return unit }
        return nil
    }

    /// A unit is on its way.
    var isCommitting: Bool {
        if case .committing = state { return true }
        return false
    }

    /// Whether what is to be published, with its state, is as much as a unit may hold.
    func isFull(entryBytes: Int) -> Bool { outboxBytes + entryBytes >= unitBytesMax }

    /// How long ago the last unit got through, ms.
    func sinceMs(_ nowNs: Int64) -> Int64 { (nowNs - lastCommitNs) / 1_000_000 }

    /// Begins a barrier: asks for the snapshots of so many workers.
    mutating func beginBarrier(workerCount: Int) {
        epoch += 1
        hasNews = false
        isUrgent = false
        state = .barrier(missing: Set(0..<workerCount))
    }

    /// Takes the answer of a worker in.
    ///
    /// - Returns: whether all have answered.
    mutating func answer(of worker: Int, epoch answered: Int) -> Bool {
        guard case .barrier(var missing) = state, epoch == answered else { return false }
        missing.remove(worker)
        state = .barrier(missing: missing)
        return missing.isEmpty
    }

    /// The number of the next unit.
    mutating func nextSequence() -> Int {
        sequence += 1
        return sequence
    }

    /// Sends what was collected off with this state and these offsets.
    mutating func send(entries: [StateEntry], offsets: [CommittedOffset], nowNs: Int64) {
        let entries = staleEntries + entries
        unitBeganNs = nowNs
        unitBytes =
            outboxBytes + entries.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) + 64 }
        state = .committing(CommitUnit(records: outbox, entries: entries, offsets: offsets))
        outbox = []
        outboxBytes = 0
    }

    /// Notes that the unit is through.
    mutating func finish(nowNs: Int64) {
        state = .none
        adapt(tookMs: (nowNs - unitBeganNs) / 1_000_000)
        unitBytes = 0
        lastCommitNs = nowNs
        proposedFloors = [:]
        staleEntries = []
    }

    /// A unit should be through in a few seconds, however slowly results leave.
    private mutating func adapt(tookMs: Int64) {
        if tookMs > RunSettings.unitMsMax {
            // As much as would have taken half of that.
            let fitting = Int64(unitBytes) * RunSettings.unitMsMax / (2 * tookMs)
            unitBytesMax = max(
                min(unitBytesLimit, RunSettings.unitBytesMin),
                min(unitBytesMax / 2, Int(fitting)))
        } else if unitBytesMax < unitBytesLimit, tookMs < RunSettings.unitMsMax / 4 {
            // Twice as much, or what takes half of that time at the pace of this one.
            let fitting = Int64(unitBytes) * RunSettings.unitMsMax / (2 * max(1, tookMs))
            unitBytesMax = min(unitBytesLimit, max(unitBytesMax * 2, Int(fitting)))
        }
        lastUnitMs = tookMs
    }
}
