import TidemarkCore

/// What one input partition knows of time, record by record (D7).
///
/// The watermark is the greatest event time that was close enough to the reference clock, less the
/// stated bound, and never less than a recorded floor. The reference clock is the running maximum
/// of Kafka record time up to and with the record at hand, or a fixed time for a file. Every
/// decision is a function of the partition's records and floors alone.
package struct PartitionClock: Sendable, Equatable {
    package enum Admission: Equatable {
        case inTime
        case late
        case quarantined
    }

    /// The part that a commit keeps.
    package struct Reading: Sendable, Equatable {
        package var maxEventMs = TimeLimit.never
        package var referenceMs = TimeLimit.never
        package var floorMs = TimeLimit.never
        package init() {}
    }

    package private(set) var reading: Reading
    /// Panes that end at or before it are sealed.
    package private(set) var watermarkMs = TimeLimit.never
    private let boundMs: Int64
    private let skewMs: Int64
    private let paneMs: Int64
    private let followsRecords: Bool

    /// `fixedReferenceMs`: the reference clock of a file; `nil` follows record times.
    package init(
        boundMs: Int64, skewMs: Int64, paneMs: Int64, fixedReferenceMs: Int64?,
        reading: Reading = Reading()
    ) {
        self.boundMs = boundMs
        self.skewMs = skewMs
        self.paneMs = paneMs
        self.reading = reading
        followsRecords = fixedReferenceMs == nil
        if let fixedReferenceMs { self.reading.referenceMs = fixedReferenceMs }
        refreshWatermark()
    }

    /// Decides on one record and learns from it.
    ///
    /// A row is late when its pane was sealed before it came; a row more than the skew ahead of the
    /// reference clock is quarantined; a row ahead of it by more than the bound counts, but does
    /// not move the watermark.
    package mutating func admit(eventMs: Int64, recordMs: Int64) -> Admission {
        if followsRecords, recordMs > reading.referenceMs { reading.referenceMs = recordMs }
        let reference = reading.referenceMs
        if reference != TimeLimit.never, eventMs > reference + skewMs { return .quarantined }
        // The pane's end is compared, not the row's time: rows are late by pane.
        let isLate =
            watermarkMs != TimeLimit.never
            && eventMs < watermarkMs
            && eventMs.flooredDivision(by: paneMs) < watermarkMs.flooredDivision(by: paneMs)
        if eventMs > reading.maxEventMs,
            reference == TimeLimit.never || eventMs <= reference + boundMs
        {
            reading.maxEventMs = eventMs
            refreshWatermark()
        }
        return isLate ? .late : .inTime
    }

    /// As `admit` where nothing has to be weighed: the row is not older than the watermark and not
    /// ahead of the reference clock by more than the skew; else false, and nothing was learnt.
    @inline(__always)
    package mutating func admitUsual(eventMs: Int64, recordMs: Int64) -> Bool {
        let reference =
            followsRecords ? max(recordMs, reading.referenceMs) : reading.referenceMs
        guard eventMs >= watermarkMs, reference != .min, eventMs <= reference + skewMs else {
            return false
        }
        reading.referenceMs = reference
        if eventMs > reading.maxEventMs, eventMs <= reference + boundMs {
            reading.maxEventMs = eventMs
            watermarkMs = max(eventMs - boundMs, reading.floorMs)
        }
        return true
    }

    /// A record without an event time still moves the reference clock.
    package mutating func observe(recordMs: Int64) {
        if followsRecords, recordMs > reading.referenceMs { reading.referenceMs = recordMs }
    }

    /// Obeys a recorded floor.
    package mutating func raise(to floorMs: Int64) {
        if floorMs > reading.floorMs {
            reading.floorMs = floorMs
            refreshWatermark()
        }
    }

    private mutating func refreshWatermark() {
        let own =
            reading.maxEventMs == TimeLimit.never ? TimeLimit.never : reading.maxEventMs - boundMs
        watermarkMs = max(own, reading.floorMs)
    }
}
