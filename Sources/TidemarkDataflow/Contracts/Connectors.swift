package import TidemarkBatch
package import TidemarkCore

/// An input partition as it stands when the source is asked.
package struct PartitionExtent: Sendable, Equatable {
    /// Which one.
    package var partition: TopicPartition
    /// The first offset that can be read.
    package var beginning: Int64
    /// One past the last offset.
    package var end: Int64

    package init(partition: TopicPartition, beginning: Int64, end: Int64) {
        self.partition = partition
        self.beginning = beginning
        self.end = end
    }
}

/// Where a worker begins to read a partition.
package struct PartitionStart: Sendable, Equatable {
    /// The partition's place in the canonical order: what `RecordBatch.partition` holds.
    package var slot: Int
    /// Which one, as the source names it.
    package var partition: TopicPartition
    /// The first offset to read.
    package var offset: Int64

    package init(slot: Int, partition: TopicPartition, offset: Int64) {
        self.slot = slot
        self.partition = partition
        self.offset = offset
    }
}

/// A position that a group committed, with its metadata.
package struct CommittedOffset: Sendable, Equatable {
    /// Whose position it is.
    package var partition: TopicPartition
    /// The offset of the next record to read.
    package var next: Int64
    /// What the process wrote beside it, as text; empty if somebody else set the position.
    package var metadata: String

    package init(partition: TopicPartition, next: Int64, metadata: String) {
        self.partition = partition
        self.next = next
        self.metadata = metadata
    }
}

/// A connector failed; `message` says what to do, for a person.
package struct ConnectorError: Error, Sendable, CustomStringConvertible {
    /// What can be done about it.
    package enum Kind: Sendable {
        /// The environment is wrong (exit code 4): broker, topic, credentials, file.
        case environment
        /// Another process took over.
        case fenced
        /// May go away by itself.
        case retriable
    }
    /// Decides whether it is tried again, and the exit code.
    package var kind: Kind
    /// What failed, in one sentence.
    package var message: String
    /// A command that would help, if there is one.
    package var hint: String?

    package init(_ kind: Kind, _ message: String, hint: String? = nil) {
        self.kind = kind
        self.message = message
        self.hint = hint
    }

    /// No thread could be started.
    package static var noThread: ConnectorError {
        ConnectorError(
            .environment,
            "no thread could be started: the system's limit of processes and threads is reached",
            hint: "raise `ulimit -u`, or pids.max of the container's cgroup")
    }

    /// The message, and on a line of its own what to try.
    package var description: String { hint.map { "\(message)\n  try: \($0)" } ?? message }
}

/// Why a partition that is quiet may not be idle.
package enum SourceHold: Sendable, Equatable {
    /// So many records lie behind an open transaction.
    case openTransaction(records: Int64)
    /// Its leader does not answer.
    case noAnswer
}

/// A log that can be read from given offsets: Kafka topics, a file, a simulation.
///
/// Called by the coordinator; the readers it opens belong to one worker each.
package protocol Source: AnyObject, Sendable {
    /// All partitions, in canonical order.
    func extents() throws(ConnectorError) -> [PartitionExtent]
    /// Where an application without a committed offset begins to read.
    func firstOffset(_ extent: PartitionExtent, start: SourcePlan.Start) throws(ConnectorError)
        -> Int64
    /// The reference clock where records carry no time of their own (a file), ms; `nil`: they carry
    /// one, or (on standard input) nothing is known of the time.
    var fixedReferenceMs: Int64? { get }
    /// The partitions end: a reader says when (a file), `extents` does not.
    var isBounded: Bool { get }
    /// One reader a worker, each assigned the starts given to it.
    func open(_ assignments: [[PartitionStart]]) throws(ConnectorError) -> [any SourceReader]
    /// One past the last offset known of each partition, by slot, without asking the broker anew;
    /// `nil` where it is not known. Read for lag, idleness and progress.
    func endOffsets() -> [Int64?]
    /// What keeps each partition from being read to its end, by slot; `nil`: nothing that is known.
    /// Empty: nothing keeps any.
    func holds() -> [SourceHold?]
    /// Members of the application's group that are not ours, as far as is known.
    var foreignMemberCount: Int { get }
    /// There are partitions that `extents` did not give. Asked often: it looks up what is known.
    var hasGrown: Bool { get }
    /// Gives up everything, waiting at most so long.
    func close(withinMs: Int64)
}

extension Source {
    /// What has no leaders and no transactions is read to its end by itself.
    package func holds() -> [SourceHold?] { [] }
    /// A source without groups.
    package var foreignMemberCount: Int { 0 }
}

/// One worker's end of a source.
package protocol SourceReader: AnyObject {
    /// Clears `batch` and fills it with what is there, waiting at most `timeoutMs` for
    /// the first record. Within a partition, rows come in the order of their offsets.
    func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError)
    /// The next offset this reader would hand out, by slot: past control records and gaps too.
    /// Only the slots assigned to it are meaningful.
    func position(_ slot: Int) -> Int64
    /// A partition that ends (a file, standard input) was read to its end.
    func isAtEnd(_ slot: Int) -> Bool
    /// Stops or resumes handing out a partition (alignment). Called between polls by the owner.
    func setPaused(_ paused: Bool, slot: Int) throws(ConnectorError)
    /// Ends a wait of `poll`, or the next one, early. The one call that any thread may make.
    func wake()
}

/// Where records go, without transactions.
///
/// Called by one thread.
package protocol Sink: AnyObject, Sendable {
    /// Fails, with the command that helps, unless every topic can be written.
    func check(topics: [String]) throws(ConnectorError)
    /// Takes the record, or returns false when the queue is full: call `service`, then try again.
    func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool
    /// Lets acknowledgements in, waiting at most so long for one.
    func service(timeoutMs: Int) throws(ConnectorError)
    /// Records taken and not yet acknowledged.
    var outstandingCount: Int { get }
    /// Gives up everything, waiting at most so long for what is outstanding.
    func close(withinMs: Int64)
}

/// Where positions and their metadata are kept: in a consumer group, or nowhere.
package protocol OffsetStore: AnyObject, Sendable {
    /// What was committed; a partition that nobody committed is left out.
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset]
    /// Stores all, synchronously.
    func commit(_ offsets: [CommittedOffset]) throws(ConnectorError)
    /// What identifies the cluster, part of the metadata's check; empty if nothing does.
    var clusterId: String { get }
}
