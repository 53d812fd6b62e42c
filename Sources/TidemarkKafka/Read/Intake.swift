import CRdKafka
import Glibc
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow

/// The raw state that the callback works on.
@unsafe
struct Intake {
    let client: OpaquePointer
    let recordBytesMax: Int
    let batchBytesMax: Int
    let slotCount: Int
    /// By slot: the next offset to hand out.
    let positions: UnsafeMutablePointer<Int64>
    let topicCount: Int
    let topics: UnsafeMutablePointer<Topic>
    /// Topic, partition and slot of the message before: nearly all messages have those of the one before.
    var topicAtHand: OpaquePointer?
    var partitionAtHand: Int32 = -1
    var slotAtHand = -1
    /// The batch being filled; made anew by each `poll`, and nothing outside of one.
    let rows: UnsafeMutablePointer<IntakeRows>
    var byteCount: UInt64 = 0
    var repeatCount: UInt64 = 0
    /// The client hands out values where they lie in the answer of the broker.
    ///
    /// So it is in all its versions up to now; a later one is asked for the headers of each record.
    let valuesAreInPlace: Bool
    var errorCode = RD_KAFKA_RESP_ERR_NO_ERROR
    var errorSlot = -1
    let errorText: UnsafeMutablePointer<CChar>
    static let errorTextCapacity = 256

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
        unsafe valuesAreInPlace = kafkaLibraryNumber() < 0x0300_0000
        unsafe self.recordBytesMax = recordBytesMax
        unsafe self.batchBytesMax = batchBytesMax
        unsafe rows = .allocate(capacity: 1)
        let slotCount = (starts.map(\.slot).max() ?? -1) + 1
        unsafe self.slotCount = slotCount
        unsafe positions = .allocate(capacity: max(1, slotCount))
        unsafe positions.initialize(repeating: 0, count: max(1, slotCount))
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
        unsafe rows.deallocate()
        unsafe positions.deallocate()
        unsafe errorText.deallocate()
    }

    /// The slot of a message's partition; -1 if it is none of ours.
    @inline(__always)
    mutating func slot(_ topic: OpaquePointer?, _ partition: Int32) -> Int {
        if unsafe topic == topicAtHand && partition == partitionAtHand { return unsafe slotAtHand }
        return unsafe findSlot(topic, partition)
    }

    @inline(never)
    private mutating func findSlot(_ topic: OpaquePointer?, _ partition: Int32) -> Int {
        guard let topic = unsafe topic, let place = unsafe place(of: topic) else { return -1 }
        let found = unsafe slot(place, partition)
        if found >= 0 {
            // The client keeps a topic of ours, so no other can get its address.
            unsafe (topicAtHand, partitionAtHand, slotAtHand) = unsafe (topic, partition, found)
        }
        return found
    }

    private func place(of topic: OpaquePointer) -> Int? {
        for place in unsafe 0..<topicCount where unsafe topics[place].handle == topic {
            return place
        }
        guard let name = unsafe rd_kafka_topic_name(topic) else { return nil }
        for place in unsafe 0..<topicCount where unsafe strcmp(topics[place].name, name) == 0 {
            unsafe topics[place].handle = unsafe topic
            return place
        }
        return nil
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
    let headersStart: UnsafeMutablePointer<UInt32>
    let headersLength: UnsafeMutablePointer<Int32>
    var arena: UnsafeMutableRawPointer
    var arenaCapacity: Int
    var arenaCount: Int
    var count: Int

    init(_ batch: RecordBatch) {
        unsafe self.batch = Unmanaged.passUnretained(batch)
        unsafe countMax = batch.recordCountMax
        unsafe partition = batch.partition
        unsafe offset = batch.offset
        unsafe recordTimeMs = batch.recordTimeMs
        unsafe valueStart = batch.valueStart
        unsafe valueLength = batch.valueLength
        unsafe keyStart = batch.keyStart
        unsafe keyLength = batch.keyLength
        unsafe valueLengthWhole = batch.valueLengthWhole
        unsafe headersStart = batch.headersStart
        unsafe headersLength = batch.headersLength
        unsafe arena = batch.arena
        unsafe arenaCapacity = batch.arenaCapacity
        unsafe arenaCount = batch.arenaCount
        unsafe count = batch.recordCount
    }

    /// Copies one record, without its headers, and so many bytes of its key and value.
    ///
    /// A key or value that is there and empty has a pointer, one that is not there has none. The bytes are copied
    /// last: what is known before would have to be kept across the call.
    @inline(__always)
    mutating func append(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>,
        slot: Int,
        timeMs: Int64,
        keyLength: Int,
        valueLength: Int
    ) {
        let row = unsafe count
        precondition(unsafe row < countMax, "the call ends at a full batch")
        let (key, value) = unsafe (message.pointee.key, message.pointee.payload)
        let keyAt = unsafe arenaCount
        if unsafe keyAt &+ keyLength &+ valueLength > arenaCapacity {
            unsafe grow(by: keyLength + valueLength)
        }
        let valueAt = unsafe keyAt &+ (key == nil ? 0 : keyLength)
        unsafe partition[row] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[row] = message.pointee.offset
        unsafe recordTimeMs[row] = timeMs
        unsafe keyStart[row] = UInt32(truncatingIfNeeded: keyAt)
        unsafe self.keyLength[row] = key == nil ? -1 : Int32(truncatingIfNeeded: keyLength)
        unsafe valueStart[row] = UInt32(truncatingIfNeeded: valueAt)
        unsafe self.valueLength[row] = value == nil ? -1 : Int32(truncatingIfNeeded: valueLength)
        unsafe valueLengthWhole[row] = value == nil ? 0 : Int64(message.pointee.len)
        unsafe headersLength[row] = 0
        unsafe arenaCount = valueAt &+ (value == nil ? 0 : valueLength)
        unsafe count = row &+ 1
        let arena = unsafe arena
        if let key = unsafe key { unsafe memcpy(arena + keyAt, key, keyLength) }
        if let value = unsafe value { unsafe memcpy(arena + valueAt, value, valueLength) }
    }

    /// Copies the headers of the record that was appended last.
    @inline(never)
    mutating func appendHeaders(of message: UnsafeMutablePointer<rd_kafka_message_t>) {
        var headers: OpaquePointer?
        if unsafe rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let headers = unsafe headers
        {
            unsafe append(headers: headers)
        }
    }

    /// Copies the headers of the record that was appended last, in the form of `RecordHeader`.
    mutating func append(headers list: OpaquePointer) {
        let row = unsafe count - 1
        let start = unsafe arenaCount
        unsafe headersStart[row] = UInt32(truncatingIfNeeded: start)
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while unsafe rd_kafka_header_get_all(list, index, &name, &value, &size)
            == RD_KAFKA_RESP_ERR_NO_ERROR
        {
            index += 1
            guard let name = unsafe name else { continue }
            let nameLength = unsafe strlen(name)
            let valueLength = unsafe value == nil ? 0 : size
            let needed = RecordHeader.lengthByteCount + nameLength + valueLength
            if unsafe arenaCount + needed > arenaCapacity { unsafe grow(by: needed) }
            let at = unsafe arena + arenaCount
            unsafe at.storeBytes(of: Int32(truncatingIfNeeded: nameLength), as: Int32.self)
            unsafe (at + 4).storeBytes(
                of: value == nil ? -1 : Int32(truncatingIfNeeded: valueLength), as: Int32.self)
            unsafe (at + RecordHeader.lengthByteCount).copyMemory(
                from: name, byteCount: nameLength)
            if let value = unsafe value {
                unsafe (at + RecordHeader.lengthByteCount + nameLength).copyMemory(
                    from: value, byteCount: valueLength)
            }
            unsafe arenaCount += needed
        }
        unsafe headersLength[row] = Int32(truncatingIfNeeded: arenaCount - start)
    }

    /// Nothing more should go in.
    func isFull(_ arenaCountMax: Int) -> Bool {
        unsafe count == countMax || arenaCount >= arenaCountMax
    }

    private mutating func grow(by byteCount: Int) {
        let (used, rowCount) = unsafe (arenaCount, count)
        let (moved, capacity) = unsafe batch._withUnsafeGuaranteedRef { batch in
            batch.use(recordCount: rowCount, arenaCount: used)
            batch.reserve(byteCount)
            return unsafe (batch.arena, batch.arenaCapacity)
        }
        unsafe arena = unsafe moved
        unsafe arenaCapacity = capacity
    }
}

/// Takes one message off a queue.
///
/// The library owns the message and frees it afterwards.
func takeMessage(
    _ raw: UnsafeMutablePointer<rd_kafka_message_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let raw = unsafe raw, let opaque = unsafe opaque else { return }
    let intake = unsafe opaque.assumingMemoryBound(to: Intake.self)
    let slot = unsafe intake.pointee.slot(raw.pointee.rkt, raw.pointee.partition)
    guard unsafe raw.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        return unsafe takeError(raw, slot, intake)
    }
    guard slot >= 0 else { return }
    let offset = unsafe raw.pointee.offset
    guard unsafe offset >= intake.pointee.positions[slot] else {
        unsafe intake.pointee.repeatCount &+= 1
        return
    }
    let timeMs = unsafe rd_kafka_message_timestamp(raw, nil)
    let (length, keyLength) = unsafe (raw.pointee.len, raw.pointee.key_len)
    var (kept, keyKept) = (length, keyLength)
    let lengthMax = unsafe intake.pointee.recordBytesMax
    if max(length, keyLength) > lengthMax {
        if length > lengthMax { kept = min(length, foreignBytesKept) }
        if keyLength > lengthMax { keyKept = min(keyLength, foreignBytesKept) }
    }
    let asks =
        unsafe !intake.pointee.valuesAreInPlace || mayHaveHeaders(raw.pointee.payload, length)
    unsafe intake.pointee.positions[slot] = offset &+ 1
    unsafe intake.pointee.byteCount &+= UInt64(truncatingIfNeeded: length &+ keyLength)
    // Straight into the raw rows: through the batch's properties it would take four times as long.
    let rows = unsafe intake.pointee.rows
    unsafe rows.pointee.append(
        raw,
        slot: slot,
        timeMs: timeMs < 0 ? TimeLimit.never : timeMs,
        keyLength: keyKept,
        valueLength: kept
    )
    if asks { unsafe rows.pointee.appendHeaders(of: raw) }
    // Ends the call; `rd_kafka_queue_yield` would not.
    if unsafe rows.pointee.isFull(intake.pointee.batchBytesMax) {
        unsafe rd_kafka_yield(intake.pointee.client)
    }
}

/// Whether a message may have headers: false only where its bytes say that it has none.
///
/// To ask the client costs two allocations a record, a tenth of what reading costs at all, and whether a record
/// will be set aside, with its headers, is known only when the client has freed the message. But a value lies
/// in the broker's answer, and there, in message format 2, its length stands in front of it and the number of
/// headers behind it. A value whose length does not stand in front of it in just that form (format 0 and
/// 1 have 32 bits there, of which no other than 0 looks like it) may have headers as far as this is concerned:
/// nothing behind it is looked at, and the client is asked.
/// - Complexity: O(1).
/// - Source: the record format of Kafka's protocol guide; lengths and counts are zigzag varints.
@inline(__always)
package func mayHaveHeaders(_ value: UnsafeRawPointer?, _ length: Int) -> Bool {
    guard let value = unsafe value, length > 0 else { return true }
    if length >= 64, length < 8192 {
        // Two bytes, as nearly all have.
        let varint = length << 2 & 0x7f00 | length << 1 & 0x7f | 0x80
        let front = unsafe value.loadUnaligned(fromByteOffset: -2, as: UInt16.self)
        return unsafe Int(front.littleEndian) != varint
            || value.load(fromByteOffset: length, as: UInt8.self) != 0
    }
    var rest = UInt64(length) << 1
    // Backwards from the value: the last byte of the varint has no high bit, the others do.
    var byteCount = 1
    while rest >> UInt64(7 * byteCount) != 0 { byteCount += 1 }
    for place in stride(from: -byteCount, to: -1, by: 1) {
        // In bounds: four bytes and more of each format stand in front of the length or are it.
        guard
            unsafe value.load(fromByteOffset: place, as: UInt8.self)
                == UInt8(truncatingIfNeeded: rest) | 0x80
        else { return true }
        rest >>= 7
    }
    return unsafe value.load(fromByteOffset: -1, as: UInt8.self) != UInt8(truncatingIfNeeded: rest)
        // In bounds: of format 2, a count stands there.
        || value.load(fromByteOffset: length, as: UInt8.self) != 0
}

private func takeError(
    _ raw: UnsafeMutablePointer<rd_kafka_message_t>,
    _ slot: Int,
    _ intake: UnsafeMutablePointer<Intake>
) {
    let code = unsafe raw.pointee.err
    if code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
        // The end as the client sees it: past control records, aborted records and gaps.
        guard slot >= 0 else { return }
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
