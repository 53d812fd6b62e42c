package import TidemarkCore

/// Records that count in no window as they are, by reason, with the first of each as an example.
///
/// Reasons are stable names: those of dead letters (`not_json`), `late`, `quarantined` and `withdrawn`.
/// An example says where the record lies and what is wrong with it, never a value of a feature.
package struct SetAsideTally: Sendable, Equatable {
    /// What is known of one reason.
    package struct Entry: Sendable, Equatable {
        /// Records set aside for it.
        package var count: Int64
        /// `topic[partition]@offset: what is wrong`, of the first one that was met.
        package var example: String
    }

    /// By reason.
    package private(set) var entries: [String: Entry] = [:]

    package init() {}

    /// Nothing was set aside.
    package var isEmpty: Bool { entries.isEmpty }

    /// Counts a record, or several; the example is asked for only where there is none yet.
    package mutating func add(_ reason: String, count: Int64 = 1, example: () -> String) {
        if entries[reason] == nil {
            entries[reason] = Entry(count: count, example: example())
        } else {
            entries[reason]?.count += count
        }
    }

    /// Joins another tally; the example of this one stays.
    package mutating func add(_ other: SetAsideTally) {
        for (reason, entry) in other.entries {
            entries[reason, default: Entry(count: 0, example: entry.example)].count += entry.count
        }
    }

    /// The most frequent first, equals by name.
    package var sorted: [(reason: String, entry: Entry)] {
        entries.map { ($0.key, $0.value) }.sorted {
            ($1.entry.count, $0.reason) < ($0.entry.count, $1.reason)
        }
    }
}

/// How many verdicts of each kind each monitor came to.
package struct VerdictTally: Sendable, Equatable {
    /// One kind of one monitor.
    package struct Entry: Sendable, Equatable {
        /// The monitor's name.
        package var monitor: String
        /// What they say.
        package var verdict: Verdict
        /// (group, column, window)s of drift, (group, window)s of volume.
        package var count: Int64
    }

    /// In the order in which they were first met.
    package private(set) var entries: [Entry] = []

    package init() {}

    /// Counts a verdict, or several.
    ///
    /// - Complexity: O(entries), which are some dozens.
    package mutating func add(_ verdict: Verdict, of monitor: String, count: Int64 = 1) {
        for place in entries.indices
        where entries[place].verdict == verdict && entries[place].monitor == monitor {
            entries[place].count += count
            return
        }
        entries.append(Entry(monitor: monitor, verdict: verdict, count: count))
    }

    /// Joins another tally.
    package mutating func add(_ other: VerdictTally) {
        for entry in other.entries { add(entry.verdict, of: entry.monitor, count: entry.count) }
    }

    /// By monitor, then the most frequent first.
    package var sorted: [Entry] {
        entries.sorted {
            ($0.monitor, $1.count, $0.verdict.rawValue)
                < ($1.monitor, $0.count, $1.verdict.rawValue)
        }
    }

    /// Verdicts that compared something with something.
    package var reachedCount: Int64 {
        entries.reduce(0) { $0 + ($1.verdict.isReached ? $1.count : 0) }
    }
}

/// How the rows of a column were counted over all closed windows of one segment and length.
package struct ColumnTally: Sendable, Equatable {
    /// Summed over groups and windows.
    package var rows = RowCounts()
    /// Closed windows in which there were rows and none of them had a value, in no group.
    package var emptyWindows = 0

    package init() {}

    /// Joins another tally.
    package mutating func add(_ other: ColumnTally) {
        rows.add(other.rows)
        emptyWindows += other.emptyWindows
    }
}
