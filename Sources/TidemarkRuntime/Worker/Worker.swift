import Synchronization
import TidemarkBatch
import TidemarkCore
package import TidemarkDataflow
import TidemarkText

/// Stage 1 of some partitions: polls, decides row by row, folds, seals.
///
/// It is stepped: a thread does that in a run, the simulation in a test. Whoever steps it owns it.
package final class Worker {
    /// What a step came to.
    package enum Step: Equatable {
        case worked
        /// Nothing was there to read.
        case idle
        /// The mailbox is full, a barrier was answered and others have still to, a floor waits to be
        /// recorded, or every partition came to its end: only orders are obeyed.
        case blocked
        /// The coordinator said stop.
        case finished
    }

    /// One partition of this worker.
    private struct Task {
        let slot: Int
        let partition: TopicPartition
        var clock: PartitionClock
        var next: Int64
        let committedNext: Int64
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
    }

    private struct OpenPane {
        /// Where its rows belong: the pane, or an earlier start of windows that they came late for.
        var startMs: Int64
        /// The pane with which it is sealed.
        var dueMs: Int64
        var id: Int32
        var origin: PaneOrigin
        /// Rows that it took while a leap waited: what is withdrawn with it if it is given up.
        var rowCount: Int64 = 0
    }

    /// Its place among the workers, from 0.
    package let index: Int
    private let plan: StreamPlan
    private let calendar: WindowCalendar
    private let reader: any SourceReader
    private let stage: any StageOne
    private let letters: any LetterWriter
    private let mailbox: Mailbox
    private let control: WorkerControl
    private let alignment: Alignment
    private let memory: MemoryGauge
    private let untilEnd: Bool
    private let batch: RecordBatch
    private let rows: RowTable
    private var tasks: [Task]
    /// Slot to place in `tasks`; -1 for the slots of other workers.
    private var places: [Int]
    /// What the stage had counted before this batch.
    private var assumedUTCCount: Int64 = 0
    /// What `align` reports; kept for its memory.
    private var heard: [(slot: Int, watermarkMs: Int64)] = []
    /// Messages of the step under way.
    private var posted: [WorkerMessage] = []
    private var freePanes: [Int32] = []
    private var paneCount: Int32 = 0
    private var seenOrders = 0
    private var orders = WorkerControl.Orders()
    private var answeredEpoch = 0
    private var isParked = false
    private var hasFailed = false
    private let pollTimeoutMs: Int

    /// A worker of the partitions in `starts`, which belong to no other.
    ///
    /// `slotCount`: partitions of all workers. `pollTimeoutMs`: how long a step waits for a first
    /// record.
    package init(
        index: Int, plan: StreamPlan, batchRows: Int, starts: [TaskStart], slotCount: Int,
        reader: any SourceReader, stage: any StageOne, letters: any LetterWriter,
        mailbox: Mailbox, control: WorkerControl, alignment: Alignment, memory: MemoryGauge,
        fixedReferenceMs: Int64?, untilEnd: Bool, pollTimeoutMs: Int = 50
    ) {
        self.index = index
        self.plan = plan
        // A length that no segment has is no window of a row.
        let used = Set(plan.segments.flatMap(\.windows))
        let windows = plan.windows.indices.filter(used.contains).map { plan.windows[$0] }
        calendar = WindowCalendar(
            windows: windows.isEmpty ? plan.windows : windows, paneMs: plan.paneMs)
        self.reader = reader
        self.stage = stage
        self.letters = letters
        self.mailbox = mailbox
        self.control = control
        self.alignment = alignment
        self.memory = memory
        self.untilEnd = untilEnd
        self.pollTimeoutMs = pollTimeoutMs
        batch = RecordBatch(rowCountMax: batchRows, arenaCapacity: 1 << 20)
        rows = RowTable(rowCountMax: batchRows)
        places = Array(repeating: -1, count: slotCount)
        tasks = starts.map { start in
            Task(
                slot: start.start.slot, partition: start.start.partition,
                clock: PartitionClock(
                    boundMs: plan.source.outOfOrdernessMs, skewMs: plan.source.skewMs,
                    paneMs: plan.paneMs, fixedReferenceMs: fixedReferenceMs, reading: start.clock),
                next: start.start.offset, committedNext: start.committedNext, end: start.end,
                floors: start.floors, isEntering: start.isInsideLog)
        }
        for (place, task) in tasks.enumerated() { places[task.slot] = place }
    }

    /// One batch, if orders and the mailbox allow.
    package func step() -> Step {
        // Together, so that the coordinator is woken once.
        defer { mailbox.push(all: &posted) }
        obeyOrders()
        if orders.isStopping { return .finished }
        if isParked || orders.isHolding { return .blocked }
        if hasFailed || (untilEnd && tasks.allSatisfy(\.hasEnded)) { return .blocked }
        if mailbox.isFull { return .blocked }
        do throws(ConnectorError) {
            try align()
            // What waits is looked at again soon: others may have caught up.
            let isWaiting = tasks.contains(where: \.isPaused)
            try reader.poll(
                into: batch, timeoutMs: isWaiting ? min(pollTimeoutMs, 2) : pollTimeoutMs)
        } catch {
            hasFailed = true
            post(.failed(error))
            return .blocked
        }
        if batch.rowCount > 0 { process() }
        memory.set(index, bytes: stage.byteCount)
        updatePositions()
        return batch.rowCount > 0 ? .worked : .idle
    }

    private func post(_ message: WorkerMessage) { posted.append(message) }

    /// Pauses and resumes partitions of its own, so that none is too far ahead.
    private func align() throws(ConnectorError) {
        heard.removeAll(keepingCapacity: true)
        for task in tasks where !task.hasEnded {
            heard.append((task.slot, task.clock.watermarkMs))
        }
        var changed: [Int] = []
        alignment.update(heard) { slot, waits in
            if tasks[places[slot]].isPaused != waits { changed.append(places[slot]) }
        }
        for place in changed {
            let waits = !tasks[place].isPaused
            try reader.setPaused(waits, slot: tasks[place].slot)
            tasks[place].isPaused = waits
        }
    }

    // MARK: Orders

    private func obeyOrders() {
        if let newer = control.newer(than: &seenOrders) { orders = newer }
        let waitsForCommit = tasks.contains { $0.pendingFloorMs != nil }
        if isParked, !orders.isLast,
            (waitsForCommit ? orders.committedEpoch : orders.releasedEpoch) >= answeredEpoch
        {
            isParked = false
            for place in tasks.indices {
                guard let floor = tasks[place].pendingFloorMs else { continue }
                tasks[place].pendingFloorMs = nil
                tasks[place].clock.raise(to: floor)
                seal(place)
                reportProgress(place)
            }
        }
        if orders.barrierEpoch > answeredEpoch {
            answeredEpoch = orders.barrierEpoch
            for (slot, floor) in orders.floors where places[slot] >= 0 {
                tasks[places[slot]].pendingFloorMs = floor
            }
            isParked = true
            post(
                .snapshot(worker: index, epoch: answeredEpoch, slots: tasks.map(snapshot)))
        }
    }

    private func snapshot(_ task: Task) -> SlotSnapshot {
        SlotSnapshot(
            slot: task.slot, next: task.next, clock: task.clock.reading,
            watermarkMs: task.clock.watermarkMs,
            openPanes: task.open.map { ($0.dueMs, $0.origin) },
            pendingFloorMs: task.pendingFloorMs)
    }

    // MARK: One batch

    private func process() {
        stage.decode(batch, into: rows)
        var tally = WorkerTally()
        var outgoing: [OutputRecord] = []
        var row = 0
        let count = batch.rowCount
        while row < count {
            let place = places[Int(unsafe batch.partition[row])]
            row = processRun(from: row, place: place, &tally, &outgoing)
        }
        stage.fold(batch, rows: rows)
        stage.countUngrouped(
            rows, rowCount: count,
            isNew: { row in
                unsafe batch.offset[row]
                    >= tasks[places[Int(batch.partition[row])]].committedNext
            }, into: &tally.ungrouped,
            example: { row in
                letters.place(
                    batch, row: row,
                    partition: tasks[places[Int(unsafe batch.partition[row])]].partition)
            })
        tally.assumedUTC = stage.assumedUTCCount - assumedUTCCount
        assumedUTCCount = stage.assumedUTCCount
        for place in tasks.indices where tasks[place].isTouched {
            tasks[place].isTouched = false
            seal(place)
            reportProgress(place)
        }
        if !outgoing.isEmpty { post(.letters(outgoing)) }
        post(.tally(tally))
    }

    /// Decides on the rows from `first` on that belong to one partition.
    ///
    /// - Returns: the row after the run.
    private func processRun(
        from first: Int, place: Int, _ tally: inout WorkerTally, _ outgoing: inout [OutputRecord]
    ) -> Int {
        var task = tasks[place]
        task.isTouched = true
        let refusedLeaps = task.clock.refusedLeapCount
        let slot = UInt16(truncatingIfNeeded: task.slot)
        let paneMs = plan.paneMs
        let usesRecordTime = plan.eventTimeColumn == nil
        var paneStartMs = Int64.max
        var paneId: Int32 = -1
        var row = first
        while row < batch.rowCount, unsafe batch.partition[row] == slot {
            row = takeUsual(from: row, &task, paneStartMs, paneId, &tally)
            guard row < batch.rowCount, unsafe batch.partition[row] == slot else { break }
            defer { row += 1 }
            let offset = unsafe batch.offset[row]
            unsafe rows.pane[row] = -1
            if let end = task.end, offset >= end {
                unsafe rows.fate[row] = RowTable.Fate.beyondEnd.rawValue
                tally.beyondEnd += 1
                continue
            }
            while let floor = task.floors.first, floor.offset <= offset {
                task.clock.raise(to: floor.floorMs)
                task.floors.removeFirst()
            }
            let before = task.clock.reading
            tally.skipped += skipped(task, upTo: offset)
            task.next = offset + 1
            let isReread = offset < task.committedNext
            if isReread {
                tally.reread += 1
            } else {
                tally.records += 1
                tally.bytes += unsafe batch.valueLengthWhole[row]
            }
            let recordMs = unsafe batch.recordTimeMs[row]
            if !isReread, PartitionClock.isOdd(recordMs: recordMs) { tally.oddTimes += 1 }
            var fate = RowTable.Fate(rawValue: unsafe rows.fate[row]) ?? .deadLetter
            var reason: DeadLetterReason?
            if fate == .row || fate == .filteredOut || fate == .filteredNull {
                if usesRecordTime { unsafe rows.eventTimeMs[row] = recordMs }
                let eventMs = unsafe rows.eventTimeMs[row]
                if eventMs < TimeLimit.earliestMs || eventMs > TimeLimit.latestMs {
                    fate = .deadLetter
                    reason = DeadLetterReason(
                        DeadLetterReason.eventTimeOutOfRange, plan.outOfRange(eventMs))
                }
            }
            switch fate {
            case .tombstone:
                if giveUp(task.clock.observe(recordMs: recordMs), &task, &tally) {
                    (paneStartMs, paneId) = (.max, -1)
                }
                if !isReread {
                    tally.tombstones += 1
                    if unsafe batch.valueLength[row] >= 0 { tally.headers += 1 }
                }
            case .deadLetter:
                if giveUp(task.clock.observe(recordMs: recordMs), &task, &tally) {
                    (paneStartMs, paneId) = (.max, -1)
                }
                if !isReread {
                    tally.deadLetters += 1
                    let reason = reason ?? stage.deadLetterReason(batch, row: row)
                    tally.setAside.add(reason.name) {
                        "\(letters.place(batch, row: row, partition: task.partition)): \(reason.detail)"
                    }
                    outgoing.append(
                        letters.deadLetter(
                            batch, row: row, partition: task.partition, reason: reason))
                }
            case .filteredOut, .filteredNull:
                let verdict = task.clock.admit(
                    eventMs: unsafe rows.eventTimeMs[row], recordMs: recordMs)
                if giveUp(verdict.withdrawnMs, &task, &tally) {
                    (paneStartMs, paneId) = (.max, -1)
                }
                if !isReread {
                    if fate == .filteredOut {
                        tally.filteredOut += 1
                    } else {
                        tally.filteredNull += 1
                    }
                }
            default:
                let eventMs = unsafe rows.eventTimeMs[row]
                let sealedMs = task.clock.watermarkMs
                if task.isEntering {
                    task.isEntering = false
                    post(
                        .entered(beforeMs: eventMs + plan.source.outOfOrdernessMs))
                }
                let verdict = task.clock.admit(eventMs: eventMs, recordMs: recordMs)
                if giveUp(verdict.withdrawnMs, &task, &tally) {
                    (paneStartMs, paneId) = (.max, -1)
                }
                switch verdict.admission {
                case .inTime:
                    if !isReread { tally.rows += 1 }
                    if eventMs < paneStartMs || eventMs >= paneStartMs + paneMs {
                        paneStartMs = eventMs.flooredDivision(by: paneMs) * paneMs
                        paneId = openPane(&task, paneStartMs, offset, before)
                    }
                    unsafe rows.pane[row] = paneId
                    countRow(paneStartMs, &task)
                case .late where calendar.lastEndMs(of: eventMs) > paneOf(sealedMs):
                    unsafe rows.pane[row] = takeLate(eventMs, sealedMs, &task, offset, before)
                    if !isReread { tally.rows += 1 }
                    if calendar.firstEndMs(of: eventMs) <= paneOf(sealedMs) {
                        if !isReread { tally.lateForSome += 1 }
                        task.counts.late += 1
                    }
                case .late:
                    fate = .late
                    if !isReread {
                        tally.late += 1
                        tally.setAside.add("late") {
                            "\(letters.place(batch, row: row, partition: task.partition)): event time \(eventMs) ms, watermark \(sealedMs) ms"
                        }
                    }
                    task.counts.late += 1
                case .quarantined:
                    fate = .quarantined
                    let referenceMs = task.clock.reading.referenceMs
                    if !isReread {
                        tally.quarantined += 1
                        tally.setAside.add("quarantined") {
                            let aheadMs = eventMs.subtractingReportingOverflow(referenceMs)
                            return
                                "\(letters.place(batch, row: row, partition: task.partition)): event time \(eventMs) ms,"
                                + (aheadMs.overflow
                                    ? " record time \(recordMs) ms"
                                    : " \(aheadMs.partialValue) ms ahead of the reference clock")
                        }
                    }
                    task.counts.quarantined += 1
                    // Before there is a reference clock the record's own time is what it is ahead of.
                    let isOdd = PartitionClock.isOdd(recordMs: recordMs)
                    let ownMs = isOdd ? TimeLimit.never : recordMs
                    let nowMs = referenceMs == TimeLimit.never ? ownMs : referenceMs
                    let aheadMs = nowMs == TimeLimit.never ? nil : eventMs - nowMs
                    task.counts.aheadMs = aheadMs ?? 0
                    if !isReread,
                        let letter = letters.quarantinedRow(
                            batch, row: row, partition: task.partition, aheadMs: aheadMs)
                    {
                        outgoing.append(letter)
                    }
                }
                if fate != .row, sealedMs != TimeLimit.never {
                    // Counted in the oldest pane that is still open: its own has left.
                    unsafe rows.pane[row] = openPane(&task, paneOf(sealedMs), offset, before)
                    if fate == .late, !isReread,
                        let letter = letters.lateRow(
                            batch, row: row, partition: task.partition,
                            windowStartMs: calendar.sliceStartMs(of: eventMs))
                    {
                        outgoing.append(letter)
                    }
                }
            }
            unsafe rows.fate[row] = fate.rawValue
        }
        tally.refusedLeaps += task.clock.refusedLeapCount - refusedLeaps
        tasks[place] = task
        return row
    }

    /// The start of the pane that holds a time.
    private func paneOf(_ ms: Int64) -> Int64 { ms.flooredDivision(by: plan.paneMs) * plan.paneMs }

    /// Where a row counts whose pane is sealed, and of which a window is open: in the pane of the watermark
    /// where that lies in the same windows, else beside it.
    private func takeLate(
        _ eventMs: Int64, _ watermarkMs: Int64, _ task: inout Task, _ offset: Int64,
        _ before: PartitionClock.Reading
    ) -> Int32 {
        let currentMs = paneOf(watermarkMs)
        guard calendar.sliceStartMs(of: eventMs) != calendar.sliceStartMs(of: currentMs) else {
            return openPane(&task, currentMs, offset, before)
        }
        // Steps of lengths that it is too late for divide nothing.
        let sliceMs = calendar.sliceStartMs(of: eventMs, endingAfterMs: currentMs)
        return openPane(&task, sliceMs, dueMs: currentMs, offset, before)
    }

    /// While a leap waits, counts a row of an open pane: the pane may be given up.
    private func countRow(_ startMs: Int64, _ task: inout Task) {
        guard task.clock.reading.leapMs != TimeLimit.never,
            let place = task.open.lastIndex(where: { $0.startMs == startMs })
        else { return }
        task.open[place].rowCount += 1
    }

    /// Takes back the panes that a contradicted leap of the record time opened: their rows are set
    /// aside after all, and the partition's low-water does not wait for a time that may never come.
    ///
    /// - Returns: whether there were any.
    private func giveUp(
        _ afterMs: Int64?, _ task: inout Task, _ tally: inout WorkerTally
    ) -> Bool {
        // What was set aside counts in the pane of the watermark: that one stays.
        guard let afterMs = afterMs.map({ max($0, task.clock.watermarkMs) }),
            let place = task.open.firstIndex(where: { $0.startMs > afterMs })
        else { return false }
        let panes = task.open[place...]
        let rowCount = panes.reduce(0) { $0 + $1.rowCount }
        if let first = panes.first(where: { $0.rowCount > 0 }) {
            tally.setAside.add("withdrawn", count: rowCount) {
                "\(task.partition)@\(first.origin.firstOffset): later records contradicted its record time"
            }
        }
        tally.withdrawn += rowCount
        task.counts.withdrawn += rowCount
        task.withdrawn += panes
        task.open.removeSubrange(place...)
        return true
    }

    /// Takes rows that follow each other in the log, are in time, and belong to the pane at hand: what
    /// nearly all rows do.
    ///
    /// - Returns: the first row that has to be looked at.
    private func takeUsual(
        from first: Int, _ task: inout Task, _ paneStartMs: Int64, _ paneId: Int32,
        _ tally: inout WorkerTally
    ) -> Int {
        guard paneId >= 0, task.floors.isEmpty, !task.isEntering,
            task.next >= task.committedNext
        else { return first }
        let slot = UInt16(truncatingIfNeeded: task.slot)
        let end = task.end ?? .max
        let paneEndMs = paneStartMs + plan.paneMs
        let (earliestMs, latestMs) = (TimeLimit.earliestMs, TimeLimit.latestMs)
        let usesRecordTime = plan.eventTimeColumn == nil
        let isRow = RowTable.Fate.row.rawValue
        let (partitions, offsets) = unsafe (batch.partition, batch.offset)
        let (recordTimes, lengths) = unsafe (batch.recordTimeMs, batch.valueLengthWhole)
        let (fates, times, panes) = unsafe (rows.fate, rows.eventTimeMs, rows.pane)
        let rowCount = batch.rowCount
        var clock = task.clock
        var next = task.next
        var bytes: Int64 = 0
        var row = first
        while row < rowCount {
            guard unsafe partitions[row] == slot && fates[row] == isRow && offsets[row] == next,
                next < end
            else { break }
            let recordMs = unsafe recordTimes[row]
            let eventMs = usesRecordTime ? recordMs : unsafe times[row]
            guard eventMs >= paneStartMs && eventMs < paneEndMs,
                eventMs >= earliestMs && eventMs <= latestMs,
                clock.admitUsual(eventMs: eventMs, recordMs: recordMs)
            else { break }
            if usesRecordTime { unsafe times[row] = eventMs }
            unsafe panes[row] = paneId
            unsafe bytes &+= lengths[row]
            next &+= 1
            row &+= 1
        }
        task.clock = clock
        task.next = next
        let count = Int64(row - first)
        tally.records += count
        tally.rows += count
        tally.bytes += bytes
        return row
    }

    /// Offsets without a record between what was read and `offset`, the re-read part left out.
    private func skipped(_ task: Task, upTo offset: Int64) -> Int64 {
        max(0, offset - max(task.next, task.committedNext))
    }

    /// The pane that is open for rows of `startMs`, or (`dueMs`) for those that came late in a later one.
    private func openPane(
        _ task: inout Task, _ startMs: Int64, dueMs: Int64? = nil, _ offset: Int64,
        _ before: PartitionClock.Reading
    ) -> Int32 {
        let key = (dueMs ?? startMs, startMs)
        // The first one that is not before it; nearly always the last or none.
        var (place, end) = (0, task.open.count)
        if let last = task.open.last, (last.dueMs, last.startMs) < key { place = end }
        while place < end {
            let middle = (place + end) / 2
            if (task.open[middle].dueMs, task.open[middle].startMs) < key {
                place = middle + 1
            } else {
                end = middle
            }
        }
        if place < task.open.count, (task.open[place].dueMs, task.open[place].startMs) == key {
            return task.open[place].id
        }
        let id: Int32
        if let free = freePanes.popLast() {
            id = free
        } else {
            id = paneCount
            paneCount += 1
        }
        stage.open(
            pane: Int(id), startMs: startMs, arrivalMs: dueMs, partition: task.partition)
        task.open.insert(
            OpenPane(
                startMs: startMs, dueMs: dueMs ?? startMs, id: id,
                origin: PaneOrigin(firstOffset: offset, clock: before)),
            at: place)
        return id
    }

    /// Seals what the partition's own watermark has passed.
    private func seal(_ place: Int, all: Bool = false) {
        for pane in tasks[place].withdrawn {
            freePanes.append(pane.id)
            _ = stage.seal(pane: Int(pane.id))
        }
        tasks[place].withdrawn = []
        let watermark = tasks[place].clock.watermarkMs
        while let pane = tasks[place].open.first, all || pane.dueMs + plan.paneMs <= watermark {
            tasks[place].open.removeFirst()
            freePanes.append(pane.id)
            post(
                .sealed(
                    slot: tasks[place].slot, paneStartMs: pane.dueMs, sourceMs: pane.startMs,
                    partial: stage.seal(pane: Int(pane.id)), origin: pane.origin))
        }
    }

    /// Reports where a partition is: at once when its watermark enters another pane or the re-read
    /// is over, else when the coordinator next looks.
    private func reportProgress(_ place: Int) {
        let watermarkMs = tasks[place].clock.watermarkMs
        let pane = watermarkMs.flooredDivision(by: plan.paneMs)
        let isNew = tasks[place].next >= tasks[place].committedNext
        let isPressing = pane != tasks[place].toldPane || isNew != tasks[place].toldNew
        tasks[place].toldPane = pane
        tasks[place].toldNew = isNew
        let clock = tasks[place].clock
        post(
            .progress(
                SlotProgress(
                    slot: tasks[place].slot, position: tasks[place].next,
                    watermarkMs: watermarkMs, hopedMs: max(watermarkMs, clock.hopedMs),
                    referenceMs: clock.reading.referenceMs, leapMs: clock.reading.leapMs,
                    counts: tasks[place].counts, isPressing: isPressing)))
    }

    /// Takes over positions that moved without a row (control records, gaps), and ends partitions.
    private func updatePositions() {
        for place in tasks.indices where !tasks[place].hasEnded {
            let slot = tasks[place].slot
            var position = reader.position(slot)
            if let end = tasks[place].end { position = min(position, end) }
            if position > tasks[place].next {
                var tally = WorkerTally()
                tally.skipped = skipped(tasks[place], upTo: position)
                if tally.skipped > 0 { post(.tally(tally)) }
                tasks[place].next = position
                reportProgress(place)
            }
            guard untilEnd else { continue }
            let isAtEnd = tasks[place].end.map { tasks[place].next >= $0 } ?? reader.isAtEnd(slot)
            guard isAtEnd else { continue }
            tasks[place].hasEnded = true
            seal(place, all: true)
            post(.ended(slot: slot, watermarkMs: tasks[place].clock.watermarkMs))
        }
    }
}

extension StreamPlan {
    /// What is wrong with an event time that is no time of this age, and what it may be.
    fileprivate func outOfRange(_ eventMs: Int64) -> String {
        let detail = "event time \(eventMs) ms is not between the years 2000 and 9999"
        guard let eventTimeColumn, case .time(let unit) = columns[eventTimeColumn].type else {
            return detail
        }
        // Milliseconds in a unit.
        let units: [(unit: TimeUnit, ms: Double)] = [
            (.s, 1000), (.ms, 1), (.us, 1e-3), (.ns, 1e-6),
        ]
        guard let declared = units.first(where: { $0.unit == unit }) else { return detail }
        let written = Double(eventMs) / declared.ms
        let likely = units.first { other in
            other.unit != unit && (946_684_800_000..<4_102_444_800_000).contains(written * other.ms)
        }
        return likely.map { detail + "; as `time_\($0.unit.rawValue)` it would be" } ?? detail
    }
}
