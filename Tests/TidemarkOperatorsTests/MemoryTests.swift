import Glibc
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkOperators
import TidemarkTestPlan
import TidemarkTestSupport

@Suite struct MemoryTests {
    /// Bytes of one group after 8,000 rows, as stage 1 hands it over.
    private func measured(_ column: ColumnPlan, text: (Int) -> String) -> (real: Int, estimate: Int)
    {
        var plan = simulationPlan(batchRows: 4_000)
        plan.stream.baselines = []
        plan.stream.monitors = []
        plan.stream.columns[2] = column
        plan.stream.segments[0].dimensions = []
        let stage = StageOneOperator(plan: plan, baselines: [])
        let partition = TopicPartition(topic: "in", partition: 0)
        stage.open(pane: 0, startMs: 0, partition: partition)
        let batch = RecordBatch(recordCountMax: 4_000, arenaCapacity: 1 << 20)
        let rows = RowTable(rowCountMax: 4_000)
        var offset: Int64 = 0
        for _ in 0..<2 {
            batch.clear()
            for _ in 0..<4_000 {
                let value = Array("{\"ts\":1,\"model\":\"m\",\"x\":\(text(Int(offset)))}".utf8)
                unsafe value.withUnsafeBytes { bytes in
                    unsafe batch.append(
                        partition: 0, offset: offset, recordTimeMs: 1, key: nil, value: bytes)
                }
                offset += 1
            }
            _ = stage.decode(batch, from: .start, into: rows)
            for row in 0..<4_000 { unsafe rows.pane[row] = 0 }
            stage.fold(batch, rows: rows)
        }
        let real = stage.seal(pane: 0).byteCount
        return (real, MemoryEstimate.cellBytes(plan.stream.segments[0], plan.stream))
    }

    @Test func `a group takes about what the plan says`() {
        var random = SeededRandom(7)
        let values = (0..<8_000).map { _ in
            -2 * log(Double(random.below(1_000_000) + 1) / 1_000_001)
        }
        func number(_ change: (inout ColumnSummary) -> Void) -> ColumnPlan {
            var column = ColumnPlan(name: "x", role: .feature, type: .number, path: [.key("x")])
            column.summary.moments = true
            column.summary.range = true
            change(&column.summary)
            return column
        }
        func texts(_ change: (inout ColumnSummary) -> Void) -> ColumnPlan {
            var column = ColumnPlan(name: "x", role: .feature, type: .category, path: [.key("x")])
            change(&column.summary)
            return column
        }
        let ranks = [0.05, 0.5, 0.95]
        let cases: [(String, ColumnPlan, (Int) -> String)] = [
            ("sums", number { _ in }, { "\(values[$0])" }),
            ("kll", number { $0.quantiles = ranks }, { "\(values[$0])" }),
            (
                "kll 800",
                number {
                    $0.quantiles = ranks; $0.kllK = 800
                }, { "\(values[$0])" }
            ),
            (
                "kll f64",
                number {
                    $0.quantiles = ranks; $0.quantileSketch = .kllDoubles
                },
                { "\(values[$0])" }
            ),
            (
                "ddsketch",
                number {
                    $0.quantiles = ranks; $0.quantileSketch = .ddsketch
                },
                { "\(values[$0])" }
            ),
            ("log-linear", number { $0.logLinear = true }, { "\(values[$0])" }),
            ("sample", number { $0.sampleCount = 100 }, { "\(values[$0])" }),
            (
                "category",
                texts {
                    $0.distinctLgK = 12; $0.topCount = 10
                },
                { "\"value-\($0 % 300)\"" }
            ),
            ("distinct", texts { $0.distinctLgK = 12 }, { "\"value-\($0 % 30_000)\"" }),
        ]
        for (name, column, text) in cases {
            let (real, estimate) = measured(column, text: text)
            #expect(
                real <= estimate && estimate <= 2 * real, "\(name): \(real), estimated \(estimate)")
        }
    }
}
