import TidemarkCore
import TidemarkDataflow
import TidemarkSketches

/// The groups of one segment in a sealed pane of one partition.
struct SegmentPartial: Sendable {
    var groups: [GroupCell] = []
    /// The groups beyond the limit, merged, with order-free summaries only.
    var other: GroupCell?
    /// The groups in `other`, counted.
    var otherGroups: GroupCount?
    /// Groups of this rank or above are not whole in `groups`: see `GroupRank`.
    var cut = GroupRank.all
    /// Memory of its cells.
    var byteCount = 0
}

/// How many different groups were merged into one: order-free.
///
/// It belongs to its pane or window.
final class GroupCount: @unchecked Sendable {
    private var sketch = HLLSketch(lgK: 12)

    func add(_ cell: GroupCell) {
        if let coupon = HLLSketch.coupon(ofBytes: cell.shape.part) { sketch.update(coupon: coupon) }
    }
    func merge(_ other: GroupCount) { sketch.merge(other.sketch) }

    func copy() -> GroupCount {
        let count = GroupCount()
        count.merge(self)
        return count
    }

    var estimate: Int { Int(sketch.estimate.rounded()) }

    func writeState(_ bytes: inout [UInt8]) { sketch.writeState(&bytes) }

    static func readState(_ reader: inout ByteReader) throws(SketchError) -> GroupCount {
        let count = GroupCount()
        count.sketch = try HLLSketch.readState(&reader)
        return count
    }
}

/// What `StageOneOperator` seals: the groups of every segment.
final class PanePartial: Partial {
    let segments: [SegmentPartial]
    let byteCount: Int

    init(segments: [SegmentPartial]) {
        self.segments = segments
        byteCount = segments.reduce(64) { $0 + $1.byteCount }
    }

    func presence(segment: Int) -> GroupPresence {
        let partial = segments[segment]
        // Late rows are counted where they came, and belong elsewhere.
        let present = partial.groups.filter { $0.rowCount > 0 }
        return GroupPresence(
            groups: present.map(\.shape.part), cut: partial.cut,
            hasRows: !present.isEmpty || (partial.other.map { $0.rowCount > 0 } ?? false))
    }
}
