import Glibc
import TidemarkCore

/// The clocks of this machine.
package struct SystemTime: TimeSource {
    package init() {}

    /// Nanoseconds since some point before the process; never goes back.
    package func nowNs() -> Int64 { Self.read(CLOCK_MONOTONIC) }

    /// Nanoseconds of CPU that the calling thread has used.
    package func threadCPUNs() -> Int64 { Self.read(CLOCK_THREAD_CPUTIME_ID) }

    /// Milliseconds since 1970, UTC; goes back where the clock is set back.
    package func wallMs() -> Int64 { Self.read(CLOCK_REALTIME) / 1_000_000 }

    /// Returns sooner if a signal comes.
    package func sleep(ms: Int) { usleep(UInt32(clamping: ms * 1000)) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var at = timespec()
        unsafe clock_gettime(clock, &at)
        return Int64(at.tv_sec) * 1_000_000_000 + Int64(at.tv_nsec)
    }
}
