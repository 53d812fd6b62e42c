import Glibc

extension [UInt8] {
    /// Whether it comes before another one, byte by byte as unsigned numbers, a prefix first.
    ///
    /// What `lexicographicallyPrecedes` says, many bytes at a time: keys of state entries and groups
    /// differ at their ends.
    package func precedes(_ other: [UInt8]) -> Bool {
        let order = unsafe memcmp(self, other, Swift.min(count, other.count))
        return order == 0 ? count < other.count : order < 0
    }
}

/// One list of bytes behind the other, in memory of just their size.
package func joined(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(first.count + second.count)
    bytes += first
    bytes += second
    return bytes
}

extension [UInt8] {
    /// Adds a number's bytes, the lowest first.
    @inlinable
    package mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        var rest = value
        for _ in 0..<T.bitWidth / 8 {
            append(UInt8(truncatingIfNeeded: rest))
            rest = T.bitWidth == 8 ? 0 : rest >> 8
        }
    }

}

/// Unsigned numbers in groups of seven bits, lowest first: histograms hold many small ones.
extension [UInt8] {
    /// Adds a number in groups of seven bits, lowest first: 1 to 10 bytes.
    @inlinable
    package mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 128 {
            append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

extension ArraySlice<UInt8> {
    /// The next varint; nil where none ends here or it is above 64 bits.
    package mutating func popVarint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = popFirst() else { return nil }
            let bits = UInt64(byte & 0x7f)
            guard (bits << shift) >> shift == bits else { return nil }
            value |= bits << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
