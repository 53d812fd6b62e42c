package import TidemarkBatch
import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
import TidemarkKernels
import TidemarkSketches

/// Stage 1 of one worker: decode, filter, group, fold.
///
/// The owner is the worker.
package final class StageOneOperator: StageOne {
    private let plan: Plan
    private let decoder: RecordDecoder
    /// By column of the plan: its place among the decoder's columns; -1 is not read.
    private let fieldOf: [Int]
    private let filter: RowFilter?
    private var segments: [SegmentFolder]
    private let timeField: Int?
    /// Columns that make groups, and their places among the decoder's.
    private let dimensions: [(name: String, field: Int)]
    private let texts: TextTable
    /// Texts that are too long for what is made of them.
    private var longTexts: LongTexts

    /// A dictionary above this is compacted.
    static let dictionaryCountMax = 65_536

    /// `rank`: orders groups where there are too many; any function of the group alone.
    package init(
        plan: Plan, baselines: [BaselineTable],
        rank: @escaping @Sendable ([UInt8]) -> UInt64 = { textHash($0) },
        staging: StagingPolicy = StagingPolicy()
    ) {
        self.plan = plan
        let stream = plan.stream
        var fields: [Field] = []
        var fieldOf = [Int](repeating: -1, count: stream.columns.count)
        for (index, column) in stream.columns.enumerated() where column.isRead {
            fieldOf[index] = fields.count
            fields.append(column.field)
        }
        self.fieldOf = fieldOf
        let decoder = RecordDecoder(
            fields: fields, format: stream.source.encoding.format, rowCountMax: plan.run.batchRows)
        self.decoder = decoder
        timeField = stream.eventTimeColumn.map { fieldOf[$0] }
        dimensions = Set(stream.segments.flatMap { $0.dimensions.map(\.column) }).sorted()
            .filter { fieldOf[$0] >= 0 }.map { (stream.columns[$0].name, fieldOf[$0]) }
        var inputs: [Int: RowFilter.Input] = [:]
        for (index, column) in stream.columns.enumerated() where fieldOf[index] >= 0 {
            inputs[index] = RowFilter.Input(field: fieldOf[index], type: column.type)
        }
        filter = stream.filter.map { RowFilter($0, inputs: inputs, decoder: decoder) }
        let texts = TextTable(decoder: decoder, fieldCount: fields.count)
        self.texts = texts
        longTexts = LongTexts(stream: stream, fieldOf: fieldOf)
        let monitored = monitoredBaselines(stream)
        segments = stream.segments.enumerated().map { index, segment in
            SegmentFolder(
                plan: plan, segment: segment, monitored: monitored[index], baselines: baselines,
                fieldOf: fieldOf, decoder: decoder, texts: texts, rank: rank,
                condition: segment.condition.map {
                    RowFilter($0, inputs: inputs, decoder: decoder)
                }, policy: staging)
        }
    }

    /// Decodes, sets records aside that are none or whose texts are too long, then filters.
    package func decode(_ batch: RecordBatch, into rows: RowTable) {
        decoder.decode(batch)
        let count = batch.rowCount
        let verdicts = unsafe decoder.columns.verdicts
        let times = unsafe timeField.flatMap { unsafe decoder.columns.columns[$0].times }
        let isRow = DecodeVerdict.row.rawValue
        let rowFate = RowTable.Fate.row.rawValue
        let (fates, eventTimes) = unsafe (rows.fate, rows.eventTimeMs)
        for row in 0..<count {
            if unsafe verdicts[row] == isRow {
                let time = unsafe times?[row] ?? 0
                if unsafe times != nil { unsafe eventTimes[row] = time }
                if unsafe times == nil || time != .min {
                    unsafe fates[row] = rowFate
                    continue
                }
            }
            let verdict = DecodeVerdict(rawValue: unsafe verdicts[row]) ?? .syntax
            var fate = RowTable.Fate.row
            switch verdict {
            case .row:
                if let times = unsafe times {
                    let time = unsafe times[row]
                    unsafe rows.eventTimeMs[row] = time
                    if time == .min { fate = .deadLetter }
                }
            case .tombstone: fate = .tombstone
            default: fate = .deadLetter
            }
            unsafe rows.fate[row] = fate.rawValue
        }
        longTexts.setAside(decoder, rows, rowCount: count)
        guard let filter else { return }
        let passes = filter.evaluate(rowCount: count)
        for row in 0..<count where unsafe rows.fate[row] == RowTable.Fate.row.rawValue {
            if passes[row] == RowFilter.Truth.no {
                unsafe rows.fate[row] = RowTable.Fate.filteredOut.rawValue
            } else if passes[row] == RowFilter.Truth.null {
                unsafe rows.fate[row] = RowTable.Fate.filteredNull.rawValue
            }
        }
    }

    /// Looks at the record's bytes once more: only few records are asked about.
    package func deadLetterReason(_ batch: RecordBatch, row: Int) -> DeadLetterReason {
        let verdict = DecodeVerdict(rawValue: unsafe decoder.columns.verdicts[row]) ?? .syntax
        let value = unsafe batch.value(row)
        guard verdict == .row else {
            guard let value = unsafe value, verdict != .tooLong else {
                return DeadLetterReason(verdict.reason, verdict.detail)
            }
            return DeadLetterReason(
                verdict.reason,
                unsafe faultDetail(
                    value, verdict: verdict, format: plan.stream.source.encoding.format))
        }
        if let reason = longTexts.reason(row) { return reason }
        guard let timeField, let timeColumn = plan.stream.eventTimeColumn else {
            return DeadLetterReason("not_json", "")
        }
        let name = plan.stream.columns[timeColumn].name
        let column = decoder.columns.columns[timeField]
        for index in 0..<column.exceptionCount
        where Int(unsafe column.exceptionRows[index]) == row {
            switch ValueState(rawValue: unsafe column.exceptionStates[index]) {
            case .null: return DeadLetterReason("event_time_missing", "\(name) is null")
            case .missing: return DeadLetterReason("event_time_missing", "\(name) is absent")
            default: break
            }
        }
        let detail = unsafe value.flatMap { unsafe timeFault($0, timeColumn) }
        return DeadLetterReason(
            "event_time_unreadable", detail ?? "\(name) is not a time of the declared form")
    }

    /// What the event time of a record is, and what was expected.
    private func timeFault(_ value: UnsafeRawBufferPointer, _ timeColumn: Int) -> String {
        let column = plan.stream.columns[timeColumn]
        let encoding = plan.stream.source.encoding
        if case .csv(let names, let separator) = encoding,
            let fields = unsafe csvFields(Array(value), separator: separator),
            fields.sorted() == names.sorted()
        {
            return
                "this is a header in another order: it is \(shownText(fields.joined(separator: ","))),"
                + " rows are read as \(shownText(names.joined(separator: ",")))"
        }
        // Rare, so a decoder of its own reads the record once more.
        let decoder = RecordDecoder(
            fields: [column.field], format: encoding.format, rowCountMax: 1, keepsToken: true)
        let batch = RecordBatch(rowCountMax: 1, arenaCapacity: 4096)
        unsafe batch.append(partition: 0, offset: 0, recordTimeMs: 0, key: nil, value: value)
        decoder.decode(batch)
        return timeFaultDetail(
            name: column.name, token: decoder.lastToken(), kind: column.type.fieldKind)
    }

    /// Counted by the decoder.
    package var assumedUTCCount: Int64 { decoder.assumedUTCCount }

    /// Counts by dimension of any segment; a row that lacks two counts for both.
    package func countUngrouped(
        _ rows: RowTable, rowCount: Int, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {
        for dimension in dimensions {
            let column = decoder.columns.columns[dimension.field]
            for index in 0..<column.exceptionCount {
                let row = Int(unsafe column.exceptionRows[index])
                guard row < rowCount, unsafe rows.fate[row] == RowTable.Fate.row.rawValue,
                    isNew(row),
                    let state = ValueState(rawValue: unsafe column.exceptionStates[index])
                else { continue }
                tally.add("\(dimension.name) \(state.name)") { example(row) }
            }
        }
    }

    /// Opens the pane in each segment.
    package func open(
        pane id: Int, startMs: Int64, arrivalMs: Int64?, partition: TopicPartition
    ) {
        for segment in segments {
            segment.open(
                pane: id, startMs: startMs, arrivalMs: arrivalMs, partition: partition)
        }
    }

    /// Folds the rows segment by segment; then dictionaries that grew too large are compacted.
    package func fold(_ batch: RecordBatch, rows: RowTable) {
        for segment in segments { segment.fold(batch, rows: rows) }
        compactDictionaries()
    }

    /// What the pane holds, by segment.
    package func seal(pane id: Int) -> any Partial {
        PanePartial(segments: segments.map { $0.seal(pane: id) })
    }

    /// Memory of open cells and of rows that wait to be folded.
    package var byteCount: Int {
        segments.reduce(0) { $0 + $1.byteCount }
    }

    /// Forgets texts that no open pane and no group holds, in dictionaries that grew too large.
    private func compactDictionaries() {
        for (column, field) in fieldOf.enumerated() where field >= 0 {
            guard plan.stream.columns[column].type.isText,
                decoder.dictionaryCount(field)
                    > max(
                        Self.dictionaryCountMax, 2 * texts.keptCount(field))
            else { continue }
            var used = [UInt8](repeating: 0, count: decoder.dictionaryCount(field))
            for segment in segments {
                segment.foldAllWaiting()
                segment.forgetGroups()
            }
            for segment in segments { segment.mark(column: column, used: &used) }
            let remap = decoder.compactDictionary(field, used: used)
            for segment in segments { segment.remap(column: column, remap) }
            texts.reset(field, keptCount: decoder.dictionaryCount(field))
            longTexts.forget(field)
            filter?.forgetCodes()
        }
    }
}
