import Testing
import TidemarkCore
import TidemarkRuntime

private let t0: Int64 = 1_700_000_000_000

/// A partition's clock with bounds that are easy to count with: ten seconds out of order, a minute
/// ahead, panes of ten seconds.
private func clock(boundMs: Int64 = 10_000, skewMs: Int64 = 60_000) -> PartitionClock {
    PartitionClock(boundMs: boundMs, skewMs: skewMs, paneMs: 10_000, fixedReferenceMs: nil)
}

@Suite struct ClockTests {
    @Test(arguments: UInt64(0)..<400)
    func `the reference clock follows its rule, whatever the records`(seed: UInt64) {
        let partition = randomPartitions(
            seed: seed, rowCount: 600, partitionCount: 1, clocksAreOff: true)[0]
        var clock = clock(boundMs: 5_000)
        var naive = NaiveClock(step: 5_000, skew: 60_000)
        var greatest: Int64?
        for record in partition.records {
            let time = record.recordTimeMs
            guard time >= TimeLimit.earliestMs, time <= TimeLimit.latestMs else { continue }
            let said = clock.admit(eventMs: time, recordMs: time)
            naive.follow(time)
            if time <= naive.now + 60_000, let reference = naive.reference {
                greatest = max(greatest ?? .min, min(time, reference))
            }
            #expect(
                clock.reading.referenceMs == naive.reference ?? TimeLimit.never
                    && said.withdrawnMs == naive.withdrawn
                    && (said.admission == .quarantined) == (time > naive.now + 60_000)
                    && clock.watermarkMs == greatest.map { $0 - 5_000 } ?? TimeLimit.never,
                "seed \(seed), offset \(record.offset)")
        }
    }
}
