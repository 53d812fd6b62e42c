import Glibc

/// Ways to choose the edges of bins, once, from a reference.
package enum Edges {
    /// Whether edges ascend strictly, without NaN.
    package static func areAscending(_ edges: [Double]) -> Bool {
        for i in edges.indices.dropFirst() where !(edges[i - 1] < edges[i]) { return false }
        return edges.count != 1 || !edges[0].isNaN
    }

    /// `count` equal bins from `lo` to `hi`; fewer where f64 cannot tell neighbours apart.
    ///
    /// - Precondition: finite, `lo <= hi`, `count > 0`. With `lo == hi` the bins lie around it.
    package static func regular(from lo: Double, to hi: Double, count: Int) -> [Double] {
        precondition(lo.isFinite && hi.isFinite && lo <= hi && count > 0)
        var (lo, hi) = (lo, hi)
        if lo == hi {
            let reach = Swift.max(abs(lo) / 2, 0.5)
            (lo, hi) = (lo - reach, hi + reach)
        }
        var edges = [lo]
        for i in 1..<Swift.max(count, 1) {
            // Weighing the ends keeps symmetric ranges symmetric, and cannot overflow.
            let share = Double(i) / Double(count)
            edges.append(lo * (1 - share) + hi * share)
        }
        edges.append(hi)
        return deduplicated(edges)
    }

    /// `count` equal bins over the central share of sorted values: by default between their 0.1%
    /// and 99.9% quantile, so that one outlier does not widen every bin.
    ///
    /// - Precondition: `sorted` is ascending, finite, not empty; `0 < share <= 1`.
    package static func central(
        sorted: [Double],
        share: Double = 0.998,
        count: Int = 20
    ) -> [Double] {
        let tail = (1 - share) / 2
        return regular(
            from: quantile(sorted, tail),
            to: quantile(sorted, 1 - tail),
            count: count
        )
    }

    /// Edges that keep what is frequent apart from what is near it, with the values that got a bin of
    /// their own.
    package struct Parted: Sendable, Equatable {
        /// Ascending, finite; all values lie between the outer two, so that what is beyond them is new.
        package let edges: [Double]
        /// Values with a bin of their own, ascending.
        package let atoms: [Double]
    }

    /// Bins in which the frequent values (*atoms*: zeros, sentinels, ties, constants) stand alone, and
    /// all others in bins of about as many.
    ///
    /// Of at most `count` different values each is an atom. Else an atom is a value that at least half a
    /// percent of all have, and five times as many as the usual value has; the `count` most frequent
    /// ones at most. An atom's bin is as wide as a float's rounding (2^-22 of it), at most halfway to
    /// the next value that occurs. Between atoms there are bins for what was not there before.
    /// - Precondition: `sorted` is ascending, finite, not empty; `count > 0`.
    package static func parted(sorted: [Double], count: Int = 20) -> Parted {
        precondition(count > 0 && !sorted.isEmpty)
        var runs: [(value: Double, count: Int)] = []
        for value in sorted {
            if let last = runs.last, last.value == value {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((value + 0, 1))
            }
        }
        let places = atomPlaces(runs, total: sorted.count, count: count)
        let isAtom = Set(places)
        var inner: [(lower: Double, upper: Double)] = []
        for place in places {
            let value = runs[place].value
            let previous = place > 0 ? runs[place - 1].value : -.infinity
            let next = place + 1 < runs.count ? runs[place + 1].value : .infinity
            let reach = reach(of: value, gap: Swift.min(value - previous, next - value))
            var lower = Swift.max(value - reach, previous.nextUp, -.greatestFiniteMagnitude)
            // Halfway between neighbours may have been rounded.
            if let last = inner.last { lower = Swift.max(lower, last.upper) }
            let upper = Swift.min(
                Swift.max(value + reach, value.nextUp), next, .greatestFiniteMagnitude)
            inner.append((Swift.min(lower, value), upper))
        }
        var edges = inner.flatMap { [$0.lower, $0.upper] }
        let rest = runs.indices.filter { !isAtom.contains($0) }
        if let first = rest.first, let last = rest.last {
            var values: [Double] = []
            for place in rest {
                values.append(
                    contentsOf: repeatElement(runs[place].value, count: runs[place].count))
            }
            // As many values in each as without atoms, and some at least.
            let share = Double(values.count) / Double(sorted.count)
            let bins = Swift.min(count, Swift.max(4, Int((share * Double(count)).rounded())))
            edges.append(runs[first].value)
            for i in 1..<Swift.max(bins, 1) {
                edges.append(quantile(values, Double(i) / Double(bins)))
            }
            edges.append(Swift.min(runs[last].value.nextUp, .greatestFiniteMagnitude))
        }
        edges = edges.filter { edge in
            !inner.contains { $0.lower < edge && edge < $0.upper }
        }
        return Parted(edges: deduplicated(edges.sorted()), atoms: places.map { runs[$0].value })
    }

    /// Places of the values that are so frequent that they need a bin of their own.
    private static func atomPlaces(
        _ runs: [(value: Double, count: Int)], total: Int, count: Int
    ) -> [Int] {
        if runs.count <= count { return Array(runs.indices) }
        let usual = runs.map(\.count).sorted()[runs.count / 2]
        let least = Swift.max(10, usual * 5, (total + 199) / 200)
        let frequent = runs.indices.filter { runs[$0].count >= least }
        // The most frequent; of equals the smaller value.
        let kept = frequent.sorted {
            runs[$0].count != runs[$1].count ? runs[$0].count > runs[$1].count : $0 < $1
        }
        return kept.prefix(count).sorted()
    }

    /// How far the bin of an atom reaches to either side.
    ///
    /// Whole numbers are what they are in every format; others may have been rounded to f32.
    private static func reach(of value: Double, gap: Double) -> Double {
        let rounding = value == 0 ? Swift.min(gap, 1) * 0x1p-22 : abs(value) * 0x1p-22
        let whole = value == value.rounded() ? 0.25 : .infinity
        return Swift.min(rounding, gap / 2, whole)
    }

    /// The smallest value whose rank reaches `rank`, of sorted values.
    ///
    /// - Precondition: `sorted` is ascending, not empty.
    package static func quantile(_ sorted: [Double], _ rank: Double) -> Double {
        precondition(!sorted.isEmpty, "quantiles need a value")
        let target = rank * Double(sorted.count)
        // A product like 0.999 · 1000 may lie a rounding above the integer that it means.
        let rounded = target.rounded()
        let exact = abs(target - rounded) <= 1e-9 * Double(sorted.count) ? rounded : target
        let index = Int(exact.rounded(.up)) - 1
        return sorted[Swift.min(Swift.max(index, 0), sorted.count - 1)]
    }

    private static func deduplicated(_ edges: [Double]) -> [Double] {
        var kept: [Double] = []
        for edge in edges {
            if let last = kept.last, edge <= last { continue }
            kept.append(edge + 0)
        }
        return kept
    }
}
