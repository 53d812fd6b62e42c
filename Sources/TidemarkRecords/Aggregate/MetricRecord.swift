import TidemarkText

/// What a metric came to in a window.
package struct MetricRecord: Sendable, Equatable {
    /// `nil`: there is none, or it is a condition.
    package var value: Double?
    /// The standard error of the value, taken as an estimate from a sample; `nil`: it is not known.
    package var standardError: Double?
    /// Of a condition: whether it is true; `nil`: it is null, or this is a number.
    package var holds: Bool?

    package init(value: Double? = nil, standardError: Double? = nil, holds: Bool? = nil) {
        (self.value, self.standardError, self.holds) = (value, standardError, holds)
    }
}

extension MetricRecord: RecordFields {
    package static var blank: MetricRecord { MetricRecord() }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == MetricRecord {
        v.field(
            "value", \.value, when: "of a number, where it exists",
            "what it comes to; absent where too few rows have what it needs, or it is undefined")
        v.field(
            "standard_error", \.standardError, when: "where it is known",
            "how far the value may be off as an estimate from a sample: of a share, a mean or a sum, and of what is computed of one of them"
        )
        v.field(
            "holds", \.holds, when: "of a condition, where it is not null", "whether it is true")
    }
}
