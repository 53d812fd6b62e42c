import TidemarkDataflow

/// The share of bad rows (dead letters, quarantined, withdrawn) among those of the last minute: what the
/// circuit breaker looks at.
///
/// A deployment that writes another format must not turn a topic into dead letters overnight, with
/// its offsets committed past them. A process that catches up reads a night's records in less than
/// a minute, so a burst of them decides at once.
struct BadRowGauge {
    /// A minute's rows.
    struct Minute {
        var rowCount: Int64
        var badCount: Int64
        /// On the wall clock, ms.
        var startMs: Int64
        /// Its end, or so far, on the wall clock, ms.
        var endMs: Int64

        /// The share of the bad ones, 0 to 1.
        var share: Double { rowCount > 0 ? Double(badCount) / Double(rowCount) : 0 }
    }

    private struct Bucket {
        var startMs: Int64
        var rowCount: Int64 = 0
        var badCount: Int64 = 0
    }

    private let shareMax: Double?
    private let spanMs: Int64
    private let countMin: Int64
    /// With this many rows in the minute the share decides before it is over.
    private let burstCount: Int64
    /// Sixty-two at most, ascending.
    private var buckets: [Bucket] = []
    /// Since when the share is above the limit.
    private var aboveSinceMs: Int64?
    /// Since when records are counted, and the share is not above the limit.
    private var calmSinceMs: Int64?

    init(_ limits: Limits) {
        burstCount = limits.badRowBurstCount
        shareMax = limits.badRowShare
        spanMs = limits.badRowSpanMs
        countMin = limits.badRowCountMin
    }

    mutating func add(_ intake: Intake) {
        guard intake.rowCount > 0 else { return }
        if calmSinceMs == nil { calmSinceMs = intake.nowMs }
        let startMs = intake.nowMs / widthMs * widthMs
        if buckets.last?.startMs != startMs { buckets.append(Bucket(startMs: startMs)) }
        buckets[buckets.count - 1].rowCount += intake.rowCount
        buckets[buckets.count - 1].badCount += intake.badCount
    }

    private var widthMs: Int64 { max(1, spanMs / 60) }

    /// The records of the last minute, and of up to two buckets before it: a burst that lies within one bucket, with
    /// nothing behind it, is still seen when the minute since it was first seen is over.
    private mutating func lastMinute(nowMs: Int64) -> Minute {
        let fromMs = nowMs - spanMs - 2 * widthMs
        buckets.removeAll { $0.startMs < fromMs }
        return Minute(
            rowCount: buckets.reduce(0) { $0 + $1.rowCount },
            badCount: buckets.reduce(0) { $0 + $1.badCount },
            startMs: nowMs - spanMs, endMs: nowMs)
    }

    /// The last minute, if records came in it and the share was not above the limit for all of it: what ends a
    /// page of an earlier process.
    mutating func relief(nowMs: Int64) -> Minute? {
        guard let sinceMs = calmSinceMs else { return nil }
        let calm = lastMinute(nowMs: nowMs)
        if let shareMax, calm.share > shareMax {
            calmSinceMs = nowMs
            return nil
        }
        return calm.rowCount > 0 && nowMs - sinceMs >= spanMs ? calm : nil
    }

    /// The last minute, if the share was above the limit for all of it, or over a burst of rows.
    ///
    /// - `isToEnd`: a run to the end of its input is not judged by a burst.
    mutating func excess(nowMs: Int64, isToEnd: Bool) -> Minute? {
        guard let shareMax else { return nil }
        let minute = lastMinute(nowMs: nowMs)
        guard minute.rowCount >= countMin, minute.share > shareMax else {
            aboveSinceMs = nil
            return nil
        }
        if !isToEnd, minute.rowCount >= burstCount { return minute }
        let sinceMs = aboveSinceMs ?? nowMs
        aboveSinceMs = sinceMs
        return nowMs - sinceMs >= spanMs ? minute : nil
    }
}
