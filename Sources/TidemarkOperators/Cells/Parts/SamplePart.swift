import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Rows of a column chosen by a hash of where they lie: order-free.
final class SamplePart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    static let fields = [sample]

    private static let sample = PartField(
        "sample", place: 70,
        shape: .list(
            .object([
                FieldFacts(
                    name: "partition", shape: .count, help: "the partition; 0 for a file"),
                FieldFacts(
                    name: "offset", shape: .count,
                    help: "the offset; in a file the number of the record, from 0"),
                FieldFacts(
                    name: "value", shape: .number, help: "the column's value in that row"),
            ])), presence: "with `sample`",
        help:
            "rows of the smallest hashes of (topic, partition, offset), smallest first: the first j are a sample too, and other columns name the same rows where they have a value. `kcat -t TOPIC -p PARTITION -o OFFSET -c 1` shows the row"
    ) { value in
        guard let rows = value.asArray, !rows.isEmpty else { return [] }
        var line = "sample of \(grouped(Int64(rows.count))) rows: "
        line += rows.prefix(5).map {
            "\($0["partition"]?.asInteger ?? 0)/\($0["offset"]?.asInteger ?? 0) "
                + shortNumber($0["value"]?.asNumber)
        }.joined(separator: ", ")
        return [line]
    }

    private var sample: BottomKSample

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard let count = summary.sampleCount else { return nil }
        sample = BottomKSample(k: count, topicHash: context.topicHash)
    }

    private init(_ other: SamplePart) { sample = other.sample.copy() }

    func copy() -> any CellPart { SamplePart(self) }

    static var sketchFamily: OutputsPlan.SketchOutput? { .sample }

    var isOrderFree: Bool { true }
    var byteCount: Int { 128 + 64 * sample.k }

    func fold(_ run: NumberRun) {
        for place in 0..<run.count {
            let row = unsafe Int(run.rows[place])
            let x = unsafe run.numbers[row]
            guard x.magnitude < .infinity else { continue }
            unsafe sample.update(
                x, partition: run.partition, offset: run.offsets[row],
                place: run.places?[row] ?? 0)
        }
    }

    func merge(_ other: any CellPart) {
        guard let other = other as? SamplePart else { return }
        sample.merge(other.sample)
    }

    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: sample.serialize()) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        let read = try BottomKSample(bytes: try reader.readSized())
        guard read.isLike(sample) else {
            throw .corrupt(field: "sample", offset: reader.offset)
        }
        sample = read
    }

    func describe(into record: inout AggregateRecord) {
        record.parts.add(
            Self.sample,
            .array(
                sample.values.map {
                    .members([
                        "partition": .integer(Int64($0.partition)), "offset": .integer($0.offset),
                        "value": .finite($0.value),
                    ])
                }))
    }

    var sketch: PartSketch? {
        PartSketch(item: "f64", k: sample.k, bytes: sample.serialize())
    }
}
