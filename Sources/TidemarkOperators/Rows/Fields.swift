package import TidemarkBatch
package import TidemarkCodec
package import TidemarkDataflow
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

extension Frame {
    /// A frame of a stream: a column for each of the plan's, held where something reads or computes it.
    convenience init(_ stream: StreamPlan, rowCountMax: Int) {
        self.init(
            storage: stream.columns.map { $0.isHeld ? $0.type.fieldKind.storage : nil },
            rowCountMax: rowCountMax)
    }
}

extension RecordDecoder {
    /// What reads the columns of a stream that are read.
    package convenience init(_ stream: StreamPlan, into frame: Frame) {
        self.init(
            fields: zip(stream.columns, 0...).filter(\.0.isRead).map { ($0.field, $1) },
            into: frame, format: stream.source.encoding.format)
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
