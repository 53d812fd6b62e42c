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

    /// Members of the group as its coordinator says; `nil`: no answer, or one that we may not have.
    ///
    /// Not by the admin interface: in librdkafka 2.0.2 a request of that one that runs out of time and is answered
    /// later ends the process by an assertion (`rd_kafka_enq_once_del_source_return`).
    private func memberCountNow() -> Int? {
        var list: UnsafePointer<rd_kafka_group_list>?
        let code = unsafe rd_kafka_list_groups(handle.client, group, &list, 1000)
        guard let list = unsafe list else { return nil }
        defer { unsafe rd_kafka_group_list_destroy(list) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        var count = 0
        for place in 0..<Int(unsafe list.pointee.group_cnt) {
            let info = unsafe list.pointee.groups[place]
            guard unsafe info.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
            unsafe count += Int(info.member_cnt)
        }
        return count
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
            if let count = memberCountNow() { members.store(count, ordering: .relaxed) }
            if hasGrown { return }
        }
    }
}
