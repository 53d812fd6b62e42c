import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// What the coordinator knows of one input partition.
struct PartitionSlot {
    let partition: TopicPartition
    /// Offset of the first record that no worker has reported.
    var next: Int64
    var watermarkMs = TimeLimit.never
    var referenceMs = TimeLimit.never
    /// The watermark if the leap that it waits for were believed.
    var hopedMs = TimeLimit.never
    var leapMs = TimeLimit.never
    var counts = SlotCounts()
    var hasEnded = false
    /// When `next` last moved.
    var lastMovedNs: Int64
    /// Recorded floors that a restart needs.
    private(set) var floors: [RecordedFloor]
    /// The worker's answer to the barrier that is on.
    var snapshot: SlotSnapshot?
    /// Sealed panes of which a window is not yet published, by start.
    var origins: [Int64: PaneOrigin] = [:]

    init(partition: TopicPartition, next: Int64, lastMovedNs: Int64, floors: [RecordedFloor]) {
        self.partition = partition
        self.next = next
        self.lastMovedNs = lastMovedNs
        self.floors = floors
    }

    /// Notes where a sealed pane began; what came late in it may have come before its own first row.
    mutating func note(_ origin: PaneOrigin, ofPane startMs: Int64) {
        if let known = origins[startMs], known.firstOffset < origin.firstOffset { return }
        origins[startMs] = origin
    }

    mutating func record(floorMs: Int64, at offset: Int64) {
        floors.append(RecordedFloor(offset: offset, floorMs: floorMs))
    }

    /// Keeps the floors that still count, one an offset: those before `low` are in the clock there.
    mutating func dropFloors(before low: Int64) {
        var kept: [RecordedFloor] = []
        for floor in floors where floor.offset >= low {
            if kept.last?.offset == floor.offset { kept.removeLast() }
            kept.append(floor)
        }
        floors = kept
    }

    /// There is room for one more in the metadata of a commit, beside that of the end.
    fileprivate var canTakeFloor: Bool { floors.count < CommitMetadata.floorCountMax - 1 }
}

/// What follows from all partitions together.
extension [PartitionSlot] {
    /// The watermark of all; `never` before every partition has one.
    var watermarkMs: Int64 { map(\.watermarkMs).min() ?? TimeLimit.never }

    /// The greatest watermark of any.
    var furthestMs: Int64 { map(\.watermarkMs).max() ?? TimeLimit.never }

    /// The watermark of all where each is read to its end.
    ///
    /// A partition that ended longer than `idleMs` (event time; `nil`: never) before the furthest one leaves
    /// the minimum, and so does one that ended without a row: a decision that depends on the log alone.
    func endingWatermarkMs(idleMs: Int64?) -> Int64 {
        let furthestMs = furthestMs
        guard furthestMs != TimeLimit.never else { return TimeLimit.never }
        var merged = furthestMs
        for slot in self {
            let isLeftBehind =
                slot.hasEnded
                && (slot.watermarkMs == TimeLimit.never
                    || idleMs.map { slot.watermarkMs < furthestMs - $0 } ?? false)
            if !isLeftBehind { merged = Swift.min(merged, slot.watermarkMs) }
        }
        return merged
    }

    /// The partition that holds the watermark of all.
    var slowest: PartitionSlot? {
        lazy.filter { !$0.hasEnded }.min { $0.watermarkMs < $1.watermarkMs }
    }

    /// Records that are there and were not read; `nil` if an end is not known.
    func lag(to ends: [Int64?]) -> Int64? {
        guard !ends.isEmpty else { return nil }
        var lag: Int64 = 0
        for (slot, end) in zip(self, ends) {
            guard let end else { return nil }
            lag += Swift.max(0, end - slot.next)
        }
        return lag
    }

    /// What keeps a slot from its end; `nil`: nothing.
    static func hold(_ holds: [SourceHold?], _ index: Int) -> SourceHold? {
        index < holds.count ? holds[index] : nil
    }

    /// A floor for each partition that was read to its end and stayed quiet for `idleMs`, by slot.
    ///
    /// It is the smaller of the others' watermark and the reference clock less the bound; when all are
    /// quiet, they follow the one that is furthest. Where a leap of the record time waits for others to
    /// agree, the wall clock agrees with it once it has come to that time. A floor that seals nothing new
    /// is not worth a record.
    ///
    /// A partition with something behind its end, or whose leader does not answer, is not idle: its rows
    /// would be late. After `holdMs` the others go on without it all the same; `forced` names it then.
    func idleFloors(
        ends: [Int64?], holds: [SourceHold?], nowNs: Int64, wallMs: Int64, idleMs: Int64,
        holdMs: Int64?, outOfOrdernessMs: Int64, paneMs: Int64
    ) -> (floors: [Int: Int64], forced: Set<Int>) {
        var forced: Set<Int> = []
        let isIdle = indices.map { index in
            let quietMs = (nowNs - self[index].lastMovedNs) / 1_000_000
            if Self.hold(holds, index) != nil {
                guard let holdMs, quietMs >= Swift.max(idleMs, holdMs) else { return false }
                forced.insert(index)
                return true
            }
            guard index < ends.count, let end = ends[index] else { return false }
            return self[index].next >= end && quietMs >= idleMs
        }
        let busyMs = indices.lazy.filter { !isIdle[$0] }.map { self[$0].watermarkMs }.min()
        let othersMs = busyMs ?? furthestMs
        let referenceMs = map(\.referenceMs).max() ?? TimeLimit.never
        let sharedMs =
            othersMs == TimeLimit.never || referenceMs == TimeLimit.never
            ? TimeLimit.never : Swift.min(othersMs, referenceMs - outOfOrdernessMs)
        var floors: [Int: Int64] = [:]
        for index in indices where isIdle[index] && self[index].canTakeFloor {
            let watermarkMs = self[index].watermarkMs
            var floorMs = sharedMs
            if self[index].leapMs != TimeLimit.never, self[index].leapMs <= wallMs,
                !forced.contains(index)
            {
                floorMs = Swift.max(floorMs, Swift.min(self[index].hopedMs, wallMs))
            }
            guard floorMs != TimeLimit.never else { continue }
            let gains =
                watermarkMs == TimeLimit.never
                || floorMs.flooredDivision(by: paneMs) > watermarkMs.flooredDivision(by: paneMs)
            if gains { floors[index] = floorMs }
        }
        return (floors, forced.filter { floors[$0] != nil })
    }
}
