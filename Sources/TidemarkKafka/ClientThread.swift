import Glibc
import Synchronization

/// A thread of the control plane, and the wait for its end.
///
/// The thread owns the closure until it ends; whoever started it may wait so long and then leave it
/// behind (a client of librdkafka 2.0.2 can hang when it is destroyed).
final class ClientThread: Sendable {
    private let isDone = Atomic<Bool>(false)

    init(_ body: @escaping @Sendable () -> Void) {
        let box = ThreadBody(run: body, thread: self)
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread,
            nil,
            runThreadBody,
            Unmanaged.passRetained(box).toOpaque()
        )
        precondition(code == 0, "the system gives no thread")
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
