import CRdKafka
import Glibc
import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry
import TidemarkText

/// Reads the compacted state topic once, whole.
///
/// The target is the high-water mark, not the last stable offset: behind a transaction that an
/// earlier process left open the stable end is old, and a restore that stopped there would start
/// from older state than its offsets. `takeOver` has that transaction decided; here its end is
/// waited for.
package final class KafkaStateReader: StateReader {
    private let settings: KafkaSettings
    private let app: String
    private let topic: String
    private let connectMs: Int64
    /// The longest time without a record, ms.
    private let waitMs: Int64
    private let time: any TimeSource
    private let log: Log
    private let telemetry: Telemetry

    init(
        settings: KafkaSettings, app: String, topic: String, connectMs: Int64, waitMs: Int64,
        time: any TimeSource, log: Log, telemetry: Telemetry
    ) {
        self.settings = settings
        self.app = app
        self.topic = topic
        self.connectMs = connectMs
        self.waitMs = waitMs
        self.time = time
        self.log = log
        self.telemetry = telemetry
    }

    /// Reads the topic up to the ends it has now, and hands over the newest entry of each key.
    ///
    /// - Memory: all entries at once.
    ///
    /// - Throws: if nothing comes for a while before the ends are reached: half of the state is none.
    package func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        let targets = try highWaters()
        guard targets.contains(where: { $0.end > $0.beginning }) else { return }
        let handle = try client(isolation: "read_committed")
        defer { handle.close(withinMs: 2000) }
        let list = PartitionList(capacity: targets.count)
        var open: Set<Int32> = []
        for target in targets where target.end > target.beginning {
            list.append(target.partition, offset: target.beginning)
            open.insert(target.partition.partition)
        }
        let code = unsafe rd_kafka_assign(handle.client, list.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw handle.error(code, "cannot read the state topic '\(topic)'")
        }
        var latest: [[UInt8]: [UInt8]] = [:]
        let ends = Dictionary(
            uniqueKeysWithValues: targets.map { ($0.partition.partition, $0.end) })
        var lastNs = time.nowNs()
        while !open.isEmpty {
            guard time.nowNs() - lastNs < waitMs * 1_000_000 else {
                throw ConnectorError(
                    .environment,
                    "the state topic '\(topic)' was not read to its end: nothing arrived for"
                        + " \(waitMs) ms, partitions \(open.sorted()) are still to be read",
                    hint: "look for a transaction that hangs: kafka-transactions.sh find-hanging")
            }
            guard let message = unsafe rd_kafka_consumer_poll(handle.client, 100) else { continue }
            defer { unsafe rd_kafka_message_destroy(message) }
            let partition = unsafe message.pointee.partition
            let end = ends[partition] ?? 0
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                lastNs = time.nowNs()
                let key = unsafe bytes(message.pointee.key, message.pointee.key_len) ?? []
                latest[key] = unsafe bytes(message.pointee.payload, message.pointee.len)
                if unsafe message.pointee.offset + 1 >= end { open.remove(partition) }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                // The stable end; past control records, which are no messages.
                if unsafe message.pointee.offset >= end { open.remove(partition) }
            case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
                RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
                break
            case let code: throw handle.error(code, "cannot read the state topic '\(topic)'")
            }
        }
        for key in latest.keys.sorted(by: { $0.precedes($1) }) {
            if let value = latest[key] { take(StateEntry(key: key, value: value)) }
        }
    }

    private struct Target {
        var partition: TopicPartition
        var beginning: Int64
        var end: Int64
    }

    /// The ends that a read_uncommitted reader sees.
    private func highWaters() throws(ConnectorError) -> [Target] {
        let handle = try client(isolation: "read_uncommitted")
        defer { handle.close(withinMs: 2000) }
        guard let ids = try handle.partitions(of: topic, withinMs: connectMs) else {
            throw ConnectorError(
                .environment, "the state topic '\(topic)' does not exist at \(handle.brokers)")
        }
        var targets: [Target] = []
        for id in ids {
            var low: Int64 = 0
            var high: Int64 = 0
            let code = unsafe rd_kafka_query_watermark_offsets(
                handle.client, topic, id, &low, &high, Int32(connectMs))
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw handle.error(code, "cannot find the end of '\(topic)'")
            }
            targets.append(
                Target(
                    partition: TopicPartition(topic: topic, partition: id), beginning: low,
                    end: high))
        }
        return targets
    }

    private func client(isolation: String) throws(ConnectorError) -> ClientHandle {
        var configuration = try Configuration.besideGroup(
            settings, group: app, isolation: isolation)
        configuration.set("auto.offset.reset", "error")
        let handle = try ClientHandle(
            type: RD_KAFKA_CONSUMER, configuration: configuration, role: "state reader",
            controlled: false, brokers: settings.brokers, time: time, log: log,
            telemetry: telemetry)
        unsafe rd_kafka_poll_set_consumer(handle.client)
        return handle
    }

    private func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
        guard let start = unsafe start else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}
