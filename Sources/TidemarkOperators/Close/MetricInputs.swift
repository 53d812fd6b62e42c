import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches

/// An aggregate of a group in a window.
struct MetricTaken {
    /// How sure it is, taken as a sample of all rows that could have come.
    enum Certainty {
        /// It is a count: there is nothing to be unsure of.
        case exact
        /// Its standard error.
        case standardError(Double)
        case unknown
    }

    /// `nil`: there are too few values for it.
    var value: Double?
    var certainty = Certainty.unknown

    /// Nothing can be said.
    static let none = MetricTaken(value: nil)
}

/// Sums of a column's values in a group.
private struct ValueSums {
    var count: UInt64
    var sum: Double
    var mean: Double?
    var sd: Double?

    init(count: UInt64, sum: Double, mean: Double? = nil, sd: Double? = nil) {
        (self.count, self.sum, self.mean, self.sd) = (count, sum, mean, sd)
    }

    init(_ part: MetricSums) {
        self.init(count: part.count, sum: part.total, mean: part.mean, sd: part.sd)
    }

    /// An aggregate of them.
    ///
    /// - `windows`: how many they are of; a sum is that of one.
    func taken(_ kind: AggregateKind, windows: Double = 1) -> MetricTaken {
        let n = Double(count)
        switch kind {
        case .sum:
            return MetricTaken(
                value: sum.isFinite ? sum / windows : nil,
                certainty: sd.map { .standardError($0 * n.squareRoot() / windows) } ?? .unknown)
        case .mean:
            return MetricTaken(
                value: mean.flatMap { $0.isFinite ? $0 : nil },
                certainty: sd.map { .standardError($0 / n.squareRoot()) } ?? .unknown)
        default: return MetricTaken(value: sd)
        }
    }
}

extension MetricTaken {
    /// Some of all, with the error of a share: at 0% and 100% that of a row more of either kind, since nothing is
    /// certain for having been so until now.
    static func share(_ some: Int64, of all: Int64) -> MetricTaken {
        guard all > 0 else { return .none }
        let share = Double(some) / Double(all)
        let likely =
            some == 0 || some == all ? (Double(some) + 1) / (Double(all) + 2) : share
        return MetricTaken(
            value: share,
            certainty: .standardError((likely * (1 - likely) / Double(all)).squareRoot()))
    }

    /// An aggregate of what a baseline learned of the stream; a count or a sum is that of a window on average.
    ///
    /// - `place`: of what metrics take of the column.
    init(_ kind: AggregateKind, of learned: LearnedAmounts, at place: Int?) {
        self = .none
        let windows = Double(max(1, learned.windows))
        if case .rows = kind {
            self = MetricTaken(value: Double(learned.rows) / windows, certainty: .exact)
        }
        guard let amounts = place.flatMap({ learned[$0] }), amounts.count > 1 else { return }
        let (total, count) = (amounts[amounts.startIndex], amounts[amounts.startIndex + 1])
        switch kind {
        case .count: self = MetricTaken(value: Double(count) / windows, certainty: .exact)
        case .nullShare: self = .share(Int64(total - min(total, count)), of: Int64(total))
        case .share:
            guard amounts.count > 2 else { return }
            self = .share(Int64(amounts[amounts.startIndex + 2]), of: Int64(count))
        case .sum, .mean, .sd:
            guard let sums = MetricSums(count: count, amounts: amounts.dropFirst(3)) else { return }
            self = ValueSums(sums).taken(kind, windows: windows)
        case .rows, .min, .max, .quantile, .distinct, .test: return
        }
    }

    /// An aggregate of what a file holds of a group and column.
    init(_ kind: AggregateKind, of entry: BaselineTable.Entry) {
        guard case .nullShare = kind else {
            self = .none
            return
        }
        self = .share(entry.nullCount, of: entry.nullCount + entry.rowCount)
    }

    /// An aggregate of what a topic says became of a column's rows.
    init(_ kind: AggregateKind, of rows: RowCounts) {
        self = .none
        if case .nullShare = kind { self = .share(rows.total - rows.value, of: rows.total) }
    }
}

extension GroupCell {
    /// An aggregate of the cell's rows.
    ///
    /// - `place`: the place in the segment of a column of the plan.
    func taken(_ input: MetricInput, place: (Int) -> Int?) -> MetricTaken {
        if case .rows = input.kind {
            return MetricTaken(value: Double(rowCount), certainty: .exact)
        }
        guard let column = input.column, let place = place(column) else { return .none }
        let rows = rowCounts(place)
        switch input.kind {
        case .rows, .test: return .none
        case .count: return MetricTaken(value: Double(rows.value), certainty: .exact)
        case .nullShare: return .share(rows.total - rows.value, of: rows.total)
        case .share: return .share(ones(place), of: rows.value)
        case .sum, .mean, .sd: return sums(place)?.taken(input.kind) ?? .none
        case .min, .max:
            let (least, most) = extremes(place)
            return MetricTaken(value: input.kind == .min ? least : most)
        case .quantile(let rank): return quantile(rank, place, count: rows.value)
        case .distinct: return distinct(place)
        }
    }

    /// `nil`: some values lie too far away to be added.
    private func sums(_ place: Int) -> ValueSums? {
        for case let part as MetricSums in parts(place) { return ValueSums(part) }
        guard case .exact(let plan) = shape.columns[place].sums else { return nil }
        let cell = unsafe exact[place]
        guard cell.count > 0 else { return ValueSums(count: 0, sum: 0) }
        guard let mean = cell.mean(plan) else { return nil }
        return ValueSums(
            count: cell.count, sum: mean * Double(cell.count), mean: mean, sd: cell.sd(plan))
    }

    /// Of a column of zeros and ones: how many ones.
    private func ones(_ place: Int) -> Int64 {
        guard case .exact(let plan) = shape.columns[place].sums else { return 0 }
        let cell = unsafe exact[place]
        return Int64(((cell.mean(plan) ?? 0) * Double(cell.count)).rounded())
    }

    private func extremes(_ place: Int) -> (least: Double?, most: Double?) {
        switch shape.columns[place].sums {
        case .exact:
            let cell = unsafe exact[place]
            return cell.count > 0 ? (cell.min, cell.max) : (nil, nil)
        case .ordered:
            let cell = unsafe ordered[place]
            return cell.count > 0 ? (cell.min, cell.max) : (nil, nil)
        case .none: return (nil, nil)
        }
    }

    /// How sure it is comes from the ranks that it may have among all rows that could have come.
    private func quantile(_ rank: Double, _ place: Int, count: Int64) -> MetricTaken {
        for case let part as MetricQuantiles in parts(place) {
            let error = (rank * (1 - rank) / Double(max(1, count))).squareRoot()
            guard let value = part.quantile(rank), count > 1, error > 0,
                rank - error >= 0, rank + error <= 1,
                let low = part.quantile(rank - error), let high = part.quantile(rank + error)
            else { return MetricTaken(value: part.quantile(rank)) }
            // What lies within one bin is known to 1%, and no better.
            let half = max((high - low) / 2, abs(value) * part.accuracy)
            return MetricTaken(value: value, certainty: .standardError(half))
        }
        return .none
    }

    private func distinct(_ place: Int) -> MetricTaken {
        guard let category = categories[place], rowCounts(place).value > 0 else { return .none }
        let (estimate, lower, upper) = category.distinct.estimateAndBounds(standardDeviations: 1)
        return MetricTaken(
            value: estimate.rounded(), certainty: .standardError((upper - lower) / 2))
    }

    // MARK: Learned windows

    /// What baselines of the stream keep at a place: the cells of a column, or, at places behind those of all
    /// columns, what metrics take of each.
    func learnedCells(_ place: Int) -> [UInt64] {
        let columns = shape.columns
        guard place >= columns.count else {
            return columns[place].learned.map { unsafe Array(cells($0)) } ?? []
        }
        let own = place - columns.count
        guard let take = columns[own].learnedTake else { return [] }
        let rows = rowCounts(own)
        var amounts = [UInt64(rows.total), UInt64(rows.value)]
        if take > .rows { amounts.append(take == .ones ? UInt64(ones(own)) : 0) }
        guard take == .sums else { return amounts }
        for case let part as MetricSums in parts(own) { return amounts + part.amounts }
        return amounts
    }
}

extension GroupShape {
    /// How many numbers `learnedCells` has.
    func learnedCount(_ place: Int) -> Int {
        guard place >= columns.count else { return columns[place].learned?.cellCount ?? 0 }
        switch columns[place - columns.count].learnedTake {
        case nil: return 0
        case .rows: return 2
        case .ones: return 3
        case .sums: return 3 + MetricSums.amountCount
        }
    }
}
