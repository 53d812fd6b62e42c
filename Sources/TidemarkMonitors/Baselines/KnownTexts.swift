package import TidemarkDrift
import TidemarkKernels
import TidemarkText

/// The values of a category that a baseline knows: a part of the hash of each, in order.
///
/// Two texts of the same 32 bits are taken for one, which hides one new value in 400,000 where 10,000 are known.
///
/// - Memory: 4 bytes a value.
package struct KnownTexts: Sendable, Equatable {
    /// So many values are known at most; of more, those that are frequent enough.
    package static let countMax = 10_000

    /// Values fall into so many cells by other bits of their hash.
    ///
    /// A tail is spread over all cells, and a new value that is frequent lies in one: so it is found where a tenth of
    /// all rows have values that nobody knows.
    package static let cellCount = 64

    private let hashes: [UInt32]
    /// How many of them are usual that are not known, of half the baseline's rows: see `UnknownValues`.
    package let unknown: ShareCount
    /// The same, cell by cell.
    package let unknownByCell: [ShareCount]

    /// The cell of the text of a hash.
    package static func cell(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 58) }

    /// The values of these counts, or the most frequent of them where they are too many.
    package init(_ counts: some Collection<(hash: UInt64, count: Int64)>) {
        var least: Int64 = 1
        if counts.count > Self.countMax {
            // All of one count are known, or none.
            least = counts.map(\.count).sorted(by: >)[Self.countMax] + 1
        }
        hashes = Set(counts.lazy.filter { $0.count >= least }.map { Self.part($0.hash) }).sorted()
        unknown = UnknownValues.expected(counts.lazy.map(\.count), least: least)
        let half = Int64(clamping: unknown.total)
        unknownByCell = (0..<Self.cellCount).map { cell in
            let own = counts.lazy.filter { Self.cell(of: $0.hash) == cell }.map(\.count)
            return ShareCount(
                Int64(clamping: UnknownValues.expected(own, least: least).count), of: half)
        }
    }

    /// As a file has them; `nil`: it is none.
    init?(base64 text: String, unknown: ShareCount, byCell: [ShareCount]) {
        guard byCell.count == Self.cellCount else { return nil }
        unknownByCell = byCell
        guard let bytes = base64Decoded(text.utf8), bytes.count % 4 == 0,
            bytes.count <= 4 * Self.countMax
        else { return nil }
        hashes = stride(from: 0, to: bytes.count, by: 4).map { at in
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
        guard zip(hashes, hashes.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        self.unknown = unknown
    }

    /// As a file has them.
    var base64: String {
        String(
            decoding: TidemarkText.base64(
                hashes.flatMap { hash in (0..<4).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }
                }), as: UTF8.self)
    }

    private static func part(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash) }

    /// Whether the text of a hash is one of them.
    package func contains(_ hash: UInt64) -> Bool {
        let part = Self.part(hash)
        var (low, high) = (0, hashes.count)
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] < part { low = middle + 1 } else { high = middle }
        }
        return low < hashes.count && hashes[low] == part
    }
}
