import Synchronization
import TidemarkCore

/// Time that the simulation moves.
package final class SimulatedTime: TimeSource {
    private let now = Mutex<Int64>(0)
    package init() {}
    package func advance(ms: Int64) { now.withLock { $0 += ms } }
    package var ms: Int64 { now.withLock { $0 } }
    package func nowNs() -> Int64 { ms * 1_000_000 }
    package func threadCPUNs() -> Int64 { 0 }
    package func wallMs() -> Int64 { ms }
    package func sleep(ms: Int) { advance(ms: Int64(ms)) }
}
