import CKernels

/// Sorts 256 f64 values in place.
///
/// - Precondition: no NaN and no −0.
/// - Complexity: about 0.6 µs with AVX-512.
package func sort256(_ values: UnsafeMutablePointer<Double>) {
    unsafe tk_sort256_f64(values)
}

/// HyperLogLog coupons of integers, by DataSketches' hash of their eight bytes.
///
/// - Complexity: 0.8 ns an integer with AVX-512, 3 without.
package func coupons(
    of values: UnsafePointer<Int64>,
    count: Int,
    into coupons: UnsafeMutablePointer<UInt32>
) {
    unsafe tk_coupons(values, count, coupons)
}

/// Raises each coupon's register to the coupon's run; a coupon of 0 changes nothing.
///
/// `mask` is the number of registers less 1.
/// - Complexity: about 0.4 ns a coupon.
package func raiseRegisters(
    _ registers: UnsafeMutablePointer<UInt8>,
    mask: UInt32,
    coupons: UnsafePointer<UInt32>,
    count: Int
) {
    unsafe tk_raise_registers(registers, mask, coupons, count)
}

/// DDSketch's keys of |x| by cubic interpolation of the logarithm: ceil(log₂ |x| · multiplier).
///
/// - Precondition: all values are normal numbers.
/// - Complexity: about 0.4 ns a value.
package func cubicCodes(
    of values: UnsafePointer<Double>,
    count: Int,
    multiplier: Double,
    into codes: UnsafeMutablePointer<Int32>
) {
    unsafe tk_cubic_codes(values, count, multiplier, codes)
}

/// DDSketch's keys by the logarithm itself: ceil(log₂ x · multiplier), for bytes that its Python default merges.
///
/// Plain arithmetic in one order, with no call of the system's mathematics: every machine finds the same keys.
///
/// - Precondition: all values are positive normal numbers.
/// - Complexity: about 5 ns a value.
package func logarithmCodes(
    of values: UnsafePointer<Double>,
    count: Int,
    multiplier: Double,
    into codes: UnsafeMutablePointer<Int32>
) {
    for i in 0..<count {
        let scaled = unsafe (binaryLogarithm(values[i]) * multiplier).rounded(.up)
        unsafe codes[i] = Int32(truncatingIfNeeded: Int(scaled))
    }
}

/// log₂ of a positive normal number, within 3e-16 of its exponent's size: 2 / ln 2 · artanh((m − 1) / (m + 1)) by its series,
/// m between √½ and √2.
package func binaryLogarithm(_ value: Double) -> Double {
    var exponent = Double(value.exponent)
    var m = value.significand
    if m > 1.4142135623730951 {
        m /= 2
        exponent += 1
    }
    let s = (m - 1) / (m + 1)
    let z = s * s
    var sum = 1.0 / 25
    for odd in stride(from: 23.0, through: 1, by: -2) { sum = sum * z + 1 / odd }
    return exponent + s * sum * 2.8853900817779268
}

/// 2 to the power of `exponent`, for exponents of normal numbers: the series of exp about half an octave.
package func binaryPower(_ exponent: Double) -> Double {
    let whole = exponent.rounded(.down)
    let x = (exponent - whole - 0.5) * 0.6931471805599453
    var sum = 1.0
    for n in stride(from: 17.0, through: 1, by: -1) { sum = sum * x / n + 1 }
    let bounded = Swift.max(-1074, Swift.min(1023, whole))
    return Double(sign: .plus, exponent: Int(bounded), significand: sum * 1.4142135623730951)
}

/// The exponent of |x| and the `bits` highest bits of its significand, as one number, 0 at 1.0.
///
/// - Complexity: about 0.2 ns a value.
package func logLinearCodes(
    of values: UnsafePointer<Double>,
    count: Int,
    bits: Int,
    into codes: UnsafeMutablePointer<Int32>
) {
    unsafe tk_log_linear_codes(values, count, Int32(truncatingIfNeeded: bits), codes)
}

/// Magnitudes of values ≥ `least` to one list, of those ≤ −`least` to another, in their order; NaN
/// and infinities to none.
///
/// - Precondition: both lists have room for eight more than `count`; `least > 0`.
/// - Returns: How many went to each, and how many were smaller.
/// - Complexity: about 0.4 ns a value with AVX-512.
package func splitSigns(
    _ values: UnsafePointer<Double>,
    count: Int,
    least: Double,
    positive: UnsafeMutablePointer<Double>,
    negative: UnsafeMutablePointer<Double>
) -> (positive: Int, negative: Int, small: Int) {
    var counts = (0, 0, 0)
    unsafe withUnsafeMutableBytes(of: &counts) { bytes in
        guard let out = bytes.baseAddress else { return }
        unsafe tk_split_signs(
            values,
            count,
            least,
            positive,
            negative,
            out.assumingMemoryBound(to: Int.self)
        )
    }
    return counts
}

/// The bin of each value: how many edges are ≤ it, compared in f64; `UInt16.max` if not finite.
///
/// One code serves PSI, Jensen-Shannon, detectors and scoring: 0 is under the first edge,
/// `edgeCount` is over the last.
/// - Precondition: edges ascend, at most 65,534 of them.
/// - Complexity: about 0.8 ns a value and 20 bins with AVX-512.
package func binCodes(
    of values: UnsafePointer<Double>,
    count: Int,
    edges: UnsafePointer<Double>,
    edgeCount: Int,
    into codes: UnsafeMutablePointer<UInt16>
) {
    precondition(edgeCount < 65_535, "a bin's code is 16 bits")
    unsafe tk_bin_codes(values, count, edges, edgeCount, codes)
}

/// Mean, and central sums of order 2 to 4, of a block of values.
package struct BlockMoments: BitwiseCopyable, Sendable {
    /// Mean of x − shift.
    package var mean = 0.0
    /// Σ (x − mean)².
    package var second = 0.0
    /// Σ (x − mean)³.
    package var third = 0.0
    /// Σ (x − mean)⁴.
    package var fourth = 0.0

    /// The moments of no values.
    package init() {}
}

/// Moments of 64 values: eight sums side by side, joined by a fixed tree, the same in every tier.
///
/// - Complexity: about 1 ns a value.
package func moments64(_ values: UnsafePointer<Double>, shift: Double) -> BlockMoments {
    var block = BlockMoments()
    unsafe withUnsafeMutableBytes(of: &block) { bytes in
        guard let out = bytes.baseAddress else { return }
        unsafe tk_moments64(values, shift, out.assumingMemoryBound(to: Double.self))
    }
    return block
}

/// Adds the lower triangle, row by row, of Σ (a − mean a)(b − mean b) over 64 rows to `sums`.
///
/// `values` are `width` columns of 64 values each, centred in place; `means` gets their means.
/// - Complexity: about 10 ns a pair of columns.
package func comoments64(
    _ values: UnsafeMutablePointer<Double>,
    width: Int,
    means: UnsafeMutablePointer<Double>,
    sums: UnsafeMutablePointer<Double>
) {
    unsafe tk_comoments64(values, width, means, sums)
}

/// Where Apache DataSketches' correction of HyperLogLog's raw estimate stands: 257 raw estimates,
/// over 2^lgK, at which the corrected one is a whole number of steps.
///
/// - Precondition: `4 <= lgK <= 21`.
/// - Source: measured from the peer's answers by `make_hll_table.py`.
package func hllKnots(lgK: Int) -> UnsafePointer<Float> {
    precondition(4 <= lgK && lgK <= 21, "lgK of HLL is 4 to 21")
    return unsafe tk_hll_knots(Int32(truncatingIfNeeded: lgK))
}
