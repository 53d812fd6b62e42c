/// CRC-32C (Castagnoli) of a few hundred bytes: what a commit and a state entry are checked with.
///
/// - Complexity: O(n), by table.
/// - Source: RFC 3720, appendix B.4; `123456789` gives 0xE3069283.
package func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes { crc = crc >> 8 ^ castagnoli[Int((crc ^ UInt32(byte)) & 0xff)] }
    return ~crc
}

private let castagnoli: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82f6_3b78 : 0) }
}
