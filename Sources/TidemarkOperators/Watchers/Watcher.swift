import TidemarkCodec
import TidemarkCore
import TidemarkDataflow

/// Watches something beside the rows of windows: the source, time, who is silent.
///
/// A kind of watcher is one file of this folder and its line in `allWatchers`. It is told of every moment,
/// takes up those that concern it, and publishes what is to be said. What has to outlive the process is
/// entry state of its own.
protocol Watcher {
    /// Takes a moment in.
    ///
    /// - Throws: what ends the run.
    mutating func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance

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

extension Watcher {
    mutating func resume(throughMs: Int64) {}
    var byteCount: Int { 0 }
}

/// One of each kind of watcher that a plan has use for.
///
/// `rank`: the order in which groups of a segment are kept where there are too many.
func allWatchers(
    _ plan: Plan, rank: @escaping ([UInt8], Int) -> GroupRank
) -> [any Watcher] {
    [
        SourceSilence(plan: plan), BadRows(plan: plan), SourceConditions(plan: plan),
        GroupSilence(plan: plan, rank: rank),
    ]
}

extension StateRestoration {
    /// The entry is of a monitor that the topology does not have.
    static let noMonitor = StateRestoration.unusable("no monitor of this topology has it")
}
