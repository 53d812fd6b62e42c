import Testing
import TidemarkAlerts
import TidemarkTestSupport

/// What is stored of an alert.
@Suite struct AlertStateTests {
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
                let said = Said.allCases[random.below(4)]
                let action = life.observe(
                    said.verdicts[0], isNear: said.isNear, startMs: start, endMs: start + 60_000,
                    complete: true, options: options
                )
                let same = copy.observe(
                    said.verdicts[0], isNear: said.isNear, startMs: start, endMs: start + 60_000,
                    complete: true, options: options
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

    @Test func `numbers that are no life cycle are refused`() {
        #expect(AlertLifecycle(state: []) == nil)
        #expect(AlertLifecycle(state: [9, 0, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(AlertLifecycle(state: [1, 0, 2, 0, 0, 0, 0, 0]) == nil)
        #expect(AlertLifecycle(state: [1, 0, 0, 0, 0, 0, 0, 0, 1]) == nil)
    }
}
