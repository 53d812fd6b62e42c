import CRdKafka
import Glibc
import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry
import TidemarkText

/// Follows compacted topics from their beginning on, beside the source: the newest record of each wanted key.
///
/// Commits nothing, and is in no group that others see.
package final class KafkaSideReader: SideReader {
    private let handle: ClientHandle
    private let wanted: Set<Wanted>
    /// What came since it was asked last, the newest of a key.
    private var news: [Wanted: [UInt8]?] = [:]

    private struct Wanted: Hashable {
        var topic: String
        var key: String
    }

    /// Reads the topics to where they end now.
    ///
    /// - `wanted`: topics, with the keys that are meant.
    /// - Throws: if a topic is not there, or nothing comes for a while before its end.
    init(
        _ wanted: [(topic: String, key: String)], settings: KafkaSettings, app: String,
        connectMs: Int64, time: any TimeSource, log: Log, telemetry: Telemetry
    ) throws(ConnectorError) {
        self.wanted = Set(wanted.map { Wanted(topic: $0.topic, key: $0.key) })
        let configuration = try Configuration.besideGroup(
            settings, group: app, isolation: "read_committed")
        handle = try ClientHandle(
            type: RD_KAFKA_CONSUMER, configuration: configuration, role: "side reader",
            controlled: false, brokers: settings.brokers, time: time, log: log,
            telemetry: telemetry)
        unsafe rd_kafka_poll_set_consumer(handle.client)
        do throws(ConnectorError) {
            try readToEnd(withinMs: connectMs, time)
        } catch {
            handle.close(withinMs: 2000)
            throw error
        }
    }

    private func readToEnd(withinMs: Int64, _ time: any TimeSource) throws(ConnectorError) {
        var open: Set<TopicPartition> = []
        for topic in Set(wanted.map(\.topic)) {
            guard let ids = try handle.partitions(of: topic, withinMs: withinMs) else {
                throw ConnectorError(
                    .environment,
                    "the baseline topic '\(topic)' does not exist at \(handle.brokers)",
                    hint: "tidemark topics create")
            }
            for id in ids { open.insert(TopicPartition(topic: topic, partition: id)) }
        }
        let list = PartitionList(capacity: open.count)
        // -2: the beginning.
        for partition in open { list.append(partition, offset: -2) }
        let code = unsafe rd_kafka_assign(handle.client, list.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw handle.error(code, "cannot read baselines from a topic")
        }
        var quietSinceNs = time.nowNs()
        while !open.isEmpty {
            let message = unsafe rd_kafka_consumer_poll(handle.client, 100)
            defer { if let message = unsafe message { unsafe rd_kafka_message_destroy(message) } }
            switch try unsafe take(message) {
            case .record: quietSinceNs = time.nowNs()
            case .end(let partition): open.remove(partition)
            case .nothing:
                guard time.nowNs() - quietSinceNs < 2 * withinMs * 1_000_000 else {
                    throw handle.unreachable(
                        RD_KAFKA_RESP_ERR__TIMED_OUT, waitedMs: 2 * withinMs)
                }
            }
        }
    }

    private enum Taken {
        case record
        case end(TopicPartition)
        case nothing
    }

    private func take(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>?
    ) throws(ConnectorError) -> Taken {
        guard let message = unsafe message else { return .nothing }
        let topic =
            unsafe message.pointee.rkt == nil
            ? "" : String(cString: rd_kafka_topic_name(message.pointee.rkt))
        switch unsafe message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            let key = unsafe bytes(message.pointee.key, message.pointee.key_len) ?? []
            let name = Wanted(topic: topic, key: String(decoding: key, as: UTF8.self))
            if wanted.contains(name) {
                news[name] = .some(unsafe bytes(message.pointee.payload, message.pointee.len))
            }
            return .record
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            return .end(
                TopicPartition(topic: topic, partition: unsafe message.pointee.partition))
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
            // The client tries again by itself.
            return .nothing
        case let code: throw handle.error(code, "cannot read baselines from '\(topic)'")
        }
    }

    package func poll() throws(ConnectorError) -> [SideRecord] {
        // A burst is read in several turns.
        for _ in 0..<64 {
            guard let message = unsafe rd_kafka_consumer_poll(handle.client, 0) else { break }
            defer { unsafe rd_kafka_message_destroy(message) }
            _ = try unsafe take(message)
        }
        defer { news = [:] }
        return news.map { SideRecord(topic: $0.key.topic, key: $0.key.key, value: $0.value) }
            .sorted { ($0.topic, $0.key) < ($1.topic, $1.key) }
    }

    package func close(withinMs: Int64) {
        unsafe rd_kafka_assign(handle.client, nil)
        handle.close(withinMs: withinMs)
    }

    private func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
        guard let start = unsafe start else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}
