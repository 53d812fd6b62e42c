/// A record of a topic that is followed beside the source.
package struct SideRecord: Sendable, Equatable {
    /// The topic that it lies in.
    package var topic: String
    /// Its key, as text.
    package var key: String
    /// `nil`: it takes back what was written under that key.
    package var value: [UInt8]?

    package init(topic: String, key: String, value: [UInt8]?) {
        self.topic = topic
        self.key = key
        self.value = value
    }
}

/// Follows compacted topics beside the source: what is in them when a run starts, and what is written to them later.
///
/// The coordinator alone calls it.
package protocol SideReader: AnyObject {
    /// The newest record of each wanted key since it was asked last; the first time those that stand there.
    ///
    /// It does not wait.
    func poll() throws(ConnectorError) -> [SideRecord]
    /// Lets go of connections.
    func close(withinMs: Int64)
}
