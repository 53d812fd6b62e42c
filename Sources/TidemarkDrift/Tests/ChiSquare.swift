/// Chi-square homogeneity of a 2 × K table: expectations pooled, no continuity correction.
///
/// Cells empty on both sides are dropped; K − 1 degrees of freedom. One remaining cell is no
/// difference: p = 1, effect 0.
package enum ChiSquare: TwoSampleTest {
    /// Any column.
    package static let spec = TestSpec(
        "chi_square", "chi-square homogeneity of cells; its effect is Cramér's V",
        ignoreBelow: 0.1, effectName: "Cramér's V", hasP: true,
        source: "scipy.stats.chi2_contingency")

    /// The value is χ², the effect Cramér's V = √(χ² / (n + m)).
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        let (n, m) = (Double(now.valueCount), Double(then.valueCount))
        var cells = 0
        var statistic = 0.0
        for i in 0..<now.cellCount where now.count(i) > 0 || then.count(i) > 0 {
            cells += 1
            let o = Double(now.count(i))
            let r = Double(then.count(i))
            // (o − e)²/e of both sides, with e = (o + r) n / (n + m), in one term.
            let difference = o * (m / (n + m)) - r * (n / (n + m))
            statistic += difference * difference / (o + r) * ((n + m) / n) * ((n + m) / m)
        }
        guard cells > 1 else { return TestResult(value: 0, p: 1, effect: 0) }
        return TestResult(
            value: statistic, p: chiSquareUpper(degrees: Double(cells - 1), statistic),
            effect: (statistic / (n + m)).squareRoot())
    }
}
