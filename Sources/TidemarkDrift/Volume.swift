import CTails
import Glibc

/// Rows per window, over windows that are known: what the next one is compared with.
package struct VolumeReference: Sendable, Hashable {
    /// How many windows.
    package var windows: Int64
    /// Their rows.
    package var rows: Int64
    /// Σ rows².
    package var squares: UInt128

    /// The sums over some windows.
    package init(windows: Int64, rows: Int64, squares: UInt128) {
        self.windows = windows
        self.rows = rows
        self.squares = squares
    }
}

/// What the rows of one window say beside those of others.
package struct VolumeResult: Sendable, Hashable {
    /// Rows that were expected: the mean.
    package let expected: Double
    /// Rows ÷ expected − 1: −1 where nothing came.
    package let change: Double
    /// How likely so few rows, or fewer, are by chance.
    package let pDrop: Double
    /// How likely so many, or more, are.
    package let pRise: Double
}

/// Compares the rows of a window with the rows of windows before it.
///
/// Rows a window are taken as Poisson about a level that itself varies by window (gamma): their
/// variance is that of the known windows, and at least their mean. Each p is the greater of two:
/// - the exact comparison of two Poisson counts: given their sum N, the window's share of it is
///   binomial (N, 1 ⁄ (k + 1)) for k known windows;
/// - Wilson and Hilferty's cube root of a gamma, with the variance estimated from k windows: Student's t
///   with k − 1 degrees of freedom, the mean's own error included.
///
/// So p is right where counts are Poisson, and where they scatter more. Measured over gamma–Poisson
/// windows (coefficients of variation 0 to 0.8, 5 to 60 windows, means 5 to 1,000): at most 1.5 times
/// the level at 1% and 0.1%; below the level where counts are Poisson.
///
/// `takesOne`: with one known window nobody can tell how much windows vary, and the exact comparison counts alone:
/// right where counts are Poisson, too eager where they scatter more.
///
/// - Returns: nil where fewer than two windows (or one), or none with rows, are known.
/// - Source: Wilson and Hilferty 1931; Przyborowski and Wilenski 1940.
package func volumeResult(
    rows: Int64, of reference: VolumeReference, takesOne: Bool = false
) -> VolumeResult? {
    guard reference.windows >= (takesOne ? 1 : 2), reference.rows > 0, rows >= 0 else {
        return nil
    }
    let k = Double(reference.windows)
    let mean = Double(reference.rows) / k
    // k Σ x² − (Σ x)², exactly.
    let sum = UInt128(reference.rows)
    let scatter = UInt128(reference.windows) * reference.squares
    let variance = scatter > sum * sum ? Double(scatter - sum * sum) / (k * (k - 1)) : 0
    let square = max(variance, mean) / (mean * mean)
    func score(_ x: Double) -> Double {
        (cbrt(max(x, 0) / mean) - (1 - square / 9)) / (square.squareRoot() / 3)
            / (1 + 1 / k).squareRoot()
    }
    let x = Double(rows)
    let total = x + Double(reference.rows)
    if reference.windows == 1 {
        return VolumeResult(
            expected: mean, change: x / mean - 1, pDrop: tails_binomial_lower(total, 0.5, x),
            pRise: tails_binomial_upper(total, 0.5, x))
    }
    return VolumeResult(
        expected: mean, change: x / mean - 1,
        pDrop: max(
            tails_binomial_lower(total, 1 / (k + 1), x), tails_t_upper(k - 1, -score(x + 0.5))),
        pRise: max(
            tails_binomial_upper(total, 1 / (k + 1), x), tails_t_upper(k - 1, score(x - 0.5))))
}

/// Compares a number of a window with the same of windows before it.
///
/// Where all are positive they are taken as gamma, by Wilson and Hilferty's cube root, else as normal. Their variance
/// is that of the known windows, so p is that of Student's t with k − 1 degrees of freedom for k of them, the mean's
/// own error included. The sums go in the order of the windows.
///
/// - Returns: nil where fewer than two are known, or their mean is 0, of which nothing is a share.
package func amountResult(_ value: Double, of known: [Double]) -> VolumeResult? {
    let k = Double(known.count)
    let mean = known.reduce(0, +) / k
    guard known.count >= 2, mean != 0, mean.isFinite else { return nil }
    let variance = known.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (k - 1)
    let change = (value - mean) / abs(mean)
    guard variance > 0, variance.isFinite, change.isFinite else {
        guard change.isFinite else { return nil }
        return VolumeResult(
            expected: mean, change: change, pDrop: value < mean ? 0 : 1, pRise: value > mean ? 0 : 1
        )
    }
    let score: Double
    if value >= 0, known.allSatisfy({ $0 > 0 }) {
        let square = variance / (mean * mean)
        score = (cbrt(value / mean) - (1 - square / 9)) / (square.squareRoot() / 3)
    } else {
        score = (value - mean) / variance.squareRoot()
    }
    let own = score / (1 + 1 / k).squareRoot()
    return VolumeResult(
        expected: mean, change: change, pDrop: tails_t_upper(k - 1, -own),
        pRise: tails_t_upper(k - 1, own))
}
