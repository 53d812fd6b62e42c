import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// What becomes of each row of a batch, by what came before it in its partition.
extension Worker {
    /// Rows of one partition that follow each other in a batch.
    struct Run {
        var task: Task
        /// The pane at hand: nearly all rows belong to that of the row before.
        var paneStartMs = Int64.max
        /// -1: there is none.
        var paneId: Int32 = -1
    }

    /// Decides on the rows from `first` on that belong to one partition.
    ///
    /// - Returns: the row after the run.
    func processRun(from first: Int, place: Int) -> Int {
        var run = Run(task: tasks[place])
        run.task.isTouched = true
        let refusedLeaps = run.task.clock.refusedLeapCount
        let slot = UInt16(truncatingIfNeeded: run.task.slot)
        var row = first
        while row < batch.rowCount, unsafe batch.partition[row] == slot {
            row = takeUsual(from: row, &run)
            guard row < batch.rowCount, unsafe batch.partition[row] == slot else { break }
            unsafe rows.pane[row] = -1
            if let end = run.task.end, unsafe batch.offset[row] >= end {
                unsafe rows.fate[row] = RowTable.Fate.beyondEnd.rawValue
                tally.beyondEnd += 1
            } else {
                unsafe rows.fate[row] = decide(row, &run).rawValue
            }
            row += 1
        }
        tally.refusedLeaps += run.task.clock.refusedLeapCount - refusedLeaps
        tasks[place] = run.task
        return row
    }

    /// Decides on a row that is not as usual: what becomes of it, and in which pane it counts.
    private func decide(_ row: Int, _ run: inout Run) -> RowTable.Fate {
        let offset = unsafe batch.offset[row]
        while let floor = run.task.floors.first, floor.offset <= offset {
            run.task.clock.raise(to: floor.floorMs)
            run.task.floors.removeFirst()
        }
        let before = run.task.clock.reading
        tally.skipped += skipped(run.task, upTo: offset)
        run.task.next = offset + 1
        let isNew = offset >= run.task.committedNext
        let recordMs = unsafe batch.recordTimeMs[row]
        if isNew {
            tally.records += 1
            tally.bytes += unsafe batch.valueLengthWhole[row]
            if PartitionClock.isOdd(recordMs: recordMs) { tally.oddTimes += 1 }
        } else {
            tally.reread += 1
        }
        let (fate, reason) = decoded(row, recordMs: recordMs)
        switch fate {
        case .tombstone:
            giveUp(run.task.clock.observe(recordMs: recordMs), &run)
            guard isNew else { return fate }
            tally.tombstones += 1
            if unsafe batch.valueLength[row] >= 0 { tally.headers += 1 }
        case .deadLetter:
            giveUp(run.task.clock.observe(recordMs: recordMs), &run)
            if isNew { setAside(row, reason, run.task.partition) }
        case .filteredOut, .filteredNull:
            let verdict = run.task.clock.admit(
                eventMs: unsafe rows.eventTimeMs[row], recordMs: recordMs)
            giveUp(verdict.withdrawnMs, &run)
            guard isNew else { return fate }
            if fate == .filteredOut { tally.filteredOut += 1 } else { tally.filteredNull += 1 }
        default:
            return admit(row, &run, before: before, isNew: isNew)
        }
        return fate
    }

    /// What the decoder made of a row, and what its event time makes of that; why, where it is a dead letter
    /// for its time.
    private func decoded(
        _ row: Int, recordMs: Int64
    ) -> (fate: RowTable.Fate, reason: DeadLetterReason?) {
        let fate = RowTable.Fate(rawValue: unsafe rows.fate[row]) ?? .deadLetter
        guard fate == .row || fate == .filteredOut || fate == .filteredNull else {
            return (fate, nil)
        }
        if plan.eventTimeColumn == nil { unsafe rows.eventTimeMs[row] = recordMs }
        let eventMs = unsafe rows.eventTimeMs[row]
        guard eventMs < TimeLimit.earliestMs || eventMs > TimeLimit.latestMs else {
            return (fate, nil)
        }
        return (
            .deadLetter,
            DeadLetterReason(DeadLetterReason.eventTimeOutOfRange, plan.outOfRange(eventMs))
        )
    }

    /// Counts a dead letter and writes it.
    private func setAside(_ row: Int, _ reason: DeadLetterReason?, _ partition: TopicPartition) {
        tally.deadLetters += 1
        let reason = reason ?? stage.deadLetterReason(batch, row: row)
        tally.setAside.add(reason.name) {
            "\(letters.place(batch, row: row, partition: partition)): \(reason.detail)"
        }
        outgoing.append(
            letters.deadLetter(batch, row: row, partition: partition, reason: reason))
    }

    /// Decides by its time on a row that can be read.
    ///
    /// - `before`: the partition's clock before the row.
    private func admit(
        _ row: Int, _ run: inout Run, before: PartitionClock.Reading, isNew: Bool
    ) -> RowTable.Fate {
        let offset = unsafe batch.offset[row]
        let eventMs = unsafe rows.eventTimeMs[row]
        let sealedMs = run.task.clock.watermarkMs
        if run.task.isEntering {
            run.task.isEntering = false
            post(.entered(beforeMs: eventMs + plan.source.outOfOrdernessMs))
        }
        let verdict = run.task.clock.admit(
            eventMs: eventMs, recordMs: unsafe batch.recordTimeMs[row])
        giveUp(verdict.withdrawnMs, &run)
        switch verdict.admission {
        case .inTime:
            if isNew { tally.rows += 1 }
            if eventMs < run.paneStartMs || eventMs >= run.paneStartMs + plan.paneMs {
                run.paneStartMs = paneOf(eventMs)
                run.paneId = openPane(&run.task, run.paneStartMs, offset, before)
            }
            unsafe rows.pane[row] = run.paneId
            countRow(run.paneStartMs, &run.task)
            return .row
        case .late where calendar.lastEndMs(of: eventMs) > paneOf(sealedMs):
            unsafe rows.pane[row] = takeLate(eventMs, sealedMs, &run.task, offset, before)
            if isNew { tally.rows += 1 }
            if calendar.firstEndMs(of: eventMs) <= paneOf(sealedMs) {
                if isNew { tally.lateForSome += 1 }
                run.task.counts.late += 1
            }
            return .row
        case .late, .quarantined:
            let fate: RowTable.Fate = verdict.admission == .late ? .late : .quarantined
            if fate == .late {
                countLate(row, &run.task, sealedMs: sealedMs, isNew: isNew)
            } else {
                countQuarantined(row, &run.task, isNew: isNew)
            }
            guard sealedMs != TimeLimit.never else { return fate }
            // Counted in the oldest pane that is still open: its own has left.
            unsafe rows.pane[row] = openPane(&run.task, paneOf(sealedMs), offset, before)
            if fate == .late, isNew,
                let letter = letters.lateRow(
                    batch, row: row, partition: run.task.partition,
                    windowStartMs: calendar.sliceStartMs(of: eventMs))
            {
                outgoing.append(letter)
            }
            return fate
        }
    }

    /// Counts a row of which all windows are over.
    private func countLate(_ row: Int, _ task: inout Task, sealedMs: Int64, isNew: Bool) {
        if isNew {
            tally.late += 1
            tally.setAside.add("late") {
                "\(letters.place(batch, row: row, partition: task.partition)): event time"
                    + " \(unsafe rows.eventTimeMs[row]) ms, watermark \(sealedMs) ms"
            }
        }
        task.counts.late += 1
    }

    /// Counts a row that is too far ahead, and writes its letter.
    private func countQuarantined(_ row: Int, _ task: inout Task, isNew: Bool) {
        let eventMs = unsafe rows.eventTimeMs[row]
        let recordMs = unsafe batch.recordTimeMs[row]
        let referenceMs = task.clock.reading.referenceMs
        if isNew {
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
        let ownMs = PartitionClock.isOdd(recordMs: recordMs) ? TimeLimit.never : recordMs
        let nowMs = referenceMs == TimeLimit.never ? ownMs : referenceMs
        let aheadMs = nowMs == TimeLimit.never ? nil : eventMs - nowMs
        task.counts.aheadMs = aheadMs ?? 0
        if isNew,
            let letter = letters.quarantinedRow(
                batch, row: row, partition: task.partition, aheadMs: aheadMs)
        {
            outgoing.append(letter)
        }
    }

    /// The start of the pane that holds a time.
    func paneOf(_ ms: Int64) -> Int64 { ms.flooredDivision(by: plan.paneMs) * plan.paneMs }

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
    /// - `afterMs`: those that start later; `nil`: none.
    private func giveUp(_ afterMs: Int64?, _ run: inout Run) {
        // What was set aside counts in the pane of the watermark: that one stays.
        guard let afterMs = afterMs.map({ max($0, run.task.clock.watermarkMs) }),
            let place = run.task.open.firstIndex(where: { $0.startMs > afterMs })
        else { return }
        let panes = run.task.open[place...]
        let rowCount = panes.reduce(0) { $0 + $1.rowCount }
        if let first = panes.first(where: { $0.rowCount > 0 }) {
            tally.setAside.add("withdrawn", count: rowCount) {
                "\(run.task.partition)@\(first.origin.firstOffset): later records contradicted its record time"
            }
        }
        tally.withdrawn += rowCount
        run.task.counts.withdrawn += rowCount
        run.task.withdrawn += panes
        run.task.open.removeSubrange(place...)
        (run.paneStartMs, run.paneId) = (.max, -1)
    }

    /// Takes rows that follow each other in the log, are in time, and belong to the pane at hand: what
    /// nearly all rows do.
    ///
    /// - Returns: the first row that has to be looked at.
    private func takeUsual(from first: Int, _ run: inout Run) -> Int {
        let (paneStartMs, paneId) = (run.paneStartMs, run.paneId)
        guard paneId >= 0, run.task.floors.isEmpty, !run.task.isEntering,
            run.task.next >= run.task.committedNext
        else { return first }
        let slot = UInt16(truncatingIfNeeded: run.task.slot)
        let end = run.task.end ?? .max
        let paneEndMs = paneStartMs + plan.paneMs
        let (earliestMs, latestMs) = (TimeLimit.earliestMs, TimeLimit.latestMs)
        let usesRecordTime = plan.eventTimeColumn == nil
        let isRow = RowTable.Fate.row.rawValue
        let (partitions, offsets) = unsafe (batch.partition, batch.offset)
        let (recordTimes, lengths) = unsafe (batch.recordTimeMs, batch.valueLengthWhole)
        let (fates, times, panes) = unsafe (rows.fate, rows.eventTimeMs, rows.pane)
        let rowCount = batch.rowCount
        var clock = run.task.clock
        var next = run.task.next
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
        run.task.clock = clock
        run.task.next = next
        let count = Int64(row - first)
        tally.records += count
        tally.rows += count
        tally.bytes += bytes
        return row
    }

    /// Offsets without a record between what was read and `offset`, the re-read part left out.
    func skipped(_ task: Task, upTo offset: Int64) -> Int64 {
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
