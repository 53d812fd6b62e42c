import Synchronization

/// What panes, windows and entry state of one engine take, against their part of `limits.memory`.
///
/// Over it, partitions wait for the slowest one (`Alignment`), as if `alignment` were 0: what they read
/// ahead is what is held for windows that can't close yet. The slowest one always goes on, for only its
/// rows close windows and give memory back; so no limit, however small, stops a run. What is read when
/// has no part in results.
package final class MemoryGauge: Sendable {
    private let parts: Mutex<[Int]>
    // Written under the lock.
    private let over = Atomic(false)
    private let limitBytes: Int

    /// `partCount`: who holds memory: the workers and the coordinator.
    package init(partCount: Int, limitBytes: Int) {
        parts = Mutex(Array(repeating: 0, count: partCount))
        self.limitBytes = limitBytes
    }

    /// Takes in what one part holds now.
    ///
    /// - Returns: what all hold, bytes.
    @discardableResult
    package func set(_ part: Int, bytes: Int) -> Int {
        parts.withLock { parts in
            parts[part] = bytes
            let total = parts.reduce(0, +)
            // Some way back before the others go on.
            over.store(total > (isOver ? limitBytes / 10 * 9 : limitBytes), ordering: .relaxed)
            return total
        }
    }

    /// Whether partitions wait.
    package var isOver: Bool { over.load(ordering: .relaxed) }
}
