package import TidemarkCore
package import TidemarkDataflow

/// Delivery exactly once: a unit is one transaction of outputs, state entries and offsets.
///
/// A transaction begins late, when the whole unit is there, so that it is open for as long as it
/// takes to send and no longer. The unit stays in memory until its outcome is known, so an abort
/// undoes nothing in stage 2: the same unit is sent again in a new transaction. Where the outcome is
/// not known (the producer died in mid-commit), a new producer takes the id over, which decides the
/// old transaction, and the group's offsets tell: they are the unit's (done), those before it (send
/// it again), or somebody else's (another process has taken over).
///
/// `@unchecked Sendable`: the coordinator is the only caller, one thread at a time.
package final class TransactionLog: CommitLog, @unchecked Sendable {
    private enum Phase: Equatable {
        case idle
        case sending(Int)
        case offsets
        case committing
        case aborting
        /// The producer is gone; is the unit committed?
        case renewing
        case initializing
        case verifying
    }

    private let producer: any TransactionalProducer
    private let stateTopic: String?
    private let reader: (any StateReader)?
    private let time: any TimeSource
    /// After it the broker aborts an open transaction by itself, which looks like fencing.
    private var transactionTimeoutMs: Int64
    private let initializeMs: Int64
    private var phase = Phase.idle
    private var beganNs: Int64 = 0
    private var retryNs = Int64.min
    /// What the group holds, as far as this process knows: read at the start, then its own commits.
    private var known: [TopicPartition: CommittedOffset] = [:]

    /// Attempts at the unit at hand that came to nothing, and those of them that failed soon: not for
    /// want of a cluster.
    private var attemptCount = 0
    private var soonCount = 0
    private var firstAttemptNs: Int64 = 0
    /// After this many failed attempts in a row a new producer tries: what the old one knows may be
    /// wrong.
    private static let renewEvery = 3
    /// Attempts that fail within this time, this often and over this span, are no outage, ns.
    private static let soonNs: Int64 = 10_000_000_000
    private static let soonCountMax = 40
    private static let soonSpanNs: Int64 = 300_000_000_000
    /// What brokers take as `transaction.max.timeout.ms` by default, ms.
    private static let transactionTimeoutMsMax: Int64 = 900_000

    /// Transactions that were aborted, for metrics and tests.
    package private(set) var abortCount = 0
    /// Transactions of which it was not known at first whether they were committed.
    package private(set) var unknownCount = 0
    /// What was wrong with the last attempt that failed.
    package private(set) var lastReason = ""

    /// - `stateTopic`: `nil` where nothing outlives a window.
    /// - `transactionTimeoutMs`: that of the producer (`transaction.timeout.ms`).
    /// - `initializeMs`: the longest wait for the transaction coordinator at the start.
    package init(
        producer: any TransactionalProducer, stateTopic: String?, reader: (any StateReader)?,
        time: any TimeSource, transactionTimeoutMs: Int64, initializeMs: Int64 = 30_000
    ) {
        self.producer = producer
        self.stateTopic = stateTopic
        self.reader = reader
        self.time = time
        self.transactionTimeoutMs = transactionTimeoutMs
        self.initializeMs = initializeMs
    }

    /// The id of the producer's cluster.
    package var clusterId: String { producer.clusterId }
    /// Attempts and the last reason, once a unit at hand failed a few times; else `nil`.
    package var trouble: String? {
        attemptCount >= Self.renewEvery ? "\(attemptCount) attempts: \(lastReason)" : nil
    }
    /// Fails unless every topic can be written, the state topic among them.
    package func check(topics: [String]) throws(ConnectorError) {
        try producer.check(topics: topics + [stateTopic].compactMap(\.self))
    }

    /// Takes the transactional id over, which ends an earlier process's open transaction.
    package func takeOver() throws(ConnectorError) {
        let deadlineNs = time.nowNs() + initializeMs * 1_000_000
        while true {
            do throws(TransactionError) {
                try producer.initialize(waitMs: 1000)
                return
            } catch {
                switch error {
                case .again(let reason), .abort(let reason):
                    guard time.nowNs() < deadlineNs else {
                        throw ConnectorError(
                            .environment,
                            "the cluster did not grant a transaction within \(initializeMs) ms: \(reason)"
                        )
                    }
                case .fatal(let reason): throw ConnectorError(.environment, reason)
                case .fenced(let reason): throw fenced(reason)
                case .environment(let error): throw error
                }
            }
        }
    }

    /// Positions that no open transaction can change any more; what a later takeover is compared
    /// with.
    package func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] {
        let found = try producer.committed(partitions)
        for offset in found { known[offset.partition] = offset }
        return found
    }

    /// Hands over what the reader of the state topic finds; nothing where no state is kept.
    package func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        try reader?.restore(take)
    }

    /// Aborts what is open, so that readers do not wait behind it, and gives the producer up.
    package func close(withinMs: Int64) {
        // What is open is aborted at once, not when its time is up: readers wait behind it.
        if phase != .idle, phase != .renewing {
            try? producer.abort(waitMs: Int(min(withinMs, 2000)))
        }
        producer.close(withinMs: withinMs)
    }

    /// Moves the unit on through its transaction; see `CommitLog.commit`.
    package func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool {
        precondition(
            !unit.offsets.isEmpty, "a transaction carries offsets: without them nothing is checked")
        while true {
            do throws(TransactionError) {
                if try advance(unit, waitMs) { return true }
            } catch {
                try handle(error)
                return false
            }
        }
    }

    /// The next call.
    ///
    /// - Returns: the unit is committed.
    private func advance(_ unit: CommitUnit, _ waitMs: Int) throws(TransactionError) -> Bool {
        switch phase {
        case .idle:
            guard time.nowNs() >= retryNs else { throw .again(lastReason) }
            beganNs = time.nowNs()
            try producer.begin()
            phase = .sending(0)
        case .sending(var sent):
            let count = unit.records.count + (stateTopic == nil ? 0 : unit.entries.count)
            while sent < count {
                guard try producer.produce(record(sent, unit)) else {
                    phase = .sending(sent)
                    producer.service(waitMs: waitMs)
                    throw .again("the producer's queue is full")
                }
                sent += 1
            }
            phase = .offsets
        case .offsets:
            try producer.sendOffsets(unit.offsets, waitMs: waitMs)
            phase = .committing
        case .committing:
            try producer.commit(waitMs: waitMs)
            return finish(unit)
        case .aborting:
            try producer.abort(waitMs: waitMs)
            phase = .idle
        case .renewing:
            guard time.nowNs() >= retryNs else { throw .again(lastReason) }
            // A cluster that gives no answer now may give one later: the unit waits.
            do throws(ConnectorError) {
                try producer.renew(timeoutMs: transactionTimeoutMs)
            } catch {
                retryNs = time.nowNs() + 100_000_000
                throw .again(error.message)
            }
            phase = .initializing
        case .initializing:
            try producer.initialize(waitMs: waitMs)
            phase = .verifying
        case .verifying:
            let found: [CommittedOffset]
            do throws(ConnectorError) {
                found = try producer.committed(unit.offsets.map(\.partition))
            } catch {
                guard error.kind == .retriable else { throw .environment(error) }
                throw .again(error.message)
            }
            let now = Dictionary(uniqueKeysWithValues: found.map { ($0.partition, $0) })
            if unit.offsets.allSatisfy({ now[$0.partition] == $0 }) { return finish(unit) }
            guard unit.offsets.allSatisfy({ now[$0.partition] == known[$0.partition] }) else {
                throw .fenced("the group's offsets belong to another process")
            }
            phase = .idle
        }
        return false
    }

    private func record(_ index: Int, _ unit: CommitUnit) -> OutputRecord {
        guard index >= unit.records.count, let stateTopic else { return unit.records[index] }
        return unit.entries[index - unit.records.count].record(topic: stateTopic)
    }

    private func finish(_ unit: CommitUnit) -> Bool {
        for offset in unit.offsets { known[offset.partition] = offset }
        phase = .idle
        attemptCount = 0
        soonCount = 0
        return true
    }

    private func handle(_ error: TransactionError) throws(ConnectorError) {
        switch error {
        case .again(let reason): lastReason = reason
        case .abort(let reason):
            abortCount += 1
            if phase != .aborting, isOutOfTime {
                lengthen()
                try lose(reason)
                return
            }
            try countAttempt(reason)
            if attemptCount % Self.renewEvery == 0 {
                begin(.renewing)
            } else {
                phase = .aborting
            }
        case .fenced(let reason):
            // The broker gives a transaction that took too long the same end as a fenced one.
            guard phase != .idle, phase != .verifying,
                time.nowNs() - beganNs >= transactionTimeoutMs * 1_000_000
            else { throw fenced(reason) }
            lengthen()
            try lose(reason)
        case .fatal(let reason): try lose(reason)
        case .environment(let error): throw error
        }
    }

    /// The transaction was open for nearly as long as it may be.
    private var isOutOfTime: Bool {
        time.nowNs() - beganNs >= transactionTimeoutMs * 900_000
    }

    /// What did not get through in that time gets more: results leave slowly.
    private func lengthen() {
        transactionTimeoutMs = max(
            transactionTimeoutMs, min(2 * transactionTimeoutMs, Self.transactionTimeoutMsMax))
    }

    private func lose(_ reason: String) throws(ConnectorError) {
        unknownCount += 1
        try countAttempt(reason)
        begin(.renewing)
    }

    private func begin(_ next: Phase) {
        phase = next
        beganNs = time.nowNs()
    }

    /// Notes an attempt that came to nothing, and when the next one may begin.
    ///
    /// What fails at once, again and again, and for no want of a cluster, will not get better: the
    /// process ends and says why, in place of trying ten times a second for ever.
    private func countAttempt(_ reason: String) throws(ConnectorError) {
        let now = time.nowNs()
        lastReason = reason
        if attemptCount == 0 { firstAttemptNs = now }
        attemptCount += 1
        if now - beganNs < Self.soonNs { soonCount += 1 }
        retryNs = now + min(100_000_000 << Int64(min(attemptCount - 1, 10)), 10_000_000_000)
        guard soonCount >= Self.soonCountMax, now - firstAttemptNs >= Self.soonSpanNs else {
            return
        }
        throw ConnectorError(
            .environment,
            "results could not be committed after \(attemptCount) attempts: \(reason)",
            hint: "tidemark topics check")
    }

    private func fenced(_ reason: String) -> ConnectorError {
        ConnectorError(
            .fenced,
            "another process of this application has taken over (\(reason)); this one ends",
            hint: "run one process per application, or give the other one another `app`")
    }
}
