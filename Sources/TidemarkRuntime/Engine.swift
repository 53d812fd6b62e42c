import Glibc
import Synchronization
package import TidemarkCore
package import TidemarkDataflow

/// The parts that a run is put together from; the executable and the simulation make them.
package struct EngineParts {
    package var source: any Source
    package var sink: any Sink
    package var offsets: any OffsetStore
    package var makeStageOne: () -> any StageOne
    package var makeStageTwo: () -> any StageTwo
    package var letters: any LetterWriter
    package var time: any TimeSource

    package init(
        source: any Source, sink: any Sink, offsets: any OffsetStore,
        makeStageOne: @escaping () -> any StageOne, makeStageTwo: @escaping () -> any StageTwo,
        letters: any LetterWriter, time: any TimeSource
    ) {
        self.source = source
        self.sink = sink
        self.offsets = offsets
        self.makeStageOne = makeStageOne
        self.makeStageTwo = makeStageTwo
        self.letters = letters
        self.time = time
    }
}

/// What became of a partition's committed position at the start.
package struct StartReport: Sendable, Equatable {
    package var partition: TopicPartition
    package var offset: Int64
    package var next: Int64
    package enum Kind: Sendable, Equatable {
        /// Nothing was committed.
        case fresh
        /// Rebuilds from low-water to the committed offset.
        case resumed
        /// Metadata could not be used: a new state epoch, the first windows are incomplete.
        case newEpoch(CommitMetadata.Rejection)
        /// Low-water is gone from the log (retention): the first windows are incomplete.
        case expired
    }
    package var kind: Kind
}

/// A run, put together and not yet moving: workers and coordinator that can be stepped.
package final class Engine {
    package let workers: [Worker]
    package let coordinator: Coordinator
    package let mailbox: Mailbox
    package let controls: [WorkerControl]
    package let reports: [StartReport]
    private let parts: EngineParts

    /// Reads positions, opens the source and places every partition on a worker.
    ///
    /// - Throws: what the connectors say of the environment.
    package init(
        plan: Plan, dataHash: UInt64, parts: EngineParts, workerCount: Int, untilEnd: Bool,
        pollTimeoutMs: Int = 50
    ) throws(ConnectorError) {
        self.parts = parts
        try parts.sink.check(topics: plan.outputs.topics)
        let extents = try parts.source.extents()
        guard !extents.isEmpty else {
            throw ConnectorError(.environment, "the source has no partitions")
        }
        let committed = try parts.offsets.committed(extents.map(\.partition))
        let applicationHash = nameHash(plan.app)
        let clusterHash = nameHash(parts.offsets.clusterId)
        let workerCount = max(1, min(workerCount, extents.count))
        var starts: [[TaskStart]] = Array(repeating: [], count: workerCount)
        var nexts: [Int64] = []
        var metadata: [CommitMetadata?] = []
        var reports: [StartReport] = []
        var stateEpoch = 0
        for (slot, extent) in extents.enumerated() {
            var offset: Int64
            var known: CommitMetadata?
            var kind = StartReport.Kind.fresh
            let next: Int64
            if let position = committed.first(where: { $0.partition == extent.partition }) {
                next = position.next
                offset = next
                do throws(CommitMetadata.Rejection) {
                    let read = try CommitMetadata(
                        position.metadata, applicationHash: applicationHash,
                        clusterHash: clusterHash, dataHash: dataHash, next: next)
                    known = read
                    offset = read.low
                    kind = .resumed
                    stateEpoch = max(stateEpoch, read.stateEpoch)
                } catch {
                    kind = .newEpoch(error)
                    stateEpoch = max(stateEpoch + 1, PositionMark(position.metadata)?.stateEpoch ?? 0)
                }
                if offset < extent.beginning {
                    offset = extent.beginning
                    kind = .expired
                    known = nil
                }
            } else {
                offset = try parts.source.firstOffset(extent, start: plan.stream.source.start)
                next = offset
            }
            let isInsideLog = kind != .resumed && offset > 0
            starts[slot % workerCount].append(
                TaskStart(
                    start: PartitionStart(slot: slot, partition: extent.partition, offset: offset),
                    committedNext: max(next, offset), clock: known?.clock ?? .init(),
                    floors: known?.floors ?? [],
                    end: untilEnd && !parts.source.isBounded ? max(extent.end, offset) : nil,
                    isInsideLog: isInsideLog))
            nexts.append(max(next, offset))
            metadata.append(known)
            reports.append(
                StartReport(
                    partition: extent.partition, offset: offset, next: next, kind: kind))
        }
        let readers = try parts.source.open(starts.map { $0.map(\.start) })
        let mailbox = Mailbox(byteCountMax: plan.limits.memory.mailboxBytes)
        let controls = (0..<workerCount).map { _ in WorkerControl() }
        workers = (0..<workerCount).map { index in
            Worker(
                index: index, plan: plan.stream, batchRows: plan.run.batchRows,
                starts: starts[index], slotCount: extents.count, reader: readers[index],
                stage: parts.makeStageOne(), letters: parts.letters, mailbox: mailbox,
                control: controls[index], fixedReferenceMs: parts.source.fixedReferenceMs,
                untilEnd: untilEnd, pollTimeoutMs: pollTimeoutMs)
        }
        let source = parts.source
        coordinator = Coordinator(
            plan: plan,
            start: CoordinatorStart(
                partitions: extents.map(\.partition), nexts: nexts, metadata: metadata,
                applicationHash: applicationHash, clusterHash: clusterHash, dataHash: dataHash,
                stateEpoch: stateEpoch),
            mailbox: mailbox, controls: controls, stage: parts.makeStageTwo(), sink: parts.sink,
            offsets: parts.offsets, endOffsets: { source.endOffsets() }, time: parts.time,
            untilEnd: untilEnd)
        self.mailbox = mailbox
        self.controls = controls
        self.reports = reports
    }

    /// Runs to the end of the input, a failure, or a stop: a thread a worker, the coordinator on the
    /// caller's.
    ///
    /// - Parameters:
    ///   - shouldStop: looked at about twenty times a second.
    ///   - onProgress: called about as often.
    package func run(
        shouldStop: () -> Bool, onProgress: (RunProgress) -> Void
    ) throws(ConnectorError) -> RunTotals {
        let threads = workers.map { WorkerThread($0, mailbox: mailbox) }
        for thread in threads { thread.start() }
        var lastLookNs = parts.time.nowNs()
        while true {
            let step = coordinator.step()
            if step == .finished { break }
            let now = parts.time.nowNs()
            if now - lastLookNs > 50_000_000 {
                lastLookNs = now
                if shouldStop() { coordinator.stop() }
                onProgress(coordinator.progress)
            }
            if step == .idle { mailbox.waitForMessage(timeoutMs: 20) }
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

    func start() {
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let code = unsafe pthread_create(&thread, nil, workerThreadMain, context)
        precondition(code == 0, "the system has no thread for a worker")
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
