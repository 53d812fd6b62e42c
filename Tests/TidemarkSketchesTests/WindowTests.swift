import Testing
import TidemarkSketches

/// A map x → a x + b over 64-bit words.
///
/// Merging composes and does not commute, so a pane out of place shows.
private struct Chain: Ordered, Equatable {
    var a: UInt64 = 1
    var b: UInt64 = 0

    init() {}
    init(_ word: UInt64) {
        a = word | 1
        b = word >> 7
    }
    init(bytes: [UInt8]) throws(SketchError) { throw .truncated(needed: 1, byteCount: bytes.count) }
    mutating func merge(_ next: borrowing Chain) {
        b = b &* next.a &+ next.b
        a = a &* next.a
    }
    borrowing func copy() -> Chain { copy self }
    borrowing func serialize() -> [UInt8] { [] }
}

private struct Sum: Invertible, Equatable {
    var n: UInt64 = 0

    init() {}
    init(_ word: UInt64) { n = word }
    init(bytes: [UInt8]) throws(SketchError) { throw .truncated(needed: 1, byteCount: bytes.count) }
    mutating func merge(_ other: borrowing Sum) { n &+= other.n }
    mutating func subtract(_ part: borrowing Sum) { n &-= part.n }
    borrowing func copy() -> Sum { copy self }
    borrowing func serialize() -> [UInt8] { [] }
}

@Suite struct WindowTests {
    /// A million operations; sizes drift between 0 and about 60 so that every shape is met.
    private func run<S: Summary & Equatable>(
        _ window: PaneWindow<S>,
        _ make: (UInt64) -> S,
        _ empty: S,
        check: (_ isInsert: Bool, _ merges: Int, _ answer: Int) -> Bool
    ) {
        var random = TestRandom(seed: 31)
        var naive: [S] = []
        var wrong = 0
        var target = 0
        for step in 0..<1_000_000 {
            if step % 200 == 0 { target = random.below(60) }
            let isInsert =
                naive.isEmpty || random.below(10) < (naive.count < target ? 8 : 2)
            let before = window.mergeCount
            if isInsert {
                let word = random.next()
                window.insert(make(word))
                naive.append(make(word))
            } else {
                window.evict()
                naive.removeFirst()
            }
            let merges = window.mergeCount - before
            let asked = window.mergeCount
            let answer = window.query()
            if !check(isInsert, merges, window.mergeCount - asked) { wrong += 1 }
            var expected = empty
            for pane in naive { expected.merge(pane) }
            if answer != expected || window.paneCount != naive.count { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test func `DABA Lite equals a recompute, with 3, 2 and 1 merges at most`() {
        run(PaneWindow<Chain>.make(.daba, empty: Chain()), Chain.init, Chain()) {
            $1 <= ($0 ? 3 : 2) && $2 <= 1
        }
    }

    @Test func `two stacks equal a recompute, with 3 merges an operation on average`() {
        let window = PaneWindow<Chain>.make(.twoStacks, empty: Chain())
        run(window, Chain.init, Chain()) { $2 <= 1 && (!$0 || $1 <= 1) }
        // Inserting one, turning over one, answering one.
        #expect(window.mergeCount <= 3 * 1_000_000)
    }

    @Test func `subtracting equals a recompute, with one addition an operation`() {
        run(PaneWindow<Sum>.invertible(empty: Sum()), Sum.init, Sum()) { $1 == 1 && $2 == 0 }
    }

    @Test func `recomputing merges what there is`() {
        let window = PaneWindow<Chain>.make(.recompute, empty: Chain())
        run(window, Chain.init, Chain()) { $1 == 0 && $2 <= max(0, window.paneCount - 1) }
    }

    @Test func `sketches slide: a window of 60 panes equals its panes merged`() {
        let daba = PaneWindow<HLLSketch>.make(.daba, empty: HLLSketch(lgK: 8))
        let bins = PaneWindow<LogLinearHistogram>.invertible(empty: LogLinearHistogram())
        for i in 0..<200 {
            daba.insert(Contents(part: i).hll(.hll8))
            bins.insert(Contents(part: i).logLinear())
            if i >= 60 {
                daba.evict()
                bins.evict()
            }
            guard i % 20 == 0 else { continue }
            var distinct = HLLSketch(lgK: 8)
            var counts = LogLinearHistogram()
            for j in max(0, i - 59)...i {
                distinct.merge(Contents(part: j).hll(.hll8))
                counts.merge(Contents(part: j).logLinear())
            }
            #expect(daba.query().serialize() == distinct.serialize(), "slide \(i)")
            #expect(bins.query().serialize() == counts.serialize(), "slide \(i)")
        }
    }

    @Test func `the method follows the kind of summary`() {
        func method(_ free: Bool, _ inverse: Bool, _ n: Int) -> WindowMethod {
            .choose(isOrderFree: free, isInvertible: inverse, paneCount: n)
        }
        #expect(method(false, false, 60) == .recompute)
        #expect(method(true, false, 60) == .daba && method(true, true, 60) == .subtract)
        #expect(method(true, true, 3) == .recompute)
    }
}
