/// A partition of an input topic.
///
/// A file is partition 0 of the topic that it stands in for.
package struct TopicPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// As the cluster names it; of a file the topic that it stands in for, or the topology's name.
    package let topic: String
    /// Numbered from 0, as in Kafka.
    package let partition: Int32

    package init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    /// `topic[partition]`, as messages and headers have it.
    package var description: String { "\(topic)[\(partition)]" }

    /// The canonical order of partitions, in which ordered summaries are merged.
    package static func < (a: TopicPartition, b: TopicPartition) -> Bool {
        (a.topic, a.partition) < (b.topic, b.partition)
    }
}

/// A record on its way to an output topic.
///
/// Bytes are final: a sink adds nothing.
package struct OutputRecord: Sendable {
    /// Where it is written; a file sink has a file for each.
    package var topic: String
    /// `nil`: the record has none, and its partition is chosen by `partitionKey` or by the client.
    package var key: [UInt8]?
    /// `nil` is a tombstone.
    package var value: [UInt8]?
    /// In the order in which they are written; a name may come more than once.
    package var headers: [(name: String, value: [UInt8])]
    /// The bytes that choose the partition by murmur2, as Kafka's Java producer has it: those of
    /// the series, so that it stays in order.
    ///
    /// `nil`: the key's.
    package var partitionKey: [UInt8]?
    /// How a file sink writes the value.
    package var form: Form

    /// What kind of bytes the value is: only a sink that writes text needs to know.
    package enum Form: Sendable {
        /// JSON, put into the line as it is.
        case json
        /// Bytes, put into the line in base64.
        case binary
        /// Somebody else's bytes: JSON text if they are UTF-8 (`value`), else `value_base64`.
        case foreign
    }

    package init(
        topic: String, key: [UInt8]?, value: [UInt8]?,
        headers: [(name: String, value: [UInt8])] = [], partitionKey: [UInt8]? = nil,
        form: Form = .json
    ) {
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
        self.partitionKey = partitionKey
        self.form = form
    }

    /// What the record weighs in a queue, bytes.
    package var byteCount: Int {
        var count = 64 + topic.utf8.count + (key?.count ?? 0) + (value?.count ?? 0)
        for header in headers { count += header.name.utf8.count + header.value.count + 16 }
        return count
    }
}
