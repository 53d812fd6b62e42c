import CRdKafka
import Glibc
import Synchronization
import TidemarkCore
import TidemarkDataflow

/// Wakes the client's fetching when a reader made room in a full queue.
///
/// In librdkafka before 2.2.0 a broker's thread that finds the queue over its limit sleeps for a
/// whole second, unless a request or an answer wakes it (librdkafka issue 2879): a reader slower than
/// the network then gets one queue a second. So a reader that made room asks each leader for an end
/// offset, whose answer nobody needs: the request wakes the thread. Measured with an 8 MiB queue and
/// 0.3 µs of work a record: 6.1 s a million without, 0.7 s with.
///
/// `@unchecked Sendable`: the semaphore is made for several threads; `stop` is called once, when no
/// reader polls any more.
@safe
final class FetchWaker: @unchecked Sendable {
    /// From 2.2.0 on `fetch.queue.backoff.ms` bounds the sleep.
    static var isNeeded: Bool { rd_kafka_version() < 0x0202_0000 }

    private let handle: ClientHandle
    private let partitions: [TopicPartition]
    private let signal: UnsafeMutablePointer<sem_t>
    private let shouldStop = Atomic<Bool>(false)
    private let isPending = Atomic<Bool>(false)
    private let thread = Mutex<ClientThread?>(nil)

    init(handle: ClientHandle, partitions: [TopicPartition]) throws(ConnectorError) {
        self.handle = handle
        self.partitions = partitions
        unsafe signal = .allocate(capacity: 1)
        unsafe sem_init(signal, 0, 0)
        guard Self.isNeeded else { return }
        let own = try ClientThread { self.run() }
        thread.withLock { $0 = own }
    }

    deinit {
        unsafe sem_destroy(signal)
        unsafe signal.deallocate()
    }

    /// Asks for a fetch, soon; cheap, and nothing if one is asked for already.
    func wake() {
        guard !isPending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        unsafe sem_post(signal)
    }

    /// Whether the thread ended within the time.
    func stop(withinMs: Int64) -> Bool {
        shouldStop.store(true, ordering: .releasing)
        unsafe sem_post(signal)
        return thread.withLock { $0 }?.join(withinMs: withinMs) ?? true
    }

    private func run() {
        while true {
            while unsafe sem_wait(signal) != 0 && errno == EINTR {}
            guard !shouldStop.load(ordering: .acquiring) else { return }
            isPending.store(false, ordering: .sequentiallyConsistent)
            let list = PartitionList(capacity: partitions.count)
            for partition in partitions { list.append(partition, offset: -1) }
            _ = unsafe rd_kafka_offsets_for_times(handle.client, list.list, 1000)
        }
    }
}
