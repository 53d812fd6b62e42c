import Testing
import TidemarkCore
import TidemarkRuntime
import TidemarkTestSupport

private let t0: Int64 = 1_700_000_000_000

/// A partition's clock with bounds that are easy to count with: ten seconds out of order, a minute
/// ahead, panes of ten seconds.
private func clock(
    boundMs: Int64 = 10_000, skewMs: Int64 = 60_000, fixedMs: Int64? = nil
) -> PartitionClock {
    PartitionClock(boundMs: boundMs, skewMs: skewMs, paneMs: 10_000, fixedReferenceMs: fixedMs)
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

extension ClockTests {
    @Test(arguments: UInt64(0)..<100)
    func `further rows of a record do not take its time in again`(seed: UInt64) {
        var clock = clock()
        for record in randomPartitions(
            seed: seed, rowCount: 600, partitionCount: 1, clocksAreOff: true)[0].records
        {
            let recordMs = record.recordTimeMs
            let eventMs = t0 + (recordMs - t0) % 400_000
            let said = clock.admit(eventMs: eventMs, recordMs: recordMs)
            let reading = clock.reading
            for _ in 0..<3 {
                let further = clock.admitFurther(eventMs: eventMs, recordMs: recordMs)
                #expect(further == said.admission && clock.reading == reading, "seed \(seed)")
            }
            let older = clock.admitFurther(eventMs: eventMs - 200_000, recordMs: recordMs)
            #expect(older != .inTime || clock.watermarkMs <= eventMs - 190_000)
            #expect(clock.reading.referenceMs == reading.referenceMs)
        }
    }

    /// Which way a row is decided must not show: batches begin on the long one.
    @Test(arguments: UInt64(0)..<200)
    func `the short way and the long way come to the same`(seed: UInt64) {
        var random = SeededRandom(seed)
        let fixedMs = seed % 4 == 0 ? t0 + 250_000 : nil
        var (long, short) = (clock(fixedMs: fixedMs), clock(fixedMs: fixedMs))
        var (events, records): ([Int64], [Int64]) = ([], [])
        for record in randomPartitions(
            seed: seed, rowCount: 600, partitionCount: 1, clocksAreOff: true)[0].records
        {
            var recordMs = record.recordTimeMs
            if random.chance(0.02) {
                recordMs = random.chance(0.5) ? TimeLimit.never : recordMs / 1000
            }
            records.append(recordMs)
            events.append(
                t0 + 40_000 + (record.recordTimeMs - t0) % 400_000
                    + Int64(random.below(random.chance(0.1) ? 90_000 : 3_000)))
        }
        var (row, taken) = (0, 0)
        while row < events.count {
            let count = min(1 + Int(random.below(40)), events.count - row)
            let bounds =
                random.chance(0.5)
                ? UsualTimes(fromMs: TimeLimit.earliestMs, toMs: TimeLimit.latestMs)
                : UsualTimes(fromMs: events[row] - 20_000, toMs: events[row] + 20_000)
            let admitted = unsafe events.withUnsafeBufferPointer { events in
                unsafe records.withUnsafeBufferPointer { records in
                    unsafe short.admitUsual(
                        eventMs: events.baseAddress! + row, recordMs: records.baseAddress! + row,
                        count: count, bounds)
                }
            }
            for place in row..<(row + admitted) {
                let said = long.admit(eventMs: events[place], recordMs: records[place])
                #expect(said.admission == .inTime && said.withdrawnMs == nil)
                #expect(bounds.fromMs <= events[place] && events[place] <= bounds.toMs)
            }
            taken += admitted
            row += admitted
            if admitted < count {
                let said = long.admit(eventMs: events[row], recordMs: records[row])
                #expect(short.admit(eventMs: events[row], recordMs: records[row]) == said)
                row += 1
            }
            #expect(
                long.reading == short.reading && long.watermarkMs == short.watermarkMs,
                "seed \(seed), row \(row)")
        }
        #expect(taken > 5)
    }
}

/// Rows of a stream by hand: (event time, record time), both in seconds after the start.
private func admit(
    _ clock: inout PartitionClock, _ event: Double, _ record: Double
) -> PartitionClock.Admission {
    clock.admit(
        eventMs: t0 + Int64(event * 1000), recordMs: t0 + Int64(record * 1000)
    ).admission
}

extension ClockTests {
    @Test(arguments: [3.0, 15, 59])
    func `rows whose clock is ahead move the watermark up to the reference clock`(ahead: Double) {
        var clock = clock()
        for second in 0..<100 {
            #expect(admit(&clock, Double(second) + ahead, Double(second)) == .inTime)
        }
        #expect(clock.watermarkMs == t0 + 99_000 - 10_000)
    }

    @Test(arguments: [11.0, 30, 240, 600, 3_300, 86_400, 3e7])
    func `one record that is ahead makes no other late`(ahead: Double) {
        var clock = clock()
        for tenth in 0..<600 {
            let second = Double(tenth) / 10
            if tenth == 300 { _ = admit(&clock, second + ahead, second + ahead) }
            #expect(admit(&clock, second, second) == .inTime, "\(second) s")
            #expect(clock.watermarkMs <= t0 + Int64(second * 1000))
        }
        #expect(clock.reading.referenceMs == t0 + 59_900)
    }

    @Test func `a first record that is ahead sets no clock`() {
        var clock = clock()
        _ = admit(&clock, 3_300, 3_300)
        for second in 0..<100 { #expect(admit(&clock, Double(second), Double(second)) == .inTime) }
        #expect(clock.reading.referenceMs == t0 + 99_000)
    }

    @Test(arguments: [1_000.0, 1_000_000, 0.001])
    func `record times in another unit are not believed, and rows count`(factor: Double) {
        var clock = clock()
        for second in 0..<100 {
            let time = t0 + Int64(second) * 1000
            let said = clock.admit(eventMs: time, recordMs: Int64(Double(time) * factor))
            #expect(said.admission == .inTime)
        }
        #expect(clock.watermarkMs == t0 + 99_000 - 10_000)
        // What is ahead of the others all the same is quarantined.
        #expect(clock.admit(eventMs: t0 + 7_200_000, recordMs: 1).admission == .inTime)
        #expect(admit(&clock, 99, 99) == .inTime)
        #expect(clock.watermarkMs == t0 + 99_000 - 10_000)
    }

    @Test func `a third of the producers ten minutes ahead moves nothing and is set aside`() {
        var clock = clock()
        var quarantined = 0
        var withdrawn = 0
        for tenth in 0..<3_000 {
            let second = Double(tenth) / 10
            guard tenth % 3 == 2 else {
                #expect(admit(&clock, second, second) == .inTime)
                continue
            }
            let said = clock.admit(
                eventMs: t0 + Int64(second * 1000) + 600_000,
                recordMs: t0 + Int64(second * 1000) + 600_000)
            if said.admission == .quarantined { quarantined += 1 } else { withdrawn += 1 }
        }
        #expect(clock.reading.referenceMs < t0 + 300_000)
        #expect(quarantined > 990 && withdrawn < 10, "\(quarantined) \(withdrawn)")
    }

    @Test(arguments: [900.0, 86_400, 604_800])
    func `a topic that was silent goes on at once, and its watermark after seconds`(silence: Double)
    {
        var clock = clock()
        for second in 0..<100 { _ = admit(&clock, Double(second), Double(second)) }
        for tenth in 0..<100 {
            let second = 100 + silence + Double(tenth) / 10
            #expect(admit(&clock, second, second) == .inTime)
        }
        #expect(clock.watermarkMs == t0 + Int64((100 + silence + 9.9) * 1000) - 10_000)
    }

    @Test func `a record every ten minutes counts, and the watermark is one record behind`() {
        var clock = clock()
        for count in 0..<50 {
            let second = Double(count) * 600
            #expect(admit(&clock, second, second) == .inTime)
            // It would be moved as far by an idle floor.
            #expect(count == 0 || clock.hopedMs == t0 + Int64(second * 1000) - 10_000)
            if count > 1 {
                #expect(clock.watermarkMs == t0 + Int64(second - 600) * 1000 - 10_000)
            }
        }
    }

    @Test func `late uploads beside a live stream say nothing about its clock`() {
        var clock = clock()
        for tenth in 0..<100 { _ = admit(&clock, Double(tenth) / 10, Double(tenth) / 10) }
        // An hour's silence; then the live rows, each with one that was kept for hours.
        for tenth in 0..<400 {
            let second = 3_600 + Double(tenth) / 10
            #expect(admit(&clock, second, second) == .inTime)
            _ = admit(&clock, second - 7_200, second - 7_200)
        }
        #expect(clock.reading.referenceMs == t0 + 3_639_900)
    }

    @Test func `a stored clock that no time can be is given up`() {
        var reading = PartitionClock.Reading()
        reading.referenceMs = t0 * 1_000
        var clock = PartitionClock(
            boundMs: 10_000, skewMs: 60_000, paneMs: 10_000, fixedReferenceMs: nil,
            reading: reading)
        for second in 0..<10 { _ = admit(&clock, Double(second), Double(second)) }
        #expect(clock.reading.referenceMs == t0 + 9_000)
        #expect(admit(&clock, 7_200, 9) == .quarantined)
    }

    @Test func `a file's clock quarantines, and what it lets through closes windows`() {
        var clock = PartitionClock(
            boundMs: 10_000, skewMs: 60_000, paneMs: 10_000, fixedReferenceMs: t0 + 50_000)
        for second in 0..<100 {
            let said = clock.admit(eventMs: t0 + Int64(second) * 1000, recordMs: TimeLimit.never)
            #expect(said.admission == .inTime)
        }
        #expect(clock.watermarkMs == t0 + 89_000)
        #expect(
            clock.admit(eventMs: t0 + 200_000, recordMs: TimeLimit.never).admission == .quarantined)
    }
}
