import CRdKafka
import Glibc
import TidemarkCore
package import TidemarkDataflow

/// A producer for loading data, in order within each partition.
///
/// Idempotent for the sake of that order: without it, a batch that is sent again (the first ones to a
/// topic that was just made, often) lands behind its successors, and its rows are late.
@safe
final class LoadProducer {
    private let client: OpaquePointer
    private var topics: [String: TopicReference] = [:]
    private let deliveries: UnsafeMutablePointer<Deliveries>

    init(settings: KafkaSettings, compression: String, lingerMs: Int) throws(ConnectorError) {
        var configuration = Configuration()
        try configuration.set(connection: settings)
        configuration.set("statistics.interval.ms", 0)
        configuration.set("compression.codec", compression)
        configuration.set("linger.ms", lingerMs)
        configuration.set("enable.idempotence", "true")
        configuration.set("batch.size", 900_000)
        configuration.set("batch.num.messages", 10_000)
        configuration.set("queue.buffering.max.messages", 200_000)
        configuration.set("queue.buffering.max.kbytes", 64 << 10)
        configuration.set("message.max.bytes", 64 << 20)
        configuration.set("log_level", 2)
        try configuration.set(properties: settings.properties)
        let conf = unsafe try configuration.make()
        unsafe rd_kafka_conf_set_dr_msg_cb(conf, onDelivery)
        let text = ErrorText()
        guard
            let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.buffer, text.capacity)
        else {
            unsafe rd_kafka_conf_destroy(conf)
            throw ConnectorError(.environment, "loader: \(text.string)")
        }
        unsafe self.client = unsafe client
        unsafe deliveries = .allocate(capacity: 1)
        unsafe deliveries.initialize(to: Deliveries(shortens: false))
    }

    deinit {
        unsafe rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        unsafe rd_kafka_flush(client, 1000)
        for topic in topics.values { unsafe rd_kafka_topic_destroy(topic.pointer) }
        unsafe rd_kafka_destroy(client)
        unsafe deliveries.deallocate()
    }

    func topic(_ name: String) throws(ConnectorError) -> OpaquePointer {
        if let known = topics[name] { return unsafe known.pointer }
        guard let topic = unsafe rd_kafka_topic_new(client, name, nil) else {
            throw ConnectorError(.environment, "'\(name)' is not a valid topic name")
        }
        topics[name] = unsafe TopicReference(pointer: topic)
        return unsafe topic
    }

    /// Partitions of a topic, waiting at most 10 s for the cluster.
    func partitionCount(_ name: String) throws(ConnectorError) -> Int {
        let topic = unsafe try topic(name)
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client, 0, topic, &metadata, 10_000)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata else {
            throw ConnectorError(.environment, "loader: \(codeText(code))")
        }
        defer { unsafe rd_kafka_metadata_destroy(metadata) }
        guard unsafe metadata.pointee.topic_cnt == 1,
            unsafe metadata.pointee.topics[0].partition_cnt > 0
        else { throw ConnectorError(.environment, "topic '\(name)' does not exist") }
        return unsafe Int(metadata.pointee.topics[0].partition_cnt)
    }

    /// Waits while the queue is full.
    func send(
        _ topic: String,
        _ partition: Int32,
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [(name: String, value: [UInt8])],
        timestampMs: Int64?
    ) throws(ConnectorError) {
        let handle = unsafe try self.topic(topic)
        while true {
            let list = unsafe clientHeaders(headers)
            let code = unsafe withBytes(key) { key in
                unsafe withBytes(value) { value in
                    unsafe tidemark_produce(
                        client,
                        handle,
                        partition,
                        key.start,
                        key.count,
                        value.start,
                        value.count,
                        list,
                        timestampMs ?? 0,
                        deliveries
                    )
                }
            }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
            if let list = unsafe list { unsafe rd_kafka_headers_destroy(list) }
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw ConnectorError(.environment, "loader: \(codeText(code))")
            }
            unsafe rd_kafka_poll(client, 10)
        }
        unsafe rd_kafka_poll(client, 0)
        try check()
    }

    /// One value without a key, whose bytes are copied; waits while the queue is full.
    func send(
        topic: OpaquePointer,
        partition: Int32,
        value: UnsafeRawBufferPointer
    ) throws(ConnectorError) {
        while true {
            let result = unsafe rd_kafka_produce(
                topic,
                partition,
                RD_KAFKA_MSG_F_COPY,
                UnsafeMutableRawPointer(mutating: value.baseAddress),
                value.count,
                nil,
                0,
                deliveries
            )
            if result == 0 { return }
            let code = rd_kafka_last_error()
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw ConnectorError(.environment, "loader: \(codeText(code))")
            }
            unsafe rd_kafka_poll(client, 10)
            try check()
        }
    }

    func poll() throws(ConnectorError) {
        unsafe rd_kafka_poll(client, 0)
        try check()
    }

    func flush(withinMs: Int) throws(ConnectorError) {
        unsafe rd_kafka_flush(client, Int32(withinMs))
        try check()
        let left = unsafe rd_kafka_outq_len(client)
        guard left == 0 else {
            throw ConnectorError(.retriable, "loader: \(left) records were not acknowledged")
        }
    }

    private func check() throws(ConnectorError) {
        let code = unsafe deliveries.pointee.failure
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw ConnectorError(.environment, "loader: a record was refused: \(codeText(code))")
        }
    }
}

/// Loads newline-delimited records into a topic, fast: for benchmarks and tests.
package enum KafkaLoader {
    /// What was loaded.
    package struct Result: Sendable {
        /// Lines that were sent; empty ones are left out.
        package var recordCount: Int
        /// Bytes of their values.
        package var byteCount: Int
    }

    /// Makes each line of the file that is not empty a record without a key.
    ///
    /// Record i goes to partition i / `run` mod partitions. Waits until all are acknowledged.
    package static func load(
        path: String,
        topic: String,
        settings: KafkaSettings,
        recordCountMax: Int = .max,
        run: Int = 1,
        compression: String = "lz4"
    ) throws(ConnectorError) -> Result {
        precondition(run > 0, "a run has lines")
        let producer = try LoadProducer(settings: settings, compression: compression, lingerMs: 100)
        let partitionCount = try producer.partitionCount(topic)
        let handle = unsafe try producer.topic(topic)
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else {
            throw ConnectorError(.environment, "cannot open \(path): \(errorText(errno))")
        }
        defer { _ = Glibc.close(descriptor) }

        var capacity = 4 << 20
        var block = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
        defer { unsafe block.deallocate() }
        var filled = 0
        var result = Result(recordCount: 0, byteCount: 0)
        var isAtEnd = false
        while !isAtEnd && result.recordCount < recordCountMax {
            if filled == capacity {
                let larger = UnsafeMutableRawPointer.allocate(
                    byteCount: capacity * 2,
                    alignment: 64
                )
                unsafe larger.copyMemory(from: block, byteCount: filled)
                unsafe block.deallocate()
                unsafe block = larger
                capacity *= 2
            }
            let count = unsafe read(descriptor, block + filled, capacity - filled)
            guard count >= 0 else {
                throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
            }
            isAtEnd = count == 0
            filled += count
            var start = 0
            while start < filled && result.recordCount < recordCountMax {
                var end = filled
                if let newline = unsafe memchr(block + start, 0x0A, filled - start) {
                    end = unsafe newline - UnsafeMutableRawPointer(block)
                } else if !isAtEnd {
                    break
                }
                if end > start {
                    let partition = Int32(result.recordCount / run % partitionCount)
                    try unsafe producer.send(
                        topic: handle,
                        partition: partition,
                        value: UnsafeRawBufferPointer(start: block + start, count: end - start)
                    )
                    result.recordCount += 1
                    result.byteCount += end - start
                    if result.recordCount & 0xFFF == 0 { try producer.poll() }
                }
                start = end + 1
            }
            start = min(start, filled)
            unsafe memmove(block, block + start, filled - start)
            filled -= start
        }
        try producer.flush(withinMs: 120_000)
        return result
    }
}

private func errorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
