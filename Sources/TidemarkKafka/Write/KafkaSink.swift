import CRdKafka
package import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry

/// Records to output topics, through one idempotent producer.
///
/// A series stays in order on its partition: the partition is murmur2 of the partition key, as
/// Kafka's Java producer has it, over the partitions counted when the topic was first used.
/// Acknowledgements come in while `service`, or a `produce` that finds the queue full, polls.
///
/// `@unchecked Sendable`: the coordinator is the only caller, one thread at a time.
@safe
package final class KafkaSink: Sink, @unchecked Sendable {
    private struct Target {
        let topic: TopicReference
        let partitionCount: Int32
    }

    let handle: ClientHandle
    /// The consumer's handle: asking through it never creates a topic.
    private let metadata: ClientHandle
    private let connectMs: Int64
    private let recordCount: Counter
    private let byteCount: Counter
    private let acknowledgedCount: Counter
    private let queueFullCount: Counter
    private let log: Log
    private var targets: [String: Target] = [:]
    /// What the delivery callback writes, inside `rd_kafka_poll` of the same thread.
    private let deliveries: UnsafeMutablePointer<Deliveries>
    private var producedCount = 0
    private var countedCount = 0
    private var isClosed = false

    init(
        settings: KafkaSettings,
        limits: Limits,
        metadata: ClientHandle,
        connectMs: Int64,
        transactions: TransactionSettings? = nil,
        time: any TimeSource,
        log: Log,
        telemetry: Telemetry
    ) throws(ConnectorError) {
        var configuration = Configuration()
        try configuration.set(connection: settings)
        // They feed metrics alone, and each takes half a millisecond.
        configuration.set("statistics.interval.ms", 5000)
        configuration.set("compression.codec", "lz4")
        // A transaction is sent in one burst; what comes alone should not wait.
        configuration.set("linger.ms", transactions == nil ? 10 : 1)
        configuration.set("queue.buffering.max.messages", 1_000_000)
        configuration.set(
            "queue.buffering.max.kbytes",
            max(1024, limits.memory.producerQueueBytes >> 10)
        )
        // The broker's limit decides; the client's own would hide it.
        configuration.set("message.max.bytes", 64 << 20)
        // A batch, unlike one large record, must never be over the broker's default limit.
        configuration.set("batch.size", 900_000)
        // Results wait for the cluster as long as it takes; the queue's limit holds the input back.
        configuration.set("message.timeout.ms", transactions.map { Int($0.timeoutMs) } ?? 0)
        if let transactions {
            configuration.set("transaction.timeout.ms", Int(transactions.timeoutMs))
        }
        try configuration.set(properties: settings.properties)
        configuration.set("enable.idempotence", "true")
        configuration.set("acks", "all")
        if let transactions { configuration.set("transactional.id", transactions.id) }
        if transactions?.sendsOneByOne ?? false { configuration.set("batch.num.messages", 1) }
        handle = try ClientHandle(
            type: RD_KAFKA_PRODUCER,
            configuration: configuration,
            role: "producer",
            controlled: false,
            brokers: settings.brokers,
            time: time,
            log: log,
            telemetry: telemetry
        )
        self.metadata = metadata
        self.connectMs = connectMs
        self.log = log
        recordCount = telemetry.counter(
            "tidemark_sink_records_total",
            help: "Records given to the producer."
        )
        byteCount = telemetry.counter(
            "tidemark_sink_bytes_total",
            help: "Bytes of records given to the producer."
        )
        acknowledgedCount = telemetry.counter(
            "tidemark_sink_acknowledged_total",
            help: "Records that the cluster acknowledged."
        )
        queueFullCount = telemetry.counter(
            "tidemark_sink_queue_full_total",
            help: "Records that found the producer's queue full."
        )
        unsafe deliveries = .allocate(capacity: 1)
        unsafe deliveries.initialize(to: Deliveries(shortens: transactions == nil))
    }

    /// Forgets what was delivered and what failed: a transaction begins.
    func reset() {
        producedCount = 0
        countedCount = 0
        let shortens = unsafe deliveries.pointee.shortens
        unsafe deliveries.pointee = Deliveries(shortens: shortens)
    }

    /// A delivery that failed.
    struct Failure {
        var error: ConnectorError
        var code: rd_kafka_resp_err_t
        var topic: String?
        var byteCount: Int
        /// Bytes of a letter's value that can be shortened further; `nil`: it is no letter, or
        /// short already.
        var foreignBytes: Int?
    }

    /// The first delivery that failed since `reset`.
    var firstFailure: Failure? {
        guard unsafe deliveries.pointee.failure != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        let isTooLarge = unsafe deliveries.pointee.failure == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        // One that was shortened as far as it goes is too large for good.
        let foreignBytes =
            unsafe isTooLarge && deliveries.pointee.failedIsForeign
            && deliveries.pointee.failedByteCount > foreignBytesKept
            ? deliveries.pointee.failedByteCount : nil
        do throws(ConnectorError) { try throwDelivery() } catch {
            return unsafe Failure(
                error: error, code: deliveries.pointee.failure, topic: failedTopic,
                byteCount: deliveries.pointee.failedByteCount, foreignBytes: foreignBytes)
        }
        return nil
    }

    deinit {
        // A client that did not close in time may still write here: leave it in place then.
        close(withinMs: 1000)
        if unsafe producedCount == deliveries.pointee.count { unsafe deliveries.deallocate() }
    }

    /// Asks for the partitions of every topic.
    package func check(topics: [String]) throws(ConnectorError) {
        for topic in topics { _ = try target(topic) }
    }

    /// Puts the record into the client's queue; its bytes are copied.
    package func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        try throwFailure()
        let code = try send(record)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return true }
        guard code != RD_KAFKA_RESP_ERR__QUEUE_FULL else {
            queueFullCount.add()
            return false
        }
        try handle.checkFatal()
        throw handle.error(code, failureText(code, record.topic, record.byteCount))
    }

    /// Gives the record to the client, whose answer it returns.
    func send(_ record: OutputRecord) throws(ConnectorError) -> rd_kafka_resp_err_t {
        let target = try target(record.topic)
        var partition = RD_KAFKA_PARTITION_UA
        if let key = record.partitionKey ?? record.key {
            partition = javaPartition(key.span, partitionCount: target.partitionCount)
        }
        let headers = unsafe clientHeaders(record.headers)
        let tag = unsafe record.form == .foreign ? Deliveries.foreignTag : 0
        let opaque = unsafe UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: deliveries) | tag)
        let code = unsafe withBytes(record.key) { key in
            unsafe withBytes(record.value) { value in
                unsafe tidemark_produce(
                    handle.client,
                    target.topic.pointer,
                    partition,
                    key.start,
                    key.count,
                    value.start,
                    value.count,
                    headers,
                    0,
                    opaque
                )
            }
        }
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else {
            producedCount += 1
            recordCount.add()
            byteCount.add(UInt64(record.byteCount))
            return code
        }
        if let headers = unsafe headers { unsafe rd_kafka_headers_destroy(headers) }
        return code
    }

    /// Counts what was acknowledged meanwhile, and throws the first failure of a delivery.
    package func service(timeoutMs: Int) throws(ConnectorError) {
        unsafe rd_kafka_poll(handle.client, Int32(timeoutMs))
        let count = unsafe deliveries.pointee.count - deliveries.pointee.failedCount
        if count > countedCount {
            acknowledgedCount.add(UInt64(count - countedCount))
            countedCount = count
        }
        try throwFailure()
    }

    /// Taken and neither acknowledged nor failed.
    package var outstandingCount: Int { unsafe producedCount - deliveries.pointee.count }

    /// Waits so long for acknowledgements, then throws away what is left and says how much.
    package func close(withinMs: Int64) {
        guard !isClosed else { return }
        isClosed = true
        unsafe rd_kafka_flush(handle.client, Int32(clamping: withinMs))
        if outstandingCount > 0 {
            log.error(
                "records were not acknowledged before the end",
                ["records": outstandingCount]
            )
            unsafe rd_kafka_purge(handle.client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
            unsafe rd_kafka_flush(handle.client, 100)
        }
        handle.close(withinMs: max(1000, withinMs))
    }

    /// Gives the producer up with all that it holds: another producer sends the unit again.
    func discard() {
        guard !isClosed else { return }
        isClosed = true
        unsafe rd_kafka_purge(handle.client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        handle.close(withinMs: 1000)
    }

    private func target(_ topic: String) throws(ConnectorError) -> Target {
        if let known = targets[topic] { return known }
        metadata.events.forget()
        guard let ids = try metadata.partitions(of: topic, withinMs: connectMs), !ids.isEmpty else {
            throw ConnectorError(
                .environment,
                "output topic '\(topic)' does not exist at \(metadata.brokers)",
                hint: createCommand(topic)
            )
        }
        guard let reference = unsafe handle.topic(topic) else {
            throw ConnectorError(.environment, "'\(topic)' is not a valid topic name")
        }
        let target = unsafe Target(
            topic: TopicReference(pointer: reference),
            partitionCount: Int32(ids.count)
        )
        targets[topic] = target
        return target
    }

    private func createCommand(_ topic: String) -> String {
        "kafka-topics.sh --bootstrap-server \(metadata.brokers) --create --topic \(topic)"
            + " --partitions 4 --config cleanup.policy=delete --config min.insync.replicas=1"
    }

    private func throwFailure() throws(ConnectorError) {
        try handle.checkFatal()
        try throwDelivery()
    }

    private var failedTopic: String? {
        unsafe deliveries.pointee.failedTopic.flatMap {
            unsafe rd_kafka_topic_name($0).map { unsafe String(cString: $0) }
        }
    }

    private func throwDelivery() throws(ConnectorError) {
        let code = unsafe deliveries.pointee.failure
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        let topic = failedTopic
        let count = unsafe deliveries.pointee.failedByteCount
        var error = handle.error(code, failureText(code, topic ?? "?", count))
        if code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
            error.hint =
                "raise max.message.bytes of the topic, or lower batch.size in kafka.properties"
        }
        throw error
    }

    private func failureText(
        _ code: rd_kafka_resp_err_t,
        _ topic: String,
        _ byteCount: Int
    ) -> String {
        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
            ? "a record of \(byteCount) bytes for '\(topic)' is over the topic's max.message.bytes"
            : "a record for '\(topic)' was refused"
    }
}

/// The transactional side of a producer.
struct TransactionSettings: Sendable {
    var id: String
    /// After it the broker aborts a transaction that is still open.
    var timeoutMs: Int64
    /// No two records share a batch, so that one that is refused harms no other.
    var sendsOneByOne = false
}
