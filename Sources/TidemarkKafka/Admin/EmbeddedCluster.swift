import CRdKafka
import Glibc
package import TidemarkCore
package import TidemarkDataflow
import Synchronization

/// librdkafka's in-process cluster, for `tidemark demo` and tests.
///
/// It listens on a loopback port and keeps nothing after `close`. It holds 5 MiB or 100,000 message
/// sets of a partition and **drops the oldest in silence**; `EmbeddedProducer` waits for the reader
/// instead. It knows neither read_committed nor transactions, makes any topic it is asked about, and
/// answers an empty fetch only after the whole `fetch.wait.max.ms`.
///
/// `@unchecked Sendable`: the library guards the cluster; `close` is called by its owner, once.
@safe
package final class EmbeddedCluster: @unchecked Sendable {
    private let client: OpaquePointer
    private let cluster: OpaquePointer
    /// `127.0.0.1:port`, one a broker.
    package let bootstrap: String
    private let isClosed = Atomic<Bool>(false)

    /// Starts it on free ports of the loopback interface.
    package init(brokers: Int = 1) throws(ConnectorError) {
        var configuration = Configuration()
        configuration.set("client.id", "embedded")
        configuration.set("log_level", 0)
        let conf = unsafe try configuration.make()
        let text = ErrorText()
        guard
            let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.buffer, text.capacity)
        else {
            unsafe rd_kafka_conf_destroy(conf)
            throw ConnectorError(.environment, "embedded cluster: \(text.string)")
        }
        guard let cluster = unsafe rd_kafka_mock_cluster_new(client, Int32(brokers)),
            let bootstrap = unsafe rd_kafka_mock_cluster_bootstraps(cluster)
        else {
            unsafe rd_kafka_destroy(client)
            throw ConnectorError(.environment, "embedded cluster: no port to listen on")
        }
        unsafe self.client = unsafe client
        unsafe self.cluster = unsafe cluster
        self.bootstrap = unsafe String(cString: bootstrap)
    }

    deinit { close() }

    /// Makes a topic of one replica.
    package func createTopic(_ name: String, partitions: Int) throws(ConnectorError) {
        let code = unsafe rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw ConnectorError(.environment, "embedded cluster: \(name): \(codeText(code))")
        }
    }

    /// How a client reaches it, with waits that suit it.
    package var settings: KafkaSettings {
        var settings = KafkaSettings()
        settings.brokers = bootstrap
        settings.properties = [("fetch.wait.max.ms", Secret(plain: "10"))]
        return settings
    }

    /// Takes a broker from the network, or brings it back; the first is 1.
    package func setBroker(_ id: Int, isUp: Bool) {
        _ =
            unsafe isUp
            ? rd_kafka_mock_broker_set_up(cluster, Int32(id))
            : rd_kafka_mock_broker_set_down(cluster, Int32(id))
    }

    /// Ends it with all that it holds; a second call does nothing.
    package func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(client)
    }
}

/// A producer into the embedded cluster that never outruns the reader.
///
/// The cluster drops what is not read soon enough, so before each record the producer compares what
/// it wrote to the partition with the reader's position, and waits while 3 MiB or 50,000 records lie
/// between. `finish` says how many records each partition got: the reader must count the same.
///
/// Owned by one thread.
@safe
package final class EmbeddedProducer {
    /// Bytes of a partition that may be unread; the cluster drops at 5 MiB.
    private static let unreadBytesMax = 3 << 20
    private static let unreadCountMax = 50_000

    private struct Lane {
        /// Records written so far: the next one's offset.
        var count: Int64 = 0
        /// Offset after a record, and the bytes up to there; what was read is dropped.
        var marks: [(next: Int64, byteCount: Int)] = []
        var firstMark = 0
        var byteCount = 0
        var readByteCount = 0
    }

    private let producer: LoadProducer
    private let readerPosition: @Sendable (TopicPartition) -> Int64
    private var lanes: [TopicPartition: Lane] = [:]

    /// Makes a producer that asks `readerPosition` for the next offset that the reader will read.
    package init(
        _ cluster: EmbeddedCluster,
        readerPosition: @escaping @Sendable (TopicPartition) -> Int64
    ) throws(ConnectorError) {
        producer = try LoadProducer(settings: cluster.settings, compression: "none", lingerMs: 5)
        self.readerPosition = readerPosition
    }

    /// Appends a record, waiting for the reader as long as it takes.
    ///
    /// Without a time it is now.
    package func send(
        _ partition: TopicPartition,
        key: [UInt8]? = nil,
        value: [UInt8]?,
        headers: [(name: String, value: [UInt8])] = [],
        timestampMs: Int64? = nil
    ) throws(ConnectorError) {
        // Taken out while it changes: a second owner would make every append a copy.
        var lane = lanes.removeValue(forKey: partition) ?? Lane()
        defer { lanes[partition] = lane }
        // A message set of its own in the worst case, with its header.
        let size = 100 + (key?.count ?? 0) + (value?.count ?? 0)
        while true {
            let unread = lane.byteCount - lane.readByteCount
            let isFull =
                unread > 0
                && (unread + size > Self.unreadBytesMax
                    || lane.marks.count - lane.firstMark >= Self.unreadCountMax)
            guard isFull else { break }
            let position = readerPosition(partition)
            var isNews = false
            while lane.firstMark < lane.marks.count, lane.marks[lane.firstMark].next <= position {
                lane.readByteCount = lane.marks[lane.firstMark].byteCount
                lane.firstMark += 1
                isNews = true
            }
            if lane.firstMark > 4096 {
                lane.marks.removeFirst(lane.firstMark)
                lane.firstMark = 0
            }
            if !isNews {
                try producer.poll()
                usleep(500)
            }
        }
        try producer.send(
            partition.topic,
            partition.partition,
            key: key,
            value: value,
            headers: headers,
            timestampMs: timestampMs
        )
        lane.count += 1
        lane.byteCount += size
        lane.marks.append((lane.count, lane.byteCount))
    }

    /// Waits until everything is acknowledged.
    ///
    /// - Returns: records by partition.
    package func finish() throws(ConnectorError) -> [TopicPartition: Int64] {
        try producer.flush(withinMs: 30_000)
        return lanes.mapValues(\.count)
    }
}
