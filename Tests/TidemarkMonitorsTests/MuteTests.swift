import TidemarkCore
import TidemarkDataflow
import TidemarkTestSupport
import Testing

/// Planned downtime.
@Suite struct MuteTests {
    private static let minuteMs: Int64 = 60_000
    private static let weekMs: Int64 = 7 * 86_400_000

    /// Minute by minute: the last one of a span that the downtime touches.
    private static func lastByHand(_ mute: MutePlan, after startMs: Int64, through endMs: Int64)
        -> Int64?
    {
        var endMs = endMs
        while endMs > startMs {
            if mute.holds(Window(startMs: endMs - minuteMs, endMs: endMs)) { return endMs }
            endMs -= minuteMs
        }
        return nil
    }

    @Test func `the last moment of a downtime is the one that a look at every minute finds`() {
        var random = SeededRandom(7)
        func minutes(_ bound: Int) -> Int64 { Int64(random.below(bound)) * Self.minuteMs }
        let base = 1_700_000_040_000 / Self.weekMs * Self.weekMs
        var found = 0
        for _ in 0..<400 {
            var mute = MutePlan(why: "a test")
            let startMs = base + minutes(20_160)
            let endMs = startMs + minutes(3_000)
            if random.chance(0.5) { mute.fromMs = base + minutes(20_160) }
            if random.chance(0.5) { mute.toMs = (mute.fromMs ?? base) + minutes(10_080) }
            if random.chance(0.7) {
                let fromMs = minutes(10_080)
                mute.weekly = WeeklySpan(
                    fromMs: fromMs, toMs: (fromMs + Self.minuteMs + minutes(9_000)) % Self.weekMs)
            }
            let wanted = Self.lastByHand(mute, after: startMs, through: endMs)
            #expect(mute.lastMoment(after: startMs, through: endMs) == wanted)
            found += wanted == nil ? 0 : 1
        }
        #expect((50..<350).contains(found))
    }
}
