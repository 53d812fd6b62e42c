package import TidemarkCore
package import TidemarkDataflow

/// For sources whose positions nobody keeps: a file is read from its beginning every time.
package final class NoOffsets: OffsetStore {
    package let clusterId = ""
    package init() {}
    package func committed(_ partitions: [TopicPartition]) -> [CommittedOffset] { [] }
    package func commit(_ offsets: [CommittedOffset]) {}
}
