import Foundation
import Synchronization
import Testing
import TidemarkKernels

/// All that a fold leaves behind, comparable bit for bit.
private struct Folded: Equatable {
    var cell = NumericCell()
    var ordered: [UInt64] = []
    var bins: [UInt64] = []
    var run: [UInt32] = []
    var kept = 0
}

private func fold(
    _ column: [Double],
    _ rows: [UInt16],
    _ plan: SumPlan,
    _ edges: [Double],
    batch: Int,
    ordered: Bool
) -> Folded {
    var result = Folded()
    var cell = OrderedCell()
    result.bins = [UInt64](repeating: 0, count: edges.count + 1)
    var start = 0
    while start < rows.count {
        let part = Array(rows[start..<min(start + batch, rows.count)])
        var run = [Float](repeating: .nan, count: part.count + 16)
        var kept = 0
        unsafe result.bins.withUnsafeMutableBufferPointer { bins in
            if ordered {
                kept = unsafe foldOrdered(
                    column: column,
                    rows: part,
                    count: part.count,
                    cell: &cell,
                    edges: edges,
                    edgeCount: edges.count,
                    bins: bins.baseAddress,
                    run: &run
                )
            } else {
                kept = unsafe foldExact(
                    column: column,
                    rows: part,
                    count: part.count,
                    plan: plan,
                    cell: &result.cell,
                    edges: edges,
                    edgeCount: edges.count,
                    bins: bins.baseAddress,
                    run: &run
                )
            }
        }
        result.run += run[..<kept].map(\.bitPattern)
        result.kept += kept
        start += batch
    }
    result.ordered = [
        cell.count, cell.shift.bitPattern, cell.sum.bitPattern, cell.square.bitPattern,
        cell.min.bitPattern, cell.max.bitPattern,
    ]
    return result
}

/// Columns with what makes folds go wrong: NaN, infinities, −0, ties with edges, far values.
private func column(_ random: inout TestRandom, _ kind: Int) -> [Double] {
    (0..<5_000).map { _ in
        switch kind {
        case 0: return random.normal()
        case 1:
            switch random.below(12) {
            case 0: return .nan
            case 1: return random.below(2) == 0 ? .infinity : -.infinity
            case 2: return -0.0
            case 3: return random.normal() * 1e30
            case 4: return random.normal() * 1e9
            case 5: return 1e308 * (random.uniform() * 2 - 1)
            case 6: return .leastNonzeroMagnitude
            default: return random.normal()
            }
        case 2: return Double(random.below(9)) - 4
        default:
            // Next to an edge, closer than f32 can tell.
            let edge = Double(random.below(21)) * 0.3 - 3
            return edge + Double(random.below(3) - 1) * abs(edge).ulp
        }
    }
}

private func edges(_ random: inout TestRandom, _ count: Int, _ kind: Int) -> [Double] {
    var edges: Set<Double> = []
    switch kind {
    case 0: for i in 0..<count { edges.insert(Double(i) * 0.3 - 3) }
    case 1: for i in 0..<count { edges.insert(Double(i) - Double(count / 2)) }
    case 2:
        // Neighbours in f64 that are one value in f32.
        var e = 0.3
        for _ in 0..<count {
            edges.insert(e)
            e = e.nextUp
        }
        for i in 0..<count { edges.insert(Double(i) * 0.3 - 3) }
    default:
        edges = [-.infinity, .infinity]
        while edges.count < count { edges.insert(random.normal()) }
    }
    return Array(edges.sorted().prefix(max(count, 2)))
}

@Suite(.serialized) struct KernelTests {
    @Test func `all tiers fold to the same bits, and bins hold what f64 comparison says`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 11)
        for trial in 0..<160 {
            let values = column(&random, trial % 4)
            let edges = edges(
                &random,
                [2, 3, 9, 21, 22, 31, 32, 33, 64, 101, 257][trial % 11],
                trial / 4 % 4
            )
            let count = [0, 1, 7, 23, 24, 25, 63, 64, 65, 100, 1_000, 4_999][random.below(12)]
            let rows = (0..<count).map { _ in UInt16(random.below(values.count)) }
            let plan = SumPlan(from: -3, to: 3)
            for ordered in [false, true] {
                InstructionTier.force(.scalar)
                let expected = fold(values, rows, plan, edges, batch: 10_000, ordered: ordered)
                for tier in InstructionTier.allCases {
                    guard InstructionTier.force(tier) == tier else { continue }
                    for batch in [10_000, 500, 37] {
                        let found = fold(values, rows, plan, edges, batch: batch, ordered: ordered)
                        #expect(found == expected, "trial \(trial), tier \(tier), batch \(batch)")
                    }
                }
                var naive = [UInt64](repeating: 0, count: edges.count + 1)
                var kept = 0
                for row in rows where values[Int(row)].isFinite {
                    naive[edges.filter { $0 <= values[Int(row)] }.count] += 1
                    kept += 1
                }
                #expect(expected.bins == naive, "trial \(trial)")
                #expect(expected.kept == kept)
            }
        }
    }

    @Test func `a tier that is forced is the calling thread's alone`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        InstructionTier.force(.scalar)
        let other = Mutex<InstructionTier?>(nil)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            other.withLock { $0 = .current }
            done.signal()
        }
        done.wait()
        #expect(other.withLock { $0 } == best && InstructionTier.current == .scalar)
    }

    @Test func `all tiers sort to the same bits`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 12)
        for trial in 0..<200 {
            let values = (0..<256).map { _ -> Float in
                switch trial % 4 {
                case 0: return Float(random.normal())
                case 1: return Float(random.below(5)) - 2
                case 2:
                    return [Float.infinity, -.infinity, 0, .leastNonzeroMagnitude][random.below(4)]
                default:
                    return Float(
                        bitPattern: UInt32(random.next() >> 33) & 0x7f7f_ffff | UInt32(
                            random.below(2)
                        ) << 31
                    ) + 0
                }
            }
            let sorted = values.sorted()
            for tier in InstructionTier.allCases {
                guard InstructionTier.force(tier) == tier else { continue }
                var copy = values
                unsafe copy.withUnsafeMutableBufferPointer { unsafe sort256($0.baseAddress!) }
                #expect(
                    copy.map(\.bitPattern) == sorted.map(\.bitPattern),
                    "trial \(trial) \(tier)"
                )
                for stride in [2, 4, 8] {
                    for offset in 0..<stride {
                        var kept = [Float](repeating: 0, count: 256 / stride)
                        unsafe sort256(values, keepEvery: stride, from: offset, into: &kept)
                        let expected = (0..<256 / stride).map { sorted[$0 * stride + offset] }
                        #expect(kept == expected, "trial \(trial) \(tier) \(stride) \(offset)")
                    }
                }
            }
        }
    }

    @Test func `up to 512 values are sorted, in place too, and every second one is kept`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 13)
        for trial in 0..<300 {
            let count = trial < 4 ? [512, 1, 256, 257][trial] : 1 + random.below(512)
            let values = (0..<count).map { _ -> Float in
                switch trial % 3 {
                case 0: Float(random.normal())
                case 1: Float(random.below(7)) - 3
                default: [Float.infinity, -.infinity, 0, 1][random.below(4)]
                }
            }
            let sorted = values.sorted()
            for tier in InstructionTier.allCases {
                guard InstructionTier.force(tier) == tier else { continue }
                var copy = values
                unsafe copy.withUnsafeMutableBufferPointer {
                    unsafe sort512(
                        $0.baseAddress!, count: count, keepEvery: 1, from: 0, into: $0.baseAddress!)
                }
                #expect(
                    copy.map(\.bitPattern) == sorted.map(\.bitPattern), "trial \(trial) \(tier)")
                for offset in 0..<2 {
                    // What is behind the kept ones stays as it is.
                    var kept = [Float](repeating: 77, count: count / 2 + 1)
                    unsafe sort512(values, count: count, keepEvery: 2, from: offset, into: &kept)
                    let expected = (0..<count / 2).map { sorted[$0 * 2 + offset] } + [77]
                    #expect(kept == expected, "trial \(trial) \(tier) \(offset)")
                }
            }
        }
    }

    @Test func `items of levels stand in one order, and weigh what those before them do`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        var random = TestRandom(seed: 14)
        for trial in 0..<200 {
            var lists: [[Float]] = []
            for _ in 0...random.below(6) {
                // Lists of more than 512, and more than 1,024 items, are the rare ones.
                let count = trial % 10 == 0 ? random.below(1_500) : random.below(300)
                let list = (0..<count).map { _ -> Float in
                    switch trial % 3 {
                    case 0: Float(random.normal())
                    case 1: Float(random.below(7)) - 3
                    default: [Float.infinity, -.infinity, 0, 1][random.below(4)]
                    }
                }
                // Some are in order already.
                lists.append(random.below(3) == 0 ? list.sorted() : list)
            }
            let expected = lists.enumerated().flatMap { level, list in list.map { ($0, level) } }
                .sorted { $0 < $1 }
            var sum: UInt64 = 0
            let weights = expected.map { _, level in
                sum += 1 << UInt64(level)
                return sum
            }
            let total = expected.count
            let all = lists.flatMap(\.self)
            for tier in InstructionTier.allCases {
                guard InstructionTier.force(tier) == tier else { continue }
                var values = [Float](repeating: 77, count: total + 1)
                var cumulative = [UInt64](repeating: 77, count: total + 1)
                unsafe all.withUnsafeBufferPointer { all in
                    var start = 0
                    var levels: [LevelItems<Float>] = []
                    for (level, list) in lists.enumerated() {
                        if let base = all.baseAddress {
                            unsafe levels.append(
                                LevelItems(items: base + start, count: list.count, level: level))
                        }
                        start += list.count
                    }
                    unsafe levels.withUnsafeMutableBufferPointer {
                        unsafe orderLevels($0, values: &values, cumulative: &cumulative)
                    }
                }
                #expect(values == expected.map(\.0) + [77], "trial \(trial) \(tier)")
                #expect(cumulative == weights + [77], "trial \(trial) \(tier)")
            }
        }
    }

    @Test func `registers are counted by what they hold`() {
        var random = TestRandom(seed: 15)
        for lgK in 4...18 {
            for most in [1, 15, 64] {
                let registers = (0..<1 << lgK).map { _ in UInt8(random.below(most)) }
                var counts = InlineArray<64, UInt32>(repeating: 77)
                unsafe countRegisters(registers, count: registers.count, into: &counts)
                for value in 0..<64 {
                    let expected = registers.count { $0 == value }
                    #expect(Int(counts[value]) == expected, "lgK \(lgK), \(value)")
                }
            }
        }
    }
}
