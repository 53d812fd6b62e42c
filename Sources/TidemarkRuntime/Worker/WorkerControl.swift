import Synchronization
import TidemarkCore
package import TidemarkDataflow

/// What the coordinator asks of a worker; looked at between batches.
package final class WorkerControl: Sendable {
    /// All orders as they stand: a worker that looks late misses none.
    package struct Orders: Sendable {
        /// Answer with a snapshot once this is greater than the last one answered.
        package var barrierEpoch = 0
        /// Floors to record with that barrier, by slot.
        ///
        /// The worker parks until they are.
        package var floors: [Int: Int64] = [:]
        /// All workers have answered this barrier: go on.
        package var releasedEpoch = 0
        /// The greatest epoch that is committed: floors of its barrier may be obeyed.
        package var committedEpoch = 0
        /// The circuit breaker: nothing is read any more.
        package var isHolding = false
        /// The last barrier: nothing is read after it.
        package var isLast = false
        /// The run is over: the worker does nothing more.
        package var isStopping = false
        package init() {}
    }

    private let orders = Mutex(Orders())
    private let version = Atomic<Int>(0)

    package init() {}

    /// Changes the orders; workers see it at their next step.
    package func give(_ change: (inout Orders) -> Void) {
        orders.withLock { change(&$0) }
        version.add(1, ordering: .releasing)
    }

    func newer(than seen: inout Int) -> Orders? {
        let current = version.load(ordering: .acquiring)
        guard current != seen else { return nil }
        seen = current
        return orders.withLock { $0 }
    }
}

/// What one partition needs to start.
package struct TaskStart: Sendable {
    /// Which partition, and from which offset.
    package var start: PartitionStart
    /// Records below it were counted and their letters written by an earlier process.
    package var committedNext: Int64
    /// The partition's clock before the row at that offset.
    package var clock: PartitionClock.Reading
    /// Floors of earlier processes that count from there on, ascending by offset.
    package var floors: [RecordedFloor]
    /// `--until-end`: records from here on are not there; `nil` where the reader says when it ends.
    package var end: Int64?
    /// Records before the start are not known: the first windows cannot be whole.
    package var isInsideLog: Bool

    package init(
        start: PartitionStart, committedNext: Int64, clock: PartitionClock.Reading,
        floors: [RecordedFloor], end: Int64?, isInsideLog: Bool
    ) {
        self.isInsideLog = isInsideLog
        self.start = start
        self.committedNext = committedNext
        self.clock = clock
        self.floors = floors
        self.end = end
    }
}
