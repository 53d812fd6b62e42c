/// About how many different texts came.
package struct DistinctRecord: Sendable, Equatable {
    /// The most likely number.
    package var estimate: Double
    /// Two standard deviations below it, and never less than is known for sure.
    package var lower: Double
    /// Two standard deviations above it.
    package var upper: Double

    package init(estimate: Double, lower: Double, upper: Double) {
        self.estimate = estimate
        self.lower = lower
        self.upper = upper
    }
}

extension DistinctRecord: RecordFields {
    package static var blank: DistinctRecord { DistinctRecord(estimate: 0, lower: 0, upper: 0) }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == DistinctRecord {
        v.field("estimate", \.estimate, "the most likely number")
        v.field("lower", \.lower, "two standard deviations below it")
        v.field("upper", \.upper, "two standard deviations above it")
    }
}
