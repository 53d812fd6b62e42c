/// A summary whose merge is associative and commutative, to the same bytes.
///
/// Verdicts rest on these only: whichever worker folded which rows in which order, the result is
/// the same.
package protocol OrderFree: ~Copyable {
    /// Adds what the other one summarises.
    mutating func merge(_ other: borrowing Self)
}

/// A summary that must be merged in canonical order: input partition, then pane.
package protocol Ordered: ~Copyable {
    /// Adds what the next one in canonical order summarises.
    mutating func merge(_ next: borrowing Self)
}

/// Why bytes are not a sketch that we can read.
package enum SketchError: Error, Equatable {
    /// The bytes end before byte `needed`.
    case truncated(needed: Int, byteCount: Int)
    /// A field's value is outside what its format allows.
    case corrupt(field: String, offset: Int)
    /// Another family, item type or version than asked for.
    case unsupported(field: String, value: Int)
}

/// Little-endian reads that throw where the bytes end.
struct ByteReader {
    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var left: Int { bytes.count - offset }

    mutating func read<T: FixedWidthInteger>(_: T.Type) throws(SketchError) -> T {
        let width = T.bitWidth / 8
        guard left >= width else {
            throw .truncated(needed: offset + width, byteCount: bytes.count)
        }
        var value: T = 0
        for i in stride(from: width - 1, through: 0, by: -1) {
            value = (T.bitWidth == 8 ? 0 : value << 8) | T(truncatingIfNeeded: bytes[offset + i])
        }
        offset += width
        return value
    }

    mutating func readFloat() throws(SketchError) -> Float {
        Float(bitPattern: try read(UInt32.self))
    }

    mutating func readDouble() throws(SketchError) -> Double {
        Double(bitPattern: try read(UInt64.self))
    }

    mutating func readBytes(_ count: Int) throws(SketchError) -> ArraySlice<UInt8> {
        guard left >= count else {
            throw .truncated(needed: offset + count, byteCount: bytes.count)
        }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    /// Throws unless all bytes were read.
    func finish() throws(SketchError) {
        guard left == 0 else { throw .corrupt(field: "trailing bytes", offset: offset) }
    }
}

extension [UInt8] {
    mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        var rest = value
        for _ in 0..<T.bitWidth / 8 {
            append(UInt8(truncatingIfNeeded: rest))
            rest = T.bitWidth == 8 ? 0 : rest >> 8
        }
    }

    mutating func append(_ value: Float) { append(littleEndian: value.bitPattern) }
    mutating func append(_ value: Double) { append(littleEndian: value.bitPattern) }
}
