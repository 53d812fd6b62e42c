/// Kolmogorov–Smirnov over ordered cells: D = max |F − G| at the cells' boundaries, and the
/// two-sided p of finite samples (`ksUpper`).
///
/// D over cells is at most D over values, so p errs to the safe side.
package enum KolmogorovSmirnov: TwoSampleTest {
    /// Numbers alone.
    package static let spec = TestSpec(
        "ks", "Kolmogorov–Smirnov: the largest difference of the shares below a bin's edge",
        needs: .order, columns: .numbers, ignoreBelow: 0.1, hasP: true,
        source: "scipy.stats.ks_2samp; Hodges, 1958; Simard and L'Ecuyer, 2011")

    /// Value and effect are D.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        let (n, m) = (Double(now.valueCount), Double(then.valueCount))
        var below: UInt64 = 0
        var belowThen: UInt64 = 0
        var d = 0.0
        for i in 0..<now.cellCount - 1 {
            below &+= now.count(i)
            belowThen &+= then.count(i)
            d = max(d, abs(Double(below) / n - Double(belowThen) / m))
        }
        return TestResult(
            value: d, p: ksUpper(d, now.valueCount, then.valueCount), effect: d)
    }

    /// Whether so many values could be told apart at a level at all, where they have nothing in common.
    package static func canReach(_ level: Double, current: UInt64, baseline: UInt64) -> Bool {
        // As many values as make e^(−2n) far smaller than any level.
        if current >= 1_000, baseline >= 1_000 { return true }
        return ksUpper(1, current, baseline) <= level
    }
}
