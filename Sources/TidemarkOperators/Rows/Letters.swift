package import TidemarkBatch
package import TidemarkCore
package import TidemarkDataflow

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
        record(
            deadLettersTopic, batch, place, partition,
            [("reason", reason.name), ("detail", reason.detail)])
    }

    /// A late row, with the pane that its time belongs to; `nil` where they are counted only.
    package func lateRow(
        _ batch: RecordBatch, record place: Int, partition: TopicPartition, windowStartMs: Int64
    ) -> OutputRecord? {
        lateTopic.map {
            record(
                $0, batch, place, partition, [("reason", "late"), ("window", "\(windowStartMs)")])
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
            record(
                $0, batch, place, partition,
                [("reason", "quarantined"), ("ahead_ms", aheadMs.map { "\($0)" } ?? "")])
        }
    }

    private func record(
        _ topic: String, _ batch: RecordBatch, _ place: Int, _ partition: TopicPartition,
        _ first: [(String, String)]
    ) -> OutputRecord {
        let whole = unsafe batch.valueLengthWhole[place]
        var headers =
            first + [
                ("topic", partition.topic), ("partition", "\(partition.partition)"),
                ("offset", "\(unsafe batch.offset[place])"),
            ]
        if let file {
            headers.append(("file", file))
            headers.append(("line", "\(unsafe batch.line[place])"))
        }
        let time = unsafe batch.recordTimeMs[place]
        if time != TimeLimit.never { headers.append(("timestamp", "\(time)")) }
        headers.append(("operator", name))
        headers.append(("revision", revision))
        var value = unsafe batch.value(place).map { unsafe Array($0) }
        var key = unsafe batch.key(place).map { unsafe Array($0) }
        if let count = key?.count, count > Self.keptKeyByteCountMax {
            key = key.map { Array($0.prefix(Self.keptKeyByteCountMax)) }
            headers.append(("key_length", "\(count)"))
        }
        if let count = value?.count,
            Int64(count) < whole || count + (key?.count ?? 0) > Self.byteCountMax
        {
            value = value.map { Array($0.prefix(Self.keptByteCountMax)) }
            headers.append(("length", "\(whole)"))
        }
        var theirs = LetterHeaders.kept(batch.headers(place))
        let headerBytes = theirs.reduce(0) { $0 + $1.name.utf8.count + $1.value.count }
        if headerBytes > Self.keptHeaderByteCountMax {
            theirs = []
            headers.append(("headers_length", "\(headerBytes)"))
        }
        let own = headers.map { ($0.0, Array($0.1.utf8)) }
        return OutputRecord(
            topic: topic, key: key, value: value, headers: own + theirs, form: .foreign)
    }
}

/// The names of headers on a letter: which ones are ours, and how the record's own are kept beside them.
///
/// A header of the record keeps its name, unless it would pass for one of ours: then `original-` stands in
/// front, and one more for each that it had already. So all of them can be told apart and given back.
package enum LetterHeaders {
    private static let prefix = "original-"

    /// Names that letters have from us.
    private static let ours: Set<String> = [
        "reason", "detail", "topic", "partition", "offset", "timestamp", "operator", "revision",
        "length", "window", "file", "line", "key_length", "headers_length", "ahead_ms",
    ]

    /// The record's own headers as a letter carries them.
    static func kept(_ headers: [RecordHeader]) -> [(name: String, value: [UInt8])] {
        headers.map { header in
            let name = String(decoding: header.name, as: UTF8.self)
            let collides = ours.contains(name) || name.hasPrefix(prefix)
            return (collides ? prefix + name : name, header.value ?? [])
        }
    }

    /// The record's own headers, out of those of its letter.
    package static func original(
        of letter: [(name: String, value: [UInt8])]
    ) -> [(name: String, value: [UInt8])] {
        letter.filter { !ours.contains($0.name) }.map { name, value in
            (name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name, value)
        }
    }
}
