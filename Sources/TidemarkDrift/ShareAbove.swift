import CTails

/// How likely so many rows of a kind, or more, are by chance where their share is `most`: the exact binomial
/// test, one-sided.
///
/// - Complexity: O(1).
/// - Source: C. J. Clopper, E. S. Pearson 1934.
package func shareAboveP(_ now: ShareCount, most: Double) -> Double {
    guard now.count > 0 else { return 1 }
    return tails_binomial_upper(Double(now.total), most, Double(now.count))
}
