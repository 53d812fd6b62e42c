/// The largest difference of any cell's share.
package enum LInfinity: TwoSampleTest {
    /// Any column.
    package static let spec = TestSpec(
        "l_infinity", "the largest difference of any cell's share", ignoreBelow: 0.05,
        source: "the Chebyshev distance of shares")

    /// Value and effect are the difference; there is no p.
    package static func compare(
        _ now: borrowing Evidence, _ then: borrowing Evidence
    ) -> TestResult? {
        guard now.isComparable(with: then) else { return nil }
        var most = 0.0
        for i in 0..<now.cellCount { most = max(most, abs(now.share(i) - then.share(i))) }
        return TestResult(value: most, p: nil, effect: most)
    }
}
