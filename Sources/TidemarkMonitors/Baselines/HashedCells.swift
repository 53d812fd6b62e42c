import TidemarkKernels

/// Cells of texts that nobody names: the low bits of a hash are the cell.
package enum HashedCells {
    /// How many there are.
    package static let count = 32

    /// The cell of a text, of as many as there are; a power of two.
    package static func cell(of text: [UInt8], count: Int = count) -> Int {
        cell(ofHash: murmur3(text).low, count: count)
    }

    /// The cell of the text of a hash: the first 64 bits of MurmurHash3_x64_128, seed 9001.
    package static func cell(ofHash hash: UInt64, count: Int = count) -> Int {
        Int(truncatingIfNeeded: hash & UInt64(count - 1))
    }
}
