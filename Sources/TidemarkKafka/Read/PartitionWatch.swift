import CRdKafka
import Glibc
import Synchronization
import TidemarkCore
import TidemarkDataflow

/// Looks every few seconds whether the input topics have grown, and whether somebody joined our group.
///
/// The library refreshes what it knows of a topic every five minutes and tells nobody who assigns by
/// hand; a producer that starts writes to new partitions at once.
///
/// `@unchecked Sendable`: the semaphore is made for several threads.
@safe
final class PartitionWatch: @unchecked Sendable {
    private let handle: ClientHandle
    private let counts: [(topic: String, count: Int)]
    private let periodMs: Int64
    private let signal: UnsafeMutablePointer<sem_t>
    private let shouldStop = Atomic<Bool>(false)
    private let grown = Atomic<Bool>(false)
    private let members = Atomic<Int>(0)
    private let group: String
    private let thread = Mutex<ClientThread?>(nil)

    var hasGrown: Bool { grown.load(ordering: .relaxed) }
    /// Members of the group.
    ///
    /// We assign by hand and are none, so whoever is one is somebody else.
    var memberCount: Int { members.load(ordering: .relaxed) }

    init(
        handle: ClientHandle, group: String, counts: [(topic: String, count: Int)],
        periodMs: Int64 = 3_000
    ) throws(ConnectorError) {
        self.group = group
        self.handle = handle
        self.counts = counts
        self.periodMs = periodMs
        unsafe signal = .allocate(capacity: 1)
        unsafe sem_init(signal, 0, 0)
        let own = try ClientThread { self.run() }
        thread.withLock { $0 = own }
    }

    deinit {
        unsafe sem_destroy(signal)
        unsafe signal.deallocate()
    }

    /// Whether the thread ended within the time.
    func stop(withinMs: Int64) -> Bool {
        shouldStop.store(true, ordering: .releasing)
        unsafe sem_post(signal)
        return thread.withLock { $0 }?.join(withinMs: withinMs) ?? true
    }

    private func run() {
        while true {
            var until = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &until)
            until.tv_sec += Int(periodMs / 1000)
            _ = unsafe sem_timedwait(signal, &until)
            if shouldStop.load(ordering: .acquiring) { return }
            for (topic, count) in counts {
                // A broker that is away is not our business here.
                guard let ids = try? handle.partitions(of: topic, withinMs: 1000) else { continue }
                if ids.count > count { grown.store(true, ordering: .relaxed) }
            }
            // No answer, or one that we may not have, says nothing.
            if let count = try? handle.memberCount(of: group, withinMs: 1000) {
                members.store(count, ordering: .relaxed)
            }
            if hasGrown { return }
        }
    }
}
