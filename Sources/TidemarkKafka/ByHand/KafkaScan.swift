import CRdKafka
package import TidemarkCore
package import TidemarkDataflow

/// A record with everything it carries.
package struct ScannedRecord: Sendable {
    /// The partition that it lies in.
    package var place: TopicPartition
    /// Its offset there.
    package var offset: Int64
    /// Milliseconds since 1970; `nil`: it has none.
    package var timestampMs: Int64?
    /// `nil`: it has none.
    package var key: [UInt8]?
    /// `nil`: a tombstone.
    package var value: [UInt8]?
    /// In the order in which they were written; a name may come more than once.
    package var headers: [(name: String, value: [UInt8])]

    /// The last header of a name, as text.
    package func header(_ name: String) -> String? {
        headers.last { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }
}

extension KafkaClient {
    /// Reads a topic once, from its beginning to where its committed end was, record by record.
    ///
    /// Reads nothing of the group and commits nothing. For topics that are small or rare: dead
    /// letters, state. `take` answers whether it wants more. Returns the number of records, or
    /// `nil` if there is no such topic.
    @discardableResult
    package func scan(
        _ topic: String,
        group: String,
        _ take: (ScannedRecord) throws(ConnectorError) -> Bool
    ) throws(ConnectorError) -> Int? {
        guard let ids = try handle.partitions(of: topic, withinMs: connectMs) else { return nil }
        let configuration = try Configuration.besideGroup(
            settings, group: group, isolation: "read_committed")
        let reader = try ClientHandle(
            type: RD_KAFKA_CONSUMER,
            configuration: configuration,
            role: "scan",
            controlled: false,
            brokers: settings.brokers,
            time: time,
            log: log,
            telemetry: telemetry
        )
        defer { reader.close(withinMs: 2000) }
        unsafe rd_kafka_poll_set_consumer(reader.client)
        let list = PartitionList(capacity: ids.count)
        for id in ids {
            // -2: the beginning.
            list.append(TopicPartition(topic: topic, partition: id), offset: -2)
        }
        let code = unsafe rd_kafka_assign(reader.client, list.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw reader.error(code, "cannot read topic '\(topic)'")
        }
        defer { unsafe rd_kafka_assign(reader.client, nil) }
        var open = Set(ids)
        var count = 0
        var quietSinceNs = time.nowNs()
        while !open.isEmpty {
            guard let message = unsafe rd_kafka_consumer_poll(reader.client, 200) else {
                guard time.nowNs() - quietSinceNs < 2 * connectMs * 1_000_000 else {
                    throw reader.unreachable(
                        RD_KAFKA_RESP_ERR__TIMED_OUT,
                        waitedMs: 2 * connectMs
                    )
                }
                continue
            }
            defer { unsafe rd_kafka_message_destroy(message) }
            let code = unsafe message.pointee.err
            let partition = unsafe message.pointee.partition
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                quietSinceNs = time.nowNs()
                guard open.contains(partition) else { continue }
                count += 1
                guard try take(unsafe scanned(message, topic)) else { return count }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF: open.remove(partition)
            case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
                RD_KAFKA_RESP_ERR__TIMED_OUT:
                continue  // The client tries again by itself.
            default: throw reader.error(code, "cannot read topic '\(topic)'")
            }
        }
        return count
    }
}

private func scanned(
    _ message: UnsafeMutablePointer<rd_kafka_message_t>,
    _ topic: String
) -> ScannedRecord {
    func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
        guard let start = unsafe start else { return nil }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timeMs = unsafe rd_kafka_message_timestamp(message, &type)
    var headers: [(name: String, value: [UInt8])] = []
    var list: OpaquePointer?
    if unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR {
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while unsafe rd_kafka_header_get_all(list, index, &name, &value, &size)
            == RD_KAFKA_RESP_ERR_NO_ERROR
        {
            if let name = unsafe name {
                let text = unsafe UnsafeRawBufferPointer(
                    start: value,
                    count: value == nil ? 0 : size
                )
                unsafe headers.append((String(cString: name), [UInt8](text)))
            }
            index += 1
        }
    }
    return unsafe ScannedRecord(
        place: TopicPartition(topic: topic, partition: message.pointee.partition),
        offset: message.pointee.offset,
        timestampMs: timeMs < 0 ? nil : timeMs,
        key: bytes(message.pointee.key, message.pointee.key_len),
        value: bytes(message.pointee.payload, message.pointee.len),
        headers: headers
    )
}
