import CRdKafka
import Glibc
package import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry

/// A transactional producer over librdkafka, one call at a time.
///
/// The transactional id is the application's, so the newest process fences the older one. Offsets
/// go to a group without members: partitions are assigned by hand, so there is no generation to
/// check; the producer's epoch fences.
///
/// `@unchecked Sendable`: the coordinator is the only caller, one thread at a time.
@safe
package final class KafkaTransactions: TransactionalProducer, @unchecked Sendable {
    private let make: @Sendable (Int64, Bool) throws(ConnectorError) -> KafkaSink
    private let timeoutMs: Int64
    private let log: Log
    private let offsets: KafkaOffsets
    private let app: String
    private var sink: KafkaSink
    private var topics: [String] = []
    /// The longest letter that is sent as it is: a broker refused one of a byte more.
    ///
    /// Longer ones are shortened.
    private var foreignBytesMax = Int.max
    /// The longest result by topic: a broker refused one of a byte more, alone in its batch.
    ///
    /// Longer ones are replaced by one that says so.
    private var ownBytesMax: [String: Int] = [:]
    /// A batch of ours was refused as too large: records go one by one, so that it shows which it is.
    private var isCareful = false
    /// What we are not permitted to do; thrown after the abort, since trying again is of no use.
    private var denial: ConnectorError?

    init(
        app: String, offsets: KafkaOffsets, timeoutMs: Int64, log: Log,
        make: @escaping @Sendable (Int64, Bool) throws(ConnectorError) -> KafkaSink
    ) throws(ConnectorError) {
        self.app = app
        self.offsets = offsets
        self.timeoutMs = timeoutMs
        self.log = log
        self.make = make
        sink = try make(timeoutMs, false)
    }

    /// The id of the cluster that has the group's offsets.
    package var clusterId: String { offsets.clusterId }

    /// Asks for the partitions of every topic; the next producers ask for the same.
    package func check(topics: [String]) throws(ConnectorError) {
        self.topics = topics
        try sink.check(topics: topics)
    }

    /// Positions of the application's group that no open transaction can change.
    package func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] { try offsets.committed(partitions) }

    /// Fences older producers of the id; waits a second at least.
    package func initialize(waitMs: Int) throws(TransactionError) {
        unsafe try take(rd_kafka_init_transactions(sink.handle.client, Int32(max(waitMs, 1000))))
    }

    /// Begins a transaction, and forgets the failures of the one before.
    package func begin() throws(TransactionError) {
        sink.reset()
        unsafe try take(rd_kafka_begin_transaction(sink.handle.client))
    }

    /// Takes the record, cut down or replaced where the topic refused one of its size before.
    package func produce(_ record: OutputRecord) throws(TransactionError) -> Bool {
        let code: rd_kafka_resp_err_t
        do throws(ConnectorError) {
            code = try sink.send(substitute(record) ?? record)
        } catch {
            throw .environment(error)
        }
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return true
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: return false
        case RD_KAFKA_RESP_ERR__FATAL, RD_KAFKA_RESP_ERR__FENCED: throw fatal(codeText(code))
        // The transaction failed meanwhile; the abort says why.
        case RD_KAFKA_RESP_ERR__STATE:
            throw .abort("the transaction failed while records were sent")
        default:
            throw .environment(
                sink.handle.error(code, "a record for '\(record.topic)' was refused"))
        }
    }

    /// Lets delivery reports in.
    package func service(waitMs: Int) { unsafe rd_kafka_poll(sink.handle.client, Int32(waitMs)) }

    /// Adds positions of the application's group to the transaction; waits a second at least.
    package func sendOffsets(
        _ positions: [CommittedOffset], waitMs: Int
    ) throws(TransactionError) {
        let list = PartitionList(capacity: positions.count)
        for position in positions {
            precondition(
                position.metadata.utf8.count <= KafkaOffsets.metadataBytesMax,
                "metadata stays below what brokers refuse")
            list.append(position.partition, offset: position.next, metadata: position.metadata)
        }
        guard let group = unsafe rd_kafka_consumer_group_metadata_new(app) else {
            throw .again("the Kafka client is out of memory")
        }
        defer { unsafe rd_kafka_consumer_group_metadata_destroy(group) }
        unsafe try take(
            rd_kafka_send_offsets_to_transaction(
                sink.handle.client, list.list, group, Int32(max(waitMs, 1000))))
    }

    /// Sends what is queued and commits; waits a second at least.
    package func commit(waitMs: Int) throws(TransactionError) {
        unsafe try take(rd_kafka_commit_transaction(sink.handle.client, Int32(max(waitMs, 1000))))
    }

    /// Aborts, then looks at why: a record that was too large makes later ones smaller.
    ///
    /// - Throws: `fatal` where only a new producer can go on.
    package func abort(waitMs: Int) throws(TransactionError) {
        unsafe try take(rd_kafka_abort_transaction(sink.handle.client, Int32(max(waitMs, 1000))))
        if let denial { throw .environment(denial) }
        // Only now has every report come in.
        guard let failure = sink.firstFailure else { return }
        if let bytes = failure.foreignBytes {
            foreignBytesMax = min(foreignBytesMax, bytes - 1)
        } else if failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, let topic = failure.topic,
            failure.byteCount > Self.replacementBytesMax
        {
            if isCareful {
                ownBytesMax[topic] = min(ownBytesMax[topic] ?? .max, failure.byteCount - 1)
                log.error(
                    "a result is too large for its topic and is replaced by a record that says so",
                    ["topic": topic, "bytes": failure.byteCount])
            }
            isCareful = true
        } else if !Self.isOfProducer(failure.code), failure.error.kind != .retriable {
            throw .environment(failure.error)
        } else {
            return
        }
        // After a batch that was refused the next one on its partition would be out of sequence.
        throw .fatal(failure.error.message)
    }

    /// A new producer that knows what was too large; the old one is left behind without waiting.
    package func renew(timeoutMs: Int64) throws(ConnectorError) {
        // Without waiting for it: what it holds is of no use, and `initialize` of the next decides.
        sink.discard()
        sink = try make(max(timeoutMs, self.timeoutMs), isCareful)
        try sink.check(topics: topics)
    }

    /// What goes in place of a record that its topic does not take; `nil`, and no copy, for all others.
    private func substitute(_ record: OutputRecord) -> OutputRecord? {
        let count = record.value?.count ?? 0
        if record.form == .foreign {
            return count > foreignBytesMax ? record.shortened(to: foreignBytesKept) : nil
        }
        guard let most = ownBytesMax[record.topic], count > most else { return nil }
        return record.replaced(byteCount: count, most: most)
    }

    /// The most that a record takes that stands for one that was too large.
    private static let replacementBytesMax = 1_024

    /// Errors that a new producer cures: the cluster no longer knows this one, or remembers it
    /// differently.
    private static func isOfProducer(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
            RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
            RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            RD_KAFKA_RESP_ERR_INVALID_TXN_STATE:
            true
        default: false
        }
    }

    /// Closes the sink.
    package func close(withinMs: Int64) { sink.close(withinMs: withinMs) }

    /// Throws what a call of the library returned; `nil` is success.
    private func take(_ failure: OpaquePointer?) throws(TransactionError) {
        guard let failure = unsafe failure else { return }
        defer { unsafe rd_kafka_error_destroy(failure) }
        let code = unsafe rd_kafka_error_code(failure)
        let detail = unsafe rd_kafka_error_string(failure).map { unsafe String(cString: $0) } ?? ""
        let text = "\(sink.handle.events.redactor.clean(detail)) (\(codeName(code)))"
        if unsafe rd_kafka_error_is_fatal(failure) != 0 { throw fatal(text, code) }
        // The transactional id expired while this process was away: aborting would cure nothing.
        if code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING { throw .fatal(text) }
        if unsafe rd_kafka_error_txn_requires_abort(failure) != 0 {
            if let hint = sink.handle.advice.hint(denied: code, resource: nil) {
                denial = ConnectorError(
                    .environment, "transactions of '\(app)': \(text)", hint: hint)
            }
            throw .abort(text)
        }
        if unsafe rd_kafka_error_is_retriable(failure) != 0 { throw .again(text) }
        switch code {
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT: throw .again(text)
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            throw .fenced(text)
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
            throw .environment(
                ConnectorError(.environment, "transactions of '\(app)': \(text)"))
        default: throw .fatal(text)
        }
    }

    private func fatal(
        _ text: String, _ code: rd_kafka_resp_err_t = RD_KAFKA_RESP_ERR__FATAL
    ) -> TransactionError {
        switch sink.handle.events.fatal?.code ?? code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            .fenced(text)
        default: .fatal(text)
        }
    }
}

extension OutputRecord {
    /// A record in place of a result that its topic does not take: its key and headers, and why it
    /// is missing.
    fileprivate func replaced(byteCount: Int, most: Int) -> OutputRecord {
        var copy = self
        copy.value = Array(
            "{\"error\":\"too_large\",\"bytes\":\(byteCount),\"bytes_max\":\(most)}".utf8)
        copy.headers.append(("error", Array("too_large".utf8)))
        return copy
    }

    /// The record's first bytes, with its whole length in the header `length`.
    fileprivate func shortened(to count: Int) -> OutputRecord {
        var copy = self
        guard let value, value.count > count else { return self }
        copy.value = Array(value[..<count])
        if !headers.contains(where: { $0.name == "length" }) {
            copy.headers.append(("length", Array(String(value.count).utf8)))
        }
        return copy
    }
}
