import Glibc
import Testing
import TidemarkKernels
import TidemarkSketches

/// Thousands of trials instead of the thinned form.
let long = unsafe getenv("TIDEMARK_LONG") != nil

/// The largest rank error over 1,000 probes, of a sketch whose values were 0 ..< n once each.
private func largestError(_ view: KLLView, n: Int) -> Double {
    var worst = 0.0
    for probe in 0..<1_000 {
        let value = (probe * 2 + 1) * n / 2_000
        let rank = view.rank(of: Float(value)) ?? -1
        worst = max(worst, abs(rank - Double(value + 1) / Double(n)))
    }
    return worst
}

struct ErrorBar: Sendable, CustomTestStringConvertible {
    let n: Int
    let trials: Int
    let parts: Int
    var testDescription: String { "n \(n), merged of \(parts)" }
}

@Suite struct KLLTests {
    @Test(arguments: [
        ErrorBar(n: 257, trials: 1_000, parts: 1), ErrorBar(n: 257, trials: 1_000, parts: 12),
        ErrorBar(n: 600, trials: 1_000, parts: 1), ErrorBar(n: 600, trials: 1_000, parts: 2),
        ErrorBar(n: 1_000, trials: 1_000, parts: 1), ErrorBar(n: 8_000, trials: 1_000, parts: 1),
        ErrorBar(n: 1_000_000, trials: long ? 1_000 : 60, parts: 1),
        ErrorBar(n: 60_000, trials: long ? 1_000 : 200, parts: 60),
        ErrorBar(n: 8_000, trials: 1_000, parts: 12),
        ErrorBar(n: 1_000, trials: 1_000, parts: 60), ErrorBar(n: 8_000, trials: 1_000, parts: 60),
        ErrorBar(n: 1_000_000, trials: long ? 1_000 : 60, parts: 60),
    ])
    func `the largest rank error is at most 1.33% in 99% of trials, also after export`(
        bar: ErrorBar
    ) throws {
        var own: [Double] = []
        var exported: [Double] = []
        var random = TestRandom(seed: 7)
        var values = random.permutation(bar.n)
        for trial in 0..<bar.trials {
            // Enough of a new order: a random rotation and a random stride through blocks.
            for _ in 0..<min(bar.n / 2, 20_000) {
                values.swapAt(random.below(bar.n), random.below(bar.n))
            }
            var whole = KLLSketch(seed: UInt64(trial))
            var start = 0
            // A tree: parts of uneven size, six at a time into a node, nodes into the whole.
            var node = KLLSketch(seed: UInt64(trial) << 8 | 255)
            for part in 0..<bar.parts {
                let end = part == bar.parts - 1 ? bar.n : (part + 1) * bar.n / bar.parts
                var leaf = KLLSketch(seed: UInt64(trial) << 8 | UInt64(part))
                unsafe values.withUnsafeBufferPointer { buffer in
                    unsafe leaf.update(buffer.baseAddress! + start, count: end - start)
                }
                node.merge(leaf)
                start = end
                if part % 6 == 5 || part == bar.parts - 1 {
                    whole.merge(node)
                    node.reset(seed: UInt64(trial) << 8 | UInt64(part) << 1 | 1)
                }
            }
            #expect(whole.count == bar.n)
            own.append(largestError(whole.view(), n: bar.n))
            exported.append(
                largestError(try KLLSketch(bytes: whole.serialize()).view(), n: bar.n)
            )
        }
        own.sort()
        exported.sort()
        func at(_ share: Double, _ of: [Double]) -> Double {
            of[min(of.count - 1, Int(share * Double(of.count)))]
        }
        print(
            "kll \(bar.testDescription), \(bar.trials) trials: own mean",
            own.reduce(0, +) / Double(own.count),
            "p99",
            at(0.99, own),
            "max",
            own.last!,
            "| exported mean",
            exported.reduce(0, +) / Double(own.count),
            "p99",
            at(0.99, exported),
            "max",
            exported.last!
        )
        #expect(at(0.99, own) <= 0.0133, "seed 7")
        #expect(at(0.99, exported) <= 0.0133, "seed 7")
    }

    @Test func `up to 256 values every answer is exact`() {
        for n in [1, 2, 16, 17, 200, 255, 256] {
            var random = TestRandom(seed: UInt64(n))
            var sketch = KLLSketch(seed: 1)
            sketch.update(random.permutation(n))
            for i in 0..<n {
                #expect(sketch.rank(of: Float(i)) == Double(i + 1) / Double(n))
                #expect(sketch.quantiles([Double(i + 1) / Double(n)]) == [Float(i)])
            }
            #expect(sketch.min == 0 && sketch.max == Float(n - 1))
        }
    }

    @Test func `the state does not depend on how values were batched`() {
        var random = TestRandom(seed: 3)
        let values = (0..<20_000).map { _ in Float(random.normal()) }
        var whole = KLLSketch(seed: 5)
        whole.update(values)
        for _ in 0..<10 {
            var parts = KLLSketch(seed: 5)
            var at = 0
            while at < values.count {
                let end = min(values.count, at + random.below(700))
                parts.update(Array(values[at..<end]))
                at = end
            }
            #expect(parts.view().values == whole.view().values)
            #expect(parts.serialize() == whole.serialize())
        }
        var other = KLLSketch(seed: 6)
        other.update(values)
        #expect(other.serialize() != whole.serialize())
    }

    @Test func `quantiles of a sketch are those of its view`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        let ranks = [0, 1e-9, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 - 1e-9, 1]
        for tier in InstructionTier.allCases {
            guard InstructionTier.force(tier) == tier else { continue }
            var random = TestRandom(seed: 16)
            // Beyond 2,048 items, and levels of more than 512, with the larger k.
            for (k, count) in [
                (200, 0), (200, 1), (200, 2), (200, 256), (200, 257), (200, 5_000), (200, 5_500),
                (200, 70_000), (300, 9_000),
                (1_000, 50_000), (4_000, 20_000),
            ] {
                for values in 0..<3 {
                    var sketch = KLLSketch(k: k, seed: 1)
                    var extremes = KLLSketch(k: k, seed: 2)
                    for _ in 0..<count {
                        let value = Float(
                            values == 0 ? random.normal() : Double(random.below(4 * values)) - 2)
                        sketch.update([value])
                        extremes.update([random.below(3) == 0 ? .infinity : value])
                    }
                    #expect(sketch.quantiles(ranks) == sketch.view().quantiles(ranks))
                    #expect(extremes.quantiles(ranks) == extremes.view().quantiles(ranks))
                }
            }
        }
    }

    @Test func `all tiers keep the same values`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 4)
        let values = (0..<30_000).map { _ in Float(random.below(1_000)) - 500 }
        let bytes = InstructionTier.allCases.map { tier in
            InstructionTier.force(tier)
            var sketch = KLLSketch(seed: 5)
            sketch.update(values)
            return sketch.serialize()
        }
        #expect(bytes[0] == bytes[1] && bytes[0] == bytes[2])
    }

    @Test func `the weights of a view sum to n, through merges, odd levels and imports`() throws {
        var random = TestRandom(seed: 8)
        var whole = KLLSketch(seed: 1)
        var n = 0
        for part in 0..<300 {
            var next = KLLSketch(seed: UInt64(part))
            let count = random.below(part % 10 == 0 ? 30_000 : 900)
            next.update((0..<count).map { _ in Float(random.normal()) })
            if part % 3 == 0 { next = try KLLSketch(bytes: next.serialize(), seed: 9) }
            whole.merge(next)
            n += count
            #expect(whole.count == n)
            let view = whole.view()
            #expect(view.cumulative.last.map { Int($0) } ?? 0 == n, "part \(part)")
            #expect(zip(view.values, view.values.dropFirst()).allSatisfy { $0 <= $1 })
            #expect(whole.retainedCount == view.values.count)
            let read = try KLLSketch(bytes: whole.serialize())
            #expect(read.count == n && read.min == whole.min && read.max == whole.max)
            #expect(read.view().cumulative.last.map { Int($0) } ?? 0 == n)
        }
    }

    @Test func `merging is a function of the order alone, and an empty sketch changes nothing`() {
        func build(_ order: [Int]) -> [UInt8] {
            var whole = KLLSketch(seed: 1)
            for i in order {
                var part = KLLSketch(seed: UInt64(i))
                var random = TestRandom(seed: UInt64(i))
                part.update((0..<700).map { _ in Float(random.normal()) })
                whole.merge(part)
                whole.merge(KLLSketch(seed: 77))
            }
            return whole.serialize()
        }
        #expect(build(Array(0..<30)) == build(Array(0..<30)))
        #expect(build([3]).count > 8)
    }

    @Test func `NaN is left out, −0 is 0, and infinities are values`() {
        var sketch = KLLSketch(seed: 1)
        sketch.update([.nan, 1, -0.0, .nan, .infinity, -.infinity, .nan])
        #expect(sketch.count == 4)
        #expect(sketch.min == -.infinity && sketch.max == .infinity)
        #expect(
            sketch.view().values.map(\.bitPattern)
                == [-.infinity, 0, 1, Float.infinity].map(\.bitPattern)
        )
        #expect(sketch.quantiles([0.5]) == [0])
        #expect(KLLSketch(seed: 1).quantiles([0.5]).isEmpty)
        #expect(KLLSketch(seed: 1).rank(of: 0) == nil)
    }

    @Test func `a copy is equal and independent, a reset one is as new but keeps its memory`() {
        var random = TestRandom(seed: 9)
        let values = (0..<5_000).map { _ in Float(random.normal()) }
        var sketch = KLLSketch(seed: 2)
        sketch.update(values)
        let bytes = sketch.serialize()
        var copy = sketch.copy()
        #expect(copy.serialize() == bytes)
        copy.update(values)
        sketch.update(values)
        #expect(copy.serialize() == sketch.serialize())
        let held = sketch.byteCount
        sketch.reset(seed: 2)
        #expect(sketch.isEmpty && sketch.byteCount == held)
        sketch.update(values)
        #expect(sketch.serialize() == bytes)
    }

    @Test func `an empty sketch holds no memory, a small one little`() {
        var sketch = KLLSketch(seed: 1)
        #expect(sketch.byteCount <= 128)
        sketch.update([1, 2, 3])
        #expect(sketch.byteCount <= 192)
        sketch.update((0..<997).map { Float($0) })
        #expect(sketch.byteCount <= 2_600)
        sketch.update((0..<1_000_000).map { Float($0) })
        #expect(sketch.byteCount <= 24_000)
    }

    @Test(arguments: kllGoldens.indices)
    func `the peer's bytes give the peer's ranks`(index: Int) throws {
        let golden = kllGoldens[index]
        let sketch = try KLLSketch(bytes: golden.bytes.hexBytes)
        #expect(sketch.count == golden.n && sketch.k == golden.k)
        let view = sketch.view()
        for (probe, rank) in golden.ranks {
            #expect(abs((view.rank(of: probe) ?? -1) - rank) < 1e-12, "\(golden.n) \(probe)")
        }
    }

    @Test func `wrong bytes throw and never trap`() throws {
        var refused = 0
        for (i, golden) in kllGoldens.enumerated() {
            for (j, wrong) in mutations(of: golden.bytes.hexBytes, seed: UInt64(i), count: 4_000)
                .enumerated()
            {
                do throws(SketchError) {
                    let sketch = try KLLSketch(bytes: wrong)
                    _ = sketch.view().serialize()
                    #expect(sketch.count >= 0, "golden \(i), mutation \(j)")
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 10_000)
        #expect(throws: SketchError.truncated(needed: 1, byteCount: 0)) {
            _ = try KLLSketch(bytes: []).count
        }
    }
}
