import Synchronization
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime
import TidemarkTestSupport
import TidemarkText

/// What outlives a process: the log, what was published and acknowledged, the group's offsets.
final class SimulatedCluster: @unchecked Sendable {
    // One thread steps the simulation.
    var partitions: [SimulatedPartition]
    var published: [OutputRecord] = []
    var offsets: [TopicPartition: CommittedOffset] = [:]
    /// Every floor that was ever recorded, by partition.
    var floors: [TopicPartition: [RecordedFloor]] = [:]
    var random: SeededRandom
    let time: SimulatedTime
    var faults: Faults
    /// Changes metadata on its way to the store: how a defect is planted.
    var tamper: ((CommittedOffset) -> CommittedOffset)?
    var commitCount = 0
    /// Told of every commit.
    var onCommit: (([CommittedOffset]) -> Void)?
    /// The state topic, compacted at once; what a transaction left open lies beside it.
    var state: [[UInt8]: [UInt8]] = [:]
    /// The epoch of the transactional id: its newest producer's.
    var producerEpoch = 0
    /// Decided by the coordinator, not yet visible; an `initialize` completes it.
    var prepared: SimulatedTransaction?
    var defects = Defects()

    /// What may be wrong with a cluster or with the code that talks to it: planted, to be found.
    struct Defects: Sendable {
        /// A restore that ends at the last stable offset: what the newest commits wrote is missing.
        var restoreIsStale = false
        /// Old producers are not refused.
        var noFencing = false
        /// After an unknown outcome, old offsets are taken for the truth.
        var unknownIsAborted = false
        /// Offsets are stored before the outputs that go with them.
        var offsetsFirst = false
    }
    /// The state topic as the last stable offset would show it.
    var staleState: [[UInt8]: [UInt8]] = [:]
    /// What the group held before its newest commit.
    var olderOffsets: [TopicPartition: CommittedOffset] = [:]

    struct Faults: Sendable {
        /// Chance that a commit fails with an unknown outcome.
        var commitFails = 0.0
        /// Chance that a call of the transactional producer has to be made again.
        var callFails = 0.0
        /// Chance that a transaction is lost and must be aborted.
        var aborts = 0.0
        /// Chance that a process that crashed goes on all the same, beside the next one.
        var zombies = 0.0
        /// Chance that the sink's queue is full.
        var sinkIsFull = 0.0
        /// Chance that acknowledgements are late.
        var sinkIsSlow = 0.0
        /// Chance that a poll brings nothing though there is something.
        var pollIsEmpty = 0.0
        static let none = Faults()
    }

    /// Partitions that were written down later than the others.
    var joinedCount = 0
    /// The last partition comes into being then.
    var growsAtMs: Int64?
    var visibleCount: Int {
        growsAtMs.map { time.ms < $0 } ?? false ? partitions.count - 1 : partitions.count
    }

    init(partitions: [SimulatedPartition], seed: UInt64, time: SimulatedTime, faults: Faults) {
        self.partitions = partitions
        random = SeededRandom(seed)
        self.time = time
        self.faults = faults
    }

    /// By slot: until when something lies behind the end that can be read.
    var heldUntilMs: [Int: Int64] = [:]
    func hold(_ slot: Int) -> SourceHold? {
        guard let until = heldUntilMs[slot], time.ms < until else { return nil }
        return .openTransaction(records: partitions[slot].end - availableEnd(slot))
    }

    func availableEnd(_ slot: Int) -> Int64 {
        let partition = partitions[slot]
        for record in partition.records where record.availableMs > time.ms { return record.offset }
        return partition.end
    }
}

final class SimulatedSource: Source, @unchecked Sendable {
    // One thread steps the simulation.
    let cluster: SimulatedCluster
    private var knownCount = 0
    let fixedReferenceMs: Int64? = nil
    let isBounded = false
    init(_ cluster: SimulatedCluster) { self.cluster = cluster }

    func extents() throws(ConnectorError) -> [PartitionExtent] {
        (0..<cluster.visibleCount).map { slot in
            PartitionExtent(
                partition: cluster.partitions[slot].name,
                beginning: cluster.partitions[slot].beginning, end: cluster.availableEnd(slot))
        }
    }
    func firstOffset(_ extent: PartitionExtent, start: SourcePlan.Start) throws(ConnectorError)
        -> Int64
    { extent.beginning }
    func open(_ assignments: [[PartitionStart]]) throws(ConnectorError) -> [any SourceReader] {
        knownCount = assignments.joined().count
        return assignments.map { SimulatedReader(cluster, starts: $0) }
    }
    func endOffsets() -> [Int64?] { (0..<knownCount).map { cluster.availableEnd($0) } }
    func holds() -> [SourceHold?] { (0..<knownCount).map { cluster.hold($0) } }
    var hasGrown: Bool { cluster.visibleCount > knownCount }
    func close(withinMs: Int64) {}
}

/// Hands out records in the order of offsets of each partition, interleaved at random.
final class SimulatedReader: SourceReader {
    private let cluster: SimulatedCluster
    private var positions: [Int: Int64] = [:]
    private var paused: Set<Int> = []

    init(_ cluster: SimulatedCluster, starts: [PartitionStart]) {
        self.cluster = cluster
        for start in starts { positions[start.slot] = start.offset }
    }

    func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError) {
        batch.clear()
        if cluster.random.chance(cluster.faults.pollIsEmpty) { return }
        var slots = positions.keys.sorted()
        slots.shuffle(using: &cluster.random)
        for slot in slots where !paused.contains(slot) && !batch.isFull {
            let partition = cluster.partitions[slot]
            let end = cluster.availableEnd(slot)
            var room = 1 + cluster.random.below(batch.recordCountMax)
            var position = positions[slot] ?? 0
            for record in partition.records where record.offset >= position {
                guard record.offset < end, room > 0, !batch.isFull else { break }
                room -= 1
                position = record.offset + 1
                unsafe (record.key ?? []).withUnsafeBytes { key in
                    unsafe (record.value ?? []).withUnsafeBytes { value in
                        unsafe batch.append(
                            partition: slot, offset: record.offset,
                            recordTimeMs: record.recordTimeMs,
                            key: record.key == nil ? nil : key,
                            value: record.value == nil ? nil : value)
                    }
                }
            }
            // Past what is no record, if nothing readable is left before the end.
            if !partition.records.contains(where: { $0.offset >= position && $0.offset < end }),
                room > 0
            {
                position = max(position, end)
            }
            positions[slot] = position
        }
    }

    func position(_ slot: Int) -> Int64 { positions[slot] ?? 0 }
    func isAtEnd(_ slot: Int) -> Bool { false }
    func wake() {}
    func setPaused(_ isPaused: Bool, slot: Int) {
        if isPaused { paused.insert(slot) } else { paused.remove(slot) }
    }
}

/// Takes records and acknowledges them later; a crash keeps some prefix of what was not yet
/// acknowledged.
final class SimulatedSink: Sink, @unchecked Sendable {
    private let cluster: SimulatedCluster
    private var queue: [OutputRecord] = []
    init(_ cluster: SimulatedCluster) { self.cluster = cluster }

    func check(topics: [String]) throws(ConnectorError) {}
    func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        if cluster.random.chance(cluster.faults.sinkIsFull) { return false }
        queue.append(record)
        return true
    }
    func service(timeoutMs: Int) throws(ConnectorError) {
        if cluster.random.chance(cluster.faults.sinkIsSlow) { return }
        cluster.publish(queue)
        queue = []
    }
    var outstandingCount: Int { queue.count }
    func close(withinMs: Int64) {}
    func crash() {
        let kept = queue.isEmpty ? 0 : cluster.random.below(queue.count + 1)
        cluster.publish(Array(queue[..<kept]))
        queue = []
    }
}

extension SimulatedCluster {
    /// Takes positions in, and notes the floors in them.
    func store(_ positions: [CommittedOffset]) {
        commitCount += 1
        olderOffsets = offsets
        onCommit?(positions)
        for offset in positions {
            offsets[offset.partition] = tamper?(offset) ?? offset
            guard
                let metadata = try? CommitMetadata(
                    offset.metadata, applicationHash: fnv1a("sim"),
                    clusterHash: fnv1a("simulated"), dataHash: simulationDataHash,
                    next: offset.next)
            else { continue }
            if olderOffsets[offset.partition] == nil, !olderOffsets.isEmpty {
                joinedCount += 1
                if metadata.clock.floorMs != TimeLimit.never {
                    floors[offset.partition, default: []].append(
                        RecordedFloor(offset: offset.next, floorMs: metadata.clock.floorMs))
                }
            }
            for floor in metadata.floors where floors[offset.partition]?.contains(floor) != true {
                floors[offset.partition, default: []].append(floor)
            }
        }
    }

    /// What a reader of the topics sees from now on.
    func publish(_ records: [OutputRecord]) {
        staleState = state
        for record in records {
            if record.topic == "sim-state" {
                state[record.key ?? []] = record.value
            } else {
                published.append(record)
            }
        }
    }
}

final class SimulatedStateReader: StateReader {
    let cluster: SimulatedCluster
    init(_ cluster: SimulatedCluster) { self.cluster = cluster }

    func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        let state = cluster.defects.restoreIsStale ? cluster.staleState : cluster.state
        for key in state.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            take(StateEntry(key: key, value: state[key]))
        }
    }
}

final class SimulatedOffsets: OffsetStore {
    let cluster: SimulatedCluster
    let clusterId = "simulated"
    init(_ cluster: SimulatedCluster) { self.cluster = cluster }

    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset] {
        partitions.compactMap { cluster.offsets[$0] }
    }

    func commit(_ offsets: [CommittedOffset]) throws(ConnectorError) {
        let fails = cluster.random.chance(cluster.faults.commitFails)
        // An unknown outcome: stored or not.
        if !fails || cluster.random.chance(0.5) { cluster.store(offsets) }
        if fails { throw ConnectorError(.retriable, "the commit timed out") }
    }
}

struct SimulatedTransaction {
    var epoch: Int
    var records: [OutputRecord] = []
    var offsets: [CommittedOffset] = []
}

/// A transactional producer whose every call may fail as a real one's does: to be made again, with a
/// lost transaction, fenced, or with an outcome that is not known.
final class SimulatedProducer: TransactionalProducer, @unchecked Sendable {
    private let cluster: SimulatedCluster
    let clusterId = "simulated"
    private var epoch = 0
    private var open: SimulatedTransaction?
    private var isLost = false
    private var isDead = false

    init(_ cluster: SimulatedCluster) { self.cluster = cluster }

    func check(topics: [String]) throws(ConnectorError) {}
    func close(withinMs: Int64) { open = nil }
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset] {
        let isStale = cluster.defects.unknownIsAborted && wasRenewed
        wasRenewed = false
        return partitions.compactMap { (isStale ? cluster.olderOffsets : cluster.offsets)[$0] }
    }
    private var wasRenewed = false

    func initialize(waitMs: Int) throws(TransactionError) {
        try fail()
        cluster.producerEpoch += 1
        epoch = cluster.producerEpoch
        if let decided = cluster.prepared { apply(decided) }
        cluster.prepared = nil
        isLost = false
        open = nil
    }

    func begin() throws(TransactionError) {
        try fail()
        precondition(open == nil, "a transaction is open")
        open = SimulatedTransaction(epoch: epoch)
        isLost = false
    }

    func produce(_ record: OutputRecord) throws(TransactionError) -> Bool {
        if isLost { throw .abort("lost") }
        if cluster.random.chance(cluster.faults.sinkIsFull) { return false }
        open?.records.append(record)
        return true
    }

    func service(waitMs: Int) {
        if cluster.random.chance(cluster.faults.aborts) { isLost = true }
    }

    func sendOffsets(_ offsets: [CommittedOffset], waitMs: Int) throws(TransactionError) {
        try fail()
        try lose()
        if cluster.defects.offsetsFirst { cluster.store(offsets) }
        open?.offsets = offsets
    }

    func commit(waitMs: Int) throws(TransactionError) {
        try fail()
        try lose()
        guard let transaction = open else { preconditionFailure("no transaction is open") }
        if cluster.random.chance(cluster.faults.commitFails) {
            // Decided or not, complete or not: the producer cannot tell.
            switch cluster.random.below(3) {
            case 0: break
            case 1: cluster.prepared = transaction
            default: apply(transaction)
            }
            isDead = true
            throw .fatal("the commit timed out")
        }
        open = nil
        apply(transaction)
    }

    func abort(waitMs: Int) throws(TransactionError) {
        try fail()
        open = nil
        isLost = false
    }

    func renew(timeoutMs: Int64) throws(ConnectorError) {
        // A new producer: it has no epoch until it is initialized.
        epoch = 0
        wasRenewed = true
        isDead = false
        open = nil
    }

    private func fail() throws(TransactionError) {
        precondition(!isDead, "a dead producer is thrown away")
        if epoch != 0, epoch < cluster.producerEpoch, !cluster.defects.noFencing {
            throw .fenced("epoch \(epoch)")
        }
        if cluster.random.chance(cluster.faults.callFails) { throw .again("timed out") }
    }

    private func lose() throws(TransactionError) {
        if cluster.random.chance(cluster.faults.aborts) { isLost = true }
        if isLost { throw .abort("lost") }
    }

    private func apply(_ transaction: SimulatedTransaction) {
        cluster.publish(transaction.records)
        if !cluster.defects.offsetsFirst { cluster.store(transaction.offsets) }
    }
}

let simulationDataHash: UInt64 = 7
