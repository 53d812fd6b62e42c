import Glibc

/// Jensen–Shannon distance: √JSD with the natural logarithm; 0 … √ln 2.
package enum JensenShannon: TwoSampleTest {
    /// Any column.
    package static let spec = TestSpec(
        "js_distance", "Jensen–Shannon distance over cells, natural logarithm: 0 to 0.83",
        ignoreBelow: 0.1, source: "scipy.spatial.distance.jensenshannon")

    /// Value and effect are the distance; there is no p.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        var sum = 0.0
        for i in 0..<now.cellCount {
            let p = now.share(i)
            let q = then.share(i)
            let middle = (p + q) / 2
            if p > 0 { sum += p * log(p / middle) }
            if q > 0 { sum += q * log(q / middle) }
        }
        let distance = max(sum / 2, 0).squareRoot()
        return TestResult(value: distance, p: nil, effect: distance)
    }
}
