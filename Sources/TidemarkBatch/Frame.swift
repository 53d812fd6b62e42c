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

/// One column of a frame: a place for each row, and the rows that have no value.
///
/// The memory belongs to the `Frame`.
@safe
package struct Column {
    /// What a column's values are kept as.
    package enum Storage: Sendable {
        /// As `Double`.
        case numbers
        /// As milliseconds since 1970.
        case times
        /// As codes of the column's dictionary.
        case codes
    }

    /// Number columns: NaN where there is no value.
    package var numbers: UnsafeMutablePointer<Double>?
    /// Time columns, ms since 1970: `Int64.min` where there is no value.
    package var times: UnsafeMutablePointer<Int64>?
    /// Text columns: code of the column's dictionary, `UInt32.max` where there is no value.
    package var codes: UnsafeMutablePointer<UInt32>?
    /// Rows without a value, ascending, and why.
    package var exceptionRows: UnsafeMutablePointer<UInt16>
    /// `ValueState` of each of those rows, as its raw value.
    package var exceptionStates: UnsafeMutablePointer<UInt8>
    /// How many rows have no value; so many places of both lists are in use.
    package var exceptionCount = 0
}

/// Where a decoder stands in a batch: the record to go on with, and how many of its rows were taken.
package struct RecordCursor: Sendable, Equatable {
    /// A place in the batch.
    package var record: Int
    /// Rows of that record that earlier frames have.
    package var rowsTaken: Int

    package init(record: Int, rowsTaken: Int = 0) {
        self.record = record
        self.rowsTaken = rowsTaken
    }

    /// The beginning of a batch.
    package static let start = RecordCursor(record: 0)
}

/// Which record of a batch each row stands for.
///
/// Every record has a row at least: one that cannot be read, or holds no rows, has one that stands for it.
/// Rows of a record follow each other. Nearly always a row is a record, and then nothing is looked up.
@safe
package final class RowMap {
    /// Rows that it holds at most.
    package let rowCountMax: Int
    /// Rows that are in it.
    package private(set) var rowCount = 0
    /// Each row is the record of the same place, from the first record on.
    package private(set) var isOneToOne = true
    private let records: UnsafeMutablePointer<UInt16>
    private let places: UnsafeMutablePointer<Int64>
    private let offsets: UnsafeMutablePointer<Int64>

    /// A map of no rows.
    ///
    /// - Precondition: at most 4,096 rows: row numbers are 16 bits elsewhere.
    package init(rowCountMax: Int) {
        precondition(rowCountMax > 0 && rowCountMax <= 4096, "row numbers are 16 bits")
        self.rowCountMax = rowCountMax
        unsafe records = .allocate(capacity: rowCountMax)
        unsafe places = .allocate(capacity: rowCountMax)
        unsafe offsets = .allocate(capacity: rowCountMax)
    }

    deinit {
        unsafe records.deallocate()
        unsafe places.deallocate()
        unsafe offsets.deallocate()
    }

    /// Each of so many records is a row.
    package func setOneToOne(_ recordCount: Int) {
        precondition(recordCount <= rowCountMax, "no more records than rows")
        rowCount = recordCount
        isOneToOne = true
    }

    /// Forgets all rows, before `append`.
    package func clear() {
        rowCount = 0
        isOneToOne = false
    }

    /// Adds the next row: of which record of the batch, and the how manieth of its rows it is, from 0.
    package func append(record: Int, place: Int, of batch: RecordBatch) {
        precondition(rowCount < rowCountMax && !isOneToOne, "room for a row, after `clear`")
        unsafe records[rowCount] = UInt16(truncatingIfNeeded: record)
        unsafe places[rowCount] = Int64(place)
        unsafe offsets[rowCount] = batch.offset[record]
        rowCount += 1
    }

    /// Takes over the rows of another map of the same size.
    package func copy(_ other: RowMap) {
        precondition(other.rowCount <= rowCountMax, "room for all rows")
        rowCount = other.rowCount
        isOneToOne = other.isOneToOne
        guard !isOneToOne else { return }
        unsafe records.update(from: other.records, count: rowCount)
        unsafe places.update(from: other.places, count: rowCount)
        unsafe offsets.update(from: other.offsets, count: rowCount)
    }

    /// The place in the batch of a row's record.
    package func record(of row: Int) -> Int { isOneToOne ? row : Int(unsafe records[row]) }

    /// The how manieth row of its record it is, from 0.
    package func place(of row: Int) -> Int { isOneToOne ? 0 : Int(unsafe places[row]) }

    /// By row: the offset of its record.
    package func offsets(of batch: RecordBatch) -> UnsafePointer<Int64> {
        unsafe isOneToOne ? UnsafePointer(batch.offset) : UnsafePointer(offsets)
    }

    /// By row: the how manieth of its record it is; `nil`: each is the only one.
    package var placesOfMany: UnsafePointer<Int64>? {
        unsafe isOneToOne ? nil : UnsafePointer(places)
    }
}

/// The rows of a batch as typed columns, with the dictionaries of their texts and the record of each row.
///
/// A decoder fills the columns that are read from records; what is computed of them (an expression, a
/// score) is a column like those. One a worker, filled again for each batch. The owner is the worker.
@safe
package final class Frame {
    /// Which record each row stands for, and how many rows there are.
    package let rows: RowMap
    /// In the order of the plan's columns; one that is not held has no values.
    package var columns: [Column]
    /// By column, of columns of codes: their texts.
    package let dictionaries: [TextDictionary?]
    /// A decoder's verdict by row: 0 is a row; other values are the decoder's own.
    package let verdicts: UnsafeMutablePointer<UInt8>

    /// A frame without rows.
    ///
    /// - Parameters:
    ///   - storage: by column what its values are kept as; `nil`: the column is not held. Each that is held
    ///     takes 3 bytes a row beside its values.
    ///   - rowCountMax: rows that it holds at most.
    package init(storage: [Column.Storage?], rowCountMax: Int) {
        rows = RowMap(rowCountMax: rowCountMax)
        unsafe verdicts = .allocate(capacity: rowCountMax)
        unsafe verdicts.initialize(repeating: 0, count: rowCountMax)
        columns = storage.map { kind in
            let count = kind == nil ? 0 : rowCountMax
            var column = unsafe Column(
                exceptionRows: .allocate(capacity: count),
                exceptionStates: .allocate(capacity: count))
            switch kind {
            case .numbers: unsafe column.numbers = .allocate(capacity: count)
            case .times: unsafe column.times = .allocate(capacity: count)
            case .codes: unsafe column.codes = .allocate(capacity: count)
            case nil: break
            }
            return column
        }
        dictionaries = storage.map { $0 == .codes ? TextDictionary() : nil }
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

    /// Rows that are in it.
    package var rowCount: Int { rows.rowCount }

    /// Texts of a column's dictionary; 0 where it has none.
    package func textCount(_ column: Int) -> Int { dictionaries[column]?.count ?? 0 }

    /// The text of a code of a column; valid until the next batch, or until texts are forgotten.
    ///
    /// - Precondition: the column is one of texts, and the code one of its dictionary.
    package func text(_ column: Int, code: UInt32) -> UnsafeRawBufferPointer {
        guard let dictionary = dictionaries[column] else {
            preconditionFailure("a column of texts")
        }
        return unsafe dictionary.text(code)
    }

    /// Says that a row has no value in a column; rows come in their order.
    ///
    /// - Precondition: the column is held, and the row is behind those that were said of it in this batch.
    package func setException(_ column: Int, row: Int, _ state: ValueState) {
        let held = columns[column]
        unsafe held.numbers?[row] = .nan
        unsafe held.times?[row] = .min
        unsafe held.codes?[row] = .max
        unsafe held.exceptionRows[held.exceptionCount] = UInt16(truncatingIfNeeded: row)
        unsafe held.exceptionStates[held.exceptionCount] = state.rawValue
        columns[column].exceptionCount += 1
    }
}

/// Reads the rows of records into a frame: a format's half of stage 1.
///
/// It writes the columns that it was made for, the verdicts and the rows of its frame. The owner is one
/// worker.
package protocol RowDecoder: AnyObject {
    /// What it fills.
    var frame: Frame { get }
    /// Replaces the frame's rows by those of the records from `cursor` on, as many as fit.
    ///
    /// - Returns: where to go on; a record behind the last one when all were read.
    func decode(_ batch: RecordBatch, from cursor: RecordCursor) -> RecordCursor
    /// Times without an offset that were read as UTC, since their column names no zone; since the start.
    var assumedUTCCount: Int64 { get }
}

/// Computes columns of a frame of those that were read: a step between decoding and folding.
///
/// The owner is one worker.
package protocol ColumnStep: AnyObject {
    /// Fills its columns for all rows of the frame; rows whose verdict is not 0 have no values.
    func fill(_ frame: Frame, of batch: RecordBatch)
}
