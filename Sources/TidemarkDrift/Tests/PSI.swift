import Glibc

/// Population stability index: Σ (p − q) ln(p / q) over cells that a side has values in.
///
/// Jeffreys' rule for what is empty on one side only: the cell's share there is
/// 0.5 / (n + K / 2), where n is that side's values and K the number of cells that remain.
/// The shares of other cells stay count / n. Cells empty on both sides are left out.
package enum PSI: TwoSampleTest {
    /// Any column; 0.05 is half of what credit scoring calls a minor shift.
    package static let spec = TestSpec(
        "psi", "population stability index over cells", ignoreBelow: 0.05,
        source: "Siddiqi, Credit Risk Scorecards, 2006")

    /// Value and effect are the index; there is no p.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        var cells = 0
        for i in 0..<now.cellCount where now.count(i) > 0 || then.count(i) > 0 { cells += 1 }
        let k = Double(cells)
        let (n, m) = (Double(now.valueCount), Double(then.valueCount))
        var sum = 0.0
        for i in 0..<now.cellCount {
            let (count, reference) = (now.count(i), then.count(i))
            guard count > 0 || reference > 0 else { continue }
            let p = count > 0 ? Double(count) / n : 0.5 / (n + k / 2)
            let q = reference > 0 ? Double(reference) / m : 0.5 / (m + k / 2)
            sum += (p - q) * log(p / q)
        }
        return TestResult(value: sum, p: nil, effect: sum)
    }
}
