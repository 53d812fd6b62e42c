import Glibc
import Synchronization
import TidemarkDataflow

/// A thread of the control plane, and the wait for its end.
///
/// The thread owns the closure until it ends. Whoever started it may wait for a while and then
/// leave it behind: a client of librdkafka 2.0.2 can hang when it is destroyed.
final class ClientThread: Sendable {
    private let isDone = Atomic<Bool>(false)

    /// - Throws: an environment error when the system gives no more threads.
    init(_ body: @escaping @Sendable () -> Void) throws(ConnectorError) {
        let box = unsafe Unmanaged.passRetained(ThreadBody(run: body, thread: self))
        var thread = pthread_t()
        guard unsafe pthread_create(&thread, nil, runThreadBody, box.toOpaque()) == 0 else {
            unsafe box.release()
            isDone.store(true, ordering: .releasing)
            throw .noThread
        }
        pthread_detach(thread)
    }

    /// Whether the thread ended within the time.
    func join(withinMs: Int64) -> Bool {
        var waitedMs: Int64 = 0
        while !isDone.load(ordering: .acquiring) {
            guard waitedMs < withinMs else { return false }
            usleep(1000)
            waitedMs += 1
        }
        return true
    }

    fileprivate func markDone() { isDone.store(true, ordering: .releasing) }
}

extension ClientThread {
    /// Checks that the system would give this many threads at once.
    ///
    /// The library aborts the process, or waits for ever, when it gets none for a broker.
    ///
    /// - Throws: an environment error when it does not.
    static func requireRoom(for count: Int) throws(ConnectorError) {
        let gate = Gate()
        defer { gate.isOpen.store(true, ordering: .releasing) }
        var held: [ClientThread] = []
        for _ in 0..<count {
            held.append(
                try ClientThread {
                    while !gate.isOpen.load(ordering: .acquiring) { usleep(200) }
                })
        }
        gate.isOpen.store(true, ordering: .releasing)
        for thread in held { _ = thread.join(withinMs: 1000) }
    }
}

/// What threads wait for.
private final class Gate: Sendable {
    let isOpen = Atomic<Bool>(false)
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    let thread: ClientThread

    init(run: @escaping @Sendable () -> Void, thread: ClientThread) {
        self.run = run
        self.thread = thread
    }
}

private func runThreadBody(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    let body = unsafe Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue()
    body.run()
    body.thread.markDone()
    return nil
}
