import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Skewness and kurtosis of a column: ordered.
final class ShapePart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    static let fields = [skewness, kurtosis]

    private static let skewness = PartField(
        "skewness", place: 10, shape: .number, presence: "with `shape`",
        help: "of the population, 0 for a normal one; absent where all values are equal")

    private static let kurtosis = PartField(
        "kurtosis", place: 20, shape: .number, presence: "with `shape`",
        help: "of the population, 3 for a normal one; absent where all values are equal")

    private var moments = Moments()

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.shape else { return nil }
    }

    private init(_ other: ShapePart) { moments = other.moments.copy() }

    func copy() -> any CellPart { ShapePart(self) }

    static var sketchFamily: OutputsPlan.SketchOutput? { .moments }

    var isOrderFree: Bool { false }
    var byteCount: Int { 700 }

    func fold(_ run: NumberRun) { unsafe moments.update(run.finite, count: run.finiteCount) }

    func merge(_ other: any CellPart) {
        guard let other = other as? ShapePart else { return }
        moments.merge(other.moments)
    }

    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: moments.serialize()) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        moments = try Moments(bytes: try reader.readSized())
    }

    func describe(into record: inout AggregateRecord) {
        record.parts.add(Self.skewness, .finite(moments.skewness))
        record.parts.add(Self.kurtosis, .finite(moments.kurtosis))
    }

    var sketch: PartSketch? {
        PartSketch(item: "f64", k: 4, bytes: moments.serialize())
    }
}
