import Foundation
import Synchronization
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkTelemetry

/// One row, as it was read.
struct Row: Equatable, Sendable {
    var slot: Int
    var offset: Int64
    var timeMs: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var valueLengthWhole: Int64
}

extension RecordBatch {
    var rows: [Row] {
        (0..<recordCount).map { row in
            unsafe Row(
                slot: Int(partition[row]),
                offset: offset[row],
                timeMs: recordTimeMs[row],
                key: key(row).map { unsafe Array($0) },
                value: value(row).map { unsafe Array($0) },
                valueLengthWhole: valueLengthWhole[row]
            )
        }
    }
}

/// Positions that readers publish and a producer watches.
final class Positions: Sendable {
    private let state = Mutex<[TopicPartition: Int64]>([:])

    subscript(_ partition: TopicPartition) -> Int64 {
        get { state.withLock { $0[partition] ?? 0 } }
        set { state.withLock { $0[partition] = newValue } }
    }
}

func makeClient(
    _ settings: KafkaSettings,
    topics: [String],
    app: String = "test",
    committed: Bool = true,
    fetchWaitMs: Int64 = 0,
    memoryBytes: Int = 96 << 20,
    recordBytes: Int = 16 << 20,
    workers: Int = 1,
    partitionCount: Int = KafkaClient.partitionCountUsual,
    connectMs: Int64 = 10_000,
    log: Log? = nil,
    telemetry: Telemetry = Telemetry()
) throws -> KafkaClient {
    var limits = Limits()
    limits.memoryBytes = memoryBytes
    limits.recordBytes = recordBytes
    limits.memory = MemorySplit(memoryBytes: memoryBytes)
    var plan = SourcePlan(topics: topics)
    plan.isolationCommitted = committed
    plan.fetchWaitMs = fetchWaitMs
    return try KafkaClient(
        settings: settings,
        app: app,
        source: plan,
        limits: limits,
        workers: workers,
        partitionCount: partitionCount,
        connectMs: connectMs,
        time: SystemTime(),
        log: log ?? Log(time: SystemTime(), level: .error),
        telemetry: telemetry
    )
}

func settings(_ bootstrap: String) -> KafkaSettings {
    var settings = KafkaSettings()
    settings.brokers = bootstrap
    return settings
}

/// The partitions dealt to workers, from their beginnings.
func deal(_ extents: [PartitionExtent], workers: Int) -> [[PartitionStart]] {
    var starts = [[PartitionStart]](repeating: [], count: workers)
    for (slot, extent) in extents.enumerated() {
        starts[slot % workers].append(
            PartitionStart(slot: slot, partition: extent.partition, offset: extent.beginning)
        )
    }
    return starts
}

/// Polls until each slot's position reaches its end; every row goes to `take`.
func drain(
    _ reader: any SourceReader,
    ends: [Int: Int64],
    seconds: Double = 60,
    rowCountMax: Int = 4096,
    _ take: (RecordBatch) throws -> Void
) throws {
    let batch = RecordBatch(recordCountMax: rowCountMax, arenaCapacity: 1 << 20)
    let deadline = Date().addingTimeInterval(seconds)
    while ends.contains(where: { reader.position($0.key) < $0.value }) {
        guard Date() < deadline else {
            throw TimeOut(
                positions: ends.keys.sorted().map {
                    "\($0): \(reader.position($0)) of \(ends[$0] ?? -1)"
                }
            )
        }
        batch.clear()
        try reader.poll(into: batch, timeoutMs: 50)
        try take(batch)
    }
}

struct TimeOut: Error { let positions: [String] }

/// Checks that each slot's offsets come once and in order, with the values that belong there.
struct OrderCheck {
    var next: [Int: Int64] = [:]
    var rowCount = 0
    var faults: [String] = []

    mutating func take(_ batch: RecordBatch) {
        for row in 0..<batch.recordCount {
            let slot = unsafe Int(batch.partition[row])
            let offset = unsafe batch.offset[row]
            if offset != next[slot, default: 0], faults.count < 10 {
                faults.append("slot \(slot): offset \(offset) after \(next[slot, default: 0] - 1)")
            }
            next[slot] = offset + 1
            rowCount += 1
        }
    }
}

/// Runs on a thread of its own, so that blocking calls keep nobody waiting.
func onThread<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(with: Swift.Result { try body() })
        }
    }
}
