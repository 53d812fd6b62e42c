package import TidemarkCore
package import TidemarkDataflow

/// Calls that find a cluster in the middle of a failover are made again for a while.
///
/// A broker that no longer leads a partition or coordinates a group says so until the client has
/// learned who does: seconds, in which a start would otherwise fail for nothing. What is `retriable` is
/// tried again, waiting from 100 ms up to 2 s between; anything else is thrown at once.
package struct Patience {
    private let time: any TimeSource
    private let deadlineNs: Int64

    /// Calls are made again for so long from now, ms.
    package init(ms: Int64, time: any TimeSource) {
        self.time = time
        deadlineNs = time.nowNs() + ms * 1_000_000
    }

    /// - Throws: what is not retriable, or the last error when the time is up.
    package func retry<T>(_ call: () throws(ConnectorError) -> T) throws(ConnectorError) -> T {
        var waitMs = 100
        while true {
            do throws(ConnectorError) {
                return try call()
            } catch {
                guard error.kind == .retriable,
                    time.nowNs() + Int64(waitMs) * 1_000_000 < deadlineNs
                else { throw error }
                time.sleep(ms: waitMs)
                waitMs = min(2 * waitMs, 2000)
            }
        }
    }
}
