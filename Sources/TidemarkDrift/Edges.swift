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

    /// Edges at the quantiles of sorted values, about as many values in each bin.
    ///
    /// Ties fall into one bin: equal edges are taken once. The outer edges are infinite, so
    /// nothing is under or over.
    /// - Precondition: `sorted` is ascending, finite, not empty; `count > 0`.
    package static func atQuantiles(sorted: [Double], count: Int = 10) -> [Double] {
        precondition(count > 0)
        var inner: [Double] = []
        for i in 1..<Swift.max(count, 1) {
            inner.append(quantile(sorted, Double(i) / Double(count)))
        }
        // An edge at the smallest value would leave an empty bin below it.
        inner = deduplicated(inner).filter { $0 > sorted[0] }
        return [-.infinity] + inner + [.infinity]
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
