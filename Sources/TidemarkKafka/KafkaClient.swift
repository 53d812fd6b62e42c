import CRdKafka
package import TidemarkCore
package import TidemarkDataflow
package import TidemarkTelemetry

/// A topology's connection to its cluster: the source, the offsets of its group, and sinks.
///
/// Source and offsets share one consumer, whose partitions are assigned by hand.
package final class KafkaClient: Sendable {
    /// The input topics.
    package let source: KafkaSource
    /// The positions of the application's group; it shares the source's consumer.
    package let offsets: KafkaOffsets
    /// Questions to the cluster about topics and groups.
    package let admin: KafkaAdmin

    /// So many partitions share the client's queue, whether or not there are as many: how many there
    /// are is known when the cluster was asked.
    package static let partitionCountUsual = 16
    /// A partition's part of the queue is no smaller: below it the cost of fetching outweighs the
    /// records.
    private static let queueBytesMin = 64 << 10
    /// An answer of this size costs little more than its records.
    private static let fetchBytesWorth = 64 << 10

    let handle: ClientHandle
    let settings: KafkaSettings
    private let limits: Limits
    let connectMs: Int64
    let time: any TimeSource
    let log: Log
    let telemetry: Telemetry

    /// Makes the client of consumer group `app`; nothing is asked of the cluster yet.
    ///
    /// The client's queue is split among `partitionCount` partitions, batches among `workers`, the
    /// readers that will be opened; `connectMs` is
    /// the longest wait for an answer of the cluster. Throws `.environment` if a property is unknown
    /// or a secret has no value.
    package init(
        settings: KafkaSettings,
        app: String,
        source plan: SourcePlan,
        limits: Limits,
        workers: Int,
        partitionCount: Int = KafkaClient.partitionCountUsual,
        connectMs: Int64 = 10_000,
        time: any TimeSource,
        log: Log,
        telemetry: Telemetry
    ) throws(ConnectorError) {
        precondition(workers > 0, "somebody must read")
        var configuration = Configuration()
        try configuration.set(connection: settings)
        // Of one partition.
        let share = limits.memory.clientQueueBytes / max(partitionCount, Self.partitionCountUsual)
        guard partitionCount <= Self.partitionCountUsual || share >= Self.queueBytesMin else {
            let neededMiB = ((12 * Self.queueBytesMin * partitionCount) >> 20) + 1
            throw ConnectorError(
                .environment,
                "\(partitionCount) partitions share \(limits.memory.clientQueueBytes >> 20) MiB of"
                    + " limits.memory for what is fetched ahead, which is too little",
                hint: "limits.memory of at least \(neededMiB)MiB")
        }
        let queueBytes = max(share, Self.queueBytesMin)
        // A response lies in memory as it came, beside what it unpacks to.
        let fetchBytes = min(max(limits.memory.clientQueueBytes / 4, 1_000_000), 50 << 20)
        configuration.set("message.max.bytes", 1_000_000)
        configuration.set("fetch.max.bytes", max(fetchBytes, settings.messageBytesMax ?? 0))
        // Measured: at 1 MiB reading costs a fifth more, in pages that are mapped and faulted anew.
        configuration.set("fetch.message.max.bytes", min(512 << 10, queueBytes / 2))
        // A broker that answers with the first record is asked again as soon as the next one is there:
        // up to a thousand answers a second of some records each, which cost more than all the rest.
        // So it collects for a while, or until an answer is worth its price. No wait: the first
        // record as soon as it is there, the end of a partition within 100 ms.
        let isPaced = plan.fetchWaitMs > 0
        configuration.set(
            "fetch.min.bytes", isPaced ? min(Self.fetchBytesWorth, queueBytes / 4) : 1)
        configuration.set("fetch.wait.max.ms", isPaced ? Int(plan.fetchWaitMs) : 100)
        configuration.set("fetch.error.backoff.ms", 100)
        configuration.set("queued.min.messages", 10_000_000)
        configuration.set("queued.max.messages.kbytes", max(1, queueBytes >> 10))
        configuration.set("check.crcs", "true")
        if !FetchWaker.isNeeded { configuration.set("fetch.queue.backoff.ms", 5) }
        try configuration.set(properties: settings.properties)
        configuration.set("group.id", app)
        configuration.set("enable.auto.commit", "false")
        configuration.set("enable.auto.offset.store", "false")
        configuration.set("auto.offset.reset", "error")
        configuration.set("enable.partition.eof", "true")
        configuration.set("allow.auto.create.topics", "false")
        configuration.set(
            "isolation.level",
            plan.isolationCommitted ? "read_committed" : "read_uncommitted"
        )

        handle = try ClientHandle(
            type: RD_KAFKA_CONSUMER,
            configuration: configuration,
            role: "consumer",
            controlled: true,
            brokers: settings.brokers,
            time: time,
            log: log,
            telemetry: telemetry
        )
        if let problem = handle.advice.startProblem {
            log.warning("kafka client", ["problem": problem])
        }
        self.settings = settings
        self.limits = limits
        self.connectMs = connectMs
        self.time = time
        self.log = log
        self.telemetry = telemetry
        let batchBytes = min(max(limits.memory.batchBytes / (2 * workers), 256 << 10), 4 << 20)
        source = KafkaSource(
            handle: handle,
            plan: plan,
            recordBytesMax: limits.recordBytes,
            batchBytesMax: batchBytes,
            queueBytesMax: queueBytes,
            connectMs: connectMs,
            group: app,
            telemetry: telemetry
        )
        offsets = KafkaOffsets(handle: handle, app: app, connectMs: connectMs)
        admin = KafkaAdmin(handle: handle, connectMs: connectMs)
    }

    /// How many partitions these topics have; those that are not there have none.
    package func partitionCount(of topics: [String]) throws(ConnectorError) -> Int {
        var count = 0
        for topic in topics {
            if case .found(let ids, _) = try handle.lookUp(topic, withinMs: connectMs) {
                count += ids.count
            }
        }
        return count
    }

    /// A producer of its own: idempotent, its queue as large as the plan says.
    package func sink() throws(ConnectorError) -> KafkaSink {
        try KafkaSink(
            settings: settings,
            limits: limits,
            metadata: handle,
            connectMs: connectMs,
            time: time,
            log: log,
            telemetry: telemetry
        )
    }

    /// Transactions under the application's id; `timeoutMs` is how long one may stay open.
    package func transactions(app: String, timeoutMs: Int64) throws(ConnectorError)
        -> KafkaTransactions
    {
        let (settings, limits, handle) = (settings, limits, handle)
        let (connectMs, time, log, telemetry) = (connectMs, time, log, telemetry)
        return try KafkaTransactions(
            app: app, offsets: offsets, timeoutMs: timeoutMs, log: log
        ) { (timeoutMs, isCareful) throws(ConnectorError) in
            try KafkaSink(
                settings: settings,
                limits: limits,
                metadata: handle,
                connectMs: connectMs,
                transactions: TransactionSettings(
                    id: app, timeoutMs: timeoutMs, sendsOneByOne: isCareful),
                time: time,
                log: log,
                telemetry: telemetry
            )
        }
    }

    /// A reader of the state topic.
    ///
    /// It waits as long as a transaction of an earlier process may stay open.
    package func stateReader(app: String, topic: String, waitMs: Int64) -> KafkaStateReader {
        KafkaStateReader(
            settings: settings,
            app: app,
            topic: topic,
            connectMs: connectMs,
            waitMs: waitMs,
            time: time,
            log: log,
            telemetry: telemetry
        )
    }

    /// A reader of compacted topics beside the source, read to their ends; `wanted`: topics, with the keys that are meant.
    package func sideReader(
        _ wanted: [(topic: String, key: String)], app: String
    ) throws(ConnectorError) -> KafkaSideReader {
        try KafkaSideReader(
            wanted, settings: settings, app: app, connectMs: connectMs, time: time, log: log,
            telemetry: telemetry)
    }

    /// Gives everything up, waiting at most so long.
    ///
    /// Call it last: offsets and sinks use it.
    package func close(withinMs: Int64) {
        let deadlineNs = time.nowNs() + withinMs * 1_000_000
        guard source.release(withinMs: withinMs) else {
            log.warning("kafka reader did not stop in time", ["ms": withinMs])
            return
        }
        handle.close(withinMs: max(0, (deadlineNs - time.nowNs()) / 1_000_000))
    }
}

extension KafkaSettings {
    /// `message.max.bytes` of `properties`, if it is set.
    var messageBytesMax: Int? {
        properties.last { $0.name == "message.max.bytes" }?.value.reveal().flatMap { Int($0) }
    }
}
