/// Counts in universal bins: bin 32·e + i holds 2^e·(1 + i/32) ≤ |x| < 2^e·(1 + (i + 1)/32).
package struct LogLinearRecord: Sendable, Equatable {
    /// Consecutive bins.
    package struct Bins: Sendable, Equatable {
        /// The number of the first bin, 32·e + i; negative below 1.
        package var first: Int
        /// Values in each bin, from `first` on, without gaps.
        package var counts: [UInt64]
        package init(first: Int, counts: [UInt64]) {
            self.first = first
            self.counts = counts
        }
    }

    /// Values below 2^-64 in size, zero among them.
    package var zero: UInt64
    /// Values above zero; `nil`: there are none.
    package var positive: Bins?
    /// Values below zero, in bins of their size; `nil`: there are none.
    package var negative: Bins?
    /// A record of bins as the histogram has them: each sign's first bin and counts.
    package init(
        zero: UInt64, positive: (first: Int, counts: [UInt64])?,
        negative: (first: Int, counts: [UInt64])?
    ) {
        self.zero = zero
        self.positive = positive.map { Bins(first: $0.first, counts: $0.counts) }
        self.negative = negative.map { Bins(first: $0.first, counts: $0.counts) }
    }
}
