/// Something that the runtime has seen beside the rows of windows.
///
/// These are facts; whether anything follows from them is up to the stage that is told.
package enum Moment {
    /// The state was restored, and the first turn begins.
    case started
    /// The merged watermark has passed a pane: who has rows in it, and in what came late in it.
    ///
    /// Panes come in the order of their starts, those that a restart reads again too.
    case paneEnded([any Partial], PaneArrival)
    /// Everything that ends by then, ms of event time, is merged; windows that end then are closed next.
    case reached(Int64)
    /// All that there is was read.
    case caughtUp(Arrival)
    /// What is so of the source now, and the time on the wall clock, ms.
    case conditions([SourceCondition], nowMs: Int64)
    /// Rows were read, or none were.
    case intake(Intake)
    /// Topics that are followed beside the source have new records.
    case sideRecords([SideRecord])
}

/// What a stage made of a moment.
package struct Advance: Sendable, Equatable {
    /// Alerts that began to fire.
    package var alertCount: Int
    /// Something was published.
    package var hasSpoken: Bool
    /// No more rows are to be read before the next start.
    package var holdsReading: Bool

    /// By default nothing came of it.
    package init(alertCount: Int = 0, hasSpoken: Bool = false, holdsReading: Bool = false) {
        self.alertCount = alertCount
        self.hasSpoken = hasSpoken
        self.holdsReading = holdsReading
    }

    /// Joins what somebody else made of the same moment.
    package mutating func add(_ other: Advance) {
        alertCount += other.alertCount
        hasSpoken = hasSpoken || other.hasSpoken
        holdsReading = holdsReading || other.holdsReading
    }
}

/// A pane of all partitions, as it is merged.
package struct PaneArrival: Sendable, Equatable {
    /// Start of the pane, ms of event time.
    package var startMs: Int64
    /// Its end, ms of event time.
    package var endMs: Int64
    /// The greatest reference clock at the first rows of its partials; `TimeLimit.never` where it is not
    /// known.
    package var referenceMs: Int64

    package init(startMs: Int64, endMs: Int64, referenceMs: Int64) {
        self.startMs = startMs
        self.endMs = endMs
        self.referenceMs = referenceMs
    }
}

/// When something last arrived on the source.
package struct Arrival: Sendable, Equatable {
    /// On the wall clock, ms; `nil`: nothing has arrived since the process started.
    package var lastMs: Int64?
    /// When the process started, on the wall clock, ms.
    package var startedMs: Int64
    /// Now, on the wall clock, ms.
    package var nowMs: Int64

    package init(lastMs: Int64?, startedMs: Int64, nowMs: Int64) {
        self.lastMs = lastMs
        self.startedMs = startedMs
        self.nowMs = nowMs
    }
}

/// Rows that were read since the last time.
package struct Intake: Sendable, Equatable {
    /// Rows, those that are read again left out.
    package var rowCount: Int64
    /// Dead letters, quarantined and withdrawn rows among them.
    package var badCount: Int64
    /// Now, on the wall clock, ms.
    package var nowMs: Int64
    /// The run goes to the end of its input and ends there.
    package var isToEnd: Bool

    package init(rowCount: Int64, badCount: Int64, nowMs: Int64, isToEnd: Bool) {
        self.rowCount = rowCount
        self.badCount = badCount
        self.nowMs = nowMs
        self.isToEnd = isToEnd
    }
}

/// Who has rows in a segment of a partial.
package struct GroupPresence: Sendable {
    /// The parts of groups with rows of their own.
    package var groups: [[UInt8]]
    /// Groups of this rank or above may have rows that were merged with those of others.
    package var cut: GroupRank
    /// Somebody has rows, merged ones included.
    package var hasRows: Bool

    package init(groups: [[UInt8]], cut: GroupRank, hasRows: Bool) {
        self.groups = groups
        self.cut = cut
        self.hasRows = hasRows
    }
}

/// The order in which groups are kept when there are too many: those that the topology names,
/// then by hash.
///
/// It does not depend on the order of arrival.
package struct GroupRank: Comparable, Sendable {
    /// The topology names the group.
    package var isNamed: Bool
    /// Of the group's part.
    package var hash: UInt64

    package init(isNamed: Bool, hash: UInt64) {
        self.isNamed = isNamed
        self.hash = hash
    }

    /// Every group ranks below it: nothing was cut.
    package static let all = GroupRank(isNamed: false, hash: .max)

    package static func < (a: GroupRank, b: GroupRank) -> Bool {
        a.isNamed != b.isNamed ? a.isNamed : a.hash < b.hash
    }
}
