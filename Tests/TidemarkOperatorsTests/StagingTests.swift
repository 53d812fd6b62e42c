import Glibc
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkKernels
import TidemarkOperators
import TidemarkTestPlan
import TidemarkTestSupport

/// Every kind of column and summary, over segments with few groups, many, many with a filter and a limit,
/// and one that watches no column.
private func everyKindPlan(batchRows: Int) -> Plan {
    var plan = simulationPlan(paneMs: 60_000, batchRows: batchRows)
    func column(
        _ name: String, _ type: ColumnType, _ change: (inout ColumnSummary) -> Void = { _ in }
    )
        -> ColumnPlan
    {
        var column = ColumnPlan(name: name, role: .feature, type: type, path: [.key(name)])
        column.summary.moments = type == .number || type == .integer
        column.summary.range = column.summary.moments
        change(&column.summary)
        return column
    }
    let edges = (0...20).map { Double($0) * 5 }
    plan.stream.columns += [
        column("region", .category),
        column("kll", .number) {
            $0.histogram = .edges(edges)
            $0.quantiles = [0.1, 0.5]
        },
        column("fine", .number) {
            $0.histogram = .edges((0...90).map(Double.init))
            $0.quantiles = [0.5]
            $0.quantileSketch = .kllDoubles
        },
        column("free", .number) {
            $0.quantiles = [0.5]
            $0.shape = true
            $0.halfLifeMs = 5_000
        },
        column("wide", .number) {
            $0.quantiles = [0.5]
            $0.quantileSketch = .ddsketch
            $0.logLinear = true
            $0.sampleCount = 20
        },
        column("whole", .integer) { $0.histogram = .edges([0, 10, 20]) },
        column("few", .category) {
            $0.distinctLgK = 10
            $0.topCount = 4
            $0.valueCountMax = 8
        },
        column("many", .category) {
            $0.distinctLgK = 12
            $0.topCount = 10
        },
        column("flag", .boolean) { $0.topCount = 2 },
        column("note", .text),
        column("seen", .time(.ms)),
    ]
    let watched = [2] + Array(4..<14)
    plan.stream.correlations = [[2, 4, 5], [6, 7]]
    let all = SegmentPlan(name: "all", dimensions: [], windows: [0], columns: watched)
    var byModel = SegmentPlan(
        name: "by-model", dimensions: [("model", 1)], windows: [0], columns: watched)
    byModel.groupCountMax = 1_000
    var cut = SegmentPlan(
        name: "cut", dimensions: [("model", 1), ("region", 3)],
        condition: .and(
            .compare(.less, .column(4), .number(80)),
            .not(.compare(.equal, .column(3), .text("r2")))), windows: [0], columns: watched)
    cut.groupCountMax = 60
    let bare = SegmentPlan(
        name: "bare", dimensions: [("region", 3), ("model", 1)], windows: [0], columns: [])
    plan.stream.segments = [all, byModel, cut, bare]
    plan.stream.monitors[0].segments = [0, 1, 2]
    plan.outputs.sketches = Set(OutputsPlan.SketchOutput.core)
    return plan
}

/// Rows of 200 groups, a few of which have most of them; some values are null, absent, of a wrong type,
/// not finite, or of 17 digits.
private func mixedRows(count: Int, seed: UInt64) -> [(bytes: [UInt8], pane: Int32)] {
    var random = SeededRandom(seed)
    func value(_ good: String) -> String? {
        switch random.below(40) {
        case 0: "null"
        case 1: nil
        case 2: "{}"
        case 3: "1e999"
        default: good
        }
    }
    func number(_ scale: Double) -> String {
        let value = Double(random.below(1_000_000)) / 1_000_000 * scale
        switch random.below(30) {
        case 0: return "-0.0"
        case 1: return "1e300"
        case 2: return "\(value / 3)"
        default: return "\((value * 1_000).rounded() / 1_000)"
        }
    }
    return (0..<count).map { row in
        let model = random.below(3) == 0 ? random.below(3) : random.below(200)
        let isSecond = row > count / 2 ? random.below(10) > 0 : random.below(10) == 0
        let isFirstOver = row > count * 3 / 4
        let pane: Int32 = isSecond || isFirstOver ? 1 : 0
        let time = Int64(pane) * 60_000 + Int64(row % 60_000)
        var text = "{\"ts\":\(time),\"model\":\"m\(model)\",\"region\":\"r\(random.below(4))\""
        let values: [(String, String)] = [
            ("x", number(12)), ("kll", number(110)), ("fine", number(100)), ("free", number(1)),
            ("wide", number(1_000)), ("whole", "\(random.below(25))"),
            ("few", "\"f\(random.below(12))\""), ("many", "\"t\(random.below(5_000))\""),
            ("flag", random.below(2) == 0 ? "true" : "false"), ("note", "\"n\(row)\""),
            ("seen", "\(time)"),
        ]
        for (name, good) in values {
            if let given = value(good) { text += ",\"\(name)\":\(given)" }
        }
        return (Array((text + "}").utf8), pane)
    }
}

/// Published bytes, which would be long to look at.
private struct Published: Equatable {
    var byteCount = 0
    var digest = Hash128(low: 0, high: 0)

    mutating func add(_ bytes: [UInt8]) {
        byteCount += bytes.count
        digest = murmur3(bytes, seed: digest.low &+ digest.high)
    }

    static func == (a: Published, b: Published) -> Bool {
        a.byteCount == b.byteCount && a.digest.low == b.digest.low && a.digest.high == b.digest.high
    }
}

/// What stage 1 makes of rows: all that is published of windows of one partial each, every sketch among
/// it.
private func folded(
    _ rows: [(bytes: [UInt8], pane: Int32)], _ plan: Plan, _ policy: StagingPolicy
) -> [Published] {
    let stage = StageOneOperator(plan: plan, baselines: [simulationBaseline], staging: policy)
    let batch = RecordBatch(recordCountMax: plan.run.batchRows, arenaCapacity: 1 << 20)
    let table = RowTable(rowCountMax: plan.run.batchRows)
    let partition = TopicPartition(topic: "in", partition: 3)
    for pane in 0..<2 {
        stage.open(pane: pane, startMs: Int64(pane) * 60_000, partition: partition)
    }
    var partials: [any Partial] = []
    let firstEnd = (rows.lastIndex { $0.pane == 0 } ?? 0) + 1
    var from = 0
    while from < rows.count {
        let end = min(rows.count, from + plan.run.batchRows)
        batch.clear()
        for row in from..<end {
            unsafe rows[row].bytes.withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 3, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
            }
        }
        _ = stage.decode(batch, from: .start, into: table)
        for row in from..<end {
            unsafe table.pane[row - from] = rows[row].pane
            guard unsafe table.fate[row - from] == RowTable.Fate.row.rawValue else { continue }
            if row % 97 == 0 { unsafe table.fate[row - from] = RowTable.Fate.late.rawValue }
            if row % 101 == 0 { unsafe table.fate[row - from] = RowTable.Fate.quarantined.rawValue }
        }
        stage.fold(batch, rows: table)
        from = end
        if partials.isEmpty, end >= firstEnd { partials.append(stage.seal(pane: 0)) }
    }
    partials.append(stage.seal(pane: 1))
    return partials.enumerated().map { pane, partial in
        let second = StageTwoOperator(plan: plan, baselines: [simulationBaseline])
        let start = Int64(pane) * 60_000
        let window = Window(startMs: start, endMs: start + 60_000)
        second.merge([partial], of: start, in: start, into: [(window, 0)])
        var published = Published()
        _ = second.close(
            WindowClosing(window: window, size: 0, complete: true, rev: 0, backfill: false)
        ) { record in
            published.add(record.key ?? [])
            published.add(record.value ?? [])
        }
        return published
    }
}

private func policy(cells: Int, long: Int, rows: Int) -> StagingPolicy {
    var policy = StagingPolicy()
    policy.cellCountMin = cells
    policy.longRunCount = long
    policy.rowCountMax = rows
    return policy
}

@Suite(.serialized) struct StagingTests {
    private let rows = mixedRows(count: 12_000, seed: 3)

    @Test func `whether rows wait, and how many, changes no byte of a partial`() {
        let expected = folded(rows, everyKindPlan(batchRows: 4_096), .never)
        #expect(expected.count == 2 && expected.allSatisfy { $0.byteCount > 100_000 })
        let policies = [
            StagingPolicy(), policy(cells: 0, long: 2, rows: 2),
            policy(cells: 0, long: 16, rows: 17),
            policy(cells: 150, long: 100, rows: 255), .never,
        ]
        for batchRows in [3, 100, 1_000, 4_096] {
            let plan = everyKindPlan(batchRows: batchRows)
            for (place, policy) in policies.enumerated() {
                #expect(
                    folded(rows, plan, policy) == expected,
                    "batches of \(batchRows), policy \(place)")
            }
        }
    }

    @Test func `rows that waited are the same in every tier`() {
        let best = InstructionTier.current
        defer { InstructionTier.force(best) }
        let plan = everyKindPlan(batchRows: 500)
        let expected = folded(rows, plan, .never)
        for tier in InstructionTier.allCases {
            guard InstructionTier.force(tier) == tier else { continue }
            #expect(folded(rows, plan, policy(cells: 0, long: 16, rows: 48)) == expected, "\(tier)")
        }
    }

    @Test func `rows wait no longer than their codes keep their meaning`() {
        // More ids than a dictionary keeps, in panes that are open all the while.
        var plan = everyKindPlan(batchRows: 4_096)
        plan.stream.segments = [plan.stream.segments[1]]
        plan.stream.segments[0].columns = [10, 11]
        plan.stream.correlations = []
        plan.stream.monitors = []
        let rows = (0..<90_000).map { row -> (bytes: [UInt8], pane: Int32) in
            let text =
                "{\"ts\":\(row),\"model\":\"m\(row % 3_000)\",\"few\":\"a\(row % 7)\",\"many\":\"id-\(row)\"}"
            return (Array(text.utf8), row < 89_000 ? 0 : 1)
        }
        #expect(folded(rows, plan, StagingPolicy()) == folded(rows, plan, .never))
    }

    @Test func `the memory of rows that wait is counted, and given back when nothing waits`() {
        let plan = everyKindPlan(batchRows: 4_096)
        let quiet = StageOneOperator(plan: plan, baselines: [simulationBaseline], staging: .never)
        let stage = StageOneOperator(plan: plan, baselines: [simulationBaseline])
        let table = RowTable(rowCountMax: 4_096)
        let batch = RecordBatch(recordCountMax: 4_096, arenaCapacity: 1 << 20)
        for row in 0..<4_000 {
            unsafe rows[row].bytes.withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 3, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
            }
        }
        for operation in [quiet, stage] {
            operation.open(
                pane: 0, startMs: 0, partition: TopicPartition(topic: "in", partition: 3))
            _ = operation.decode(batch, from: .start, into: table)
            for row in 0..<4_000 { unsafe table.pane[row] = 0 }
            operation.fold(batch, rows: table)
        }
        let waiting = stage.byteCount - quiet.byteCount
        // Of each of three segments with many groups a slab or two.
        #expect(waiting >= 2 << 21 && waiting <= 4 << 21)
        for _ in 0..<2 {
            for operation in [quiet, stage] {
                _ = operation.seal(pane: 0)
                operation.open(
                    pane: 0, startMs: 0, partition: TopicPartition(topic: "in", partition: 3))
            }
        }
        #expect(stage.byteCount == quiet.byteCount)
    }
}
