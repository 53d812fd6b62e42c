/// Mean and rate in which a value counts half as much for each half-life before the window's end.
package struct DecayedRecord: Sendable, Equatable {
    /// After so long before the window's end a value counts half, ms.
    package var halfLifeMs: Int64
    /// The weighted mean.
    package var mean: Double
    /// The standard deviation of the weighted population; `nil`: too few values.
    package var sd: Double?
    /// Values a second, weighted, as if the stream had been steady.
    package var rate: Double?
    package init(halfLifeMs: Int64, mean: Double, sd: Double?, rate: Double?) {
        self.halfLifeMs = halfLifeMs
        self.mean = mean
        self.sd = sd
        self.rate = rate
    }
}
