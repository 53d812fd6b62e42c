import TidemarkKernels

/// Seeded draws in order, for tests.
struct TestRandom: RandomNumberGenerator {
    private let source: CounterRandom
    private var ordinal: UInt64 = 0

    init(seed: UInt64) { source = CounterRandom(key: seed) }

    mutating func next() -> UInt64 {
        ordinal += 1
        return source.draw(ordinal)
    }

    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }

    /// Roughly normal, and finite.
    mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += uniform() }
        return sum
    }

    /// A permutation of 0 ..< n as f32, n at most 2^24.
    mutating func permutation(_ n: Int) -> [Float] {
        var values = (0..<n).map { Float($0) }
        for i in stride(from: n - 1, to: 0, by: -1) { values.swapAt(i, below(i + 1)) }
        return values
    }
}

extension String {
    /// The bytes of a string of hexadecimal digits.
    var hexBytes: [UInt8] {
        let digits = Array(utf8).map { $0 > 57 ? $0 - 87 : $0 - 48 }
        return (0..<digits.count / 2).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] }
    }
}

/// Every way a few random bytes of `bytes` can be wrong must be read or refused, never trap.
func mutations(of bytes: [UInt8], seed: UInt64, count: Int) -> [[UInt8]] {
    var random = TestRandom(seed: seed)
    return (0..<count).map { _ in
        var copy = bytes
        for _ in 0..<1 + random.below(3) where !copy.isEmpty {
            // Headers are where the traps are.
            let at = random.below(random.below(3) == 0 ? copy.count : Swift.min(copy.count, 48))
            copy[at] =
                random.below(2) == 0 ? UInt8(random.below(256)) : copy[at] ^ 1 << random.below(8)
        }
        if random.below(4) == 0 { copy.removeLast(random.below(copy.count + 1)) }
        if random.below(8) == 0 { copy.append(contentsOf: [0, 1, 2]) }
        return copy
    }
}
