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

    private enum Commit {
        case none
        /// Waits for the snapshots of these workers, which park until all have answered: what stands
        /// in the mailbox then is what the snapshots stand for, no more.
        case barrier(epoch: Int, missing: Set<Int>)
        /// On its way.
        case committing(epoch: Int, CommitUnit)
    }

    private let plan: Plan
    private let calendar: WindowCalendar
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
    private let wakeWorkers: () -> Void
    private let time: any TimeSource
    private let untilEnd: Bool

    private var slots: [PartitionSlot]
    private var pending = PendingPanes()
    /// Windows that hold a pane, and the greatest reference clock at the first rows of its panes.
    private var openWindows: [OpenWindow: Int64] = [:]
    private var publishedThroughMs: Int64
    private var mergedThroughMs: Int64
    /// Panes that end by then are in the snapshot that the next offsets speak of.
    private var snapshotThroughMs: Int64
    private var incompleteThroughMs: Int64
    private var incompleteRev: Int
    /// What earlier processes published as incomplete: a window that ends by then gets the next
    /// `rev`.
    private let earlierIncompleteThroughMs: Int64
    private let earlierIncompleteRev: Int
    /// Windows that start before this lack rows, since a partition was entered inside its log.
    private var incompleteBeforeMs: Int64
    /// What the next unit of commit publishes.
    private var outbox: [OutputRecord] = []
    private var outboxBytes = 0
    /// Bytes of the unit that is on its way.
    private var unitBytes = 0
    /// Tombstones of entries of earlier state epochs, for the first commit.
    private var staleEntries: [StateEntry]
    private var sequence: Int
    private var commit = Commit.none
    private var epoch = 0
    private var lastCommitNs: Int64
    private var lastProgressNs = Int64.min / 2
    private var hasNews = false
    /// A window that just ended was closed, or an alert fires: they do not wait for the tick.
    private var isUrgent = false
    private var isStopping = false
    private var isClosing = false
    private var isDone = false

    /// How far the run is; refreshed with every turn.
    package private(set) var progress = RunProgress()
    /// Why it ended; `nil` while it goes on, and after a good end.
    package private(set) var failure: ConnectorError?
    /// Windows that ended no longer ago than this, beside the bound, are live.
    private let liveMs: Int64 = 10_000
    /// A transaction that begins sooner after the last meets its end markers, and waits 100 ms.
    private let commitSpacingMs: Int64 = 10
    private let maxAgeMs: Int64

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
        sourceHasGrown: @escaping () -> Bool = { false },
        wakeWorkers: @escaping () -> Void, time: any TimeSource, untilEnd: Bool
    ) {
        self.holds = holds
        self.foreignMemberCount = foreignMemberCount
        self.sourceHasGrown = sourceHasGrown
        self.plan = plan
        watch = SourceWatch(
            skewMs: plan.stream.source.skewMs, idleMs: plan.stream.source.idleMs)
        unitBytesMax = min(plan.run.unitBytesMax, RunSettings.unitBytesFirst)
        calendar = WindowCalendar(windows: plan.stream.windows, paneMs: plan.stream.paneMs)
        self.start = start
        self.mailbox = mailbox
        self.controls = controls
        self.alignment = alignment
        self.memory = memory
        self.stage = stage
        self.log = log
        self.staleEntries = staleEntries
        hasNews = !staleEntries.isEmpty
        self.endOffsets = endOffsets
        self.wakeWorkers = wakeWorkers
        self.time = time
        self.untilEnd = untilEnd
        let now = time.nowNs()
        lastCommitNs = now
        let known = start.metadata.compactMap(\.self)
        publishedThroughMs = known.map(\.publishedThroughMs).max() ?? TimeLimit.never
        snapshotThroughMs = start.snapshotThroughMs
        mergedThroughMs = max(publishedThroughMs, snapshotThroughMs)
        incompleteThroughMs = known.map(\.incompleteThroughMs).max() ?? TimeLimit.never
        incompleteRev = known.map(\.incompleteRev).max() ?? 0
        incompleteBeforeMs = max(
            known.map(\.enteredBeforeMs).max() ?? TimeLimit.never, start.incompleteBeforeMs)
        for window in start.windows {
            openWindows[OpenWindow(window: window.window, size: window.size)] =
                window.referenceMs
        }
        poison = PoisonGauge(plan.limits, untilEnd: untilEnd)
        // A silence that was said goes on through a restart; another one is measured from here.
        lastArrivalMs = stage.silentSinceMs ?? time.wallMs()
        sequence = known.map(\.sequence).max() ?? 0
        earlierIncompleteThroughMs = incompleteThroughMs
        earlierIncompleteRev = incompleteRev
        maxAgeMs = plan.stream.monitors.map(\.maxAgeMs).max() ?? 3_600_000
        slots = start.partitions.indices.map { slot in
            PartitionSlot(
                partition: start.partitions[slot],
                next: start.offsets[slot],
                lastMovedNs: now,
                floors: start.metadata[slot]?.floors ?? [])
        }
        progress.isRebuilding = zip(start.offsets, start.nexts).contains { $0 < $1 }
        stage.resolveAbandoned { emit($0) }
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

    private var stopDeadlineNs = Int64.max
    private var poison: PoisonGauge
    private var watch: SourceWatch
    private var lastWatchNs = Int64.min / 2
    private var lastArrivalMs: Int64
    private var lastSilenceNs = Int64.min / 2

    /// How long its next turn can wait when the mailbox has nothing pressing, ms.
    package var patienceMs: Int {
        guard isUrgent, case .none = commit else { return 50 }
        let sinceMs = (time.nowNs() - lastCommitNs) / 1_000_000
        return Int(max(1, min(50, commitSpacingMs - sinceMs)))
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
        var worked = false
        if !isCommitting {
            // A few at a time, so that committing gets its turn.
            for _ in 0..<256 {
                guard let message = mailbox.pop() else { break }
                worked = true
                try receive(message)
                if isCommitting || isUnitFull { break }
            }
            advanceWindows()
        }
        worked = try advanceCommit() || worked
        refreshProgress()
        try observeMemory()
        observeGrowth()
        try observePoison()
        observeRelief()
        observeSilence()
        observeSource()
        return worked
    }

    private var isCommitting: Bool {
        if case .committing = commit { return true }
        return false
    }

    /// Whether what is to be published, with its state, is as much as a unit of commit may hold.
    private var isUnitFull: Bool {
        outboxBytes + stage.pendingEntryBytes >= unitBytesMax
    }

    private func emit(_ record: OutputRecord) {
        outboxBytes += record.byteCount
        outbox.append(record)
    }

    // MARK: Input

    private func receive(_ message: WorkerMessage) throws(ConnectorError) {
        switch message {
        case .sealed(let slot, let paneStartMs, let sourceMs, let partial, let origin):
            // Read again though a snapshot holds it, and perhaps not from its first row.
            if isInSnapshot(paneStartMs) { return }
            if unpublishedWindows(of: paneStartMs).isEmpty {
                // While rebuilding these were published before; later they would be lost rows.
                if !progress.isRebuilding { progress.totals.latePartials += 1 }
                return
            }
            hasNews = true
            slots[slot].note(origin, ofPane: paneStartMs)
            pending.add(partial, slot: slot, sourceMs: sourceMs, startMs: paneStartMs)
            pendingBytes += partial.byteCount
        case .entered(let beforeMs):
            incompleteBeforeMs = max(incompleteBeforeMs, beforeMs)
        case .letters(let records):
            for record in records { emit(record) }
            hasNews = true
        case .progress(let told):
            let slot = told.slot
            if told.position > slots[slot].next {
                slots[slot].next = told.position
                slots[slot].lastMovedNs = time.nowNs()
                // What is read again has arrived before.
                if told.position > start.nexts[slot] { lastArrivalMs = time.wallMs() }
                hasNews = true
            }
            slots[slot].watermarkMs = told.watermarkMs
            slots[slot].hopedMs = told.hopedMs
            slots[slot].referenceMs = told.referenceMs
            slots[slot].leapMs = told.leapMs
            slots[slot].counts = told.counts
        case .ended(let slot, let watermarkMs):
            slots[slot].hasEnded = true
            slots[slot].watermarkMs = watermarkMs
            if slots.allSatisfy(\.hasEnded) { isClosing = true }
        case .tally(let tally):
            progress.totals.input.add(tally)
            poison.add(
                records: tally.records,
                deadLetters: tally.deadLetters + tally.quarantined + tally.withdrawn,
                nowMs: time.wallMs())
        case .snapshot(let worker, let answered, let snapshots):
            for snapshot in snapshots {
                slots[snapshot.slot].snapshot = snapshot
                slots[snapshot.slot].next = max(slots[snapshot.slot].next, snapshot.next)
                slots[snapshot.slot].watermarkMs = snapshot.watermarkMs
            }
            guard case .barrier(let epoch, var missing) = commit, epoch == answered else { return }
            missing.remove(worker)
            commit = .barrier(epoch: epoch, missing: missing)
            if missing.isEmpty {
                advanceWindows()
                commit = .committing(epoch: epoch, makeUnit())
                for control in controls { control.give { $0.releasedEpoch = epoch } }
            }
        case .failed(let error):
            throw error
        }
    }

    // MARK: Windows

    private func isInSnapshot(_ paneStartMs: Int64) -> Bool {
        snapshotThroughMs != TimeLimit.never
            && paneStartMs + plan.stream.paneMs <= snapshotThroughMs
    }

    private func unpublishedWindows(of paneStartMs: Int64) -> [OpenWindow] {
        calendar.windows(of: paneStartMs).filter { $0.window.endMs > publishedThroughMs }
    }

    /// Whether a pane lies in a window that is not published.
    private func isUnpublished(_ paneStartMs: Int64) -> Bool {
        calendar.lastEndMs(of: paneStartMs) > publishedThroughMs
    }

    private func advanceWindows() {
        // Under `--until-end` a partition that ended long ago holds nothing up.
        let watermark =
            untilEnd
            ? slots.endingWatermarkMs(idleMs: plan.stream.source.idleMs) : slots.watermarkMs
        let publishedMs = publishedThroughMs
        while watermark > mergedThroughMs {
            // What one unit can't take waits for the next: a watermark may leap over many windows.
            guard !isUnitFull else { break }
            let stepMs = min(watermark, nextClosingMs ?? watermark)
            mergedThroughMs = stepMs
            mergePanes(endingBy: stepMs, isSettled: true)
            closeWindows(endingBy: stepMs, complete: true)
            saySilences(throughMs: stepMs)
            publishedThroughMs = max(publishedThroughMs, stepMs)
        }
        if publishedThroughMs > publishedMs { dropPublishedOrigins() }
        guard watermark <= mergedThroughMs else { return }
        if isClosing, !isDone, case .none = commit, !isFinal, !progress.isRebuilding {
            closeAll()
        }
    }

    /// The end of the first window that holds something and is not closed yet.
    private var nextClosingMs: Int64? {
        let open = openWindows.keys.lazy.map(\.window.endMs).min()
        let waiting = pending.firstMs.flatMap { startMs in
            unpublishedWindows(of: startMs).lazy.map(\.window.endMs).min()
        }
        guard let ends = [open, waiting].compactMap(\.self).min() else { return nil }
        return max(ends, mergedThroughMs == TimeLimit.never ? ends : mergedThroughMs + 1)
    }

    /// `isSettled`: the merged watermark has passed them, so that nothing of them is to come.
    private func mergePanes(endingBy watermarkMs: Int64, isSettled: Bool) {
        let paneMs = plan.stream.paneMs
        while let startMs = pending.firstMs, startMs <= watermarkMs - paneMs {
            let partials = pending.removeFirst()
            pendingBytes -= partials.reduce(0) { $0 + $1.partial.byteCount }
            let windows = unpublishedWindows(of: startMs)
            guard !windows.isEmpty else {
                if !progress.isRebuilding { progress.totals.latePartials += partials.count }
                continue
            }
            let reference =
                partials.compactMap { slots[$0.slot].origins[startMs]?.clock.referenceMs }.max()
                ?? TimeLimit.never
            for window in windows {
                openWindows[window] = max(openWindows[window] ?? TimeLimit.never, reference)
            }
            let targets = windows.map { ($0.window, $0.size) }
            var rest = partials[...]
            while let sourceMs = rest.first?.sourceMs {
                let next = rest.prefix { $0.sourceMs == sourceMs }
                stage.merge(next.map(\.partial), of: sourceMs, in: startMs, into: targets)
                rest = rest.dropFirst(next.count)
            }
            guard isSettled else { continue }
            stage.observe(
                partials.map(\.partial),
                in: PaneArrival(
                    startMs: startMs, endMs: startMs + paneMs, referenceMs: reference))
        }
    }

    private func saySilences(throughMs: Int64) {
        let alerts = stage.saySilences(throughMs: throughMs) {
            emit($0)
            hasNews = true
        }
        progress.totals.alerts += alerts
        if alerts > 0 { isUrgent = true }
    }

    private func closeWindows(endingBy watermarkMs: Int64, complete: Bool) {
        // While catching up, windows go with the tick: a transaction each would cost more than it
        // brings.
        let liveFromMs = time.wallMs() - liveMs - plan.stream.source.outOfOrdernessMs
        let heldBy = slots.count > 1 ? slots.slowest?.partition : nil
        for open in openWindows.keys.filter({ $0.window.endMs <= watermarkMs }).sorted() {
            let reference = openWindows.removeValue(forKey: open) ?? TimeLimit.never
            let ageMs = reference == TimeLimit.never ? 0 : reference - open.window.endMs
            let wasIncomplete = open.window.endMs <= earlierIncompleteThroughMs
            let closing = WindowClosing(
                window: open.window, size: open.size,
                complete: complete && open.window.startMs >= incompleteBeforeMs,
                rev: wasIncomplete ? earlierIncompleteRev + 1 : 0,
                backfill: ageMs > maxAgeMs, ageMs: ageMs,
                heldBy: heldBy)
            // By event time, whatever the watermark leapt over.
            if complete { saySilences(throughMs: open.window.endMs) }
            let startedNs = time.threadCPUNs()
            let tally = stage.close(closing) { emit($0) }
            progress.totals.closingCPUNs += time.threadCPUNs() - startedNs
            progress.totals.add(tally)
            let noticeRoom = RunProgress.noticeCountMax - progress.notices.count
            progress.notices += tally.notices.prefix(noticeRoom)
            progress.droppedNoticeCount += max(0, tally.notices.count - noticeRoom)
            hasNews = true
            if open.window.endMs >= liveFromMs || tally.alerts > 0 { isUrgent = true }
        }
    }

    /// All partitions ended: what is still open is published as incomplete, and forgotten by the
    /// commit, which leaves the low-water before it.
    private func closeAll() {
        mergePanes(endingBy: .max, isSettled: false)
        if let last = openWindows.keys.map(\.window.endMs).max() {
            incompleteRev =
                earlierIncompleteThroughMs > publishedThroughMs ? earlierIncompleteRev + 1 : 0
            incompleteThroughMs = last
            closeWindows(endingBy: .max, complete: false)
        }
        isFinal = true
        hasNews = true
    }

    private var isFinal = false
    /// A unit of commit takes windows in until it is as large as this: less where units take long to
    /// get through.
    private var unitBytesMax: Int
    /// When the unit that is on its way was made.
    private var unitBeganNs: Int64 = 0

    private func dropPublishedOrigins() {
        for slot in slots.indices {
            slots[slot].origins = slots[slot].origins.filter { startMs, _ in
                isUnpublished(startMs)
            }
        }
    }

    // MARK: Commit

    /// - Returns: whether something moved.
    private func advanceCommit() throws(ConnectorError) -> Bool {
        switch commit {
        case .none:
            if progress.isRebuilding {
                // A commit now would go backwards. What is published meanwhile waits for the first.
                progress.isRebuilding = zip(slots, start.nexts).contains { $0.next < $1 }
                if progress.isRebuilding {
                    isDone = isStopping
                    return false
                }
            }
            let sinceMs = (time.nowNs() - lastCommitNs) / 1_000_000
            let isDue = sinceMs >= plan.run.commitMs
            if isFinal {
                if !hasNews {
                    isDone = true
                    return true
                }
                beginBarrier()
            } else if isStopping || (isUrgent && sinceMs >= commitSpacingMs)
                || isUnitFull || sinceMs >= plan.run.heartbeatMs
            {
                beginBarrier()
            } else if isDue, !isWindowDue, proposeFloors() || hasNews {
                // Floors go with news, too: on a busy stream there is no tick without.
                beginBarrier()
            } else {
                return false
            }
            return true
        case .barrier: return false
        case .committing(let epoch, let unit):
            guard try log.commit(unit, waitMs: 10) else {
                guard time.nowNs() < stopDeadlineNs else {
                    throw ConnectorError(
                        .retriable,
                        "the last commit was not through within \(plan.run.stopWithinMs) ms of the"
                            + " request to stop; the next start does it again")
                }
                return false
            }
            progress.totals.commits += 1
            commit = .none
            adaptUnit()
            unitBytes = 0
            lastCommitNs = time.nowNs()
            proposedFloors = [:]
            staleEntries = []
            for control in controls {
                control.give {
                    $0.committedEpoch = epoch
                    $0.floors = [:]
                }
            }
            for slot in slots.indices { slots[slot].snapshot = nil }
            if isStopping || isFinal { isDone = true }
            return true
        }
    }

    /// A unit should be through in a few seconds, however slowly results leave.
    private func adaptUnit() {
        let tookMs = (time.nowNs() - unitBeganNs) / 1_000_000
        let most = plan.run.unitBytesMax
        if tookMs > RunSettings.unitMsMax {
            // As much as would have taken half of that.
            let fitting = Int64(unitBytes) * RunSettings.unitMsMax / (2 * tookMs)
            unitBytesMax = max(
                min(most, RunSettings.unitBytesMin), min(unitBytesMax / 2, Int(fitting)))
        } else if unitBytesMax < most, tookMs < RunSettings.unitMsMax / 4 {
            // Twice as much, or what takes half of that time at the pace of this one.
            let fitting = Int64(unitBytes) * RunSettings.unitMsMax / (2 * max(1, tookMs))
            unitBytesMax = min(most, max(unitBytesMax * 2, Int(fitting)))
        }
        progress.unitBytesMax = unitBytesMax
        progress.lastUnitMs = tookMs
    }

    /// A window is about to end on the wall clock, or just did: what is committed goes with it.
    ///
    /// Where ticks are as long as windows a tick may fall there: the window's results would then wait for
    /// its transaction, and for the markers that end it.
    private var isWindowDue: Bool {
        guard !untilEnd, let endMs = calendar.nextEndMs(after: mergedThroughMs) else {
            return false
        }
        let sinceMs = time.wallMs() - endMs - plan.stream.source.outOfOrdernessMs
        return -20 <= sinceMs && sinceMs < 100
    }

    private func beginBarrier() {
        epoch += 1
        hasNews = false
        isUrgent = false
        let floors = proposedFloors
        let epoch = epoch
        let isLast = isFinal || isStopping
        commit = .barrier(epoch: epoch, missing: Set(controls.indices))
        for control in controls {
            control.give {
                $0.barrierEpoch = epoch
                $0.floors = floors
                $0.isLast = isLast
            }
        }
        wakeWorkers()
    }

    private func makeUnit() -> CommitUnit {
        sequence += 1
        let takesSnapshot =
            !isFinal && plan.mayNeedSnapshots && rereadSpanMs > plan.limits.maxRereadMs
        var entries =
            staleEntries
            + stage.takeEntries(
                epoch: start.stateEpoch,
                settledMs: calendar.settledMs(
                    publishedThroughMs: publishedThroughMs,
                    snapshotThroughMs: takesSnapshot ? mergedThroughMs : snapshotThroughMs))
        if takesSnapshot { entries += takeSnapshot() }
        let offsets = positions()
        unitBeganNs = time.nowNs()
        unitBytes =
            outboxBytes + entries.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) + 64 }
        defer {
            outbox = []
            outboxBytes = 0
        }
        return CommitUnit(records: outbox, entries: entries, offsets: offsets)
    }

    /// Event time between the oldest pane that a restart would read again and the merged watermark.
    private var rereadSpanMs: Int64 {
        guard mergedThroughMs != TimeLimit.never else { return 0 }
        let oldest = slots.lazy.flatMap(\.origins.keys)
            .filter { [self] in !isInSnapshot($0) && isUnpublished($0) }.min()
        return oldest.map { mergedThroughMs - $0 } ?? 0
    }

    /// Writes the open windows out, once: from here on a restart takes them from the state topic
    /// and reads what came after.
    private func takeSnapshot() -> [StateEntry] {
        let windows = openWindows.keys.sorted().map { open in
            WindowSnapshot(
                window: open.window, size: open.size,
                referenceMs: openWindows[open] ?? TimeLimit.never)
        }
        let entries = stage.snapshot(
            windows, throughMs: mergedThroughMs, epoch: start.stateEpoch)
        snapshotThroughMs = mergedThroughMs
        progress.totals.snapshots += 1
        progress.totals.snapshotBytes += entries.reduce(0) { $0 + ($1.value?.count ?? 0) }
        return entries
    }

    private func positions() -> [CommittedOffset] {
        let finalFloorMs = isFinal ? mergedThroughMs : TimeLimit.never
        return slots.indices.map { index in
            guard let snapshot = slots[index].snapshot else {
                preconditionFailure("every partition belongs to a worker that answered")
            }
            let next = snapshot.next
            var low = next
            var clock = snapshot.clock
            for (startMs, origin) in slots[index].origins
            where origin.firstOffset < low && !isInSnapshot(startMs)
                && isUnpublished(startMs)
            {
                low = origin.firstOffset
                clock = origin.clock
            }
            for (startMs, origin) in snapshot.openPanes
            where origin.firstOffset < low && isUnpublished(startMs) {
                low = origin.firstOffset
                clock = origin.clock
            }
            if let floorMs = snapshot.pendingFloorMs {
                slots[index].record(floorMs: floorMs, at: next)
                progress.totals.floorsRecorded += 1
            }
            if isFinal, slots[index].watermarkMs < finalFloorMs {
                slots[index].record(floorMs: finalFloorMs, at: next)
                progress.totals.floorsRecorded += 1
            }
            slots[index].dropFloors(before: low)
            let metadata = CommitMetadata(
                applicationHash: start.applicationHash, clusterHash: start.clusterHash,
                dataHash: start.dataHash, next: next, low: low, clock: clock,
                publishedThroughMs: publishedThroughMs, incompleteThroughMs: incompleteThroughMs,
                incompleteRev: incompleteRev, enteredBeforeMs: incompleteBeforeMs,
                stateEpoch: start.stateEpoch, sequence: sequence,
                snapshotThroughMs: snapshotThroughMs, floors: slots[index].floors)
            return CommittedOffset(
                partition: slots[index].partition, next: next, metadata: metadata.encoded())
        }
    }

    // MARK: Silence

    private var proposedFloors: [Int: Int64] = [:]

    /// Proposes a floor for each partition that was read to its end and stayed quiet for `idle`.
    private func proposeFloors() -> Bool {
        guard !untilEnd, let idleMs = plan.stream.source.idleMs else { return false }
        let (floors, forced) = slots.idleFloors(
            ends: endOffsets(), holds: holds(), nowNs: time.nowNs(), wallMs: time.wallMs(),
            idleMs: idleMs, holdMs: plan.stream.source.holdMs,
            outOfOrdernessMs: plan.stream.source.outOfOrdernessMs, paneMs: plan.stream.paneMs)
        proposedFloors = floors
        for index in forced {
            // What it holds back will be late: windows that go on without it are not whole.
            incompleteBeforeMs = max(incompleteBeforeMs, floors[index] ?? TimeLimit.never)
            progress.totals.forcedFloors += 1
        }
        return !proposedFloors.isEmpty
    }

    private var lastMemoryNs = Int64.min / 2
    /// Memory of partials that wait for their panes to be sealed everywhere, bytes.
    private var pendingBytes = 0

    /// Weighs what is held, twenty times a second.
    ///
    /// Above its part of the limit partitions wait for the slowest one; what outgrows the whole limit
    /// all the same ends the run before the system does.
    private func observeMemory() throws(ConnectorError) {
        let now = time.nowNs()
        guard now - lastMemoryNs >= 50_000_000 else { return }
        lastMemoryNs = now
        let total = memory.set(
            controls.count, bytes: stage.byteCount + pendingBytes + outboxBytes + unitBytes)
        progress.stateByteCount = total
        progress.isOverMemory = memory.isOver
        guard total > plan.limits.memoryBytes else { return }
        throw ConnectorError(
            .environment,
            "open panes and windows hold \(total >> 20) MiB, more than limits.memory"
                + " (\(plan.limits.memoryBytes >> 20) MiB) has for everything",
            hint: "a smaller `limit` of groups, fewer columns or shorter windows; or a greater"
                + " limits.memory: tidemark plan says how many groups it holds")
    }

    /// Stops reading, and says so, when a minute's records were dead letters for the most part.
    private func observePoison() throws(ConnectorError) {
        guard !progress.isHolding, !isCommitting,
            let found = poison.poison(nowMs: time.wallMs())
        else { return }
        progress.isHolding = true
        if untilEnd {
            throw ConnectorError(
                .environment,
                "\(found.deadLetterCount) of \(found.recordCount) records of the last minute were dead"
                    + " letters, more than limits.bad_rows allows",
                hint: "tidemark dlq list")
        }
        stage.hold(found) { emit($0) }
        progress.totals.alerts += 1
        hasNews = true
        isUrgent = true
        for control in controls { control.give { $0.isHolding = true } }
    }

    /// Ends the page of an earlier process, once a minute's records were good again for the most part.
    private func observeRelief() {
        guard stage.isHoldOpen, !progress.isHolding, !isCommitting,
            let calm = poison.relief(nowMs: time.wallMs())
        else { return }
        stage.release(calm) { emit($0) }
        hasNews = true
        isUrgent = true
    }

    /// Ends the engine, committed, when there are new partitions: the next one begins with them.
    ///
    /// A run to the end of the input reads only those that were there at the start.
    private func observeGrowth() {
        guard !untilEnd, !isStopping, !progress.isRebuilding, sourceHasGrown() else { return }
        progress.hasGrown = true
        stop()
    }

    /// Looks, four times a second, whether the source is silent: read to its end, and nothing came.
    private func observeSilence() {
        guard !untilEnd, !progress.isRebuilding, !progress.isHolding, !isStopping, !isCommitting
        else { return }
        let now = time.nowNs()
        guard now - lastSilenceNs >= 250_000_000 else { return }
        lastSilenceNs = now
        // With lag there is something to arrive; the broker, not the source, holds it back.
        guard progress.lag == 0 else { return }
        let (alerts, spoke) = stage.observe(
            Arrival(lastMs: lastArrivalMs, nowMs: time.wallMs())
        ) { emit($0) }
        progress.totals.alerts += alerts
        if spoke {
            hasNews = true
            isUrgent = true
        }
    }

    /// Looks, twice a second, at what a person has to know of the source.
    private func observeSource() {
        let now = time.nowNs()
        guard now - lastWatchNs >= 500_000_000 || isDone else { return }
        lastWatchNs = now
        var found = watch.observe(
            slots, progress.totals.input, nowNs: now, isRebuilding: progress.isRebuilding)
        if let held = held(now) { found.append(held) }
        let members = foreignMemberCount()
        if members > 0 {
            found.append(
                SourceCondition(
                    .foreignMembers, value: Double(members), threshold: 0,
                    summary:
                        "group '\(plan.app)' has \(members) members of another program: what they commit"
                        + " replaces our positions, and a restart would begin from theirs"))
        }
        progress.conditions = found
        guard !untilEnd, !progress.isHolding, !isStopping, !isCommitting else { return }
        let (alerts, spoke) = stage.observe(found, nowMs: time.wallMs()) { emit($0) }
        progress.totals.alerts += alerts
        if spoke {
            hasNews = true
            isUrgent = true
        }
    }

    /// The partition that holds all others though nothing of it can be read.
    private func held(_ now: Int64) -> SourceCondition? {
        guard !untilEnd, let idleMs = plan.stream.source.idleMs else { return nil }
        let holds = holds()
        let furthestMs = slots.furthestMs
        for index in slots.indices {
            let quietMs = (now - slots[index].lastMovedNs) / 1_000_000
            guard let hold = [PartitionSlot].hold(holds, index), quietMs >= idleMs / 2 else {
                continue
            }
            let isBehind =
                slots.count == 1
                || (furthestMs != TimeLimit.never && slots[index].watermarkMs < furthestMs)
            guard isBehind else { continue }
            let why: String
            switch hold {
            case .openTransaction(let records):
                why = "\(records) records wait behind an open transaction"
            case .noAnswer: why = "its leader does not answer"
            }
            let most = plan.stream.source.holdMs.map {
                "; after \(SourceWatch.span($0)) the others go on without it"
            }
            return SourceCondition(
                .partitionHeld, value: Double(quietMs) / 1000, threshold: Double(idleMs) / 1000,
                summary:
                    "\(slots[index].partition) holds windows open for \(SourceWatch.span(quietMs)):"
                    + " \(why)\(slots.count > 1 ? most ?? "" : "")")
        }
        return nil
    }

    // MARK: Progress

    private func refreshProgress() {
        let now = time.nowNs()
        guard now - lastProgressNs >= 10_000_000 || isDone else { return }
        lastProgressNs = now
        progress.watermarkMs = mergedThroughMs
        progress.commitTrouble = log.trouble
        progress.openWindows = openWindows.count
        progress.openPanes = pending.count
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
