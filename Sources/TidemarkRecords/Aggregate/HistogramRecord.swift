/// How values fell into fixed bins.
package struct HistogramRecord: Sendable, Equatable {
    /// The baseline whose edges these are (`training@5b1e…`), or `declared`.
    package var edges: String
    /// Values below the lowest edge; 0 where the outer bins are open.
    package var under: Int64
    /// Values in each bin, in ascending order: bin i holds e[i] ≤ x < e[i+1].
    package var counts: [Int64]
    /// Values at or above the highest edge; 0 where the outer bins are open.
    package var over: Int64
    package init(edges: String, under: Int64, counts: [Int64], over: Int64) {
        self.edges = edges
        self.under = under
        self.counts = counts
        self.over = over
    }
}

extension HistogramRecord: RecordFields {
    package static var blank: HistogramRecord {
        HistogramRecord(edges: "", under: 0, counts: [], over: 0)
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == HistogramRecord {
        v.field(
            "edges", \.edges, "whose edges they are: the baseline's name, or `declared`")
        v.field("under", \.under, "values below the lowest edge; 0 where the outer bins are open")
        v.field("counts", \.counts, "values in each bin: bin i holds e[i] ≤ x < e[i+1]")
        v.field(
            "over", \.over, "values at or above the highest edge; 0 where the outer bins are open")
    }
}
