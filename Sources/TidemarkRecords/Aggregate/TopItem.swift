/// An item of a text column with how often it came, exactly or within bounds.
package struct TopItem: Sendable, Equatable {
    /// The text, UTF-8.
    package var value: [UInt8]
    /// How often it came, at most: the same as `upper`.
    package var count: Int64
    /// It came at least this often.
    package var lower: Int64
    /// It came at most this often; the same as `lower` where the count is exact.
    package var upper: Int64
    package init(value: [UInt8], count: Int64, lower: Int64, upper: Int64) {
        self.value = value
        self.count = count
        self.lower = lower
        self.upper = upper
    }
}

extension TopItem: RecordFields {
    package static var blank: TopItem { TopItem(value: [], count: 0, lower: 0, upper: 0) }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == TopItem {
        v.field("value", \.value, "the text")
        v.field("count", \.count, "how often it came: the upper bound")
        v.field("lower", \.lower, "it came at least this often")
        v.field("upper", \.upper, "it came at most this often; exact while `lower` equals it")
    }
}
