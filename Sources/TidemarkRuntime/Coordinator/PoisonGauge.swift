import TidemarkDataflow

/// The share of dead letters among the records of the last minute: what the circuit breaker looks at.
///
/// A deployment that writes another format must not turn a topic into dead letters overnight, with
/// its offsets committed past them. A process that catches up reads a night's records in less than
/// a minute, so a burst of them decides at once.
struct PoisonGauge {
    private struct Bucket {
        var startMs: Int64
        var recordCount: Int64 = 0
        var deadLetterCount: Int64 = 0
    }

    private let shareMax: Double?
    private let spanMs: Int64
    private let countMin: Int64
    /// With this many records in the minute the share decides before it is over; `nil`: it waits.
    private let burstCount: Int64?
    /// Sixty-two at most, ascending.
    private var buckets: [Bucket] = []
    /// Since when the share is above the limit.
    private var aboveSinceMs: Int64?
    /// Since when records are counted, and the share is not above the limit.
    private var calmSinceMs: Int64?

    /// - `untilEnd`: a run to the end of its input is judged as a whole, when it has ended.
    init(_ limits: Limits, untilEnd: Bool) {
        burstCount = untilEnd ? nil : limits.badRowBurstCount
        shareMax = limits.badRowShare
        spanMs = limits.badRowSpanMs
        countMin = limits.badRowCountMin
    }

    mutating func add(records: Int64, deadLetters: Int64, nowMs: Int64) {
        guard records > 0 else { return }
        if calmSinceMs == nil { calmSinceMs = nowMs }
        let startMs = nowMs / widthMs * widthMs
        if buckets.last?.startMs != startMs { buckets.append(Bucket(startMs: startMs)) }
        buckets[buckets.count - 1].recordCount += records
        buckets[buckets.count - 1].deadLetterCount += deadLetters
    }

    private var widthMs: Int64 { max(1, spanMs / 60) }

    /// The records of the last minute, and of up to two buckets before it: a burst that lies within one bucket, with
    /// nothing behind it, is still seen when the minute since it was first seen is over.
    private mutating func lastMinute(nowMs: Int64) -> Poison {
        let fromMs = nowMs - spanMs - 2 * widthMs
        buckets.removeAll { $0.startMs < fromMs }
        return Poison(
            recordCount: buckets.reduce(0) { $0 + $1.recordCount },
            deadLetterCount: buckets.reduce(0) { $0 + $1.deadLetterCount },
            startMs: nowMs - spanMs, endMs: nowMs)
    }

    /// The last minute, if records came in it and the share was not above the limit for all of it: what ends a
    /// page of an earlier process.
    mutating func relief(nowMs: Int64) -> Poison? {
        guard let sinceMs = calmSinceMs else { return nil }
        let calm = lastMinute(nowMs: nowMs)
        if let shareMax, calm.share > shareMax {
            calmSinceMs = nowMs
            return nil
        }
        return calm.recordCount > 0 && nowMs - sinceMs >= spanMs ? calm : nil
    }

    /// The last minute, if the share was above the limit for all of it, or over a burst of records.
    mutating func poison(nowMs: Int64) -> Poison? {
        guard let shareMax else { return nil }
        let poison = lastMinute(nowMs: nowMs)
        guard poison.recordCount >= countMin, poison.share > shareMax else {
            aboveSinceMs = nil
            return nil
        }
        if let burstCount, poison.recordCount >= burstCount { return poison }
        let sinceMs = aboveSinceMs ?? nowMs
        aboveSinceMs = sinceMs
        return nowMs - sinceMs >= spanMs ? poison : nil
    }
}
