import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkKernels
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
        case .rows: return .none
        case .count: return MetricTaken(value: Double(rows.value), certainty: .exact)
        case .nullShare: return Self.share(rows.total - rows.value, of: rows.total)
        case .sum, .mean, .sd, .share: return sums(place).map { taken(input.kind, $0) } ?? .none
        case .min, .max:
            let (least, most) = extremes(place)
            return MetricTaken(value: input.kind == .min ? least : most)
        case .quantile(let rank): return MetricTaken(value: metricQuantiles(place)?.quantile(rank))
        case .distinct: return distinct(place)
        case .test: return .none
        }
    }

    private func taken(_ kind: AggregateKind, _ sums: ValueSums) -> MetricTaken {
        let n = Double(sums.count)
        switch kind {
        case .sum:
            return MetricTaken(
                value: sums.sum.isFinite ? sums.sum : nil,
                certainty: sums.sd.map { .standardError($0 * n.squareRoot()) } ?? .unknown)
        case .mean:
            return MetricTaken(
                value: sums.mean.flatMap { $0.isFinite ? $0 : nil },
                certainty: sums.sd.map { .standardError($0 / n.squareRoot()) } ?? .unknown)
        case .sd: return MetricTaken(value: sums.sd)
        default: return Self.share(Int64(sums.sum.rounded()), of: Int64(sums.count))
        }
    }

    private static func share(_ some: Int64, of all: Int64) -> MetricTaken {
        guard all > 0 else { return .none }
        let share = Double(some) / Double(all)
        return MetricTaken(
            value: share,
            certainty: .standardError((share * (1 - share) / Double(all)).squareRoot()))
    }

    /// `nil`: some values lie too far away to be added.
    private func sums(_ place: Int) -> ValueSums? {
        if case .exact(let plan) = shape.columns[place].sums {
            let cell = unsafe exact[place]
            guard cell.count > 0 else { return ValueSums(count: 0, sum: 0) }
            guard let mean = cell.mean(plan) else { return nil }
            return ValueSums(
                count: cell.count, sum: mean * Double(cell.count), mean: mean, sd: cell.sd(plan))
        }
        for case let part as MetricSums in parts(place) {
            return ValueSums(count: part.count, sum: part.total, mean: part.mean, sd: part.sd)
        }
        return nil
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

    private func metricQuantiles(_ place: Int) -> MetricQuantiles? {
        for case let part as MetricQuantiles in parts(place) { return part }
        return nil
    }

    private func distinct(_ place: Int) -> MetricTaken {
        guard let category = categories[place], rowCounts(place).value > 0 else { return .none }
        let (estimate, lower, upper) = category.distinct.estimateAndBounds(standardDeviations: 1)
        return MetricTaken(value: estimate, certainty: .standardError((upper - lower) / 2))
    }
}
