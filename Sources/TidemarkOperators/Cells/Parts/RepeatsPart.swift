import TidemarkDataflow
import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches
import TidemarkText

/// How often each of some ids came, those of the smallest hashes: order-free.
///
/// With no more ids than it has room for it knows them all; else it is a sample of ids at random, and of each of
/// them every row is counted.
///
/// - Memory: 16 bytes an id, 4,096 of them at most.
final class RepeatsPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    /// Ids that it has room for.
    static let capacity = 4_096

    /// By hash.
    private var counts: [UInt64: UInt32] = [:]
    /// Greater hashes are not counted.
    private var most = UInt64.max

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.countsRepeats else { return nil }
    }

    private init(_ other: RepeatsPart) { (counts, most) = (other.counts, other.most) }

    func copy() -> any CellPart { RepeatsPart(self) }

    var isOrderFree: Bool { true }
    var byteCount: Int { 128 + 40 * counts.capacity }

    func add(_ texts: [CountedItem]) {
        for text in texts where text.hash <= most {
            add(text.hash, UInt32(clamping: text.count))
        }
        trim(slack: Self.capacity)
    }

    private func add(_ hash: UInt64, _ count: UInt32) {
        let (sum, isOver) = (counts[hash] ?? 0).addingReportingOverflow(count)
        counts[hash] = isOver ? .max : sum
    }

    /// Keeps the smallest hashes; `slack` more may wait, so that this is not done for each of them.
    private func trim(slack: Int) {
        guard counts.count > Self.capacity + slack else { return }
        let hashes = counts.keys.sorted()
        most = hashes[Self.capacity - 1]
        counts = counts.filter { $0.key <= most }
    }

    func merge(_ other: any CellPart) {
        guard let other = other as? RepeatsPart else { return }
        most = min(most, other.most)
        for (hash, count) in other.counts where hash <= most { add(hash, count) }
        if most < .max { counts = counts.filter { $0.key <= most } }
        trim(slack: Self.capacity)
    }

    /// Those that count, in the order of their hashes: which ones wait depends on how rows came.
    private var kept: [(key: UInt64, value: UInt32)] {
        Array(counts.sorted { $0.key < $1.key }.prefix(Self.capacity))
    }

    func writeState(_ bytes: inout [UInt8]) {
        let kept = kept
        bytes.append(varint: UInt64(kept.count))
        bytes.append(varint: counts.count > kept.count ? kept.last?.key ?? most : most)
        for (hash, count) in kept {
            bytes.append(littleEndian: hash)
            bytes.append(varint: UInt64(count))
        }
    }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        let count = try reader.readVarint()
        guard count <= UInt64(Self.capacity) else {
            throw .corrupt(field: "repeats", offset: reader.offset)
        }
        most = try reader.readVarint()
        for _ in 0..<count {
            let hash = try reader.read(UInt64.self)
            counts[hash] = UInt32(clamping: try reader.readVarint())
        }
    }

    var repeats: IDRepeats? {
        var found = IDRepeats(idCount: 0, repeatedCount: 0, rowCount: 0)
        for (_, count) in kept {
            found.idCount += 1
            found.rowCount += Int64(count)
            if count > 1 { found.repeatedCount += 1 }
        }
        return found
    }
}
