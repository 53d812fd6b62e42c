import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime

/// A log in the middle of a failover: the first calls of a start fail, a restore half-way.
private final class StumblingLog: PassingLog, @unchecked Sendable {
    private(set) var stumbleCount = 0
    private var left: [String: Int] = ["check": 1, "committed": 3, "restore": 2]

    private func stumble(_ call: String) throws(ConnectorError) {
        guard let count = left[call], count > 0 else { return }
        left[call] = count - 1
        stumbleCount += 1
        throw ConnectorError(.retriable, "\(call): not the coordinator any more")
    }

    override func check(topics: [String]) throws(ConnectorError) {
        try stumble("check")
        try inner.check(topics: topics)
    }

    override func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] {
        try stumble("committed")
        return try inner.committed(partitions)
    }

    override func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        var entries: [StateEntry] = []
        try inner.restore { entries.append($0) }
        for entry in entries.prefix(entries.count / 2) { take(entry) }
        try stumble("restore")
        for entry in entries.dropFirst(entries.count / 2) { take(entry) }
    }
}

@Suite struct PatienceTests {
    @Test("a start in the middle of a failover waits and goes on, with the same results")
    func failover() throws {
        for seed in UInt64(0)..<20 {
            var logs: [StumblingLog] = []
            let (outcome, naive, plan) = try simulate(
                seed: seed, faults: .init(), crashChance: seed % 2 == 0 ? 0 : 0.004,
                wrapLog: { log in
                    logs.append(StumblingLog(log))
                    return logs[logs.count - 1]
                })
            #expect(logs.allSatisfy { $0.stumbleCount == 6 }, "seed \(seed)")
            let found = differences(outcome, naive, plan)
            #expect(found.isEmpty, "seed \(seed): \(found.prefix(3))")
        }
    }
}
