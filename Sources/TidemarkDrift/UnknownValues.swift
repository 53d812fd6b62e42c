import Glibc

/// How often values come that a baseline does not know, though nothing has changed: the law of columns with a
/// long tail.
///
/// A baseline of N rows is parted in two halves at random, and the rows of the second half are counted whose value
/// the first half has not. Beside the first half, the second half and a window are drawn alike, so their shares are
/// compared by Fisher's exact test, whatever the values are and however long their tail is. The whole baseline
/// knows more values than its half, so a window has fewer unknown ones beside it: the test errs on the quiet side.
///
/// A value that came c times lies in the second half alone with probability 2⁻ᶜ, and then brings c rows: so many
/// rows are expected, and that number stands for the parting, rounded up. Half of it are about the values that came
/// once, as Good and Turing have it.
///
/// - Source: I. J. Good 1953 for the share of values never seen; the parting is ours.
package enum UnknownValues {
    /// Rows of the second half that are expected to have a value unknown to the first, of how many rows.
    ///
    /// - `counts`: how often each value came.
    package static func expected(_ counts: some Sequence<Int64>) -> ShareCount {
        var rows = 0.0
        var total: Int64 = 0
        for count in counts where count > 0 {
            total += count
            // Beyond that it is nothing.
            if count < 1024 { rows += Double(count) * exp2(-Double(count)) }
        }
        return ShareCount(Int64(rows.rounded(.up)), of: max(1, total / 2))
    }

    /// The same where only values are known that came at least `least` times.
    ///
    /// The first half knows those that came half as often in it.
    package static func expected(_ counts: some Sequence<Int64>, least: Int64) -> ShareCount {
        guard least > 1 else { return expected(counts) }
        let bound = (least + 1) / 2
        var rows = 0.0
        var total: Int64 = 0
        for count in counts where count > 0 {
            total += count
            // Far above the bound it is nothing; the least part of a half is some deviations under the mean.
            guard count < 1024, Double(count) < 4 * Double(bound) + 64 else { continue }
            var choose = exp2(-Double(count))
            for first in 0..<min(bound, count + 1) {
                rows += choose * Double(count - first)
                choose *= Double(count - first) / Double(first + 1)
            }
        }
        return ShareCount(Int64(rows.rounded(.up)), of: max(1, total / 2))
    }
}
