import Glibc
package import TidemarkCore
package import TidemarkDataflow

/// The coordinates of the first row of a pane in one partition: where a re-read must begin.
package struct PaneOrigin: Sendable, Equatable {
    /// Offset of that row.
    package var firstOffset: Int64
    /// The partition's clock before that row.
    package var clock: PartitionClock.Reading
}

/// A partition as it stood at a step boundary.
package struct SlotSnapshot: Sendable {
    /// The partition's place in the canonical order.
    package var slot: Int
    /// The first offset that was not read yet.
    package var next: Int64
    /// The partition's clock before the record at `next`.
    package var clock: PartitionClock.Reading
    /// Panes that end at or before it are sealed, ms.
    package var watermarkMs: Int64
    /// By when they are sealed: those of what came late stand with the pane that it came in.
    package var openPanes: [(startMs: Int64, origin: PaneOrigin)]
    /// A floor that waits to be recorded, at `next`.
    package var pendingFloorMs: Int64?
}

/// What became of rows of a partition that are out of the ordinary, since the process began.
package struct SlotCounts: Sendable, Equatable {
    /// Rows whose windows were all over.
    package var late: Int64 = 0
    /// Rows too far ahead of the reference clock.
    package var quarantined: Int64 = 0
    /// Rows taken back with a leap that was contradicted.
    package var withdrawn: Int64 = 0
    /// How far the newest quarantined row was ahead of the reference clock.
    package var aheadMs: Int64 = 0
    package init() {}
}

/// How far a partition is.
package struct SlotProgress: Sendable, Equatable {
    /// The partition's place in the canonical order.
    package var slot: Int
    /// The next offset to read.
    package var position: Int64
    /// Panes that end at or before it are sealed, ms.
    package var watermarkMs: Int64
    /// The watermark if the leap of the record time, for which it waits, were believed.
    package var hopedMs: Int64
    /// The partition's reference clock, ms.
    package var referenceMs: Int64
    /// The leap; `TimeLimit.never`: there is none.
    package var leapMs: Int64
    /// Since the process began.
    package var counts: SlotCounts
    /// Something may follow from it at once, beside a position that is one batch newer.
    package var isPressing: Bool
}

/// What a worker tells the coordinator, in order.
package enum WorkerMessage: Sendable {
    /// `sourceMs`: the pane itself, or an earlier start of windows that its rows belong to, which came late
    /// while the pane was filling.
    case sealed(
        slot: Int, paneStartMs: Int64, sourceMs: Int64, partial: any Partial, origin: PaneOrigin)
    /// A partition was entered inside its log: windows that begin before this are not whole.
    case entered(beforeMs: Int64)
    /// Dead letters and late rows.
    case letters([OutputRecord])
    case progress(SlotProgress)
    /// `--until-end`: the partition was read to its end and every pane of it handed over.
    case ended(slot: Int, watermarkMs: Int64)
    case tally(WorkerTally)
    /// The answer to a barrier: everything before it in the mailbox belongs to it.
    case snapshot(worker: Int, epoch: Int, slots: [SlotSnapshot])
    case failed(ConnectorError)

    /// Whether the coordinator is woken for it; what is not pressing it finds at its next turn.
    fileprivate var isPressing: Bool {
        switch self {
        case .tally: false
        case .progress(let progress): progress.isPressing
        default: true
        }
    }

    /// What it weighs in the mailbox, about, bytes.
    package var byteCount: Int {
        switch self {
        case .sealed(_, _, _, let partial, _): partial.byteCount + 64
        case .letters(let records): records.reduce(64) { $0 + $1.byteCount }
        default: 64
        }
    }
}

/// The bounded queue between workers and the coordinator.
///
/// A worker looks at `isFull` before a step and waits; a step may overshoot the bound by what one
/// batch makes. Messages of one worker keep their order.
@safe
package final class Mailbox: @unchecked Sendable {
    // Everything below is guarded by `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var messages: [WorkerMessage] = []
    private var head = 0
    private var byteCount = 0
    private let byteCountMax: Int
    /// Threads in `wait`: without one there is nobody to wake.
    private var waiterCount = 0
    /// A message that came since the queue was last empty does not wait for the next turn.
    private var isPressing = false

    /// A mailbox that is full from so many bytes on.
    package init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
        unsafe mutex = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// It holds as much as it may: workers wait.
    package var isFull: Bool { locked { byteCount >= byteCountMax } }
    /// Everything was taken out.
    package var isEmpty: Bool { locked { head == messages.count } }

    /// Puts a message behind the others, and wakes the coordinator if it is pressing.
    package func push(_ message: WorkerMessage) {
        let wakes = locked {
            messages.append(message)
            byteCount += message.byteCount
            return message.isPressing && press()
        }
        if wakes { unsafe pthread_cond_broadcast(changed) }
    }

    /// Pushes messages in their order and takes them out of the list, which keeps its memory.
    package func push(all list: inout [WorkerMessage]) {
        guard !list.isEmpty else { return }
        let wakes = locked {
            for message in list { byteCount += message.byteCount }
            messages.append(contentsOf: list)
            return (list.contains(where: \.isPressing) || byteCount >= byteCountMax) && press()
        }
        if wakes { unsafe pthread_cond_broadcast(changed) }
        list.removeAll(keepingCapacity: true)
    }

    /// - Returns: somebody is to be woken, once the lock is let go.
    private func press() -> Bool {
        isPressing = true
        return waiterCount > 0
    }

    /// Takes the oldest message out; `nil`: there is none.
    package func pop() -> WorkerMessage? {
        locked {
            guard head < messages.count else { return nil }
            let message = messages[head]
            head += 1
            byteCount -= message.byteCount
            if head == messages.count {
                messages.removeAll(keepingCapacity: true)
                head = 0
                isPressing = false
            } else if head > 4096 {
                messages.removeFirst(head)
                head = 0
            }
            if waiterCount > 0 { unsafe pthread_cond_broadcast(changed) }
            return message
        }
    }

    /// Waits for a pressing message or for so long.
    package func waitForMessage(timeoutMs: Int) { wait(timeoutMs) { isPressing } }

    /// Waits for room or for so long.
    package func waitForRoom(timeoutMs: Int) { wait(timeoutMs) { byteCount < byteCountMax } }

    /// Wakes whoever waits.
    package func wake() { locked { _ = unsafe pthread_cond_broadcast(changed) } }

    private func wait(_ timeoutMs: Int, until isReady: () -> Bool) {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        guard !isReady() else { return }
        var until = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &until)
        let ns = until.tv_nsec + timeoutMs % 1000 * 1_000_000
        until.tv_sec += timeoutMs / 1000 + ns / 1_000_000_000
        until.tv_nsec = ns % 1_000_000_000
        waiterCount += 1
        defer { waiterCount -= 1 }
        // One wait: a spurious wake-up costs the caller an empty turn, no more.
        unsafe pthread_cond_timedwait(changed, mutex, &until)
    }

    private func locked<T>(_ body: () -> T) -> T {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }
}
