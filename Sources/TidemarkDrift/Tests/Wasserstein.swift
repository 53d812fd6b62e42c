/// First Wasserstein distance, ∫ |F − G|, in the unit of the column: how far values moved on average.
///
/// Within a cell values are taken to lie evenly, so F and G are linear there. An outer cell reaches to the
/// smallest or largest value of its side where that is known (of a window it is); else its values are
/// taken to lie at the edge, and how far beyond they are isn't measured. (Baselines know their
/// counts alone; edges that `tidemark baseline build` chose have at most 0.2% of the values outside.)
///
/// The distance of the values themselves is at most Σ (p + q) · width / 2 away, over cells.
package enum Wasserstein: TwoSampleTest {
    /// Numbers alone, as distances are asked for; 0.1 is evidently's bound for the same measure.
    package static let spec = TestSpec(
        "wasserstein",
        "how far values moved, in the column's unit; its effect is in sd of the baseline",
        needs: [.order, .edges], columns: .numbers, ignoreBelow: 0.1,
        effectName: "in sd of the baseline",
        source: "scipy.stats.wasserstein_distance; over the reference's sd as evidently has it")

    /// The value is the distance, the effect its ratio to the baseline's standard deviation in the same
    /// cells; there is no p.
    ///
    /// Where the baseline has no spread the effect is in widths of all bins together, and where there is
    /// one edge alone it is the value.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        let last = now.boundaryCount - 1
        guard last >= 0 else { return TestResult(value: 0, p: nil, effect: 0) }
        // Halves throughout: the distance of two doubles may be none.
        let (low, high) = (now.boundary(0) / 2, now.boundary(last) / 2)
        let (lowNow, highNow) = (lowest(now) / 2, highest(now) / 2)
        let (lowThen, highThen) = (lowest(then) / 2, highest(then) / 2)
        var half =
            outer((now.share(0), low - lowNow), (then.share(0), low - lowThen))
            + outer(
                (now.share(last + 1), highNow - high), (then.share(last + 1), highThen - high))
        var below: (now: UInt64, then: UInt64) = (now.count(0), then.count(0))
        var before = difference(below, now, then)
        for cell in 1..<max(last + 1, 1) {
            below.now &+= now.count(cell)
            below.then &+= then.count(cell)
            let after = difference(below, now, then)
            half += area(before, after, now.boundary(cell) / 2 - now.boundary(cell - 1) / 2)
            before = after
        }
        var scale = halfDeviation(then, lowThen, highThen)
        if scale <= 0 { scale = high - low }
        if scale <= 0 { scale = 0.5 }
        let most = Double.greatestFiniteMagnitude
        return TestResult(value: min(2 * half, most), p: nil, effect: min(half / scale, most))
    }

    /// Where the first cell begins: its edge, unless it holds values and their smallest is known.
    private static func lowest(_ side: borrowing Evidence) -> Double {
        let edge = side.boundary(0)
        guard side.count(0) > 0, let range = side.range else { return edge }
        return min(range.lowerBound, edge)
    }

    /// Where the last cell ends.
    private static func highest(_ side: borrowing Evidence) -> Double {
        let edge = side.boundary(side.boundaryCount - 1)
        guard side.count(side.cellCount - 1) > 0, let range = side.range else { return edge }
        return max(range.upperBound, edge)
    }

    /// F − G where so many values lie below.
    private static func difference(
        _ below: (now: UInt64, then: UInt64), _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> Double {
        Double(below.now) / Double(now.valueCount) - Double(below.then) / Double(then.valueCount)
    }

    /// ∫ |f| of a line from `a` to `b` over `width`.
    private static func area(_ a: Double, _ b: Double, _ width: Double) -> Double {
        let sum = abs(a) + abs(b)
        guard sum > 0 else { return 0 }
        return a * b >= 0 ? width * sum / 2 : width * (a * a + b * b) / (2 * sum)
    }

    /// ∫ |F − G| over an outer cell: the share of each side in it, and how far it reaches from the edge.
    private static func outer(
        _ a: (share: Double, reach: Double), _ b: (share: Double, reach: Double)
    ) -> Double {
        let (far, near) = a.reach >= b.reach ? (a, b) : (b, a)
        guard far.reach > 0 else { return 0 }
        let gap = far.reach - near.reach
        // What lies beyond the nearer side's reach.
        let beyond = far.share * (gap / far.reach)
        return area(0, beyond, gap) + area(beyond, far.share - near.share, near.reach)
    }

    /// Half the standard deviation of a side whose outer cells reach to twice `low` and twice `high`.
    private static func halfDeviation(
        _ side: borrowing Evidence, _ low: Double, _ high: Double
    ) -> Double {
        let span = high - low
        guard span > 0 else { return 0 }
        // In shares of the span, so that no square is too large or too small.
        func position(_ cell: Int) -> Double {
            cell < 0
                ? 0
                : cell >= side.boundaryCount ? 1 : (side.boundary(cell) / 2 - low) / span
        }
        var mean = 0.0
        for cell in 0..<side.cellCount {
            mean += side.share(cell) * (position(cell - 1) + position(cell)) / 2
        }
        var variance = 0.0
        for cell in 0..<side.cellCount {
            let (begin, end) = (position(cell - 1), position(cell))
            let (offset, width) = ((begin + end) / 2 - mean, end - begin)
            variance += side.share(cell) * (offset * offset + width * width / 12)
        }
        return variance.squareRoot() * span
    }
}
