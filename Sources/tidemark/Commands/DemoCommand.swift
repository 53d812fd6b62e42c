import Glibc
import Synchronization
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkKafka
import TidemarkRecords
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// What the demo's threads tell each other.
private final class DemoState: Sendable {
    struct Alert: Sendable {
        var record: AlertRecord
        var model: String
        var seenNs: Int64
    }
    struct Shared: Sendable {
        /// Next offsets that the engine reported, by partition.
        var positions: [Int64] = []
        var produced = 0
        var bad = 0
        /// Records of each partition, once all are produced.
        var ends: [Int64]?
        var driftedNs: Int64?
        var alerts: [Alert] = []
        /// Rows counted by the published windows.
        var counted: Int64 = 0
        var failure: ConnectorError?
        var isDone = false
    }
    let shared = Mutex(Shared())
}

private let partitionCount = 4
private let topic = "predictions"

/// `tidemark demo`: an hour of three models through an embedded Kafka, in about a minute.
func demoCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let seed = UInt64(try invocation.count("--seed", in: 0...Int.max) ?? 1)
    let count = try invocation.count("--records", in: 0...1_000_000_000) ?? 600_000
    let seconds = try invocation.count("--seconds", in: 0...86_400) ?? 60
    if let path = invocation.value("--write-records") {
        var traffic = DemoTraffic(seed: seed, recordCount: count, drifts: false)
        var bytes: [UInt8] = []
        for index in 0..<count { bytes += traffic.record(index).value + [0x0a] }
        if replaceFile(path, bytes) { return ExitCode.done }
        printError(
            "tidemark: \(path) cannot be written: \(unsafe String(cString: strerror(errno)))\n")
        return ExitCode.environment
    }
    let path = invocation.value("--topology") ?? "topologies/demo.yaml"
    guard var loaded = loadTopology(path, invocation, quietly: true) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        return try demo(&loaded, seed: seed, count: count, seconds: seconds)
    } catch {
        return printFailure(error)
    }
}

private func demo(
    _ loaded: inout LoadedPlan, seed: UInt64, count: Int, seconds: Int
) throws(ConnectorError) -> Int32 {
    let cluster = try EmbeddedCluster()
    defer { cluster.close() }
    try cluster.createTopic(topic, partitions: partitionCount)
    for output in loaded.plan.outputs.topics { try cluster.createTopic(output, partitions: 1) }
    loaded.plan.kafka = cluster.settings
    let plan = loaded.plan
    let state = DemoState()

    printOut(
        """
        Three models (\(DemoTraffic.models.joined(separator: ", "))) serve an hour of predictions through an embedded Kafka at \(cluster.bootstrap);
        at \(timeText(DemoTraffic.driftMs)) \(DemoTraffic.driftingColumns.joined(separator: " and ")) of \(DemoTraffic.driftingModel) change. Seed \(seed), \(grouped(Int64(count))) records, topology \(plan.name).


        """)
    let producer = DemoThread {
        produce(cluster, state, seed: seed, count: count, seconds: seconds)
    }
    let watcher = DemoThread { watch(cluster, plan, state) }
    try producer.start()
    do throws(ConnectorError) {
        try watcher.start()
    } catch {
        state.shared.withLock { $0.isDone = true }
        producer.join()
        throw error
    }
    defer {
        state.shared.withLock { $0.isDone = true }
        producer.join()
        watcher.join()
    }
    var options = RunOptions(untilEnd: true)
    // The embedded cluster makes any topic, and answers no question about settings.
    options.checksTopics = false
    // It shows them itself, as a consumer of the topic.
    options.tellsAlerts = false
    options.makeSource = { inner in BoundedSource(inner) { state.shared.withLock { $0.ends } } }
    options.onProgress = { reading in
        state.shared.withLock { $0.positions = reading.positions }
    }
    options.shouldStop = { state.shared.withLock { $0.failure != nil } }
    let summary = try runPlan(loaded, options)
    // What was published last is on its way to the watcher.
    for _ in 0..<100 {
        let counted = state.shared.withLock { $0.counted }
        if counted >= summary.totals.input.rows { break }
        usleep(50_000)
    }
    if let failure = state.shared.withLock({ $0.failure }) { throw failure }
    return conclude(state.shared.withLock { $0 }, summary)
}

/// The closing table, and whether everything is as it should be.
private func conclude(_ shared: DemoState.Shared, _ summary: RunSummary) -> Int32 {
    let input = summary.totals.input
    var problems: [String] = []
    let sum = shared.counted + input.deadLetters + input.late + input.quarantined
    if Int64(shared.produced) != sum { problems.append("the counts do not add up") }
    if Int64(shared.bad) != input.deadLetters {
        problems.append("dead letters are not the bad records")
    }

    var text = "\n  produced      \(grouped(Int64(shared.produced)).leftPadded(9))\n"
    text += "  in windows    \(grouped(shared.counted).leftPadded(9))\n"
    text +=
        "  dead letters  \(grouped(input.deadLetters).leftPadded(9))   (\(shared.bad) records were broken on purpose)\n"
    text += "  late          \(grouped(input.late).leftPadded(9))\n"
    text +=
        "  sum           \(grouped(sum).leftPadded(9))   \(Int64(shared.produced) == sum ? "adds up" : "DOES NOT ADD UP")\n\n"
    text +=
        "  injected            at                        found                     after (event time)   on the clock\n"
    let firing = shared.alerts.filter { $0.record.transition == .firing }
    for column in DemoTraffic.driftingColumns {
        let name = "\(DemoTraffic.driftingModel)/\(column)"
        let mine = firing.filter {
            $0.model == DemoTraffic.driftingModel && $0.record.column == column
        }
        guard let alert = mine.first else {
            problems.append("\(name) was not found")
            text += "  \(name.padded(18))  \(timeText(DemoTraffic.driftMs))  not found\n"
            continue
        }
        let endMs = alert.record.window.endMs
        let delayMs = endMs - DemoTraffic.driftMs
        let clock = shared.driftedNs.map { fixed(Double(alert.seenNs - $0) / 1e9, 1) + " s" } ?? "-"
        text +=
            "  \(name.padded(18))  \(timeText(DemoTraffic.driftMs))  \(timeText(endMs))  \("\(delayMs / 1000) s".padded(19))  \(clock)\n"
        if delayMs <= 0 { problems.append("\(name) was alerted on before it changed") }
        if delayMs > 180_000 { problems.append("\(name) was found \(delayMs / 1000) s late") }
        if mine.count > 1 { problems.append("\(name) fired \(mine.count) times") }
    }
    for alert in firing
    where alert.model != DemoTraffic.driftingModel
        || !DemoTraffic.driftingColumns.contains(alert.record.column)
    {
        problems.append("\(alert.model)/\(alert.record.column) fired, and had not changed")
    }
    if problems.isEmpty {
        text += "\n  Everything that was injected was found, and nothing else was.\n"
    } else {
        for problem in problems { text += "\n  WRONG: \(problem)" }
        text += "\n"
    }
    printOut(text + "\n" + summary.text())
    return problems.isEmpty ? ExitCode.done : ExitCode.findings
}

// MARK: The threads

/// Produces the hour, never faster than the reader, never faster than the clock allows.
private func produce(
    _ cluster: EmbeddedCluster, _ state: DemoState, seed: UInt64, count: Int, seconds: Int
) {
    let time = SystemTime()
    let started = time.nowNs()
    do throws(ConnectorError) {
        let producer = try EmbeddedProducer(cluster) { partition in
            state.shared.withLock { shared in
                let slot = Int(partition.partition)
                return slot < shared.positions.count ? shared.positions[slot] : 0
            }
        }
        var traffic = DemoTraffic(seed: seed, recordCount: count, drifts: true)
        var bad = 0
        for index in 0..<count {
            if index % 500 == 0 {
                let dueNs = started + Int64(seconds) * 1_000_000_000 / Int64(count) * Int64(index)
                let waitNs = dueNs - time.nowNs()
                if waitNs > 0 { usleep(UInt32(waitNs / 1000)) }
                state.shared.withLock {
                    $0.produced = index
                    if index >= count / 2, $0.driftedNs == nil { $0.driftedNs = time.nowNs() }
                }
                if state.shared.withLock({ $0.isDone }) { return }
            }
            let record = traffic.record(index)
            if record.isBad { bad += 1 }
            try producer.send(
                TopicPartition(topic: topic, partition: Int32(index % partitionCount)),
                value: record.value)
        }
        let written = try producer.finish()
        state.shared.withLock { shared in
            shared.produced = count
            shared.bad = bad
            shared.ends = (0..<partitionCount).map {
                written[TopicPartition(topic: topic, partition: Int32($0))] ?? 0
            }
        }
    } catch {
        state.shared.withLock { $0.failure = error }
    }
}

/// Reads alerts and aggregates back from their topics, as a consumer downstream would.
private func watch(_ cluster: EmbeddedCluster, _ plan: Plan, _ state: DemoState) {
    let time = SystemTime()
    do throws(ConnectorError) {
        var source = SourcePlan(
            topics: [plan.outputs.alerts, plan.outputs.aggregates].compactMap(\.self))
        source.start = .earliest
        var limits = Limits()
        limits.memory = MemorySplit(memoryBytes: 32 << 20)
        let client = try KafkaClient(
            settings: cluster.settings, app: "demo-watch", source: source, limits: limits,
            workers: 1, time: time, log: Log(time: time, level: .error), telemetry: Telemetry())
        defer { client.close(withinMs: 1000) }
        let extents = try client.source.extents()
        let reader = try client.source.open([
            extents.enumerated().map {
                PartitionStart(slot: $0.offset, partition: $0.element.partition, offset: 0)
            }
        ])[0]
        let batch = RecordBatch(recordCountMax: 1024, arenaCapacity: 1 << 20)
        let alertSlots = Set(
            extents.indices.filter { extents[$0].partition.topic == plan.outputs.alerts })
        while true {
            try reader.poll(into: batch, timeoutMs: 50)
            for row in 0..<batch.recordCount {
                guard let bytes = unsafe batch.value(row).map({ unsafe Array($0) }) else {
                    continue
                }
                if alertSlots.contains(unsafe Int(batch.partition[row])) {
                    if let alert = try? AlertRecord(reading: bytes) { show(alert, state, time) }
                } else if let record = try? AggregateRecord(reading: bytes),
                    record.column == "amount"
                {
                    state.shared.withLock { $0.counted += record.rows.total }
                }
            }
            if batch.recordCount == 0, state.shared.withLock({ $0.isDone }) { break }
        }
        client.source.close(withinMs: 1000)
    } catch {
        state.shared.withLock { $0.failure = $0.failure ?? error }
    }
}

private func show(_ record: AlertRecord, _ state: DemoState, _ time: SystemTime) {
    let model = record.group.dimensions.first { $0.name == "model" }?.value ?? []
    let alert = DemoState.Alert(
        record: record, model: String(decoding: model, as: UTF8.self), seenNs: time.nowNs())
    state.shared.withLock { $0.alerts.append(alert) }
    printOut(
        "\r\u{1b}[K  \(record.transition.rawValue.padded(8))  \(timeText(record.window.endMs))  \(record.severity)  \(printable(record.summary))\n",
        isOurs: true)
}

/// A thread with a body of its own, joined before the demo ends.
@safe
private final class DemoThread: @unchecked Sendable {
    // Written by the owner before `start` and after `join` alone.
    private let body: @Sendable () -> Void
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func start() throws(ConnectorError) {
        let context = unsafe Unmanaged.passRetained(self)
        guard unsafe pthread_create(&thread, nil, demoThreadMain, context.toOpaque()) == 0 else {
            unsafe context.release()
            throw .noThread
        }
    }

    func join() { pthread_join(thread, nil) }
    fileprivate func run() { body() }
}

private func demoThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<DemoThread>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

/// A source that ends where its producer says, once it has said so.
final class BoundedSource: Source {
    private let inner: any Source
    private let ends: @Sendable () -> [Int64]?
    let isBounded = true
    var fixedReferenceMs: Int64? { inner.fixedReferenceMs }
    var hasGrown: Bool { inner.hasGrown }

    init(_ inner: any Source, ends: @escaping @Sendable () -> [Int64]?) {
        self.inner = inner
        self.ends = ends
    }

    func extents() throws(ConnectorError) -> [PartitionExtent] { try inner.extents() }
    func firstOffset(_ extent: PartitionExtent, start: SourcePlan.Start)
        throws(ConnectorError) -> Int64
    { try inner.firstOffset(extent, start: start) }
    func open(_ assignments: [[PartitionStart]]) throws(ConnectorError) -> [any SourceReader] {
        try inner.open(assignments).map { BoundedReader($0, ends: ends) }
    }
    func endOffsets() -> [Int64?] { inner.endOffsets() }
    func holds() -> [SourceHold?] { inner.holds() }
    var foreignMemberCount: Int { inner.foreignMemberCount }
    func close(withinMs: Int64) { inner.close(withinMs: withinMs) }
}

private final class BoundedReader: SourceReader {
    private let inner: any SourceReader
    private let ends: @Sendable () -> [Int64]?

    init(_ inner: any SourceReader, ends: @escaping @Sendable () -> [Int64]?) {
        self.inner = inner
        self.ends = ends
    }

    func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError) {
        try inner.poll(into: batch, timeoutMs: timeoutMs)
    }
    func position(_ slot: Int) -> Int64 { inner.position(slot) }
    func isAtEnd(_ slot: Int) -> Bool { ends().map { inner.position(slot) >= $0[slot] } ?? false }
    func wake() { inner.wake() }
    func setPaused(_ paused: Bool, slot: Int) throws(ConnectorError) {
        try inner.setPaused(paused, slot: slot)
    }
}
