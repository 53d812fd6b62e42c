package import TidemarkCore

/// What later windows need of earlier ones (alert life cycles, learned baselines), one piece of
/// it, as the state topic keeps it.
///
/// Its bytes say of which state epoch it is and through which window it was applied.
package struct StateEntry: Sendable, Equatable {
    /// Names the entry within the application: what the topic is compacted by.
    package var key: [UInt8]
    /// `nil` takes the entry away.
    package var value: [UInt8]?

    package init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// Everything that one commit stands for.
///
/// A reader of the outputs sees all of it or nothing.
package struct CommitUnit: Sendable {
    /// In the order in which they are published.
    package var records: [OutputRecord]
    /// State that changed; a key comes at most once.
    package var entries: [StateEntry]
    /// Where the next process begins to read, by partition.
    package var offsets: [CommittedOffset]

    package init(records: [OutputRecord], entries: [StateEntry], offsets: [CommittedOffset]) {
        self.records = records
        self.entries = entries
        self.offsets = offsets
    }
}

/// Where a run's results go and where its positions are kept, in units that are whole or not at
/// all.
///
/// Called by the coordinator alone.
package protocol CommitLog: AnyObject, Sendable {
    /// What identifies the cluster, part of the metadata's check; empty if nothing does.
    var clusterId: String { get }
    /// Fails, with the command that helps, unless every topic can be written.
    func check(topics: [String]) throws(ConnectorError)
    /// Takes the application over: where the log can, no earlier process of it commits any more, and
    /// what it left open is decided.
    func takeOver() throws(ConnectorError)
    /// What the application committed of these partitions.
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset]
    /// Hands over every state entry, the newest of each key; tombstones left out. It reads to the
    /// end of the state topic as that is after `takeOver`; one that cannot be read whole throws.
    func restore(_ take: (StateEntry) -> Void) throws(ConnectorError)
    /// Moves a unit on, waiting about so long; true once it is committed.
    ///
    /// Until then it is called again with the same unit. Whatever fails on the way and may go away
    /// by itself is tried again inside; an error that is thrown is the end of the run.
    func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool
    /// Gives up everything, waiting at most so long; a unit that is not through is not committed.
    func close(withinMs: Int64)
    /// What keeps the unit at hand from getting through, if it was tried several times.
    var trouble: String? { get }
}

extension CommitLog {
    /// Nothing to say: a log that does not retry.
    package var trouble: String? { nil }
}

/// Reads the compacted state topic, whole, once.
package protocol StateReader: AnyObject, Sendable {
    /// See `CommitLog.restore`.
    func restore(_ take: (StateEntry) -> Void) throws(ConnectorError)
}

/// What a transactional producer says of a call that failed.
package enum TransactionError: Error, Sendable {
    /// Not done yet, or it may go away by itself: the same call again.
    case again(String)
    /// The transaction cannot be committed; it has to be aborted.
    case abort(String)
    /// Another producer has the transactional id.
    case fenced(String)
    /// The producer is of no use any more; whether a commit under way took effect is not known.
    case fatal(String)
    /// The environment is wrong: no retry helps.
    case environment(ConnectorError)
}

/// A transactional producer, call by call, as Kafka has it.
///
/// The order of calls is `TransactionLog`'s business.
package protocol TransactionalProducer: AnyObject, Sendable {
    /// What identifies the cluster; empty if nothing does.
    var clusterId: String { get }
    /// Fails, with the command that helps, unless every topic can be written.
    func check(topics: [String]) throws(ConnectorError)
    /// Fences older producers of the same id and waits for their open transaction to be decided.
    func initialize(waitMs: Int) throws(TransactionError)
    /// Begins a transaction; there is none open.
    func begin() throws(TransactionError)
    /// Takes the record, or returns false when the queue is full: call `service`, then try again.
    func produce(_ record: OutputRecord) throws(TransactionError) -> Bool
    /// Lets acknowledgements in, waiting at most so long for one, ms.
    func service(waitMs: Int)
    /// Adds positions of the application's group to the open transaction.
    func sendOffsets(_ offsets: [CommittedOffset], waitMs: Int) throws(TransactionError)
    /// Sends what is queued and commits.
    func commit(waitMs: Int) throws(TransactionError)
    /// Gives the open transaction up: readers never see its records.
    func abort(waitMs: Int) throws(TransactionError)
    /// Throws the producer away and makes a new one, to be initialized, whose transactions may stay open
    /// for so long.
    func renew(timeoutMs: Int64) throws(ConnectorError)
    /// Stable positions: none while a transaction on them is undecided.
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset]
    /// Gives up everything, waiting at most so long; an open transaction is left to the broker.
    func close(withinMs: Int64)
}
