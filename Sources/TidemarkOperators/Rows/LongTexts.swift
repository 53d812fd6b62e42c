import TidemarkBatch
import TidemarkCodec
import TidemarkDataflow

/// Rows with a text that is too long for its use.
///
/// A group's name becomes the key of every record about the group, a category stands in aggregates,
/// and topics take records of a megabyte.
///
/// Each text of a dictionary is looked at once, however many rows have it.
struct LongTexts {
    private struct Place {
        var field: Int
        var name: String
        var byteCountMax: Int
        /// Texts of the dictionary that were looked at.
        var seenCount = 0
        var longCodes: Set<UInt32> = []
    }

    private var places: [Place] = []
    /// What is too long in the batch at hand, by row.
    private var found: [Int: DeadLetterReason] = [:]

    init(stream: StreamPlan, fieldOf: [Int]) {
        let dimensions = Set(stream.segments.flatMap { $0.dimensions.map(\.column) })
        for (index, column) in stream.columns.enumerated()
        where fieldOf[index] >= 0 && column.type.isText {
            places.append(
                Place(
                    field: fieldOf[index], name: column.name,
                    byteCountMax: dimensions.contains(index)
                        ? TextLimit.dimensionBytes : TextLimit.valueBytes))
        }
    }

    /// Makes dead letters of rows with a text that is too long.
    mutating func setAside(_ decoder: RecordDecoder, _ rows: RowTable, rowCount: Int) {
        if !found.isEmpty { found = [:] }
        for index in places.indices {
            let field = places[index].field
            let count = decoder.dictionaryCount(field)
            if places[index].seenCount < count { look(index, decoder, count) }
            guard !places[index].longCodes.isEmpty,
                let codes = unsafe decoder.columns.columns[field].codes
            else { continue }
            for row in 0..<rowCount where unsafe places[index].longCodes.contains(codes[row]) {
                guard unsafe rows.fate[row] == RowTable.Fate.row.rawValue else { continue }
                let length = unsafe decoder.text(field, code: codes[row]).count
                unsafe rows.fate[row] = RowTable.Fate.deadLetter.rawValue
                found[row] = DeadLetterReason(
                    "text_too_long",
                    "\(places[index].name) has \(length) bytes, at most \(places[index].byteCountMax) are taken"
                )
            }
        }
    }

    private mutating func look(_ index: Int, _ decoder: RecordDecoder, _ count: Int) {
        let place = places[index]
        for code in place.seenCount..<count {
            let code = UInt32(truncatingIfNeeded: code)
            if unsafe decoder.text(place.field, code: code).count > place.byteCountMax {
                places[index].longCodes.insert(code)
            }
        }
        places[index].seenCount = count
    }

    /// Why a row of the batch at hand was set aside; `nil`: not for its texts.
    func reason(_ row: Int) -> DeadLetterReason? { found[row] }

    /// Takes note that the codes of a field were given anew.
    mutating func forget(_ field: Int) {
        for index in places.indices where places[index].field == field {
            places[index].seenCount = 0
            places[index].longCodes = []
        }
    }
}
