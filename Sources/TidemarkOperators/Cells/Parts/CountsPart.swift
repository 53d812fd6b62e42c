import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Exact counts of so many different texts of a column: order-free.
final class CountsPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    static let fields = [counts]

    private static let counts = PartField(
        "counts", place: 60,
        shape: .object([
            FieldFacts(
                name: "values",
                shape: .list(
                    .object([
                        FieldFacts(name: "value", shape: .text, help: "the text"),
                        FieldFacts(name: "count", shape: .count, help: "how often it came"),
                    ])), help: "texts, the most frequent first"),
            FieldFacts(
                name: "other", shape: .count,
                help:
                    "rows with other texts: those of the greatest hashes, beyond the number asked for"
            ),
        ]), presence: "with `counts`", help: "exact counts of texts"
    ) { value in
        let values = value["values"]?.asArray ?? []
        var line = "\(grouped(Int64(values.count))) values: "
        line += values.prefix(5).map {
            "\($0["value"]?.asText ?? "") \(grouped($0["count"]?.asInteger ?? 0))"
        }.joined(separator: ", ")
        if let other = value["other"]?.asInteger, other > 0 {
            line += ", others \(grouped(other))"
        }
        return [line]
    }

    private var counts: ExactCounts

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard let capacity = summary.valueCountMax else { return nil }
        counts = ExactCounts(capacity: capacity)
    }

    private init(_ other: CountsPart) { counts = other.counts.copy() }

    func copy() -> any CellPart { CountsPart(self) }

    static var sketchFamily: OutputsPlan.SketchOutput? { .counts }

    var isOrderFree: Bool { true }
    var byteCount: Int { 128 + 64 * counts.items.count }

    func add(_ texts: [CountedItem]) { counts.update(texts) }

    func merge(_ other: any CellPart) {
        guard let other = other as? CountsPart else { return }
        counts.merge(other.counts)
    }

    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: counts.serialize()) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        let capacity = counts.capacity
        counts = try ExactCounts(bytes: try reader.readSized())
        guard counts.capacity == capacity else {
            throw .corrupt(field: "capacity", offset: reader.offset)
        }
    }

    /// The most frequent texts first, equals by their bytes.
    func describe(into record: inout AggregateRecord) {
        let items = counts.items.sorted {
            $0.count != $1.count
                ? $0.count > $1.count : $0.bytes.lexicographicallyPrecedes($1.bytes)
        }
        record.parts.add(
            Self.counts,
            .members([
                "values": .array(
                    items.map {
                        .members([
                            "value": .text(String(decoding: $0.bytes, as: UTF8.self)),
                            "count": .integer(Int64(clamping: $0.count)),
                        ])
                    }), "other": .integer(Int64(clamping: counts.otherCount)),
            ]))
    }

    var sketch: PartSketch? {
        PartSketch(item: "string", k: counts.capacity, bytes: counts.serialize())
    }
}
