import Synchronization
package import TidemarkTelemetry

/// Lines that a log wrote.
package final class Lines: Sendable {
    private let state = Mutex("")

    package init() {}

    package func log(level: Log.Level = .debug, journal: Bool = false) -> Log {
        Log(time: SystemTime(), level: level, journal: journal) { bytes in
            self.state.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
        }
    }

    package var text: String { state.withLock { $0 } }
}
