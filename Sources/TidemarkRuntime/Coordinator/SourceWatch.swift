import TidemarkCore
import TidemarkDataflow

/// Watches for what a person has to know of the source while it is read: late and quarantined rows,
/// watermarks that stand still, partitions that hold all others.
///
/// It goes by the wall clock and by the workers' counts; no result depends on it. What follows from what it
/// sees is up to the stage.
struct SourceWatch {
    /// Counts of a part of the last minute.
    private struct Bucket {
        var startNs: Int64
        var records: Int64 = 0
        var late: Int64 = 0
        var quarantined: Int64 = 0
        var oddTimes: Int64 = 0
        var leaps: Int64 = 0

        /// Of records, which there are.
        var lateShare: Double { Double(late) / Double(records) }
    }
    private var buckets: [Bucket] = []
    private var seen = WorkerTally()
    /// The share of late rows that is usual here: a mean over about the last hour.
    private var usualLateShare = 0.0
    private var usualNs: Int64?
    private struct Slot {
        var watermarkMs = TimeLimit.never
        var movedNs: Int64
        var position: Int64
        var arrivedNs: Int64
        var counts = SlotCounts()
        var records: Int64 = 0
    }
    private var slots: [Slot] = []
    private let skewMs: Int64
    private let stillNs: Int64
    /// What happened once, such as what was found at the start; it holds until a time.
    private var events: [(condition: SourceCondition, untilNs: Int64)] = []

    static let spanNs: Int64 = 60_000_000_000
    /// A share of fewer records than this says nothing before the minute is over.
    static let countMin: Int64 = 500
    /// A share of fewer records than this says nothing when it is over, either.
    static let countMinSlow: Int64 = 20
    static let shareMax = 0.1
    static let timesUsual = 5.0
    static let eventNs: Int64 = 600_000_000_000

    private let appName: String
    private let idleMs: Int64?
    private let holdMs: Int64?
    /// When the last row came that is not read again, on the wall clock, ms.
    var lastArrivalMs: Int64?
    private let startedMs: Int64
    private let isToEnd: Bool
    /// Rows of which the stage was not told yet.
    private var intake: (rows: Int64, bad: Int64) = (0, 0)
    private var lastNs = Int64.min / 2
    private var lastArrivalNs = Int64.min / 2

    /// `startedMs`: now, on the wall clock; `isToEnd`: the run goes to the end of its input.
    init(_ plan: Plan, startedMs: Int64, isToEnd: Bool) {
        let source = plan.stream.source
        appName = plan.app
        skewMs = source.skewMs
        idleMs = source.idleMs
        holdMs = source.holdMs
        stillNs = max(30_000, source.idleMs ?? 0) * 1_000_000
        self.startedMs = startedMs
        self.isToEnd = isToEnd
    }

    /// Counts rows that were read.
    mutating func add(_ tally: WorkerTally) {
        intake.rows += tally.records
        intake.bad += tally.deadLetters + tally.quarantined + tally.withdrawn
    }

    /// The rows that were read since the last time.
    mutating func takeIntake(wallMs: Int64) -> Intake {
        defer { intake = (0, 0) }
        return Intake(
            rowCount: intake.rows, badCount: intake.bad, nowMs: wallMs, isToEnd: isToEnd)
    }

    /// Whether it is time to look at when something last arrived: four times a second.
    mutating func isArrivalDue(_ nowNs: Int64) -> Bool {
        guard nowNs - lastArrivalNs >= 250_000_000 else { return false }
        lastArrivalNs = nowNs
        return true
    }

    /// When something last arrived.
    func arrival(wallMs: Int64) -> Arrival {
        Arrival(lastMs: lastArrivalMs, startedMs: startedMs, nowMs: wallMs)
    }

    /// Whether it is time to look at the source: twice a second.
    func isDue(_ nowNs: Int64) -> Bool { nowNs - lastNs >= 500_000_000 }

    /// Takes in what happened once: it holds for ten minutes.
    mutating func note(_ condition: SourceCondition, nowNs: Int64) {
        events.removeAll { $0.condition.kind == condition.kind }
        events.append((condition, nowNs + Self.eventNs))
    }

    /// The conditions that hold now.
    mutating func observe(
        _ partitions: [PartitionSlot], _ input: WorkerTally, holds: [SourceHold?],
        foreignMemberCount: Int, nowNs: Int64, isRebuilding: Bool
    ) -> [SourceCondition] {
        lastNs = nowNs
        var found: [SourceCondition] = []
        events.removeAll { $0.untilNs <= nowNs }
        found += events.map(\.condition)
        found += shares(partitions, input, nowNs)
        if !isRebuilding, let still = standingStill(partitions, nowNs) { found.append(still) }
        if let held = held(partitions, holds, nowNs) { found.append(held) }
        if foreignMemberCount > 0 {
            found.append(
                SourceCondition(
                    .foreignMembers, value: Double(foreignMemberCount), threshold: 0,
                    summary:
                        "group '\(appName)' has \(foreignMemberCount) members of another program: what"
                        + " they commit replaces our positions, and a restart would begin from theirs"
                ))
        }
        return found
    }

    /// The partition that holds all others though nothing of it can be read.
    private func held(
        _ partitions: [PartitionSlot], _ holds: [SourceHold?], _ nowNs: Int64
    ) -> SourceCondition? {
        guard !isToEnd, let idleMs else { return nil }
        let furthestMs = partitions.furthestMs
        for index in partitions.indices {
            let quietMs = (nowNs - partitions[index].lastMovedNs) / 1_000_000
            guard let hold = [PartitionSlot].hold(holds, index), quietMs >= idleMs / 2 else {
                continue
            }
            let isBehind =
                partitions.count == 1
                || (furthestMs != TimeLimit.never && partitions[index].watermarkMs < furthestMs)
            guard isBehind else { continue }
            let why: String
            switch hold {
            case .openTransaction(let records):
                why = "\(records) records wait behind an open transaction"
            case .noAnswer: why = "its leader does not answer"
            }
            let most = holdMs.map { "; after \(Self.span($0)) the others go on without it" }
            return SourceCondition(
                .partitionHeld, value: Double(quietMs) / 1000, threshold: Double(idleMs) / 1000,
                summary:
                    "\(partitions[index].partition) holds windows open for \(Self.span(quietMs)):"
                    + " \(why)\(partitions.count > 1 ? most ?? "" : "")")
        }
        return nil
    }

    private mutating func shares(
        _ partitions: [PartitionSlot], _ input: WorkerTally, _ nowNs: Int64
    ) -> [SourceCondition] {
        let sum = lastMinute(input, nowNs)
        guard sum.records > 0 else { return [] }
        let isMinute = buckets.first.map { nowNs - $0.startNs > Self.spanNs * 3 / 4 } ?? false
        let isEnough =
            sum.records >= Self.countMin || (isMinute && sum.records >= Self.countMinSlow)
        let found = [
            isEnough ? lateRows(sum, partitions) : nil, quarantinedRows(sum, partitions),
            recordTimes(sum),
        ].compactMap(\.self)
        // A minute's share weighs as a minute of an hour.
        if let last = usualNs, isEnough {
            let weight = min(1, Double(nowNs - last) / 3.6e12)
            usualLateShare += (sum.lateShare - usualLateShare) * weight
        }
        usualNs = nowNs
        return found
    }

    /// Takes the workers' counts in.
    ///
    /// - Returns: those of the last minute together.
    private mutating func lastMinute(_ input: WorkerTally, _ nowNs: Int64) -> Bucket {
        let records = input.records - seen.records
        let late = input.late + input.lateForSome - seen.late - seen.lateForSome
        let aside = input.quarantined + input.withdrawn - seen.quarantined - seen.withdrawn
        let oddTimes = input.oddTimes - seen.oddTimes
        let leaps = input.refusedLeaps - seen.refusedLeaps
        seen = input
        buckets.removeAll { nowNs - $0.startNs > Self.spanNs }
        if records > 0 || aside > 0 || leaps > 0 {
            if buckets.last.map({ nowNs - $0.startNs > Self.spanNs / 60 }) ?? true {
                buckets.append(Bucket(startNs: nowNs))
            }
            buckets[buckets.count - 1].records += records
            buckets[buckets.count - 1].late += late
            buckets[buckets.count - 1].quarantined += aside
            buckets[buckets.count - 1].oddTimes += oddTimes
            buckets[buckets.count - 1].leaps += leaps
        }
        return buckets.reduce(into: Bucket(startNs: 0)) {
            $0.records += $1.records
            $0.late += $1.late
            $0.quarantined += $1.quarantined
            $0.oddTimes += $1.oddTimes
            $0.leaps += $1.leaps
        }
    }

    private func lateRows(_ sum: Bucket, _ partitions: [PartitionSlot]) -> SourceCondition? {
        let bound = max(Self.shareMax, Self.timesUsual * usualLateShare)
        guard sum.lateShare >= bound else { return nil }
        return SourceCondition(
            .lateRows, value: sum.lateShare, threshold: bound,
            summary:
                "\(sum.late) of \(sum.records) rows of the last minute came too late for windows"
                + " that they belong to" + Self.worst(partitions) { $0.late }
                + ": a clock that is ahead moved the watermark, or out_of_orderness is too small")
    }

    private func quarantinedRows(
        _ sum: Bucket, _ partitions: [PartitionSlot]
    ) -> SourceCondition? {
        let share = Double(sum.quarantined) / Double(sum.records)
        guard sum.quarantined >= 10, share >= Self.shareMax / 2 else { return nil }
        return SourceCondition(
            .quarantinedRows, value: share, threshold: Self.shareMax / 2,
            summary:
                "\(sum.quarantined) of \(sum.records) rows of the last minute were quarantined"
                + Self.worst(partitions) { $0.quarantined + $0.withdrawn }
                + ": event time is "
                + Self.distance(partitions)
                + "ahead of the reference clock, which follows Kafka record time; skew allows"
                + " \(skewMs / 1000) s")
    }

    private func recordTimes(_ sum: Bucket) -> SourceCondition? {
        guard sum.oddTimes >= 10 || sum.leaps > 0 else { return nil }
        var parts: [String] = []
        if sum.oddTimes > 0 {
            parts.append(
                "\(sum.oddTimes) of \(sum.records) records of the last minute have an impossible record time"
                    + " (before 2000 or after 9999, as in another unit): their event time stands in"
                    + " for the reference clock")
        }
        if sum.leaps > 0 {
            parts.append(
                "the record time leapt ahead \(sum.leaps) times in the last minute, and later records"
                    + " contradicted it: a producer's clock is ahead; the reference clock did not follow"
            )
        }
        return SourceCondition(
            .recordTimes, value: Double(sum.oddTimes + sum.leaps), threshold: 0,
            summary: parts.joined(separator: "; "))
    }

    private static func worst(
        _ partitions: [PartitionSlot], _ count: (SlotCounts) -> Int64
    ) -> String {
        guard let slot = partitions.max(by: { count($0.counts) < count($1.counts) }),
            count(slot.counts) > 0
        else { return "" }
        return ", most of them on \(slot.partition)"
    }

    private static func distance(_ partitions: [PartitionSlot]) -> String {
        let ms = partitions.map(\.counts.aheadMs).max() ?? 0
        return ms > 0 ? "\(Self.span(ms)) " : ""
    }

    /// `2 h 5 min`, `40 s`.
    static func span(_ ms: Int64) -> String {
        switch ms {
        case 172_800_000...: "\(ms / 86_400_000) days"
        case 3_600_000...: "\(ms / 3_600_000) h \(ms / 60_000 % 60) min"
        case 120_000...: "\(ms / 60_000) min \(ms / 1000 % 60) s"
        default: "\(ms / 1000) s"
        }
    }

    private mutating func standingStill(
        _ partitions: [PartitionSlot], _ nowNs: Int64
    ) -> SourceCondition? {
        if slots.isEmpty {
            slots = partitions.map {
                Slot(movedNs: nowNs, position: $0.next, arrivedNs: nowNs, counts: $0.counts)
            }
        }
        var worst: (place: Int, stillNs: Int64)?
        for place in partitions.indices {
            let partition = partitions[place]
            if partition.watermarkMs != slots[place].watermarkMs {
                slots[place].watermarkMs = partition.watermarkMs
                slots[place].movedNs = nowNs
                slots[place].records = 0
                slots[place].counts = partition.counts
            }
            if partition.next > slots[place].position {
                slots[place].records += partition.next - slots[place].position
                slots[place].position = partition.next
                slots[place].arrivedNs = nowNs
            }
            let still = slots[place].arrivedNs - slots[place].movedNs
            if !partition.hasEnded, still >= stillNs, slots[place].records >= 10,
                nowNs - slots[place].arrivedNs < stillNs, still > worst?.stillNs ?? 0
            {
                worst = (place, still)
            }
        }
        guard let (place, still) = worst else { return nil }
        let partition = partitions[place]
        return SourceCondition(
            .watermarkStill, value: Double(still) / 1e9, threshold: Double(stillNs) / 1e9,
            summary:
                "\(slots[place].records) records arrived on \(partition.partition) in"
                + " \(Self.span(still / 1_000_000)), and its watermark stands still: "
                + reason(partition, since: slots[place]))
    }

    private func reason(_ partition: PartitionSlot, since slot: Slot) -> String {
        let quarantined =
            partition.counts.quarantined + partition.counts.withdrawn - slot.counts.quarantined
            - slot.counts.withdrawn
        let late = partition.counts.late - slot.counts.late
        if partition.leapMs != TimeLimit.never {
            guard partition.referenceMs != TimeLimit.never else {
                return "its record times do not agree with each other"
            }
            return
                "record time leapt \(Self.span(partition.leapMs - partition.referenceMs)) ahead, and"
                + " others contradict it"
        }
        if quarantined * 2 > slot.records {
            return "\(quarantined) of them are \(Self.span(partition.counts.aheadMs)) ahead of the"
                + " reference clock"
        }
        if late * 2 > slot.records {
            return "\(late) of them are late: an earlier row, or a floor, moved it ahead"
        }
        return "none of them has a newer event time"
    }
}
