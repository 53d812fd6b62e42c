/// Hellinger distance: √(1 − Σ √(p·q)); 0 … 1.
package enum Hellinger: TwoSampleTest {
    /// Any column.
    package static let spec = TestSpec(
        "hellinger", "Hellinger distance over cells: 0 to 1", ignoreBelow: 0.1,
        source: "E. Hellinger 1909")

    /// Value and effect are the distance; there is no p.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        // Half the sum of squared differences of roots: nothing is lost where both are nearly alike.
        var sum = 0.0
        for i in 0..<now.cellCount {
            let difference = now.share(i).squareRoot() - then.share(i).squareRoot()
            sum += difference * difference
        }
        let distance = min(1, (sum / 2).squareRoot())
        return TestResult(value: distance, p: nil, effect: distance)
    }
}
