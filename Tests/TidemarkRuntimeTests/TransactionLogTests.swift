import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime
import TidemarkTestSupport

/// A producer of which every transaction fails as the test says.
private final class FailingProducer: TransactionalProducer, @unchecked Sendable {
    // One thread steps the test.
    let clusterId = "c"
    let time: SimulatedTime
    /// What becomes of a commit; `nil`: it is through.
    var fail: (FailingProducer) -> TransactionError?
    var renewals = 0
    var aborts = 0
    var commits = 0
    var timeoutMs: Int64 = 0
    var tookMs: Int64 = 0
    private var offsets: [TopicPartition: CommittedOffset] = [:]
    private var sent: [CommittedOffset] = []

    init(_ time: SimulatedTime, fail: @escaping (FailingProducer) -> TransactionError?) {
        self.time = time
        self.fail = fail
    }

    func check(topics: [String]) throws(ConnectorError) {}
    func initialize(waitMs: Int) throws(TransactionError) {}
    func begin() throws(TransactionError) {}
    func produce(_ record: OutputRecord) throws(TransactionError) -> Bool { true }
    func service(waitMs: Int) {}
    func sendOffsets(_ offsets: [CommittedOffset], waitMs: Int) throws(TransactionError) {
        sent = offsets
    }
    func commit(waitMs: Int) throws(TransactionError) {
        commits += 1
        time.advance(ms: tookMs)
        if let error = fail(self) { throw error }
        for offset in sent { offsets[offset.partition] = offset }
    }
    func abort(waitMs: Int) throws(TransactionError) { aborts += 1 }
    func renew(timeoutMs: Int64) throws(ConnectorError) {
        renewals += 1
        self.timeoutMs = timeoutMs
    }
    func committed(_ partitions: [TopicPartition]) throws(ConnectorError) -> [CommittedOffset] {
        partitions.compactMap { offsets[$0] }
    }
    func close(withinMs: Int64) {}
}

@Suite struct TransactionLogTests {
    private let unit = CommitUnit(
        records: [], entries: [],
        offsets: [
            CommittedOffset(
                partition: TopicPartition(topic: "in", partition: 0), next: 1, metadata: "")
        ])

    private func log(_ producer: FailingProducer) -> TransactionLog {
        TransactionLog(
            producer: producer, stateTopic: nil, reader: nil, time: producer.time,
            transactionTimeoutMs: 60_000)
    }

    /// Calls until it is through or the time is up.
    ///
    /// - Returns: it is through.
    private func commit(
        _ log: TransactionLog, _ time: SimulatedTime, withinMs: Int64
    ) throws(ConnectorError) -> Bool {
        let end = time.ms + withinMs
        while time.ms < end {
            if try log.commit(unit, waitMs: 10) { return true }
            time.advance(ms: 10)
        }
        return false
    }

    @Test func `an expired transactional id takes one new producer`() throws {
        let producer = FailingProducer(SimulatedTime()) { producer in
            producer.renewals == 0 ? .fatal("INVALID_PRODUCER_ID_MAPPING") : nil
        }
        #expect(try commit(log(producer), producer.time, withinMs: 5_000))
        #expect(producer.renewals == 1 && producer.commits == 2)
    }

    @Test func `what aborts again and again is tried with a new producer, less and less often`()
        throws
    {
        let producer = FailingProducer(SimulatedTime()) { producer in
            producer.renewals < 2 ? .abort("it is not known why") : nil
        }
        let log = log(producer)
        #expect(try commit(log, producer.time, withinMs: 60_000))
        #expect(producer.renewals == 2 && producer.aborts == 4)
        #expect(log.trouble == nil)
        let other = FailingProducer(SimulatedTime()) { _ in .abort("for ever") }
        let stuck = self.log(other)
        #expect(try !commit(stuck, other.time, withinMs: 60_000))
        #expect(other.commits < 20, "\(other.commits) attempts in a minute")
        #expect(stuck.trouble?.contains("for ever") == true)
    }

    @Test func `what will never get through ends with its reason`() {
        let producer = FailingProducer(SimulatedTime()) { _ in .abort("the batch is refused") }
        let log = log(producer)
        #expect {
            _ = try commit(log, producer.time, withinMs: 3_600_000)
        } throws: { error in
            (error as? ConnectorError)?.message.contains("the batch is refused") ?? false
        }
        #expect(producer.time.ms >= 300_000)
    }

    @Test func `an outage is waited for, however long it lasts`() throws {
        let producer = FailingProducer(SimulatedTime()) { producer in
            producer.time.ms < 7_200_000 ? .abort("timed out") : nil
        }
        producer.tookMs = 12_000
        #expect(try commit(log(producer), producer.time, withinMs: 10_000_000))
    }

    @Test func `a transaction that runs out of time gets more of it`() throws {
        // The results need three minutes.
        let producer = FailingProducer(SimulatedTime()) { producer in
            let given = max(60_000, producer.timeoutMs)
            producer.time.advance(ms: min(given, 180_000))
            return given < 180_000 ? .abort("timed out") : nil
        }
        #expect(try commit(log(producer), producer.time, withinMs: 3_600_000))
        #expect(producer.timeoutMs == 240_000)
        #expect(producer.commits == 3)
    }
}
