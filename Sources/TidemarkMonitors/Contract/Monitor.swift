import TidemarkCodec
import TidemarkCore
package import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords

/// A kind of monitor, with all its instances in a plan: what it makes of windows, and of what happens
/// beside them.
///
/// A kind is one file of the folder `TidemarkMonitors/Kinds`, and its line in `All.swift`. What it does not
/// need it leaves out: drift judges windows and knows no moment, silence is the other way round. What has to
/// outlive the process is entry state of its own.
protocol Monitor: SendableMetatype {
    /// What there is to know of the kind.
    static var spec: KindSpec { get }

    init(_ plan: Plan, rank: @escaping GroupRanking)

    // MARK: Windows

    /// Whether it judges windows of that length: of a column in a segment, or (`nil`) of groups as a whole.
    ///
    /// Asked once; the places are those in `StreamPlan`.
    func judges(segment: Int, size: Int, column: Int?) -> Bool
    /// Whose groups it judges as a whole even in windows in which they have no row; `nil`: nobody's.
    func absentees(segment: Int, size: Int) -> Absentees?
    /// Judges a window that it said it would judge; adds to the record what it found.
    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk)

    /// Whether it wants to know what others found.
    var listens: Bool { get }
    /// Takes in what others found in a window: the record of a column of a group, or of the group as a whole.
    mutating func note(_ record: AggregateRecord, segment: Int, size: Int)
    /// Takes in how the series of a monitor that judges no windows stand, before a window is judged as a whole.
    mutating func note(_ standing: Standing)
    /// How its series stand now; none where it judges windows, as their records say it.
    var standings: [Standing] { get }
    /// Judges a window after all its groups.
    ///
    /// - Returns: records of what it found.
    mutating func closed(
        _ closing: WindowClosing, _ alerts: inout AlertDesk
    ) -> [AggregateRecord]

    // MARK: Moments

    /// Takes a moment in, and publishes what follows from it.
    ///
    /// - Throws: what ends the run.
    mutating func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance

    // MARK: State

    /// What the next unit of commit has to write; see `StageTwo.takeEntries`.
    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry]
    /// About what `takeEntries` would give now, bytes.
    var pendingBytes: Int { get }
    /// Takes an entry in that was read back.
    ///
    /// - Returns: `nil`, if the key is of no entry of its own.
    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration?
    /// Says that all entries were read back, and through when an earlier process decided.
    mutating func resume(throughMs: Int64)
    /// Memory that grows with the number of groups, bytes.
    var byteCount: Int { get }
}

/// What there is to know of a kind of monitor beside what it does.
struct KindSpec: Sendable {
    /// As topologies, or the names of its alerts, have it.
    var name: String
    /// What the language has to know of it; `nil`: the planner has a file of its own for it, or no topology
    /// names it.
    var language: MonitorSpec?
    /// What its alerts say where no window decides: the test that is run, and the bound.
    var unjudged: @Sendable (MonitorPlan) -> (test: String, threshold: Double) = { _ in ("", 0) }
}

/// The order in which groups of a segment are kept where there are too many: of a group's part, by the
/// place of the segment.
package typealias GroupRanking = ([UInt8], Int) -> GroupRank

/// Groups that are judged though they have no row.
struct Absentees {
    /// Places of the baselines that know who is expected.
    var baselines: [Int]
    /// Whether a group is judged that has no baseline yet.
    var needsNoBaseline: Bool
}

// A kind leaves out what it has no use for.
extension Monitor {
    func judges(segment: Int, size: Int, column: Int?) -> Bool { false }
    func absentees(segment: Int, size: Int) -> Absentees? { nil }
    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {}
    var listens: Bool { false }
    mutating func note(_ record: AggregateRecord, segment: Int, size: Int) {}
    mutating func note(_ standing: Standing) {}
    var standings: [Standing] { [] }
    mutating func closed(
        _ closing: WindowClosing, _ alerts: inout AlertDesk
    ) -> [AggregateRecord] { [] }
    mutating func advance(_ moment: Moment, emit: (OutputRecord) -> Void) -> Advance { Advance() }
    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] { [] }
    var pendingBytes: Int { 0 }
    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? { nil }
    mutating func resume(throughMs: Int64) {}
    var byteCount: Int { 0 }
}

extension StateRestoration {
    /// The entry is of a monitor that the topology does not have.
    static let noMonitor = StateRestoration.unusable("no monitor of this topology owns it")
}
