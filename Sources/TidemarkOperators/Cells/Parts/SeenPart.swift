import TidemarkDataflow
import TidemarkMonitors
import TidemarkSketches
import TidemarkText

/// Which values of a column there were, for baselines that are learned: order-free.
///
/// - Memory: 16 bytes a value, 512 values and 512 frequent ones at most.
final class SeenPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    private var counts = SeenCounts()

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.keepsSeen else { return nil }
    }

    private init(_ other: SeenPart) { counts = other.counts }

    func copy() -> any CellPart { SeenPart(self) }

    var isOrderFree: Bool { true }
    var byteCount: Int { counts.byteCount }

    /// Adds hashes of texts that were counted together; their bytes are of no use here.
    func add(_ items: [SeenValues.Item]) { counts.add(items) }

    func merge(_ other: any CellPart) {
        guard let other = other as? SeenPart else { return }
        counts.merge(other.counts)
    }

    func writeState(_ bytes: inout [UInt8]) {
        var own: [UInt8] = []
        counts.write(&own)
        bytes.append(sized: own)
    }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        var bytes = try reader.readSized()[...]
        guard let counts = SeenCounts(&bytes), bytes.isEmpty else {
            throw .corrupt(field: "values", offset: reader.offset)
        }
        self.counts = counts
    }

    var seen: SeenCounts? { counts }
}
