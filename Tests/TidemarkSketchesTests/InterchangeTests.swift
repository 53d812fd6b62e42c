import Testing
import TidemarkKernels
import TidemarkSketches

private func value(_ i: Int) -> Double { Double((i * 7919 + 13) % 1_000_003) }

@Suite struct InterchangeTests {
    @Test func `the peer's f64 KLL bytes give the peer's ranks, and ours come back equal`() throws {
        for golden in kllDoublesGoldens {
            let sketch = try KLLDoublesSketch(bytes: golden.bytes.hexBytes)
            #expect(sketch.count == golden.n && sketch.k == golden.k)
            let view = sketch.view()
            for (probe, rank) in golden.ranks {
                #expect(abs((view.rank(of: probe) ?? -1) - rank) < 1e-12, "\(golden.n) \(probe)")
            }
            let again = try KLLDoublesSketch(bytes: sketch.serialize())
            #expect(again.serialize() == sketch.serialize())
        }
    }

    @Test func `HLL_4 and HLL_6 bytes are the peer's`() throws {
        for golden in hllTypeGoldens {
            let type = try #require(HLLType(rawValue: golden.type))
            var own = HLLSketch(lgK: golden.lgK, type: type)
            own.update((0..<golden.n).map { Int64($0) })
            let name = "\(type), lgK \(golden.lgK), n \(golden.n)"
            #expect(own.serialize() == golden.bytes.hexBytes, "\(name)")
            // The peer's own form, with its table of exceptions or coupons, reads as the same.
            let read = try HLLSketch(bytes: golden.updatable.hexBytes)
            #expect(read.serialize() == own.serialize(), "\(name)")
            let wide = own.copy()
            var eight = wide.copy()
            eight.type = .hll8
            let narrow = try HLLSketch(bytes: eight.serialize()).estimate
            #expect(narrow == own.estimate, "\(name)")
        }
    }

    @Test func `frequent integers read the peer's bytes and write the same items`() throws {
        let read = try FrequentIntegers(bytes: frequentIntegersGolden.hexBytes)
        var own = FrequentIntegers(lgMax: 5)
        for i in 0..<20 { own.update(Int64(i * i - 50), weight: UInt64(1 + 1000 / (i + 1))) }
        #expect(read.serialize() == own.serialize() && read.isExact)
        #expect(own.serialize().count == frequentIntegersGolden.hexBytes.count)
        #expect(read.bounds(of: -50) == (1001, 1001) && read.bounds(of: 51) == (0, 0))
    }

    @Test func `DDSketch answers as the peer, from the same values`() {
        var sketch = DDSketch(relativeError: 0.02)
        sketch.update((0..<2_000).map { $0 % 50 == 0 ? 0 : value($0) - 300_000 })
        for (share, value) in ddsketchQuantiles {
            let own = sketch.quantiles([share])[0]
            #expect(abs(own - value) <= 1e-9 * abs(value), "\(share): \(own) \(value)")
        }
    }

    @Test func `moments are those of numpy and of exact fractions, on shifted data too`() {
        for golden in momentGoldens {
            let values = (0..<10_000).map { golden.shift + (value($0) / 250_000 - 2) }
            var whole = Moments()
            whole.update(values)
            var merged = Moments()
            var random = TestRandom(seed: 3)
            var at = 0
            while at < values.count {
                let end = min(values.count, at + random.below(900))
                var part = Moments()
                part.update(Array(values[at..<end]))
                merged.merge(part)
                at = end
            }
            func check(_ moments: borrowing Moments) {
                let sd = golden.variance.squareRoot()
                #expect(abs((moments.mean ?? 0) - golden.mean) <= 1e-12 * max(abs(golden.mean), sd))
                #expect(close(moments.variance, golden.variance, 1e-12))
                #expect(close(moments.skewness, golden.skewness, 1e-12))
                #expect(close(moments.kurtosis, golden.kurtosis, 1e-12))
            }
            check(whole)
            check(merged)
        }
    }

    @Test func `covariances are numpy's`() {
        var whole = Comoments(width: 3)
        var merged = Comoments(width: 3)
        var part = Comoments(width: 3)
        for i in 0..<1_000 {
            let row = [
                1e9 + value(i) / 250_000, value(3 * i + 1) / 500_000 + value(i) / 1e6,
                -value(7 * i),
            ]
            whole.update(row)
            part.update(row)
            if i % 77 == 76 || i == 999 {
                merged.merge(part)
                part = Comoments(width: 3)
            }
        }
        for a in 0..<3 {
            for b in 0..<3 {
                let expected = covarianceGolden[a][b]
                let unit = (covarianceGolden[a][a] * covarianceGolden[b][b]).squareRoot()
                #expect(abs((whole.covariance(a, b) ?? 0) - expected) <= 1e-12 * unit, "\(a) \(b)")
                #expect(abs((merged.covariance(a, b) ?? 0) - expected) <= 1e-12 * unit, "\(a) \(b)")
            }
        }
        #expect(whole.update([1, .nan, 2]) == false && whole.rowCount == 1_000)
    }
}
