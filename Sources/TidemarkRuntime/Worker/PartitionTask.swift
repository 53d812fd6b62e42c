import TidemarkCore
import TidemarkDataflow

/// One input partition of a worker: where it is in the log, its clock, and its open panes.
///
/// The owner is the worker.
struct PartitionTask {
    /// A pane that takes rows.
    struct OpenPane {
        /// Where its rows belong: the pane, or an earlier start of windows that they came late for.
        var startMs: Int64
        /// The pane with which it is sealed.
        var dueMs: Int64
        var id: Int32
        var origin: PaneOrigin
        /// Rows that it took while a leap waited: what is withdrawn with it if it is given up.
        var rowCount: Int64 = 0
    }

    let slot: Int
    let partition: TopicPartition
    var clock: PartitionClock
    /// The next offset to read.
    var next: Int64
    let committedNext: Int64
    /// The end that `--until-end` fixed.
    let end: Int64?
    /// Floors of an earlier process, ascending by offset.
    var floors: [RecordedFloor]
    var pendingFloorMs: Int64?
    /// Ascending by when they are due, then by start.
    var open: [OpenPane] = []
    /// Panes of a leap of the record time that was contradicted, to be thrown away after the batch.
    var withdrawn: [OpenPane] = []
    var counts = SlotCounts()
    /// The first row has yet to say which windows it came into the middle of.
    var isEntering: Bool
    var hasEnded = false
    var isTouched = false
    var isPaused = false
    /// What the coordinator was last told at once: the pane of the watermark, and whether what is
    /// read is new.
    var toldPane = Int64.min
    var toldNew = false
    /// The clock before the record at hand, and its offset: where a pane that it opens is read from again.
    var origin: PaneOrigin
    /// Fates for which the record at hand has a letter, a bit each.
    private var lettered: UInt8 = 0

    init(_ start: TaskStart, clock: PartitionClock) {
        slot = start.start.slot
        partition = start.start.partition
        self.clock = clock
        next = start.start.offset
        committedNext = start.committedNext
        end = start.end
        floors = start.floors
        isEntering = start.isInsideLog
        origin = PaneOrigin(firstOffset: next, clock: clock.reading)
    }

    /// Offsets without a record between what was read and `offset`, the re-read part left out.
    func skipped(upTo offset: Int64) -> Int64 { max(0, offset - max(next, committedNext)) }

    /// Takes the next record in, before its rows.
    ///
    /// - Returns: offsets without a record before it.
    mutating func begin(offset: Int64) -> Int64 {
        while let floor = floors.first, floor.offset <= offset {
            clock.raise(to: floor.floorMs)
            floors.removeFirst()
        }
        origin = PaneOrigin(firstOffset: offset, clock: clock.reading)
        lettered = 0
        let skipped = skipped(upTo: offset)
        next = offset + 1
        return skipped
    }

    /// Whether the record at hand has no letter of this fate yet; it has one from now on.
    mutating func needsLetter(_ fate: RowTable.Fate) -> Bool {
        let bit = UInt8(1) << fate.rawValue
        defer { lettered |= bit }
        return lettered & bit == 0
    }

    /// The pane that is open under a key; else where in `open` it belongs.
    func findPane(startMs: Int64, dueMs: Int64) -> (id: Int32?, place: Int) {
        let key = (dueMs, startMs)
        // The first one that is not before it; nearly always the last or none.
        var (place, end) = (0, open.count)
        if let last = open.last, (last.dueMs, last.startMs) < key { place = end }
        while place < end {
            let middle = (place + end) / 2
            if (open[middle].dueMs, open[middle].startMs) < key {
                place = middle + 1
            } else {
                end = middle
            }
        }
        guard place < open.count, (open[place].dueMs, open[place].startMs) == key else {
            return (nil, place)
        }
        return (open[place].id, place)
    }

    /// While a leap waits, counts a row of an open pane: the pane may be given up.
    mutating func countRow(_ startMs: Int64) {
        guard clock.reading.leapMs != TimeLimit.never,
            let place = open.lastIndex(where: { $0.startMs == startMs })
        else { return }
        open[place].rowCount += 1
    }

    /// Takes back the panes that a contradicted leap of the record time opened: their rows are set
    /// aside after all, and the partition's low-water does not wait for a time that may never come.
    ///
    /// - Returns: whether there were any.
    mutating func giveUp(_ afterMs: Int64?, _ tally: inout WorkerTally) -> Bool {
        // What was set aside counts in the pane of the watermark: that one stays.
        guard let afterMs = afterMs.map({ max($0, clock.watermarkMs) }),
            let place = open.firstIndex(where: { $0.startMs > afterMs })
        else { return false }
        let panes = open[place...]
        let rowCount = panes.reduce(0) { $0 + $1.rowCount }
        if let first = panes.first(where: { $0.rowCount > 0 }) {
            tally.setAside.add("withdrawn", count: rowCount) {
                "\(partition)@\(first.origin.firstOffset): later records contradicted its record time"
            }
        }
        tally.withdrawn += rowCount
        counts.withdrawn += rowCount
        withdrawn += panes
        open.removeSubrange(place...)
        return true
    }
}
