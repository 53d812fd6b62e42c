package import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches

/// How one watched column of a group is folded: fixed when the group is first seen.
///
/// Everything in it is a function of the plan, the baselines and the group's values.
@safe
final class ColumnShape: @unchecked Sendable {
    // Immutable after `init`; the memory of the edges is its own.
    enum Sums {
        /// Scaled integers: order-free.
        case exact(SumPlan)
        /// Doubles in the order of rows: ordered.
        case ordered
        /// Not a number.
        case none
    }

    /// What a fold of numbers asks of the shape of their column.
    ///
    /// A copy of it in place of the shape: nothing in it is counted by reference, and a shape, with the list that
    /// it stands in, would be held and let go for each run of rows.
    @safe
    struct Folding: @unchecked Sendable, BitwiseCopyable {
        // The edges are those of the shape, which whoever has the group's shape keeps.
        let sums: Sums
        /// The values go into a KLL sketch over f32.
        let wantsRun: Bool
        /// The first binning: its edges and where its counters begin.
        let edges: UnsafeMutablePointer<Double>?
        let edgeCount: Int
        let counterStart: Int
        /// Binnings after the first with counters of their own.
        let hasFurtherBinnings: Bool
        /// Numbers that lie outside are counted for a check of quality.
        let least: Double
        let most: Double
        /// Where; -1: they are not.
        let outsideCounter: Int
    }

    let column: ColumnPlan
    let sums: Sums
    /// The first one is that of the published histogram, if `hasHistogram`.
    let binnings: [Binning]
    let hasHistogram: Bool
    /// The cells in which baselines are learned; `nil` where nothing is learned of the group.
    ///
    /// For numbers those of the histogram; for categories those of a file that knows the column,
    /// else hashed cells.
    var learned: Binning? { learnedPlace.map { binnings[$0] } }
    /// Its place among the binnings.
    let learnedPlace: Int?
    /// What baselines of the stream keep of its values for metrics; `nil`: nothing.
    let learnedTake: LearnedTake?
    /// The values go into a KLL sketch over f32.
    let wantsRun: Bool
    /// What checks of quality have cells count, and what baselines hold that they look at.
    let counted: ColumnCounts
    /// Counters of numbers that lie outside of a range.
    private let outside: (range: ClosedRange<Double>, counter: Int)?
    /// By rule of the column's texts, in the order of `TextTable`: the counter of those that break it.
    let textCounters: [Int]

    /// What folding asks of it.
    var folding: Folding {
        unsafe Folding(
            sums: sums, wantsRun: wantsRun, edges: binnings.first?.edges,
            edgeCount: binnings.first?.edgeCount ?? 0,
            counterStart: binnings.first?.counterStart ?? 0,
            hasFurtherBinnings: binnings.dropFirst().contains { !$0.isShared },
            least: outside?.range.lowerBound ?? 0, most: outside?.range.upperBound ?? 0,
            outsideCounter: outside?.counter ?? -1)
    }

    /// A shape of a column in a group.
    ///
    /// - `monitored`: baselines from files that a monitor compares with.
    /// - `asked`: baselines from files of which a monitor wants to know what they hold, and no cells.
    /// - `learns`: whether a monitor compares with what the stream itself says.
    /// - `takes`: what baselines of the stream keep of it for metrics.
    init(
        column: ColumnPlan, group: String, baselines: [BaselineTable], monitored: [Int],
        asked: [Int], learns: WantedBinnings.Learning, takes: LearnedTake? = nil,
        counterStart: inout Int
    ) {
        learnedTake = takes
        var plan = column
        var wanted = WantedBinnings(column: column, group: group, baselines: baselines)
        hasHistogram = wanted.addHistogram()
        wanted.add(monitored: monitored, learns: learns)
        let binnings = wanted.binnings(learns: learns, counterStart: &counterStart)
        learnedPlace =
            learns == .nothing || column.type.isNumeric && !hasHistogram
            ? nil : binnings.firstIndex(where: \.isHashed) ?? (binnings.isEmpty ? nil : 0)
        self.binnings = binnings
        var counted = ColumnCounts()
        var outside: (range: ClosedRange<Double>, counter: Int)?
        var textCounters: [Int] = []
        for (check, tally) in column.columnTallies {
            counted.tallies.append((check, counterStart))
            switch tally {
            case .outside(let range): outside = (range, counterStart)
            case .texts: textCounters.append(counterStart)
            }
            counterStart += 1
        }
        for baseline in asked {
            guard let entry = baselines[baseline].entry(group: group, column: column.name) else {
                continue
            }
            counted.entries.append(
                BaselineEntry(
                    baseline: baseline, entry: entry,
                    isFallback: baselines[baseline].isFallback(group: group, column: column.name)))
        }
        self.counted = counted
        self.outside = outside
        self.textCounters = textCounters
        wantsRun = column.summary.quantileSketch == .kll && !column.summary.quantiles.isEmpty
        if column.type.isNumeric {
            if let (least, most) = wanted.range {
                sums = .exact(SumPlan(from: least, to: most))
                // They are exact in themselves; but ranges differ from group to group, and so do their sums.
                if takes != .sums { plan.summary.metricSums = false }
            } else {
                sums = .ordered
            }
        } else {
            sums = .none
        }
        self.column = plan
    }

    deinit {
        for binning in binnings { unsafe binning.edges?.deallocate() }
    }
}

/// How the rows of one group of a segment are folded, column by column.
final class GroupShape: Sendable {
    let values: GroupValues
    /// The canonical text of the group, as keys have it.
    let part: [UInt8]
    /// First 64 bits of MurmurHash3_x64_128, seed 9001, of the part: slot and rank of the group.
    let hash: UInt64
    let columns: [ColumnShape]
    /// By column.
    let foldings: [ColumnShape.Folding]
    /// Counters of all binnings of all columns.
    let counterCount: Int
    /// Whether a column keeps any `CellPart`.
    let hasParts: Bool
    /// Columns that are correlated with each other, by place among those of the segment.
    let correlations: [[Int]]
    /// Keys which rows are sampled.
    let topicHash: UInt64

    /// A shape with the columns of another one: of two groups of a segment that no baseline has entries
    /// of, so that both are compared with pooled ones, or with none.
    init(values: GroupValues, like other: GroupShape) {
        self.values = values
        part = values.part
        hash = textHash(part)
        columns = other.columns
        foldings = other.foldings
        counterCount = other.counterCount
        hasParts = other.hasParts
        correlations = other.correlations
        topicHash = other.topicHash
    }

    init(
        values: GroupValues, segment: SegmentPlan, stream: StreamPlan, baselines: [BaselineTable],
        monitored: [MonitoredBaselines]
    ) {
        self.values = values
        part = values.part
        hash = textHash(part)
        let name = String(decoding: part, as: UTF8.self)
        // `other` mixes groups that may have edges of their own: it has none.
        let tables = values.isOther ? [] : baselines
        var counterCount = 0
        columns = zip(segment.columns, monitored).map { column, monitored in
            var plan = stream.columns[column]
            if values.isOther {
                if case .baseline = plan.summary.histogram { plan.summary.histogram = nil }
                if plan.summary.quantileSketch != .ddsketch { plan.summary.quantiles = [] }
                plan.summary.topCount = nil
                plan.summary.moments = false
                plan.tallies = []
            }
            return ColumnShape(
                column: plan, group: name, baselines: tables,
                monitored: values.isOther
                    ? [] : monitored.cells.filter { !stream.baselines[$0].isOfStream },
                asked: values.isOther
                    ? [] : monitored.asked.filter { !stream.baselines[$0].isOfStream },
                learns: values.isOther ? .nothing : stream.learning(monitored.cells),
                takes: values.isOther ? nil : monitored.takes,
                counterStart: &counterCount)
        }
        foldings = columns.map(\.folding)
        self.counterCount = counterCount
        hasParts = columns.contains { CellParts.areWanted($0.column.summary) }
        correlations =
            values.isOther
            ? []
            : stream.correlations.compactMap { list in
                let places = segment.columns.indices.filter { list.contains(segment.columns[$0]) }
                return places.count > 1 ? places : nil
            }
        topicHash = textHash(Array((stream.source.topics.first ?? "").utf8))
    }
}

extension StreamPlan {
    /// What has to be learned of a column that these baselines are compared with.
    fileprivate func learning(_ monitored: [Int]) -> WantedBinnings.Learning {
        if monitored.contains(where: { baselines[$0].isAcrossGroups }) { return .acrossGroups }
        return monitored.contains { baselines[$0].isOfStream } ? .ofGroup : .nothing
    }
}

/// First 64 bits of MurmurHash3_x64_128, seed 9001: what names a group, a category or a seed.
func textHash(_ bytes: [UInt8]) -> UInt64 {
    murmur3(bytes).low
}

/// The baselines of the monitors that watch a column of a segment.
struct MonitoredBaselines: Sendable {
    /// Those in whose cells values are counted.
    var cells: [Int] = []
    /// Those of which a monitor wants to know what they hold, whether or not in cells.
    var asked: [Int] = []
    /// What baselines of the stream keep of its values for metrics; `nil`: nothing.
    var takes: LearnedTake?
}

/// For each segment, for each of its columns: the baselines of the monitors that watch it.
func monitoredBaselines(_ stream: StreamPlan) -> [[MonitoredBaselines]] {
    let uses = stream.baselines.indices.compactMap { baseline in
        stream.metricUse(of: baseline).map { (baseline: baseline, use: $0) }
    }
    return stream.segments.indices.map { segment in
        stream.segments[segment].columns.map { column in
            var found = MonitoredBaselines()
            for monitor in stream.monitors
            where monitor.segments.contains(segment) && monitor.columns.contains(column) {
                // -1: it compares with none.
                guard monitor.baseline >= 0 else { continue }
                if monitor.needsCells, !found.cells.contains(monitor.baseline) {
                    found.cells.append(monitor.baseline)
                }
                if monitor.asksEntries, !found.asked.contains(monitor.baseline) {
                    found.asked.append(monitor.baseline)
                }
            }
            for (baseline, use) in uses where use.cells.contains(column) {
                if !found.cells.contains(baseline) { found.cells.append(baseline) }
            }
            found.takes = stream.learnedTake(of: column)
            return found
        }
    }
}

extension ColumnPlan {
    /// What cells count of it for checks of quality, by the name of the check.
    var columnTallies: [(check: String, tally: CheckTally)] {
        tallies.compactMap { check in
            QualityChecks.tally(check, expected).map { (check, $0) }
        }
    }

    /// What its texts may be, in the order of its tallies.
    var textRules: [any TextRule] {
        columnTallies.compactMap { if case .texts(let rule) = $0.tally { rule } else { nil } }
    }

    /// Whether texts are counted by their dictionary codes.
    var isCounted: Bool {
        type.isCounted || type == .text && (!tallies.isEmpty || !summary.parts.isEmpty)
            || type == .text && summary.distinctLgK != nil
    }
}

/// The hash that ranks a group where there are too many, and that will choose its slot.
package func groupHash(_ group: GroupValues) -> UInt64 { textHash(group.part) }

extension Binning {
    /// The cell of a text, by its hash.
    func cell(of hash: UInt64) -> Int {
        if isHashed { return HashedCells.cell(ofHash: hash, count: counterCount) }
        return categories.firstIndex(of: hash) ?? categories.count
    }
}
