import Testing
import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkOperators
import TidemarkText

@Suite struct StateFrameTests {
    private func frame(_ payload: [UInt8], epoch: Int = 3) -> StateFrame {
        StateFrame(
            kind: .alert, epoch: epoch, appliedThroughMs: 1_700_000_040_000, payload: payload)
    }

    @Test func `a frame is read as it was written, long and short`() throws {
        for payload in [[], [7], Array(repeating: 1, count: 100_000), Array("state".utf8)]
            as [[UInt8]]
        {
            let made = frame(payload)
            #expect(try StateFrame(made.encoded()) == made)
        }
        #expect(
            frame(Array(repeating: 1, count: 100_000)).encoded().count < 1_000, "it is compressed")
    }

    @Test func `a frame of format 1 is read for ever`() throws {
        let bytes = StateFrame(
            kind: .silence, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1, 2, 3]
        ).encoded()
        #expect(Array(bytes.prefix(6)) == [0x54, 0x4d, 0x53, 1, 3, 0])
        #expect(Array(bytes[6..<14]) == [2, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[22..<29]) == [3, 0, 0, 0, 1, 2, 3])
        #expect(crc32c("123456789".utf8) == 0xe306_9283)
        // An alert of before it was known when it resolved and why it is muted.
        let numbers: [Int64] = [2, 1, 0, 0, 0, 1_700_000_040_000, 1_700_000_100_000, 0]
        var old = StateFrame(
            kind: .alert, epoch: 2, appliedThroughMs: 1_700_000_100_000,
            payload: numbers.flatMap { number in
                (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
            }
        ).encoded().dropLast(4)
        old[3] = 1
        let sum = crc32c(old)
        old += (0..<4).map { UInt8(truncatingIfNeeded: sum >> ($0 * 8)) }
        #expect(try StateFrame(Array(old)).alert?.firing?.openingStartMs == 1_700_000_040_000)
    }

    @Test func `a later format is refused by its number, not skipped`() throws {
        var bytes = frame([1, 2, 3]).encoded()
        bytes[3] = 6
        // One damaged byte is no newer version: that has a checksum of its own.
        #expect(throws: StateFrame.Rejection.damaged("its checksum does not match")) {
            try StateFrame(bytes)
        }
        let sum = crc32c(bytes[..<(bytes.count - 4)])
        for place in 0..<4 {
            bytes[bytes.count - 4 + place] = UInt8(truncatingIfNeeded: sum >> (place * 8))
        }
        #expect(throws: StateFrame.Rejection.newer(version: 6)) { try StateFrame(bytes) }
        // An older version refuses what it would lose.
        let window = StateFrame(
            kind: .window, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1])
        #expect(window.encoded()[3] == 3)
        #expect(try StateFrame(window.encoded()) == window)
        let group = StateFrame(
            kind: .freshness, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1, 0])
        #expect(Array(group.encoded()[3...4]) == [4, 6])
        #expect(group.freshnessText == "group that is expected, with rows of late")
    }

    @Test func `any changed, missing or added byte is found, and nothing traps`() {
        let bytes = frame(Array(repeating: 1, count: 300)).encoded()
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x41
            #expect("byte \(index)") {
                try StateFrame(damaged)
            } throws: { error in
                if case .damaged? = error as? StateFrame.Rejection { true } else { false }
            }
        }
        for count in bytes.indices {
            #expect(throws: StateFrame.Rejection.self) { try StateFrame(Array(bytes[..<count])) }
        }
        #expect(throws: StateFrame.Rejection.self) { try StateFrame(bytes + [0]) }
        var random = SeededRandom(5)
        for _ in 0..<20_000 {
            // With a sound checksum, so that what lies behind it is reached.
            var damaged = bytes
            damaged.removeLast(4)
            for _ in 0...random.below(4) {
                damaged[5 + random.below(damaged.count - 5)] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            let sum = crc32c(damaged)
            damaged += (0..<4).map { UInt8(truncatingIfNeeded: sum >> ($0 * 8)) }
            _ = try? StateFrame(damaged)
        }
    }

    @Test func `a life cycle is the same after it was written and read`() {
        var random = SeededRandom(11)
        for _ in 0..<200 {
            let options = AlertOptions(
                hold: random.chance(0.5) ? .windows(count: 2, of: 5) : .duration(ms: 120_000),
                clearHold: random.chance(0.5) ? .windows(count: 2, of: 3) : .duration(ms: 60_000))
            var life = AlertLifecycle()
            var copy = life
            for window in 0..<60 {
                let start = Int64(window) * 60_000
                let verdict: AlertVerdict = [.breached, .cleared, .between, .none][random.below(4)]
                let action = life.observe(
                    verdict, startMs: start, endMs: start + 60_000, complete: true, options: options
                )
                let same = copy.observe(
                    verdict, startMs: start, endMs: start + 60_000, complete: true, options: options
                )
                #expect(action == same)
                guard let read = AlertLifecycle(state: copy.state) else {
                    Issue.record("\(copy.state) was not read")
                    return
                }
                #expect(read == life)
                copy = read
            }
        }
    }

    @Test func `bytes that are no learned window or head are refused, and nothing traps`() {
        #expect(LearnedWindow(startMs: 0, []) == nil)
        #expect(LearnedWindow(startMs: 0, [1]) == nil)
        #expect(LearnedWindow(startMs: 0, [1, 5, 0x80]) == nil, "a cell is cut short")
        #expect(LearnedWindow(startMs: 0, [1, 5, 3, 2])?.rows == 5)
        #expect(LearnedHead([0, 2, 2, 2, 2, 2, 0]) == nil)
        #expect(LearnedHead([0, 2, 2, 2, 2, 2, 0, 0])?.rows == 1)
        #expect(LearnedHead([0, 1, 2, 2, 2, 2, 0, 0]) == nil, "it began before 1970")
        var random = SeededRandom(3)
        for _ in 0..<50_000 {
            let bytes = (0..<random.below(24)).map { _ in
                UInt8(truncatingIfNeeded: random.next()) & (random.chance(0.5) ? 0x7f : 0xff)
            }
            _ = LearnedWindow(startMs: 0, [1] + bytes)
            _ = LearnedHead([0] + bytes)
        }
    }

    @Test func `numbers that are no life cycle are refused`() {
        #expect(AlertLifecycle(state: []) == nil)
        #expect(AlertLifecycle(state: [9, 0, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(AlertLifecycle(state: [1, 0, 2, 0, 0, 0, 0, 0]) == nil)
        #expect(AlertLifecycle(state: [1, 0, 0, 0, 0, 0, 0, 0, 1]) == nil)
    }
}
