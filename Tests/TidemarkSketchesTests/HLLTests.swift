import Testing
import TidemarkKernels
import TidemarkSketches

private func sketch(_ lgK: Int, _ items: some Sequence<Int>) -> HLLSketch {
    var sketch = HLLSketch(lgK: lgK)
    for item in items { sketch.update(coupon: HLLSketch.coupon(of: Int64(item))) }
    return sketch
}

@Suite struct HLLTests {
    @Test(arguments: hllGoldens.indices)
    func `coupons, registers and their sums are the peer's, byte for byte`(index: Int) throws {
        let golden = hllGoldens[index]
        let own = sketch(golden.lgK, 0..<golden.n)
        #expect(own.serialize() == golden.bytes.hexBytes, "lgK \(golden.lgK), n \(golden.n)")
        let read = try HLLSketch(bytes: golden.bytes.hexBytes)
        #expect(read.serialize() == golden.bytes.hexBytes)
        #expect(read.estimate == own.estimate)
        let (lower, upper) = own.bounds(standardDeviations: 2)
        #expect(lower <= own.estimate && own.estimate <= upper)
        #expect(abs(own.estimate - golden.estimate) <= 1e-5 * golden.estimate)
        if golden.bytes.hexBytes[0] != 10 {
            // Coupons: the peer interpolates a table, we use its formula.
            #expect(abs(lower - golden.lower) <= 1e-3 * golden.lower)
            #expect(abs(upper - golden.upper) <= 1e-3 * golden.upper)
        }
    }

    @Test func `the estimate is the peer's within 1e-5, from the same bytes`() {
        for (lgK, n, estimate) in hllEstimates {
            let own = sketch(lgK, 0..<n).estimate
            #expect(abs(own - estimate) <= 1e-5 * estimate, "\(lgK) \(n): \(own) \(estimate)")
        }
    }

    @Test func `bytes depend on the set of items alone: any order, any merge tree`() {
        var random = TestRandom(seed: 21)
        for n in [0, 3, 7, 8, 100, 384, 385, 500, 20_000] {
            let items = Array(0..<n)
            let expected = sketch(12, items).serialize()
            for _ in 0..<4 {
                var parts: [[Int]] = [[], [], [], [], []]
                for item in items.shuffled(using: &random) {
                    parts[random.below(5)].append(item)
                    if random.below(3) == 0 { parts[random.below(5)].append(item) }
                }
                var whole = HLLSketch(lgK: 12)
                for part in parts {
                    var copy = whole.copy()
                    var next = sketch(12, part)
                    if random.below(2) == 0 {
                        whole.merge(next)
                    } else {
                        next.merge(whole)
                        swap(&whole, &next)
                    }
                    copy.merge(whole)
                    #expect(copy.serialize() == whole.serialize())
                }
                #expect(whole.serialize() == expected, "n \(n)")
            }
        }
    }

    @Test func `the relative error over 300 trials is that of HyperLogLog`() {
        for n in [1_000, 10_000, 60_000] {
            var squares = 0.0
            var inside = 0
            for trial in 0..<300 {
                let own = sketch(11, trial * 1_000_000..<trial * 1_000_000 + n)
                let error = own.estimate / Double(n) - 1
                squares += error * error
                let (lower, upper) = own.bounds(standardDeviations: 2)
                inside += lower <= Double(n) && Double(n) <= upper ? 1 : 0
            }
            let rse = (squares / 300).squareRoot()
            #expect(rse < 1.04 / Double(2048).squareRoot() * 1.15, "n \(n): \(rse)")
            #expect(inside >= 275, "n \(n): \(inside)")
        }
    }

    @Test func `strings hash as UTF-8, and the empty one counts as nothing`() {
        // 1, 42, "abc" and "tidemark" in the peer's coupon list.
        #expect(HLLSketch.coupon(ofBytes: []) == nil)
        var strings = HLLSketch(lgK: 12)
        for text in ["abc", "tidemark", "abc", ""] {
            if let coupon = HLLSketch.coupon(ofBytes: Array(text.utf8)) {
                strings.update(coupon: coupon)
            }
        }
        #expect(strings.serialize() == hllStringsGolden.hexBytes)
        #expect(strings.estimate > 1.99 && strings.estimate < 2.01)
    }

    @Test func `few items take little memory`() {
        #expect(HLLSketch(lgK: 21).byteCount < 64)
        #expect(sketch(14, 0..<6).byteCount < 128)
        #expect(sketch(12, 0..<384).byteCount <= 2_200)
        #expect(sketch(12, 0..<385).byteCount <= 4_200)
    }

    @Test func `wrong bytes throw and never trap`() {
        var refused = 0
        for (i, golden) in hllGoldens.enumerated() {
            for wrong in mutations(of: golden.bytes.hexBytes, seed: UInt64(i), count: 2_000) {
                do throws(SketchError) {
                    let read = try HLLSketch(bytes: wrong)
                    _ = read.serialize()
                    #expect(read.estimate >= 0)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 1_000)
    }
}
