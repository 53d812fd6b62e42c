import Synchronization
import TidemarkCore

/// How far the input partitions are, so that none runs further ahead of the slowest than
/// `alignment`.
///
/// So a restart reads little again, and few panes are held at once. While memory is over its limit
/// nobody runs ahead at all.
///
/// Each worker says how far its own partitions are after every batch and is told at once which of
/// them must wait, so that a partition overruns by one batch at most, however late the coordinator
/// is scheduled. One lock a batch.
package final class Alignment: Sendable {
    private struct Slot {
        var watermarkMs = TimeLimit.never
        /// The watermark at its first row.
        var firstMs = TimeLimit.never
        /// Has lag: the others wait for it.
        ///
        /// One that is read to its end does not hold them, that is for idleness.
        var holds = true
        var isPaused = false
    }

    private let slots: Mutex<[Slot]>
    private let limitMs: Int64?
    private let memory: MemoryGauge

    /// `limitMs`: `nil` lets every partition run, while `memory` allows.
    package init(slotCount: Int, limitMs: Int64?, memory: MemoryGauge) {
        slots = Mutex(Array(repeating: Slot(), count: slotCount))
        self.limitMs = limitMs
        self.memory = memory
    }

    /// Takes in the watermarks of some slots and answers which of them must wait.
    ///
    /// - Complexity: O(slots).
    func update(_ own: [(slot: Int, watermarkMs: Int64)], mustWait: (Int, Bool) -> Void) {
        let limitMs = memory.isOver ? 0 : limitMs ?? .max
        slots.withLock { slots in
            for (slot, watermarkMs) in own {
                slots[slot].watermarkMs = watermarkMs
                if slots[slot].firstMs == TimeLimit.never { slots[slot].firstMs = watermarkMs }
            }
            // One that is still to be heard of may begin where the first of the others did.
            let first = slots.lazy.map(\.firstMs).filter { $0 != TimeLimit.never }.min()
            var slowest = Int64.max
            for slot in slots where slot.holds {
                slowest = min(
                    slowest, slot.watermarkMs == TimeLimit.never ? first ?? .max : slot.watermarkMs)
            }
            for (slot, watermarkMs) in own {
                // Some way back before it goes on: a pause throws away what was fetched.
                let limit = slots[slot].isPaused ? limitMs / 2 : limitMs
                let waits =
                    slowest != .max && watermarkMs != TimeLimit.never
                    && watermarkMs - slowest > limit
                slots[slot].isPaused = waits
                mustWait(slot, waits)
            }
        }
    }

    /// Says which slots have lag; called by the coordinator, which knows the ends.
    func setHolds(_ holds: (Int) -> Bool) {
        slots.withLock { slots in
            for index in slots.indices { slots[index].holds = holds(index) }
        }
    }
}
