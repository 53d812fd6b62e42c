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

/// One worker's partitions, in one private queue of the client.
///
/// The queue of each partition is forwarded to the private queue before the assignment, so nothing
/// but the worker's own thread ever touches these messages. The callback copies each into the batch
/// and touches raw memory otherwise; it ends the call when the batch is full, and the library puts
/// what is left back at the head of the queue.
///
/// A pause takes effect between polls, on the worker's own thread: librdkafka 2.0.2 may not change
/// partitions under a consuming call. It throws away what was fetched; resuming seeks to the
/// position. Each message is checked against the position, so none can come twice.
///
/// `@unchecked Sendable`: the worker that it was opened for owns it; the source calls `release`
/// alone, from any thread.
@safe
package final class KafkaReader: SourceReader, @unchecked Sendable {
    private let handle: ClientHandle
    private let counters: ReaderCounters
    private let partitions: [Int: TopicPartition]
    /// What the callback sees; owned, and touched by the worker's thread alone.
    private let intake: UnsafeMutablePointer<Intake>
    private let queue: OpaquePointer
    private let waker: FetchWaker
    /// `queued.max.messages.kbytes` of one queue.
    private let queueBytesMax: Int
    /// The client's queue was filled to where it stops to fetch.
    private var wasFull = false
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
        guard let queue = unsafe rd_kafka_queue_new(handle.client) else {
            throw ConnectorError(.environment, "the Kafka client has no memory")
        }
        unsafe self.queue = unsafe queue
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
        for start in starts {
            let partition = start.partition
            guard
                let own = unsafe rd_kafka_queue_get_partition(
                    handle.client,
                    partition.topic,
                    partition.partition
                )
            else { throw ConnectorError(.environment, "\(partition) has no queue") }
            unsafe rd_kafka_queue_forward(own, queue)
            unsafe rd_kafka_queue_destroy(own)
        }
    }

    deinit {
        unsafe intake.pointee.deallocate()
        unsafe intake.deinitialize(count: 1)
        unsafe intake.deallocate()
    }

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
        unsafe intake.pointee.rows = unsafe IntakeRows(batch)
        unsafe rd_kafka_consume_callback_queue(queue, Int32(timeoutMs), takeMessage, intake)
        if let rows = unsafe intake.pointee.rows {
            unsafe batch.use(rowCount: rows.count, arenaCount: rows.arenaCount)
        }
        unsafe intake.pointee.rows = nil
        counters.polls.add()
        if batch.rowCount > 0 {
            counters.rows.add(UInt64(batch.rowCount))
            let byteCount = unsafe intake.pointee.byteCount &- before
            counters.bytes.add(byteCount)
            wakeFetch(rowCount: batch.rowCount, byteCount: Int(byteCount))
        }
        let repeats = unsafe intake.pointee.repeatCount &- repeatsBefore
        if repeats > 0 { counters.repeats.add(repeats) }
        // Rows first: an error waits for the next poll.
        if batch.rowCount == 0 { try throwPending() }
    }

    package func position(_ slot: Int) -> Int64 {
        guard unsafe slot < intake.pointee.slotCount else { return 0 }
        return unsafe intake.pointee.positions[slot]
    }

    /// A topic has no end.
    package func isAtEnd(_ slot: Int) -> Bool { false }

    package func setPaused(_ paused: Bool, slot: Int) throws(ConnectorError) {
        guard let partition = partitions[slot] else { return }
        guard unsafe intake.pointee.isPaused[slot] != paused else { return }
        let list = PartitionList(capacity: 1)
        unsafe list.append(partition, offset: intake.pointee.positions[slot])
        if paused {
            let code = unsafe rd_kafka_pause_partitions(handle.client, list.list)
            try check(code, list, "cannot pause \(partition)")
            unsafe intake.pointee.isPaused[slot] = true
            return
        }
        let code = unsafe rd_kafka_resume_partitions(handle.client, list.list)
        try check(code, list, "cannot resume \(partition)")
        // The seek comes last and outdates whatever the resumption fetched.
        if let failure = unsafe rd_kafka_seek_partitions(handle.client, list.list, 10_000) {
            let code = unsafe rd_kafka_error_code(failure)
            unsafe rd_kafka_error_destroy(failure)
            throw handle.error(code, "cannot resume \(partition)")
        }
        try check(RD_KAFKA_RESP_ERR_NO_ERROR, list, "cannot resume \(partition)")
        unsafe intake.pointee.isPaused[slot] = false
    }

    package func wake() {
        guard !isReleased.load(ordering: .sequentiallyConsistent) else { return }
        unsafe rd_kafka_queue_yield(queue)
    }

    /// Gives the queue back, once no poll is running; false if one still is after that time.
    func release(withinMs: Int64) -> Bool {
        isReleased.store(true, ordering: .sequentiallyConsistent)
        var waitedMs: Int64 = 0
        while isPolling.load(ordering: .sequentiallyConsistent) {
            guard waitedMs < withinMs else { return false }
            unsafe rd_kafka_queue_yield(queue)
            usleep(1000)
            waitedMs += 1
        }
        unsafe rd_kafka_queue_destroy(queue)
        return true
    }

    /// After rows were taken: if the client stopped to fetch for want of room, there is some now.
    private func wakeFetch(rowCount: Int, byteCount: Int) {
        let left = unsafe Int(rd_kafka_queue_length(queue))
        // What is queued is as large as what was read, about.
        let queuedBefore = (left + rowCount) * (byteCount / rowCount)
        if queuedBefore >= queueBytesMax / 2 { wasFull = true }
        guard wasFull else { return }
        waker.wake()
        if queuedBefore < queueBytesMax / 4 { wasFull = false }
    }

    private func check(
        _ code: rd_kafka_resp_err_t,
        _ list: PartitionList,
        _ what: String
    ) throws(ConnectorError) {
        var code = code
        for entry in list.entries where entry.code != RD_KAFKA_RESP_ERR_NO_ERROR {
            code = entry.code
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, what) }
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
                "\(name): offset \(wanted) is not in the log any more (or not yet): \(text)",
                hint: "tidemark reset, or a longer retention for the topic"
            )
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            throw ConnectorError(.environment, "\(name) does not exist any more: \(text)")
        default: throw ConnectorError(.environment, "cannot read \(name): \(text)")
        }
    }
}

/// The raw state that the callback works on.
@unsafe
struct Intake {
    let client: OpaquePointer
    let recordBytesMax: Int
    let batchBytesMax: Int
    let slotCount: Int
    /// By slot: the next offset to hand out.
    let positions: UnsafeMutablePointer<Int64>
    let isPaused: UnsafeMutablePointer<Bool>
    let topicCount: Int
    let topics: UnsafeMutablePointer<Topic>
    /// The batch being filled; only inside `poll`.
    var rows: IntakeRows?
    var byteCount: UInt64 = 0
    var repeatCount: UInt64 = 0
    var errorCode = RD_KAFKA_RESP_ERR_NO_ERROR
    var errorSlot = -1
    let errorText: UnsafeMutablePointer<CChar>
    static let errorTextCapacity = 256
    /// Of a record over the limit these bytes are kept.
    static let keptBytes = 64 << 10

    @unsafe
    struct Topic {
        var handle: OpaquePointer?
        var name: UnsafeMutablePointer<CChar>
        /// Slot by partition, -1 where it is not ours.
        var slots: UnsafeMutablePointer<Int32>
        var partitionCount: Int
    }

    init(
        client: OpaquePointer,
        starts: [PartitionStart],
        recordBytesMax: Int,
        batchBytesMax: Int
    ) {
        unsafe self.client = unsafe client
        unsafe self.recordBytesMax = recordBytesMax
        unsafe self.batchBytesMax = batchBytesMax
        let slotCount = (starts.map(\.slot).max() ?? -1) + 1
        unsafe self.slotCount = slotCount
        unsafe positions = .allocate(capacity: max(1, slotCount))
        unsafe positions.initialize(repeating: 0, count: max(1, slotCount))
        unsafe isPaused = .allocate(capacity: max(1, slotCount))
        unsafe isPaused.initialize(repeating: false, count: max(1, slotCount))
        unsafe errorText = .allocate(capacity: Self.errorTextCapacity)
        unsafe errorText.initialize(repeating: 0, count: Self.errorTextCapacity)
        let names = Set(starts.map(\.partition.topic)).sorted()
        unsafe topicCount = names.count
        unsafe topics = .allocate(capacity: max(1, names.count))
        for (place, name) in names.enumerated() {
            let ours = starts.filter { $0.partition.topic == name }
            let count = Int(ours.map(\.partition.partition).max() ?? -1) + 1
            let slots = UnsafeMutablePointer<Int32>.allocate(capacity: count)
            unsafe slots.initialize(repeating: -1, count: count)
            for start in ours {
                unsafe slots[Int(start.partition.partition)] = Int32(start.slot)
            }
            unsafe (topics + place).initialize(
                to: Topic(handle: nil, name: strdup(name), slots: slots, partitionCount: count)
            )
        }
        for start in starts { unsafe positions[start.slot] = start.offset }
    }

    func deallocate() {
        for place in unsafe 0..<topicCount {
            unsafe free(topics[place].name)
            unsafe topics[place].slots.deallocate()
        }
        unsafe topics.deallocate()
        unsafe positions.deallocate()
        unsafe isPaused.deallocate()
        unsafe errorText.deallocate()
    }

    /// The slot of a message's partition; -1 if it is none of ours.
    mutating func slot(_ topic: OpaquePointer?, _ partition: Int32) -> Int {
        for place in unsafe 0..<topicCount where unsafe topics[place].handle == topic {
            return unsafe slot(place, partition)
        }
        guard let topic = unsafe topic, let name = unsafe rd_kafka_topic_name(topic) else {
            return -1
        }
        for place in unsafe 0..<topicCount where unsafe strcmp(topics[place].name, name) == 0 {
            unsafe topics[place].handle = unsafe topic
            return unsafe slot(place, partition)
        }
        return -1
    }

    private func slot(_ place: Int, _ partition: Int32) -> Int {
        guard partition >= 0, unsafe Int(partition) < topics[place].partitionCount else {
            return -1
        }
        return unsafe Int(topics[place].slots[Int(partition)])
    }
}

/// The rows of a batch as raw memory, with cursors of our own.
@unsafe
struct IntakeRows {
    /// Unretained: the caller of `poll` holds it.
    let batch: Unmanaged<RecordBatch>
    let countMax: Int
    let partition: UnsafeMutablePointer<UInt16>
    let offset: UnsafeMutablePointer<Int64>
    let recordTimeMs: UnsafeMutablePointer<Int64>
    let valueStart: UnsafeMutablePointer<UInt32>
    let valueLength: UnsafeMutablePointer<Int32>
    let keyStart: UnsafeMutablePointer<UInt32>
    let keyLength: UnsafeMutablePointer<Int32>
    let valueLengthWhole: UnsafeMutablePointer<Int64>
    var arena: UnsafeMutableRawPointer
    var arenaCapacity: Int
    var arenaCount: Int
    var count: Int

    init(_ batch: RecordBatch) {
        unsafe self.batch = Unmanaged.passUnretained(batch)
        unsafe countMax = batch.rowCountMax
        unsafe partition = batch.partition
        unsafe offset = batch.offset
        unsafe recordTimeMs = batch.recordTimeMs
        unsafe valueStart = batch.valueStart
        unsafe valueLength = batch.valueLength
        unsafe keyStart = batch.keyStart
        unsafe keyLength = batch.keyLength
        unsafe valueLengthWhole = batch.valueLengthWhole
        unsafe arena = batch.arena
        unsafe arenaCapacity = batch.arenaCapacity
        unsafe arenaCount = batch.arenaCount
        unsafe count = batch.rowCount
    }

    /// Copies one record; true if no other should follow.
    ///
    /// A key or value that is there and empty has a pointer, one that is not there has none.
    mutating func append(
        slot: Int,
        offset at: Int64,
        timeMs: Int64,
        key: UnsafeMutableRawPointer?,
        keyLength: Int,
        value: UnsafeMutableRawPointer?,
        valueLength: Int,
        valueLengthWhole: Int,
        arenaCountMax: Int
    ) -> Bool {
        let row = unsafe count
        precondition(unsafe row < countMax, "the call ends at a full batch")
        if unsafe arenaCount + keyLength + valueLength > arenaCapacity {
            unsafe grow(by: keyLength + valueLength)
        }
        unsafe partition[row] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[row] = at
        unsafe recordTimeMs[row] = timeMs
        unsafe keyStart[row] = UInt32(truncatingIfNeeded: arenaCount)
        unsafe self.keyLength[row] = -1
        if let key = unsafe key {
            unsafe (arena + arenaCount).copyMemory(from: key, byteCount: keyLength)
            unsafe self.keyLength[row] = Int32(truncatingIfNeeded: keyLength)
            unsafe arenaCount += keyLength
        }
        unsafe valueStart[row] = UInt32(truncatingIfNeeded: arenaCount)
        unsafe self.valueLength[row] = -1
        unsafe self.valueLengthWhole[row] = 0
        if let value = unsafe value {
            unsafe (arena + arenaCount).copyMemory(from: value, byteCount: valueLength)
            unsafe self.valueLength[row] = Int32(truncatingIfNeeded: valueLength)
            unsafe self.valueLengthWhole[row] = Int64(valueLengthWhole)
            unsafe arenaCount += valueLength
        }
        unsafe count = row + 1
        return unsafe count == countMax || arenaCount >= arenaCountMax
    }

    private mutating func grow(by byteCount: Int) {
        let (used, rowCount) = unsafe (arenaCount, count)
        let (moved, capacity) = unsafe batch._withUnsafeGuaranteedRef { batch in
            batch.use(rowCount: rowCount, arenaCount: used)
            batch.reserve(byteCount)
            return unsafe (batch.arena, batch.arenaCapacity)
        }
        unsafe arena = unsafe moved
        unsafe arenaCapacity = capacity
    }
}

/// Takes one message off the private queue.
///
/// The library owns the message and frees it afterwards.
private func takeMessage(
    _ raw: UnsafeMutablePointer<rd_kafka_message_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let raw = unsafe raw, let opaque = unsafe opaque else { return }
    let intake = unsafe opaque.assumingMemoryBound(to: Intake.self)
    let slot = unsafe intake.pointee.slot(raw.pointee.rkt, raw.pointee.partition)
    guard unsafe raw.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        return unsafe takeError(raw, slot, intake)
    }
    // After a pause the client's queue may still hold what resuming will fetch again.
    guard slot >= 0, unsafe !intake.pointee.isPaused[slot] else { return }
    let offset = unsafe raw.pointee.offset
    guard unsafe offset >= intake.pointee.positions[slot] else {
        unsafe intake.pointee.repeatCount &+= 1
        return
    }
    let lengthMax = unsafe intake.pointee.recordBytesMax
    let length = unsafe raw.pointee.len
    let keyLength = unsafe raw.pointee.key_len
    let kept = unsafe length > lengthMax ? min(length, Intake.keptBytes) : length
    let keyKept = unsafe keyLength > lengthMax ? min(keyLength, Intake.keptBytes) : keyLength
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timeMs = unsafe rd_kafka_message_timestamp(raw, &type)
    // Straight into the raw rows: through the batch's properties it would take four times as long.
    let isFull = unsafe intake.pointee.rows?.append(
        slot: slot,
        offset: offset,
        timeMs: timeMs < 0 ? TimeLimit.never : timeMs,
        key: raw.pointee.key,
        keyLength: keyKept,
        value: raw.pointee.payload,
        valueLength: kept,
        valueLengthWhole: length,
        arenaCountMax: intake.pointee.batchBytesMax
    )
    guard let isFull else { return }
    unsafe intake.pointee.positions[slot] = offset + 1
    unsafe intake.pointee.byteCount &+= UInt64(length &+ keyLength)
    // Ends the call; `rd_kafka_queue_yield` would not.
    if isFull { unsafe rd_kafka_yield(intake.pointee.client) }
}

private func takeError(
    _ raw: UnsafeMutablePointer<rd_kafka_message_t>,
    _ slot: Int,
    _ intake: UnsafeMutablePointer<Intake>
) {
    let code = unsafe raw.pointee.err
    if code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
        // The end as the client sees it: past control records, aborted records and gaps.
        guard slot >= 0, unsafe !intake.pointee.isPaused[slot] else { return }
        unsafe intake.pointee.positions[slot] = max(
            intake.pointee.positions[slot],
            raw.pointee.offset
        )
        return
    }
    switch code {
    case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return  // The client tries again by itself, and says so in the log.
    default: break
    }
    guard unsafe intake.pointee.errorCode == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    unsafe intake.pointee.errorCode = code
    unsafe intake.pointee.errorSlot = slot
    let text = unsafe rd_kafka_message_errstr(raw) ?? rd_kafka_err2str(code)
    guard let text = unsafe text else { return }
    unsafe strncpy(intake.pointee.errorText, text, Intake.errorTextCapacity - 1)
    unsafe rd_kafka_yield(intake.pointee.client)
}
