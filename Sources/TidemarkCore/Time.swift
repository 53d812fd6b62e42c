/// Event times and record times are milliseconds since 1970-01-01T00:00:00Z, in a plain `Int64`
/// whose name ends in `Ms`.
package enum TimeLimit {
    /// 2000-01-01T00:00:00Z: an earlier event time is a dead letter.
    package static let earliestMs: Int64 = 946_684_800_000
    /// 9999-12-31T23:59:59.999Z: a later one is a dead letter.
    package static let latestMs: Int64 = 253_402_300_799_999
    /// Before every event time; the watermark of a partition that was never read.
    package static let never: Int64 = .min
}

/// The clock of the process, passed in so that a test can be the clock.
///
/// Nothing below `TidemarkRuntime` may ask it: results never depend on it.
package protocol TimeSource: Sendable {
    /// Monotonic time.
    func nowNs() -> Int64
    /// CPU time of the calling thread.
    func threadCPUNs() -> Int64
    /// Wall time, milliseconds since 1970, UTC.
    func wallMs() -> Int64
    /// Lets so much time pass.
    func sleep(ms: Int)
}

/// A half-open interval of event time, aligned to 1970: `startMs ..< endMs`.
package struct Window: Hashable, Comparable, Sendable {
    /// The first millisecond that belongs to it.
    package let startMs: Int64
    /// The first millisecond that does not.
    package let endMs: Int64

    /// A window of at least a millisecond.
    ///
    /// - Precondition: `startMs < endMs`.
    package init(startMs: Int64, endMs: Int64) {
        precondition(startMs < endMs, "the planner rejects an empty window")
        self.startMs = startMs
        self.endMs = endMs
    }

    /// Milliseconds.
    package var lengthMs: Int64 { endMs - startMs }

    /// By end, then the longer one first: the order in which windows close.
    package static func < (a: Window, b: Window) -> Bool {
        (a.endMs, a.startMs) < (b.endMs, b.startMs)
    }
}
