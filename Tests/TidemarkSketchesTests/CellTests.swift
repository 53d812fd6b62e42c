import Testing
import TidemarkKernels

/// Mean and sd over n − 1, compensated and in two passes.
private func exact(_ values: [Double]) -> (mean: Double, sd: Double) {
    func sum(_ terms: some Sequence<Double>) -> Double {
        var sum = 0.0
        var lost = 0.0
        for x in terms {
            let next = sum + x
            lost += abs(sum) >= abs(x) ? (sum - next) + x : (x - next) + sum
            sum = next
        }
        return sum + lost
    }
    let n = Double(values.count)
    let mean = sum(values.lazy.map { $0 - values[0] }) / n + values[0]
    let square = sum(values.lazy.map { ($0 - mean) * ($0 - mean) })
    return (mean, (square / (n - 1)).squareRoot())
}

private func cell(_ values: [Double], _ plan: SumPlan) -> NumericCell {
    var cell = NumericCell()
    var start = 0
    while start < values.count {
        let part = Array(values[start..<min(start + 4_096, values.count)])
        unsafe foldExact(
            column: part,
            rows: (0..<part.count).map { UInt16($0) },
            count: part.count,
            plan: plan,
            cell: &cell
        )
        start += 4_096
    }
    return cell
}

private func orderedCell(_ values: some Collection<Double>) -> OrderedCell {
    var cell = OrderedCell()
    let part = Array(values)
    unsafe foldOrdered(
        column: part,
        rows: (0..<part.count).map { UInt16($0) },
        count: part.count,
        cell: &cell
    )
    return cell
}

@Suite struct CellTests {
    @Test func `mean and sd are within 1e-10 sd, wherever the data lie in their range`() {
        for seed in 0..<60 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            let scale = [1e-6, 0.01, 1, 3e4, 1e12][random.below(5)]
            let offset = [0, 0, 1e3 * scale, -40 * scale][random.below(4)]
            let plan = SumPlan(from: offset - 4 * scale, to: offset + 4 * scale)
            let shift = [0, 0.5, 3, 20][random.below(4)] * scale
            let width = [1, 0.1, 3][random.below(3)] * scale
            let values = (0..<20_000).map { _ in offset + shift + width * random.normal() }
            let (mean, sd) = exact(values)
            let cell = cell(values, plan)
            #expect(cell.unsummed == 0)
            #expect(abs((cell.mean(plan) ?? .nan) - mean) <= 1e-10 * sd, "seed \(seed)")
            #expect(abs((cell.sd(plan) ?? .nan) - sd) <= 1e-10 * sd, "seed \(seed)")
        }
    }

    @Test
    func `values far beyond the range are still summed exactly, up to a limit that is counted`() {
        let plan = SumPlan(from: -1, to: 1)
        #expect(plan.farLimit == 0x1p24 && plan.nearLimit == 4)
        let far = [0.5, -0.25, 5, 1_000, -16_777_215, 16_777_215, 4, 1e6]
        let summed = cell(far, plan)
        #expect(summed.unsummed == 0 && summed.count == 8)
        #expect(abs((summed.mean(plan) ?? .nan) - exact(far).mean) < 1e-9)
        #expect(abs((summed.sd(plan) ?? .nan) / exact(far).sd - 1) < 1e-12)
        let beyond = cell(far + [0x1p24], plan)
        #expect(beyond.unsummed == 1 && beyond.count == 9 && beyond.max == 0x1p24)
        #expect(beyond.mean(plan) == nil && beyond.sd(plan) == nil)
    }

    @Test func `merging cells is exact in any order`() {
        var random = TestRandom(seed: 41)
        let plan = SumPlan(from: 0, to: 10)
        let values = (0..<9_000).map { _ in 5 + random.normal() * (random.below(50) == 0 ? 1e5 : 2)
        }
        let whole = cell(values, plan)
        for _ in 0..<10 {
            var parts = [[Double]](repeating: [], count: 7)
            for value in values { parts[random.below(7)].append(value) }
            var merged = NumericCell()
            for part in parts.shuffled(using: &random) { merged.merge(cell(part, plan)) }
            #expect(merged == whole)
            #expect(merged.mean(plan) == whole.mean(plan) && merged.sd(plan) == whole.sd(plan))
        }
    }

    @Test func `sums of 128 bits become the nearest double, ties to even`() {
        // A half-range of 1: the mean of one value is its sum, less 49 binary places.
        let plan = SumPlan(from: -1, to: 1)
        var random = TestRandom(seed: 42)
        func check(_ sum: Int128) {
            var cell = NumericCell()
            cell.count = 1
            cell.sum = sum
            #expect(cell.mean(plan) == Double(sum) / plan.scale, "\(sum)")
        }
        for sum in [0, 1, -1, .max, .min, Int128(Int64.max), Int128(Int64.min)] as [Int128] {
            check(sum)
            check(sum &+ 1)
            check(sum &- 1)
        }
        for _ in 0..<20_000 {
            let wide = UInt128(random.next()) << 64 | UInt128(random.next())
            let sum = Int128(bitPattern: wide) >> Int128(random.below(128))
            check(sum)
            // Halfway between two doubles, and beside it.
            let shift = Int128(1 + random.below(70))
            let tie = (Int128(1 << 52) + Int128(random.below(1 << 52))) << shift + 1 << (shift - 1)
            for near in [tie - 1, tie, tie + 1, -tie, 1 - tie] { check(near) }
        }
    }

    @Test func `a constant column has its value as mean, and sd 0`() {
        for x in [0.0, 3.25, -1e12, 1e-20] {
            let plan = SumPlan(from: x, to: x)
            let constant = cell([Double](repeating: x, count: 100), plan)
            #expect(constant.mean(plan) == x && constant.sd(plan) == 0)
            #expect(orderedCell([Double](repeating: x, count: 100)).mean == x)
        }
        let plan = SumPlan(from: 0, to: 1)
        #expect(NumericCell().mean(plan) == nil && cell([1], plan).sd(plan) == nil)
        #expect(OrderedCell().mean == nil && orderedCell([1]).sd == nil)
    }

    @Test func `the range may be as small or large as f64 allows`() {
        for range in [(-1e300, 1e300), (0, 1e-300), (1e15, 1e15 + 1), (-1.7e308, 1.7e308)] {
            let plan = SumPlan(from: range.0, to: range.1)
            #expect(plan.scale.isNormal && plan.squareScale.isNormal && plan.centre.isFinite)
            let ends = cell([range.0, range.1], plan)
            #expect(ends.count == 2 && ends.min == range.0 && ends.max == range.1)
        }
    }

    @Test func `ordered cells merge to what one pass gives, also from a far first value`() {
        for seed in 0..<40 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            let offset = [0, 1e6, -3][random.below(3)]
            var values = (0..<5_000).map { _ in offset + random.normal() }
            if seed % 2 == 0 { values[0] = 1e9 }
            let (mean, sd) = exact(values)
            var merged = OrderedCell()
            var start = 0
            while start < values.count {
                let end = min(values.count, start + random.below(900))
                merged.merge(orderedCell(values[start..<end]))
                start = end
            }
            for cell in [merged, orderedCell(values)] {
                #expect(abs((cell.mean ?? .nan) - mean) <= 1e-10 * sd, "seed \(seed)")
                #expect(abs((cell.sd ?? .nan) / sd - 1) <= 1e-10, "seed \(seed)")
                #expect(cell.count == 5_000 && cell.min == values.min() && cell.max == values.max())
            }
        }
    }

    @Test func `layouts are the ones that C folds into`() {
        #expect(MemoryLayout<NumericCell>.size == 64 && MemoryLayout<OrderedCell>.size == 48)
        #expect(MemoryLayout<SumPlan>.size == 40)
    }
}

@Suite struct HashTests {
    @Test func `murmur3 of every tail length`() {
        // h1 ^ h2 over seed 9001, chained over the lengths 0 … 32 of the bytes 0, 1, 2, ….
        for (count, low, high) in murmur3Goldens {
            let hash = murmur3((0..<count).map { UInt8($0) }, seed: 9001)
            #expect(hash == Hash128(low: low, high: high), "\(count) bytes")
        }
    }

    @Test func `draws depend on key and ordinal alone, and look uniform`() {
        let source = CounterRandom(key: 5)
        #expect(source.draw(3) == CounterRandom(key: 5).draw(3))
        var bits = [Int](repeating: 0, count: 64)
        var distinct = Set<UInt64>()
        for key in 0..<20 as Range<UInt64> {
            for ordinal in 0..<5_000 as Range<UInt64> {
                let draw = CounterRandom(key: key).draw(ordinal)
                distinct.insert(draw)
                for b in 0..<64 { bits[b] += Int(draw >> UInt64(b) & 1) }
            }
        }
        // 100,000 draws: a bit is set 50,000 times, give or take 158; five deviations.
        #expect(bits.allSatisfy { abs($0 - 50_000) < 800 } && distinct.count == 100_000)
    }
}
