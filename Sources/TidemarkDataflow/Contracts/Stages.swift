package import TidemarkBatch
package import TidemarkCore

/// Why a record is a dead letter: a stable name, and words for a person.
package struct DeadLetterReason: Sendable, Equatable {
    /// Stable: a header of the letter, and the reason in metrics (`not_json`).
    package var name: String
    /// What stands in the record, in words; never a value of a feature.
    package var detail: String

    package init(_ name: String, _ detail: String) {
        self.name = name
        self.detail = detail
    }

    /// The reason of a row whose event time lies outside `TimeLimit`.
    package static let eventTimeOutOfRange = "event_time_out_of_range"
}

/// What became of each row of a frame, filled by stage 1's decoder and by the partition's clock.
///
/// One a worker; the owner is the worker.
@safe
package final class RowTable {
    /// What happens with a row.
    package enum Fate: UInt8, Sendable {
        /// Folded into its pane.
        case row = 0
        case tombstone
        case deadLetter
        /// The filter was false, or null.
        case filteredOut
        case filteredNull
        /// All windows of its time are over for its partition.
        case late
        /// Too far ahead of the reference clock.
        case quarantined
        /// Beyond the end that `--until-end` fixed: as if it were not there.
        case beyondEnd
    }

    /// The record of each row, and how many rows there are.
    package let map: RowMap
    /// `Fate` of each row, as its raw value; a place a row, owned by the table.
    package let fate: UnsafeMutablePointer<UInt8>
    /// Event time of each row, ms; set where the fate is `row` or was decided by time.
    package let eventTimeMs: UnsafeMutablePointer<Int64>
    /// The open pane that the row belongs to, or (late and quarantined rows) counts in; -1: none.
    package let pane: UnsafeMutablePointer<Int32>

    /// A table for frames of at most so many rows.
    package init(rowCountMax: Int) {
        map = RowMap(rowCountMax: rowCountMax)
        unsafe fate = .allocate(capacity: rowCountMax)
        unsafe eventTimeMs = .allocate(capacity: rowCountMax)
        unsafe pane = .allocate(capacity: rowCountMax)
    }

    deinit {
        unsafe fate.deallocate()
        unsafe eventTimeMs.deallocate()
        unsafe pane.deallocate()
    }
}

/// What stage 1 knows of a pane of one partition, handed over once.
///
/// A function of that partition's records alone: it does not depend on when they were read, or on
/// others.
package protocol Partial: AnyObject, Sendable {
    /// Memory it holds, bytes.
    var byteCount: Int { get }
    /// Who has rows in a segment, by its place in `StreamPlan.segments`.
    func presence(segment: Int) -> GroupPresence
}

/// Stage 1 of one worker: decodes rows and folds them into open panes.
///
/// The runtime decides which pane a row belongs to and when a pane is sealed; it calls `decode`,
/// then (having filled `rows.pane`) `fold`, once each a batch, or a few times where records hold many rows.
package protocol StageOne: AnyObject {
    /// Decodes and filters the records from `cursor` on, as many as the table has room for: sets the
    /// record, the fate and the event time of each row.
    ///
    /// - Returns: where to go on; a record behind the last one when all were taken.
    func decode(
        _ batch: RecordBatch, from cursor: RecordCursor, into rows: RowTable
    ) -> RecordCursor
    /// Why a row of the table is a dead letter, after `decode` said that it is one.
    func deadLetterReason(_ batch: RecordBatch, row: Int) -> DeadLetterReason
    /// A pane opens. `id` is small and reused after `seal`.
    ///
    /// `arrivalMs`: it takes rows of panes from `startMs` on that came late, while the pane of that start was
    /// filling; `nil`: it is the pane itself.
    func open(pane id: Int, startMs: Int64, arrivalMs: Int64?, partition: TopicPartition)
    /// Folds rows of fate `.row` into their panes; counts late and quarantined ones there.
    func fold(_ batch: RecordBatch, rows: RowTable)
    /// Ends a pane and hands over what it holds.
    func seal(pane id: Int) -> any Partial
    /// Memory that open panes hold, bytes.
    var byteCount: Int { get }
    /// Times without an offset that were read as UTC, since nobody named their zone; since the start.
    var assumedUTCCount: Int64 { get }
    /// Counts the rows of the table, after `fold`, that are in a group without a value of some dimension:
    /// by `dimension reason` (`null`, `missing`, `wrong_type`, `non_finite`).
    ///
    /// `isNew`: whether a record was not read before a restart. `example`: where a record lies.
    func countUngrouped(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String)
    /// Counts the rows of the table, after `fold`, in which an expression is undefined, by its name.
    func countUndefined(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String)
}

extension StageOne {
    /// A pane opens for its own rows.
    package func open(pane id: Int, startMs: Int64, partition: TopicPartition) {
        open(pane: id, startMs: startMs, arrivalMs: nil, partition: partition)
    }
    /// A stage that reads no times without an offset.
    package var assumedUTCCount: Int64 { 0 }
    /// A stage without expressions.
    package func countUndefined(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {}
    /// A stage without groups.
    package func countUngrouped(
        _ rows: RowTable, isNew: (Int) -> Bool, into tally: inout SetAsideTally,
        example: (Int) -> String
    ) {}
}

/// What stage 2 needs to know of a window that closes.
package struct WindowClosing: Sendable, Equatable {
    /// Which one.
    package var window: Window
    /// The place of the length in `StreamPlan.windows`.
    package var size: Int
    /// False if the input began or ended within the window, or went on without a partition that
    /// could not be read.
    package var complete: Bool
    /// How often the window was published before, when it was incomplete.
    package var rev: Int
    /// The window was long over, in event time, when its first row was read.
    package var backfill: Bool
    /// How long it was over, in event time, when its first row was read; 0 where that is not known.
    package var ageMs: Int64
    /// The partition whose watermark was the last to pass the window's end, where there are several:
    /// for a header, since it depends on the process.
    package var heldBy: TopicPartition?

    package init(
        window: Window, size: Int, complete: Bool, rev: Int, backfill: Bool, ageMs: Int64 = 0,
        heldBy: TopicPartition? = nil
    ) {
        self.window = window
        self.size = size
        self.complete = complete
        self.rev = rev
        self.backfill = backfill
        self.ageMs = ageMs
        self.heldBy = heldBy
    }
}

/// Something that a person should know of, for the log: said once, not in every window.
package struct Notice: Sendable {
    /// What it is, in words.
    package var event: String
    /// What belongs to it, in the order in which it is shown.
    package var fields: [(name: String, value: String)]

    /// A notice with its fields.
    package init(_ event: String, _ fields: [(name: String, value: String)]) {
        self.event = event
        self.fields = fields
    }
}

/// Counts of what a closing window published.
package struct WindowTally: Sendable {
    /// Something fell into the window: else there is none, and nothing was published.
    package var isThere = false
    /// Rows of the window, each counted once a segment.
    package var rows: Int64 = 0
    /// Records of aggregates.
    package var aggregates = 0
    /// Alerts that began to fire.
    package var alerts = 0
    /// What was met for the first time.
    package var notices: [Notice] = []
    /// What monitors came to.
    package var verdicts = VerdictTally()
    /// How the rows of each column were counted in this window, in the first segment that watches it, at the
    /// first length of that segment's windows; empty where this window is of another length.
    package var columns: [RowCounts] = []
    /// `segment/group` of groups that a baseline does not have.
    package var groupsWithoutBaseline: Set<String> = []
    package init() {}
}

/// What became of a state entry that was read back.
package enum StateRestoration: Sendable, Equatable {
    case taken
    /// Of another state epoch: it is taken away with the next commit.
    case otherEpoch(Int)
    /// The state is that of another topology with the same `app`.
    case otherTopology(String)
    /// A form that only a newer version writes.
    case newer(version: Int)
    /// Its bytes are damaged, or nothing of this topology has such a key.
    case unusable(String)
}

/// An open window of the runtime's: which one, and the greatest reference clock at the first rows of
/// its panes.
package struct WindowSnapshot: Sendable, Equatable {
    /// Which one.
    package var window: Window
    /// The place of the length in `StreamPlan.windows`.
    package var size: Int
    /// The greatest reference clock at the first rows of its panes, ms; `TimeLimit.never` where it
    /// is not known.
    package var referenceMs: Int64

    package init(window: Window, size: Int, referenceMs: Int64) {
        self.window = window
        self.size = size
        self.referenceMs = referenceMs
    }
}

/// Stage 2: merges partials into windows, tests and publishes them.
///
/// One thread calls it.
package protocol StageTwo: AnyObject {
    /// Merges the partials of one pane, given in the canonical order of partitions, into each of
    /// the windows of the pane `startMs` (which the runtime opened in this way, and closes later).
    ///
    /// `sourceMs`: their rows came late, in that pane, and belong to the one that starts then: they count in
    /// windows that hold both, and of a length of which none does, as late. Else it is `startMs`.
    func merge(
        _ partials: [any Partial], of sourceMs: Int64, in startMs: Int64,
        into windows: [(window: Window, size: Int)])
    /// Publishes a window and forgets it.
    func close(_ closing: WindowClosing, emit: (OutputRecord) -> Void) -> WindowTally
    /// Takes in what happened beside the rows of windows, and publishes what follows from it.
    ///
    /// - Throws: what ends the run.
    func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance
    /// Takes one restored entry in, before the first window.
    ///
    /// - Returns: what became of it; one that is not `taken` changes nothing.
    func restore(_ entry: StateEntry, epoch: Int) -> StateRestoration
    /// What changed since the last call, as entries of this epoch, for the next unit of commit. That
    /// unit is through when it is called again. A restart from that unit reads no pane again that ends
    /// by `settledMs`, and all later ones.
    func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry]
    /// About what `takeEntries` would give now, bytes.
    ///
    /// It is kept up to date, since it is asked for with every window.
    var pendingEntryBytes: Int { get }
    /// The open windows as entries, after the panes that end by `throughMs`: what a restart takes in
    /// place of their rows.
    func snapshot(
        _ windows: [WindowSnapshot], throughMs: Int64, epoch: Int
    ) -> [StateEntry]
    /// Takes up the windows of the snapshot through `throughMs`, after the last `restore`; those
    /// that end by `publishedThroughMs` are over. `never`: there is none.
    ///
    /// - Returns: the windows; `nil` if the snapshot is not there, not whole, or not of this plan.
    func restoreWindows(throughMs: Int64, publishedThroughMs: Int64) -> [WindowSnapshot]?
    /// Memory that open windows hold, bytes.
    var byteCount: Int { get }
}

/// Makes the records that carry somebody else's bytes.
package protocol LetterWriter: Sendable {
    /// The letter of a record that could not be read, or whose event time is of no use.
    func deadLetter(
        _ batch: RecordBatch, record: Int, partition: TopicPartition, reason: DeadLetterReason
    ) -> OutputRecord
    /// `nil` where late rows are counted only.
    func lateRow(
        _ batch: RecordBatch, record: Int, partition: TopicPartition, windowStartMs: Int64
    ) -> OutputRecord?
    /// `nil` where quarantined rows are counted only. `aheadMs`: of the reference clock; `nil` where that
    /// is not known yet.
    func quarantinedRow(
        _ batch: RecordBatch, record: Int, partition: TopicPartition, aheadMs: Int64?
    ) -> OutputRecord?
    /// Where a record lies, for people: `topic[partition]@offset`, or `file:line`.
    func place(_ batch: RecordBatch, record: Int, partition: TopicPartition) -> String
}

extension LetterWriter {
    /// Where it lies in its partition: what Kafka's own tools ask for.
    package func place(_ batch: RecordBatch, record: Int, partition: TopicPartition) -> String {
        "\(partition)@\(unsafe batch.offset[record])"
    }
}
