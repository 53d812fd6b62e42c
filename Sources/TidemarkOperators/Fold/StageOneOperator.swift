package import TidemarkBatch
import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
import TidemarkExpressions
import TidemarkKernels
package import TidemarkMonitors
import TidemarkSketches

/// Stage 1 of one worker: decode, filter, group, fold.
///
/// The owner is the worker.
package final class StageOneOperator: StageOne {
    private let plan: Plan
    private let frame: Frame
    private let decoder: any RowDecoder
    /// What computes columns, in its order.
    private let steps: [any ColumnStep]
    /// What computes columns and conditions by expressions; `nil`: there are none.
    private let expressions: StreamProgram?
    private var segments: [SegmentFolder]
    private let timeColumn: Int?
    /// Columns that make groups.
    private let dimensions: [Int]
    private let texts: TextTable
    /// Texts that are too long for what is made of them.
    private var longTexts: LongTexts

    /// A dictionary above this is compacted.
    static let dictionaryCountMax = 65_536

    /// A stage for a plan.
    ///
    /// - `rank`: orders groups where there are too many; any function of the group alone.
    /// - `steps`: what computes the columns of the plan that are not read.
    /// - `decoder`: what reads records into the frame that it is given; by default a row a record, in the
    ///   encoding of the plan.
    package init(
        plan: Plan, baselines: [BaselineTable],
        rank: @escaping @Sendable ([UInt8]) -> UInt64 = { textHash($0) },
        staging: StagingPolicy = StagingPolicy(), steps: [any ColumnStep] = [],
        decoder makeDecoder: ((StreamPlan, Frame) -> any RowDecoder)? = nil
    ) {
        self.plan = plan
        self.steps = steps
        let stream = plan.stream
        let frame = Frame(stream, rowCountMax: plan.run.batchRows)
        self.frame = frame
        decoder = makeDecoder?(stream, frame) ?? RecordDecoder(stream, into: frame)
        timeColumn = stream.eventTimeColumn
        dimensions = Set(stream.segments.flatMap { $0.dimensions.map(\.column) }).sorted()
            .filter { stream.columns[$0].isHeld }
        let expressions = StreamProgram(stream, frame)
        self.expressions = expressions
        let texts = TextTable(frame: frame, rules: stream.columns.map(\.textRules))
        self.texts = texts
        longTexts = LongTexts(stream: stream)
        let monitored = monitoredBaselines(stream)
        segments = stream.segments.enumerated().map { index, segment in
            unsafe SegmentFolder(
                plan: plan, segment: segment, monitored: monitored[index], baselines: baselines,
                frame: frame, texts: texts, rank: rank,
                condition: expressions?.conditions[index],
                policy: staging)
        }
    }

    /// Decodes, computes, sets records aside that are none or whose texts are too long, then filters.
    package func decode(
        _ batch: RecordBatch, from cursor: RecordCursor, into rows: RowTable
    ) -> RecordCursor {
        let next = decoder.decode(batch, from: cursor)
        rows.map.copy(frame.rows)
        for step in steps { step.fill(frame, of: batch) }
        expressions?.program.run()
        takeVerdicts(rows)
        longTexts.setAside(frame, rows)
        if let filter = unsafe expressions?.filter { unsafe leaveOut(filter, rows) }
        return next
    }

    /// What the decoder said of each row, and its event time.
    private func takeVerdicts(_ rows: RowTable) {
        let verdicts = unsafe frame.verdicts
        let (isRow, isTombstone) = (DecodeVerdict.row.rawValue, DecodeVerdict.tombstone.rawValue)
        let (rowFate, deadLetter) = (RowTable.Fate.row.rawValue, RowTable.Fate.deadLetter.rawValue)
        let fates = unsafe rows.fate
        for row in 0..<frame.rowCount {
            let verdict = unsafe verdicts[row]
            let other = verdict == isTombstone ? RowTable.Fate.tombstone.rawValue : deadLetter
            unsafe fates[row] = verdict == isRow ? rowFate : other
        }
        guard let timeColumn, let times = unsafe frame.columns[timeColumn].times else { return }
        // Those of rows that are none as well: nobody looks at them.
        unsafe rows.eventTimeMs.update(from: times, count: frame.rowCount)
        for row in 0..<frame.rowCount where unsafe times[row] == .min && fates[row] == rowFate {
            unsafe fates[row] = deadLetter
        }
    }

    /// Takes out rows for which the filter is not true.
    private func leaveOut(_ passes: UnsafePointer<UInt8>, _ rows: RowTable) {
        for row in 0..<frame.rowCount
        where unsafe rows.fate[row] == RowTable.Fate.row.rawValue {
            if unsafe passes[row] == Truth.no {
                unsafe rows.fate[row] = RowTable.Fate.filteredOut.rawValue
            } else if unsafe passes[row] == Truth.null {
                unsafe rows.fate[row] = RowTable.Fate.filteredNull.rawValue
            }
        }
    }

    /// Looks at the record's bytes once more: only few records are asked about.
    package func deadLetterReason(_ batch: RecordBatch, row: Int) -> DeadLetterReason {
        let verdict = DecodeVerdict(rawValue: unsafe frame.verdicts[row]) ?? .syntax
        let value = unsafe batch.value(frame.rows.record(of: row))
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
        guard let timeColumn else {
            return DeadLetterReason("not_json", "")
        }
        let name = plan.stream.columns[timeColumn].name
        let column = frame.columns[timeColumn]
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
        let batch = RecordBatch(recordCountMax: 1, arenaCapacity: 4096)
        unsafe batch.append(partition: 0, offset: 0, recordTimeMs: 0, key: nil, value: value)
        decoder.decode(batch)
        return timeFaultDetail(
            name: column.name, token: decoder.lastToken(), kind: column.type.fieldKind)
    }

    /// Counted by the decoder.
    package var assumedUTCCount: Int64 { decoder.assumedUTCCount }

    /// Counts by dimension of any segment; a row that lacks two counts for both.
    package func countUngrouped(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {
        for dimension in dimensions {
            let column = frame.columns[dimension]
            for index in 0..<column.exceptionCount {
                let row = Int(unsafe column.exceptionRows[index])
                guard row < frame.rowCount, unsafe rows.fate[row] == RowTable.Fate.row.rawValue,
                    case let record = frame.rows.record(of: row), isNew(record),
                    let state = ValueState(rawValue: unsafe column.exceptionStates[index])
                else { continue }
                tally.add("\(plan.stream.columns[dimension].name) \(state.name)") {
                    example(record)
                }
            }
        }
    }

    /// Counts by expression.
    package func countUndefined(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {
        expressions?.countUndefined(rows, isNew: isNew, into: &tally, example: example)
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
        for (column, dictionary) in frame.dictionaries.enumerated() {
            guard let dictionary,
                dictionary.count > max(Self.dictionaryCountMax, 2 * texts.keptCount(column))
            else { continue }
            var used = [UInt8](repeating: 0, count: dictionary.count)
            for segment in segments {
                segment.foldAllWaiting()
                segment.forgetGroups()
            }
            for segment in segments { segment.mark(column: column, used: &used) }
            let remap = dictionary.compact(keeping: used)
            for segment in segments { segment.remap(column: column, remap) }
            texts.reset(column, keptCount: dictionary.count)
            longTexts.forget(column)
            expressions?.program.forgetCodes()
        }
    }
}
