package import TidemarkCore
package import TidemarkDataflow

/// Stage 2 and the one unit of commit: takes sealed panes from all workers, merges and closes
/// windows by the merged watermark, publishes, and commits offsets once what they stand for was
/// acknowledged.
///
/// It is stepped, like a worker. Whoever steps it owns it.
package final class Coordinator {
    /// What a turn came to: something was done, there was nothing to do, or it is over.
    package enum Step: Equatable {
        case worked, idle, finished
    }

    private let plan: Plan
    private let start: CoordinatorStart
    private let mailbox: Mailbox
    private let controls: [WorkerControl]
    private let alignment: Alignment
    private let memory: MemoryGauge
    private let stage: any StageTwo
    private let log: any CommitLog
    private let endOffsets: () -> [Int64?]
    private let holds: () -> [SourceHold?]
    private let foreignMemberCount: () -> Int
    private let sourceHasGrown: () -> Bool
    private let side: (any SideReader)?
    private let wakeWorkers: () -> Void
    private let time: any TimeSource
    private let untilEnd: Bool

    private var slots: [PartitionSlot]
    private var book: WindowBook
    private var commit: CommitMachine
    private var watch: SourceWatch
    private var lastProgressNs = Int64.min / 2
    private var lastMemoryNs = Int64.min / 2
    private var lastSideNs = Int64.min / 2
    private var stopDeadlineNs = Int64.max
    private var hasStarted = false
    private var isStopping = false
    private var isClosing = false
    /// All partitions ended, and what was open is closed.
    private var isFinal = false
    private var isDone = false

    /// How far the run is; refreshed with every turn.
    package private(set) var progress = RunProgress()
    /// Why it ended; `nil` while it goes on, and after a good end.
    package private(set) var failure: ConnectorError?
    /// Windows that ended no longer ago than this, beside the bound, are live.
    private let liveMs: Int64 = 10_000
    /// A transaction that begins sooner after the last meets its end markers, and waits 100 ms.
    private let commitSpacingMs: Int64 = 10

    /// A coordinator that has not moved yet.
    ///
    /// Functions are asked about the source: ends and holds by slot, others in the group, new
    /// partitions.
    package init(
        plan: Plan, start: CoordinatorStart, mailbox: Mailbox, controls: [WorkerControl],
        alignment: Alignment, memory: MemoryGauge, stage: any StageTwo, log: any CommitLog,
        staleEntries: [StateEntry] = [], endOffsets: @escaping () -> [Int64?],
        holds: @escaping () -> [SourceHold?] = { [] },
        foreignMemberCount: @escaping () -> Int = { 0 },
        sourceHasGrown: @escaping () -> Bool = { false }, side: (any SideReader)? = nil,
        wakeWorkers: @escaping () -> Void, time: any TimeSource, untilEnd: Bool
    ) {
        self.holds = holds
        self.foreignMemberCount = foreignMemberCount
        self.sourceHasGrown = sourceHasGrown
        self.side = side
        self.plan = plan
        watch = SourceWatch(plan, startedMs: time.wallMs(), isToEnd: untilEnd)
        self.start = start
        self.mailbox = mailbox
        self.controls = controls
        self.alignment = alignment
        self.memory = memory
        self.stage = stage
        self.log = log
        self.endOffsets = endOffsets
        self.wakeWorkers = wakeWorkers
        self.time = time
        self.untilEnd = untilEnd
        let now = time.nowNs()
        book = WindowBook(plan.stream, start)
        commit = CommitMachine(
            plan.run, sequence: start.metadata.compactMap { $0?.sequence }.max() ?? 0,
            staleEntries: staleEntries, nowNs: now)
        slots = start.partitions.indices.map { slot in
            PartitionSlot(
                partition: start.partitions[slot],
                next: start.offsets[slot],
                lastMovedNs: now,
                floors: start.metadata[slot]?.floors ?? [])
        }
        progress.isRebuilding = zip(start.offsets, start.nexts).contains { $0 < $1 }
        progress.totals.lost = start.lost
        progress.totals.passedOver = start.passedOver
        for condition in start.conditions { watch.note(condition, nowNs: now) }
    }

    /// Commits what was read and ends; open panes are left to the re-read.
    package func stop() {
        guard !isStopping else { return }
        isStopping = true
        stopDeadlineNs = time.nowNs() + plan.run.stopWithinMs * 1_000_000
    }

    /// How long its next turn can wait when the mailbox has nothing pressing, ms.
    package var patienceMs: Int {
        guard commit.isUrgent, commit.isIdle else { return 50 }
        return Int(max(1, min(50, commitSpacingMs - commit.sinceMs(time.nowNs()))))
    }

    /// One turn: takes messages in, closes windows that are over, moves the commit on.
    package func step() -> Step {
        if isDone || failure != nil { return .finished }
        do throws(ConnectorError) {
            return try advance() ? .worked : .idle
        } catch {
            failure = error
            return .finished
        }
    }

    private func advance() throws(ConnectorError) -> Bool {
        if !hasStarted {
            hasStarted = true
            try tell(.started)
        }
        try observeSide()
        var worked = false
        if !commit.isCommitting {
            // A few at a time, so that committing gets its turn.
            for _ in 0..<256 {
                guard let message = mailbox.pop() else { break }
                worked = true
                try receive(message)
                if commit.isCommitting || isUnitFull { break }
            }
            try advanceWindows()
        }
        worked = try advanceCommit() || worked
        refreshProgress()
        try observeMemory()
        observeGrowth()
        try observeSource()
        return worked
    }

    /// Whether what is to be published, with its state, is as much as a unit of commit may hold.
    private var isUnitFull: Bool { commit.isFull(entryBytes: stage.pendingEntryBytes) }

    /// Tells the stage of something beside the rows of windows.
    ///
    /// - `isPressing`: what is said of it does not wait for the tick; else alerts alone do not.
    private func tell(_ moment: Moment, isPressing: Bool = false) throws(ConnectorError) {
        let advance = try stage.advance(moment) { commit.emit($0) }
        progress.totals.alerts += advance.alertCount
        if advance.hasSpoken { commit.hasNews = true }
        if advance.alertCount > 0 || isPressing && advance.hasSpoken { commit.isUrgent = true }
        guard advance.holdsReading, !progress.isHolding else { return }
        progress.isHolding = true
        for control in controls { control.give { $0.isHolding = true } }
    }

    // MARK: Input

    private func receive(_ message: WorkerMessage) throws(ConnectorError) {
        switch message {
        case .sealed(let slot, let paneStartMs, let sourceMs, let partial, let origin):
            // Read again though a snapshot holds it, and perhaps not from its first row.
            if book.isInSnapshot(paneStartMs) { return }
            guard book.isUnpublished(paneStartMs) else {
                // While rebuilding these were published before; later they would be lost rows.
                if !progress.isRebuilding { progress.totals.latePartials += 1 }
                return
            }
            commit.hasNews = true
            slots[slot].note(origin, ofPane: paneStartMs)
            book.add(partial, slot: slot, sourceMs: sourceMs, startMs: paneStartMs)
        case .entered(let beforeMs):
            book.note(incompleteBeforeMs: beforeMs)
        case .letters(let records):
            for record in records { commit.emit(record) }
            commit.hasNews = true
        case .progress(let told): receive(told)
        case .ended(let slot, let watermarkMs):
            slots[slot].hasEnded = true
            slots[slot].watermarkMs = watermarkMs
            if slots.allSatisfy(\.hasEnded) { isClosing = true }
        case .tally(let tally):
            progress.totals.input.add(tally)
            watch.add(tally)
        case .snapshot(let worker, let answered, let snapshots):
            for snapshot in snapshots {
                slots[snapshot.slot].snapshot = snapshot
                slots[snapshot.slot].next = max(slots[snapshot.slot].next, snapshot.next)
                slots[snapshot.slot].watermarkMs = snapshot.watermarkMs
            }
            guard commit.answer(of: worker, epoch: answered) else { return }
            try advanceWindows()
            sendUnit()
            for control in controls { control.give { $0.releasedEpoch = commit.epoch } }
        case .failed(let error):
            throw error
        }
    }

    private func receive(_ told: SlotProgress) {
        let slot = told.slot
        if told.position > slots[slot].next {
            slots[slot].next = told.position
            slots[slot].lastMovedNs = time.nowNs()
            // What is read again has arrived before.
            if told.position > start.nexts[slot] { watch.lastArrivalMs = time.wallMs() }
            commit.hasNews = true
        }
        slots[slot].watermarkMs = told.watermarkMs
        slots[slot].hopedMs = told.hopedMs
        slots[slot].referenceMs = told.referenceMs
        slots[slot].leapMs = told.leapMs
        slots[slot].counts = told.counts
    }

    // MARK: Windows

    private func advanceWindows() throws(ConnectorError) {
        // Under `--until-end` a partition that ended long ago holds nothing up.
        let watermark =
            untilEnd
            ? slots.endingWatermarkMs(idleMs: plan.stream.source.idleMs) : slots.watermarkMs
        let publishedMs = book.publishedThroughMs
        while watermark > book.mergedThroughMs {
            // What one unit can't take waits for the next: a watermark may leap over many windows.
            guard !isUnitFull else { break }
            let stepMs = book.advance(to: watermark)
            try mergePanes(endingBy: stepMs, isSettled: true)
            try closeWindows(endingBy: stepMs, complete: true)
            try tell(.reached(stepMs))
            book.publish(throughMs: stepMs)
        }
        if book.publishedThroughMs > publishedMs { dropPublishedOrigins() }
        guard watermark <= book.mergedThroughMs else { return }
        if isClosing, !isDone, commit.isIdle, !isFinal, !progress.isRebuilding {
            try closeAll()
        }
    }

    /// `isSettled`: the merged watermark has passed them, so that nothing of them is to come.
    private func mergePanes(
        endingBy watermarkMs: Int64, isSettled: Bool
    ) throws(ConnectorError) {
        while let pane = book.takePane(endingBy: watermarkMs, slots) {
            guard !pane.windows.isEmpty else {
                if !progress.isRebuilding { progress.totals.latePartials += pane.parts.count }
                continue
            }
            let targets = pane.windows.map { ($0.window, $0.size) }
            var rest = pane.parts[...]
            while let sourceMs = rest.first?.sourceMs {
                let next = rest.prefix { $0.sourceMs == sourceMs }
                stage.merge(next.map(\.partial), of: sourceMs, in: pane.startMs, into: targets)
                rest = rest.dropFirst(next.count)
            }
            guard isSettled else { continue }
            try tell(
                .paneEnded(
                    pane.parts.map(\.partial),
                    PaneArrival(
                        startMs: pane.startMs, endMs: pane.startMs + plan.stream.paneMs,
                        referenceMs: pane.referenceMs)))
        }
    }

    private func closeWindows(
        endingBy watermarkMs: Int64, complete: Bool
    ) throws(ConnectorError) {
        // While catching up, windows go with the tick: a transaction each would cost more than it
        // brings.
        let liveFromMs = time.wallMs() - liveMs - plan.stream.source.outOfOrdernessMs
        let heldBy = slots.count > 1 ? slots.slowest?.partition : nil
        let closings = book.takeClosings(
            endingBy: watermarkMs, complete: complete, heldBy: heldBy)
        for closing in closings {
            // By event time, whatever the watermark leapt over.
            if complete { try tell(.reached(closing.window.endMs)) }
            let startedNs = time.threadCPUNs()
            let tally = stage.close(closing) { commit.emit($0) }
            progress.totals.closingCPUNs += time.threadCPUNs() - startedNs
            progress.add(tally)
            commit.hasNews = true
            if closing.window.endMs >= liveFromMs || tally.alerts > 0 { commit.isUrgent = true }
        }
    }

    /// All partitions ended: what is still open is published as incomplete, and forgotten by the
    /// commit, which leaves the low-water before it.
    private func closeAll() throws(ConnectorError) {
        try mergePanes(endingBy: .max, isSettled: false)
        book.end()
        try closeWindows(endingBy: .max, complete: false)
        isFinal = true
        commit.hasNews = true
    }

    private func dropPublishedOrigins() {
        for slot in slots.indices {
            slots[slot].origins = slots[slot].origins.filter { startMs, _ in
                book.isUnpublished(startMs)
            }
        }
    }

    // MARK: Commit

    /// - Returns: whether something moved.
    private func advanceCommit() throws(ConnectorError) -> Bool {
        if let unit = commit.unit { return try advance(unit) }
        guard commit.isIdle else { return false }
        if progress.isRebuilding {
            // A commit now would go backwards. What is published meanwhile waits for the first.
            progress.isRebuilding = zip(slots, start.nexts).contains { $0.next < $1 }
            if progress.isRebuilding {
                isDone = isStopping
                return false
            }
        }
        if isFinal, !commit.hasNews {
            isDone = true
            return true
        }
        guard isCommitDue else { return false }
        beginBarrier()
        return true
    }

    private var isCommitDue: Bool {
        let sinceMs = commit.sinceMs(time.nowNs())
        if isFinal || isStopping || isUnitFull || sinceMs >= plan.run.heartbeatMs
            || (commit.isUrgent && sinceMs >= commitSpacingMs)
        {
            return true
        }
        guard sinceMs >= plan.run.commitMs, !isWindowDue else { return false }
        // Floors go with news, too: on a busy stream there is no tick without.
        return proposeFloors() || commit.hasNews
    }

    /// Moves the unit that is on its way on.
    private func advance(_ unit: CommitUnit) throws(ConnectorError) -> Bool {
        guard try log.commit(unit, waitMs: 10) else {
            guard time.nowNs() < stopDeadlineNs else {
                throw ConnectorError(
                    .retriable,
                    "the last commit did not finish within \(plan.run.stopWithinMs) ms of the"
                        + " request to stop; the next start does it again")
            }
            return false
        }
        progress.totals.commits += 1
        commit.finish(nowNs: time.nowNs())
        progress.unitBytesMax = commit.unitBytesMax
        progress.lastUnitMs = commit.lastUnitMs
        for control in controls {
            control.give {
                $0.committedEpoch = commit.epoch
                $0.floors = [:]
            }
        }
        for slot in slots.indices { slots[slot].snapshot = nil }
        if isStopping || isFinal { isDone = true }
        return true
    }

    /// A window is about to end on the wall clock, or just did: what is committed goes with it.
    ///
    /// Where ticks are as long as windows a tick may fall there: the window's results would then wait for
    /// its transaction, and for the markers that end it.
    private var isWindowDue: Bool {
        guard !untilEnd, let endMs = book.calendar.nextEndMs(after: book.mergedThroughMs) else {
            return false
        }
        let sinceMs = time.wallMs() - endMs - plan.stream.source.outOfOrdernessMs
        return -20 <= sinceMs && sinceMs < 100
    }

    private func beginBarrier() {
        commit.beginBarrier(workerCount: controls.count)
        let isLast = isFinal || isStopping
        for control in controls {
            control.give {
                $0.barrierEpoch = commit.epoch
                $0.floors = commit.proposedFloors
                $0.isLast = isLast
            }
        }
        wakeWorkers()
    }

    /// Sends everything off that was published and decided so far, with the positions of all partitions.
    private func sendUnit() {
        let takesSnapshot =
            !isFinal && plan.mayNeedSnapshots
            && book.rereadSpanMs(slots) > plan.limits.maxRereadMs
        var entries = stage.takeEntries(
            epoch: start.stateEpoch, settledMs: book.settledMs(takesSnapshot: takesSnapshot))
        if takesSnapshot { entries += takeSnapshot() }
        commit.send(entries: entries, offsets: positions(), nowNs: time.nowNs())
    }

    private func takeSnapshot() -> [StateEntry] {
        let entries = stage.snapshot(
            book.takeSnapshot(), throughMs: book.mergedThroughMs, epoch: start.stateEpoch)
        progress.totals.snapshots += 1
        progress.totals.snapshotBytes += entries.reduce(0) { $0 + ($1.value?.count ?? 0) }
        return entries
    }

    private func positions() -> [CommittedOffset] {
        let sequence = commit.nextSequence()
        return slots.indices.map { index in
            guard let snapshot = slots[index].snapshot else {
                preconditionFailure("every partition belongs to a worker that answered")
            }
            let next = snapshot.next
            let (low, clock) = lowWater(slots[index], snapshot)
            if let floorMs = snapshot.pendingFloorMs {
                slots[index].record(floorMs: floorMs, at: next)
                progress.totals.floorsRecorded += 1
            }
            if isFinal, slots[index].watermarkMs < book.mergedThroughMs {
                slots[index].record(floorMs: book.mergedThroughMs, at: next)
                progress.totals.floorsRecorded += 1
            }
            slots[index].dropFloors(before: low)
            let metadata = CommitMetadata(
                applicationHash: start.applicationHash, clusterHash: start.clusterHash,
                dataHash: start.dataHash, next: next, low: low, clock: clock,
                publishedThroughMs: book.publishedThroughMs,
                incompleteThroughMs: book.incompleteThroughMs,
                incompleteRev: book.incompleteRev, enteredBeforeMs: book.incompleteBeforeMs,
                stateEpoch: start.stateEpoch, sequence: sequence,
                snapshotThroughMs: book.snapshotThroughMs, floors: slots[index].floors)
            return CommittedOffset(
                partition: slots[index].partition, next: next, metadata: metadata.encoded())
        }
    }

    /// Where a restart begins to read a partition: the first row of what is not published.
    private func lowWater(
        _ slot: PartitionSlot, _ snapshot: SlotSnapshot
    ) -> (offset: Int64, clock: PartitionClock.Reading) {
        var (low, clock) = (snapshot.next, snapshot.clock)
        for (startMs, origin) in slot.origins
        where origin.firstOffset < low && !book.isInSnapshot(startMs)
            && book.isUnpublished(startMs)
        {
            (low, clock) = (origin.firstOffset, origin.clock)
        }
        for (startMs, origin) in snapshot.openPanes
        where origin.firstOffset < low && book.isUnpublished(startMs) {
            (low, clock) = (origin.firstOffset, origin.clock)
        }
        return (low, clock)
    }

    /// Proposes a floor for each partition that was read to its end and stayed quiet for `idle`.
    private func proposeFloors() -> Bool {
        guard !untilEnd, let idleMs = plan.stream.source.idleMs else { return false }
        let (floors, forced) = slots.idleFloors(
            ends: endOffsets(), holds: holds(), nowNs: time.nowNs(), wallMs: time.wallMs(),
            idleMs: idleMs, holdMs: plan.stream.source.holdMs,
            outOfOrdernessMs: plan.stream.source.outOfOrdernessMs, paneMs: plan.stream.paneMs)
        commit.proposedFloors = floors
        for index in forced {
            // What it holds back will be late: windows that go on without it are not whole.
            book.note(incompleteBeforeMs: floors[index] ?? TimeLimit.never)
            progress.totals.forcedFloors += 1
        }
        return !floors.isEmpty
    }

    // MARK: Beside the rows

    /// Weighs what is held, twenty times a second.
    ///
    /// Above its part of the limit partitions wait for the slowest one; what outgrows the whole limit
    /// all the same ends the run before the system does.
    private func observeMemory() throws(ConnectorError) {
        let now = time.nowNs()
        guard now - lastMemoryNs >= 50_000_000 else { return }
        lastMemoryNs = now
        let total = memory.set(
            controls.count, bytes: stage.byteCount + book.pendingBytes + commit.byteCount)
        progress.stateByteCount = total
        progress.isOverMemory = memory.isOver
        guard total > plan.limits.memoryBytes else { return }
        throw ConnectorError(
            .environment,
            "open panes and windows take \(total >> 20) MiB, more than limits.memory"
                + " (\(plan.limits.memoryBytes >> 20) MiB) has for everything",
            hint: "a smaller `limit` of groups, fewer columns or shorter windows; or a greater"
                + " limits.memory: tidemark plan says how many groups it holds")
    }

    /// Ends the engine, committed, when there are new partitions: the next one begins with them.
    ///
    /// A run to the end of the input reads only those that were there at the start.
    private func observeGrowth() {
        guard !untilEnd, !isStopping, !progress.isRebuilding, sourceHasGrown() else { return }
        progress.hasGrown = true
        stop()
    }

    /// Tells the stage what topics beside the source have; not while a unit is on its way, which it would not be in.
    private func observeSide() throws(ConnectorError) {
        guard let side, !commit.isCommitting else { return }
        let now = time.nowNs()
        guard now - lastSideNs >= 250_000_000 else { return }
        lastSideNs = now
        let records = try side.poll()
        guard !records.isEmpty else { return }
        try tell(.sideRecords(records))
        commit.hasNews = true
    }

    /// Tells the stage what is seen of the source; what comes of it does not wait for the tick.
    private func observeSource() throws(ConnectorError) {
        let now = time.nowNs()
        if !progress.isHolding, !commit.isCommitting {
            do throws(ConnectorError) {
                try tell(.intake(watch.takeIntake(wallMs: time.wallMs())), isPressing: true)
            } catch {
                // A run that ends for what it read reads no more, either.
                progress.isHolding = true
                throw error
            }
        }
        let isReading = !untilEnd && !progress.isHolding && !isStopping && !commit.isCommitting
        // With lag there is something to arrive; the broker, not the source, holds it back.
        if isReading, !progress.isRebuilding, watch.isArrivalDue(now), progress.lag == 0 {
            try tell(.caughtUp(watch.arrival(wallMs: time.wallMs())), isPressing: true)
        }
        guard watch.isDue(now) || isDone else { return }
        let found = watch.observe(
            slots, progress.totals.input, holds: holds(), foreignMemberCount: foreignMemberCount(),
            nowNs: now, isRebuilding: progress.isRebuilding)
        progress.conditions = found
        guard isReading, !progress.isHolding else { return }
        try tell(.conditions(found, nowMs: time.wallMs()), isPressing: true)
    }

    // MARK: Progress

    private func refreshProgress() {
        let now = time.nowNs()
        guard now - lastProgressNs >= 10_000_000 || isDone else { return }
        lastProgressNs = now
        progress.watermarkMs = book.mergedThroughMs
        progress.commitTrouble = log.trouble
        progress.openWindows = book.openCount
        progress.openPanes = book.paneCount
        let ends = endOffsets()
        progress.lag = slots.lag(to: ends)
        progress.positions = slots.map(\.next)
        let held = holds()
        alignment.setHolds { index in
            if slots[index].hasEnded { return false }
            // Its rows are still to come: the others do not run far ahead of them.
            if [PartitionSlot].hold(held, index) != nil { return true }
            if index < ends.count, let end = ends[index] { return slots[index].next < end }
            return true
        }
        let slowest = slots.slowest
        progress.heldBy = slowest?.partition
        if let slowest, slowest.watermarkMs != TimeLimit.never {
            progress.heldMs = slots.furthestMs - slowest.watermarkMs
        }
    }
}
