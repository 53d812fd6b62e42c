/// CRC-32C (Castagnoli) of a few hundred bytes: what a commit and a state entry are checked with.
///
/// - Complexity: O(n), by table.
/// - Source: RFC 3720, appendix B.4; `123456789` gives 0xE3069283.
package func crc32c(_ bytes: some Collection<UInt8>) -> UInt32 {
    let sum = bytes.withContiguousStorageIfAvailable { unsafe crc32c($0) }
    if let sum { return sum }
    return unsafe Array(bytes).withUnsafeBufferPointer { unsafe crc32c($0) }
}

private func crc32c(
    _ bytes: UnsafeBufferPointer<UInt8>
) -> UInt32 {
    var crc: UInt32 = ~0
    for index in bytes.indices {
        crc = unsafe crc >> 8 ^ castagnoli[Int((crc ^ UInt32(bytes[index])) & 0xff)]
    }
    return ~crc
}

private let castagnoli: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82f6_3b78 : 0) }
}
