import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// How the columns of one rule with `correlation: true` vary together in a cell: ordered.
///
/// It belongs to its cell.
final class CorrelationCell: @unchecked Sendable {
    static let fields = [correlation]

    static let correlation = PartField(
        "correlation", place: 40,
        shape: .list(
            .object([
                FieldFacts(name: "with", shape: .text, help: "the other column"),
                FieldFacts(
                    name: "n", shape: .count, help: "rows that have all columns of the rule"),
                FieldFacts(
                    name: "covariance", shape: .number, presence: "of two rows or more",
                    help: "divides by n − 1"),
                FieldFacts(
                    name: "correlation", shape: .number, presence: "where both columns vary",
                    help: "Pearson's, −1 to 1"),
            ])), presence: "with `correlation`",
        help: "how the column varies with each other one of the rule"
    ) { value in
        (value.asArray ?? []).map { pair in
            "correlation with \(pair["with"]?.asText ?? "-") "
                + shortNumber(pair["correlation"]?.asNumber)
                + ", covariance \(shortNumber(pair["covariance"]?.asNumber))"
                + " over \(grouped(pair["n"]?.asInteger ?? 0)) rows"
        }
    }

    /// Places among the watched columns of the segment, ascending.
    let places: [Int]
    private(set) var sums: Comoments
    private var row: [Double]

    init(places: [Int]) {
        self.places = places
        sums = Comoments(width: places.count)
        row = [Double](repeating: 0, count: places.count)
    }

    func copy() -> CorrelationCell {
        let cell = CorrelationCell(places: places)
        cell.sums = sums.copy()
        return cell
    }

    /// Memory behind it, bytes.
    var byteCount: Int { 256 + 560 * places.count + 16 * places.count * places.count }

    /// Adds rows in their order; one that lacks a value of any column is left out.
    func fold(
        _ columns: [UnsafeMutablePointer<Double>], rows: UnsafePointer<UInt16>, count: Int
    ) {
        for place in 0..<count {
            let at = unsafe Int(rows[place])
            for index in row.indices { row[index] = unsafe columns[index][at] }
            sums.update(row)
        }
    }

    /// Appends all that it needs to go on.
    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: sums.serialize()) }

    /// Takes a state in.
    func readState(_ reader: inout ByteReader) throws(SketchError) {
        sums = try Comoments(bytes: try reader.readSized())
        guard sums.width == places.count else {
            throw .corrupt(field: "columns", offset: reader.offset)
        }
    }

    /// Joins another one's rows, which stand behind in canonical order.
    func merge(_ other: CorrelationCell) { sums.merge(other.sums) }

    /// The pairs of one of its columns with the others.
    func pairs(of place: Int, names: [String]) -> [JSONValue] {
        guard let mine = places.firstIndex(of: place) else { return [] }
        return places.indices.filter { $0 != mine }.map { other in
            .members([
                "with": .text(names[places[other]]),
                "n": .integer(Int64(clamping: sums.rowCount)),
                "covariance": .finite(sums.covariance(mine, other)),
                "correlation": .finite(sums.correlation(mine, other)),
            ])
        }
    }
}
