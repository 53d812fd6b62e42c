import TidemarkCodec
import TidemarkDataflow
import TidemarkText

extension RecordEncoding {
    /// What it is to the decoder.
    var format: RecordFormat {
        switch self {
        case .json: .json
        case .csv(let columns, let separator): .csv(columns: columns, separator: separator)
        }
    }
}

extension ColumnPlan {
    /// What it is to the decoder.
    var field: Field {
        Field(
            kind: type.fieldKind,
            path: path.map { step in
                switch step {
                case .key(let key): .key(key)
                case .index(let place): .index(place)
                }
            }, acceptText: acceptText, nullValues: nullValues, zone: zone)
    }
}

extension ColumnType {
    var fieldKind: FieldKind {
        switch self {
        case .number: .number
        case .integer: .integer
        case .boolean: .boolean
        case .category: .category
        case .text: .text
        case .time(.s): .timeS
        case .time(.ms): .timeMs
        case .time(.us): .timeUs
        case .time(.ns): .timeNs
        case .time(.text): .timeText
        }
    }
}
