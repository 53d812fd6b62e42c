import CRdKafka

/// A producer for tests: any partition, time, key and value; with transactions if asked for.
@safe
package final class TestProducer {
    private let client: OpaquePointer
    private let isTransactional: Bool

    package init(_ bootstrap: String, transactionalId: String? = nil) throws {
        let conf = unsafe rd_kafka_conf_new()
        var entries = [("bootstrap.servers", bootstrap), ("linger.ms", "5"), ("log_level", "2")]
        if let transactionalId { entries.append(("transactional.id", transactionalId)) }
        for (name, value) in entries { _ = unsafe rd_kafka_conf_set(conf, name, value, nil, 0) }
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, conf, nil, 0) else {
            throw RealKafka.Failure(description: "no producer")
        }
        unsafe self.client = unsafe client
        isTransactional = transactionalId != nil
        if isTransactional { try unsafe check(rd_kafka_init_transactions(client, 20_000)) }
    }

    deinit {
        unsafe rd_kafka_flush(client, 5000)
        unsafe rd_kafka_destroy(client)
    }

    package func begin() throws { try unsafe check(rd_kafka_begin_transaction(client)) }
    package func commit() throws { try unsafe check(rd_kafka_commit_transaction(client, 20_000)) }
    package func abort() throws { try unsafe check(rd_kafka_abort_transaction(client, 20_000)) }

    package func send(
        _ topic: String,
        _ partition: Int32,
        key: [UInt8]? = nil,
        value: [UInt8]?,
        timestampMs: Int64 = 0
    ) throws {
        guard let handle = unsafe rd_kafka_topic_new(client, topic, nil) else {
            throw RealKafka.Failure(description: "no topic")
        }
        defer { unsafe rd_kafka_topic_destroy(handle) }
        while true {
            let code = unsafe withPointer(key) { key in
                unsafe withPointer(value) { value in
                    unsafe tidemark_produce(
                        client,
                        handle,
                        partition,
                        key.baseAddress,
                        key.count,
                        value.baseAddress,
                        value.count,
                        nil,
                        timestampMs,
                        nil
                    )
                }
            }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw RealKafka.Failure(description: unsafe String(cString: rd_kafka_err2str(code)))
            }
            unsafe rd_kafka_poll(client, 20)
        }
        unsafe rd_kafka_poll(client, 0)
    }

    package func flush() throws {
        guard unsafe rd_kafka_flush(client, 30_000) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw RealKafka.Failure(description: "records were not acknowledged")
        }
    }

    private func check(_ error: OpaquePointer?) throws {
        guard let error = unsafe error else { return }
        defer { unsafe rd_kafka_error_destroy(error) }
        throw RealKafka.Failure(description: unsafe String(cString: rd_kafka_error_string(error)))
    }
}

private func withPointer<Result>(
    _ bytes: [UInt8]?,
    _ body: (UnsafeRawBufferPointer) -> Result
) -> Result {
    guard let bytes else { return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    return unsafe bytes.withUnsafeBytes { bytes in
        unsafe body(
            UnsafeRawBufferPointer(
                start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1),
                count: bytes.count
            )
        )
    }
}
