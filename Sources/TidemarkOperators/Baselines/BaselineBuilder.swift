package import TidemarkBatch
import TidemarkCodec
import TidemarkCore
package import TidemarkDataflow
import TidemarkDrift
package import TidemarkExpressions
package import TidemarkMonitors
import TidemarkText

/// Makes a baseline from records: exact quantiles for the edges, exact counts in them.
///
/// - Memory: 8 bytes a number and row; texts are counted, not kept.
package final class BaselineBuilder {
    /// How bins of a number column are chosen.
    package enum EdgeRule: Sendable {
        /// Equal bins where no value is frequent and none of them holds too much, else by quantiles.
        case automatic(bins: Int)
        /// Equal bins over the central share (99.8%): the tails are under and over.
        case equal(bins: Int)
        /// As many values in each bin, and frequent values in bins of their own.
        case quantile(bins: Int)
        /// Those of another baseline.
        case table(BaselineTable)
        /// Those in which the columns are counted anyway, and texts by hash beside their names: for a baseline of a
        /// topic. Numbers that nobody gave bins get automatic ones.
        case columns(bins: Int)
    }

    /// Equal bins lie over this share of the values, the same part cut off at both ends.
    package static let centralShare = 0.998
    /// Categories that are counted by name; all others count as one.
    package static let categoryCountMax = 20

    private struct ColumnValues {
        var numbers: [Double] = []
        var texts: [[UInt8]: Int64] = [:]
        var nullCount: Int64 = 0
        /// Among those: of another type, and not finite.
        var wrongTypeCount: Int64 = 0
        var nonFiniteCount: Int64 = 0
    }

    private let columns: [ColumnPlan]
    private let dimensions: [(name: String, column: Int)]
    private let timeColumn: Int?
    private let windowMs: Int64
    /// `nil`: all of them.
    private let windowCount: Int?
    private let decoder: RecordDecoder
    private let kinds: [ColumnPlan]
    /// By group part: the first window's start, if only some windows are taken.
    private var firstWindows: [[UInt8]: Int64] = [:]
    private var values: [[UInt8]: [ColumnValues]] = [:]
    /// Rows that were taken: of the groups' first windows, where only some are wanted.
    package private(set) var rowCount: Int64 = 0
    /// Records that are no rows.
    package private(set) var badCount: Int64 = 0
    /// Rows whose event time is none: a run sets them aside.
    package private(set) var timelessCount: Int64 = 0
    /// Rows that `filter` leaves out.
    package private(set) var filteredCount: Int64 = 0
    /// What computes columns and the filter; `nil`: there is neither.
    private let program: RowProgram?
    /// The part of it that is the filter.
    private let filterPart: Int?

    /// - `columns`: what the records hold; watched ones are those of role feature, score, class and
    ///   label.
    /// - `dimensions`: columns that make the group; none makes one pooled baseline.
    /// - `encoding`: how records are written.
    /// - `filter`: rows for which it is not true are left out, as in a run.
    package init(
        columns: [ColumnPlan], encoding: RecordEncoding = .json, by dimensions: [String],
        timeColumn: Int?, windowMs: Int64,
        windowCount: Int?, rowCountMax: Int, filter: RowExpression? = nil
    ) throws(BaselineTable.Problem) {
        self.columns = columns
        kinds = columns
        self.timeColumn = timeColumn
        self.windowMs = windowMs
        self.windowCount = windowCount
        var found: [(name: String, column: Int)] = []
        for name in dimensions.sorted() {
            guard let place = columns.firstIndex(where: { $0.name == name && $0.type.isText })
            else {
                throw BaselineTable.Problem(
                    "no text column `\(name)` to group by; there are \(columns.filter { $0.type.isText }.map(\.name).joined(separator: ", "))"
                )
            }
            found.append((name, place))
        }
        self.dimensions = found
        if windowCount != nil, timeColumn == nil {
            throw BaselineTable.Problem("windows need an event time, and no column is one")
        }
        let frame = Frame(
            storage: columns.map { $0.type.fieldKind.storage }, rowCountMax: rowCountMax)
        decoder = RecordDecoder(
            fields: zip(columns, 0...).filter { $0.0.computation == nil }.map { ($0.field, $1) },
            into: frame, format: encoding.format)
        var parts = StreamProgram.computed(columns) { _ in true }
        filterPart = filter == nil ? nil : parts.count
        if let filter { parts.append(RowProgram.Part(name: "filter", expression: filter)) }
        program =
            parts.isEmpty
            ? nil
            : RowProgram(columns: columns.map(\.asExpressionColumn), frame: frame, parts: parts)
    }

    /// Reads all records that `feed` hands on, in batches: twice where the first windows of each group must be found
    /// first.
    package func read(
        _ feed: (_ take: (RecordBatch) -> Void) throws(ConnectorError) -> Void
    ) throws(ConnectorError) {
        for note in windowCount == nil ? [false] : [true, false] {
            try feed { [self] batch in
                guard batch.recordCount > 0 else { return }
                decoder.decode(batch)
                take(batch.recordCount, note: note)
            }
        }
    }

    /// A batch of as many records as it takes at once.
    package func makeBatch() -> RecordBatch {
        RecordBatch(recordCountMax: decoder.frame.rows.rowCountMax, arenaCapacity: 1 << 20)
    }

    private func take(_ count: Int, note: Bool) {
        let decoded = decoder.frame.columns
        var parts: [[UInt32]: [UInt8]] = [:]
        var keep: [(row: Int, part: [UInt8])] = []
        program?.run()
        let passes = unsafe filterPart.flatMap { unsafe program?.truths(of: $0) }
        for row in 0..<count {
            let verdict = DecodeVerdict(rawValue: unsafe decoder.frame.verdicts[row])
            guard verdict == .row else {
                // The header of a file is no row, and nothing is wrong with it.
                if !note, verdict != .tombstone { badCount += 1 }
                continue
            }
            if let timeColumn {
                let time = unsafe decoded[timeColumn].times?[row] ?? .min
                guard time >= TimeLimit.earliestMs, time <= TimeLimit.latestMs else {
                    if !note { timelessCount += 1 }
                    continue
                }
            }
            if let passes = unsafe passes, unsafe passes[row] != Truth.yes {
                if !note { filteredCount += 1 }
                continue
            }
            let codes = dimensions.map { unsafe decoded[$0.column].codes?[row] ?? .max }
            let part: [UInt8]
            if let known = parts[codes] {
                part = known
            } else {
                let values = zip(dimensions, codes).map { dimension, code in
                    (
                        name: dimension.name,
                        value: code == .max
                            ? nil : unsafe Array(decoder.frame.text(dimension.column, code: code))
                    )
                }
                part = dimensions.isEmpty ? [0x2a] : GroupValues(dimensions: values).part
                parts[codes] = part
            }
            if let windowCount, let timeColumn {
                let time = unsafe decoded[timeColumn].times?[row] ?? .min
                guard (TimeLimit.earliestMs...TimeLimit.latestMs).contains(time) else { continue }
                let start = time.flooredDivision(by: windowMs) * windowMs
                if note {
                    firstWindows[part] = min(firstWindows[part] ?? .max, start)
                    continue
                }
                guard let first = firstWindows[part], start < first + Int64(windowCount) * windowMs
                else { continue }
            }
            keep.append((row, part))
        }
        guard !note else { return }
        rowCount += Int64(keep.count)
        let unreadable = unreadableStates(count)
        for (row, part) in keep {
            var mine = values.removeValue(forKey: part) ?? columns.map { _ in ColumnValues() }
            for (index, column) in columns.enumerated() where column.isWatched {
                switch unreadable[index][row] {
                case .wrongType: mine[index].wrongTypeCount += 1
                case .nonFinite: mine[index].nonFiniteCount += 1
                case .value, .null, .missing, nil: break
                }
                if let numbers = unsafe decoded[index].numbers {
                    let number = unsafe numbers[row]
                    if number.isNaN {
                        mine[index].nullCount += 1
                    } else {
                        mine[index].numbers.append(number)
                    }
                } else if let codes = unsafe decoded[index].codes {
                    let code = unsafe codes[row]
                    if code == .max {
                        mine[index].nullCount += 1
                    } else {
                        mine[index].texts[
                            unsafe Array(decoder.frame.text(index, code: code)), default: 0] += 1
                    }
                }
            }
            values[part] = mine
        }
    }

    /// By column, the rows of the batch whose value could not be read, and why.
    private func unreadableStates(_ count: Int) -> [[Int: ValueState]] {
        decoder.frame.columns.map { column in
            var states: [Int: ValueState] = [:]
            for place in 0..<column.exceptionCount {
                let row = unsafe Int(column.exceptionRows[place])
                guard row < count else { continue }
                states[row] = unsafe ValueState(rawValue: column.exceptionStates[place])
            }
            return states
        }
    }

    /// The baseline, groups and columns in order.
    ///
    /// `pooled`: adds `*`, all groups together.
    package func build(
        _ rule: EdgeRule, made: [(name: String, value: String)], pooled: Bool = false
    ) throws(BaselineTable.Problem) -> BaselineTable {
        guard rowCount > 0 else {
            throw BaselineTable.Problem("there are no records to build it from")
        }
        var records: [BaselineTable.Record] = []
        var values = values
        if pooled, !dimensions.isEmpty { values[[0x2a]] = together() }
        for part in values.keys.sorted(by: { $0.precedes($1) }) {
            guard let mine = values[part] else { continue }
            let group = String(decoding: part, as: UTF8.self)
            for (index, column) in columns.enumerated() where column.isWatched {
                guard var entry = try entry(column, mine[index], rule, group) else { continue }
                if mine[index].nullCount > 0 {
                    entry.wrongTypeCount = mine[index].wrongTypeCount
                    entry.nonFiniteCount = mine[index].nonFiniteCount
                }
                records.append(
                    BaselineTable.Record(group: group, column: column.name, entry: entry))
            }
        }
        return BaselineTable(records: records, made: made)
    }

    /// Watched columns that had a value in no record; asked after `read`.
    package var emptyColumns: [String] {
        columns.indices.filter { index in
            columns[index].isWatched
                && values.values.allSatisfy {
                    $0[index].numbers.isEmpty && $0[index].texts.isEmpty
                }
        }.map { columns[$0].name }
    }

    private func together() -> [ColumnValues] {
        columns.indices.map { index in
            var all = ColumnValues()
            for mine in values.values {
                all.numbers += mine[index].numbers
                all.texts.merge(mine[index].texts) { $0 + $1 }
                all.nullCount += mine[index].nullCount
                all.wrongTypeCount += mine[index].wrongTypeCount
                all.nonFiniteCount += mine[index].nonFiniteCount
            }
            return all
        }
    }

    private func entry(
        _ column: ColumnPlan, _ values: ColumnValues, _ rule: EdgeRule, _ group: String
    ) throws(BaselineTable.Problem) -> BaselineTable.Entry? {
        if column.type.isNumeric {
            guard !values.numbers.isEmpty else { return nil }
            let sorted = values.numbers.sorted()
            let edges: [Double]
            var isOpen = false
            var atoms: [Double] = []
            switch rule {
            case .automatic(let bins): (edges, atoms) = Self.automaticEdges(sorted, bins)
            case .columns(let bins):
                if case .edges(let own) = column.summary.histogram {
                    edges = own
                } else {
                    (edges, atoms) = Self.automaticEdges(sorted, bins)
                }
            case .equal(let bins):
                edges = Edges.central(sorted: sorted, share: Self.centralShare, count: bins)
            case .quantile(let bins):
                let parted = Edges.parted(sorted: sorted, count: bins)
                (edges, atoms) = (parted.edges, parted.atoms)
            case .table(let table):
                guard let known = table.entry(group: group, column: column.name),
                    case .numeric(let known, let open, _, _, _) = known.shape
                else {
                    throw BaselineTable.Problem(
                        "the other baseline has no edges for \(column.name)")
                }
                edges = known
                isOpen = open
                atoms = table.entry(group: group, column: column.name)?.atoms ?? []
            }
            let counts = Self.count(sorted, edges, isOpen: isOpen)
            return BaselineTable.Entry(
                shape: .numeric(
                    edges: edges, isOpen: isOpen, under: counts.under, counts: counts.bins,
                    over: counts.over),
                rowCount: Int64(sorted.count), nullCount: values.nullCount, atoms: atoms)
        }
        guard !values.texts.isEmpty else { return nil }
        let ranked = values.texts.sorted {
            $0.value != $1.value ? $0.value > $1.value : $0.key.precedes($1.key)
        }
        let kept = ranked.prefix(Self.categoryCountMax)
        var entry = BaselineTable.Entry(
            shape: .categorical(
                categories: kept.map { String(decoding: $0.key, as: UTF8.self) },
                counts: kept.map(\.value),
                other: ranked.dropFirst(Self.categoryCountMax).reduce(0) { $0 + $1.value }),
            rowCount: ranked.reduce(0) { $0 + $1.value }, nullCount: values.nullCount)
        if ranked.count > kept.count {
            entry.known = KnownTexts(ranked.map { (hash: textHash($0.key), count: $0.value) })
            if case .columns = rule {
                var hashed = Array(repeating: Int64(0), count: HashedCells.count)
                for (text, count) in ranked { hashed[HashedCells.cell(of: text)] += count }
                entry.hashed = hashed
            }
        }
        return entry
    }

    private static func automaticEdges(
        _ sorted: [Double], _ bins: Int
    ) -> (edges: [Double], atoms: [Double]) {
        let parted = Edges.parted(sorted: sorted, count: bins)
        guard parted.atoms.isEmpty else { return (parted.edges, parted.atoms) }
        let equal = Edges.central(sorted: sorted, share: Self.centralShare, count: bins)
        let counts = count(sorted, equal, isOpen: false)
        let most = max(counts.bins.max() ?? 0, counts.under, counts.over)
        // The middle of 20 equal bins over a normal distribution holds an eighth.
        let isSkewed = Double(most) > Double(sorted.count) * max(0.2, 3 / Double(bins))
        return (isSkewed ? parted.edges : equal, [])
    }

    /// How sorted values fall into bins: `edges[i] <= x < edges[i+1]`.
    private static func count(
        _ sorted: [Double], _ edges: [Double], isOpen: Bool
    ) -> (under: Int64, bins: [Int64], over: Int64) {
        /// How many values lie below an edge.
        func below(_ edge: Double) -> Int {
            var (low, high) = (0, sorted.count)
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle] < edge { low = middle + 1 } else { high = middle }
            }
            return low
        }
        var places = edges.map(below)
        if isOpen {
            places[0] = 0
            places[places.count - 1] = sorted.count
        }
        let bins = zip(places, places.dropFirst()).map { Int64($1 - $0) }
        return (
            Int64(places.first ?? 0), bins, Int64(sorted.count - (places.last ?? sorted.count))
        )
    }
}

extension ColumnPlan {
    /// Baselines and monitors look at it.
    fileprivate var isWatched: Bool {
        switch role {
        case .feature, .score, .class, .label: type != .text
        default: false
        }
    }
}
