package import TidemarkBatch
import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
import TidemarkKernels
import TidemarkSketches

/// The groups of one segment in a sealed pane of one partition.
struct SegmentPartial: Sendable {
    var groups: [GroupCell] = []
    /// What was beyond the limit, merged; order-free summaries alone.
    var other: GroupCell?
    /// The groups in `other`, counted.
    var otherGroups: GroupCount?
    /// Groups of this rank or above are not whole in `groups`: see `GroupRank`.
    var cut = GroupRank.all
}

/// How many different groups were merged into one: order-free.
///
/// It belongs to its pane or window.
final class GroupCount: @unchecked Sendable {
    private var sketch = HLLSketch(lgK: 12)

    func add(_ cell: GroupCell) {
        if let coupon = HLLSketch.coupon(ofBytes: cell.shape.part) { sketch.update(coupon: coupon) }
    }
    func merge(_ other: GroupCount) { sketch.merge(other.sketch) }
    var estimate: Int { Int(sketch.estimate.rounded()) }

    func writeState(_ bytes: inout [UInt8]) { sketch.writeState(&bytes) }

    static func readState(_ reader: inout ByteReader) throws(SketchError) -> GroupCount {
        let count = GroupCount()
        count.sketch = try HLLSketch.readState(&reader)
        return count
    }
}

/// What `StageOneOperator` seals: the groups of every segment.
final class PanePartial: Partial {
    let segments: [SegmentPartial]
    let byteCount: Int

    init(segments: [SegmentPartial]) {
        self.segments = segments
        byteCount = segments.reduce(64) { sum, segment in
            segment.groups.reduce(sum + (segment.other?.byteCount ?? 0)) { $0 + $1.byteCount }
        }
    }
}

/// The order in which groups are kept when there are too many: those that the topology names,
/// then by hash.
///
/// The order of arrival has no say.
struct GroupRank: Comparable, Sendable {
    var isNamed: Bool
    var hash: UInt64

    /// Every group ranks below it: nothing was cut.
    static let all = GroupRank(isNamed: false, hash: .max)

    static func < (a: GroupRank, b: GroupRank) -> Bool {
        a.isNamed != b.isNamed ? a.isNamed : a.hash < b.hash
    }
}

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
    private let texts: TextTable

    /// A dictionary above this is compacted.
    static let dictionaryCountMax = 65_536

    /// `rank`: orders groups where there are too many; any function of the group alone.
    package init(
        plan: Plan, baselines: [BaselineTable],
        rank: @escaping @Sendable ([UInt8]) -> UInt64 = { textHash($0) }
    ) {
        self.plan = plan
        let stream = plan.stream
        var fields: [Field] = []
        var fieldOf = [Int](repeating: -1, count: stream.columns.count)
        for (index, column) in stream.columns.enumerated() where column.isRead {
            fieldOf[index] = fields.count
            fields.append(
                Field(
                    kind: column.type.fieldKind,
                    path: column.path.map { step in
                        switch step {
                        case .key(let key): .key(key)
                        case .index(let place): .index(place)
                        }
                    }, acceptText: column.acceptText, nullValues: column.nullValues))
        }
        self.fieldOf = fieldOf
        let decoder = RecordDecoder(fields: fields, rowCountMax: plan.run.batchRows)
        self.decoder = decoder
        timeField = stream.eventTimeColumn.map { fieldOf[$0] }
        var inputs: [Int: RowFilter.Input] = [:]
        for (index, column) in stream.columns.enumerated() where fieldOf[index] >= 0 {
            inputs[index] = RowFilter.Input(field: fieldOf[index], type: column.type)
        }
        filter = stream.filter.map { RowFilter($0, inputs: inputs, decoder: decoder) }
        let texts = TextTable(decoder: decoder, fieldCount: fields.count)
        self.texts = texts
        let monitored = monitoredBaselines(stream)
        segments = stream.segments.enumerated().map { index, segment in
            SegmentFolder(
                plan: plan, segment: segment, monitored: monitored[index], baselines: baselines,
                fieldOf: fieldOf, decoder: decoder, texts: texts, rank: rank,
                condition: segment.condition.map {
                    RowFilter($0, inputs: inputs, decoder: decoder)
                })
        }
    }

    package func decode(_ batch: RecordBatch, into rows: RowTable) {
        decoder.decode(batch)
        let count = batch.rowCount
        let verdicts = unsafe decoder.columns.verdicts
        let times = unsafe timeField.flatMap { unsafe decoder.columns.columns[$0].times }
        for row in 0..<count {
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

    package func deadLetterReason(_ batch: RecordBatch, row: Int) -> DeadLetterReason {
        let verdict = DecodeVerdict(rawValue: unsafe decoder.columns.verdicts[row]) ?? .syntax
        guard verdict == .row else {
            return DeadLetterReason(verdict.reason, verdict.detail)
        }
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
        return DeadLetterReason(
            "event_time_unreadable", "\(name) is not a time of the declared form")
    }

    package func open(pane id: Int, startMs: Int64, partition: TopicPartition) {
        for segment in segments { segment.open(pane: id, startMs: startMs, partition: partition) }
    }

    package func fold(_ batch: RecordBatch, rows: RowTable) {
        for segment in segments { segment.fold(batch, rows: rows) }
        compactDictionaries()
    }

    package func seal(pane id: Int) -> any Partial {
        PanePartial(segments: segments.map { $0.seal(pane: id) })
    }

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
            for segment in segments { segment.forgetGroups() }
            for segment in segments { segment.mark(column: column, used: &used) }
            let remap = decoder.compactDictionary(field, used: used)
            for segment in segments { segment.remap(column: column, remap) }
            texts.reset(field, keptCount: decoder.dictionaryCount(field))
            filter?.forgetCodes()
        }
    }
}

/// What is worked out once of each text of a dictionary: its hash for HyperLogLog and for
/// matching categories.
///
/// The owner is the worker.
final class TextTable {
    private let decoder: RecordDecoder
    /// No coupon: the empty text, which HyperLogLog leaves out.
    private var hashes: [[(coupon: UInt32?, hash: UInt64)]]
    private var copies: [[[UInt8]]]
    private var kept: [Int]

    init(decoder: RecordDecoder, fieldCount: Int) {
        self.decoder = decoder
        hashes = Array(repeating: [], count: fieldCount)
        copies = Array(repeating: [], count: fieldCount)
        kept = Array(repeating: 0, count: fieldCount)
    }

    func keptCount(_ field: Int) -> Int { kept[field] }

    func reset(_ field: Int, keptCount: Int) {
        hashes[field] = []
        copies[field] = []
        kept[field] = keptCount
    }

    /// The bytes of all texts of the dictionary: one array each, shared by all that name it.
    func bytes(_ field: Int) -> [[UInt8]] {
        let count = decoder.dictionaryCount(field)
        for code in copies[field].count..<max(count, copies[field].count) {
            copies[field].append(
                unsafe Array(decoder.text(field, code: UInt32(truncatingIfNeeded: code))))
        }
        return copies[field]
    }

    /// All texts of the dictionary as it stands.
    func all(_ field: Int) -> [(coupon: UInt32?, hash: UInt64)] {
        let count = decoder.dictionaryCount(field)
        if hashes[field].count < count {
            var known = hashes[field]
            hashes[field] = []
            for code in known.count..<count {
                let text = unsafe decoder.text(field, code: UInt32(truncatingIfNeeded: code))
                guard let base = text.baseAddress else { continue }
                let hash = unsafe murmur3(base, count: text.count, seed: dataSketchesSeed)
                unsafe known.append((text.isEmpty ? nil : HLLSketch.coupon(hash), hash.low))
            }
            hashes[field] = known
        }
        return hashes[field]
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
