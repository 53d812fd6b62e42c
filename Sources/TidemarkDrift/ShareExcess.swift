import CTails
import Glibc
package import TidemarkCore

/// How many of some rows are of one kind: those without a value, say.
package struct ShareCount: Sendable, Hashable {
    /// Rows of the kind.
    package let count: UInt64
    /// All rows.
    package let total: UInt64

    /// So many of so many; less than none is none.
    package init(_ count: Int64, of total: Int64) {
        self.total = UInt64(max(0, total))
        self.count = min(UInt64(max(0, count)), self.total)
    }

    /// 0 to 1; 0 of nothing.
    package var share: Double { total > 0 ? Double(count) / Double(total) : 0 }
}

/// When a share of rows is more than it may be.
package struct ShareRule: Sendable, Hashable {
    /// The share that is allowed, whatever was usual; `nil`: what the baseline has.
    package var most: Double?
    /// p must reach down to it; `nil`: the size alone decides.
    package var level: Double?
    /// Without `most`, a share that is greater than the baseline's by less is let pass; absolute.
    package var ignoreBelow: Double
    /// Fewer rows in the window give no verdict.
    package var rowCountMin: UInt64

    package init(most: Double?, level: Double?, ignoreBelow: Double, rowCountMin: UInt64) {
        self.most = most
        self.level = level
        self.ignoreBelow = ignoreBelow
        self.rowCountMin = rowCountMin
    }

    /// What the effect is held against.
    package var bound: Double { most ?? ignoreBelow }

    /// What a window comes to.
    package struct Finding: Sendable, Hashable {
        /// `excess`, `ok` or `too_few`.
        package var verdict: Verdict
        /// The share, or (without `most`) by how much it is greater than the baseline's; `nil`: too few rows.
        package var effect: Double?
        /// `nil` where nothing was tested: where the share is not over its bound, or none may be over it.
        package var p: Double?

        /// A finding without an effect, or with all there is to know.
        package init(verdict: Verdict, effect: Double? = nil, p: Double? = nil) {
            self.verdict = verdict
            self.effect = effect
            self.p = p
        }
    }

    /// Judges a window, beside the baseline where no share is given.
    ///
    /// `nil` for either: it is not known, and the verdict is `too_few`.
    package func judge(_ now: ShareCount?, _ then: ShareCount?) -> Finding {
        // Where none may be, one row is enough, of however few.
        guard let now, now.total > 0, now.total >= rowCountMin || most == 0 else {
            return Finding(verdict: .tooFew)
        }
        let effect = now.share - (most == nil ? then?.share ?? 0 : 0)
        guard most != nil || then?.total ?? 0 > 0 else { return Finding(verdict: .tooFew) }
        // A test costs more than all else here, and says nothing of what is small.
        guard most.map({ effect > $0 }) ?? (effect >= ignoreBelow), effect > 0 else {
            return Finding(verdict: .ok, effect: effect)
        }
        if most == 0 { return Finding(verdict: .excess, effect: effect) }
        let p = most.map { excessP(now, over: $0) } ?? then.map { excessP(now, over: $0) } ?? 1
        let isSignificant = level.map { p <= $0 } ?? true
        return Finding(verdict: isSignificant ? .excess : .ok, effect: effect, p: p)
    }

    /// Whether an alert that is open has to wait: the window is no breach, and too close to one.
    package func isNear(_ finding: Finding, clearBelow: Double) -> Bool {
        guard let effect = finding.effect, effect > 0 else { return false }
        return effect >= bound * clearBelow
    }
}

/// How likely so great a share, or a greater one, is by chance, where each row is of the kind with probability
/// `most`: the exact binomial test, one-sided.
///
/// - Complexity: O(1).
/// - Source: C. J. Clopper, E. S. Pearson 1934.
package func excessP(_ now: ShareCount, over most: Double) -> Double {
    guard now.count > 0, most < 1 else { return 1 }
    guard most > 0 else { return 0 }
    return tails_binomial_upper(Double(now.total), most, Double(now.count))
}

/// How likely so great a share, or a greater one, is by chance, where both sides have the same: Fisher's exact
/// test, one-sided.
///
/// - Complexity: O(√n) terms of the tail.
/// - Source: R. A. Fisher 1935; the tail of the hypergeometric distribution, summed from the largest term on.
package func excessP(_ now: ShareCount, over then: ShareCount) -> Double {
    let draws = Double(now.total)
    let marked = Double(now.count) + Double(then.count)
    let all = draws + Double(then.total)
    let least = max(0, draws + marked - all)
    let most = min(draws, marked)
    func logTerm(_ x: Double) -> Double {
        logChoose(marked, x) + logChoose(all - marked, draws - x) - logChoose(all, draws)
    }
    /// The term after that of `x`, as a multiple of it.
    func ratio(_ x: Double) -> Double {
        (marked - x) * (draws - x) / ((x + 1) * (all - marked - draws + x + 1))
    }
    let x = Double(now.count)
    guard x > least else { return 1 }
    // From the side on which terms fall: above the mean upwards, else what is left of 1.
    if x * all >= draws * marked {
        var (term, sum, at) = (1.0, 1.0, x)
        while at < most, term > sum * 1e-17 {
            term *= ratio(at)
            sum += term
            at += 1
        }
        return min(1, exp(logTerm(x)) * sum)
    }
    var (term, sum, at) = (1.0, 1.0, x - 1)
    while at > least, term > sum * 1e-17 {
        at -= 1
        term /= ratio(at)
        sum += term
    }
    return max(0, 1 - exp(logTerm(x - 1)) * sum)
}

private func logChoose(_ n: Double, _ k: Double) -> Double {
    lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
}
