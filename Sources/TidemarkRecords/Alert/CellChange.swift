/// A cell of a column whose share differs from the baseline's.
package struct CellChange: Sendable, Equatable {
    /// What falls into it: `18 to 22`, `below 0`, a category.
    package var cell: String
    /// Its share of the window's values, 0 to 1.
    package var current: Double
    /// Its share of the baseline's.
    package var baseline: Double

    package init(cell: String, current: Double, baseline: Double) {
        self.cell = cell
        self.current = current
        self.baseline = baseline
    }
}

extension CellChange: RecordFields {
    package static var blank: CellChange { CellChange(cell: "", current: 0, baseline: 0) }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == CellChange {
        v.field("cell", \.cell, "what falls into it: a range of numbers, or a category")
        v.field("current", \.current, unit: .share, "its share of the window's values")
        v.field("baseline", \.baseline, unit: .share, "its share of the baseline's")
    }
}
