package import TidemarkCore
package import TidemarkDataflow

/// What the coordinator starts from.
package struct CoordinatorStart: Sendable {
    package var partitions: [TopicPartition]
    /// Where reading begins.
    package var offsets: [Int64]
    /// What was committed; records below are read again.
    package var nexts: [Int64]
    package var metadata: [CommitMetadata?]
    package var applicationHash: UInt64
    package var clusterHash: UInt64
    package var dataHash: UInt64
    package var stateEpoch: Int
    /// Open windows that a snapshot holds, with the panes that end by `snapshotThroughMs`.
    package var windows: [WindowSnapshot]
    package var snapshotThroughMs: Int64
    /// A snapshot that the offsets speak of is lost: windows that begin before it lack rows.
    package var incompleteBeforeMs: Int64
    /// Records that are gone unread, and such as were passed over at the start.
    package var lost: Int64 = 0
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
