import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Mean, deviation and rate of a column in which a value counts half after so long: ordered.
final class DecayPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    static let fields = [decayed]

    private static let decayed = PartField(
        "decayed", place: 30,
        shape: .object([
            FieldFacts(
                name: "half_life_ms", shape: .count, unit: .ms,
                help: "after so long before the window's end a value counts half"),
            FieldFacts(name: "mean", shape: .number, help: "the weighted mean"),
            FieldFacts(
                name: "sd", shape: .number, presence: "where there are enough values",
                help: "the standard deviation of the weighted population"),
            FieldFacts(
                name: "rate", shape: .number, presence: "where it is known",
                help: "values a second, as if the stream had been steady"),
        ]), presence: "with `decay`",
        help:
            "mean, deviation and rate in which a value counts half as much for each half-life between its event time and the window's end; of this window's rows alone"
    ) { value in
        var line = "half-life \(lengthText(value["half_life_ms"]?.asInteger ?? 0))"
        for name in ["mean", "sd", "rate"] {
            if let number = value[name]?.asNumber { line += "  \(name) \(shortNumber(number))" }
        }
        return [value["rate"] == nil ? line : line + " a second"]
    }

    private let halfLifeMs: Int64
    private var moments: DecayedMoments

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard let halfLifeMs = summary.halfLifeMs else { return nil }
        self.halfLifeMs = halfLifeMs
        moments = DecayedMoments(halfLifeMs: halfLifeMs)
    }

    private init(_ other: DecayPart) { (halfLifeMs, moments) = (other.halfLifeMs, other.moments) }

    func copy() -> any CellPart { DecayPart(self) }

    static var sketchFamily: OutputsPlan.SketchOutput? { .decayed }

    var isOrderFree: Bool { false }
    var byteCount: Int { 128 }

    func fold(_ run: NumberRun) {
        for place in 0..<run.count {
            let row = unsafe Int(run.rows[place])
            unsafe moments.update(run.numbers[row], at: run.times[row])
        }
    }

    func merge(_ other: any CellPart) {
        guard let other = other as? DecayPart else { return }
        moments.merge(other.moments)
    }

    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: moments.serialize()) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        moments = try DecayedMoments(bytes: try reader.readSized())
        guard moments.halfLifeMs == halfLifeMs else {
            throw .corrupt(field: "half-life", offset: reader.offset)
        }
    }

    func describe(into record: inout AggregateRecord) {
        guard let mean = moments.mean else { return }
        var atEnd = moments
        atEnd.advance(to: record.window.endMs)
        record.parts.add(
            Self.decayed,
            .members([
                "half_life_ms": .integer(halfLifeMs), "mean": .finite(mean),
                "sd": .finite(moments.sd),
                "rate": .finite(atEnd.rate(overMs: record.window.lengthMs)),
            ]))
    }

    var sketch: PartSketch? {
        PartSketch(item: "f64", k: 2, bytes: moments.serialize())
    }
}
