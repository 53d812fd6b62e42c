/// MurmurHash2, 32 bits, with the seed of Kafka's Java client.
///
/// - Source: `org.apache.kafka.common.utils.Utils.murmur2`.
package func murmur2(_ bytes: Span<UInt8>) -> UInt32 {
    let multiplier: UInt32 = 0x5bd1_e995
    let count = bytes.count
    var hash: UInt32 = 0x9747_b28c ^ UInt32(truncatingIfNeeded: count)
    var index = 0
    while count - index >= 4 {
        var word =
            UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
            | UInt32(bytes[index + 3]) << 24
        word &*= multiplier
        word ^= word >> 24
        word &*= multiplier
        hash = (hash &* multiplier) ^ word
        index += 4
    }
    let tail = count - index
    if tail == 3 { hash ^= UInt32(bytes[index + 2]) << 16 }
    if tail >= 2 { hash ^= UInt32(bytes[index + 1]) << 8 }
    if tail >= 1 {
        hash ^= UInt32(bytes[index])
        hash &*= multiplier
    }
    hash ^= hash >> 13
    hash &*= multiplier
    return hash ^ (hash >> 15)
}

/// The partition that Kafka's Java producer chooses for a key.
///
/// - Precondition: `partitionCount > 0`.
package func javaPartition(_ key: Span<UInt8>, partitionCount: Int32) -> Int32 {
    Int32(murmur2(key) & 0x7fff_ffff) % partitionCount
}
