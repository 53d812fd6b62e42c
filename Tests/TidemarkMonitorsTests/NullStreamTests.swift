import Glibc
import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkRecords
import TidemarkTestSupport

/// Streams in which nothing happens: 20 models with 20 columns, a window a minute, beside a baseline of 10,000 rows a
/// model that is drawn from the same laws.
///
/// The monitors are those of the product, as a topology that says nothing has them: drift, quality and volume. Counts
/// are drawn, not rows of numbers. An hour and a half by default; with `TIDEMARK_LONG` a week, which `make bench-null`
/// runs.
@Suite struct NullStreamTests {
    @Test func `where nothing happens the budget of false alerts holds`() throws {
        let minutes = environment("TIDEMARK_LONG") == nil ? 90 : 7 * 24 * 60
        var stream = try NullStream(seed: 20)
        for minute in 0..<minutes { stream.close(minute) }
        let weeks = Double(minutes) / (7 * 24 * 60)
        print(
            "null streams: \(minutes) windows of 20 × 20, \(stream.verdictCount) verdicts, ",
            terminator: "")
        print("pages \(stream.fired["page", default: 0]) of \(weeks) allowed, ", terminator: "")
        print("warnings \(stream.fired["warn", default: 0]) of \(7 * weeks) allowed")
        #expect(stream.verdictCount >= minutes * 20 * 20)
        // Five standard deviations above the budget, and one.
        for (severity, allowed) in [("page", weeks), ("warn", 7 * weeks)] {
            let most = allowed + 5 * allowed.squareRoot() + 1
            #expect(
                Double(stream.fired[severity, default: 0]) <= most,
                "\(severity): \(stream.said.filter { $0.contains(severity) })")
        }
    }

    @Test func `what happens is found in time`() throws {
        var stream = try NullStream(seed: 21)
        for minute in 0..<15 { stream.close(minute) }
        stream.said = []
        // 1% of rows without a value become 3%.
        stream.change = NullStream.Change(model: 3, column: 1, nullShare: 0.03)
        stream.close(15)
        stream.close(16)
        #expect(stream.said.contains { $0.hasPrefix("quality.null model=m3 x1") }, "\(stream.said)")
        stream.change = NullStream.Change(model: 4, column: 15, newShare: 0.02)
        stream.close(17)
        #expect(
            stream.said.contains { $0.hasPrefix("quality.unseen model=m4 c15") }, "\(stream.said)")
        // In a column with a long tail too.
        stream.change = NullStream.Change(model: 4, column: 19, newShare: 0.02)
        stream.close(18)
        #expect(
            stream.said.contains { $0.hasPrefix("quality.unseen model=m4 c19") }, "\(stream.said)")
        stream.change = NullStream.Change(model: 5, column: 2, nullShare: 1)
        stream.close(19)
        #expect(
            stream.said.contains { $0.hasPrefix("quality.columns model=m5 x2 page") },
            "\(stream.said)")
        // Nothing else; drift may see the new value, too.
        let quality = stream.said.count { $0.hasPrefix("quality") }
        #expect(quality == 5, "\(stream.said)")
    }
}

/// Laws of 20 columns, and the monitors that watch what is drawn from them.
@safe
private struct NullStream: ~Copyable {
    /// What is no longer as it was, in one column of one model.
    struct Change {
        var model: Int
        var column: Int
        var nullShare = 0.01
        /// Values that nobody knows.
        var newShare = 0.0
    }

    static let models = (0..<20).map { "m\($0)" }
    static let numberCount = 15
    static let names = (0..<20).map { $0 < numberCount ? "x\($0)" : "c\($0)" }
    private static let baselineRows: Int64 = 10_000

    private var random: SeededRandom
    private var monitors: MonitorSet
    private let plan: Plan
    /// By category column: how its values are spread.
    private let laws: [CategoryLaw]
    /// By model and column.
    private var entries: [[BaselineTable.Entry]] = []
    private var binnings: [[[Binning]]] = []
    private let counters = UnsafeMutablePointer<UInt64>.allocate(capacity: 256)
    var change: Change?
    /// Alerts that fired, by severity.
    var fired: [String: Int] = [:]
    var said: [String] = []
    var verdictCount = 0

    init(seed: UInt64) throws {
        random = SeededRandom(seed)
        laws = [
            CategoryLaw(Array(repeating: 1, count: 4)),
            CategoryLaw((1...20).map { 1 / Double($0) }),
            CategoryLaw((1...15).map { 1 / Double($0 * $0 * $0) }),
            CategoryLaw((1...300).map { 1 / Double($0) }),
            CategoryLaw((1...5_000).map { 1 / Double($0) }),
        ]
        let plan = try Self.plan()
        self.plan = plan
        monitors = MonitorSet(plan) { part, _ in GroupRank(isNamed: false, hash: UInt64(part.count))
        }
        for _ in Self.models {
            var entries: [BaselineTable.Entry] = []
            var binnings: [[Binning]] = []
            for column in Self.names.indices {
                let entry = self.entry(column)
                entries.append(entry)
                binnings.append([Self.binning(entry)])
            }
            self.entries.append(entries)
            self.binnings.append(binnings)
        }
    }

    /// A topology that declares a baseline, and says no more.
    private static func plan() throws -> Plan {
        let text = """
            name: quiet
            source:
              topic: quiet
              schema: { ts: time_ms, model: model, x0..x14: number, c15..c19: category }
            windows: [1m]
            baselines: { training: { file: t.json } }
            """
        let columns = names.enumerated().map { index, name in
            BaselineSummary.Column(
                name: name, isNumeric: index < numberCount, cellCount: 20, rowCount: baselineRows)
        }
        let summary = BaselineSummary(
            contentHash: "0123456789ab", groups: models.map { "model=\($0)" }, columns: columns)
        let planner = Planner(
            catalogue: Catalogue(summaries: declaredSummaries, checks: QualityChecks.specs),
            loadBaseline: { _ in .success(summary) }, environment: { _ in nil },
            readFile: { _ in .success(Array(text.utf8)) })
        return try #require(planner.plan(path: "t.yaml").plan)
    }

    // MARK: What is drawn

    private static let nullShare = 0.01
    private static let binCount = 22
    /// Shares of the cells of numbers: a normal distribution in 20 bins, and its tails.
    private static let bins: [Double] = (0..<22).map { cell in
        func below(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }
        let (low, high) = (Double(cell - 1) * 0.3 - 3, Double(cell) * 0.3 - 3)
        return (cell == 21 ? 1 : below(high)) - (cell == 0 ? 0 : below(low))
    }

    private mutating func cells(of total: Int64) -> [Int64] {
        var (left, share) = (total, 1.0)
        return Self.bins.enumerated().map { index, bin in
            let count = index == 21 ? left : random.binomial(left, min(1, bin / share))
            left -= count
            share -= bin
            return count
        }
    }

    private mutating func entry(_ column: Int) -> BaselineTable.Entry {
        let nulls = random.binomial(Self.baselineRows, Self.nullShare)
        let rows = Self.baselineRows - nulls
        guard column >= Self.numberCount else {
            let cells = cells(of: rows)
            return BaselineTable.Entry(
                shape: .numeric(
                    edges: (0...20).map { Double($0) * 0.3 - 3 }, isOpen: false, under: cells[0],
                    counts: Array(cells[1...20]), over: cells[21]), rowCount: rows, nullCount: nulls
            )
        }
        var counts: [Int: Int64] = [:]
        for _ in 0..<rows {
            counts[laws[column - Self.numberCount].draw(&random), default: 0] += 1
        }
        let ranked = counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        let kept = ranked.prefix(20)
        var entry = BaselineTable.Entry(
            shape: .categorical(
                categories: kept.map { "\($0.key)" }, counts: kept.map(\.value),
                other: rows - kept.reduce(0) { $0 + $1.value }), rowCount: rows, nullCount: nulls)
        if ranked.count > 20 {
            entry.known = KnownTexts(
                ranked.map { (hash: Self.hash($0.key), count: $0.value) })
        }
        return entry
    }

    /// SplitMix64's mixing: spread over all bits.
    private static func hash(_ value: Int) -> UInt64 {
        var random = SeededRandom(UInt64(value))
        return random.next()
    }

    private static func binning(_ entry: BaselineTable.Entry) -> Binning {
        var binning: Binning
        switch entry.shape {
        case .numeric(let edges, _, _, _, _):
            let memory = UnsafeMutablePointer<Double>.allocate(capacity: edges.count)
            unsafe memory.initialize(from: edges, count: edges.count)
            binning = unsafe Binning(
                baseline: 0, edges: memory, edgeCount: edges.count, counterCount: 22,
                counterStart: 0)
        case .categorical(let names, _, _):
            binning = unsafe Binning(
                baseline: 0, categories: names.map { hash(Int($0) ?? 0) },
                counterCount: names.count + 1, counterStart: 0)
            if entry.unknown != nil {
                let start = entry.known == nil ? names.count : names.count + 1
                binning.unknownCounters =
                    start..<start + (entry.known == nil ? 1 : KnownTexts.cellCount)
            }
        }
        binning.entry = entry
        binning.reference = ReferenceCounts(entry.cells.map { UInt64($0) }, range: entry.openRange)
        binning.hiddenShare = entry.hiddenShare
        return binning
    }

    // MARK: Windows

    /// Draws and judges a minute of all models.
    mutating func close(_ minute: Int) {
        let startMs = 1_700_000_040_000 + Int64(minute) * 60_000
        let closing = WindowClosing(
            window: Window(startMs: startMs, endMs: startMs + 60_000), size: 0, complete: true,
            rev: 0, backfill: false)
        for (model, name) in Self.models.enumerated() {
            let group = GroupValues(dimensions: [("model", Array(name.utf8))])
            let rows = random.poisson(2_000)
            let references = monitors.references(
                group, part: group.part, segment: 0, closing, cellCount: { _ in 0 },
                counts: { _ in nil })
            for column in Self.names.indices {
                judge(column, of: model, group, rows, closing, references)
            }
            var counts = RowCounts()
            counts.total = rows
            if let (record, events) = monitors.judgeGroup(
                group, rows: counts, segment: 0, references, closing)
            {
                take(events, record)
            }
            monitors.learn(
                group.part,
                GroupCounts(rows: rows, cells: { _ in [] }, rowCounts: { _ in RowCounts() }),
                segment: 0, closing)
        }
        take(monitors.closed(closing).events, nil)
    }

    private mutating func judge(
        _ column: Int, of model: Int, _ group: GroupValues, _ total: Int64,
        _ closing: WindowClosing, _ references: WindowReferences
    ) {
        let change = self.change.flatMap { $0.model == model && $0.column == column ? $0 : nil }
        var rows = RowCounts()
        rows.total = total
        rows.null = random.binomial(total, change?.nullShare ?? Self.nullShare)
        rows.value = total - rows.null
        let isNumeric = column < Self.numberCount
        let binning = binnings[model][column][0]
        unsafe counters.update(repeating: 0, count: 256)
        if isNumeric {
            for (cell, count) in cells(of: rows.value).enumerated() {
                unsafe counters[cell] = UInt64(count)
            }
        } else {
            let known = entries[model][column].known
            let new = random.binomial(rows.value, change?.newShare ?? 0)
            for row in 0..<rows.value {
                let value =
                    row < new ? 1_000_000 : laws[column - Self.numberCount].draw(&random)
                let hash = Self.hash(value)
                let cell = binning.categories.firstIndex(of: hash) ?? binning.categories.count
                unsafe counters[cell] += 1
                guard let known, let places = binning.unknownCounters, !known.contains(hash) else {
                    continue
                }
                unsafe counters[places.lowerBound + KnownTexts.cell(of: hash)] += 1
            }
        }
        var record = AggregateRecord(
            topology: "quiet", revision: "", operatorName: "by-model", group: group,
            column: Self.names[column], role: "feature", isNumeric: isNumeric,
            window: closing.window, rev: 0, complete: true, backfill: false)
        record.rows = rows
        var counted = ColumnCounts()
        counted.entries = [
            BaselineEntry(baseline: 0, entry: entries[model][column], isFallback: false)
        ]
        let evidence = unsafe WindowEvidence(
            closing, segment: 0, column: column + 2, place: column, part: group.part, rows: rows,
            isNumeric: isNumeric, binnings: [binning], learned: nil,
            range: rows.value > 0 ? -3...3 : nil, references: references, counted: counted,
            counters: counters)
        take(monitors.judge(evidence, &record), record)
    }

    private mutating func take(_ events: [AlertRecord], _ record: AggregateRecord?) {
        verdictCount += record?.verdicts.count ?? 0
        for event in events where event.transition == .firing && event.mutedBy == nil {
            fired[event.severity, default: 0] += 1
            let group = String(decoding: event.group.part, as: UTF8.self)
            said.append(
                "\(event.monitor) \(group) \(event.column) \(event.severity): \(event.summary)")
        }
    }
}

/// Shares of many values, drawn in constant time.
///
/// - Source: A. J. Walker 1977, the alias method.
private struct CategoryLaw {
    private var accept: [Double]
    private var alias: [Int]

    init(_ weights: [Double]) {
        let sum = weights.reduce(0, +)
        var scaled = weights.map { $0 / sum * Double(weights.count) }
        accept = Array(repeating: 1, count: weights.count)
        alias = Array(weights.indices)
        var small = scaled.indices.filter { scaled[$0] < 1 }
        var large = scaled.indices.filter { scaled[$0] >= 1 }
        while let less = small.popLast(), let more = large.popLast() {
            (accept[less], alias[less]) = (scaled[less], more)
            scaled[more] -= 1 - scaled[less]
            if scaled[more] < 1 { small.append(more) } else { large.append(more) }
        }
    }

    func draw(_ random: inout SeededRandom) -> Int {
        let place = random.below(accept.count)
        return random.chance(accept[place]) ? place : alias[place]
    }
}

extension SeededRandom {
    /// Exact, by inversion from the mode outwards.
    fileprivate mutating func binomial(_ n: Int64, _ p: Double) -> Int64 {
        guard n > 0, p > 0 else { return 0 }
        guard p < 1 else { return n }
        let mode = min(n, Int64(Double(n + 1) * p))
        let term = exp(
            lgamma(Double(n + 1)) - lgamma(Double(mode + 1)) - lgamma(Double(n - mode + 1))
                + Double(mode) * log(p) + Double(n - mode) * log1p(-p))
        return outwards(mode, term, from: 0, to: n) { x in
            Double(n - x) / Double(x + 1) * p / (1 - p)
        }
    }

    /// Exact, by inversion from the mode outwards.
    fileprivate mutating func poisson(_ mean: Double) -> Int64 {
        let mode = Int64(mean)
        let term = exp(Double(mode) * log(mean) - mean - lgamma(Double(mode + 1)))
        return outwards(mode, term, from: 0, to: 4 * mode + 100) { mean / Double($0 + 1) }
    }

    /// `ratio`: of the probability of the next count to that of a count.
    private mutating func outwards(
        _ mode: Int64, _ term: Double, from least: Int64, to most: Int64, ratio: (Int64) -> Double
    ) -> Int64 {
        var left = Double.random(in: 0..<1, using: &self) - term
        var (low, high) = ((at: mode, term: term), (at: mode, term: term))
        while left >= 0, low.at > least || high.at < most {
            if high.at < most {
                high = (high.at + 1, high.term * ratio(high.at))
                left -= high.term
                if left < 0 { return high.at }
            }
            if low.at > least {
                low = (low.at - 1, low.term / ratio(low.at - 1))
                left -= low.term
                if left < 0 { return low.at }
            }
        }
        return mode
    }
}
