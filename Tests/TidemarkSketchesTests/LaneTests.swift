import Glibc
import Testing
import TidemarkKernels
import TidemarkSketches

/// Numbers that go wrong first: zeros, subnormals, extremes, neighbours of powers of two.
private func edgeNumbers(_ random: inout TestRandom, _ count: Int) -> [Double] {
    (0..<count).map { _ in
        switch random.below(8) {
        case 0:
            return [0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1, -1, 2][
                random.below(7)
            ]
        case 1:
            let power = Double(sign: .plus, exponent: random.below(2_000) - 1_000, significand: 1)
            return random.below(2) == 0 ? power.nextDown : -power.nextUp
        case 2: return Double(bitPattern: random.next() & ~(1 << 62))
        default: return random.normal() * 100
        }
    }
}

@Suite(.serialized) struct LaneTests {
    /// What each tier makes of one input, as bits.
    private func inAllTiers<T: Equatable>(_ name: String, _ work: () -> T) {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        InstructionTier.force(.scalar)
        let expected = work()
        for tier in InstructionTier.allCases where InstructionTier.force(tier) == tier {
            #expect(work() == expected, "\(name), tier \(tier)")
        }
    }

    @Test func `all tiers sort f64, code, hash and sum to the same bits`() {
        var random = TestRandom(seed: 41)
        for trial in 0..<60 {
            let numbers = edgeNumbers(&random, 256)
            let normal = numbers.map { $0.isNormal ? $0 : 1.5 }
            let integers = (0..<100 + trial).map { i in
                i < 3 ? [0, -1, .min][i] : Int64(bitPattern: random.next())
            }
            inAllTiers("sort") {
                // Sorting takes no NaN and no −0.
                var sorted = numbers.map { $0.isNaN ? 0 : $0 + 0 }
                let expected = sorted.sorted()
                unsafe sorted.withUnsafeMutableBufferPointer { unsafe sort256($0.baseAddress!) }
                #expect(sorted == expected)
                return sorted.map(\.bitPattern)
            }
            for count in [256, 64, 63, 5] {
                inAllTiers("cubic codes of \(count)") {
                    var codes = [Int32](repeating: 0, count: count)
                    unsafe cubicCodes(of: normal, count: count, multiplier: 34.65, into: &codes)
                    return codes
                }
                inAllTiers("log-linear codes of \(count)") {
                    var codes = [Int32](repeating: 0, count: count)
                    unsafe logLinearCodes(of: numbers, count: count, bits: 5, into: &codes)
                    return codes
                }
                for edges in [
                    [-1.0, 1], (0...20).map { Double($0) }, (0...99).map { Double($0) - 50 },
                ] {
                    inAllTiers("bin codes of \(count), \(edges.count) edges") {
                        var codes = [UInt16](repeating: 7, count: count)
                        unsafe binCodes(
                            of: numbers,
                            count: count,
                            edges: edges,
                            edgeCount: edges.count,
                            into: &codes
                        )
                        for (x, code) in zip(numbers, codes) {
                            let expected = x.isFinite ? edges.filter { $0 <= x }.count : 0xffff
                            #expect(Int(code) == expected, "\(x)")
                        }
                        return codes
                    }
                }
            }
            inAllTiers("signs") {
                var positive = [Double](repeating: 0, count: 264)
                var negative = positive
                let found = unsafe splitSigns(
                    numbers,
                    count: 256 - trial,
                    least: 1e-300,
                    positive: &positive,
                    negative: &negative
                )
                let some = numbers.prefix(256 - trial)
                let above = some.filter { $0 >= 1e-300 && $0 < .infinity }
                let below = some.filter { $0 <= -1e-300 && $0 > -.infinity }.map { -$0 }
                #expect(Array(positive.prefix(found.positive)) == above)
                #expect(Array(negative.prefix(found.negative)) == below)
                #expect(found.small == some.count { abs($0) < 1e-300 })
                return above + below
            }
            inAllTiers("coupons") {
                var found = [UInt32](repeating: 0, count: integers.count)
                unsafe coupons(of: integers, count: integers.count, into: &found)
                #expect(found == integers.map { HLLSketch.coupon(of: $0) })
                return found
            }
            let small = normal.map { abs($0) < 1e50 ? $0 : 1 }
            inAllTiers("moments") {
                let m = unsafe moments64(small, shift: small[0])
                return [m.mean, m.second, m.third, m.fourth].map(\.bitPattern)
            }
            inAllTiers("comoments") {
                var values = Array(small[0..<192])
                var means = [Double](repeating: 0, count: 3)
                var sums = [Double](repeating: 0, count: 6)
                unsafe comoments64(&values, width: 3, means: &means, sums: &sums)
                return (means + sums + values).map(\.bitPattern)
            }
        }
    }

    @Test func `all tiers give the same bytes of every summary`() {
        let contents = Contents(part: 5)
        inAllTiers("KLL f64") { contents.kllDoubles().serialize() }
        inAllTiers("DDSketch") { contents.dd().serialize() }
        inAllTiers("log-linear") { contents.logLinear().serialize() }
        inAllTiers("frozen") { contents.frozen().serialize() }
        inAllTiers("HLL") { contents.hll(.hll8).serialize() }
        inAllTiers("moments") { contents.moments().serialize() }
        inAllTiers("comoments") { contents.comoments().serialize() }
    }
}
