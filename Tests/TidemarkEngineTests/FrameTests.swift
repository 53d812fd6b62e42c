import Glibc
import Synchronization
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkFiles
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport

/// A format in which a record holds many rows: JSON objects with a bar between them.
private final class BarDecoder: RowDecoder {
    let frame: Frame
    private let inner: RecordDecoder
    private let rows: RecordBatch

    init(_ stream: StreamPlan, into frame: Frame) {
        self.frame = frame
        inner = RecordDecoder(stream, into: frame)
        rows = RecordBatch(recordCountMax: frame.rows.rowCountMax, arenaCapacity: 1 << 16)
    }

    var assumedUTCCount: Int64 { inner.assumedUTCCount }

    func decode(_ batch: RecordBatch, from cursor: RecordCursor) -> RecordCursor {
        rows.clear()
        var taken: [(record: Int, place: Int)] = []
        var next = cursor
        while next.record < batch.recordCount, taken.count < frame.rows.rowCountMax {
            let value = unsafe batch.value(next.record).map { unsafe Array($0) } ?? []
            let parts = value.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
            let room = frame.rows.rowCountMax - taken.count
            for part in parts[next.rowsTaken...].prefix(room) {
                taken.append((next.record, next.rowsTaken))
                next.rowsTaken += 1
                unsafe Array(part).withUnsafeBytes { bytes in
                    unsafe rows.append(
                        partition: 0, offset: 0, recordTimeMs: 0, key: nil, value: bytes)
                }
            }
            if next.rowsTaken == parts.count { next = RecordCursor(record: next.record + 1) }
        }
        inner.decode(rows)
        frame.rows.clear()
        for (record, place) in taken {
            frame.rows.append(record: record, place: place, of: batch)
        }
        return next
    }
}

/// Computes a column as twice another, and one as the text of a third in capitals.
private final class Doubling: ColumnStep {
    private let number: (from: Int, to: Int)
    private let text: (from: Int, to: Int)

    init(number: (from: Int, to: Int), text: (from: Int, to: Int)) {
        self.number = number
        self.text = text
    }

    func fill(_ frame: Frame, of batch: RecordBatch) {
        frame.columns[number.to].exceptionCount = 0
        frame.columns[text.to].exceptionCount = 0
        for row in 0..<frame.rowCount where unsafe frame.verdicts[row] == 0 {
            let x = unsafe frame.columns[number.from].numbers?[row] ?? .nan
            if x.isNaN {
                frame.setException(number.to, row: row, .null)
            } else {
                unsafe frame.columns[number.to].numbers?[row] = 2 * x
            }
            let code = unsafe frame.columns[text.from].codes?[row] ?? .max
            if code == .max {
                frame.setException(text.to, row: row, .null)
                continue
            }
            let letters = unsafe String(decoding: frame.text(text.from, code: code), as: UTF8.self)
            let capitals = frame.dictionaries[text.to]?.code(of: Array(letters.uppercased().utf8))
            unsafe frame.columns[text.to].codes?[row] = capitals ?? .max
        }
    }
}

/// Keeps what is written.
private final class KeepingSink: Sink {
    private let records = Mutex<[OutputRecord]>([])
    var all: [OutputRecord] { records.withLock { $0 } }
    func check(topics: [String]) throws(ConnectorError) {}
    func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        records.withLock { $0.append(record) }
        return true
    }
    func service(timeoutMs: Int) throws(ConnectorError) {}
    var outstandingCount: Int { 0 }
    func close(withinMs: Int64) {}
}

@Suite struct FrameTests {
    /// Runs a file to its end.
    ///
    /// - Returns: what was written, as topic, key and value, and what the run counted.
    private func run(
        _ lines: [String], _ plan: Plan, steps: @escaping @Sendable () -> [any ColumnStep] = { [] },
        holdsMany: Bool = false
    ) throws -> (texts: [String], totals: RunTotals) {
        let path = "/tmp/tidemark-frame-\(getpid())-\(UInt64.random(in: 0...(.max))).ndjson"
        defer { unsafe unlink(path) }
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        let descriptor = unsafe open(path, O_CREAT | O_TRUNC | O_WRONLY, 0o600)
        try #require(descriptor >= 0)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        #expect(written == bytes.count)
        close(descriptor)
        let sink = KeepingSink()
        let engine = try Engine(
            plan: plan, dataHash: 0,
            parts: EngineParts(
                source: try FileSource(
                    path: path, topic: "in", recordByteCountMax: 1 << 20,
                    clock: .time(ms: 1_800_000_000_000)),
                log: DirectLog(sink: sink, offsets: NoOffsets()),
                makeStageOne: {
                    StageOneOperator(
                        plan: plan, baselines: [simulationBaseline], steps: steps(),
                        decoder: holdsMany ? { BarDecoder($0, into: $1) } : nil)
                },
                makeStageTwo: { StageTwoOperator(plan: plan, baselines: [simulationBaseline]) },
                letters: RecordLetters(plan: plan), time: SimulatedTime()),
            workerCount: 1, untilEnd: true, pollTimeoutMs: 0)
        let totals = try engine.run(shouldStop: { false }, onProgress: { _ in })
        let texts = sink.all.map { record in
            let parts = [record.key ?? [], record.value ?? []]
            return record.topic + " "
                + parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        }
        return (texts, totals)
    }

    private func rows(_ count: Int) -> [String] {
        var random = SeededRandom(11)
        return (0..<count).map { row in
            let time = 1_700_000_000_000 + Int64(row) * 700 + Int64(random.below(3_000))
            let x = random.below(20) == 0 ? "null" : "\(random.below(100)).5"
            return "{\"ts\":\(time),\"model\":\"m\(random.below(4))\",\"x\":\(x)}"
        }
    }

    @Test(arguments: [1, 3, 16, 500])
    func `records of many rows count as their rows do, whatever a frame holds`(batchRows: Int)
        throws
    {
        var rows = rows(3_000)
        // Late for all windows, and ahead of everything.
        rows[2_000] = "{\"ts\":1700000001000,\"model\":\"m1\",\"x\":1}"
        rows[2_500] = "{\"ts\":1900000000000,\"model\":\"m2\",\"x\":1}"
        var plan = simulationPlan(batchRows: batchRows)
        plan.outputs.late = "late"
        let alone = try run(rows, plan)
        var (records, at, size): ([String], Int, Int) = ([], 0, 1)
        while at < rows.count {
            records.append(rows[at..<min(rows.count, at + size)].joined(separator: "|"))
            at += size
            size = size * 7 % 41 + 1
        }
        let together = try run(records, plan, holdsMany: true)
        let aggregates = alone.texts.filter { $0.hasPrefix("aggregates") }
        #expect(aggregates.count > 100)
        #expect(together.texts.filter { $0.hasPrefix("aggregates") } == aggregates)
        #expect(alone.totals.input.rows == 2_998 && together.totals.input.rows == 2_998)
        #expect(alone.totals.input.records == 3_000)
        #expect(together.totals.input.records == Int64(records.count))
        #expect(together.totals.input.late == 1 && together.totals.input.quarantined == 1)
        // The letter of a late row is its record, whole.
        let late = together.texts.filter { $0.hasPrefix("late") }
        #expect(late.count == 1 && late[0].contains(rows[2_000]) && late[0].contains("|"))
    }

    @Test func `a record has one letter, however many of its rows are none`() throws {
        let good = rows(40)
        let bad = ["[1]", good[1], "{\"model\":\"m1\"}", "{", good[2]].joined(separator: "|")
        let plan = simulationPlan(batchRows: 2)
        let found = try run(
            [good[0], bad] + good[3...], plan, holdsMany: true)
        #expect(found.totals.input.deadLetters == 3)
        #expect(found.totals.input.rows == 40)
        #expect(found.texts.count { $0.hasPrefix("dead") } == 1)
    }

    @Test func `a computed column is one like those that are read`() throws {
        var plan = simulationPlan()
        var twice = plan.stream.columns[2]
        (twice.name, twice.path) = ("twice", [.key("twice")])
        plan.stream.columns.append(twice)
        plan.stream.columns.append(
            ColumnPlan(name: "loud", role: .segment, type: .category, path: [.key("loud")]))
        plan.stream.segments[0].columns = [2, 3]
        plan.stream.segments[0].dimensions = [("loud", 4)]
        plan.stream.filter = .not(.compare(.equal, .column(4), .text("M3")))
        let rows = rows(2_000)
        // The same values, written into the records.
        let read = try run(
            rows.map { row in
                let x = row.split(separator: ":").last?.dropLast() ?? ""
                let twice = Double(x).map { "\(2 * $0)" } ?? "null"
                let model = row.split(separator: "\"")[5].uppercased()
                return row.dropLast() + ",\"twice\":\(twice),\"loud\":\"\(model)\"}"
            }, plan)
        for column in 3...4 {
            plan.stream.columns[column].isRead = false
            plan.stream.columns[column].isComputed = true
            plan.stream.columns[column].path = []
        }
        let computed = try run(
            rows, plan, steps: { [Doubling(number: (2, 3), text: (1, 4))] })
        #expect(computed.texts == read.texts)
        #expect(computed.texts.contains { $0.contains("\"column\":\"twice\"") })
        #expect(computed.texts.contains { $0.contains("\"loud\":\"M1\"") })
        #expect(computed.totals.input.filteredOut > 300)
    }
}
