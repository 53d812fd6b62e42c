import Glibc
import Testing
import TidemarkAllocations
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport

@Suite(.serialized) struct WorkerAllocationTests {
    private let batches = (0..<8).map { wideBatch(rowCount: 2_000, seed: $0) }

    @Test func `a worker that reads a file allocates nothing a batch, nor a record`() throws {
        let path = "/tmp/tidemark-allocations-\(getpid()).ndjson"
        defer { unsafe unlink(path) }
        var bytes: [UInt8] = []
        for turn in 0..<40 {
            let batch = batches[turn % batches.count]
            for row in 0..<batch.recordCount {
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
}
