import Testing
import TidemarkAllocations
import TidemarkKernels
import TidemarkSketches

/// Allocations that the second half of a stream makes once the first half is in.
private func allocations(_ half: () -> Void) -> UInt64 {
    half()
    let before = ta_allocation_count()
    half()
    return ta_allocation_count() - before
}

@Suite(.serialized) struct AllocationTests {
    @Test func `allocations are counted`() {
        let before = ta_allocation_count()
        var list: [Int] = []
        list.reserveCapacity(1_000)
        list.append(1)
        #expect(ta_allocation_count() > before && list.count == 1)
    }

    @Test func `updates of a summary that is warm allocate nothing`() {
        let contents = Contents(part: 5, count: 40_000)
        let floats = contents.numbers.map { Float($0) }
        let numbers = contents.numbers
        let integers = contents.integers
        var codes = [UInt16](repeating: 0, count: 4_096)
        for i in codes.indices { codes[i] = UInt16(i % 6) }

        var kll = KLLSketch(seed: 1)
        // Levels grow with the logarithm of n: warm means a level that has not just begun.
        for _ in 0..<200 { kll.update(floats) }
        #expect(allocations { for _ in 0..<20 { kll.update(floats) } } == 0, "KLL f32")
        var doubles = KLLDoublesSketch(seed: 1)
        for _ in 0..<200 { doubles.update(numbers) }
        #expect(allocations { for _ in 0..<20 { doubles.update(numbers) } } == 0, "KLL f64")
        var hll = HLLSketch()
        #expect(allocations { hll.update(integers) } == 0, "HLL")
        var frequent = FrequentIntegers()
        let many = (0..<60_000).map { Int64($0 % 5_000) }
        #expect(allocations { frequent.update(many) } == 0, "frequent integers")
        var dd = DDSketch()
        #expect(allocations { dd.update(numbers) } == 0, "DDSketch")
        var logLinear = LogLinearHistogram()
        #expect(allocations { logLinear.update(numbers) } == 0, "log-linear")
        var frozen = FrozenHistogram(edges: [-5, 0, 1, 2.5, 9, 11])
        #expect(allocations { frozen.update(numbers) } == 0, "frozen histogram")
        #expect(
            allocations {
                unsafe codes.withUnsafeBufferPointer { buffer in
                    unsafe frozen.update(codes: buffer.baseAddress!, count: buffer.count)
                }
            } == 0,
            "frozen histogram by codes"
        )
        var moments = Moments()
        #expect(allocations { moments.update(numbers) } == 0, "moments")
        var sample = BottomKSample(k: 100, topicHash: 1)
        var offset: Int64 = 0
        #expect(
            allocations {
                for x in numbers {
                    sample.update(x, partition: 0, offset: offset)
                    offset += 1
                }
            } == 0,
            "bottom-k"
        )
        var decayed = DecayedMoments(halfLifeMs: 100)
        #expect(
            allocations { for (i, x) in numbers.enumerated() { decayed.update(x, at: Int64(i)) } }
                == 0,
            "decayed moments"
        )
        var comoments = Comoments(width: 3)
        let row = [1.0, 2.0, 3.0]
        #expect(allocations { for _ in 0..<1_000 { comoments.update(row) } } == 0, "comoments")
    }

    /// Bytes that 300 summaries leave behind, held in raw memory as a group's cell holds them.
    private func leaked<S: Summary & ~Copyable>(_ make: () -> S) -> Int {
        func round(_ count: Int) {
            let cells = UnsafeMutablePointer<S>.allocate(capacity: count)
            for i in 0..<count {
                unsafe (cells + i).initialize(to: make())
                let next = make()
                unsafe cells[i].merge(next)
                do throws(SketchError) {
                    unsafe cells[i] = try S(bytes: cells[i].serialize())
                } catch {
                    Issue.record("own bytes are read")
                }
            }
            unsafe cells.deinitialize(count: count)
            unsafe cells.deallocate()
        }
        round(30)
        let before = Int(ta_live_byte_count())
        round(300)
        return Int(ta_live_byte_count()) - before
    }

    @Test func `summaries give their memory back`() {
        let contents = Contents(part: 4)
        // Counted by thread: other tests run beside this one.
        func check<S: Summary & ~Copyable>(_ name: String, _ make: () -> S) {
            let least = (0..<3).map { _ in leaked(make) }.min() ?? 0
            #expect(least < 10_000, "\(name) leaves \(least) bytes")
        }
        check("KLL f32") { contents.kll() }
        check("KLL f64") { contents.kllDoubles() }
        check("HLL") { contents.hll(.hll8) }
        check("frequent strings") { contents.strings() }
        check("frequent integers") { contents.frequentIntegers() }
        check("DDSketch") { contents.dd() }
        check("log-linear") { contents.logLinear() }
        check("bottom-k") { contents.sample() }
        check("exact counts") { contents.exact() }
        check("moments") { contents.moments() }
        check("comoments") { contents.comoments() }
    }
}
