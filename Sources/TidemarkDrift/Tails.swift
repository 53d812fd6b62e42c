import CTails

/// P(X > x) of the chi-square distribution.
package func chiSquareUpper(degrees: Double, _ x: Double) -> Double {
    tails_chi_square_upper(degrees, x)
}

/// P(Z > x) of the standard normal distribution.
package func normalUpper(_ x: Double) -> Double { tails_normal_upper(x) }
