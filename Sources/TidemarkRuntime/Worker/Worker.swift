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

    /// Its place among the workers, from 0.
    package let index: Int
    let plan: StreamPlan
    let calendar: WindowCalendar
    private let reader: any SourceReader
    let stage: any StageOne
    let letters: any LetterWriter
    private let mailbox: Mailbox
    private let control: WorkerControl
    private let alignment: Alignment
    private let memory: MemoryGauge
    private let untilEnd: Bool
    let batch: RecordBatch
    let rows: RowTable
    var tasks: [PartitionTask]
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
        batch = RecordBatch(recordCountMax: batchRows, arenaCapacity: 1 << 20)
        rows = RowTable(rowCountMax: batchRows)
        places = Array(repeating: -1, count: slotCount)
        tasks = starts.map { start in
            PartitionTask(
                start,
                clock: PartitionClock(
                    boundMs: plan.source.outOfOrdernessMs, skewMs: plan.source.skewMs,
                    paneMs: plan.paneMs, fixedReferenceMs: fixedReferenceMs, reading: start.clock))
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
        if batch.recordCount > 0 { process() }
        memory.set(index, bytes: stage.byteCount)
        updatePositions()
        return batch.recordCount > 0 ? .worked : .idle
    }

    func post(_ message: WorkerMessage) { posted.append(message) }

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

    private func snapshot(_ task: PartitionTask) -> SlotSnapshot {
        SlotSnapshot(
            slot: task.slot, next: task.next, clock: task.clock.reading,
            watermarkMs: task.clock.watermarkMs,
            openPanes: task.open.map { ($0.dueMs, $0.origin) },
            pendingFloorMs: task.pendingFloorMs)
    }

    // MARK: One batch

    private func process() {
        var tally = WorkerTally()
        var outgoing: [OutputRecord] = []
        var cursor = RecordCursor.start
        while cursor.record < batch.recordCount {
            cursor = stage.decode(batch, from: cursor, into: rows)
            var row = 0
            while row < rows.map.rowCount {
                let slot = Int(unsafe batch.partition[rows.map.record(of: row)])
                row = processRun(from: row, place: places[slot], &tally, &outgoing)
            }
            stage.fold(batch, rows: rows)
            countOdd(&tally)
        }
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

    /// Counts rows that lack what their group or an expression needs.
    private func countOdd(_ tally: inout WorkerTally) {
        func task(_ record: Int) -> Int { places[Int(unsafe batch.partition[record])] }
        stage.countUngrouped(
            rows,
            isNew: { unsafe batch.offset[$0] >= tasks[task($0)].committedNext },
            into: &tally.ungrouped,
            example: { record in
                letters.place(batch, record: record, partition: tasks[task(record)].partition)
            })
        stage.countUndefined(
            rows,
            isNew: { unsafe batch.offset[$0] >= tasks[task($0)].committedNext },
            into: &tally.undefined,
            example: { record in
                letters.place(batch, record: record, partition: tasks[task(record)].partition)
            })
    }

    /// A number for a pane that opens.
    func takePaneId() -> Int32 {
        if let free = freePanes.popLast() { return free }
        defer { paneCount += 1 }
        return paneCount
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
                tally.skipped = tasks[place].skipped(upTo: position)
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
