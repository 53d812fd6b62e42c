import Testing
import TidemarkAlerts
import TidemarkCodec
import TidemarkMonitors
import TidemarkTestSupport
import TidemarkText

/// What operators keep in frames.
@Suite struct StateEntryTests {
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

    @Test func `the entry of a group says what it stands for`() {
        let group = StateFrame(
            kind: .freshness, epoch: 2, appliedThroughMs: 1_700_000_100_000, payload: [1, 0])
        #expect(group.freshnessText == "group that is expected, with rows lately")
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
}
