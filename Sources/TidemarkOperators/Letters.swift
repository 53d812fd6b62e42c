package import TidemarkBatch
package import TidemarkCore
package import TidemarkDataflow

/// Writes dead letters and late rows: the original key and value, untouched, and headers that say
/// where they came from and why.
package struct RecordLetters: LetterWriter {
    private let deadLettersTopic: String
    private let lateTopic: String?
    private let name: String
    private let revision: String
    /// Of a record that is too long this much is kept.
    private static let keptByteCountMax = 64 << 10

    package init(plan: Plan) {
        deadLettersTopic = plan.outputs.deadLetters
        lateTopic = plan.outputs.late
        name = plan.name
        revision = plan.revision
    }

    package func deadLetter(
        _ batch: RecordBatch, row: Int, partition: TopicPartition, reason: DeadLetterReason
    ) -> OutputRecord {
        record(
            deadLettersTopic, batch, row, partition,
            [("reason", reason.name), ("detail", reason.detail)])
    }

    package func lateRow(
        _ batch: RecordBatch, row: Int, partition: TopicPartition, paneStartMs: Int64
    ) -> OutputRecord? {
        lateTopic.map {
            record($0, batch, row, partition, [("reason", "late"), ("window", "\(paneStartMs)")])
        }
    }

    private func record(
        _ topic: String, _ batch: RecordBatch, _ row: Int, _ partition: TopicPartition,
        _ first: [(String, String)]
    ) -> OutputRecord {
        let whole = unsafe batch.valueLengthWhole[row]
        var headers =
            first + [
                ("topic", partition.topic), ("partition", "\(partition.partition)"),
                ("offset", "\(unsafe batch.offset[row])"),
            ]
        let time = unsafe batch.recordTimeMs[row]
        if time != TimeLimit.never { headers.append(("timestamp", "\(time)")) }
        headers.append(("operator", name))
        headers.append(("revision", revision))
        var value = unsafe batch.value(row).map { unsafe Array($0) }
        if let count = value?.count, Int64(count) < whole || count > Self.keptByteCountMax * 16 {
            value = value.map { Array($0.prefix(Self.keptByteCountMax)) }
            headers.append(("length", "\(whole)"))
        }
        return OutputRecord(
            topic: topic, key: unsafe batch.key(row).map { unsafe Array($0) }, value: value,
            headers: headers.map { ($0.0, Array($0.1.utf8)) }, form: .foreign)
    }
}
