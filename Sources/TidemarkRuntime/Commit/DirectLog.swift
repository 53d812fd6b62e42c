package import TidemarkCore
package import TidemarkDataflow

/// Delivery at least once: outputs are acknowledged, then state entries, then offsets are stored.
///
/// After a crash in between outputs repeat; entries that are ahead of the offsets say so themselves
/// and are not applied twice, so what repeats is equal.
///
/// `@unchecked Sendable`: the coordinator is the only caller, one thread at a time.
package final class DirectLog: CommitLog, @unchecked Sendable {
    private let sink: any Sink
    private let offsets: any OffsetStore
    private let stateTopic: String?
    private let reader: (any StateReader)?

    private enum Phase {
        case records(Int)
        case recordsSent
        case entries(Int)
        case entriesSent
    }
    private var phase = Phase.records(0)

    /// `stateTopic`: `nil` where no state is kept (files).
    package init(
        sink: any Sink, offsets: any OffsetStore, stateTopic: String? = nil,
        reader: (any StateReader)? = nil
    ) {
        self.sink = sink
        self.offsets = offsets
        self.stateTopic = stateTopic
        self.reader = reader
    }

    /// The id of the cluster that has the offsets.
    package var clusterId: String { offsets.clusterId }
    /// Fails unless every topic can be written, the state topic among them.
    package func check(topics: [String]) throws(ConnectorError) {
        try sink.check(topics: topics + [stateTopic].compactMap(\.self))
    }
    /// Nothing to fence with.
    package func takeOver() {}
    /// What the offset store has of these partitions.
    package func committed(
        _ partitions: [TopicPartition]
    ) throws(ConnectorError) -> [CommittedOffset] { try offsets.committed(partitions) }
    /// Hands over what the reader of the state topic finds; nothing where no state is kept.
    package func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        try reader?.restore(take)
    }
    /// Gives what is outstanding so long to be acknowledged.
    package func close(withinMs: Int64) { sink.close(withinMs: withinMs) }

    /// Moves the unit on: records, then entries once those are acknowledged, then offsets.
    package func commit(_ unit: CommitUnit, waitMs: Int) throws(ConnectorError) -> Bool {
        while true {
            switch phase {
            case .records(var sent):
                while sent < unit.records.count, try sink.produce(unit.records[sent]) { sent += 1 }
                phase = sent == unit.records.count ? .recordsSent : .records(sent)
                guard sent == unit.records.count else {
                    try sink.service(timeoutMs: waitMs)
                    return false
                }
            case .recordsSent:
                guard try isAcknowledged(waitMs) else { return false }
                phase = .entries(0)
            case .entries(var sent):
                if let stateTopic {
                    while sent < unit.entries.count,
                        try sink.produce(unit.entries[sent].record(topic: stateTopic))
                    { sent += 1 }
                    phase = sent == unit.entries.count ? .entriesSent : .entries(sent)
                    guard sent == unit.entries.count else {
                        try sink.service(timeoutMs: waitMs)
                        return false
                    }
                }
                phase = .entriesSent
            case .entriesSent:
                guard try isAcknowledged(waitMs) else { return false }
                try offsets.commit(unit.offsets)
                phase = .records(0)
                return true
            }
        }
    }

    private func isAcknowledged(_ waitMs: Int) throws(ConnectorError) -> Bool {
        if sink.outstandingCount > 0 { try sink.service(timeoutMs: waitMs) }
        return sink.outstandingCount == 0
    }
}

extension StateEntry {
    /// As the state topic takes it.
    func record(topic: String) -> OutputRecord {
        OutputRecord(topic: topic, key: key, value: value, headers: [], form: .binary)
    }
}
