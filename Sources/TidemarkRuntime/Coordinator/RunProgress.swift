package import TidemarkCore
package import TidemarkDataflow

/// What a run did, for the closing summary.
package struct RunTotals: Sendable, Equatable {
    /// What workers counted.
    package var input = WorkerTally()
    /// Windows that were closed.
    package var windows = 0
    /// Records of aggregates.
    package var aggregates = 0
    /// CPU time of closing windows: joining slices, tests, records and bytes of sketches.
    package var closingCPUNs: Int64 = 0
    /// Alerts that began to fire.
    package var alerts = 0
    /// Units that were committed.
    package var commits = 0
    /// Partials that came after their windows were published; they are counted, not merged.
    package var latePartials = 0
    /// Floors written down for quiet partitions, and for the end of the input.
    package var floorsRecorded = 0
    /// Floors among these by which windows go on without a partition that was not read to its end.
    package var forcedFloors = 0
    /// Records that were not read and are not in the log any more, as offsets tell.
    package var lost: Int64 = 0
    /// Records before the place where an application began to read, that are in the log.
    package var passedOver: Int64 = 0
    /// Times that open windows were written out, since re-reading them would take too long.
    package var snapshots = 0
    /// Bytes of state that those snapshots had.
    package var snapshotBytes = 0
    /// What monitors came to, over all windows.
    package var verdicts = VerdictTally()
    /// By place in `StreamPlan.columns`; empty before the first window.
    package var columns: [ColumnTally] = []
    /// `segment/group` of groups that a baseline does not have, `groupsWithoutBaselineMax` at most.
    package var groupsWithoutBaseline: Set<String> = []
    /// The most that are remembered by name.
    package static let groupsWithoutBaselineMax = 1000
    package init() {}

    /// Takes in what a window that closed came to.
    package mutating func add(_ tally: WindowTally) {
        if tally.isThere { windows += 1 }
        aggregates += tally.aggregates
        alerts += tally.alerts
        verdicts.add(tally.verdicts)
        add(
            columns: tally.columns.map { rows in
                var column = ColumnTally()
                column.rows = rows
                column.emptyWindows = rows.total > 0 && rows.value == 0 ? 1 : 0
                return column
            })
        add(groups: tally.groupsWithoutBaseline)
    }

    private mutating func add(columns other: [ColumnTally]) {
        if columns.count < other.count {
            columns += Array(repeating: ColumnTally(), count: other.count - columns.count)
        }
        for (place, column) in other.enumerated() { columns[place].add(column) }
    }

    private mutating func add(groups other: Set<String>) {
        for group in other where groupsWithoutBaseline.count < Self.groupsWithoutBaselineMax {
            groupsWithoutBaseline.insert(group)
        }
    }

    /// Joins what one engine after another did.
    package mutating func add(_ other: RunTotals) {
        input.add(other.input)
        windows += other.windows
        aggregates += other.aggregates
        closingCPUNs += other.closingCPUNs
        alerts += other.alerts
        commits += other.commits
        latePartials += other.latePartials
        floorsRecorded += other.floorsRecorded
        forcedFloors += other.forcedFloors
        lost += other.lost
        passedOver += other.passedOver
        snapshots += other.snapshots
        snapshotBytes += other.snapshotBytes
        verdicts.add(other.verdicts)
        add(columns: other.columns)
        add(groups: other.groupsWithoutBaseline)
    }
}

/// How far a run is, for progress and metrics.
package struct RunProgress: Sendable {
    /// What was done so far.
    package var totals = RunTotals()
    /// The merged watermark; `TimeLimit.never` before all partitions were heard of.
    package var watermarkMs = TimeLimit.never
    /// Windows that hold a pane and are not closed.
    package var openWindows = 0
    /// Panes that wait to be sealed by every partition.
    package var openPanes = 0
    /// Records between the position and the end of the log; `nil` where the end is not known.
    package var lag: Int64?
    /// The partition that holds the watermark back.
    package var heldBy: TopicPartition?
    /// How far its watermark is behind the furthest one.
    package var heldMs: Int64 = 0
    /// The next offset of each partition, in canonical order.
    package var positions: [Int64] = []
    /// Records below the committed offsets are being read again; nothing is published from them.
    package var isRebuilding = false
    /// The circuit breaker: too many dead letters, nothing is read until the next start.
    package var isHolding = false
    /// Memory of open panes, windows and entry state, bytes.
    package var stateByteCount = 0
    /// It is above its part of `limits.memory`: partitions wait for the slowest one.
    package var isOverMemory = false
    /// The input has new partitions: what was read is committed, and an engine made now knows them.
    package var hasGrown = false
    /// What a person should know of, in the order in which it was met; `noticeCountMax` at most.
    package var notices: [Notice] = []
    /// The most that are kept; later ones are counted in `droppedNoticeCount`.
    package static let noticeCountMax = 1_000
    /// Notices that were not kept, since there were too many.
    package var droppedNoticeCount = 0
    /// What a person has to know of the source, as it is now.
    package var conditions: [SourceCondition] = []
    /// A unit of commit takes windows in until it has this many bytes; 0 before the first one.
    package var unitBytesMax = 0
    /// What keeps the unit of commit at hand from getting through.
    package var commitTrouble: String?
    /// How long the last unit took to get through, ms.
    package var lastUnitMs: Int64 = 0
    package init() {}

    /// Takes in what a window that closed came to.
    mutating func add(_ tally: WindowTally) {
        totals.add(tally)
        let room = Self.noticeCountMax - notices.count
        notices += tally.notices.prefix(room)
        droppedNoticeCount += max(0, tally.notices.count - room)
    }
}
