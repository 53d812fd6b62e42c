import Synchronization
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport
import TidemarkText

/// A harness that finds nothing proves nothing: defects are planted, and each must be found.
@Suite struct SeededDefectTests {
    @Test func `low-water by seal, not by publication, is found`() throws {
        var caught = 0
        for seed in UInt64(0)..<40 {
            let (outcome, naive, plan) = try simulate(
                seed: seed, faults: .none, crashChance: 0.004,
                tamper: { committed, partitions in
                    // The first row of a pane that the partition itself has not sealed.
                    guard
                        var metadata = try? CommitMetadata(
                            committed.metadata, applicationHash: fnv1a("sim"),
                            clusterHash: fnv1a("simulated"), dataHash: simulationDataHash,
                            next: committed.next)
                    else { return committed }
                    let partition = partitions.first { $0.name == committed.partition }
                    var clock = PartitionClock(
                        boundMs: 5_000, skewMs: 60_000, paneMs: 10_000, fixedReferenceMs: nil)
                    var firsts: [Int64: (offset: Int64, before: PartitionClock.Reading)] = [:]
                    for record in partition?.records ?? [] where record.offset < committed.next {
                        guard let time = eventTime(record) else {
                            _ = clock.observe(recordMs: record.recordTimeMs)
                            continue
                        }
                        let before = clock.reading
                        if clock.admit(eventMs: time, recordMs: record.recordTimeMs).admission
                            == .inTime,
                            firsts[time / 10_000] == nil
                        {
                            firsts[time / 10_000] = (record.offset, before)
                        }
                    }
                    let open = firsts.filter { ($0.key + 1) * 10_000 > clock.watermarkMs }.values
                    let low = open.min { $0.offset < $1.offset }
                    metadata.low = max(metadata.low, low?.offset ?? committed.next)
                    metadata.clock = low?.before ?? clock.reading
                    return CommittedOffset(
                        partition: committed.partition, next: committed.next,
                        metadata: metadata.encoded())
                })
            if !differences(outcome, naive, plan).isEmpty { caught += 1 }
        }
        #expect(caught > 0, "40 seeds with crashes did not see rows go missing")
    }

    @Test func `lateness decided per batch is found`() throws {
        var caught = 0
        for seed in UInt64(0)..<40 {
            let (outcome, naive, plan) = try simulate(
                seed: seed, faults: .none, crashChance: 0, wrap: { LateByBatch($0) },
                isBacklog: true)
            if !differences(outcome, naive, plan).isEmpty { caught += 1 }
        }
        #expect(caught > 0, "40 seeds did not tell a batch from its records")
    }

    @Test func `a group limit that is first come, first served is found`() throws {
        var caught = 0
        let models = (0..<12).map { "m\($0)" }
        for seed in UInt64(0)..<10 {
            let arrivals = Mutex<[[UInt8]: UInt64]>([:])
            let partitions = randomPartitions(
                seed: seed, rowCount: 400, partitionCount: 2, groupCount: models.count
            ).map(\.asBacklog)
            func run(batchRows: Int, firstCome: Bool) throws -> Set<String> {
                arrivals.withLock { $0 = [:] }
                var simulation = Simulation(
                    plan: simulationPlan(batchRows: batchRows, groupCountMax: 4),
                    cluster: SimulatedCluster(
                        partitions: partitions, seed: seed &+ UInt64(batchRows),
                        time: SimulatedTime(), faults: .none),
                    workerCount: 1, crashChance: 0)
                if firstCome {
                    simulation.rank = { part in
                        arrivals.withLock { known in
                            let rank = known[part] ?? UInt64(known.count)
                            known[part] = rank
                            return rank
                        }
                    }
                }
                return Set(try simulation.run().aggregates.keys)
            }
            #expect(
                try run(batchRows: 1, firstCome: false) == run(batchRows: 64, firstCome: false),
                "seed \(seed): the shipped rule does not depend on arrival")
            if try run(batchRows: 1, firstCome: true) != run(batchRows: 64, firstCome: true) {
                caught += 1
            }
        }
        #expect(caught > 0, "10 seeds did not see the groups change with the order")
    }

    // Of the log of commits and of state.

    @Test func `a restore that stops at the last stable offset is found`() throws {
        try expectFound(plant: { $0.restoreIsStale = true })
    }

    @Test func `two processes of which neither is fenced are found`() throws {
        try expectFound(plant: { $0.noFencing = true })
    }

    @Test func `an unknown outcome that is taken for an abort is found`() throws {
        try expectFound(plant: { $0.unknownIsAborted = true })
    }

    @Test func `offsets that are stored before their outputs are found`() throws {
        try expectFound(plant: { $0.offsetsFirst = true })
    }

    @Test func `floors that are obeyed and not recorded are found`() throws {
        try expectFound(tamper: {
            $0.floors = []
            $0.clock.floorMs = TimeLimit.never
        })
    }

    @Test func `a snapshot that is restored without what it was applied through is found`() throws {
        // Panes that are in the snapshot come again, and low-water is where it would be without.
        try expectFound(
            tamper: { $0.snapshotThroughMs = TimeLimit.never })
    }

    @Test func `windows that are applied to alerts twice are found`() throws {
        try expectFound(delivery: .atLeastOnce, wrapLog: { ForgetsAppliedThrough($0) })
    }

    @Test func `a learned baseline that is restored one window short is found`() throws {
        try expectFound(wrapLog: { ForgetsNewestWindow($0) })
    }

    @Test func `what was learned, written one commit too late, is found`() throws {
        try expectFound(wrapLog: { LearnsLate($0) })
    }

    /// At least one of 600 seeds with every fault in it sees the defect; none sees anything without it.
    private func expectFound(
        delivery: RunSettings.Delivery = .exactlyOnce,
        tamper: ((inout CommitMetadata) -> Void)? = nil,
        wrapLog: @escaping (any CommitLog) -> any CommitLog = { $0 },
        plant: (inout SimulatedCluster.Defects) -> Void = { _ in }
    ) throws {
        var defects = SimulatedCluster.Defects()
        plant(&defects)
        var change: ((CommittedOffset, [SimulatedPartition]) -> CommittedOffset)?
        if let tamper {
            change = { committed, _ in
                guard
                    var metadata = try? CommitMetadata(
                        committed.metadata, applicationHash: fnv1a("sim"),
                        clusterHash: fnv1a("simulated"), dataHash: simulationDataHash,
                        next: committed.next)
                else { return committed }
                tamper(&metadata)
                return CommittedOffset(
                    partition: committed.partition, next: committed.next,
                    metadata: metadata.encoded())
            }
        }
        for seed in UInt64(0)..<600 {
            do {
                let (outcome, naive, plan) = try simulate(
                    seed: seed, faults: allFaults, crashChance: 0.004, tamper: change,
                    delivery: delivery, defects: defects, wrapLog: wrapLog)
                if !differences(outcome, naive, plan).isEmpty { return }
            } catch is Simulation.Stuck {
                return
            }
        }
        Issue.record("600 seeds did not see the defect")
    }
}

/// A log of commits that does as another one does.
class PassingLog: CommitLog, @unchecked Sendable {
    let inner: any CommitLog
    init(_ inner: any CommitLog) { self.inner = inner }

    var clusterId: String { inner.clusterId }
    func check(topics: [String]) throws(ConnectorError) { try inner.check(topics: topics) }
    func takeOver() throws(ConnectorError) { try inner.takeOver() }
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset] {
        try inner.committed(partitions)
    }
    func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) { try inner.restore(take) }
    func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool {
        try inner.commit(unit, waitMs: waitMs)
    }
    func close(withinMs: Int64) { inner.close(withinMs: withinMs) }
}

/// The defect of state that does not say through which window it was applied.
private final class ForgetsAppliedThrough: PassingLog, @unchecked Sendable {
    override func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        try inner.restore { entry in
            guard var frame = try? StateFrame(entry.value ?? []) else { return }
            frame.appliedThroughMs = TimeLimit.never
            take(StateEntry(key: entry.key, value: frame.encoded()))
        }
    }
}

/// The defect of a learned baseline that lacks the newest window after a restart.
private final class ForgetsNewestWindow: PassingLog, @unchecked Sendable {
    override func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        var newest: (StateEntry, Int64)?
        try inner.restore { entry in
            guard entry.key.starts(with: "baseline/".utf8),
                let frame = try? StateFrame(entry.value ?? []),
                entry.key.count(where: { $0 == 0x2f }) == 5
            else { return take(entry) }
            if let (held, throughMs) = newest {
                if frame.appliedThroughMs <= throughMs { return take(entry) }
                take(held)
            }
            newest = (entry, frame.appliedThroughMs)
        }
    }
}

/// The defect of state that is no part of the unit that it belongs to.
private final class LearnsLate: PassingLog, @unchecked Sendable {
    private var late: [StateEntry] = []
    override func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool {
        var changed = unit
        let learned = unit.entries.filter { $0.key.starts(with: "baseline/".utf8) }
        changed.entries = unit.entries.filter { !$0.key.starts(with: "baseline/".utf8) } + late
        guard try inner.commit(changed, waitMs: waitMs) else { return false }
        late = learned
        return true
    }
}

private func eventTime(_ record: SimulatedRecord) -> Int64? {
    guard let value = record.value,
        let text = String(decoding: value, as: UTF8.self).split(separator: "\"ts\":").dropFirst()
            .first
    else { return nil }
    return Int64(text.prefix { $0.isNumber }).flatMap { $0 >= 946_684_800_000 ? $0 : nil }
}

/// The defect of deciding by the watermark that the batch began with.
private final class LateByBatch: StageOne {
    private let inner: any StageOne
    private var open: [Int: (startMs: Int64, isOwn: Bool, partition: TopicPartition)] = [:]
    private var known: Set<Int> = []

    init(_ inner: any StageOne) { self.inner = inner }

    func decode(
        _ batch: RecordBatch, from cursor: RecordCursor, into rows: RowTable
    ) -> RecordCursor {
        known = Set(open.keys)
        return inner.decode(batch, from: cursor, into: rows)
    }
    func deadLetterReason(_ batch: RecordBatch, row: Int) -> DeadLetterReason {
        inner.deadLetterReason(batch, row: row)
    }
    func open(pane id: Int, startMs: Int64, arrivalMs: Int64?, partition: TopicPartition) {
        open[id] = (startMs, arrivalMs == nil, partition)
        inner.open(
            pane: id, startMs: startMs, arrivalMs: arrivalMs, partition: partition)
    }
    func fold(_ batch: RecordBatch, rows: RowTable) {
        for row in 0..<rows.map.rowCount {
            guard unsafe rows.fate[row] == RowTable.Fate.late.rawValue else { continue }
            let time = unsafe rows.eventTimeMs[row]
            let slot = unsafe Int32(batch.partition[rows.map.record(of: row)])
            for (id, pane) in open
            where known.contains(id) && pane.partition.partition == slot
                && pane.startMs <= time && time < pane.startMs + 10_000 && pane.isOwn
            {
                unsafe rows.fate[row] = RowTable.Fate.row.rawValue
                unsafe rows.pane[row] = Int32(id)
            }
        }
        inner.fold(batch, rows: rows)
    }
    func seal(pane id: Int) -> any Partial {
        open[id] = nil
        return inner.seal(pane: id)
    }
    var byteCount: Int { inner.byteCount }
}
