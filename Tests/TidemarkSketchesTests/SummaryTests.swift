import Glibc
import Testing
import TidemarkKernels
import TidemarkSketches

/// Values of five shapes: what relative and rank errors are checked on.
private func draw(_ shape: Int, _ random: inout TestRandom) -> Double {
    switch shape {
    case 0: random.uniform()
    case 1: random.normal()
    case 2: exp(2 * random.normal())
    case 3: pow(1 - random.uniform(), -1 / 1.5)
    default: random.below(2) == 0 ? -100 - random.uniform() : 1e-6 * (1 + random.uniform())
    }
}

@Suite struct DDSketchTests {
    @Test(arguments: 0..<5, [DDSketch.Mapping.cubic, .logarithmic])
    func `every quantile is within α of the true one`(shape: Int, mapping: DDSketch.Mapping) {
        for alpha in [0.01, 0.001] {
            var random = TestRandom(seed: UInt64(shape))
            var values = (0..<20_000).map { _ in draw(shape, &random) }
            var sketch = DDSketch(relativeError: alpha, binCountMax: 65_536, mapping: mapping)
            sketch.update(values)
            #expect(sketch.relativeError == alpha && sketch.count == 20_000)
            values.sort()
            let ranks = (0...1_000).map { Double($0) / 1_000 }
            for (rank, found) in zip(ranks, sketch.quantiles(ranks)) {
                let true_ = values[Int(rank * Double(values.count - 1))]
                #expect(
                    abs(found - true_) <= alpha * abs(true_) * (1 + 1e-9),
                    "shape \(shape), rank \(rank)"
                )
            }
        }
    }

    @Test func `the logarithm and its inverse are those of the system, to the last digits`() {
        var random = TestRandom(seed: 8)
        for _ in 0..<20_000 {
            let value = pow(2, random.uniform() * 2_040 - 1_020) * (1 + random.uniform())
            #expect(abs(binaryLogarithm(value) - log2(value)) <= 4e-16 * max(1, abs(log2(value))))
            let exponent = random.uniform() * 2_040 - 1_020
            #expect(
                abs(binaryPower(exponent) / exp2(exponent) - 1) <= 4e-16 + 2e-16 * abs(exponent))
        }
        for exponent in -1_022...1_023 {
            #expect(
                binaryLogarithm(Double(sign: .plus, exponent: exponent, significand: 1))
                    == Double(exponent))
        }
    }

    @Test func `a mapping is kept through bytes and state, and does not merge with the other`()
        throws
    {
        for mapping in [DDSketch.Mapping.cubic, .logarithmic] {
            var sketch = DDSketch(relativeError: 0.02, mapping: mapping)
            sketch.update((1...5_000).map { Double($0) - 700.5 })
            let read = try DDSketch(bytes: sketch.serialize())
            let isSame = read.mapping == mapping && read.serialize() == sketch.serialize()
            let (found, want) = (read.quantiles([0.01, 0.5]), sketch.quantiles([0.01, 0.5]))
            #expect(isSame && zip(found, want).allSatisfy { abs($0 / $1 - 1) < 1e-12 })
            var state: [UInt8] = []
            sketch.writeState(&state)
            var reader = ByteReader(state)
            var restored = try DDSketch.readState(&reader)
            restored.update([1e6])
            sketch.update([1e6])
            let goesOn = restored.mapping == mapping && restored.serialize() == sketch.serialize()
            #expect(goesOn)
            let copied = sketch.copy().mapping == mapping
            let other = DDSketch(
                relativeError: 0.02, mapping: mapping == .cubic ? .logarithmic : .cubic)
            let mixes = sketch.isMergeable(with: other)
            let merges = sketch.isMergeable(with: DDSketch(relativeError: 0.02, mapping: mapping))
            #expect(copied && merges && !mixes)
        }
    }

    @Test(arguments: [DDSketch.Mapping.cubic, .logarithmic])
    func `bins join alike for all orders, and the error is the one stated`(
        mapping: DDSketch.Mapping
    ) throws {
        var random = TestRandom(seed: 5)
        var values = (0..<30_000).map { _ in
            pow(10, random.uniform() * 40 - 20) * (random.below(3) == 0 ? -1 : 1)
        }
        var whole = DDSketch(relativeError: 0.01, binCountMax: 512, mapping: mapping)
        whole.update(values)
        #expect(whole.binCount <= 512 && whole.relativeError > 0.01 && whole.relativeError < 0.5)
        for _ in 0..<6 {
            values.shuffle(using: &random)
            var merged = DDSketch(relativeError: 0.01, binCountMax: 512, mapping: mapping)
            var at = 0
            while at < values.count {
                let end = min(values.count, at + random.below(3_000))
                var part = DDSketch(relativeError: 0.01, binCountMax: 512, mapping: mapping)
                part.update(Array(values[at..<end]))
                if random.below(2) == 0 { swap(&part, &merged) }
                merged.merge(part)
                at = end
            }
            #expect(merged.serialize() == whole.serialize())
        }
        values.sort()
        for i in 0...500 {
            let rank = Double(i) / 500
            let true_ = values[Int(rank * Double(values.count - 1))]
            let found = whole.quantiles([rank])[0]
            #expect(abs(found - true_) <= whole.relativeError * abs(true_) * (1 + 1e-9))
        }
    }

    @Test(arguments: 0..<5)
    func `bins come in ascending order, and hold all values`(shape: Int) {
        var random = TestRandom(seed: UInt64(shape))
        let values = (0..<5_000).map { _ in draw(shape, &random) } + [0, 0, -3, 3]
        var sketch = DDSketch()
        sketch.update(values)
        var bins: [(value: Double, count: UInt64)] = []
        sketch.forEachBin { bins.append(($0, $1)) }
        #expect(zip(bins, bins.dropFirst()).allSatisfy { $0.value < $1.value })
        #expect(bins.reduce(0) { $0 + $1.count } == UInt64(values.count))
        // Each value in the order of their sizes lies within the error of its bin's.
        var sorted = values.sorted()[...]
        for bin in bins {
            for value in sorted.prefix(Int(bin.count)) {
                #expect(abs(value - bin.value) <= 0.01 * abs(value) * (1 + 1e-9))
            }
            sorted.removeFirst(Int(bin.count))
        }
    }

    @Test func `zeros, subnormal and non-finite numbers have their places`() {
        var sketch = DDSketch()
        let kept = sketch.update([
            0, -0.0, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, 1, -2,
        ])
        #expect(kept == 5 && sketch.count == 5)
        #expect(sketch.quantiles([0.25, 0.5]) == [0, 0])
        #expect(sketch.rank(of: 0) == 0.8 && sketch.rank(of: -1) == 0.2)
        #expect(DDSketch().quantiles([0.5]).isEmpty && DDSketch().rank(of: 1) == nil)
        sketch.update([.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNormalMagnitude])
        #expect(sketch.binCount <= 2048 && sketch.count == 8)
        #expect(sketch.quantiles([0, 1]).allSatisfy { $0.isFinite })
    }
}

@Suite struct SummaryTests {
    @Test(arguments: 0..<5)
    func `log-linear quantiles are within 1 in 65`(shape: Int) {
        var random = TestRandom(seed: UInt64(shape) + 10)
        var values = (0..<20_000).map { _ in draw(shape, &random) }
        var histogram = LogLinearHistogram()
        #expect(histogram.update(values + [.nan, .infinity]) == 20_000)
        values.sort()
        for i in 0...500 {
            let rank = Double(i) / 500
            let true_ = values[Int(rank * Double(values.count - 1))]
            let found = histogram.quantiles([rank])[0]
            #expect(abs(found - true_) <= abs(true_) / 65 * (1 + 1e-9), "shape \(shape) \(rank)")
        }
    }

    @Test func `the smallest and the largest numbers have bins too`() {
        var histogram = LogLinearHistogram()
        histogram.update([.leastNonzeroMagnitude, 1e-30, 1e300, -1e300, 0])
        #expect(histogram.count == 5 && histogram.quantiles([0.5]) == [0])
        #expect(histogram.byteCount < 80_000)
    }

    @Test func `a frozen histogram counts every row once`() {
        var random = TestRandom(seed: 12)
        let edges = [-1, 0, 0.5, 0.5.nextUp, 2, .infinity]
        var histogram = FrozenHistogram(edges: edges)
        var expected = [UInt64](repeating: 0, count: 7)
        var nulls: UInt64 = 0
        let values = (0..<10_000).map { i in
            i % 9 == 0 ? .nan : i % 7 == 0 ? edges[random.below(5)] : random.normal()
        }
        for x in values {
            if x.isFinite { expected[edges.filter { $0 <= x }.count] += 1 } else { nulls += 1 }
        }
        histogram.update(values)
        #expect(histogram.cells == expected && histogram.nullCount == nulls)
        #expect(histogram.count + histogram.nullCount == 10_000)
    }

    @Test func `frequent integers: bounds hold the truth, whatever was merged`() {
        var random = TestRandom(seed: 14)
        for round in 0..<20 {
            var truth: [Int64: UInt64] = [:]
            var whole = FrequentIntegers(lgMax: 3 + round % 4)
            for _ in 0..<8 {
                var part = FrequentIntegers(lgMax: 3 + round % 4)
                let values = (0..<random.below(6_000)).map { _ -> Int64 in
                    let u = random.uniform()
                    return Int64(2 / (u + 1e-4)) &- 9
                }
                part.update(values)
                for v in values { truth[v, default: 0] += 1 }
                for _ in 0..<30 {
                    let (v, w) = (Int64(random.below(500)), UInt64(random.below(1_000)))
                    part.update(v, weight: w)
                    truth[v, default: 0] += w
                }
                whole.merge(part)
            }
            #expect(whole.total == truth.values.reduce(0, +))
            #expect(whole.offset <= whole.total / UInt64(whole.capacity + 1))
            for (v, count) in truth {
                let (lower, upper) = whole.bounds(of: v)
                #expect(lower <= count && count <= upper, "round \(round), \(v)")
            }
            // No frequent one is missing.
            let kept = Set(whole.items.map(\.value))
            for (v, count) in truth where count > whole.offset { #expect(kept.contains(v)) }
        }
    }

    @Test func `frequent integers do not depend on how updates were batched`() {
        var random = TestRandom(seed: 15)
        let values = (0..<50_000).map { _ in Int64(1 / (random.uniform() + 1e-5)) }
        var whole = FrequentIntegers(lgMax: 6)
        whole.update(values)
        var parts = FrequentIntegers(lgMax: 6)
        var at = 0
        while at < values.count {
            let end = min(values.count, at + random.below(500))
            parts.update(Array(values[at..<end]))
            at = end
        }
        #expect(parts.serialize() == whole.serialize() && !whole.isExact)
    }

    @Test func `frequent integers are what the definition says, in every tier`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 17)
        // With ties, buckets that overflow, values that hash to the first bucket, and the extremes.
        var values = (0..<30_000).map { _ in Int64(1 / (random.uniform() + 1e-4)) &* 3 }
        values += (0..<9_000).map { _ in Int64(bitPattern: UInt64(random.below(5_000)) << 50) }
        values += [0, 1, .min, .max, -1, 0, 0]
        for lgMax in [3, 5, 8] {
            // Misra and Gries over a dictionary.
            let capacity = 3 << (lgMax - 2)
            var counts: [Int64: UInt64] = [:]
            var taken: UInt64 = 0
            func reduce() {
                let cut = counts.values.sorted(by: >)[capacity]
                taken += cut
                counts = counts.compactMapValues { $0 > cut ? $0 - cut : nil }
            }
            for value in values {
                if counts.count >= 3 * capacity { reduce() }
                counts[value, default: 0] += 1
            }
            if counts.count > capacity { reduce() }
            for tier in InstructionTier.allCases {
                guard InstructionTier.force(tier) == tier else { continue }
                var summary = FrequentIntegers(lgMax: lgMax)
                summary.update(values)
                #expect(summary.offset == taken, "\(lgMax) \(tier)")
                let found = Dictionary(
                    uniqueKeysWithValues: summary.items.map { ($0.value, $0.lower) })
                #expect(found == counts, "\(lgMax) \(tier)")
            }
        }
    }

    @Test func `exact counts are exact for what is kept, and the rest is in other`() {
        var truth: [String: UInt64] = [:]
        var counts = ExactCounts(capacity: 50)
        var random = TestRandom(seed: 16)
        for _ in 0..<40 {
            var part = ExactCounts(capacity: 50)
            let names = (0..<100).map { _ in "v\(random.below(120))" }
            for name in names { truth[name, default: 0] += 1 }
            part.update(names.map { CountedItem(bytes: Array($0.utf8), count: 1) })
            counts.merge(part)
        }
        #expect(counts.items.count == 50 && counts.total == 4_000 && counts.otherCount > 0)
        for item in counts.items {
            #expect(truth[String(decoding: item.bytes, as: UTF8.self)] == item.count)
        }
        let hashes = truth.keys.map { murmur3(Array($0.utf8)).low }.sorted()
        #expect(counts.items.map(\.hash) == Array(hashes.prefix(50)))
    }

    @Test func `every record is as likely in a bottom-k sample as any other`() {
        // 20 of 400 in each of 2,000 topics: each record 100 times, give or take 9.7.
        var times = [Int](repeating: 0, count: 400)
        var worst = 0.0
        for topic in 0..<2_000 {
            var sample = BottomKSample(k: 20, topicHash: UInt64(topic) &* 77)
            for i in 0..<400 {
                sample.update(Double(i), partition: Int32(i % 4), offset: Int64(i / 4))
            }
            for one in sample.values { times[Int(one.value)] += 1 }
            worst = max(worst, abs(sample.estimate / 400 - 1))
        }
        #expect(
            times.allSatisfy { abs(Double($0) - 100) < 4.5 * 9.75 },
            "\(times.min()!) \(times.max()!)"
        )
        #expect(worst < 1.6)
    }

    @Test func `a record that is read twice is sampled once`() {
        var once = BottomKSample(k: 50, topicHash: 1)
        var twice = BottomKSample(k: 50, topicHash: 1)
        for i in 0..<300 { once.update(Double(i), partition: 0, offset: Int64(i)) }
        for i in (0..<200).reversed() { twice.update(Double(i), partition: 0, offset: Int64(i)) }
        for i in 0..<300 { twice.update(Double(i), partition: 0, offset: Int64(i)) }
        #expect(once.serialize() == twice.serialize() && once.values.count == 50)
    }

    @Test func `half of the weight is gone after a half-life`() {
        var decayed = DecayedMoments(halfLifeMs: 1_000)
        decayed.update(10, at: 0)
        decayed.update(40, at: 1_000)
        #expect(
            decayed.weight == 1.5 && close(decayed.mean, 30)
                && close(decayed.sd, 200.0.squareRoot())
        )
        // A late one gets the weight of its own time.
        var late = DecayedMoments(halfLifeMs: 1_000)
        late.update(40, at: 1_000)
        late.update(10, at: 0)
        late.update(.nan, at: 2_000)
        #expect(close(late.mean, decayed.mean) && close(late.weight, 1.5))
    }

    @Test func `moments do not depend on how values were batched`() {
        var random = TestRandom(seed: 18)
        let values = (0..<10_000).map { i in i % 91 == 0 ? .nan : 1e6 + random.normal() }
        var whole = Moments()
        whole.update(values)
        for _ in 0..<10 {
            var parts = Moments()
            var at = 0
            while at < values.count {
                let end = min(values.count, at + random.below(200))
                parts.update(Array(values[at..<end]))
                at = end
            }
            #expect(parts.serialize() == whole.serialize())
        }
        var constant = Moments()
        constant.update([5, 5, 5])
        #expect(constant.mean == 5 && constant.variance == 0 && constant.skewness == nil)
        #expect(Moments().mean == nil)
    }

    @Test func `bounds of quantiles hold the truth, and intervals add up`() {
        var random = TestRandom(seed: 19)
        var outside = 0
        for trial in 0..<200 {
            var sketch = KLLDoublesSketch(seed: UInt64(trial))
            sketch.update(random.permutation(5_000).map { Double($0) })
            let view = sketch.view()
            for rank in [0.05, 0.5, 0.95] {
                guard let (lower, upper) = view.quantileBounds(rank) else { continue }
                let truth = rank * 5_000 - 1
                if truth < lower || truth > upper { outside += 1 }
            }
            let shares = view.pmf([1_000, 2_000, 4_500])
            #expect(abs(shares.reduce(0, +) - 1) < 1e-12 && shares.count == 4)
            #expect(abs(shares[2] - 0.5) <= 1.5 * view.shareError)
            #expect(view.cdf([1_000, 2_000]).last == 1)
        }
        #expect(outside <= 12, "\(outside) of 600")
        var small = KLLSketch(seed: 1)
        small.update([1, 2, 3])
        #expect(small.view().rankError == 0 && KLLSketch(seed: 1).view().cdf([1]).isEmpty)
    }

    @Test(arguments: [(1_000, 1), (8_000, 1), (8_000, 60), (60_000, 60)])
    func `f64 KLL keeps the same error bar, also after export`(n: Int, parts: Int) throws {
        var own: [Double] = []
        var exported: [Double] = []
        var random = TestRandom(seed: 20)
        func worst(_ view: KLLDoublesView) -> Double {
            (0..<1_000).map { probe in
                let value = (probe * 2 + 1) * n / 2_000
                return abs((view.rank(of: Double(value)) ?? -1) - Double(value + 1) / Double(n))
            }.max() ?? 0
        }
        for trial in 0..<150 {
            let values = random.permutation(n).map { Double($0) }
            var whole = KLLDoublesSketch(seed: UInt64(trial))
            for part in 0..<parts {
                var next = KLLDoublesSketch(seed: UInt64(trial * 100 + part))
                next.update(Array(values[part * n / parts..<(part + 1) * n / parts]))
                whole.merge(next)
            }
            own.append(worst(whole.view()))
            exported.append(worst(try KLLDoublesSketch(bytes: whole.serialize()).view()))
        }
        own.sort()
        exported.sort()
        #expect(own[148] <= 0.0133 && exported[148] <= 0.0133)
    }
}
