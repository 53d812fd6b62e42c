import Glibc
import Synchronization
package import TidemarkCore
package import TidemarkDataflow
import TidemarkText

/// The parts that a run is put together from; the executable and the simulation make them.
package struct EngineParts {
    /// What is read.
    package var source: any Source
    /// Where results and positions go.
    package var log: any CommitLog
    /// Makes the stage of one worker; called once a worker.
    package var makeStageOne: () -> any StageOne
    /// Makes the coordinator's stage; called again where a start is tried again.
    package var makeStageTwo: () -> any StageTwo
    /// Makes dead letters, late and quarantined rows; shared by all workers.
    package var letters: any LetterWriter
    /// The clock of the process.
    package var time: any TimeSource

    package init(
        source: any Source, log: any CommitLog,
        makeStageOne: @escaping () -> any StageOne, makeStageTwo: @escaping () -> any StageTwo,
        letters: any LetterWriter, time: any TimeSource
    ) {
        self.source = source
        self.log = log
        self.makeStageOne = makeStageOne
        self.makeStageTwo = makeStageTwo
        self.letters = letters
        self.time = time
    }
}

/// What became of a partition's committed position at the start.
package struct StartReport: Sendable, Equatable {
    /// Which partition.
    package var partition: TopicPartition
    /// Where reading begins: low-water, or the first record where nothing can be rebuilt.
    package var offset: Int64
    /// The committed offset; records below it are read without being published.
    package var next: Int64
    /// Records before `offset` that are in the log and were never read, where nothing was committed.
    package var passedOver: Int64 = 0
    /// Records that were to be read next, and are not in the log any more.
    package var lost: Int64 = 0
    /// How the committed position could be used.
    package enum Kind: Sendable, Equatable {
        /// Nothing was committed.
        case fresh
        /// Somebody else set the offset: there is nothing of ours with it.
        case foreign
        /// Rebuilds from low-water to the committed offset.
        case resumed
        /// Metadata could not be used: a new state epoch, the first windows are incomplete.
        case newEpoch(CommitMetadata.Rejection)
        /// Low-water is gone from the log (retention): the first windows are incomplete.
        case expired
    }
    /// How the committed position could be used.
    package var kind: Kind
}

/// What the state topic held at the start.
package struct StateReport: Sendable {
    /// Entries that were restored.
    package var taken = 0
    /// Entries of earlier state epochs; taken away with the first commit.
    package var stale = 0
    /// Entries that nothing could be made of, by key, with the reason; taken away too.
    package var unusable: [(key: String, why: String)] = []
    /// Open windows that a snapshot held.
    package var windows = 0
    /// The offsets speak of a snapshot that is not there: windows that begin before this lack rows.
    package var lostSnapshotThroughMs: Int64?
    package init() {}
}

/// A run, put together and not yet moving: workers and coordinator that can be stepped.
package final class Engine {
    /// Each reads some of the partitions.
    package let workers: [Worker]
    /// Merges what they hand over, publishes and commits.
    package let coordinator: Coordinator
    /// The queue from workers to the coordinator.
    package let mailbox: Mailbox
    /// What the coordinator tells each worker, in their order.
    package let controls: [WorkerControl]
    /// What became of the committed positions, in canonical order of partitions.
    package let reports: [StartReport]
    /// What became of the state topic's entries.
    package let state: StateReport
    /// Partitions that the topic has grown by since the last commit.
    package let joining: [TopicPartition]
    private let time: any TimeSource
    /// How long a start waits for a cluster that moves leaders and coordinators.
    private static let patienceMs: Int64 = 30_000

    /// Reads positions, opens the source and places every partition on a worker.
    ///
    /// - Throws: what the connectors say of the environment.
    package init(
        plan: Plan, dataHash: UInt64, parts: EngineParts, workerCount: Int, untilEnd: Bool,
        pollTimeoutMs: Int = 50
    ) throws(ConnectorError) {
        let patience = Patience(ms: Self.patienceMs, time: parts.time)
        try patience.retry { () throws(ConnectorError) in
            try parts.log.check(topics: plan.outputs.topics)
        }
        let extents = try patience.retry { () throws(ConnectorError) in
            try parts.source.extents()
        }
        guard !extents.isEmpty else {
            throw ConnectorError(.environment, "the source has no partitions")
        }
        // First: after it no earlier process moves what is read next.
        try parts.log.takeOver()
        joining = try Self.join(extents, plan, dataHash, parts, patience)
        let committed = try patience.retry { () throws(ConnectorError) in
            try parts.log.committed(extents.map(\.partition))
        }
        let positions = try Self.positions(extents, committed, plan, dataHash, parts, patience)
        reports = positions.reports
        // What was restored by halves is thrown away with its stage.
        let (stage, state) = try patience.retry { () throws(ConnectorError) in
            let stage = parts.makeStageTwo()
            return (stage, try Self.restore(into: stage, positions, parts.log))
        }
        self.state = state.report
        let workerCount = max(1, min(workerCount, extents.count))
        var starts: [[TaskStart]] = Array(repeating: [], count: workerCount)
        for (slot, extent) in extents.enumerated() {
            let (offset, next) = (positions.offsets[slot], positions.nexts[slot])
            let known = positions.metadata[slot]
            starts[slot % workerCount].append(
                TaskStart(
                    start: PartitionStart(slot: slot, partition: extent.partition, offset: offset),
                    committedNext: next, clock: known?.clock ?? .init(),
                    floors: known?.floors ?? [],
                    end: untilEnd && !parts.source.isBounded ? max(extent.end, offset) : nil,
                    isInsideLog: offset > 0 && positions.reports[slot].kind != .resumed
                        && !positions.isContinued(slot)))
        }
        let readers = try parts.source.open(starts.map { $0.map(\.start) })
        let mailbox = Mailbox(byteCountMax: plan.limits.memory.mailboxBytes)
        let controls = (0..<workerCount).map { _ in WorkerControl() }
        let memory = MemoryGauge(
            partCount: workerCount + 1, limitBytes: plan.limits.memory.paneBytes)
        let alignment = Alignment(
            slotCount: extents.count, limitMs: plan.stream.source.alignmentMs, memory: memory)
        workers = (0..<workerCount).map { index in
            Worker(
                index: index, plan: plan.stream, batchRows: plan.run.batchRows,
                starts: starts[index], slotCount: extents.count, reader: readers[index],
                stage: parts.makeStageOne(), letters: parts.letters, mailbox: mailbox,
                control: controls[index], alignment: alignment, memory: memory,
                fixedReferenceMs: parts.source.fixedReferenceMs, untilEnd: untilEnd,
                pollTimeoutMs: pollTimeoutMs)
        }
        let source = parts.source
        var start = CoordinatorStart(
            partitions: extents.map(\.partition), offsets: positions.offsets,
            nexts: positions.nexts, metadata: positions.metadata,
            applicationHash: positions.applicationHash, clusterHash: positions.clusterHash,
            dataHash: dataHash, stateEpoch: state.epoch, windows: state.windows,
            snapshotThroughMs: positions.snapshotThroughMs,
            incompleteBeforeMs: max(
                positions.editedThroughMs, state.report.lostSnapshotThroughMs ?? TimeLimit.never))
        start.lost = positions.reports.reduce(0) { $0 + $1.lost }
        start.passedOver = positions.reports.reduce(0) { $0 + $1.passedOver }
        start.conditions = Self.conditions(positions.reports, state.report)
        coordinator = Coordinator(
            plan: plan, start: start, mailbox: mailbox, controls: controls, alignment: alignment,
            memory: memory,
            stage: stage,
            log: parts.log, staleEntries: state.stale, endOffsets: { source.endOffsets() },
            holds: { source.holds() }, foreignMemberCount: { source.foreignMemberCount },
            sourceHasGrown: { source.hasGrown },
            wakeWorkers: { for reader in readers { reader.wake() } }, time: parts.time,
            untilEnd: untilEnd)
        self.mailbox = mailbox
        self.controls = controls
        time = parts.time
    }

    /// What was found at the start and somebody must know of: records that no window will hold.
    private static func conditions(
        _ reports: [StartReport], _ state: StateReport
    ) -> [SourceCondition] {
        var found: [SourceCondition] = []
        let lost = reports.reduce(0) { $0 + $1.lost }
        // An application without state is new: it may begin where it likes.
        let passedOver =
            state.taken + state.stale > 0 ? reports.reduce(0) { $0 + $1.passedOver } : 0
        if lost + passedOver > 0 {
            var parts: [String] = []
            if lost > 0 { parts.append("\(lost) records are not in the log any more") }
            if passedOver > 0 {
                parts.append(
                    "the group's offsets are gone, and \(passedOver) records lie before the place where"
                        + " reading begins anew")
            }
            found.append(
                SourceCondition(
                    .recordsSkipped, value: Double(lost + passedOver), threshold: 0,
                    summary: parts.joined(separator: "; ") + ": they are in no window"))
        }
        let foreign = reports.filter { $0.kind == .foreign }
        if let first = foreign.first {
            found.append(
                SourceCondition(
                    .foreignOffsets, value: Double(foreign.count), threshold: 0,
                    summary:
                        "another program committed offsets of \(foreign.count) partitions, as"
                        + " \(first.next) of \(first.partition): what lies between that and our last"
                        + " position is in no window, or twice"))
        }
        return found
    }

    /// Commits the first position of partitions that the topic has grown by, and from where on they
    /// count: what they bring for windows that were published without them is late, row by row.
    ///
    /// A decision that the log does not hold, so it is written down before it is obeyed.
    private static func join(
        _ extents: [PartitionExtent], _ plan: Plan, _ dataHash: UInt64, _ parts: EngineParts,
        _ patience: Patience
    ) throws(ConnectorError) -> [TopicPartition] {
        let committed = try patience.retry { () throws(ConnectorError) in
            try parts.log.committed(extents.map(\.partition))
        }
        let topics = Set(committed.map(\.partition.topic))
        let known = Set(committed.map(\.partition))
        let new = extents.filter {
            topics.contains($0.partition.topic) && !known.contains($0.partition)
        }
        guard !new.isEmpty else { return [] }
        let old = try positions(
            extents.filter { known.contains($0.partition) }, committed, plan, dataHash, parts,
            patience)
        var clock = PartitionClock.Reading()
        clock.floorMs = old.publishedThroughMs
        let latest = old.metadata.compactMap(\.self).max { $0.sequence < $1.sequence }
        let offsets = new.map { extent in
            let metadata = CommitMetadata(
                applicationHash: old.applicationHash, clusterHash: old.clusterHash,
                dataHash: dataHash, next: extent.beginning, low: extent.beginning, clock: clock,
                publishedThroughMs: old.publishedThroughMs,
                incompleteThroughMs: latest?.incompleteThroughMs ?? TimeLimit.never,
                incompleteRev: latest?.incompleteRev ?? 0,
                enteredBeforeMs: latest?.enteredBeforeMs ?? TimeLimit.never,
                stateEpoch: old.epochMax, sequence: (latest?.sequence ?? 0) + 1,
                snapshotThroughMs: old.snapshotThroughMs, floors: [])
            return CommittedOffset(
                partition: extent.partition, next: extent.beginning, metadata: metadata.encoded())
        }
        let unit = CommitUnit(records: [], entries: [], offsets: offsets)
        let deadlineNs = parts.time.nowNs() + plan.run.stopWithinMs * 1_000_000
        while !(try parts.log.commit(unit, waitMs: 100)) {
            guard parts.time.nowNs() < deadlineNs else {
                throw ConnectorError(
                    .retriable, "the positions of new partitions could not be committed")
            }
            parts.time.sleep(ms: 10)
        }
        return new.map(\.partition)
    }

    /// What was committed, partition by partition, and what can be made of it.
    private struct Positions {
        var offsets: [Int64] = []
        var nexts: [Int64] = []
        var metadata: [CommitMetadata?] = []
        var reports: [StartReport] = []
        var applicationHash: UInt64
        var clusterHash: UInt64
        /// The state epoch that the metadata names; `nil`: a new one has to begin.
        var epoch: Int?
        /// What an earlier form of the topology published through; windows that begin before may lack
        /// rows, since its windows may have been others.
        var editedThroughMs = TimeLimit.never
        var epochMax = 0
        /// Whether a partition is read on from where an earlier form of the topology was.
        func isContinued(_ slot: Int) -> Bool {
            metadata[slot] != nil && reports[slot].kind == .newEpoch(.otherTopology)
        }

        var snapshotThroughMs: Int64 { greatest(\.snapshotThroughMs) }
        var publishedThroughMs: Int64 { greatest(\.publishedThroughMs) }

        private func greatest(_ field: (CommitMetadata) -> Int64) -> Int64 {
            metadata.compactMap { $0.map(field) }.max() ?? TimeLimit.never
        }
    }

    private static func positions(
        _ extents: [PartitionExtent], _ committed: [CommittedOffset], _ plan: Plan,
        _ dataHash: UInt64, _ parts: EngineParts, _ patience: Patience
    ) throws(ConnectorError) -> Positions {
        var found = Positions(
            applicationHash: fnv1a(plan.app), clusterHash: fnv1a(parts.log.clusterId))
        var isNewEpoch = committed.isEmpty
        for extent in extents {
            var offset: Int64
            var known: CommitMetadata?
            var kind = StartReport.Kind.fresh
            var (passedOver, lost): (Int64, Int64) = (0, 0)
            let next: Int64
            if let position = committed.first(where: { $0.partition == extent.partition }) {
                next = position.next
                offset = next
                do throws(CommitMetadata.Rejection) {
                    let read = try CommitMetadata(
                        position.metadata, applicationHash: found.applicationHash,
                        clusterHash: found.clusterHash, dataHash: dataHash, next: next)
                    known = read
                    offset = read.low
                    kind = .resumed
                    found.epochMax = max(found.epochMax, read.stateEpoch)
                } catch {
                    kind = .newEpoch(error)
                    if PositionMark(position.metadata) == nil {
                        switch error {
                        case .absent, .unreadable, .otherOffset: kind = .foreign
                        case .otherApplication, .otherCluster, .otherTopology: break
                        }
                    }
                    isNewEpoch = true
                    if error == .otherTopology,
                        let edited = Self.continued(position, found, dataHash)
                    {
                        known = edited
                        offset = edited.low
                        found.epochMax = max(found.epochMax, edited.stateEpoch)
                        found.editedThroughMs = max(
                            found.editedThroughMs, edited.publishedThroughMs)
                    }
                    if let mark = PositionMark(position.metadata) {
                        found.epochMax = max(found.epochMax, mark.stateEpoch - 1)
                    }
                }
                if offset < extent.beginning {
                    // What was published stays published; what was open lost rows.
                    lost = max(0, extent.beginning - next)
                    offset = extent.beginning
                    kind = .expired
                }
            } else {
                offset = try patience.retry { () throws(ConnectorError) in
                    try parts.source.firstOffset(extent, start: plan.stream.source.start)
                }
                next = offset
                passedOver = max(0, offset - extent.beginning)
            }
            found.offsets.append(offset)
            found.nexts.append(max(next, offset))
            found.metadata.append(known)
            var report = StartReport(
                partition: extent.partition, offset: offset, next: next, kind: kind)
            (report.passedOver, report.lost) = (passedOver, lost)
            found.reports.append(report)
        }
        if !isNewEpoch { found.epoch = found.epochMax }
        return found
    }

    /// What an edited topology goes on from: rows of windows that its earlier form did not publish are
    /// read again, by the clock that they were read by, and what it published stays published.
    ///
    /// Open windows in snapshots are of the earlier form: they are lost, and said to be.
    private static func continued(
        _ position: CommittedOffset, _ found: Positions, _ dataHash: UInt64
    ) -> CommitMetadata? {
        try? CommitMetadata(
            position.metadata, applicationHash: found.applicationHash,
            clusterHash: found.clusterHash, dataHash: dataHash, next: position.next,
            acceptsOtherTopology: true)
    }

    private static func restore(
        into stage: any StageTwo, _ positions: Positions, _ log: any CommitLog
    ) throws(ConnectorError) -> (
        epoch: Int, stale: [StateEntry], windows: [WindowSnapshot], report: StateReport
    ) {
        var report = StateReport()
        var stale: [StateEntry] = []
        var epochMax = positions.epochMax
        var newer: (key: String, version: Int)?
        var owner: String?
        try log.restore { entry in
            let outcome = stage.restore(entry, epoch: positions.epoch ?? -1)
            if case .otherTopology(let name) = outcome {
                owner = name
                return
            }
            if case .taken = outcome {
                report.taken += 1
                return
            }
            stale.append(StateEntry(key: entry.key, value: nil))
            switch outcome {
            case .taken, .otherTopology: break
            case .otherEpoch(let epoch):
                report.stale += 1
                epochMax = max(epochMax, epoch)
            case .unusable(let why):
                report.unusable.append((String(decoding: entry.key, as: UTF8.self), why))
            case .newer(let version):
                newer = (String(decoding: entry.key, as: UTF8.self), version)
            }
        }
        if let owner {
            throw ConnectorError(
                .environment,
                "the state of this `app` belongs to topology '\(owner)': two topologies with one `app`"
                    + " would fence each other and take each other's state away",
                hint:
                    "give one of them another `app`; or, if '\(owner)' was renamed: tidemark reset")
        }
        if let newer {
            throw ConnectorError(
                .environment,
                "state entry '\(newer.key)' is of format \(newer.version), which a newer version of"
                    + " tidemark wrote: this one would lose it",
                hint: "run the newer version, or give up alert states with: tidemark reset")
        }
        let windows = stage.restoreWindows(
            throughMs: positions.snapshotThroughMs,
            publishedThroughMs: positions.publishedThroughMs)
        report.windows = windows?.count ?? 0
        if windows == nil, positions.snapshotThroughMs != TimeLimit.never {
            report.lostSnapshotThroughMs = positions.snapshotThroughMs
        }
        return (positions.epoch ?? epochMax + 1, stale, windows ?? [], report)
    }

    /// Runs to the end of the input, a failure, or a stop: a thread a worker, the coordinator on the
    /// caller's.
    ///
    /// - `shouldStop`: looked at about twenty times a second.
    /// - `onProgress`: called about as often.
    package func run(
        shouldStop: () -> Bool, onProgress: (RunProgress) -> Void
    ) throws(ConnectorError) -> RunTotals {
        let threads = workers.map { WorkerThread($0, mailbox: mailbox) }
        for (count, thread) in threads.enumerated() where !thread.start() {
            for control in controls { control.give { $0.isStopping = true } }
            mailbox.wake()
            for started in threads[..<count] { started.join() }
            throw .noThread
        }
        var lastLookNs = time.nowNs()
        while true {
            let step = coordinator.step()
            if step == .finished { break }
            let now = time.nowNs()
            if now - lastLookNs > 50_000_000 {
                lastLookNs = now
                if shouldStop() { coordinator.stop() }
                onProgress(coordinator.progress)
            }
            if step == .idle { mailbox.waitForMessage(timeoutMs: coordinator.patienceMs) }
        }
        for control in controls { control.give { $0.isStopping = true } }
        mailbox.wake()
        for thread in threads { thread.join() }
        onProgress(coordinator.progress)
        if let failure = coordinator.failure { throw failure }
        return coordinator.progress.totals
    }
}

/// Steps one worker until it is told to stop.
///
/// The worker is handed to the thread at `start` and is nobody else's until `join`.
@safe
private final class WorkerThread: @unchecked Sendable {
    private let worker: Worker
    private let mailbox: Mailbox
    private var thread = pthread_t()

    init(_ worker: Worker, mailbox: Mailbox) {
        self.worker = worker
        self.mailbox = mailbox
    }

    /// - Returns: whether the system gave a thread.
    func start() -> Bool {
        let context = unsafe Unmanaged.passRetained(self)
        let code = unsafe pthread_create(&thread, nil, workerThreadMain, context.toOpaque())
        if code != 0 { unsafe context.release() }
        return code == 0
    }

    func join() { pthread_join(thread, nil) }

    fileprivate func loop() {
        while true {
            switch worker.step() {
            case .worked, .idle: break
            case .blocked: mailbox.waitForRoom(timeoutMs: 5); usleep(500)
            case .finished: return
            }
        }
    }
}

private func workerThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<WorkerThread>.fromOpaque(context).takeRetainedValue().loop()
    return nil
}
