import Glibc

/// How a column's sums become integers: the centre that is subtracted and the powers of two that
/// are multiplied with, from the column's declared range or its baseline, never from its data.
///
/// A value's share of the sum is `round((x − centre) · scale)`, of the sum of squares
/// `round((x − centre)² · squareScale)`. With the half-range H = 2^e ≥ (hi − lo) / 2, one rounding
/// is at most 2^-50 H and 2^-48 H², so the mean is within 1e-10 sd, and the sd within 1e-10 of
/// itself, wherever sd > H / 200.
package struct SumPlan: BitwiseCopyable, Sendable, Hashable {
    /// Subtracted from every value.
    package let centre: Double
    /// Values become integers by it; a power of two.
    package let scale: Double
    /// Squares become integers by it; a power of two.
    package let squareScale: Double
    /// Closer to the centre than this (4 H), a value is summed in 64 bits.
    package let nearLimit: Double
    /// Closer than this (2^24 H), in 128 bits; beyond, it is counted as unsummed.
    package let farLimit: Double

    /// A plan for values that lie mostly in `lo ... hi`.
    ///
    /// - Precondition: both finite, `lo <= hi`. With `lo == hi` the half-range is |lo|, at least 1.
    package init(from lo: Double, to hi: Double) {
        precondition(lo.isFinite && hi.isFinite && lo <= hi, "a range is finite and ordered")
        let centre = lo / 2 + hi / 2
        var half = max(hi - centre, centre - lo)
        // A half-range that the centre's own rounding swallows says nothing about the values.
        if half <= abs(centre) * 0x1p-50 || half == 0 { half = max(abs(centre), 1) }
        var exponent = Int(half.exponent)
        if half.significand != 1 { exponent += 1 }
        exponent = min(max(exponent, -400), 400)
        self.centre = centre
        scale = Double(sign: .plus, exponent: 49 - exponent, significand: 1)
        squareScale = Double(sign: .plus, exponent: 47 - 2 * exponent, significand: 1)
        nearLimit = Double(sign: .plus, exponent: exponent + 2, significand: 1)
        farLimit = Double(sign: .plus, exponent: exponent + 24, significand: 1)
    }
}

/// What is known of one column's values in one cell: an order-free summary.
///
/// 64 bytes without pointers; C folds into it directly. Merging adds integers, so it is exact and
/// the same in any order; sums hold at least 2^31 values at the far limit.
package struct NumericCell: BitwiseCopyable, Sendable, Hashable {
    /// Finite values.
    package var count: UInt64 = 0
    /// Values among them too far from the centre to be summed; not 0 means no mean and no sd.
    package var unsummed: UInt64 = 0
    var sumLow: UInt64 = 0
    var sumHigh: Int64 = 0
    var squareLow: UInt64 = 0
    var squareHigh: Int64 = 0
    /// The smallest value; +infinity when empty, never −0.
    package var min: Double = .infinity
    /// The largest value; −infinity when empty, never −0.
    package var max: Double = -.infinity

    /// A cell without values.
    package init() {}

    /// Σ round((x − centre) · scale).
    package var sum: Int128 {
        get { Int128(sumHigh) << 64 | Int128(sumLow) }
        set {
            sumLow = UInt64(truncatingIfNeeded: newValue)
            sumHigh = Int64(truncatingIfNeeded: newValue >> 64)
        }
    }

    /// Σ round((x − centre)² · squareScale).
    package var square: Int128 {
        get { Int128(squareHigh) << 64 | Int128(squareLow) }
        set {
            squareLow = UInt64(truncatingIfNeeded: newValue)
            squareHigh = Int64(truncatingIfNeeded: newValue >> 64)
        }
    }

    /// Adds the values of another cell folded under the same plan.
    package mutating func merge(_ other: NumericCell) {
        count &+= other.count
        unsummed &+= other.unsummed
        sum = sum &+ other.sum
        square = square &+ other.square
        if other.min < min { min = other.min }
        if other.max > max { max = other.max }
    }

    /// The mean; nil without values, or where some could not be summed.
    package func mean(_ plan: SumPlan) -> Double? {
        guard count > 0, unsummed == 0 else { return nil }
        return plan.centre + nearest(sumHigh, sumLow) / Double(count) / plan.scale
    }

    /// The standard deviation, over n − 1; nil below two values, or where some could not be summed.
    package func sd(_ plan: SumPlan) -> Double? {
        guard count > 1, unsummed == 0 else { return nil }
        let n = Double(count)
        let shift = nearest(sumHigh, sumLow) / plan.scale / n
        let spread = nearest(squareHigh, squareLow) / plan.squareScale - n * shift * shift
        // A constant column's rounding may leave a spread a hair below nothing.
        if min == max { return 0 }
        return (Swift.max(spread, 0) / (n - 1)).squareRoot()
    }
}

/// The double nearest to the integer of these two halves, ties to even.
///
/// The library's conversion from `Int128` is generic and takes many times as long.
private func nearest(_ high: Int64, _ low: UInt64) -> Double {
    if high == Int64(bitPattern: low) >> 63 { return Double(Int64(bitPattern: low)) }
    var top = UInt64(bitPattern: high)
    var rest = low
    if high < 0 {
        rest = 0 &- rest
        top = rest == 0 ? 0 &- top : ~top
    }
    // The highest 64 bits; of those below it matters only whether there are any.
    let shift = top.leadingZeroBitCount
    top = top << shift | rest >> (64 - shift)
    rest <<= shift
    let unit = Double(sign: .plus, exponent: 64 - shift, significand: 1)
    let magnitude = Double(rest == 0 ? top : top | 1) * unit
    return high < 0 ? -magnitude : magnitude
}

/// As `NumericCell` for a column with neither a declared range nor a baseline: an ordered summary.
///
/// Sums are f64 in row order, relative to the cell's first value: the same however the rows were
/// cut into batches, but merged only in canonical order (input partition, then pane). The first
/// value is one of the sample, so a far shift comes with a large variance: the relative error of
/// the variance stays below about n · 2^-52.
package struct OrderedCell: BitwiseCopyable, Sendable, Hashable {
    /// Finite values.
    package var count: UInt64 = 0
    /// The first value; what the sums are relative to.
    package var shift: Double = 0
    /// Σ (x − shift).
    package var sum: Double = 0
    /// Σ (x − shift)².
    package var square: Double = 0
    /// The smallest value; +infinity when empty, never −0.
    package var min: Double = .infinity
    /// The largest value; −infinity when empty, never −0.
    package var max: Double = -.infinity

    /// A cell without values.
    package init() {}

    /// Adds the values of a cell that follows this one in canonical order.
    package mutating func merge(_ next: OrderedCell) {
        guard next.count > 0 else { return }
        guard count > 0 else {
            self = next
            return
        }
        let distance = next.shift - shift
        let n = Double(next.count)
        square += next.square + 2 * distance * next.sum + n * distance * distance
        sum += next.sum + n * distance
        count &+= next.count
        if next.min < min { min = next.min }
        if next.max > max { max = next.max }
    }

    /// The mean; nil without values, or where f64 cannot hold the sum.
    package var mean: Double? {
        guard count > 0 else { return nil }
        let mean = shift + sum / Double(count)
        return mean.isFinite ? mean : nil
    }

    /// The standard deviation, over n − 1; nil below two values, or where f64 cannot hold the sum.
    package var sd: Double? {
        guard count > 1 else { return nil }
        if min == max { return 0 }
        let n = Double(count)
        let variance = Swift.max(square - sum / n * sum, 0) / (n - 1)
        return variance.isFinite ? variance.squareRoot() : nil
    }
}
