import TidemarkBatch
import TidemarkDataflow

/// Rows with a text that is too long for its use.
///
/// A group's name becomes the key of every record about the group, a category stands in aggregates,
/// and topics take records of a megabyte.
///
/// Each text of a dictionary is looked at once, however many rows have it.
struct LongTexts {
    private struct Place {
        var column: Int
        var name: String
        var byteCountMax: Int
        /// Texts of the dictionary that were looked at.
        var seenCount = 0
        var longCodes: Set<UInt32> = []
    }

    private var places: [Place] = []
    /// What is too long in the batch at hand, by row.
    private var found: [Int: DeadLetterReason] = [:]

    init(stream: StreamPlan) {
        let dimensions = Set(stream.segments.flatMap { $0.dimensions.map(\.column) })
        for (index, column) in stream.columns.enumerated()
        where column.isHeld && column.type.isText {
            places.append(
                Place(
                    column: index, name: column.name,
                    byteCountMax: dimensions.contains(index)
                        ? TextLimit.dimensionBytes : TextLimit.valueBytes))
        }
    }

    /// Makes dead letters of rows with a text that is too long.
    mutating func setAside(_ frame: Frame, _ rows: RowTable) {
        if !found.isEmpty { found = [:] }
        for index in places.indices {
            let column = places[index].column
            let count = frame.textCount(column)
            if places[index].seenCount < count { look(index, frame, count) }
            guard !places[index].longCodes.isEmpty,
                let codes = unsafe frame.columns[column].codes
            else { continue }
            for row in 0..<frame.rowCount where unsafe places[index].longCodes.contains(codes[row])
            {
                guard unsafe rows.fate[row] == RowTable.Fate.row.rawValue else { continue }
                let length = unsafe frame.text(column, code: codes[row]).count
                unsafe rows.fate[row] = RowTable.Fate.deadLetter.rawValue
                found[row] = DeadLetterReason(
                    "text_too_long",
                    "\(places[index].name) has \(length) bytes, at most \(places[index].byteCountMax) are taken"
                )
            }
        }
    }

    private mutating func look(_ index: Int, _ frame: Frame, _ count: Int) {
        let place = places[index]
        for code in place.seenCount..<count {
            let code = UInt32(truncatingIfNeeded: code)
            if unsafe frame.text(place.column, code: code).count > place.byteCountMax {
                places[index].longCodes.insert(code)
            }
        }
        places[index].seenCount = count
    }

    /// Why a row of the batch at hand was set aside; `nil`: not for its texts.
    func reason(_ row: Int) -> DeadLetterReason? { found[row] }

    /// Takes note that the codes of a column were given anew.
    mutating func forget(_ column: Int) {
        for index in places.indices where places[index].column == column {
            places[index].seenCount = 0
            places[index].longCodes = []
        }
    }
}
