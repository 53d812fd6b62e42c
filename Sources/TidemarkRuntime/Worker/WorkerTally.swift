package import TidemarkDataflow

/// Counts of a worker since its last message.
package struct WorkerTally: Sendable, Equatable {
    /// Records that are new: `reread` are not in it.
    package var records: Int64 = 0
    /// Bytes of their values.
    package var bytes: Int64 = 0
    /// Rows that were folded into panes.
    package var rows: Int64 = 0
    /// Records that were passed over: without a value, and headers of CSV.
    package var tombstones: Int64 = 0
    /// Of `tombstones`: rows that repeat the names of the columns.
    package var headers: Int64 = 0
    /// Rows whose time has no offset and was read as UTC, since its column names no zone; those that are
    /// read again are in it.
    package var assumedUTC: Int64 = 0
    /// Rows in a group without a value of some dimension, by dimension and reason.
    package var ungrouped = SetAsideTally()
    /// Rows in which an expression is undefined, by expression.
    package var undefined = SetAsideTally()
    /// Records that could not be read, or without an event time of use.
    package var deadLetters: Int64 = 0
    /// Rows for which the filter was false.
    package var filteredOut: Int64 = 0
    /// Rows for which the filter was null.
    package var filteredNull: Int64 = 0
    /// Rows that came too late for all their windows.
    package var late: Int64 = 0
    /// Of `rows`: those that came too late for some of their windows, and count in the others.
    package var lateForSome: Int64 = 0
    /// Rows too far ahead of the reference clock.
    package var quarantined: Int64 = 0
    /// Records that came behind the end that `--until-end` had fixed: as if they were not there.
    package var beyondEnd: Int64 = 0
    /// Dead letters, late, quarantined and withdrawn rows, by reason with an example each.
    package var setAside = SetAsideTally()
    /// Rows that were counted on the strength of a record time that others then contradicted: taken back.
    ///
    /// They are among `rows`.
    package var withdrawn: Int64 = 0
    /// Records whose record time can be none: their event time stood in for it.
    package var oddTimes: Int64 = 0
    /// Leaps of the record time that later records contradicted.
    package var refusedLeaps: Int64 = 0
    /// Offsets without a record: control records, aborted and compacted ones.
    ///
    /// On a topic that is neither written in transactions nor compacted there are none.
    package var skipped: Int64 = 0
    /// Records below the committed offset, read again to rebuild: in none of the other counts.
    package var reread: Int64 = 0
    package init() {}

    /// What became of the records that were read: each one is in just one of these.
    package var accounted: Int64 {
        rows + tombstones + deadLetters + filteredOut + filteredNull + late + quarantined
    }

    /// Joins another tally.
    package mutating func add(_ other: WorkerTally) {
        for count in Self.counts { self[keyPath: count.path] += other[keyPath: count.path] }
        ungrouped.add(other.ungrouped)
        undefined.add(other.undefined)
        setAside.add(other.setAside)
    }
}

extension WorkerTally {
    /// One of the counts: what adds tallies up, the summary as JSON and the metrics all come from the list of them.
    package struct Count: Sendable {
        /// Its name in `run --json`.
        package let name: StaticString
        /// Where it is.
        package let path: any WritableKeyPath<WorkerTally, Int64> & Sendable
        /// How it is exported.
        package let metric: Metric
    }

    /// How a count is exported to Prometheus.
    package enum Metric: Sendable {
        /// It is not: others say it.
        case none
        /// A value of the label `fate` of `tidemark_records_total`.
        case fate(String)
        /// A counter of its own.
        case counter(String, help: String)
    }

    /// All counts, in the order of `run --json`.
    package static let counts: [Count] = [
        Count(name: "records", path: \.records, metric: .none),
        Count(name: "bytes", path: \.bytes, metric: .none),
        Count(name: "rows", path: \.rows, metric: .fate("in_window")),
        Count(name: "dead_letters", path: \.deadLetters, metric: .fate("dead_letter")),
        Count(name: "late", path: \.late, metric: .fate("late")),
        Count(
            name: "late_for_some", path: \.lateForSome,
            metric: .counter(
                "tidemark_rows_late_for_some_windows_total",
                help: "Rows that came too late for some of their windows, and count in the others.")
        ),
        Count(name: "quarantined", path: \.quarantined, metric: .fate("quarantined")),
        Count(name: "withdrawn", path: \.withdrawn, metric: .fate("withdrawn")),
        Count(
            name: "odd_record_times", path: \.oddTimes,
            metric: .counter(
                "tidemark_record_times_odd_total",
                help: "Records whose record time can be none: before 2000 or after 9999.")),
        Count(
            name: "refused_leaps", path: \.refusedLeaps,
            metric: .counter(
                "tidemark_clock_leaps_refused_total",
                help: "Leaps of the record time that later records contradicted.")),
        Count(name: "tombstones", path: \.tombstones, metric: .fate("tombstone")),
        Count(name: "headers", path: \.headers, metric: .none),
        Count(
            name: "times_assumed_utc", path: \.assumedUTC,
            metric: .counter(
                "tidemark_times_assumed_utc_total",
                help: "Event times without an offset that were read as UTC.")),
        Count(name: "filtered", path: \.filteredOut, metric: .fate("filtered_out")),
        Count(name: "filtered_null", path: \.filteredNull, metric: .fate("filtered_null")),
        Count(name: "beyond_end", path: \.beyondEnd, metric: .fate("beyond_end")),
        Count(name: "reread", path: \.reread, metric: .fate("reread")),
        Count(
            name: "offsets_without_record", path: \.skipped,
            metric: .counter(
                "tidemark_source_offsets_without_record_total",
                help: "Offsets passed over: control records, aborted and compacted ones.")),
    ]
}
