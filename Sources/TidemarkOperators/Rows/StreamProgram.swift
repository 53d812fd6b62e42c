import TidemarkBatch
import TidemarkDataflow
import TidemarkExpressions

/// The expressions of a stream as one program: computed columns, the filter, conditions of segments.
///
/// The owner is one worker.
@safe
struct StreamProgram {
    let program: RowProgram
    /// A truth a row; `nil`: all rows pass.
    let filter: UnsafePointer<UInt8>?
    /// By segment: a truth a row; `nil`: it has all rows.
    let conditions: [UnsafePointer<UInt8>?]
    /// The part of the program that is the filter.
    private let filterPart: Int?

    /// `nil`: the stream has no expressions.
    init?(_ stream: StreamPlan, _ frame: Frame) {
        var parts = Self.computed(stream.columns) { $0.isHeld }
        func add(_ name: String, _ condition: RowExpression?) -> Int? {
            guard let condition else { return nil }
            parts.append(RowProgram.Part(name: name, expression: condition))
            return parts.count - 1
        }
        let filterPart = add("filter", stream.filter)
        let conditionParts = stream.segments.map {
            add("segments.\($0.name).where", $0.condition)
        }
        guard !parts.isEmpty else { return nil }
        let program = RowProgram(
            columns: stream.columns.map(\.asExpressionColumn), frame: frame, parts: parts)
        self.program = program
        self.filterPart = filterPart
        unsafe filter = filterPart.map { unsafe program.truths(of: $0) }
        unsafe conditions = conditionParts.map { part in
            unsafe part.map { unsafe program.truths(of: $0) }
        }
    }

    /// The parts that compute columns.
    static func computed(
        _ columns: [ColumnPlan], where isWanted: (ColumnPlan) -> Bool
    ) -> [RowProgram.Part] {
        columns.enumerated().compactMap { place, column in
            guard isWanted(column), let computation = column.computation else { return nil }
            return RowProgram.Part(
                name: computation.source, expression: computation.expression, column: place)
        }
    }

    /// Counts rows in which an expression is undefined: those that count, and of the filter all that were read.
    func countUndefined(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {
        program.forEachUndefined { part, row in
            let record = rows.map.record(of: row)
            let isCounted = unsafe rows.fate[row] == RowTable.Fate.row.rawValue
            guard part == filterPart || isCounted, isNew(record) else { return }
            tally.add(program.parts[part].name) { example(record) }
        }
    }
}
