import Testing
import TidemarkAllocations
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkOperators
import TidemarkTestPlan

@Suite(.serialized) struct StageOneAllocationTests {
    private let stage: StageOneOperator
    private let rows = RowTable(rowCountMax: 2_000)
    private let batches = (0..<8).map { wideBatch(rowCount: 2_000, seed: $0) }
    private let partition = TopicPartition(topic: "in", partition: 0)

    init() { stage = StageOneOperator(plan: widePlan(), baselines: [simulationBaseline]) }

    private func take(_ batch: RecordBatch) {
        _ = stage.decode(batch, from: .start, into: rows)
        for row in 0..<batch.recordCount { unsafe rows.pane[row] = 0 }
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
