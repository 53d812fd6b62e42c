import TidemarkDataflow
import TidemarkDrift
import TidemarkMonitors

/// The ways in which values of a column of a group are counted into cells, while they are gathered: that of the
/// published histogram first, then those of the baselines that monitors compare with.
struct WantedBinnings {
    /// What is learned of a column.
    enum Learning {
        case nothing
        /// A group is compared with what it was itself.
        case ofGroup
        /// Groups are compared with each other, and so are counted in the same cells.
        case acrossGroups
    }

    private let column: ColumnPlan
    private let group: String
    private let baselines: [BaselineTable]
    private var numbers:
        [(baseline: Int?, edges: [Double], isOpen: Bool, range: (Double, Double)?)] = []
    private var categories: [(baseline: Int, names: [String])] = []
    private var entries: [Int: BaselineTable.Entry] = [:]

    init(column: ColumnPlan, group: String, baselines: [BaselineTable]) {
        self.column = column
        self.group = group
        self.baselines = baselines
    }

    /// Where numbers are expected; `nil`: nobody says.
    var range: (Double, Double)? { numbers.first?.range }

    /// Adds what the topology asks to be published.
    ///
    /// - Returns: whether there is a histogram.
    mutating func addHistogram() -> Bool {
        switch column.summary.histogram {
        case .baseline(let baseline): return add(baseline)
        case .edges(let edges):
            guard let lo = edges.first, let hi = edges.last else { return false }
            numbers.append((nil, edges, false, (lo, hi)))
            return true
        case nil: return false
        }
    }

    /// Adds what monitors compare with: baselines from files, and for what is learned of texts any file that
    /// knows the column.
    ///
    /// Not where groups are compared with each other: a file has other categories for each of them.
    mutating func add(monitored: [Int], learns: Learning) {
        for baseline in monitored
        where !numbers.contains(where: { $0.baseline == baseline })
            && !categories.contains(where: { $0.baseline == baseline })
        {
            _ = add(baseline)
        }
        guard learns == .ofGroup, column.type.isText, categories.isEmpty else { return }
        for baseline in baselines.indices where add(baseline) { return }
    }

    /// Adds the cells of a baseline.
    ///
    /// - Returns: whether it has any of the group and column.
    private mutating func add(_ baseline: Int) -> Bool {
        guard let entry = baselines[baseline].entry(group: group, column: column.name) else {
            return false
        }
        switch entry.shape {
        case .numeric(let edges, let isOpen, _, _, _):
            guard column.type.isNumeric, let lo = edges.first, let hi = edges.last else {
                return false
            }
            var folded = edges
            if isOpen {
                folded[0] = -.infinity
                folded[folded.count - 1] = .infinity
            }
            numbers.append((baseline, folded, isOpen, Self.range(of: entry, lo, hi)))
        case .categorical(let names, _, _):
            guard column.type.isText else { return false }
            categories.append((baseline, names))
        }
        entries[baseline] = entry
        return true
    }

    /// Where values are expected, for the sums: around a constant, that is far beyond its own bin.
    private static func range(
        of entry: BaselineTable.Entry, _ lo: Double, _ hi: Double
    ) -> (Double, Double) {
        guard entry.atoms.count == 1, let atom = entry.atoms.first, entry.hiddenShare == 0 else {
            return (lo, hi)
        }
        let reach = max(abs(atom) / 2, 0.5)
        return (atom - reach, atom + reach)
    }

    /// The binnings, their counters from `counterStart` on; whoever gets them gives the memory of edges back.
    func binnings(learns: Learning, counterStart: inout Int) -> [Binning] {
        var made = numberBinnings(&counterStart)
        for (baseline, names) in categories {
            unsafe made.append(
                Binning(
                    baseline: baseline, categories: names.map { textHash(Array($0.utf8)) },
                    counterCount: names.count + 1, counterStart: counterStart))
            counterStart += names.count + 1
            guard let entry = entries[baseline], entry.unknown != nil else { continue }
            // Where all values are named, the others are the unknown ones.
            made[made.count - 1].unknownCounters = counterStart - 1..<counterStart
            if entry.known != nil {
                let end = counterStart + KnownTexts.cellCount
                made[made.count - 1].unknownCounters = counterStart..<end
                counterStart = end
            }
        }
        if column.type.isText, learns == .acrossGroups || learns == .ofGroup && categories.isEmpty {
            unsafe made.append(
                Binning(
                    isHashed: true, counterCount: HashedCells.count, counterStart: counterStart))
            counterStart += HashedCells.count
        }
        for place in made.indices {
            guard let baseline = made[place].baseline, let entry = entries[baseline] else {
                continue
            }
            made[place].entry = entry
            made[place].reference = ReferenceCounts(
                entry.cells.map { UInt64(max(0, $0)) }, range: entry.openRange)
            made[place].hiddenShare = entry.hiddenShare
            made[place].isFallback = baselines[baseline].isFallback(
                group: group, column: column.name)
        }
        return made
    }

    /// Equal edges share their counters.
    private func numberBinnings(_ counterStart: inout Int) -> [Binning] {
        var made: [Binning] = []
        for (place, (baseline, edges, isOpen, _)) in numbers.enumerated() {
            let memory = UnsafeMutablePointer<Double>.allocate(capacity: edges.count)
            unsafe memory.initialize(from: edges, count: edges.count)
            unsafe made.append(
                Binning(
                    baseline: baseline, edges: memory, edgeCount: edges.count, isOpen: isOpen,
                    counterCount: edges.count + 1, counterStart: counterStart))
            if let same = numbers[..<place].firstIndex(where: { $0.edges == edges }) {
                made[place].counterStart = made[same].counterStart
                made[place].isShared = true
            } else {
                counterStart += edges.count + 1
            }
        }
        return made
    }
}
