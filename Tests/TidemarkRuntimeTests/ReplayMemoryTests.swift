import Testing
import TidemarkRuntime

struct ReplayMemoryTests {
    @Test(arguments: 1...50)
    func `what was replayed is remembered through any number of commits`(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        // Offsets with gaps: control records, foreign records, records cut short.
        var offset: Int64 = .random(in: 0...50, using: &generator)
        let existing = (0..<300).map { _ in
            offset += .random(in: 1...3, using: &generator)
            return offset
        }
        var done: Set<Int64> = []
        var memory = ReplayMemory()
        for _ in 0..<20 {
            let more = Set(existing.filter { _ in Int.random(in: 0..<12, using: &generator) == 0 })
            memory.add(more, existing: existing)
            done.formUnion(more)
            memory = try ReplayMemory(next: memory.next, metadata: memory.metadata())
            for offset in existing {
                #expect(memory.contains(offset) == done.contains(offset), "seed \(seed)")
            }
        }
        memory.add(Set(existing), existing: existing)
        #expect(memory.ranges.isEmpty && memory.next == offset + 1, "seed \(seed)")
    }

    @Test func `more gaps than fit are refused, not forgotten`() {
        var memory = ReplayMemory()
        let existing = Array(Int64(0)..<4000)
        memory.add(Set(existing.filter { $0 % 2 == 1 }), existing: existing)
        #expect(throws: ReplayMemory.Problem.tooManyGaps(2000)) { try memory.metadata() }
    }

    @Test(arguments: [
        "replay1 1", "replay1 0 0", "replay1 x 1!", "replay2 1 1", "valid by accident",
        "replay1 -1 1",
    ])
    func `what is no memory is refused`(text: String) {
        #expect(throws: ReplayMemory.Problem.unreadable) {
            try ReplayMemory(next: 5, metadata: text)
        }
    }

    @Test func `a mark of a position set by hand is read back, and nothing else is one`() {
        #expect(PositionMark(PositionMark(stateEpoch: 12).text) == PositionMark(stateEpoch: 12))
        for text in ["", "by-hand", "by-hand x", "by-hand -1", "by-hand 1 2", "tm1 1 2 3"] {
            #expect(PositionMark(text) == nil)
        }
    }
}

/// SplitMix64.
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
