import Testing
import TidemarkCore
import TidemarkDrift

/// Shares of rows that are more than they may be.
@Suite struct ShareTests {
    /// Rows of a kind of all rows, in the window and in the baseline, and what scipy 1.17 says of them:
    /// `hypergeom.sf(x - 1, M, K, n)`.
    private static let goldens:
        [(now: (count: Int64, total: Int64), then: (count: Int64, total: Int64), p: Double)] = [
            ((5, 100), (10, 1000), 0.008070963859527349),
            ((0, 100), (10, 1000), 1.0),
            ((3, 500), (3, 500), 0.6567206334775373),
            ((60, 1000), (400, 10000), 0.002573659997086094),
            ((700, 10000), (5000, 100000), 1.0731104937039438e-16),
            ((30, 1000), (0, 5000), 3.134706514546593e-24),
            ((12, 600), (40, 1_000_000), 3.907311271665641e-28),
            ((1, 500), (50000, 1_000_000), 0.9999999999926813),
            ((500, 500), (1, 2), 0.00398406374501992),
        ]

    @Test func `p of a share that is greater than the baseline's is that of scipy`() {
        for (now, then, p) in Self.goldens {
            let found = excessP(
                ShareCount(now.count, of: now.total), over: ShareCount(then.count, of: then.total))
            #expect(abs(found - p) <= p * 1e-6, "\(now) over \(then): \(found), not \(p)")
        }
    }

    /// Rows of a kind of all rows, the share that is allowed, and the sum of the tail's
    /// terms in decimal numbers of 60 digits.
    private static let bounds: [(now: (count: Int64, total: Int64), most: Double, p: Double)] =
        [
            ((6, 100), 0.05, 0.38400087204385897),
            ((20, 100), 0.05, 1.0522953420147268e-07),
            ((1, 500), 0.0001, 0.048772953728424384),
            ((60, 2000), 0.01, 2.834076030362143e-13),
            ((40, 2000), 0.001, 1.344868988102915e-37),
            ((3, 1000000), 0.0000001, 0.00015465264046711028),
            ((990, 1000), 0.5, 2.4833387914896352e-278),
            ((10, 1000), 0.05, 0.9999999999994758),
            ((2100, 1000000), 0.002, 0.013457654215142778),
        ]

    @Test func `p of a share that is greater than the one allowed is the sum of the tail`() {
        for (now, most, p) in Self.bounds {
            let found = excessP(ShareCount(now.count, of: now.total), over: most)
            #expect(abs(found - p) <= p * 1e-6, "\(now) over \(most): \(found), not \(p)")
        }
        // Every count of few rows, beside the sum of all terms.
        for total in 1...12 as ClosedRange<Int64> {
            for most in [0.01, 0.3, 0.97] {
                var (tail, term) = (0.0, 0.0)
                for count in (0...total).reversed() {
                    var choose = 1.0
                    for step in 0..<count { choose *= Double(total - step) / Double(step + 1) }
                    term = choose
                    for _ in 0..<count { term *= most }
                    for _ in count..<total { term *= 1 - most }
                    tail += term
                    let found = excessP(ShareCount(count, of: total), over: most)
                    #expect(abs(found - tail) <= 1e-12 + tail * 1e-9, "\(count) of \(total)")
                }
            }
        }
    }

    @Test func `a share that is allowed is exceeded only where that is no chance`() {
        let rule = ShareRule(most: 0.05, level: 1e-4, ignoreBelow: 0, rowCountMin: 100)
        #expect(rule.judge(ShareCount(6, of: 100), nil).verdict == .ok)
        #expect(rule.judge(ShareCount(20, of: 100), nil).verdict == .excess)
        #expect(rule.judge(ShareCount(600, of: 10_000), nil).verdict == .excess)
        // Where none may be, one row is enough, and none ends the alert.
        let never = ShareRule(most: 0, level: 1e-9, ignoreBelow: 0, rowCountMin: 500)
        let one = never.judge(ShareCount(1, of: 10), nil)
        #expect(one.verdict == .excess && one.p == nil)
        let none = never.judge(ShareCount(0, of: 10), nil)
        #expect(none.verdict == .ok && !never.isNear(none, clearBelow: 0.8))
    }

    @Test func `p falls as the share grows, and is a probability`() {
        let then = ShareCount(50, of: 2_000)
        var last = 1.0
        for count in 0...400 as ClosedRange<Int64> {
            let p = excessP(ShareCount(count, of: 400), over: then)
            #expect(p >= 0 && p <= last + 1e-9, "\(count): \(p) after \(last)")
            last = p
        }
        #expect(last < 1e-200)
    }

    @Test func `a share that is given decides alone, and must be exceeded`() {
        let rule = ShareRule(most: 0.05, level: nil, ignoreBelow: 0.01, rowCountMin: 100)
        #expect(rule.judge(ShareCount(5, of: 100), nil).verdict == .ok)
        #expect(rule.judge(ShareCount(6, of: 100), nil).verdict == .excess)
        #expect(rule.judge(ShareCount(6, of: 99), nil).verdict == .tooFew)
        #expect(rule.judge(nil, nil).verdict == .tooFew)
        let never = ShareRule(most: 0, level: nil, ignoreBelow: 0, rowCountMin: 0)
        #expect(never.judge(ShareCount(0, of: 10), nil).verdict == .ok)
        #expect(never.judge(ShareCount(1, of: 1_000_000), nil).verdict == .excess)
        #expect(never.judge(ShareCount(0, of: 0), nil).verdict == .tooFew)
    }

    @Test func `beside a baseline it has to be significant, and more by enough`() {
        let then = ShareCount(100, of: 10_000)
        let rule = ShareRule(most: nil, level: 1e-3, ignoreBelow: 0.01, rowCountMin: 100)
        #expect(rule.judge(ShareCount(30, of: 1_000), then).verdict == .excess)
        #expect(rule.judge(ShareCount(19, of: 1_000), then).verdict == .ok, "too little")
        #expect(rule.judge(ShareCount(3, of: 100), then).verdict == .ok, "by chance")
        #expect(rule.judge(ShareCount(30, of: 1_000), nil).verdict == .tooFew)
        let budgetOff = ShareRule(most: nil, level: nil, ignoreBelow: 0.01, rowCountMin: 100)
        #expect(budgetOff.judge(ShareCount(3, of: 100), then).verdict == .excess)
    }
}
