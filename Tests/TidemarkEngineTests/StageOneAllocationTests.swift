import Glibc
import Testing
import TidemarkAllocations
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkOperators
import TidemarkRuntime

/// The shape of workload W1: thirteen numbers with quantiles and bins, three categories, three models.
private func widePlan() -> Plan {
    var plan = simulationPlan(batchRows: 2_000)
    var columns = Array(plan.stream.columns[..<2])
    for place in 0..<16 {
        let isText = place >= 13
        var column = ColumnPlan(
            name: "c\(place)", role: .feature, type: isText ? .category : .number,
            path: [.key("c\(place)")])
        if isText {
            column.summary.distinctLgK = 12
            column.summary.topCount = 10
        } else {
            column.summary.moments = true
            column.summary.range = true
            column.summary.histogram = .edges((0...20).map { Double($0) * 50 })
            column.summary.quantiles = [0.5]
        }
        columns.append(column)
    }
    plan.stream.columns = columns
    plan.stream.segments[0].columns = Array(2..<18)
    plan.stream.monitors = []
    return plan
}

/// A batch of rows, all of one pane.
private func wideBatch(rowCount: Int, seed: UInt64, groupCount: Int = 3) -> RecordBatch {
    var random = SeededRandom(seed)
    let batch = RecordBatch(rowCountMax: rowCount, arenaCapacity: 1 << 20)
    for row in 0..<rowCount {
        var text = "{\"ts\":1700000000000,\"model\":\"m\(row % groupCount)\""
        for place in 0..<13 { text += ",\"c\(place)\":\(random.below(1_000_000)).5" }
        text += ",\"c13\":\"a\(random.below(5))\",\"c14\":\"b\(random.below(300))\""
        text += ",\"c15\":\"c\(random.below(10_000))\"}"
        unsafe Array(text.utf8).withUnsafeBytes { bytes in
            unsafe batch.append(
                partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
        }
    }
    return batch
}

@Suite(.serialized) struct StageOneAllocationTests {
    private let stage: StageOneOperator
    private let rows = RowTable(rowCountMax: 2_000)
    private let batches = (0..<8).map { wideBatch(rowCount: 2_000, seed: $0) }
    private let partition = TopicPartition(topic: "in", partition: 0)

    init() { stage = StageOneOperator(plan: widePlan(), baselines: [simulationBaseline]) }

    private func take(_ batch: RecordBatch) {
        stage.decode(batch, into: rows)
        for row in 0..<batch.rowCount { unsafe rows.pane[row] = 0 }
        stage.fold(batch, rows: rows)
    }

    private func pane(_ number: Int) {
        stage.open(pane: 0, startMs: Int64(number) * 10_000, partition: partition)
        for batch in batches[..<2] { take(batch) }
        _ = stage.seal(pane: 0)
    }

    @Test func `a batch that fits what is open allocates nothing`() {
        stage.open(pane: 0, startMs: 0, partition: partition)
        // Levels of sketches grow with the logarithm of the rows, tables of codes with their number.
        for turn in 0..<400 { take(batches[turn % batches.count]) }
        let before = ta_allocation_count()
        for batch in batches { take(batch) }
        #expect(ta_allocation_count() - before == 0)
    }

    @Test
    func `rows of many groups wait without an allocation, in the same memory pane after pane`() {
        // As many as the segment holds without a look at their limit.
        let many = (0..<8).map { wideBatch(rowCount: 2_000, seed: $0, groupCount: 250) }
        stage.open(pane: 0, startMs: 0, partition: partition)
        for turn in 0..<400 { take(many[turn % many.count]) }
        let before = ta_allocation_count()
        for batch in many { take(batch) }
        // A level of a sketch, once in a while; 250 cells have 3,250 sketches.
        #expect(ta_allocation_count() - before <= 8)
        _ = stage.seal(pane: 0)
        let bytes = stage.byteCount
        stage.open(pane: 0, startMs: 10_000, partition: partition)
        for batch in many { take(batch) }
        _ = stage.seal(pane: 0)
        #expect(stage.byteCount == bytes)
    }

    @Test func `a worker that reads a file allocates nothing a batch, nor a record`() throws {
        let path = "/tmp/tidemark-allocations-\(getpid()).ndjson"
        defer { unsafe unlink(path) }
        var bytes: [UInt8] = []
        for turn in 0..<40 {
            let batch = batches[turn % batches.count]
            for row in 0..<batch.rowCount {
                let value = unsafe batch.value(row).map { unsafe Array($0) }
                bytes.append(contentsOf: value ?? [])
                bytes.append(0x0a)
            }
        }
        let descriptor = unsafe open(path, O_CREAT | O_TRUNC | O_WRONLY, 0o600)
        try #require(descriptor >= 0)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        #expect(written == bytes.count)
        close(descriptor)
        let plan = widePlan()
        let source = try FileSource(
            path: path, topic: "in", recordByteCountMax: 1 << 20,
            clock: .time(ms: 1_700_000_000_000))
        let engine = try Engine(
            plan: plan, dataHash: 0,
            parts: EngineParts(
                source: source,
                log: DirectLog(
                    sink: FileSink(directory: "/nonexistent", appends: true), offsets: NoOffsets()),
                makeStageOne: { StageOneOperator(plan: plan, baselines: [simulationBaseline]) },
                makeStageTwo: { StageTwoOperator(plan: plan, baselines: [simulationBaseline]) },
                letters: RecordLetters(plan: plan), time: SimulatedTime()),
            workerCount: 1, untilEnd: false, pollTimeoutMs: 0)
        var counts: [UInt64] = []
        while counts.count < 35 {
            let before = ta_allocation_count()
            guard engine.workers[0].step() == .worked else { break }
            counts.append(ta_allocation_count() - before)
            while engine.mailbox.pop() != nil {}
        }
        #expect(counts.count == 35)
        // What is there by then: one pane, three groups, all values of the small dictionaries.
        #expect(
            counts[20...].allSatisfy { $0 <= 1 } && counts[20...].reduce(0, +) <= 4, "\(counts)")
    }

    @Test func `a pane takes the memory of one that is gone`() {
        for number in 0..<20 { pane(number) }
        let before = ta_allocation_count()
        for number in 20..<40 { pane(number) }
        let cells = 20.0 * 3
        // The cell itself, its registers and its places in lists; new sketches alone would be 150.
        #expect(Double(ta_allocation_count() - before) / cells <= 24)
        #expect(Double(ta_allocation_count() - before) / (20.0 * 4_000) <= 0.02, "per record")
    }
}
