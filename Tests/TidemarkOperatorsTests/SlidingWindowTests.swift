import Testing
import TidemarkCore
import TidemarkMonitors
import TidemarkOperators
import TidemarkSketches
import TidemarkTestSupport

private final class Counter {
    var count = 0
}

/// Maps x ↦ scale · x + offset modulo 2^64, joined by composition: exact, associative, and never
/// commutative by luck.
private struct Affine: Mergeable, Equatable {
    var scale: UInt64
    var offset: UInt64
    /// How often one of its kin was merged.
    let merges: Counter

    mutating func merge(_ next: Affine) {
        merges.count += 1
        join(next)
    }

    mutating func join(_ next: Affine) {
        scale = next.scale &* scale
        offset = next.scale &* offset &+ next.offset
    }

    static func == (a: Affine, b: Affine) -> Bool { a.scale == b.scale && a.offset == b.offset }
}

/// A number, and a sum of such that counts how often it was changed.
private struct Part {
    var amount: UInt64
    let steps: Counter
}

private struct Total: Subtractable, Equatable {
    var sum: UInt64 = 0

    mutating func add(_ slice: Part) {
        slice.steps.count += 1
        sum &+= slice.amount
    }

    mutating func subtract(_ slice: Part) {
        slice.steps.count += 1
        sum &-= slice.amount
    }
}

@Suite struct SlidingWindowTests {
    private static let operationCount = 1_000_000

    /// Slices come and go at random, some are missing, and now and then windows are passed over.
    ///
    /// - Returns: windows that differ from `naive`, and the most steps of `counter` in one slide.
    private func run<Window: SlidingWindow>(
        _ window: inout Window, length: Int64, operationCount: Int, gaps: Double,
        counter: Counter, random: inout SeededRandom,
        make: (inout SeededRandom) -> Window.Slice, naive: ([Window.Slice]) -> Window.Aggregate?
    ) -> (different: Int, most: Int) where Window.Aggregate: Equatable {
        var slices: [Int64: Window.Slice] = [:]
        var start = Int64(random.below(1_000)) - 500
        var next = start
        var (different, most) = (0, 0)
        for _ in 0..<operationCount {
            // As many slices are added as are let go, a few at a time.
            if next < start + length || random.chance(0.4) && next < start + 2 * length {
                if !random.chance(gaps) {
                    let slice = make(&random)
                    window.insert(slice, at: next)
                    slices[next] = slice
                }
                next += 1
                continue
            }
            let before = counter.count
            let found = window.slide(to: start..<start + length)
            most = max(most, counter.count - before)
            if found != naive((start..<start + length).compactMap { slices[$0] }) { different += 1 }
            let step = random.chance(gaps) ? 1 + Int64(random.below(Int(length) + 2)) : 1
            for index in start..<start + step { slices[index] = nil }
            start += step
            next = max(next, start)
        }
        return (different, most)
    }

    @Test func `two stacks equal a naive recompute over a million operations`() {
        var random = SeededRandom(1)
        var left = Self.operationCount
        while left > 0 {
            let length = Int64(1 + random.below(80))
            let counter = Counter()
            var window = TwoStackWindow<Affine>(length: length)
            let count = min(left, 1 + random.below(20_000))
            let (different, most) = run(
                &window, length: length, operationCount: count,
                gaps: random.chance(0.5) ? 0 : 0.2, counter: counter, random: &random,
                make: { Affine(scale: $0.next() | 1, offset: $0.next(), merges: counter) },
                naive: { slices in
                    slices.dropFirst().reduce(into: slices.first) { $0?.join($1) }
                })
            #expect(different == 0 && most <= max(0, length - 1), "length \(length)")
            left -= count
        }
    }

    /// A slice is added once and taken away once, where it was added.
    @Test func `subtraction equals a naive recompute over a million operations, twice a slice`() {
        var random = SeededRandom(2)
        var left = Self.operationCount
        while left > 0 {
            let length = Int64(1 + random.below(80))
            let counter = Counter()
            var window = SubtractOnEvictWindow<Total>()
            let count = min(left, 1 + random.below(20_000))
            let gaps = random.chance(0.5) ? 0 : 0.2
            var made = 0
            let (different, most) = run(
                &window, length: length, operationCount: count, gaps: gaps, counter: counter,
                random: &random,
                make: { random in
                    made += 1
                    return Part(amount: random.next(), steps: counter)
                },
                naive: { slices in
                    slices.isEmpty
                        ? nil : Total(sum: slices.reduce(0) { $0 &+ $1.amount })
                })
            #expect(different == 0 && counter.count <= 2 * made, "length \(length)")
            if gaps == 0 { #expect(most <= max(2, length), "length \(length)") }
            left -= count
        }
    }

    @Test func `a running sum takes in what comes late, and is made anew where it has to be`() {
        var window = SubtractOnEvictWindow<Total>()
        let counter = Counter()
        func insert(_ amount: UInt64, at index: Int64) {
            window.insert(Part(amount: amount, steps: counter), at: index)
        }
        for index in Int64(0)..<10 { insert(1 << UInt64(index), at: index) }
        #expect(window.slide(to: 2..<6)?.sum == 0b111100)
        insert(1_000, at: 4)
        insert(5_000, at: 7)
        #expect(window.slide(to: 3..<7)?.sum == 0b1111000 + 1_000)
        // Back, and what was asked for before is there again.
        #expect(window.slide(to: 2..<6)?.sum == 0b111100 + 1_000)
        // Without slices that the sum still holds.
        window.removeFirst(4)
        #expect(window.slide(to: 3..<7)?.sum == 0b1110000 + 1_000)
        #expect(window.slide(to: 4..<8)?.sum == 0b11110000 + 6_000)
        #expect(window.slide(to: 90..<95) == nil)
        #expect(window.indices == [4, 4, 5, 6, 7, 7, 8, 9])
    }

    /// 3 − 4/N a slide (van Herk 1992, Gil and Werman 1993), where merging anew takes N − 1.
    @Test(arguments: [Int64(1), 2, 3, 4, 6, 10, 60, 360])
    func `two stacks merge as often as published`(length: Int64) {
        var window = TwoStackWindow<Affine>(length: length)
        let counter = Counter()
        var random = SeededRandom(UInt64(length))
        func add(_ index: Int64) {
            window.insert(
                Affine(scale: random.next() | 1, offset: random.next(), merges: counter), at: index)
        }
        for index in 0..<length - 1 { add(index) }
        let blocks: Int64 = 50
        var most = 0
        for start in 0..<blocks * length {
            add(start + length - 1)
            let before = counter.count
            _ = window.slide(to: start..<start + length)
            most = max(most, counter.count - before)
        }
        #expect(counter.count == Int(blocks * max(0, 3 * length - 4)))
        #expect(most == Int(length - 1))
    }

    @Test func `two stacks give the same aggregate wherever reading began`() {
        // Not associative: only the same merges in the same order give the same text.
        struct Order: Mergeable {
            var text: String
            mutating func merge(_ next: Order) { text = "(\(text)\(next.text))" }
        }
        let length: Int64 = 7
        func windows(from first: Int64) -> [Int64: String] {
            var window = TwoStackWindow<Order>(length: length)
            var found: [Int64: String] = [:]
            for index in first..<40 {
                if index % 11 != 3 {
                    window.insert(Order(text: "\(index)."), at: index)
                }
                let start = index + 1 - length
                if start >= first { found[start] = window.slide(to: start..<start + length)?.text }
            }
            return found
        }
        let whole = windows(from: -20)
        for first in Int64(-20)..<33 {
            let later = windows(from: first)
            #expect(later == whole.filter { $0.key >= first }, "from \(first)")
            #expect(!later.isEmpty)
        }
    }

    // MARK: What comes late

    /// What is in a window, and in which order it was merged.
    private struct Bag: Mergeable, Equatable {
        var items: [Int]
        mutating func merge(_ next: Bag) { items += next.items }
    }

    /// Windows of slices of which some come late, by start: reading begins at slice `first`, and (`stops`)
    /// goes through the state that is kept now and then.
    private func lateWindows(
        seed: UInt64, length: Int64, from first: Int64, stops: Bool
    ) -> [Int64: Bag] {
        var random = SeededRandom(seed)
        var window = TwoStackWindow<Bag>(length: length)
        var found: [Int64: Bag] = [:]
        var number = 0
        for index in Int64(-40)..<80 {
            var late: [(source: Int64, bag: Bag)] = []
            let hasOwn = random.chance(0.8)
            for _ in 0..<random.below(4) {
                number += 1
                late.append((index - 1 - Int64(random.below(12)), Bag(items: [number])))
            }
            number += 1
            // Read from the first row of the first slice on.
            guard index >= first else { continue }
            if hasOwn { window.insert(Bag(items: [number]), at: index) }
            for one in late where index - one.source < length {
                window.insert(late: one.bag, of: one.source, at: index)
            }
            let start = index + 1 - length
            guard start >= first else { continue }
            if stops, index % 7 == 0 { window = restarted(window, length: length, from: start) }
            found[start] = window.slide(to: start..<start + length)
        }
        return found
    }

    /// As a snapshot keeps it.
    private func restarted(
        _ window: TwoStackWindow<Bag>, length: Int64, from start: Int64
    ) -> TwoStackWindow<Bag> {
        var copy = TwoStackWindow<Bag>(length: length)
        for index in (start..<start + 2 * length).reversed() {
            if let late = window.latecomers(index) { copy.restore(late: late, at: index) }
            guard let slice = window[index] else { continue }
            if window.isFlipped(index) {
                copy.restore(flipped: slice, at: index)
            } else {
                copy.insert(slice, at: index)
            }
        }
        return copy
    }

    @Test func `what comes late is in each window that holds it and its arrival, in one order`() {
        for seed in UInt64(0)..<300 {
            let length = Int64(1 + seed % 17)
            let whole = lateWindows(seed: seed, length: length, from: -40, stops: false)
            // By hand: who belongs to a window.
            var random = SeededRandom(seed)
            var want: [Int64: Set<Int>] = [:]
            var number = 0
            for index in Int64(-40)..<80 {
                let hasOwn = random.chance(0.8)
                for _ in 0..<random.below(4) {
                    number += 1
                    let source = index - 1 - Int64(random.below(12))
                    for start in (index - length + 1)..<max(source + 1, index - length + 1) {
                        want[start, default: []].insert(number)
                    }
                }
                number += 1
                if hasOwn {
                    for start in (index - length + 1)...index {
                        want[start, default: []].insert(number)
                    }
                }
            }
            for (start, bag) in whole {
                #expect(Set(bag.items) == want[start] ?? [], "seed \(seed), window \(start)")
                #expect(Set(bag.items).count == bag.items.count, "seed \(seed)")
            }
            #expect(Set(want.keys.filter { -40 <= $0 && $0 <= 80 - length }) == Set(whole.keys))
            let stopped = lateWindows(seed: seed, length: length, from: -40, stops: true)
            #expect(stopped == whole, "seed \(seed) through its state")
            for first in [Int64(-33), -8, 0, 21] {
                let later = lateWindows(seed: seed, length: length, from: first, stops: false)
                #expect(
                    later == whole.filter { $0.key >= first }, "seed \(seed) from \(first)")
            }
        }
    }

    // MARK: Quantiles

    /// Windows of 60 slices of 500 values, sketched as stage 2 does: by start, the sketch's bytes and
    /// what went in.
    private func quantileWindows(
        seed: UInt64, from first: Int64, count: Int64
    ) -> [Int64: (bytes: [UInt8], values: [Float])] {
        let length: Int64 = 60
        var window = TwoStackWindow<Quantiles>(length: length)
        var values: [Int64: [Float]] = [:]
        var found: [Int64: (bytes: [UInt8], values: [Float])] = [:]
        for index in first..<first + length + count - 1 {
            var random = SeededRandom(seed &+ UInt64(bitPattern: index) &* 7_919)
            let added = (0..<500).map { _ in Float.random(in: 0..<1, using: &random) }
            values[index] = added
            window.insert(Quantiles(added, seed: seed &+ UInt64(bitPattern: index)), at: index)
            let start = index + 1 - length
            guard start >= first else { continue }
            let whole = window.slide(to: start..<start + length)
            found[start] = (
                whole?.box.sketch.serialize() ?? [],
                (start..<start + length).flatMap { values[$0] ?? [] }
            )
        }
        return found
    }

    @Test func `quantiles of a hopping window are the same bytes wherever reading began`() {
        let whole = quantileWindows(seed: 3, from: 0, count: 130)
        for first in stride(from: Int64(1), to: 130, by: 9) {
            let later = quantileWindows(seed: 3, from: first, count: 130 - first)
            for (start, window) in later {
                #expect(window.bytes == whole[start]?.bytes, "from \(first), window \(start)")
            }
            #expect(later.count == Int(130 - first))
        }
    }

    @Test func `quantiles of a hopping window are as exact as those of one sketch`() {
        var errors: [Double] = []
        for seed in UInt64(0)..<4 {
            for (_, window) in quantileWindows(seed: 1_000 * seed, from: 0, count: 60) {
                guard let sketch = try? KLLSketch(bytes: window.bytes) else {
                    Issue.record("bytes of a window are a sketch")
                    continue
                }
                let sorted = window.values.sorted()
                let view = sketch.view()
                errors.append(
                    stride(from: 0, to: sorted.count, by: sorted.count / 1_000).reduce(0) {
                        let rank = view.rank(of: sorted[$1]) ?? -1
                        return max($0, abs(rank - Double($1 + 1) / Double(sorted.count)))
                    })
            }
        }
        errors.sort()
        #expect(errors[errors.count * 99 / 100] <= 0.0133, "\(errors[errors.count * 99 / 100])")
        #expect(errors[0] > 0)
    }
}

/// A quantile sketch as a value.
private struct Quantiles: Mergeable {
    final class Box {
        var sketch: KLLSketch
        init(_ sketch: consuming KLLSketch) { self.sketch = sketch }
    }

    private(set) var box: Box

    init(_ values: [Float], seed: UInt64) {
        box = Box(KLLSketch(k: 200, seed: seed))
        box.sketch.update(values)
    }

    mutating func merge(_ next: Quantiles) {
        if !isKnownUniquelyReferenced(&box) { box = Box(box.sketch.copy()) }
        box.sketch.merge(next.box.sketch)
    }
}
