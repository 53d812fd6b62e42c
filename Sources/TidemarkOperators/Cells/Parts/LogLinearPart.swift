import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Counts of a column in universal bins, 32 to each power of two: order-free.
final class LogLinearPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    static let fields = [logLinear]

    private static let logLinear = PartField(
        "log_linear", place: 50,
        shape: .object([
            FieldFacts(
                name: "bins_per_octave", shape: .constant(.integer(32)),
                help: "bins in each doubling"),
            FieldFacts(name: "zero", shape: .count, help: "values below 2^-64 in size"),
            FieldFacts(
                name: "positive", shape: logLinearBins, presence: "where there are some",
                help: "values above zero"),
            FieldFacts(
                name: "negative", shape: logLinearBins, presence: "where there are some",
                help: "values below zero, in bins of their size"),
        ]), presence: "with `log_linear`",
        help:
            "counts in universal bins: bin 32·e + i holds 2^e·(1 + i/32) ≤ \\|x\\| < 2^e·(1 + (i + 1)/32); the outermost takes what is beyond 2^64"
    ) { value in
        var lines = ["log-linear bins: \(grouped(value["zero"]?.asInteger ?? 0)) at zero"]
        for side in ["negative", "positive"] {
            guard let counts = value[side]?["counts"]?.asArray?.compactMap(\.asInteger),
                let first = value[side]?["first"]?.asInteger
            else { continue }
            let sum = counts.reduce(Int64(0)) { $0.addingReportingOverflow($1).partialValue }
            lines.append("\(bars(counts))  \(grouped(sum)) \(side), bins from \(first) on")
        }
        return lines
    }

    private static let logLinearBins = FieldShape.object([
        FieldFacts(
            name: "first", shape: .integer,
            help: "the number of the first bin, 32·e + i; negative below 1"),
        FieldFacts(
            name: "counts", shape: .list(.count), help: "values in each bin from the first on"),
    ])

    private var histogram = LogLinearHistogram()

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.logLinear else { return nil }
    }

    private init(_ other: LogLinearPart) { histogram = other.histogram.copy() }

    func copy() -> any CellPart { LogLinearPart(self) }

    static var sketchFamily: OutputsPlan.SketchOutput? { .logLinear }

    var isOrderFree: Bool { true }
    var byteCount: Int { 64 + histogram.byteCount }

    func fold(_ run: NumberRun) { unsafe histogram.update(run.finite, count: run.finiteCount) }

    func merge(_ other: any CellPart) {
        guard let other = other as? LogLinearPart else { return }
        histogram.merge(other.histogram)
    }

    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: histogram.serialize()) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        histogram = try LogLinearHistogram(bytes: try reader.readSized())
    }

    func describe(into record: inout AggregateRecord) {
        guard !histogram.isEmpty else { return }
        func side(_ bins: (first: Int, counts: [UInt64])?) -> JSONValue? {
            bins.map { bins in
                .members([
                    "first": .integer(Int64(bins.first)),
                    "counts": .array(bins.counts.map { .integer(Int64(clamping: $0)) }),
                ])
            }
        }
        let bins = histogram.bins
        record.parts.add(
            Self.logLinear,
            .members([
                "bins_per_octave": .integer(32), "zero": .integer(Int64(clamping: bins.zero)),
                "positive": side(bins.positive), "negative": side(bins.negative),
            ]))
    }

    var sketch: PartSketch? {
        PartSketch(item: "f64", k: 32, bytes: histogram.serialize())
    }
}
