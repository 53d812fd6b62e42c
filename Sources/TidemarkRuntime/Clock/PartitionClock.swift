import TidemarkCore
import TidemarkText

/// The first and the last event time of rows that belong to the pane at hand, ms.
package struct UsualTimes {
    package let fromMs: Int64
    package let toMs: Int64
    package init(fromMs: Int64, toMs: Int64) {
        self.fromMs = fromMs
        self.toMs = toMs
    }
}

/// What one input partition knows of time, record by record.
///
/// Two clocks meet here: the rows' event time, and the *reference clock*, which follows Kafka record
/// time (or is fixed, for a file). The watermark is the greatest event time, taken no further than
/// the reference clock, less the stated bound, and never less than a recorded floor. So rows whose
/// clock is ahead move it as well as others do, and none moves it past the time that records tell.
///
/// One record must not set the reference clock: its producer's clock may be an hour ahead, its time in
/// another unit. A record time that leaps is a *leap* that waits until later records agree with it; see
/// `follow`. Meanwhile its rows count in their own panes, and the watermark waits.
///
/// Every decision is a function of the partition's records and floors alone.
package struct PartitionClock: Sendable, Equatable {
    /// What happens with a row, as far as time decides it.
    package enum Admission: Equatable {
        case inTime
        case late
        case quarantined
    }

    /// The part that a commit keeps.
    package struct Reading: Sendable, Equatable {
        /// The greatest event time, each taken no further than the reference clock at its row.
        package var maxEventMs = TimeLimit.never
        /// The greatest record time that is believed, ms; `TimeLimit.never` before the first.
        package var referenceMs = TimeLimit.never
        /// The greatest recorded floor under the watermark, ms; `TimeLimit.never`: there is none.
        package var floorMs = TimeLimit.never
        /// The least record time of a leap that is not believed yet; `never`: there is none.
        package var leapMs = TimeLimit.never
        /// Records that agree with the leap, less those that contradict it.
        package var leapScore: Int64 = 0
        /// Record times up to it were contradicted of late: rows do not count by their word.
        package var doubtMs = TimeLimit.never
        package init() {}
    }

    /// What a commit keeps, after the last record.
    package private(set) var reading: Reading
    /// Panes that end at or before it are sealed.
    package private(set) var watermarkMs = TimeLimit.never
    /// The watermark if the leap were believed: what an idle floor may be raised to.
    package private(set) var hopedMs = TimeLimit.never
    /// Leaps of more than the skew that were given up, since the clock was made.
    package private(set) var refusedLeapCount: Int64 = 0
    /// Record times up to it move the reference clock at once; `never` while there is more to weigh.
    private var usualMs = TimeLimit.never
    private let boundMs: Int64
    private let skewMs: Int64
    private let paneMs: Int64
    private let stepMs: Int64
    private let followsRecords: Bool

    /// A step of record time is a leap if it is greater than this and than the bound, ms.
    package static let stepMsMin: Int64 = 1_000
    /// A leap is believed once records that agree with it span a tenth of its size, or this much,
    /// ms.
    package static let agreedMsMax: Int64 = 30_000
    /// A shorter span is enough once this many more records agree than contradict.
    package static let agreedCount: Int64 = 32
    /// The least of such spans, ms: a producer writes a whole batch in less.
    package static let agreedCountMs: Int64 = 3_000

    /// `fixedReferenceMs`: the reference clock of a file; `nil` follows record times.
    package init(
        boundMs: Int64, skewMs: Int64, paneMs: Int64, fixedReferenceMs: Int64?,
        reading: Reading = Reading()
    ) {
        self.boundMs = boundMs
        self.skewMs = skewMs
        self.paneMs = paneMs
        self.reading = reading
        stepMs = max(boundMs, Self.stepMsMin)
        followsRecords = fixedReferenceMs == nil
        if let fixedReferenceMs {
            self.reading.referenceMs = fixedReferenceMs
        } else if reading.referenceMs > TimeLimit.latestMs {
            // Stored by a version that one record could lead astray.
            self.reading.referenceMs = TimeLimit.never
        }
        hopedMs =
            reading.maxEventMs == TimeLimit.never ? TimeLimit.never : reading.maxEventMs - boundMs
        refreshUsual()
        refreshWatermark()
    }

    /// Decides on one record and learns from it.
    ///
    /// A row is late when its pane was sealed before it came. (Whether one of its longer windows is
    /// still open is the calendar's to say.) A row more than the skew ahead of the reference clock,
    /// and of its own record time while that is a leap that may come true, is quarantined. All
    /// others count.
    ///
    /// - Returns: the verdict, and `withdrawnMs`: panes that start after it hold rows of a leap that was
    ///   just contradicted, and nothing else; they are given up. `nil`: there are none.
    package mutating func admit(
        eventMs: Int64, recordMs: Int64
    ) -> (admission: Admission, withdrawnMs: Int64?) {
        var nowMs = reading.referenceMs
        var withdrawnMs: Int64?
        if followsRecords, recordMs != TimeLimit.never {
            // A time that can be none (in another unit) says nothing: the event's own stands in for it.
            (nowMs, withdrawnMs) = follow(Self.isTime(recordMs) ? recordMs : eventMs)
        }
        return (admit(eventMs: eventMs, nowMs: nowMs), withdrawnMs)
    }

    /// A further row of a record whose first row was admitted or observed: its record time has counted.
    package mutating func admitFurther(eventMs: Int64, recordMs: Int64) -> Admission {
        var nowMs = reading.referenceMs
        if followsRecords, recordMs != TimeLimit.never {
            let timeMs = Self.isTime(recordMs) ? recordMs : eventMs
            if nowMs == TimeLimit.never {
                nowMs = timeMs
            } else if reading.leapMs != TimeLimit.never, timeMs > nowMs + stepMs {
                nowMs = weighed(timeMs)
            }
        }
        return admit(eventMs: eventMs, nowMs: nowMs)
    }

    /// What happens with a row that is weighed by `nowMs`, once the record's time is taken in.
    private mutating func admit(eventMs: Int64, nowMs: Int64) -> Admission {
        if nowMs != TimeLimit.never, eventMs > nowMs + skewMs { return .quarantined }
        // The pane's end is compared, not the row's time.
        let isLate =
            watermarkMs != TimeLimit.never
            && eventMs < watermarkMs
            && eventMs.flooredDivision(by: paneMs) < watermarkMs.flooredDivision(by: paneMs)
        // A file's clock stands still: nothing after it could ever pass. Where no record has a time,
        // there is no clock but the rows'.
        let isFree =
            !followsRecords || (nowMs == TimeLimit.never && reading.leapMs == TimeLimit.never)
        let reachMs = isFree ? .max : reading.referenceMs
        if reachMs != TimeLimit.never, min(eventMs, reachMs) > reading.maxEventMs {
            reading.maxEventMs = min(eventMs, reachMs)
            refreshWatermark()
        }
        hopedMs = max(hopedMs, min(eventMs, isFree ? .max : nowMs) - boundMs)
        return isLate ? .late : .inTime
    }

    /// As `admit` of row after row where nothing has to be weighed: the row is not older than the watermark and
    /// not ahead of the reference clock by more than the skew, its event time is within `bounds`, and the record's
    /// time is no leap.
    ///
    /// - Returns: how many rows were admitted. Of the one after them nothing was learnt.
    @inline(__always)
    package mutating func admitUsual(
        eventMs: UnsafePointer<Int64>, recordMs: UnsafePointer<Int64>, count: Int,
        _ bounds: UsualTimes
    ) -> Int {
        var (referenceMs, greatestMs) = (reading.referenceMs, reading.maxEventMs)
        var fromMs = max(bounds.fromMs, watermarkMs)
        var row = 0
        while row < count {
            let ms = unsafe eventMs[row]
            guard ms >= fromMs && ms <= bounds.toMs else { break }
            var reached = ms
            if followsRecords {
                let record = unsafe recordMs[row]
                let reference = max(record, referenceMs)
                // What is no time at all says nothing, and is weighed as well.
                guard record <= usualMs && record >= TimeLimit.earliestMs,
                    ms &- skewMs <= reference
                else { break }
                if reference > referenceMs {
                    referenceMs = reference
                    usualMs = reference + stepMs
                }
                reached = min(ms, reference)
            } else if ms &- skewMs > referenceMs {
                break
            }
            if reached > greatestMs {
                greatestMs = reached
                watermarkMs = max(reached - boundMs, reading.floorMs)
                fromMs = max(bounds.fromMs, watermarkMs)
            }
            row &+= 1
        }
        (reading.referenceMs, reading.maxEventMs) = (referenceMs, greatestMs)
        return row
    }

    /// A record without an event time still moves the reference clock.
    ///
    /// - Returns: as `admit`.
    package mutating func observe(recordMs: Int64) -> Int64? {
        guard followsRecords, Self.isTime(recordMs) else { return nil }
        return follow(recordMs).withdrawnMs
    }

    /// Obeys a recorded floor.
    package mutating func raise(to floorMs: Int64) {
        if floorMs > reading.floorMs {
            reading.floorMs = floorMs
            refreshWatermark()
        }
    }

    /// A record time that was set, and can be none.
    package static func isOdd(recordMs: Int64) -> Bool {
        recordMs != TimeLimit.never && !isTime(recordMs)
    }

    /// A record time that can be one: other units and unset fields are far from it.
    private static func isTime(_ ms: Int64) -> Bool {
        ms >= TimeLimit.earliestMs && ms <= TimeLimit.latestMs
    }

    // MARK: The reference clock

    /// Takes a record's time in.
    ///
    /// Up to the bound (a second at least) ahead of the reference clock it is taken at once. A greater
    /// step is a leap: the topic was silent, or a clock is wrong, and one record cannot tell which.
    /// Records that are as far ahead agree with it; records about the old reference clock (nearer to it
    /// than half of the leap) contradict; older ones, as of a producer that sends what it had kept, say
    /// nothing. It is given up when as many contradict as agree, and believed when those that agree
    /// span a tenth of its size: so a topic with a record every ten minutes is one record behind, and a
    /// topic that was silent for a day goes on after seconds.
    ///
    /// - Returns: the time that this record's row is weighed by, and what `admit` returns.
    private mutating func follow(_ recordMs: Int64) -> (nowMs: Int64, withdrawnMs: Int64?) {
        let reference = reading.referenceMs
        guard reference != TimeLimit.never else { return begin(with: recordMs) }
        if recordMs <= reference + stepMs {
            var withdrawnMs: Int64?
            if reading.leapMs != TimeLimit.never,
                recordMs > reference - (reading.leapMs - reference) / 2
            {
                reading.leapScore -= 1
                if reading.leapScore <= 0 { withdrawnMs = giveUpLeap() }
            }
            reading.referenceMs = max(reference, recordMs)
            refreshUsual()
            return (reading.referenceMs, withdrawnMs)
        }
        guard reading.leapMs != TimeLimit.never else {
            reading.leapMs = recordMs
            reading.leapScore = 1
            refreshUsual()
            return (weighed(recordMs), nil)
        }
        var withdrawnMs: Int64?
        if recordMs < reading.leapMs - skewMs {
            // A lesser leap: whoever was further ahead is not believed.
            reading.doubtMs = reading.leapMs
            refusedLeapCount += 1
            withdrawnMs = recordMs + skewMs
        }
        reading.leapMs = min(reading.leapMs, recordMs)
        reading.leapScore += 1
        let spanMs = recordMs - reading.leapMs
        let neededMs = min(Self.agreedMsMax, (reading.leapMs - reference) / 10)
        let isBelieved =
            spanMs >= neededMs
            || (reading.leapScore >= Self.agreedCount
                && spanMs >= min(Self.agreedCountMs, neededMs))
        guard isBelieved, withdrawnMs == nil else { return (weighed(recordMs), withdrawnMs) }
        reading.referenceMs = reading.leapMs
        endLeap()
        // It may be a leap of its own from here.
        return follow(recordMs)
    }

    /// The first two records that agree set the clock, by the lesser of them.
    private mutating func begin(with recordMs: Int64) -> (nowMs: Int64, withdrawnMs: Int64?) {
        let firstMs = reading.leapMs
        reading.leapMs = firstMs == TimeLimit.never ? recordMs : min(firstMs, recordMs)
        reading.leapScore = 1
        guard firstMs != TimeLimit.never, recordMs >= firstMs - stepMs else {
            let isLess = firstMs != TimeLimit.never
            return (recordMs, isLess ? recordMs + skewMs : nil)
        }
        reading.referenceMs = reading.leapMs
        endLeap()
        return follow(recordMs)
    }

    /// While a leap waits its rows count by their own record time, unless such were wrong of late.
    private func weighed(_ recordMs: Int64) -> Int64 {
        recordMs > reading.doubtMs ? max(recordMs, reading.referenceMs) : reading.referenceMs
    }

    private mutating func giveUpLeap() -> Int64 {
        let leadMs = reading.leapMs - reading.referenceMs
        // For as long again: a producer whose clock is wrong stays so for a while.
        if leadMs > skewMs {
            reading.doubtMs = min(reading.leapMs + leadMs, TimeLimit.latestMs)
            refusedLeapCount += 1
        }
        endLeap()
        hopedMs = watermarkMs
        return reading.referenceMs + skewMs
    }

    private mutating func endLeap() {
        reading.leapMs = TimeLimit.never
        reading.leapScore = 0
        refreshUsual()
    }

    private mutating func refreshUsual() {
        let isUsual =
            reading.leapMs == TimeLimit.never && reading.referenceMs != TimeLimit.never
        usualMs = isUsual ? reading.referenceMs + stepMs : TimeLimit.never
    }

    private mutating func refreshWatermark() {
        let own =
            reading.maxEventMs == TimeLimit.never ? TimeLimit.never : reading.maxEventMs - boundMs
        watermarkMs = max(own, reading.floorMs)
    }
}
