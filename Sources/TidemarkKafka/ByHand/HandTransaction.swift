import CRdKafka
package import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry

/// A record that a verb sends by hand.
package struct HandRecord: Sendable {
    /// Where it goes.
    package var topic: String
    /// `nil`: as Kafka's Java producer would place the key.
    package var partition: Int32?
    /// `nil`: the record has none.
    package var key: [UInt8]?
    /// `nil`: a tombstone.
    package var value: [UInt8]?
    /// In the order in which they are written.
    package var headers: [(name: String, value: [UInt8])]
    /// Milliseconds since 1970; `nil`: now.
    package var timestampMs: Int64?

    package init(
        topic: String,
        partition: Int32?,
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [(name: String, value: [UInt8])] = [],
        timestampMs: Int64? = nil
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestampMs = timestampMs
    }
}

/// A producer for what verbs do by hand: records and positions of a group, all or nothing.
///
/// Making one takes its transactional id over: an older owner is fenced and can finish nothing.
@safe
package final class HandTransaction {
    private let handle: ClientHandle
    private let waitMs: Int32 = 30_000
    /// What delivery reports of the transaction at hand say.
    private let deliveries: UnsafeMutablePointer<Deliveries>
    /// Records of the transaction at hand that the client took.
    private var sentCount = 0
    private var partitionCounts: [String: Int32] = [:]

    fileprivate init(_ client: KafkaClient, id: String) throws(ConnectorError) {
        var configuration = Configuration()
        try configuration.set(connection: client.settings)
        configuration.set("statistics.interval.ms", 0)
        configuration.set("message.max.bytes", 64 << 20)
        configuration.set("batch.size", 900_000)
        configuration.set("compression.codec", "lz4")
        try configuration.set(properties: client.settings.properties)
        configuration.set("transactional.id", id)
        configuration.set("transaction.timeout.ms", 60_000)
        unsafe deliveries = .allocate(capacity: 1)
        unsafe deliveries.initialize(to: Deliveries(shortens: false))
        handle = try ClientHandle(
            type: RD_KAFKA_PRODUCER,
            configuration: configuration,
            role: "by-hand",
            controlled: false,
            brokers: client.settings.brokers,
            time: client.time,
            log: client.log,
            telemetry: client.telemetry
        )
        unsafe try check(
            rd_kafka_init_transactions(handle.client, waitMs),
            "cannot take over '\(id)'"
        )
    }

    deinit {
        handle.close(withinMs: 2000)
        unsafe deliveries.deallocate()
    }

    /// Why a transaction was not done.
    package enum Failure: Error {
        /// The cluster will never take one of the records: its partition is gone, or its record
        /// time or size is out of bounds.
        case refused(ConnectorError)
        case failed(ConnectorError)

        /// The error to show for it.
        package var error: ConnectorError {
            switch self {
            case .refused(let error), .failed(let error): error
            }
        }
    }

    /// Sends the records and moves the positions of a group, or does neither.
    ///
    /// - Throws: `refused`, if trying again with fewer records makes sense.
    package func run(
        _ records: [HandRecord],
        group: String,
        offsets: [CommittedOffset]
    ) throws(Failure) {
        for attempt in 1... {
            unsafe deliveries.pointee = Deliveries(shortens: false)
            sentCount = 0
            do throws(ConnectorError) {
                return try runOnce(records, group: group, offsets: offsets)
            } catch {
                let (code, failedCount) = unsafe (
                    deliveries.pointee.failure, deliveries.pointee.failedCount
                )
                if Self.isRefusal(code) {
                    throw .refused(handle.error(code, "a record was refused"))
                }
                // Thrown away without a reason: the client still takes a new epoch after an abort.
                guard failedCount > 0, code == RD_KAFKA_RESP_ERR_NO_ERROR, attempt < 10 else {
                    throw .failed(error)
                }
                unsafe rd_kafka_poll(handle.client, 100)
            }
        }
    }

    private static func isRefusal(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            true
        default: false
        }
    }

    private func runOnce(
        _ records: [HandRecord], group: String, offsets: [CommittedOffset]
    ) throws(ConnectorError) {
        unsafe try check(rd_kafka_begin_transaction(handle.client), "cannot begin a transaction")
        do throws(ConnectorError) {
            for record in records { try send(record) }
            unsafe rd_kafka_flush(handle.client, waitMs)
            if unsafe deliveries.pointee.failedCount > 0 {
                throw unsafe handle.error(deliveries.pointee.failure, "a record was refused")
            }
            if !offsets.isEmpty { try send(offsets, group) }
            unsafe try check(
                rd_kafka_commit_transaction(handle.client, waitMs),
                "cannot commit"
            )
        } catch {
            if let failure = unsafe rd_kafka_abort_transaction(handle.client, waitMs) {
                unsafe rd_kafka_error_destroy(failure)
            }
            // Reports of what was thrown away must not be taken for those of the next transaction.
            var leftMs = waitMs
            while unsafe deliveries.pointee.count < sentCount, leftMs > 0 {
                unsafe rd_kafka_poll(handle.client, 20)
                leftMs -= 20
            }
            throw error
        }
    }

    private func send(_ offsets: [CommittedOffset], _ group: String) throws(ConnectorError) {
        let list = PartitionList(capacity: offsets.count)
        for offset in offsets {
            list.append(offset.partition, offset: offset.next, metadata: offset.metadata)
        }
        guard let metadata = unsafe rd_kafka_consumer_group_metadata_new(group) else {
            throw ConnectorError(.retriable, "the Kafka client is out of memory")
        }
        defer { unsafe rd_kafka_consumer_group_metadata_destroy(metadata) }
        unsafe try check(
            rd_kafka_send_offsets_to_transaction(handle.client, list.list, metadata, waitMs),
            "cannot move the offsets of group '\(group)'"
        )
    }

    private func send(_ record: HandRecord) throws(ConnectorError) {
        guard let topic = unsafe handle.topic(record.topic) else {
            throw ConnectorError(.environment, "'\(record.topic)' is not a valid topic name")
        }
        var partition = record.partition ?? RD_KAFKA_PARTITION_UA
        if record.partition == nil, let key = record.key {
            partition = javaPartition(key.span, partitionCount: try partitionCount(record.topic))
        }
        while true {
            let headers = unsafe clientHeaders(record.headers)
            let code = unsafe withBytes(record.key) { key in
                unsafe withBytes(record.value) { value in
                    unsafe tidemark_produce(
                        handle.client,
                        topic,
                        partition,
                        key.start,
                        key.count,
                        value.start,
                        value.count,
                        headers,
                        record.timestampMs ?? 0,
                        deliveries
                    )
                }
            }
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                sentCount += 1
                break
            }
            if let headers = unsafe headers { unsafe rd_kafka_headers_destroy(headers) }
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                unsafe deliveries.pointee.failure = code
                throw handle.error(code, "a record for '\(record.topic)' was refused")
            }
            unsafe rd_kafka_poll(handle.client, 20)
        }
        unsafe rd_kafka_poll(handle.client, 0)
    }

    private func partitionCount(_ topic: String) throws(ConnectorError) -> Int32 {
        if let known = partitionCounts[topic] { return known }
        guard let ids = try handle.partitions(of: topic, withinMs: 10_000), !ids.isEmpty else {
            throw ConnectorError(
                .environment,
                "topic '\(topic)' does not exist at \(handle.brokers)"
            )
        }
        partitionCounts[topic] = Int32(ids.count)
        return Int32(ids.count)
    }

    private func check(_ failure: OpaquePointer?, _ what: String) throws(ConnectorError) {
        guard let failure = unsafe failure else { return }
        defer { unsafe rd_kafka_error_destroy(failure) }
        let code = unsafe rd_kafka_error_code(failure)
        let said = unsafe String(cString: rd_kafka_error_string(failure))
        var error = handle.error(code, what)
        if code == RD_KAFKA_RESP_ERR__TIMED_OUT {
            error.message += "; it is not known whether it was done: look, and run it again"
        } else if !error.message.contains(said) {
            error.message += ": \(said)"
        }
        throw error
    }
}

extension KafkaClient {
    /// Takes over a transactional id, waiting for what its last owner left open.
    package func takeOver(_ id: String) throws(ConnectorError) -> HandTransaction {
        try HandTransaction(self, id: id)
    }

    /// Positions and metadata of another group of these partitions.
    package func committed(
        _ partitions: [TopicPartition],
        group: String
    ) throws(ConnectorError) -> [CommittedOffset] {
        var configuration = Configuration()
        try configuration.set(connection: settings)
        configuration.set("statistics.interval.ms", 0)
        try configuration.set(properties: settings.properties)
        configuration.set("group.id", group)
        let other = try ClientHandle(
            type: RD_KAFKA_CONSUMER,
            configuration: configuration,
            role: "offsets",
            controlled: true,
            brokers: settings.brokers,
            time: time,
            log: log,
            telemetry: telemetry
        )
        defer { other.close(withinMs: 2000) }
        return try KafkaOffsets(handle: other, app: group, connectMs: connectMs).committed(
            partitions
        )
    }
}
