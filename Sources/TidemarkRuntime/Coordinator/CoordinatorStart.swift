package import TidemarkCore
package import TidemarkDataflow

/// What the coordinator starts from.
package struct CoordinatorStart: Sendable {
    /// In canonical order: a partition's place in it is its slot.
    package var partitions: [TopicPartition]
    /// Where reading begins, by slot.
    package var offsets: [Int64]
    /// What was committed, by slot; records below are read again.
    package var nexts: [Int64]
    /// What the commits said, by slot; `nil`: nothing of use.
    package var metadata: [CommitMetadata?]
    /// Goes into every commit: see `CommitMetadata`.
    package var applicationHash: UInt64
    /// Goes into every commit: see `CommitMetadata`.
    package var clusterHash: UInt64
    /// Goes into every commit: see `CommitMetadata`.
    package var dataHash: UInt64
    /// Number of the state epoch: that of the commits, or one more where they could not be used.
    package var stateEpoch: Int
    /// Open windows that a snapshot holds, with the panes that end by `snapshotThroughMs`.
    package var windows: [WindowSnapshot]
    /// Panes that end by then are in the snapshot, ms; `TimeLimit.never`: there is none.
    package var snapshotThroughMs: Int64
    /// A snapshot that the offsets speak of is lost: windows that begin before it lack rows.
    package var incompleteBeforeMs: Int64
    /// Records that are gone from the log and were not read.
    package var lost: Int64 = 0
    /// Records in the log before the place where reading began.
    package var passedOver: Int64 = 0
    /// What was found at the start and has to be said.
    package var conditions: [SourceCondition] = []

    package init(
        partitions: [TopicPartition], offsets: [Int64], nexts: [Int64],
        metadata: [CommitMetadata?],
        applicationHash: UInt64, clusterHash: UInt64, dataHash: UInt64, stateEpoch: Int,
        windows: [WindowSnapshot] = [], snapshotThroughMs: Int64 = TimeLimit.never,
        incompleteBeforeMs: Int64 = TimeLimit.never
    ) {
        self.windows = windows
        self.snapshotThroughMs = snapshotThroughMs
        self.incompleteBeforeMs = incompleteBeforeMs
        self.partitions = partitions
        self.offsets = offsets
        self.nexts = nexts
        self.metadata = metadata
        self.applicationHash = applicationHash
        self.clusterHash = clusterHash
        self.dataHash = dataHash
        self.stateEpoch = stateEpoch
    }
}
