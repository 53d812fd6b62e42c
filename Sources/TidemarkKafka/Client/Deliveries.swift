import CRdKafka

/// Bytes that are kept of a letter whose record is too long.
let foreignBytesKept = 64 << 10

/// What the delivery reports add up to.
@unsafe
struct Deliveries {
    /// Set in the opaque pointer of a letter, whose value may be shortened.
    static let foreignTag: UInt = 1
    /// A foreign record that is too large is sent again shortened, at once.
    ///
    /// It is not within a transaction: that one cannot be committed any more.
    var shortens: Bool
    /// Reports, good and bad.
    var count = 0
    var failedCount = 0
    /// The first failure; it stays.
    var failure = RD_KAFKA_RESP_ERR_NO_ERROR
    var failedTopic: OpaquePointer?
    var failedByteCount = 0
    var failedIsForeign = false
}

/// The delivery report of one record, whose opaque pointer is the sink's `Deliveries`.
func onDelivery(
    _ client: OpaquePointer?,
    _ message: UnsafePointer<rd_kafka_message_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let message = unsafe message, let own = unsafe message.pointee._private else { return }
    let isForeign = unsafe UInt(bitPattern: own) & Deliveries.foreignTag != 0
    let untagged = unsafe UnsafeMutableRawPointer(
        bitPattern: UInt(bitPattern: own) & ~Deliveries.foreignTag
    )
    guard let deliveries = unsafe untagged?.assumingMemoryBound(to: Deliveries.self) else { return }
    if unsafe isForeign && message.pointee.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        && deliveries.pointee.shortens,
        unsafe produceShortened(client, message, deliveries)
    {
        return  // Its own report will count.
    }
    unsafe deliveries.pointee.count += 1
    guard unsafe message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    unsafe deliveries.pointee.failedCount += 1
    // Thrown away with a transaction that was lost, or at the end: not what went wrong.
    switch unsafe message.pointee.err {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT: return
    default: break
    }
    // A batch is refused as a whole: of those that were too large the largest is the cause.
    let isLarger =
        unsafe message.pointee.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        && deliveries.pointee.failure == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        && message.pointee.len > deliveries.pointee.failedByteCount
    guard unsafe isLarger || deliveries.pointee.failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
        return
    }
    unsafe deliveries.pointee.failure = message.pointee.err
    unsafe deliveries.pointee.failedTopic = message.pointee.rkt
    unsafe deliveries.pointee.failedByteCount = message.pointee.len
    unsafe deliveries.pointee.failedIsForeign = isForeign
}

/// Sends the first 64 KiB of a foreign record that the broker found too large, with its whole length
/// in the header `length`; false if it was as short as that already, or the queue has no room.
private func produceShortened(
    _ client: OpaquePointer?,
    _ message: UnsafePointer<rd_kafka_message_t>,
    _ deliveries: UnsafeMutablePointer<Deliveries>
) -> Bool {
    let whole = unsafe message.pointee.len
    guard whole > foreignBytesKept else { return false }
    var theirs: OpaquePointer?
    var headers: OpaquePointer?
    if unsafe rd_kafka_message_headers(message, &theirs) == RD_KAFKA_RESP_ERR_NO_ERROR {
        unsafe headers = rd_kafka_headers_copy(theirs)
    } else {
        unsafe headers = rd_kafka_headers_new(1)
    }
    var last: UnsafeRawPointer?
    var lastCount = 0
    if unsafe rd_kafka_header_get_last(headers, "length", &last, &lastCount)
        != RD_KAFKA_RESP_ERR_NO_ERROR
    {
        let text = String(whole)
        unsafe rd_kafka_header_add(headers, "length", 6, text, text.utf8.count)
    }
    let code = unsafe tidemark_produce(
        client,
        message.pointee.rkt,
        message.pointee.partition,
        message.pointee.key,
        message.pointee.key_len,
        message.pointee.payload,
        foreignBytesKept,
        headers,
        0,
        deliveries
    )
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return true }
    unsafe rd_kafka_headers_destroy(headers)
    return false
}

func pointer(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
    unsafe bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)
}

func withBytes<Result>(_ bytes: [UInt8]?, _ body: (RawBytes) -> Result) -> Result {
    guard let bytes else { return unsafe body(RawBytes(start: nil, count: 0)) }
    return unsafe bytes.withUnsafeBytes { bytes in
        unsafe body(RawBytes(start: pointer(bytes), count: bytes.count))
    }
}

/// Headers as the client takes them; `nil` where there are none.
///
/// Whoever cannot hand them over must destroy them.
func clientHeaders(_ headers: [(name: String, value: [UInt8])]) -> OpaquePointer? {
    guard !headers.isEmpty, let list = unsafe rd_kafka_headers_new(headers.count) else {
        return nil
    }
    for header in headers {
        // As it lies: made a C string it would be allocated for each header of each record.
        var name = header.name
        let code = name.withUTF8 { name in
            unsafe header.value.withUnsafeBytes { value in
                unsafe name.withMemoryRebound(to: CChar.self) { name in
                    unsafe rd_kafka_header_add(
                        list, name.baseAddress, name.count, pointer(value), value.count)
                }
            }
        }
        precondition(code == RD_KAFKA_RESP_ERR_NO_ERROR, "a header has a name")
    }
    return unsafe list
}

/// Bytes as the producer takes them: no pointer where there are none to send, some pointer where
/// they are empty.
@unsafe
struct RawBytes {
    var start: UnsafeRawPointer?
    var count: Int
}
