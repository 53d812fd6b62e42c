import CRdKafka
package import TidemarkCore
package import TidemarkDataflow

/// Positions and their metadata in a consumer group that has no members: partitions are assigned by
/// hand, so the group is a place to write to and nothing more.
package final class KafkaOffsets: OffsetStore {
    /// A broker refuses 4096 and what is refused aborts a transaction: stay far below.
    package static let metadataBytesMax = 512

    private let handle: ClientHandle
    private let app: String
    private let connectMs: Int64
    /// The longest wait for a commit; its outcome is unknown after that.
    private let commitMs: Int32 = 30_000

    init(handle: ClientHandle, app: String, connectMs: Int64) {
        self.handle = handle
        self.app = app
        self.connectMs = connectMs
    }

    /// What the group committed of these partitions; those without a position are left out.
    package func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] {
        guard !partitions.isEmpty else { return [] }
        try handle.checkFatal()
        let list = PartitionList(capacity: partitions.count)
        for partition in partitions { list.append(partition, offset: -1001) }
        let code = unsafe rd_kafka_committed(handle.client, list.list, Int32(connectMs))
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: break
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT:
            throw handle.unreachable(code, waitedMs: connectMs)
        default: throw handle.error(code, "cannot read the offsets of group '\(app)'")
        }
        var found: [CommittedOffset] = []
        for entry in list.entries {
            guard entry.code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw handle.error(
                    entry.code,
                    "cannot read the offset of \(entry.partition) in group '\(app)'"
                )
            }
            guard entry.offset >= 0 else { continue }
            found.append(
                CommittedOffset(
                    partition: entry.partition,
                    next: entry.offset,
                    metadata: entry.metadata
                )
            )
        }
        return found
    }

    /// Stores positions in the application's group, and waits until the cluster has them.
    package func commit(_ offsets: [CommittedOffset]) throws(ConnectorError) {
        guard !offsets.isEmpty else { return }
        try handle.checkFatal()
        let list = PartitionList(capacity: offsets.count)
        for offset in offsets {
            precondition(
                offset.metadata.utf8.count <= Self.metadataBytesMax,
                "metadata stays below what brokers refuse"
            )
            list.append(offset.partition, offset: offset.next, metadata: offset.metadata)
        }
        guard let queue = unsafe rd_kafka_queue_new(handle.client) else {
            throw ConnectorError(.retriable, "the Kafka client is out of memory")
        }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        // The synchronous call would wait without an end for a coordinator.
        let code = unsafe rd_kafka_commit_queue(handle.client, list.list, queue, nil, nil)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(code) }
        guard let event = unsafe rd_kafka_queue_poll(queue, commitMs) else {
            throw failure(RD_KAFKA_RESP_ERR__TIMED_OUT)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        let outcome = unsafe rd_kafka_event_error(event)
        guard outcome == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(outcome) }
        guard let results = unsafe rd_kafka_event_topic_partition_list(event) else { return }
        for place in 0..<Int(unsafe results.pointee.cnt) {
            let code = unsafe results.pointee.elems[place].err
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(code) }
        }
    }

    /// The cluster's id, or nothing if it gives none in time.
    package var clusterId: String {
        guard let text = unsafe rd_kafka_clusterid(handle.client, Int32(connectMs)) else {
            return ""
        }
        defer { unsafe rd_kafka_mem_free(handle.client, text) }
        return unsafe String(cString: text)
    }

    private func failure(_ code: rd_kafka_resp_err_t) -> ConnectorError {
        switch code {
        case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
            ConnectorError(
                .environment,
                "group '\(app)' has members of its own: another program uses it as its group",
                hint: "give the topology another app, or stop the other program"
            )
        default: handle.error(code, "cannot commit the offsets of group '\(app)'")
        }
    }
}
