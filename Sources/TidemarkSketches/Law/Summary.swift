import TidemarkText

/// What all summaries can do: merge, be copied on purpose, and become bytes and back.
///
/// Laws, checked for each in `LawTests`: the empty summary is neutral; merging is associative and
/// commutative, to the same bytes where the type is `OrderFree`, within its stated error where it
/// is `Ordered`; bytes read back give the same bytes; wrong bytes throw.
package protocol Summary: ~Copyable {
    /// Adds what the other one summarises.
    mutating func merge(_ other: borrowing Self)
    /// An equal summary with memory of its own.
    borrowing func copy() -> Self
    /// Canonical bytes.
    borrowing func serialize() -> [UInt8]
    /// The summary that bytes hold.
    ///
    /// - Throws: `SketchError` for anything else.
    init(bytes: [UInt8]) throws(SketchError)
}

/// A summary whose merge is associative and commutative, to the same bytes.
///
/// Verdicts rest on these only: whichever worker folded which rows in which order, the result is
/// the same.
package protocol OrderFree: Summary, ~Copyable {}

/// A summary that must be merged in canonical order: input partition, then pane.
package protocol Ordered: Summary, ~Copyable {}

/// Families of bytes of our own, in byte 2, above all that DataSketches has given out.
enum OwnFamily: UInt8 {
    case moments = 101
    case comoments, decayedMoments, logLinear, frozenHistogram, bottomK, exactCounts

    /// The eight bytes that all of ours begin with; four are the family's own.
    func header(_ parameter: UInt32 = 0) -> [UInt8] {
        var bytes: [UInt8] = [1, 1, rawValue, 0]
        bytes.append(littleEndian: parameter)
        return bytes
    }

    /// Reads the header.
    ///
    /// - Returns: The family's own four bytes.
    func readHeader(_ reader: inout ByteReader) throws(SketchError) -> UInt32 {
        guard try reader.read(UInt8.self) == 1 else { throw .corrupt(field: "preamble", offset: 0) }
        let version = try reader.read(UInt8.self)
        guard version == 1 else { throw .unsupported(field: "version", value: Int(version)) }
        let family = try reader.read(UInt8.self)
        guard family == rawValue else { throw .unsupported(field: "family", value: Int(family)) }
        guard try reader.read(UInt8.self) == 0 else { throw .corrupt(field: "flags", offset: 3) }
        return try reader.read(UInt32.self)
    }
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
package struct ByteReader {
    private let bytes: [UInt8]
    /// Bytes that were read.
    package private(set) var offset = 0

    /// Reads these bytes from the first on.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Bytes that are still to be read.
    package var left: Int { bytes.count - offset }

    /// A little-endian number of the type's width.
    package mutating func read<T: FixedWidthInteger>(_: T.Type) throws(SketchError) -> T {
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

    /// An f32, by its bits.
    package mutating func readFloat() throws(SketchError) -> Float {
        Float(bitPattern: try read(UInt32.self))
    }

    /// An f64, by its bits.
    package mutating func readDouble() throws(SketchError) -> Double {
        Double(bitPattern: try read(UInt64.self))
    }

    /// So many bytes as they are.
    package mutating func readBytes(_ count: Int) throws(SketchError) -> ArraySlice<UInt8> {
        guard left >= count else {
            throw .truncated(needed: offset + count, byteCount: bytes.count)
        }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    /// Throws unless all bytes were read.
    package func finish() throws(SketchError) {
        guard left == 0 else { throw .corrupt(field: "trailing bytes", offset: offset) }
    }
}

extension ByteReader {
    /// A number as `append(varint:)` wrote it.
    package mutating func readVarint() throws(SketchError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 64, by: 7) {
            let byte = try read(UInt8.self)
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 127) << shift
            if byte < 128 { return value }
        }
        throw .corrupt(field: "varint", offset: offset)
    }
}

extension [UInt8] {
    mutating func append(_ value: Float) { append(littleEndian: value.bitPattern) }
    mutating func append(_ value: Double) { append(littleEndian: value.bitPattern) }
}
