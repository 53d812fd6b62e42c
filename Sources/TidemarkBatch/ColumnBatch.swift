/// Why a row has no value in a column.
package enum ValueState: UInt8, Sendable {
    case value = 0
    case null = 1
    /// The key is absent.
    case missing = 2
    case wrongType = 3
    /// NaN, infinity, or beyond the range of a double.
    case nonFinite = 4

    /// As records and metrics name it: `wrong_type`.
    package var name: String {
        switch self {
        case .value: "value"
        case .null: "null"
        case .missing: "missing"
        case .wrongType: "wrong_type"
        case .nonFinite: "non_finite"
        }
    }
}

/// One decoded column: a place for each row of the batch, and the rows that have no value.
///
/// The memory belongs to the `ColumnBatch`.
@safe
package struct Column {
    /// Number columns: NaN where there is no value.
    package var numbers: UnsafeMutablePointer<Double>?
    /// Time columns, ms since 1970: `Int64.min` where there is no value.
    package var times: UnsafeMutablePointer<Int64>?
    /// Text columns: code of the worker's dictionary, `UInt32.max` where there is no value.
    package var codes: UnsafeMutablePointer<UInt32>?
    /// Rows without a value, ascending, and why.
    package var exceptionRows: UnsafeMutablePointer<UInt16>
    /// `ValueState` of each of those rows, as its raw value.
    package var exceptionStates: UnsafeMutablePointer<UInt8>
    /// How many rows have no value; so many places of both lists are in use.
    package var exceptionCount = 0
}

/// The decoded form of a `RecordBatch`: typed columns with validity, and a verdict for each row.
///
/// One a worker, filled again for each batch. The owner is the worker.
@safe
package final class ColumnBatch {
    /// What a column's values are kept as: `Double`, milliseconds, or codes of a dictionary.
    package enum Storage: Sendable { case numbers, times, codes }

    /// Rows that the columns hold.
    package let rowCountMax: Int
    /// In the order in which the decoder was given its fields.
    package var columns: [Column]
    /// A decoder's verdict by row: 0 is a row; other values are the decoder's own.
    package let verdicts: UnsafeMutablePointer<UInt8>

    /// Columns of these kinds; each takes 3 bytes a row beside its values.
    package init(storage: [Storage], rowCountMax: Int) {
        self.rowCountMax = rowCountMax
        unsafe verdicts = .allocate(capacity: rowCountMax)
        unsafe verdicts.initialize(repeating: 0, count: rowCountMax)
        columns = storage.map { kind in
            var column = unsafe Column(
                exceptionRows: .allocate(capacity: rowCountMax),
                exceptionStates: .allocate(capacity: rowCountMax))
            switch kind {
            case .numbers: unsafe column.numbers = .allocate(capacity: rowCountMax)
            case .times: unsafe column.times = .allocate(capacity: rowCountMax)
            case .codes: unsafe column.codes = .allocate(capacity: rowCountMax)
            }
            return column
        }
    }

    deinit {
        unsafe verdicts.deallocate()
        for column in columns {
            unsafe column.numbers?.deallocate()
            unsafe column.times?.deallocate()
            unsafe column.codes?.deallocate()
            unsafe column.exceptionRows.deallocate()
            unsafe column.exceptionStates.deallocate()
        }
    }
}
