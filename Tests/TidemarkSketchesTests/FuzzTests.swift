import Glibc
import Testing
import TidemarkSketches

/// Mutated inputs, over all types: `make fuzz` sets a million.
private let fuzzCount =
    unsafe getenv("TIDEMARK_FUZZ").flatMap { unsafe Int(String(cString: $0)) } ?? 26_000

private func peakKiB() -> Int {
    var usage = rusage()
    unsafe getrusage(0, &usage)
    return usage.ru_maxrss
}

/// Mutated bytes one by one: flips, cuts, doubled runs, extreme numbers where fields lie.
private func mutate(_ bytes: [UInt8], _ random: inout TestRandom) -> [UInt8] {
    var copy = bytes
    for _ in 0..<1 + random.below(4) where !copy.isEmpty {
        let at = random.below(random.below(3) == 0 ? copy.count : min(copy.count, 56))
        switch random.below(6) {
        case 0: copy[at] = UInt8(random.below(256))
        case 1: copy[at] ^= 1 << random.below(8)
        case 2: copy[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)]
        case 3:
            for i in at..<min(copy.count, at + [2, 4, 8][random.below(3)]) {
                copy[i] = random.below(2) == 0 ? 0xff : 0
            }
        case 4: copy.removeLast(random.below(copy.count + 1))
        default:
            let end = min(copy.count, at + random.below(24))
            copy.insert(contentsOf: copy[at..<end], at: at)
        }
    }
    return copy
}

/// Wrong bytes throw, or make a summary of which every question has an answer.
private func fuzz<S: Summary & ~Copyable>(
    _ type: S.Type,
    _ name: String,
    _ seeds: [[UInt8]],
    use: (borrowing S) -> Void
) {
    let count = fuzzCount / 13
    var refused = 0
    let seed = name.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) }
    var random = TestRandom(seed: seed)
    for i in 0..<count {
        let wrong = mutate(seeds[i % seeds.count], &random)
        do throws(SketchError) {
            let read = try S(bytes: wrong)
            use(read)
            // What was accepted has bytes that are accepted, and the same the second time.
            let bytes = read.serialize()
            let again = try S(bytes: bytes)
            #expect(again.serialize() == bytes, "\(name), seed \(seed), input \(i)")
        } catch {
            refused += 1
        }
    }
    #expect(refused > count / 4, "\(name) refused \(refused) of \(count)")
}

@Suite(.serialized) struct FuzzTests {
    @Test func `mutated bytes throw and never trap, in bounded memory`() {
        let contents = (0..<6).map { Contents(part: $0) }
        let before = peakKiB()
        fuzz(KLLSketch.self, "KLL f32", contents.map { $0.kll().serialize() }) { s in
            _ = s.quantiles([0, 0.1, 0.5, 1])
        }
        fuzz(KLLDoublesSketch.self, "KLL f64", contents.map { $0.kllDoubles().serialize() }) { s in
            _ = s.quantiles([0, 0.1, 0.5, 1])
        }
        for type in HLLType.allCases {
            fuzz(HLLSketch.self, "HLL \(type)", contents.map { $0.hll(type).serialize() }) { s in
                _ = s.estimate
            }
        }
        fuzz(FrequentItems.self, "frequent strings", contents.map { $0.strings().serialize() }) {
            _ = $0.top(3)
        }
        fuzz(
            FrequentIntegers.self,
            "frequent integers",
            contents.map { $0.frequentIntegers().serialize() }
        ) { _ = $0.items }
        fuzz(DDSketch.self, "DDSketch", contents.map { $0.dd().serialize() }) { s in
            _ = s.quantiles([0, 0.5, 1])
            var more = s.copy()
            more.update([1e-300, -1, 0, 1e300])
        }
        fuzz(LogLinearHistogram.self, "log-linear", contents.map { $0.logLinear().serialize() }) {
            _ = $0.quantiles([0, 0.5, 1])
        }
        fuzz(FrozenHistogram.self, "frozen", contents.map { $0.frozen().serialize() }) {
            _ = $0.count
        }
        fuzz(BottomKSample.self, "bottom-k", contents.map { $0.sample().serialize() }) {
            _ = $0.estimate
        }
        fuzz(ExactCounts.self, "exact counts", contents.map { $0.exact().serialize() }) {
            _ = $0.total
        }
        fuzz(Moments.self, "moments", contents.map { $0.moments().serialize() }) { s in
            _ = s.kurtosis
        }
        fuzz(Comoments.self, "comoments", contents.map { $0.comoments().serialize() }) { s in
            _ = s.correlation(0, s.width - 1)
        }
        fuzz(DecayedMoments.self, "decayed", contents.map { $0.decayed().serialize() }) { s in
            _ = s.sd
        }
        let grown = peakKiB() - before
        print("fuzz: \(fuzzCount) inputs, peak memory grew by \(grown) KiB")
        #expect(grown < 96 << 10, "peak memory grew by \(grown) KiB")
    }
}
