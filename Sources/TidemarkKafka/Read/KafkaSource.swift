import CRdKafka
import Synchronization
import TidemarkCore
package import TidemarkDataflow
import TidemarkTelemetry

/// The input topics of a stream, all partitions assigned by hand.
package final class KafkaSource: Source {
    /// Records carry times of their own.
    package let fixedReferenceMs: Int64? = nil
    /// A topic has no end.
    package let isBounded = false

    private let handle: ClientHandle
    private let plan: SourcePlan
    private let recordBytesMax: Int
    private let batchBytesMax: Int
    private let queueBytesMax: Int
    private let connectMs: Int64
    private let counters: ReaderCounters
    private let group: String

    private struct State {
        /// In canonical order, as `extents` found them.
        var found: [PartitionExtent] = []
        /// Those of them that are read.
        var known: [PartitionExtent] = []
        var readers: [KafkaReader] = []
        var waker: FetchWaker?
        var watch: PartitionWatch?
    }
    private let state = Mutex(State())

    init(
        handle: ClientHandle,
        plan: SourcePlan,
        recordBytesMax: Int,
        batchBytesMax: Int,
        queueBytesMax: Int,
        connectMs: Int64,
        group: String,
        telemetry: Telemetry
    ) {
        self.group = group
        self.handle = handle
        self.plan = plan
        self.recordBytesMax = recordBytesMax
        self.batchBytesMax = batchBytesMax
        self.queueBytesMax = queueBytesMax
        self.connectMs = connectMs
        counters = ReaderCounters(telemetry)
    }

    /// All partitions of all topics, in canonical order, as the cluster has them now.
    ///
    /// `end` is the last stable offset if only committed records are read.
    package func extents() throws(ConnectorError) -> [PartitionExtent] {
        var partitions: [TopicPartition] = []
        for topic in plan.topics {
            handle.events.forget()
            guard let ids = try handle.partitions(of: topic, withinMs: connectMs) else {
                throw ConnectorError(
                    .environment,
                    "input topic '\(topic)' does not exist at \(handle.brokers)",
                    hint: "kafka-topics.sh --bootstrap-server \(handle.brokers) --list"
                )
            }
            for id in ids { partitions.append(TopicPartition(topic: topic, partition: id)) }
        }
        partitions.sort()
        let beginnings = try offsets(partitions, at: -2)
        let ends = try offsets(partitions, at: -1)
        let extents = partitions.indices.map { place in
            PartitionExtent(
                partition: partitions[place],
                beginning: beginnings[place],
                end: ends[place]
            )
        }
        state.withLock { $0.found = extents }
        return extents
    }

    /// Where a partition without a committed offset begins.
    ///
    /// `.committed` is `.latest` here, since nothing was committed.
    package func firstOffset(
        _ extent: PartitionExtent,
        start: SourcePlan.Start
    ) throws(ConnectorError) -> Int64 {
        switch start {
        case .earliest: return extent.beginning
        case .latest, .committed: return extent.end
        case .time(let ms):
            let found = try offsets([extent.partition], at: max(0, ms))[0]
            return found < 0 ? extent.end : found
        }
    }

    /// Assigns all partitions at once, each forwarded to its reader; earlier readers are released
    /// first.
    package func open(
        _ assignments: [[PartitionStart]]
    ) throws(ConnectorError) -> [any SourceReader] {
        guard release(withinMs: connectMs) else {
            throw ConnectorError(.retriable, "an earlier reader of the source is still in use")
        }
        let whole = PartitionList(capacity: assignments.reduce(0) { $0 + $1.count })
        let waker = try FetchWaker(
            handle: handle,
            partitions: assignments.flatMap { $0.map(\.partition) }
        )
        var readers: [KafkaReader] = []
        for starts in assignments {
            let reader = try KafkaReader(
                handle: handle,
                starts: starts,
                recordBytesMax: recordBytesMax,
                batchBytesMax: batchBytesMax,
                queueBytesMax: queueBytesMax,
                waker: waker,
                counters: counters
            )
            readers.append(reader)
            for start in starts { whole.append(start.partition, offset: start.offset) }
        }
        // Only now, with every partition's queue forwarded, may messages come.
        let code = unsafe rd_kafka_assign(handle.client, whole.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            for reader in readers { _ = reader.release(withinMs: 0) }
            _ = waker.stop(withinMs: 1000)
            throw handle.error(code, "cannot assign the input partitions")
        }
        let read = Set(assignments.flatMap { $0.map(\.partition) })
        let known = state.withLock { state in
            state.readers = readers
            state.waker = waker
            state.known = state.found.filter { read.contains($0.partition) }
            return state.known
        }
        let watch = try PartitionWatch(
            handle: handle,
            group: group,
            counts: plan.topics.map { topic in
                (topic, known.count { $0.partition.topic == topic })
            })
        state.withLock { $0.watch = watch }
        return readers
    }

    /// As the client last heard from the brokers; behind an open transaction nothing counts.
    package func endOffsets() -> [Int64?] {
        let known = state.withLock { $0.known }
        return known.map { extent in
            let partition = extent.partition
            var low: Int64 = -1
            var high: Int64 = -1
            let code = unsafe rd_kafka_get_watermark_offsets(
                handle.client,
                partition.topic,
                partition.partition,
                &low,
                &high
            )
            let highWater = code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
            guard plan.isolationCommitted, let ends = handle.events.ends(partition),
                ends.stable < ends.highWater
            else { return highWater ?? extent.end }
            // Behind an open transaction nothing can be read, so nothing there is lag.
            return max(ends.stable, extent.end)
        }
    }

    /// Partitions whose leader does not answer, or that wait behind an open transaction.
    package func holds() -> [SourceHold?] {
        let known = state.withLock { $0.known }
        return known.map { extent in
            if handle.events.isUnanswered(extent.partition) { return .noAnswer }
            guard plan.isolationCommitted, let ends = handle.events.ends(extent.partition),
                ends.stable < ends.highWater
            else { return nil }
            return .openTransaction(records: ends.highWater - ends.stable)
        }
    }

    /// As the last look at the group found.
    package var foreignMemberCount: Int { state.withLock { $0.watch }?.memberCount ?? 0 }

    /// As the last look at the topics found.
    package var hasGrown: Bool { state.withLock { $0.watch }?.hasGrown ?? false }

    /// Unassigns all partitions, once no reader polls.
    package func close(withinMs: Int64) {
        _ = release(withinMs: withinMs)
    }

    /// Unassigns everything; false if a reader is still polled after that time.
    func release(withinMs: Int64) -> Bool {
        let (readers, waker, watch) = state.withLock { state in
            defer {
                state.readers = []
                state.waker = nil
                state.watch = nil
            }
            return (state.readers, state.waker, state.watch)
        }
        guard let waker else { return true }
        var isReleased = watch?.stop(withinMs: withinMs) ?? true
        if !waker.stop(withinMs: withinMs) { isReleased = false }
        for reader in readers where !reader.release(withinMs: withinMs) { isReleased = false }
        if isReleased { unsafe rd_kafka_assign(handle.client, nil) }
        return isReleased
    }

    /// The offset of each partition at a time (ms), or at -2 (the first) or -1 (the end).
    private func offsets(
        _ partitions: [TopicPartition],
        at timeMs: Int64
    ) throws(ConnectorError) -> [Int64] {
        guard !partitions.isEmpty else { return [] }
        let list = PartitionList(capacity: partitions.count)
        for partition in partitions { list.append(partition, offset: timeMs) }
        let code = unsafe rd_kafka_offsets_for_times(handle.client, list.list, Int32(connectMs))
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: break
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT:
            throw handle.unreachable(code, waitedMs: connectMs)
        default: throw handle.error(code, "cannot get offsets from \(handle.brokers)")
        }
        var found: [TopicPartition: Int64] = [:]
        for entry in list.entries {
            guard entry.code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw handle.error(entry.code, "cannot get the offsets of \(entry.partition)")
            }
            found[entry.partition] = entry.offset
        }
        return partitions.map { found[$0] ?? -1 }
    }
}
