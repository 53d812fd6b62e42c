/// How a column varies with another, over the rows that have all columns of the rule.
package struct CorrelationRecord: Sendable, Equatable {
    /// Name of the other column.
    package var with: String
    /// Rows that have all columns of the rule.
    package var n: Int64
    /// Divides by n − 1; `nil`: fewer than two rows.
    package var covariance: Double?
    /// Pearson's, −1 to 1; `nil`: fewer than two rows, or one of the two does not vary.
    package var correlation: Double?
    package init(with: String, n: Int64, covariance: Double?, correlation: Double?) {
        self.with = with
        self.n = n
        self.covariance = covariance
        self.correlation = correlation
    }
}
