internal import CDecode
package import TidemarkBatch
import TidemarkCore
package import TidemarkKernels
package import TidemarkText

/// What a column of a record is to the decoder.
package enum FieldKind: Int32, Sendable {
    case number, integer
    /// Text that is compared by value; numbers and booleans become their text.
    case category
    /// Text alone.
    case text
    case boolean
    case timeS, timeMs, timeUs, timeNs, timeText

    /// What its values are kept as.
    package var storage: Column.Storage {
        switch self {
        case .number, .integer: .numbers
        case .category, .text, .boolean: .codes
        case .timeS, .timeMs, .timeUs, .timeNs, .timeText: .times
        }
    }
}

/// A wanted path of a record.
package struct Field: Sendable {
    /// One step on the way to the value.
    package enum Step: Sendable {
        case key(String)
        case index(Int)
    }
    /// How the value is read.
    package var kind: FieldKind
    /// The way from the record to the value; of CSV the field's name alone.
    package var path: [Step]
    /// `"12.5"` is read as 12.5 in a number.
    package var acceptText: Bool
    /// Texts that mean null.
    package var nullValues: [String]
    /// What a time without an offset means, of a time that is a text; `nil`: UTC, and the decoder counts
    /// such times.
    package var zone: ZoneRules?

    package init(
        kind: FieldKind, path: [Step], acceptText: Bool = false, nullValues: [String] = [],
        zone: ZoneRules? = nil
    ) {
        self.kind = kind
        self.path = path
        self.acceptText = acceptText
        self.nullValues = nullValues
        self.zone = zone
    }
}

/// How a record is written.
package enum RecordFormat: Sendable, Equatable {
    case json
    /// A row of comma-separated values (RFC 4180), its fields named in their order; a field's path is
    /// its name.
    case csv(columns: [String], separator: UInt8)
}

/// What the decoder said of a row that is no row.
package enum DecodeVerdict: UInt8, Sendable {
    case row = 0
    case empty, notUTF8, unclosedString, controlCharacter, truncated, syntax, badToken, notAnObject
    case tombstone, tooLong
    case tooManyFields, strayQuote, unclosedQuote

    /// The stable name of the dead letter's reason.
    package var reason: String {
        switch self {
        case .row, .tombstone: "none"
        case .empty: "empty"
        case .tooLong: "too_long"
        case .notAnObject: "not_an_object"
        case .notUTF8: "not_utf8"
        case .unclosedString, .controlCharacter, .truncated, .syntax, .badToken: "not_json"
        case .tooManyFields, .strayQuote, .unclosedQuote: "not_csv"
        }
    }

    /// What is wrong, in words, where nothing better can be said of the bytes.
    package var detail: String {
        switch self {
        case .row, .tombstone: ""
        case .empty: "the record has no bytes"
        case .tooLong: "the record is longer than limits.record"
        case .notAnObject: "the record is JSON, but not an object"
        case .notUTF8: "the bytes are not UTF-8"
        case .unclosedString: "a string is not closed"
        case .controlCharacter: "a string holds a control character that is not escaped"
        case .truncated: "the record ends before its object does"
        case .syntax: "a comma, colon, quote or bracket is missing, or there is one too many"
        case .badToken: "a value is not a number, text, true, false or null"
        case .tooManyFields: "there are more fields than columns"
        case .unclosedQuote: "a quoted field is not closed"
        case .strayQuote:
            "there is a quote inside a field, or text behind the one that closes it"
        }
    }
}

/// Reads JSON records, or rows of comma-separated values, into the columns of a frame: a row a record.
///
/// Rows that look like earlier ones (same keys, order and punctuation) are read in place, column by
/// column; the others one by one over simdjson's structural index. Which way a row took never shows
/// in its verdict, its values or its states.
///
/// The owner is one worker.
///
/// - Complexity: one pass over the bytes; nothing is allocated a record, but for new texts.
@safe
package final class RecordDecoder: RowDecoder {
    /// What `decode` fills.
    package let frame: Frame
    private let handle: OpaquePointer
    /// By field: the column of the frame that it fills.
    private let columns: [Int]
    private let raw: UnsafeMutablePointer<tm_json_column>

    /// A decoder of the wanted fields, with no layouts.
    ///
    /// - Parameters:
    ///   - fields: what is read, and the column of the frame that it fills.
    ///   - frame: what is filled; it holds a batch at least, and its columns are as the fields need them.
    ///   - format: how records are written.
    ///   - speculates: whether rows are read by the layouts of earlier ones where they have one of
    ///     them; false sends every row through the walk. Results are the same. By default where the
    ///     processor has vector instructions: in their plain form layouts cost more than the walk.
    ///   - tier: the instructions of that reader; results are the same.
    ///   - keepsToken: whether `lastToken` is wanted; every row then goes through the walk.
    package init(
        fields: [(field: Field, column: Int)],
        into frame: Frame,
        format: RecordFormat = .json,
        speculates: Bool = InstructionTier.current != .scalar,
        tier: InstructionTier = .current,
        keepsToken: Bool = false
    ) {
        self.frame = frame
        columns = fields.map(\.column)
        unsafe handle = tm_json_new()
        unsafe raw = .allocate(capacity: max(1, fields.count))
        for (index, place) in columns.enumerated() {
            let column = frame.columns[place]
            unsafe (raw + index).initialize(
                to: tm_json_column(
                    numbers: column.numbers, times: column.times, codes: column.codes,
                    dictionary: frame.dictionaries[place]?.handle,
                    exception_rows: column.exceptionRows,
                    exception_states: column.exceptionStates, exception_count: 0))
        }
        unsafe tm_json_speculate(handle, speculates && !keepsToken ? 1 : 0, tier.rawValue)
        if keepsToken { unsafe tm_json_keep_token(handle) }
        for (field, _) in fields { add(field) }
        if case .csv(let columns, let separator) = format { useCSV(columns, separator) }
    }

    /// A decoder with a frame of its own: a column a field, in their order.
    ///
    /// `rowCountMax`: records of a batch at most.
    package convenience init(
        fields: [Field],
        format: RecordFormat = .json,
        rowCountMax: Int,
        speculates: Bool = InstructionTier.current != .scalar,
        tier: InstructionTier = .current,
        keepsToken: Bool = false
    ) {
        self.init(
            fields: zip(fields, 0...).map { ($0, $1) },
            into: Frame(storage: fields.map(\.kind.storage), rowCountMax: rowCountMax),
            format: format, speculates: speculates, tier: tier, keepsToken: keepsToken)
    }

    deinit {
        unsafe tm_json_free(handle)
        unsafe raw.deallocate()
    }

    private func useCSV(_ columns: [String], _ separator: UInt8) {
        let names = columns.map { Array($0.utf8) }
        // One block for all bytes, so that every pointer is good for the length of the call.
        let bytes = Array(names.joined()) + [0]
        unsafe bytes.withUnsafeBufferPointer { block in
            guard var at = block.baseAddress else { return }
            var starts: [UnsafePointer<UInt8>?] = unsafe []
            for name in names {
                unsafe starts.append(at)
                unsafe at += name.count
            }
            unsafe tm_json_use_csv(handle, starts, names.map(\.count), names.count, separator)
        }
    }

    private func add(_ field: Field) {
        let keys = field.path.map { step -> [UInt8] in
            if case .key(let key) = step { return Array(key.utf8) }
            return []
        }
        let nulls = field.nullValues.map { Array($0.utf8) }
        // One block for all bytes, so that every pointer is good for the length of the call.
        let bytes: [UInt8] = Array((keys + nulls).joined()) + [0]
        unsafe bytes.withUnsafeBufferPointer { block in
            guard let base = block.baseAddress else { return }
            var at = 0
            var steps: [tm_json_step] = unsafe []
            for (step, key) in zip(field.path, keys) {
                switch step {
                case .key:
                    unsafe steps.append(
                        tm_json_step(key: base + at, key_length: key.count, index: 0))
                    at += key.count
                case .index(let index):
                    unsafe steps.append(
                        tm_json_step(
                            key: nil, key_length: 0, index: UInt32(truncatingIfNeeded: index)))
                }
            }
            var pointers: [UnsafePointer<UInt8>?] = unsafe []
            var lengths: [Int] = []
            for null in nulls {
                unsafe pointers.append(base + at)
                lengths.append(null.count)
                at += null.count
            }
            unsafe tm_json_add(
                handle, field.kind.rawValue, field.acceptText ? 1 : 0, steps, steps.count,
                pointers, lengths, nulls.count, field.zone?.localSeconds ?? [],
                field.zone?.offsets ?? [], field.zone?.offsets.count ?? 0)
        }
    }

    /// Decodes all records: a row each.
    ///
    /// Tombstones and rows whose value was cut at `limits.record` keep their own verdicts and no
    /// values.
    package func decode(_ batch: RecordBatch) {
        let count = batch.recordCount
        frame.rows.setOneToOne(count)
        let verdicts = unsafe frame.verdicts
        for row in 0..<count {
            let length = unsafe batch.valueLength[row]
            unsafe verdicts[row] =
                length < 0
                ? DecodeVerdict.tombstone.rawValue
                : unsafe batch.valueLengthWhole[row] > Int64(length)
                    ? DecodeVerdict.tooLong.rawValue : 0
        }
        unsafe tm_json_decode(
            handle, batch.arena.assumingMemoryBound(to: UInt8.self), batch.valueStart,
            batch.valueLength, UInt32(truncatingIfNeeded: count), raw, verdicts)
        for (index, column) in columns.enumerated() {
            frame.columns[column].exceptionCount = Int(unsafe raw[index].exception_count)
        }
    }

    /// Decodes all records at once: there is no going on.
    package func decode(_ batch: RecordBatch, from cursor: RecordCursor) -> RecordCursor {
        precondition(cursor == .start, "a frame holds a batch")
        decode(batch)
        return RecordCursor(record: batch.recordCount)
    }

    /// Rows read by a layout, and rows that went through the walk, since the start.
    package var rowCounts: (byLayout: UInt64, walked: UInt64) {
        var byLayout: UInt64 = 0
        var walked: UInt64 = 0
        unsafe tm_json_row_counts(handle, &byLayout, &walked)
        return (byLayout, walked)
    }

    /// Times without an offset that were read as UTC, since their column names no zone; since the start.
    package var assumedUTCCount: Int64 { Int64(unsafe tm_json_assumed_utc(handle)) }

    /// The letters of the last value that was read, quotes of JSON included, at most 256 bytes; `nil`: there
    /// was none since this was last asked, or `keepsToken` was not set.
    package func lastToken() -> [UInt8]? {
        var length = 0
        guard let bytes = unsafe tm_json_last_token(handle, &length) else { return nil }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: length))
    }
}
