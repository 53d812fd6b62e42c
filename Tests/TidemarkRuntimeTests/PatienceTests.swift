import Testing
import TidemarkDataflow
import TidemarkRuntime
import TidemarkTestSupport

@Suite struct PatienceTests {
    @Test("what does not go away ends the start after its time, anything else at once")
    func limits() {
        let time = SimulatedTime()
        let patience = Patience(ms: 30_000, time: time)
        var calls = 0
        #expect(throws: ConnectorError.self) {
            try patience.retry { () throws(ConnectorError) in
                calls += 1
                throw ConnectorError(.retriable, "not the leader any more")
            }
        }
        #expect(calls > 10 && calls < 30)
        #expect(time.ms > 25_000 && time.ms < 30_000)
        calls = 0
        #expect(throws: ConnectorError.self) {
            try Patience(ms: 30_000, time: time).retry { () throws(ConnectorError) in
                calls += 1
                throw ConnectorError(.environment, "denied")
            }
        }
        #expect(calls == 1)
    }
}
