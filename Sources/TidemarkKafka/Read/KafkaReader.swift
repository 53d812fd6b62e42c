import CRdKafka
import Glibc
import Synchronization
package import TidemarkBatch
import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry

/// What all readers count together.
struct ReaderCounters: Sendable {
    let rows: Counter
    let bytes: Counter
    let repeats: Counter
    let polls: Counter

    init(_ telemetry: Telemetry) {
        rows = telemetry.counter(
            "tidemark_source_records_total",
            help: "Records read from the input."
        )
        bytes = telemetry.counter(
            "tidemark_source_bytes_total",
            help: "Bytes of values and keys read from the input."
        )
        repeats = telemetry.counter(
            "tidemark_source_repeats_total",
            help: "Records that the client handed out again and that were dropped."
        )
        polls = telemetry.counter("tidemark_source_polls_total", help: "Polls of the input.")
    }
}

/// One worker's partitions, each in its own queue of the client.
///
/// A queue is taken out of the client's forwarding before the assignment, so nothing but the worker's
/// own thread ever touches these messages. A poll goes round the queues, a callback copying each
/// message into the batch and touching raw memory otherwise; it ends the call when the batch is full,
/// and the library puts what is left back at the head of the queue.
///
/// A partition that must wait is left out of the round: its queue fills up to its limit and keeps what
/// it holds. (The library's own pause throws that away and has to seek afterwards, and under load
/// such a seek was seen to time out.) Each message is checked against the position, so none can come
/// twice.
///
/// `@unchecked Sendable`: the worker that it was opened for owns it; the source calls `release` and
/// the coordinator `wake`, from any thread.
@safe
package final class KafkaReader: SourceReader, @unchecked Sendable {
    /// A partition's queue.
    @safe
    private struct Lane {
        let slot: Int
        let queue: OpaquePointer
        var isPaused = false
        /// The queue was filled to where the client stops to fetch.
        var wasFull = false
    }

    private let handle: ClientHandle
    private let counters: ReaderCounters
    private let partitions: [Int: TopicPartition]
    /// What the callback sees; owned, and touched by the worker's thread alone.
    private let intake: UnsafeMutablePointer<Intake>
    private var lanes: [Lane]
    /// Where the next round begins.
    private var first = 0
    private let bell: Bell
    private let waker: FetchWaker
    /// `queued.max.messages.kbytes`: of one queue.
    private let queueBytesMax: Int
    private let isReleased = Atomic<Bool>(false)
    private let isPolling = Atomic<Bool>(false)

    init(
        handle: ClientHandle,
        starts: [PartitionStart],
        recordBytesMax: Int,
        batchBytesMax: Int,
        queueBytesMax: Int,
        waker: FetchWaker,
        counters: ReaderCounters
    ) throws(ConnectorError) {
        self.queueBytesMax = queueBytesMax
        self.waker = waker
        self.handle = handle
        self.counters = counters
        partitions = Dictionary(uniqueKeysWithValues: starts.map { ($0.slot, $0.partition) })
        unsafe intake = .allocate(capacity: 1)
        unsafe intake.initialize(
            to: Intake(
                client: handle.client,
                starts: starts,
                recordBytesMax: recordBytesMax,
                batchBytesMax: batchBytesMax
            )
        )
        bell = Bell()
        lanes = []
        for start in starts {
            let partition = start.partition
            guard
                let queue = unsafe rd_kafka_queue_get_partition(
                    handle.client,
                    partition.topic,
                    partition.partition
                )
            else { throw ConnectorError(.environment, "\(partition) has no queue") }
            unsafe rd_kafka_queue_forward(queue, nil)
            unsafe rd_kafka_queue_cb_event_enable(queue, ringBell, bell.opaque)
            unsafe lanes.append(Lane(slot: start.slot, queue: queue))
        }
    }

    deinit {
        unsafe intake.pointee.deallocate()
        unsafe intake.deinitialize(count: 1)
        unsafe intake.deallocate()
    }

    /// Fills the batch, queue by queue in turn; an error waits until no rows are left.
    package func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError) {
        batch.clear()
        isPolling.store(true, ordering: .sequentiallyConsistent)
        defer { isPolling.store(false, ordering: .releasing) }
        guard !isReleased.load(ordering: .sequentiallyConsistent) else {
            throw ConnectorError(.retriable, "the source is closed")
        }
        try throwPending()
        let before = unsafe intake.pointee.byteCount
        let repeatsBefore = unsafe intake.pointee.repeatCount
        let rows = unsafe intake.pointee.rows
        unsafe rows.initialize(to: IntakeRows(batch))
        takeRound()
        if unsafe rows.pointee.count == 0, bell.wait(timeoutMs: timeoutMs) { takeRound() }
        unsafe batch.use(recordCount: rows.pointee.count, arenaCount: rows.pointee.arenaCount)
        counters.polls.add()
        if batch.recordCount > 0 {
            counters.rows.add(UInt64(batch.recordCount))
            unsafe counters.bytes.add(intake.pointee.byteCount &- before)
        }
        let repeats = unsafe intake.pointee.repeatCount &- repeatsBefore
        if repeats > 0 { counters.repeats.add(repeats) }
        // Rows first: an error waits for the next poll.
        if batch.recordCount == 0 { try throwPending() }
    }

    /// Takes what is there, queue by queue, until the batch is full.
    ///
    /// The next round begins after the queue that this one ended with.
    private func takeRound() {
        for turn in lanes.indices {
            let index = (first + turn) % lanes.count
            if lanes[index].isPaused { continue }
            let rows = unsafe intake.pointee.rows
            let rowsBefore = unsafe rows.pointee.count
            let bytesBefore = unsafe intake.pointee.byteCount
            unsafe rd_kafka_consume_callback_queue(lanes[index].queue, 0, takeMessage, intake)
            let taken = unsafe rows.pointee.count - rowsBefore
            if taken > 0 {
                unsafe wakeFetch(
                    index, rowCount: taken, byteCount: Int(intake.pointee.byteCount &- bytesBefore))
            }
            if unsafe rows.pointee.isFull(intake.pointee.batchBytesMax) {
                first = (index + 1) % lanes.count
                return
            }
        }
    }

    /// One past the last record taken, or past what was skipped behind it; 0 for a slot that is not
    /// its own.
    package func position(_ slot: Int) -> Int64 {
        guard unsafe slot < intake.pointee.slotCount else { return 0 }
        return unsafe intake.pointee.positions[slot]
    }

    /// A topic has no end.
    package func isAtEnd(_ slot: Int) -> Bool { false }

    /// Takes nothing more from the partition's queue; the client goes on fetching until that is
    /// full.
    package func setPaused(_ paused: Bool, slot: Int) throws(ConnectorError) {
        for index in lanes.indices where lanes[index].slot == slot {
            lanes[index].isPaused = paused
        }
    }

    /// Ends a wait of `poll`, from any thread.
    package func wake() { bell.ring() }

    /// Gives the queues back, once no poll is running; false if one still is after that time.
    func release(withinMs: Int64) -> Bool {
        isReleased.store(true, ordering: .sequentiallyConsistent)
        var waitedMs: Int64 = 0
        while isPolling.load(ordering: .sequentiallyConsistent) {
            guard waitedMs < withinMs else { return false }
            bell.ring()
            usleep(1000)
            waitedMs += 1
        }
        for lane in lanes {
            unsafe rd_kafka_queue_cb_event_enable(lane.queue, nil, nil)
            unsafe rd_kafka_queue_destroy(lane.queue)
        }
        return true
    }

    /// After rows were taken: if the client stopped to fetch for want of room, there is some now.
    private func wakeFetch(_ index: Int, rowCount: Int, byteCount: Int) {
        let left = unsafe Int(rd_kafka_queue_length(lanes[index].queue))
        // What is queued is as large as what was read, about.
        let queuedBefore = (left + rowCount) * (byteCount / rowCount)
        if queuedBefore >= queueBytesMax / 2 { lanes[index].wasFull = true }
        guard lanes[index].wasFull else { return }
        waker.wake()
        if queuedBefore < queueBytesMax / 4 { lanes[index].wasFull = false }
    }

    private func throwPending() throws(ConnectorError) {
        try handle.checkFatal()
        let code = unsafe intake.pointee.errorCode
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        unsafe intake.pointee.errorCode = RD_KAFKA_RESP_ERR_NO_ERROR
        let slot = unsafe intake.pointee.errorSlot
        let name = partitions[slot]?.description ?? "the input"
        let text = unsafe handle.events.redactor.clean(String(cString: intake.pointee.errorText))
        switch code {
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            let wanted = slot >= 0 ? position(slot) : -1
            throw ConnectorError(
                .environment,
                "\(name): offset \(wanted) is no longer in the log (or not yet): \(text)",
                hint: "tidemark reset, or a longer retention for the topic"
            )
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            throw ConnectorError(.environment, "\(name) no longer exists: \(text)")
        default: throw ConnectorError(.environment, "cannot read \(name): \(text)")
        }
    }
}

/// Rung by the client when a queue is no longer empty, and by whoever wants a poll to end.
///
/// Whoever rings lets go of the lock first, so that the thread which wakes need not wait for it, and a
/// bell that was rung already wakes nobody again.
///
/// `@unchecked Sendable`: what is in it is guarded by its mutex.
@safe
private final class Bell: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isRung = false
    private var isAwaited = false

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// For the callback; the reader that holds the bell outlives it.
    var opaque: UnsafeMutableRawPointer { unsafe Unmanaged.passUnretained(self).toOpaque() }

    func ring() {
        unsafe pthread_mutex_lock(mutex)
        let wakes = isAwaited && !isRung
        isRung = true
        unsafe pthread_mutex_unlock(mutex)
        if wakes { unsafe pthread_cond_signal(condition) }
    }

    /// Waits for so long at most.
    ///
    /// - Returns: it was rung since the last wait.
    func wait(timeoutMs: Int) -> Bool {
        var until = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &until)
        let ns = until.tv_nsec + timeoutMs % 1000 * 1_000_000
        until.tv_sec += timeoutMs / 1000 + ns / 1_000_000_000
        until.tv_nsec = ns % 1_000_000_000
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        isAwaited = true
        while !isRung {
            guard unsafe pthread_cond_timedwait(condition, mutex, &until) == 0 else { break }
        }
        isAwaited = false
        defer { isRung = false }
        return isRung
    }
}

/// The client's event callback: on one of its threads, with the queue locked.
private func ringBell(_ client: OpaquePointer?, _ opaque: UnsafeMutableRawPointer?) {
    guard let opaque = unsafe opaque else { return }
    unsafe Unmanaged<Bell>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.ring() }
}
