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
}

/// The order in which groups are kept when there are too many: those that the topology names,
/// then by hash.
///
/// It does not depend on the order of arrival.
struct GroupRank: Comparable, Sendable {
    var isNamed: Bool
    var hash: UInt64

    /// Every group ranks below it: nothing was cut.
    static let all = GroupRank(isNamed: false, hash: .max)

    static func < (a: GroupRank, b: GroupRank) -> Bool {
        a.isNamed != b.isNamed ? a.isNamed : a.hash < b.hash
    }
}
