import CRdKafka
import Glibc
import TidemarkCore
import TidemarkDataflow

/// A `rd_kafka_topic_partition_list_t` and its release.
@safe
final class PartitionList {
    let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    init(capacity: Int) {
        unsafe list = rd_kafka_topic_partition_list_new(Int32(capacity))
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(list) }

    /// Adds an entry; the list copies the metadata.
    func append(_ partition: TopicPartition, offset: Int64, metadata: String = "") {
        guard
            let entry = unsafe rd_kafka_topic_partition_list_add(
                list,
                partition.topic,
                partition.partition
            )
        else { return }
        unsafe entry.pointee.offset = offset
        guard !metadata.isEmpty else { return }
        unsafe entry.pointee.metadata = unsafe UnsafeMutableRawPointer(strdup(metadata))
        unsafe entry.pointee.metadata_size = metadata.utf8.count
    }

    struct Entry {
        var partition: TopicPartition
        var offset: Int64
        var metadata: String
        var code: rd_kafka_resp_err_t
    }

    var entries: [Entry] {
        (0..<Int(unsafe list.pointee.cnt)).map { place in
            let entry = unsafe list.pointee.elems[place]
            let metadata = unsafe UnsafeRawBufferPointer(
                start: entry.metadata,
                count: entry.metadata == nil ? 0 : entry.metadata_size
            )
            return unsafe Entry(
                partition: TopicPartition(
                    topic: String(cString: entry.topic),
                    partition: entry.partition
                ),
                offset: entry.offset,
                metadata: String(decoding: metadata, as: UTF8.self),
                code: entry.err
            )
        }
    }
}
