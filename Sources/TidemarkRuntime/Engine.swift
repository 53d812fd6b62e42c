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
    /// What is followed beside the source; `nil`: nothing.
    package var side: (any SideReader)?
    /// Makes the stage of one worker; called once a worker.
    package var makeStageOne: () -> any StageOne
    /// Makes the coordinator's stage; called again where a start is tried again.
    package var makeStageTwo: () -> any StageTwo
    /// Makes dead letters, late and quarantined rows; shared by all workers.
    package var letters: any LetterWriter
    /// The clock of the process.
    package var time: any TimeSource

    package init(
        source: any Source, log: any CommitLog, side: (any SideReader)? = nil,
        makeStageOne: @escaping () -> any StageOne, makeStageTwo: @escaping () -> any StageTwo,
        letters: any LetterWriter, time: any TimeSource
    ) {
        self.source = source
        self.log = log
        self.side = side
        self.makeStageOne = makeStageOne
        self.makeStageTwo = makeStageTwo
        self.letters = letters
        self.time = time
    }
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
        let starts = Self.starts(
            extents, positions, workerCount: workerCount,
            hasEnds: untilEnd && !parts.source.isBounded)
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
        coordinator = Coordinator(
            plan: plan,
            start: CoordinatorStart(
                extents.map(\.partition), positions, state, dataHash: dataHash),
            mailbox: mailbox, controls: controls, alignment: alignment, memory: memory,
            stage: stage, log: parts.log, staleEntries: state.stale,
            endOffsets: { source.endOffsets() },
            holds: { source.holds() }, foreignMemberCount: { source.foreignMemberCount },
            sourceHasGrown: { source.hasGrown }, side: parts.side,
            wakeWorkers: { for reader in readers { reader.wake() } }, time: parts.time,
            untilEnd: untilEnd)
        self.mailbox = mailbox
        self.controls = controls
        time = parts.time
    }

    /// Where each worker begins in each of its partitions.
    ///
    /// - `hasEnds`: partitions are read to where they end now.
    private static func starts(
        _ extents: [PartitionExtent], _ positions: StartPositions, workerCount: Int, hasEnds: Bool
    ) -> [[TaskStart]] {
        var starts: [[TaskStart]] = Array(repeating: [], count: workerCount)
        for (slot, extent) in extents.enumerated() {
            let offset = positions.offsets[slot]
            let known = positions.metadata[slot]
            starts[slot % workerCount].append(
                TaskStart(
                    start: PartitionStart(slot: slot, partition: extent.partition, offset: offset),
                    committedNext: positions.nexts[slot], clock: known?.clock ?? .init(),
                    floors: known?.floors ?? [],
                    end: hasEnds ? max(extent.end, offset) : nil,
                    isInsideLog: offset > 0 && positions.reports[slot].kind != .resumed
                        && !positions.isContinued(slot)))
        }
        return starts
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
