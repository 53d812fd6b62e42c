import Testing
import TidemarkCodec
import TidemarkTestSupport
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

    @Test func `a later format is refused by its number, not skipped`() throws {
        var bytes = frame([1, 2, 3]).encoded()
        bytes[3] = 8
        // One damaged byte is no newer version: that has a checksum of its own.
        #expect(throws: StateFrame.Rejection.damaged("its checksum does not match")) {
            try StateFrame(bytes)
        }
        let sum = crc32c(bytes[..<(bytes.count - 4)])
        for place in 0..<4 {
            bytes[bytes.count - 4 + place] = UInt8(truncatingIfNeeded: sum >> (place * 8))
        }
        #expect(throws: StateFrame.Rejection.newer(version: 8)) { try StateFrame(bytes) }
        // An older version refuses what it would lose.
        let window = StateFrame(
            kind: .window, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1])
        #expect(window.encoded()[3] == 6)
        #expect(try StateFrame(window.encoded()) == window)
        let group = StateFrame(
            kind: .freshness, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1, 0])
        #expect(Array(group.encoded()[3...4]) == [4, 6])
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
}
