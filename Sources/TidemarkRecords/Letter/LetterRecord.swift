package import TidemarkCore

/// What the headers of a letter say: of a record that could not be read, or of a late or quarantined row, whose
/// original key and value it has.
package struct LetterRecord: Sendable, Equatable {
    /// Why it is set aside: a stable name such as `not_json`, `late` or `quarantined`.
    package var reason: String
    /// What stands in the record, where it could not be read.
    package var detail: String?
    /// Start of the last window that a late row belongs to, ms.
    package var windowStartMs: Int64?
    /// How far a quarantined row is ahead.
    package var ahead: Lead?
    /// Where the record came from; the file's topic where it came from a file.
    package var topic: String
    /// Numbered from 0; 0 for a file.
    package var partition: Int32
    /// The record's offset; in a file its number, from 0.
    package var offset: Int64
    /// The file that was read, if it was one.
    package var file: String?
    /// Where the record begins in the file, from 1.
    package var line: Int64?
    /// The record's own time, ms.
    package var timestampMs: Int64?
    /// Name of the topology.
    package var topology: String?
    /// `Plan.revision`, 16 hex digits.
    package var revision: String?
    /// Bytes of the whole key, where only its beginning was kept.
    package var keyByteCount: Int64?
    /// Bytes of the whole value, where only its beginning was kept.
    package var byteCount: Int64?
    /// Bytes of the record's own headers, where they were left out.
    package var headersByteCount: Int64?

    /// A letter from this place.
    package init(reason: String, topic: String, partition: Int32, offset: Int64) {
        self.reason = reason
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }

    /// How far a row is ahead of the reference clock; the header is empty where there was no clock to tell.
    package struct Lead: Sendable, Equatable, HeaderValue {
        /// Milliseconds; `nil`: nobody knows.
        package var ms: Int64?

        package init(ms: Int64?) { self.ms = ms }

        package static var headerShape: FieldShape { .integer }
        package var headerBytes: [UInt8]? { ms?.headerBytes ?? [] }
        package static func read(header: [UInt8]) -> Lead? {
            Lead(ms: Int64.read(header: header))
        }
    }

    /// The partition that the record came from.
    package var source: TopicPartition { TopicPartition(topic: topic, partition: partition) }

    /// Not all of the record was kept.
    package var isCut: Bool {
        keyByteCount != nil || byteCount != nil || headersByteCount != nil
    }
}

extension LetterRecord: HeaderFields {
    /// The headers, in their order.
    package func headers() -> [(name: String, value: [UInt8])] { written() }

    package static var blank: LetterRecord {
        LetterRecord(reason: "", topic: "", partition: 0, offset: 0)
    }

    @inline(__always)
    package static func headers<V: HeaderVisitor>(_ v: inout V) where V.Record == LetterRecord {
        v.header(
            "reason", \.reason,
            "`text_too_long`, `empty`, `not_json`, `not_csv`, `not_utf8`, `not_an_object`, `too_long`, `event_time_missing`, `event_time_unreadable`, `event_time_out_of_range`; `late`; `quarantined`"
        )
        v.header(
            "detail", \.detail, when: "of a record that could not be read",
            "what stands in the record: UTF-16, the frame of a schema registry, a comma before a closing bracket, JSON over several lines; of an event time what came and what was expected"
        )
        v.header(
            "window", \.windowStartMs, when: "of a late row",
            "the start of the last window that the row belongs to, ms since 1970, UTC")
        v.header(
            "ahead_ms", \.ahead, when: "of a quarantined row",
            "how far it is ahead of the reference clock, ms; empty where there was no clock to tell"
        )
        v.header("topic", \.topic, "the topic that the record was read from")
        v.header("partition", \.partition, "the partition; 0 for a file")
        v.header("offset", \.offset, "the offset; in a file the number of the record, from 0")
        v.header("file", \.file, when: "of a record of a file", "the file")
        v.header(
            "line", \.line, when: "of a record of a file", "the line in which it begins, from 1")
        v.header(
            "timestamp", \.timestampMs, when: "where the record has one",
            "the record's own time, ms since 1970, UTC")
        v.header("operator", \.topology, when: "always", "name of the topology")
        v.header("revision", \.revision, when: "always", "as in the aggregates")
        v.header(
            "key_length", \.keyByteCount, when: "where the key was cut",
            "bytes of the whole key, of which the first 16 KiB were kept")
        v.header(
            "length", \.byteCount, when: "where the value was cut",
            "bytes of the whole value, as of a record over `limits.record`; the first 64 KiB were kept"
        )
        v.header(
            "headers_length", \.headersByteCount, when: "where the record's headers were left out",
            "bytes of its own headers: over 48 KiB")
    }
}

/// How a record's own headers are kept beside those of its letter.
///
/// A header of the record keeps its name, unless it would pass for one of ours: then `original-` stands in
/// front, and one more for each that it had already. So all of them can be told apart and given back.
extension LetterRecord {
    private static let prefix = "original-"
    private static let ours = Set(headerFacts().map(\.name))

    /// The name of a record's own header on its letter.
    package static func carried(_ name: String) -> String {
        ours.contains(name) || name.hasPrefix(prefix) ? prefix + name : name
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
