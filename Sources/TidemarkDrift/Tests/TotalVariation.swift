/// Total variation: half the sum of the differences of all cells' shares, the share of values that would have to move.
package enum TotalVariation: TwoSampleTest {
    /// Any column.
    package static let spec = TestSpec(
        "total_variation", "the share of values that would have to move to another cell: 0 to 1",
        ignoreBelow: 0.05, source: "half the Manhattan distance of shares")

    /// Value and effect are the share; there is no p.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        var sum = 0.0
        for i in 0..<now.cellCount { sum += abs(now.share(i) - then.share(i)) }
        return TestResult(value: sum / 2, p: nil, effect: sum / 2)
    }
}
