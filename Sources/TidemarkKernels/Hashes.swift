/// The 128 bits of MurmurHash3_x64_128.
package struct Hash128: BitwiseCopyable, Sendable, Hashable {
    /// The first eight bytes of the hash, little-endian.
    package let low: UInt64
    /// The last eight bytes.
    package let high: UInt64

    /// The two halves.
    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

func finalMix(_ x: UInt64) -> UInt64 {
    var k = x
    k ^= k >> 33
    k = k &* 0xff51_afd7_ed55_8ccd
    k ^= k >> 33
    k = k &* 0xc4ce_b9fe_1a85_ec53
    return k ^ (k >> 33)
}

func rotateLeft(_ x: UInt64, _ by: UInt64) -> UInt64 { x << by | x >> (64 &- by) }

/// The seed that DataSketches hashes items with, and Tidemark its groups.
package let dataSketchesSeed: UInt64 = 9001

/// MurmurHash3_x64_128 of `count` bytes.
///
/// - Source: Austin Appleby's MurmurHash3, public domain; both halves start from the seed.
package func murmur3(_ bytes: UnsafeRawPointer, count: Int, seed: UInt64) -> Hash128 {
    let c1: UInt64 = 0x87c3_7b91_1142_53d5
    let c2: UInt64 = 0x4cf5_ad43_2745_937f
    var h1 = seed
    var h2 = seed
    var at = 0
    while count &- at >= 16 {
        // In bounds: sixteen bytes are left.
        var k1 = UInt64(
            littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        )
        var k2 = UInt64(
            littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
        )
        k1 = rotateLeft(k1 &* c1, 31) &* c2
        h1 ^= k1
        h1 = (rotateLeft(h1, 27) &+ h2) &* 5 &+ 0x52dc_e729
        k2 = rotateLeft(k2 &* c2, 33) &* c1
        h2 ^= k2
        h2 = (rotateLeft(h2, 31) &+ h1) &* 5 &+ 0x3849_5ab5
        at &+= 16
    }
    let left = count &- at
    if left > 8 {
        var k2: UInt64 = 0
        for i in stride(from: left &- 1, through: 8, by: -1) {
            k2 = k2 << 8 | UInt64(unsafe bytes.load(fromByteOffset: at &+ i, as: UInt8.self))
        }
        h2 ^= rotateLeft(k2 &* c2, 33) &* c1
    }
    if left > 0 {
        var k1: UInt64 = 0
        for i in stride(from: min(left, 8) &- 1, through: 0, by: -1) {
            k1 = k1 << 8 | UInt64(unsafe bytes.load(fromByteOffset: at &+ i, as: UInt8.self))
        }
        h1 ^= rotateLeft(k1 &* c1, 31) &* c2
    }
    h1 ^= UInt64(truncatingIfNeeded: count)
    h2 ^= UInt64(truncatingIfNeeded: count)
    h1 = h1 &+ h2
    h2 = h2 &+ h1
    h1 = finalMix(h1)
    h2 = finalMix(h2)
    h1 = h1 &+ h2
    return Hash128(low: h1, high: h2 &+ h1)
}

/// MurmurHash3_x64_128 of an array's bytes.
package func murmur3(_ bytes: [UInt8], seed: UInt64 = dataSketchesSeed) -> Hash128 {
    unsafe bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else {
            return unsafe murmur3(
                UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped,
                count: 0,
                seed: seed
            )
        }
        return unsafe murmur3(base, count: buffer.count, seed: seed)
    }
}
