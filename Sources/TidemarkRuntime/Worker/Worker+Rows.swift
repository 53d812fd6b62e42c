import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// The rows of one partition that follow each other in a frame, while it is decided what becomes of them.
struct RowRun {
    /// The partition, taken out of the worker meanwhile.
    var task: PartitionTask
    var tally: WorkerTally
    var outgoing: [OutputRecord]
    /// The pane at hand, to which nearly all rows belong; -1: none.
    var paneId: Int32 = -1
    var paneStartMs = Int64.max

    init(_ task: PartitionTask, _ tally: WorkerTally, _ outgoing: [OutputRecord]) {
        self.task = task
        self.tally = tally
        self.outgoing = outgoing
    }

    /// Gives up panes of a contradicted leap; the pane at hand may be one.
    mutating func giveUp(_ afterMs: Int64?) {
        if task.giveUp(afterMs, &tally) { (paneStartMs, paneId) = (.max, -1) }
    }
}

/// A row with what is known of it before its fate is decided.
struct RowAtHand {
    /// Its place in the frame.
    var row: Int
    /// Its record's place in the batch.
    var record: Int
    /// The first of its record's rows.
    var isFirst: Bool
    /// The record is read again after a restart: it was counted.
    var isReread: Bool
    var recordMs: Int64
    /// Of a row: its event time.
    var eventMs: Int64
}

extension Worker {
    /// Decides on the rows from `first` on that belong to one partition.
    ///
    /// - Returns: the row after them.
    func processRun(
        from first: Int, place: Int, _ tally: inout WorkerTally, _ outgoing: inout [OutputRecord]
    ) -> Int {
        var run = RowRun(tasks[place], tally, outgoing)
        // Held once, so that nothing is copied where it grows.
        (tally, outgoing) = (WorkerTally(), [])
        run.task.isTouched = true
        let refusedLeaps = run.task.clock.refusedLeapCount
        let slot = UInt16(truncatingIfNeeded: run.task.slot)
        var row = first
        while row < rows.map.rowCount {
            guard unsafe batch.partition[rows.map.record(of: row)] == slot else { break }
            if rows.map.isOneToOne {
                row = takeUsual(from: row, &run)
                guard row < rows.map.rowCount, unsafe batch.partition[row] == slot else { break }
            }
            decide(row, &run)
            row += 1
        }
        run.tally.refusedLeaps += run.task.clock.refusedLeapCount - refusedLeaps
        (tasks[place], tally, outgoing) = (run.task, run.tally, run.outgoing)
        return row
    }

    /// Decides what becomes of one row, and counts it.
    private func decide(_ row: Int, _ run: inout RowRun) {
        let record = rows.map.record(of: row)
        let offset = unsafe batch.offset[record]
        let isFirst = rows.map.place(of: row) == 0
        unsafe rows.pane[row] = -1
        if let end = run.task.end, offset >= end {
            unsafe rows.fate[row] = RowTable.Fate.beyondEnd.rawValue
            if isFirst { run.tally.beyondEnd += 1 }
            return
        }
        var hand = RowAtHand(
            row: row, record: record, isFirst: isFirst,
            isReread: offset < run.task.committedNext,
            recordMs: unsafe batch.recordTimeMs[record], eventMs: 0)
        if isFirst { begin(hand, offset, &run) }
        var fate = RowTable.Fate(rawValue: unsafe rows.fate[row]) ?? .deadLetter
        var reason: DeadLetterReason?
        if fate == .row || fate == .filteredOut || fate == .filteredNull {
            if plan.eventTimeColumn == nil { unsafe rows.eventTimeMs[row] = hand.recordMs }
            hand.eventMs = unsafe rows.eventTimeMs[row]
            if hand.eventMs < TimeLimit.earliestMs || hand.eventMs > TimeLimit.latestMs {
                fate = .deadLetter
                reason = DeadLetterReason(
                    DeadLetterReason.eventTimeOutOfRange, plan.outOfRange(hand.eventMs))
            }
        }
        switch fate {
        case .tombstone: passOver(hand, &run)
        case .deadLetter: setAside(hand, reason, &run)
        case .filteredOut, .filteredNull:
            _ = admit(hand, &run)
            if hand.isReread { break }
            if fate == .filteredOut {
                run.tally.filteredOut += 1
            } else {
                run.tally.filteredNull += 1
            }
        default: fate = take(hand, &run)
        }
        unsafe rows.fate[row] = fate.rawValue
    }

    /// Takes note of a record, at the first of its rows.
    private func begin(_ hand: RowAtHand, _ offset: Int64, _ run: inout RowRun) {
        run.tally.skipped += run.task.begin(offset: offset)
        guard !hand.isReread else {
            run.tally.reread += 1
            return
        }
        run.tally.records += 1
        run.tally.bytes += unsafe batch.valueLengthWhole[hand.record]
        if PartitionClock.isOdd(recordMs: hand.recordMs) { run.tally.oddTimes += 1 }
    }

    /// Asks the partition's clock about a row.
    private func admit(_ hand: RowAtHand, _ run: inout RowRun) -> PartitionClock.Admission {
        guard hand.isFirst else {
            return run.task.clock.admitFurther(eventMs: hand.eventMs, recordMs: hand.recordMs)
        }
        let verdict = run.task.clock.admit(eventMs: hand.eventMs, recordMs: hand.recordMs)
        run.giveUp(verdict.withdrawnMs)
        return verdict.admission
    }

    /// A record without a value, or the header of a file.
    private func passOver(_ hand: RowAtHand, _ run: inout RowRun) {
        if hand.isFirst { run.giveUp(run.task.clock.observe(recordMs: hand.recordMs)) }
        guard !hand.isReread else { return }
        run.tally.tombstones += 1
        if unsafe batch.valueLength[hand.record] >= 0 { run.tally.headers += 1 }
    }

    /// A record that cannot be read, or a row without an event time of use.
    private func setAside(
        _ hand: RowAtHand, _ known: DeadLetterReason?, _ run: inout RowRun
    ) {
        if hand.isFirst { run.giveUp(run.task.clock.observe(recordMs: hand.recordMs)) }
        guard !hand.isReread else { return }
        run.tally.deadLetters += 1
        let reason = known ?? stage.deadLetterReason(batch, row: hand.row)
        let partition = run.task.partition
        run.tally.setAside.add(reason.name) {
            "\(letters.place(batch, record: hand.record, partition: partition)): \(reason.detail)"
        }
        guard run.task.needsLetter(.deadLetter) else { return }
        run.outgoing.append(
            letters.deadLetter(batch, record: hand.record, partition: partition, reason: reason))
    }

    /// Gives a row its pane, where its time allows it.
    private func take(_ hand: RowAtHand, _ run: inout RowRun) -> RowTable.Fate {
        let sealedMs = run.task.clock.watermarkMs
        if run.task.isEntering {
            run.task.isEntering = false
            post(.entered(beforeMs: hand.eventMs + plan.source.outOfOrdernessMs))
        }
        switch admit(hand, &run) {
        case .inTime:
            takeInTime(hand, &run)
            return .row
        case .late where calendar.lastEndMs(of: hand.eventMs) > paneOf(sealedMs):
            unsafe rows.pane[hand.row] = takeLate(hand.eventMs, sealedMs, &run.task)
            if !hand.isReread { run.tally.rows += 1 }
            if calendar.firstEndMs(of: hand.eventMs) <= paneOf(sealedMs) {
                if !hand.isReread { run.tally.lateForSome += 1 }
                run.task.counts.late += 1
            }
            return .row
        case .late:
            countLate(hand, sealedMs, &run)
            return .late
        case .quarantined:
            countQuarantined(hand, sealedMs, &run)
            return .quarantined
        }
    }

    private func takeInTime(_ hand: RowAtHand, _ run: inout RowRun) {
        if !hand.isReread { run.tally.rows += 1 }
        let eventMs = hand.eventMs
        if eventMs < run.paneStartMs || eventMs >= run.paneStartMs + plan.paneMs {
            run.paneStartMs = paneOf(eventMs)
            run.paneId = openPane(&run.task, run.paneStartMs)
        }
        unsafe rows.pane[hand.row] = run.paneId
        run.task.countRow(run.paneStartMs)
    }

    /// A row whose windows are all over.
    private func countLate(_ hand: RowAtHand, _ sealedMs: Int64, _ run: inout RowRun) {
        let partition = run.task.partition
        run.task.counts.late += 1
        if !hand.isReread {
            run.tally.late += 1
            run.tally.setAside.add("late") {
                "\(letters.place(batch, record: hand.record, partition: partition)): event time \(hand.eventMs) ms, watermark \(sealedMs) ms"
            }
        }
        countInOldestPane(hand, sealedMs, &run.task)
        guard sealedMs != TimeLimit.never, !hand.isReread, run.task.needsLetter(.late),
            let letter = letters.lateRow(
                batch, record: hand.record, partition: partition,
                windowStartMs: calendar.sliceStartMs(of: hand.eventMs))
        else { return }
        run.outgoing.append(letter)
    }

    /// A row too far ahead of the reference clock.
    private func countQuarantined(
        _ hand: RowAtHand, _ sealedMs: Int64, _ run: inout RowRun
    ) {
        let partition = run.task.partition
        let referenceMs = run.task.clock.reading.referenceMs
        let (eventMs, recordMs) = (hand.eventMs, hand.recordMs)
        if !hand.isReread {
            run.tally.quarantined += 1
            run.tally.setAside.add("quarantined") {
                let aheadMs = eventMs.subtractingReportingOverflow(referenceMs)
                return
                    "\(letters.place(batch, record: hand.record, partition: partition)): event time \(eventMs) ms,"
                    + (aheadMs.overflow
                        ? " record time \(recordMs) ms"
                        : " \(aheadMs.partialValue) ms ahead of the reference clock")
            }
        }
        run.task.counts.quarantined += 1
        // Before there is a reference clock the record's own time is what it is ahead of.
        let ownMs = PartitionClock.isOdd(recordMs: recordMs) ? TimeLimit.never : recordMs
        let nowMs = referenceMs == TimeLimit.never ? ownMs : referenceMs
        let aheadMs = nowMs == TimeLimit.never ? nil : eventMs - nowMs
        run.task.counts.aheadMs = aheadMs ?? 0
        if !hand.isReread, run.task.needsLetter(.quarantined),
            let letter = letters.quarantinedRow(
                batch, record: hand.record, partition: partition, aheadMs: aheadMs)
        {
            run.outgoing.append(letter)
        }
        countInOldestPane(hand, sealedMs, &run.task)
    }

    /// What was set aside counts in the oldest pane that is still open: its own has left.
    private func countInOldestPane(
        _ hand: RowAtHand, _ sealedMs: Int64, _ task: inout PartitionTask
    ) {
        guard sealedMs != TimeLimit.never else { return }
        unsafe rows.pane[hand.row] = openPane(&task, paneOf(sealedMs))
    }

    /// The start of the pane that holds a time.
    private func paneOf(_ ms: Int64) -> Int64 { ms.flooredDivision(by: plan.paneMs) * plan.paneMs }

    /// Where a row counts whose pane is sealed, and of which a window is open: in the pane of the watermark
    /// where that lies in the same windows, else beside it.
    private func takeLate(
        _ eventMs: Int64, _ watermarkMs: Int64, _ task: inout PartitionTask
    ) -> Int32 {
        let currentMs = paneOf(watermarkMs)
        guard calendar.sliceStartMs(of: eventMs) != calendar.sliceStartMs(of: currentMs) else {
            return openPane(&task, currentMs)
        }
        // Steps of lengths that it is too late for divide nothing.
        let sliceMs = calendar.sliceStartMs(of: eventMs, endingAfterMs: currentMs)
        return openPane(&task, sliceMs, dueMs: currentMs)
    }

    /// The pane that is open for rows of `startMs`, or (`dueMs`) for those that came late in a later one.
    private func openPane(
        _ task: inout PartitionTask, _ startMs: Int64, dueMs: Int64? = nil
    ) -> Int32 {
        let found = task.findPane(startMs: startMs, dueMs: dueMs ?? startMs)
        if let id = found.id { return id }
        let id = takePaneId()
        stage.open(
            pane: Int(id), startMs: startMs, arrivalMs: dueMs, partition: task.partition)
        task.open.insert(
            PartitionTask.OpenPane(
                startMs: startMs, dueMs: dueMs ?? startMs, id: id, origin: task.origin),
            at: found.place)
        return id
    }

    /// Takes rows that follow each other in the log, are in time, and belong to the pane at hand: what
    /// nearly all rows do.
    ///
    /// - Returns: the first row that has to be looked at.
    private func takeUsual(from first: Int, _ run: inout RowRun) -> Int {
        let (paneStartMs, paneId) = (run.paneStartMs, run.paneId)
        guard paneId >= 0, run.task.floors.isEmpty, !run.task.isEntering,
            run.task.next >= run.task.committedNext
        else { return first }
        let followers = unsafe Followers(
            partition: batch.partition, fate: rows.fate, offset: batch.offset,
            slot: UInt16(truncatingIfNeeded: run.task.slot),
            firstOffset: run.task.next &- Int64(first))
        let records = unsafe batch.recordTimeMs
        let events = unsafe plan.eventTimeColumn == nil ? records : rows.eventTimeMs
        let bounds = UsualTimes(
            fromMs: max(paneStartMs, TimeLimit.earliestMs),
            toMs: min(paneStartMs + plan.paneMs - 1, TimeLimit.latestMs))
        let left = max(0, (run.task.end ?? .max) - run.task.next)
        let limit = first + Int(min(left, Int64(rows.map.rowCount - first)))
        var row = first
        while row < limit {
            let count = min(followersAtOnce, limit - row)
            let admitted = unsafe run.task.clock.admitUsual(
                eventMs: events + row, recordMs: records + row,
                count: followers.count(from: row, max: count), bounds)
            row += admitted
            if admitted < count { break }
        }
        let count = row - first
        if plan.eventTimeColumn == nil {
            unsafe (rows.eventTimeMs + first).update(from: records + first, count: count)
        }
        unsafe (rows.pane + first).update(repeating: paneId, count: count)
        var bytes: Int64 = 0
        for place in first..<row { unsafe bytes &+= batch.valueLengthWhole[place] }
        run.task.next += Int64(count)
        run.tally.records += Int64(count)
        run.tally.rows += Int64(count)
        run.tally.bytes += bytes
        return row
    }
}

/// So many rows are looked at together.
private let followersAtOnce = 16

/// Rows of one partition whose records follow each other in the log without a gap.
@unsafe
private struct Followers {
    let partition: UnsafePointer<UInt16>
    let fate: UnsafePointer<UInt8>
    let offset: UnsafePointer<Int64>
    let slot: UInt16
    /// What the offset of row 0 would be.
    let firstOffset: Int64

    /// How many rows, from `row` on and of at most `max`, are such rows.
    @inline(__always)
    func count(from row: Int, max: Int) -> Int {
        let isRow = RowTable.Fate.row.rawValue
        if max == followersAtOnce {
            // Nearly always all of them, which is known without a branch a row.
            var (odd, oddOffset) = (UInt16(0), Int64(0))
            for place in row..<(row &+ followersAtOnce) {
                unsafe odd |= (partition[place] ^ slot) | UInt16(fate[place] ^ isRow)
                unsafe oddOffset |= offset[place] ^ (firstOffset &+ Int64(place))
            }
            if odd == 0 && oddOffset == 0 { return max }
        }
        var count = 0
        while count < max {
            let place = row &+ count
            guard unsafe partition[place] == slot && fate[place] == isRow,
                unsafe offset[place] == firstOffset &+ Int64(place)
            else { break }
            count &+= 1
        }
        return count
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
