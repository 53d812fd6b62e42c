import TidemarkDrift
import TidemarkText

/// Reads a line of a baseline file.
struct BaselineEntryReader {
    typealias Entry = BaselineTable.Entry
    typealias Problem = BaselineTable.Problem

    private let row: JSONValue

    init(_ row: JSONValue) { self.row = row }

    /// What the line has of its group and column.
    ///
    /// - Throws: what is wrong with it.
    func entry() throws(Problem) -> Entry {
        let nullCount = try count("nulls")
        guard row["n"] != nil else { throw Problem("no count `n`") }
        let rowCount = try count("n")
        let shape = try shape()
        var entry = Entry(
            shape: shape, rowCount: rowCount, nullCount: nullCount, atoms: try atoms(shape))
        if row["wrong_type"] != nil { entry.wrongTypeCount = try count("wrong_type") }
        if row["non_finite"] != nil { entry.nonFiniteCount = try count("non_finite") }
        guard (entry.wrongTypeCount ?? 0) <= nullCount,
            (entry.nonFiniteCount ?? 0) <= nullCount - (entry.wrongTypeCount ?? 0)
        else { throw Problem("`wrong_type` and `non_finite` are more than `nulls`") }
        try readHashes(into: &entry)
        // Saturating: a sum beyond 64 bits is no `n` either.
        let sum = entry.cells.reduce(Int64(0)) { sum, count in
            let (next, isTooMuch) = sum.addingReportingOverflow(count)
            return isTooMuch ? .max : next
        }
        guard sum == rowCount else {
            throw Problem("the counts add up to \(sum), `n` is \(rowCount)")
        }
        return entry
    }

    private func counted(_ name: String, _ value: JSONValue) throws(Problem) -> Int64 {
        guard let number = value.asInteger, (0...BaselineTable.countMax).contains(number) else {
            throw Problem("`\(name)` holds something that is not a count of rows")
        }
        return number
    }

    private func counts(_ name: String) throws(Problem) -> [Int64] {
        guard let values = row[name]?.asArray else { throw Problem("no list `\(name)`") }
        var numbers: [Int64] = []
        for value in values { numbers.append(try counted(name, value)) }
        return numbers
    }

    private func count(_ name: String) throws(Problem) -> Int64 {
        guard let value = row[name] else { return 0 }
        return try counted(name, value)
    }

    /// Cells between edges, or of categories.
    private func shape() throws(Problem) -> Entry.Shape {
        let cells = try counts("counts")
        if let list = row["edges"]?.asArray {
            let edges = list.compactMap(\.asNumber)
            guard edges.count == list.count, edges.count == cells.count + 1,
                zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 })
            else { throw Problem("`edges` must ascend and be one more than `counts`") }
            return .numeric(
                edges: edges, isOpen: row["outer"]?.asText == "open", under: try count("under"),
                counts: cells, over: try count("over"))
        }
        guard let list = row["categories"]?.asArray else {
            throw Problem("neither `edges` nor `categories`")
        }
        let categories = list.compactMap(\.asText)
        guard categories.count == list.count, categories.count == cells.count,
            Set(categories).count == categories.count
        else { throw Problem("`categories` must differ and be as many as `counts`") }
        return .categorical(categories: categories, counts: cells, other: try count("other"))
    }

    /// Numbers that have a bin of their own.
    private func atoms(_ shape: Entry.Shape) throws(Problem) -> [Double] {
        guard let list = row["atoms"]?.asArray, case .numeric(let edges, _, _, _, _) = shape else {
            return []
        }
        let atoms = list.compactMap(\.asNumber)
        guard atoms.count == list.count, let lo = edges.first, let hi = edges.last,
            atoms.allSatisfy({ lo <= $0 && $0 < hi })
        else { throw Problem("`atoms` must be numbers between the outer edges") }
        return atoms
    }

    /// What is kept of texts by their hash.
    private func readHashes(into entry: inout Entry) throws(Problem) {
        if let known = row["known"]?.asText {
            let half = max(1, entry.rowCount / 2)
            entry.known = KnownTexts(
                base64: known, unknown: ShareCount(try count("unknown"), of: half),
                byCell: try counts("unknown_cells").map { ShareCount($0, of: half) })
            guard entry.known != nil else { throw Problem("`known` is no list of hashes") }
        }
        guard row["hashed"] != nil else { return }
        let cells = try counts("hashed")
        guard cells.count == HashedCells.count, cells.reduce(0, +) == entry.rowCount else {
            throw Problem("`hashed` must be \(HashedCells.count) counts that add up to `n`")
        }
        entry.hashed = cells
    }
}
