package import TidemarkBatch
package import TidemarkCore
package import TidemarkDataflow
import TidemarkRecords

/// Writes dead letters and late rows: the original key and value, untouched, and headers that say
/// where they came from and why.
package struct RecordLetters: LetterWriter {
    private let deadLettersTopic: String
    private let lateTopic: String?
    private let quarantinedTopic: String?
    private let name: String
    private let revision: String
    /// The records are lines of this file.
    private let file: String?
    /// Bytes that are kept of a record that is too long.
    private static let keptByteCountMax = 64 << 10
    /// Bytes that are kept of its key.
    private static let keptKeyByteCountMax = 16 << 10
    /// The record's headers are kept if all together have no more bytes, else left out.
    private static let keptHeaderByteCountMax = 48 << 10
    /// Key and value together stay below what a topic takes by default (`max.message.bytes`).
    private static let byteCountMax = 900_000

    /// - `file`: what is read, where it is a file.
    package init(plan: Plan, file: String? = nil) {
        self.file = file
        deadLettersTopic = plan.outputs.deadLetters
        lateTopic = plan.outputs.late
        quarantinedTopic = plan.outputs.quarantined
        name = plan.name
        revision = plan.revision
    }

    /// A dead letter, with its reason and what stands in the record.
    package func deadLetter(
        _ batch: RecordBatch, record place: Int, partition: TopicPartition, reason: DeadLetterReason
    ) -> OutputRecord {
        record(deadLettersTopic, batch, place, partition, reason.name) { $0.detail = reason.detail }
    }

    /// A late row, with the pane that its time belongs to; `nil` where they are counted only.
    package func lateRow(
        _ batch: RecordBatch, record place: Int, partition: TopicPartition, windowStartMs: Int64
    ) -> OutputRecord? {
        lateTopic.map {
            record($0, batch, place, partition, "late") { $0.windowStartMs = windowStartMs }
        }
    }

    /// Of a file its line, from 1.
    package func place(_ batch: RecordBatch, record place: Int, partition: TopicPartition) -> String
    {
        guard let file else { return "\(partition)@\(unsafe batch.offset[place])" }
        return "\(file == "-" ? "standard input" : file):\(unsafe batch.line[place])"
    }

    /// A row from the future, and how far it is ahead; `nil` where they are counted only.
    package func quarantinedRow(
        _ batch: RecordBatch, record place: Int, partition: TopicPartition, aheadMs: Int64?
    ) -> OutputRecord? {
        quarantinedTopic.map {
            record($0, batch, place, partition, "quarantined") {
                $0.ahead = LetterRecord.Lead(ms: aheadMs)
            }
        }
    }

    private func record(
        _ topic: String, _ batch: RecordBatch, _ place: Int, _ partition: TopicPartition,
        _ reason: String, _ say: (inout LetterRecord) -> Void
    ) -> OutputRecord {
        var letter = LetterRecord(
            reason: reason, topic: partition.topic, partition: partition.partition,
            offset: unsafe batch.offset[place])
        say(&letter)
        if let file {
            letter.file = file
            letter.line = unsafe batch.line[place]
        }
        let time = unsafe batch.recordTimeMs[place]
        if time != TimeLimit.never { letter.timestampMs = time }
        letter.topology = name
        letter.revision = revision
        var value = unsafe batch.value(place).map { unsafe Array($0) }
        var key = unsafe batch.key(place).map { unsafe Array($0) }
        if let count = key?.count, count > Self.keptKeyByteCountMax {
            key = key.map { Array($0.prefix(Self.keptKeyByteCountMax)) }
            letter.keyByteCount = Int64(count)
        }
        let whole = unsafe batch.valueLengthWhole[place]
        if let count = value?.count,
            Int64(count) < whole || count + (key?.count ?? 0) > Self.byteCountMax
        {
            value = value.map { Array($0.prefix(Self.keptByteCountMax)) }
            letter.byteCount = whole
        }
        var theirs = batch.headers(place).map { header in
            (
                name: LetterRecord.carried(String(decoding: header.name, as: UTF8.self)),
                value: header.value ?? []
            )
        }
        let headerBytes = theirs.reduce(0) { $0 + $1.name.utf8.count + $1.value.count }
        if headerBytes > Self.keptHeaderByteCountMax {
            theirs = []
            letter.headersByteCount = Int64(headerBytes)
        }
        return OutputRecord(
            topic: topic, key: key, value: value, headers: letter.headers() + theirs,
            form: .foreign)
    }
}
