import TidemarkCore

/// What became of a column's rows in a baseline: of a file, or of the stream itself.
struct UsualRows {
    /// Rows that have a value.
    var valueCount: Int64
    /// All others.
    var nullCount: Int64
    /// Rows of another type among those without a value; `nil`: the baseline does not part them.
    var wrongTypeCount: Int64?
    /// Rows that are not finite among those without a value; `nil`: the baseline does not part them.
    var nonFiniteCount: Int64?
    private var entry: BaselineTable.Entry?
    private var learned: ArraySlice<UInt64> = []

    /// How many values fell into each cell.
    var cells: [Int64] { entry?.cells ?? learned.map { Int64(clamping: $0) } }

    /// What a file holds.
    init(_ entry: BaselineTable.Entry) {
        valueCount = entry.rowCount
        nullCount = entry.nullCount
        wrongTypeCount = entry.wrongTypeCount
        nonFiniteCount = entry.nonFiniteCount
        self.entry = entry
    }

    /// What was learned, or what another group has.
    init(_ rows: RowCounts, cells: ArraySlice<UInt64>) {
        valueCount = rows.value
        nullCount = rows.total - rows.value
        wrongTypeCount = rows.wrongType
        nonFiniteCount = rows.nonFinite
        learned = cells
    }
}

/// What a baseline says of the rows of a group and column.
enum Usual {
    case rows(UsualRows)
    /// It has nothing of them, or not yet.
    case unknown(Verdict)
    /// The group is what others are compared with.
    case itself
}

extension WindowEvidence {
    /// What the baseline of a check says.
    borrowing func usual(_ watch: CheckWatch) -> Usual {
        if let learned = references[watch.baseline] {
            if learned.isItself { return .itself }
            guard learned.isInForce else { return .unknown(.learning) }
            guard let rows = learned.rows[place] else { return .unknown(.noBaseline) }
            let cells = learned.ranges[place].map { learned.cells[$0] }
            return .rows(UsualRows(rows, cells: cells ?? []))
        }
        return known(watch).map { .rows(UsualRows($0)) } ?? .unknown(.noBaseline)
    }

    /// What a file holds of the group and column; `nil`: nothing.
    borrowing func known(_ watch: CheckWatch) -> BaselineTable.Entry? {
        guard let known = entries.first(where: { $0.baseline == watch.baseline }),
            watch.fallsBack || !known.isFallback
        else { return nil }
        return known.entry
    }
}
