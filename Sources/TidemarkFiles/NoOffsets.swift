package import TidemarkCore
package import TidemarkDataflow

/// For sources whose positions nobody keeps: a file is read from its beginning every time.
package final class NoOffsets: OffsetStore {
    /// There is no cluster.
    package let clusterId = ""
    package init() {}
    /// None: reading begins anew.
    package func committed(_ partitions: [TopicPartition]) -> [CommittedOffset] { [] }
    /// Keeps nothing.
    package func commit(_ offsets: [CommittedOffset]) {}
}
