import TidemarkKernels
import TidemarkSketches

/// One of each mergeable type, made from a part of a fixed stream: what the laws, the fuzzer and
/// the allocation counts run over.
struct Contents {
    let part: Int
    let numbers: [Double]
    let integers: [Int64]

    init(part: Int, count: Int? = nil) {
        self.part = part
        var random = TestRandom(seed: UInt64(part) &+ 1000)
        let n = count ?? [0, 1, 7, 300, 2_000, 5_000][part % 6]
        numbers = (0..<n).map { i in
            switch i % 17 {
            case 0: 0
            case 1: -random.normal() * 1e3
            default: random.normal() + Double(part % 3) * 10
            }
        }
        integers = (0..<n).map { _ in
            let u = random.uniform()
            return Int64(1 / (u * u + 1e-4))
        }
    }

    var items: [CountedItem] {
        integers.map { CountedItem(bytes: Array("text \($0 % 997)".utf8), count: 1) }
    }

    func kll() -> KLLSketch {
        var s = KLLSketch(seed: UInt64(part))
        s.update(numbers.map { Float($0) })
        return s
    }
    func kllDoubles() -> KLLDoublesSketch {
        var s = KLLDoublesSketch(seed: UInt64(part))
        s.update(numbers)
        return s
    }
    func hll(_ type: HLLType) -> HLLSketch {
        var s = HLLSketch(lgK: 8, type: type)
        s.update(integers.map { $0 &* 31 })
        return s
    }
    func strings() -> FrequentItems {
        var s = FrequentItems(lgMax: 5)
        s.update(items)
        return s
    }
    func frequentIntegers() -> FrequentIntegers {
        var s = FrequentIntegers(lgMax: 5)
        s.update(integers)
        return s
    }
    func dd(_ mapping: DDSketch.Mapping = .cubic) -> DDSketch {
        var s = DDSketch(relativeError: 0.005, binCountMax: 2048, mapping: mapping)
        s.update(numbers)
        return s
    }
    func logLinear() -> LogLinearHistogram {
        var s = LogLinearHistogram()
        s.update(numbers)
        return s
    }
    func frozen() -> FrozenHistogram {
        var s = FrozenHistogram(edges: [-5, 0, 1, 2.5, 9, 11])
        s.update(numbers)
        s.addNulls(3)
        s.addOthers(UInt64(part))
        return s
    }
    func sample() -> BottomKSample {
        var s = BottomKSample(k: 100, topicHash: 7)
        for (i, x) in numbers.enumerated() {
            s.update(x, partition: Int32(part), offset: Int64(i))
        }
        return s
    }
    func exact() -> ExactCounts {
        var s = ExactCounts(capacity: 200)
        s.update(items)
        return s
    }
    func moments() -> Moments {
        var s = Moments()
        s.update(numbers)
        return s
    }
    func comoments() -> Comoments {
        var s = Comoments(width: 3)
        for i in stride(from: 2, to: numbers.count, by: 3) {
            s.update([numbers[i - 2], numbers[i - 1] + numbers[i], numbers[i]])
        }
        return s
    }
    func decayed() -> DecayedMoments {
        var s = DecayedMoments(halfLifeMs: 1_000)
        for (i, x) in numbers.enumerated() { s.update(x, at: Int64(part * 500 + i)) }
        return s
    }
}

/// Relative distance, for numbers that two merge orders may round differently.
func close(_ a: Double?, _ b: Double?, _ tolerance: Double = 1e-9) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return abs(a - b) <= tolerance * max(1, abs(a), abs(b))
}
