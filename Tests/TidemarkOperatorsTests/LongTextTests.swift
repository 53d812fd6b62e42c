import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkOperators
import TidemarkTestPlan

@Suite struct LongTextTests {
    private let partition = TopicPartition(topic: "in", partition: 0)

    /// Rows as records, decoded: the fate of each, and the stage.
    private func decoded(
        _ plan: Plan, _ values: [String]
    ) -> (fates: [RowTable.Fate?], stage: StageOneOperator, batch: RecordBatch) {
        let stage = StageOneOperator(plan: plan, baselines: [])
        let batch = RecordBatch(recordCountMax: 16, arenaCapacity: 1 << 20)
        for (offset, value) in values.enumerated() {
            unsafe Array(value.utf8).withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 0, offset: Int64(offset), recordTimeMs: 1, key: nil, value: bytes)
            }
        }
        let rows = RowTable(rowCountMax: 16)
        _ = stage.decode(batch, from: .start, into: rows)
        let fates = values.indices.map { unsafe RowTable.Fate(rawValue: rows.fate[$0]) }
        return (fates, stage, batch)
    }

    @Test func `a row whose group has a name that is too long is set aside, and only it`() {
        var plan = simulationPlan(batchRows: 16)
        plan.stream.baselines = []
        plan.stream.monitors = []
        func row(_ length: Int) -> String {
            "{\"ts\":1700000000000,\"model\":\"\(String(repeating: "a", count: length))\",\"x\":1}"
        }
        let (fates, stage, batch) = decoded(plan, [row(1), row(1_024), row(1_025), row(700_000)])
        #expect(fates == [.row, .row, .deadLetter, .deadLetter])
        let reason = stage.deadLetterReason(batch, row: 3)
        #expect(reason.name == "text_too_long")
        #expect(reason.detail == "model has 700000 bytes, at most 1024 are taken")
    }

    @Test func `a letter fits a topic of the default size, with its key`() {
        let batch = RecordBatch(recordCountMax: 4, arenaCapacity: 1 << 20)
        let long = [UInt8](repeating: 0x61, count: 3_000_000)
        for (key, value) in [(long, [UInt8](repeating: 1, count: 10)), ([1], long), (long, long)] {
            unsafe key.withUnsafeBytes { key in
                unsafe value.withUnsafeBytes { value in
                    unsafe batch.append(
                        partition: 0, offset: 0, recordTimeMs: 1, key: key, value: value)
                }
            }
        }
        let letters = RecordLetters(plan: simulationPlan())
        for row in 0..<3 {
            let letter = letters.deadLetter(
                batch, record: row, partition: partition, reason: DeadLetterReason("not_json", ""))
            #expect(letter.byteCount < 950_000, "\(letter.byteCount)")
            let lengths = letter.headers.filter { $0.name.hasSuffix("length") }
            #expect(
                lengths.map { "\($0.name) \(String(decoding: $0.value, as: UTF8.self))" }
                    == [
                        ["key_length 3000000"], ["length 3000000"],
                        ["key_length 3000000", "length 3000000"],
                    ][row])
        }
    }
}
