import CTails
import Glibc

/// What a two-sample test says.
package struct TestResult: Sendable, Equatable {
    /// The test's own statistic: D of KS, χ² of chi-square, PSI.
    package let value: Double
    /// The two-sided p-value; nil where the test has none.
    package let p: Double?
    /// The size of the difference in the test's own measure: the value, or Cramér's V.
    package let effect: Double

    /// A result with all its parts.
    package init(value: Double, p: Double?, effect: Double) {
        self.value = value
        self.p = p
        self.effect = effect
    }
}

/// The side that many windows are compared with: what tests want of it, worked out once.
package final class ReferenceCounts: Sendable {
    /// Values in each cell.
    package let counts: [UInt64]
    /// Values in all cells.
    package let valueCount: UInt64
    /// Each cell's share of all values.
    let shares: [Double]
    /// Share of the values in a cell and those before it.
    let sharesBelow: [Double]

    /// A side with these counts.
    package init(_ counts: [UInt64]) {
        self.counts = counts
        valueCount = counts.reduce(0, &+)
        let m = Double(valueCount)
        shares = counts.map { Double($0) / m }
        var below: UInt64 = 0
        sharesBelow = counts.map { count in
            below &+= count
            return Double(below) / m
        }
    }
}

/// Tests and distances between the counts of two sides in the same cells.
///
/// All are symmetric or take the current window first, the baseline second, and need both sides
/// to have the same number of cells. A side without values gives nil.
package enum TwoSample {
    /// Population stability index: Σ (p − q) ln(p / q) over cells that a side has values in.
    ///
    /// Jeffreys' rule for what is empty on one side only: the cell's share there is
    /// 0.5 / (n + K / 2), where n is that side's values and K the number of cells that remain.
    /// The shares of other cells stay count / n. Cells empty on both sides are left out.
    package static func psi(
        current: UnsafeBufferPointer<UInt64>, baseline: ReferenceCounts
    ) -> TestResult? {
        guard let (n, m) = unsafe totals(current, baseline) else { return nil }
        var cells = 0
        for i in 0..<current.count where unsafe current[i] > 0 || baseline.counts[i] > 0 {
            cells += 1
        }
        let k = Double(cells)
        var sum = 0.0
        for i in 0..<current.count {
            let count = unsafe current[i]
            guard count > 0 || baseline.counts[i] > 0 else { continue }
            let p = count > 0 ? Double(count) / n : 0.5 / (n + k / 2)
            let q = baseline.counts[i] > 0 ? baseline.shares[i] : 0.5 / (m + k / 2)
            sum += (p - q) * log(p / q)
        }
        return TestResult(value: sum, p: nil, effect: sum)
    }

    /// Kolmogorov–Smirnov over ordered cells: D = max |F − G| at the cells' boundaries, and the
    /// two-sided p of finite samples (`ksUpper`).
    ///
    /// D over cells is at most D over values, so p errs to the safe side.
    package static func ks(
        current: UnsafeBufferPointer<UInt64>, baseline: ReferenceCounts
    ) -> TestResult? {
        guard let (n, _) = unsafe totals(current, baseline) else { return nil }
        var below: UInt64 = 0
        var d = 0.0
        for i in 0..<current.count - 1 {
            unsafe below &+= current[i]
            d = max(d, abs(Double(below) / n - baseline.sharesBelow[i]))
        }
        return TestResult(
            value: d, p: ksUpper(d, UInt64(n), baseline.valueCount), effect: d)
    }

    /// Whether so many values could be told apart at a level at all, where they have nothing in common.
    package static func ksCanReach(_ level: Double, current: UInt64, baseline: UInt64) -> Bool {
        // As many values as make e^(−2n) far smaller than any level.
        if current >= 1_000, baseline >= 1_000 { return true }
        return ksUpper(1, current, baseline) <= level
    }

    /// Chi-square homogeneity of a 2 × K table: expectations pooled, no continuity correction.
    ///
    /// Cells empty on both sides are dropped; K − 1 degrees of freedom; the effect is Cramér's V =
    /// √(χ² / (n + m)). One remaining cell is no difference: p = 1, effect 0.
    package static func chiSquare(
        current: UnsafeBufferPointer<UInt64>, baseline: ReferenceCounts
    ) -> TestResult? {
        guard let (n, m) = unsafe totals(current, baseline) else { return nil }
        var cells = 0
        var statistic = 0.0
        for i in 0..<current.count where unsafe current[i] > 0 || baseline.counts[i] > 0 {
            cells += 1
            let o = Double(unsafe current[i])
            let r = Double(baseline.counts[i])
            // (o − e)²/e of both sides, with e = (o + r) n / (n + m), in one term.
            let difference = o * (m / (n + m)) - r * (n / (n + m))
            statistic += difference * difference / (o + r) * ((n + m) / n) * ((n + m) / m)
        }
        guard cells > 1 else { return TestResult(value: 0, p: 1, effect: 0) }
        return TestResult(
            value: statistic,
            p: tails_chi_square_upper(Double(cells - 1), statistic),
            effect: (statistic / (n + m)).squareRoot()
        )
    }

    /// Jensen–Shannon distance: √JSD with the natural logarithm; 0 … √ln 2.
    package static func jsDistance(
        current: UnsafeBufferPointer<UInt64>, baseline: ReferenceCounts
    ) -> TestResult? {
        guard let (n, _) = unsafe totals(current, baseline) else { return nil }
        var sum = 0.0
        for i in 0..<current.count {
            let p = Double(unsafe current[i]) / n
            let q = baseline.shares[i]
            let middle = (p + q) / 2
            if p > 0 { sum += p * log(p / middle) }
            if q > 0 { sum += q * log(q / middle) }
        }
        let distance = max(sum / 2, 0).squareRoot()
        return TestResult(value: distance, p: nil, effect: distance)
    }

    /// The largest difference of any cell's share.
    package static func lInfinity(
        current: UnsafeBufferPointer<UInt64>, baseline: ReferenceCounts
    ) -> TestResult? {
        guard let (n, _) = unsafe totals(current, baseline) else { return nil }
        var most = 0.0
        for i in 0..<current.count {
            most = max(most, abs(Double(unsafe current[i]) / n - baseline.shares[i]))
        }
        return TestResult(value: most, p: nil, effect: most)
    }

    /// Values on both sides; nil where one has none.
    private static func totals(
        _ current: UnsafeBufferPointer<UInt64>, _ baseline: ReferenceCounts
    ) -> (Double, Double)? {
        precondition(current.count == baseline.counts.count, "both sides have the same cells")
        var total: UInt64 = 0
        for i in 0..<current.count { unsafe total &+= current[i] }
        guard total > 0, baseline.valueCount > 0 else { return nil }
        return (Double(total), Double(baseline.valueCount))
    }
}

/// P(X > x) of the chi-square distribution.
package func chiSquareUpper(degrees: Double, _ x: Double) -> Double {
    tails_chi_square_upper(degrees, x)
}

/// P(Z > x) of the standard normal distribution.
package func normalUpper(_ x: Double) -> Double { tails_normal_upper(x) }
