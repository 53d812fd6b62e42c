package import TidemarkCore

/// A record of the simulated log.
///
/// Offsets with no record are control records or compacted away.
package struct SimulatedRecord: Sendable {
    package var offset: Int64
    package var recordTimeMs: Int64
    /// When a reader can see it, on the simulated clock.
    package var availableMs: Int64
    package var key: [UInt8]?
    package var value: [UInt8]?

    package init(
        offset: Int64, recordTimeMs: Int64, availableMs: Int64, key: [UInt8]? = nil,
        value: [UInt8]? = nil
    ) {
        self.offset = offset
        self.recordTimeMs = recordTimeMs
        self.availableMs = availableMs
        self.key = key
        self.value = value
    }
}

/// One input partition, whole from the start; a reader sees what is available by its clock.
package struct SimulatedPartition: Sendable {
    package var name: TopicPartition
    package var records: [SimulatedRecord]
    /// One past the last offset, once everything is available.
    package var end: Int64
    package var beginning: Int64 = 0

    package init(name: TopicPartition, records: [SimulatedRecord], end: Int64, beginning: Int64 = 0)
    {
        self.name = name
        self.records = records
        self.end = end
        self.beginning = beginning
    }

    /// The same with everything there from the start, so that batches are full.
    package var asBacklog: SimulatedPartition {
        var copy = self
        for index in copy.records.indices { copy.records[index].availableMs = 0 }
        return copy
    }
}

/// A stream with late, duplicate, future and out-of-order rows, bad records, tombstones, control
/// records, and (by chance) a partition that falls silent.
///
/// `clocksAreOff`: and with records of clocks that are ahead or in another unit, and a silence of all.
package func randomPartitions(
    seed: UInt64, rowCount: Int, partitionCount: Int, groupCount: Int = 3,
    clocksAreOff: Bool = false
) -> [SimulatedPartition] {
    var random = SeededRandom(seed ^ 0xabcdef)
    let t0: Int64 = 1_700_000_040_000
    var partitions = (0..<partitionCount).map {
        SimulatedPartition(
            name: TopicPartition(topic: "in", partition: Int32($0)), records: [], end: 0)
    }
    let silent = random.chance(0.5) && partitionCount > 1 ? random.below(partitionCount) : -1
    let spanMs: Int64 = 300_000
    let returnsMs = random.chance(0.5) ? spanMs * 2 / 3 : spanMs
    let isAway = clocksAreOff && random.chance(0.5)
    var (strayCount, strayKind) = (0, 0)
    for index in 0..<rowCount {
        let slot = random.below(partitionCount)
        var progress = Int64(index) * spanMs / Int64(rowCount)
        // After a silence of a quarter of an hour.
        if isAway, progress > spanMs / 2 { progress += 900_000 }
        // It may come back, with rows of the past.
        let isBack = progress > returnsMs
        if slot == silent, progress > spanMs / 3, !isBack { continue }
        if random.chance(0.01) { partitions[slot].end += Int64(1 + random.below(3)) }
        var time = t0 + progress + Int64(random.below(4_000))
        if slot == silent, isBack, random.chance(0.3) { time -= Int64(random.below(60_000)) }
        if random.chance(0.04) { time -= Int64(random.below(60_000)) }
        if random.chance(0.01) { time += Int64(random.below(50_000)) }
        if random.chance(0.01) { time += 86_400_000 }
        // Clocks that are ahead, in another unit, or a little off; a few records of one each.
        var recordTime = t0 + progress + Int64(random.below(500))
        if random.chance(clocksAreOff ? 0.02 : 0) || strayCount > 0 {
            if strayCount == 0, random.chance(0.3) { strayCount = random.below(12) }
            strayCount = max(0, strayCount - 1)
            switch strayKind {
            case 0: recordTime += 55 * 60_000
            case 1: recordTime *= 1_000
            case 2: recordTime /= 1_000
            case 3: recordTime += 3 * 3_600_000
            default: recordTime += Int64(random.below(100_000))
            }
            if random.chance(0.7), strayKind == 0 || strayKind > 2 { time = recordTime }
        } else {
            strayKind = random.below(6)
        }
        if clocksAreOff, random.chance(0.3) { recordTime -= Int64(random.below(12_000)) }
        let model = "m\(random.below(groupCount))"
        let x: String
        switch random.below(20) {
        case 0: x = ",\"x\":null"
        case 1: x = ""
        case 2: x = ",\"x\":\"text\""
        default: x = ",\"x\":\(Double(random.below(1400)) / 100 - 2)"
        }
        var value: [UInt8]? = Array("{\"model\":\"\(model)\",\"ts\":\(time)\(x)}".utf8)
        switch random.below(80) {
        case 0: value = nil
        case 1: value = Array("{\"model\":\"\(model)\",\"ts\":".utf8)
        case 2: value = []
        case 3: value = Array("{\"model\":\"\(model)\"}".utf8)
        case 4: value = Array("{\"model\":\"\(model)\",\"ts\":0}".utf8)
        default: break
        }
        let record = SimulatedRecord(
            offset: partitions[slot].end, recordTimeMs: recordTime,
            availableMs: Int64(index) * spanMs / Int64(rowCount) / 10,
            key: random.chance(0.3) ? Array("k\(index)".utf8) : nil,
            value: value)
        partitions[slot].records.append(record)
        partitions[slot].end += 1
        if random.chance(0.02), value != nil {
            var again = record
            again.offset = partitions[slot].end
            partitions[slot].records.append(again)
            partitions[slot].end += 1
        }
    }
    // Control records at the end of a transaction.
    if random.chance(0.5) { partitions[0].end += 1 }
    return partitions
}
