import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport
import TidemarkText

private let t0: Int64 = 1_700_000_040_000

/// A row of a partition by hand: event time in seconds after the start.
private func row(
    _ seconds: Double, model: String = "a", x: Double = 1, recordSeconds: Double? = nil,
    availableMs: Int64 = 0
) -> SimulatedRecord {
    let time = t0 + Int64(seconds * 1000)
    return SimulatedRecord(
        offset: 0, recordTimeMs: t0 + Int64((recordSeconds ?? seconds) * 1000),
        availableMs: availableMs, key: nil,
        value: Array("{\"model\":\"\(model)\",\"ts\":\(time),\"x\":\(x)}".utf8))
}

private func partitions(_ rows: [[SimulatedRecord]]) -> [SimulatedPartition] {
    rows.enumerated().map { slot, rows in
        var numbered = rows
        for index in numbered.indices { numbered[index].offset = Int64(index) }
        return SimulatedPartition(
            name: TopicPartition(topic: "in", partition: Int32(slot)), records: numbered,
            end: Int64(rows.count))
    }
}

private func cluster(_ rows: [[SimulatedRecord]], seed: UInt64 = 1) -> SimulatedCluster {
    SimulatedCluster(
        partitions: partitions(rows), seed: seed, time: SimulatedTime(), faults: .none)
}

private func key(_ window: Int64, _ model: String = "a") -> String {
    "by-model/model=\(model)/x/60s/\(t0 + window * 60_000)"
}

private func number(_ value: String?, _ path: [String]) -> Double? {
    guard let value, var json = try? JSONValue(parsing: Array(value.utf8)) else { return nil }
    for name in path {
        guard let next = json[name] else { return nil }
        json = next
    }
    return json.asNumber
}

private func total(_ outcome: SimulationOutcome, _ window: Int64, _ model: String = "a") -> Double?
{
    number(outcome.aggregates[key(window, model)]?.first, ["rows", "total"])
}

/// The ways in which exactness breaks, each as a case of its own.
///
/// Numbers are those of the list of histories in ARCHITECTURE.md.
@Suite struct HistoryTests {
    @Test func `1_1 a pane that one partition sealed and another holds back survives a crash`()
        throws
    {
        // p0 runs ahead and seals; p1 brings its rows of the same window later.
        let ahead = (0..<120).map { row(Double($0)) }
        let behind = (0..<120).map { row(Double($0), availableMs: 3_000) }
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: cluster([ahead, behind]), workerCount: 2,
            crashChance: 0)
        simulation.crashAfterCommits = [2, 4]
        let outcome = try simulation.run()
        #expect(outcome.crashes == 2)
        #expect(total(outcome, 0) == 120)
        #expect(outcome.aggregates[key(0)]?.count == 1)
    }

    @Test func `1_3 low-water is the first row of any unpublished window, not of the oldest pane`()
        throws
    {
        // The first row lies in a later pane than the second.
        let rows = [row(52), row(49)] + (0..<40).map { row(50 + Double($0) / 10) }
        // Two, since one record that is so far ahead says nothing by itself.
        var late = rows + [row(200), row(230)]
        for index in late.indices.suffix(2) { late[index].availableMs = 5_000 }
        var simulation = Simulation(
            plan: simulationPlan(batchRows: 1, idleMs: nil), cluster: cluster([late]),
            workerCount: 1, crashChance: 0)
        simulation.crashAfterCommits = [1, 2]
        let outcome = try simulation.run()
        #expect(outcome.crashes == 2)
        #expect(total(outcome, 0) == 42)
        let resumed = simulation.reports.last?.first
        #expect(resumed?.kind == .resumed)
        #expect(resumed?.offset == 0, "low-water must not pass the row of the later pane")
    }

    @Test func `1_6 a row from the future stays quarantined when it is read again hours later`()
        throws
    {
        var rows = (0..<30).map { row(Double($0)) }
        rows.insert(row(7_200, recordSeconds: 10), at: 11)
        rows += (30..<130).map { row(Double($0), availableMs: 4_000) }
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: cluster([rows]), workerCount: 1,
            crashChance: 0)
        simulation.crashAfterCommits = [1]
        simulation.awayMs = 3 * 3_600_000
        let outcome = try simulation.run()
        #expect(outcome.crashes == 1)
        #expect(total(outcome, 0) == 60)
        #expect(number(outcome.aggregates[key(0)]?.first, ["rows", "quarantined"]) == 1)
        #expect(outcome.lateRows.isEmpty, "the row must not have moved the watermark")
    }

    @Test func `1_7 an idle floor is recorded before it is obeyed, and obeyed again after a crash`()
        throws
    {
        let busy = (0..<200).map { row(Double($0), availableMs: Int64($0) * 200) }
        // Falls silent at 10 s, comes back with rows of the past.
        let quiet =
            (0..<10).map { row(Double($0), availableMs: Int64($0) * 200) }
            + (0..<5).map { row(12 + Double($0), recordSeconds: 190, availableMs: 39_000) }
        let setup = { (crashes: Set<Int>) -> (SimulationOutcome, SimulatedCluster) in
            let cluster = cluster([busy, quiet])
            var simulation = Simulation(
                plan: simulationPlan(idleMs: 5_000), cluster: cluster, workerCount: 2,
                crashChance: 0)
            simulation.crashAfterCommits = crashes
            return (try simulation.run(crashesMax: 100), cluster)
        }
        let (outcome, log) = try setup([])
        let floors = log.floors[TopicPartition(topic: "in", partition: 1)] ?? []
        #expect(!floors.isEmpty, "the silent partition must have got a floor")
        #expect(outcome.lateRows.count == 5, "rows below the floor are late rows, not lost ones")
        #expect(total(outcome, 0) == 70)
        for commit in 1..<12 {
            let (again, log) = try setup([commit * 3])
            let naive = NaiveRecompute(
                plan: simulationPlan(), partitions: log.partitions, floors: log.floors)
            #expect(again.lateRows == naive.lateRows, "crash after commit \(commit * 3)")
            #expect(
                again.aggregates[key(0)].map { $0.map(NaiveRecompute.cell) } == [
                    naive.cells[key(0)]
                ],
                "crash after commit \(commit * 3)")
        }
    }

    /// A producer's transaction is open for 30 s; its rows come when it ends.
    private func waiting(holdMs: Int64?) throws -> (SimulationOutcome, [RunTotals]) {
        var plan = simulationPlan(idleMs: 5_000)
        plan.stream.source.holdMs = holdMs
        let busy = (0..<300).map { row(Double($0), availableMs: Int64($0) * 200) }
        let held = (0..<300).map {
            row(
                Double($0) + 0.5,
                availableMs: $0 < 50 ? Int64($0) * 200 : max(40_000, Int64($0) * 200))
        }
        let log = cluster([busy, held])
        log.heldUntilMs[1] = 40_000
        var simulation = Simulation(plan: plan, cluster: log, workerCount: 2, crashChance: 0)
        return (try simulation.run(), simulation.totals)
    }

    @Test func `a partition with rows behind an open transaction is not idle, and that is said`()
        throws
    {
        let (outcome, totals) = try waiting(holdMs: nil)
        #expect(outcome.lateRows.isEmpty)
        #expect(totals[0].forcedFloors == 0)
        for window in 0..<4 { #expect(total(outcome, Int64(window)) == 120) }
        #expect(outcome.conditions.contains("partition_held firing"))
    }

    @Test
    func `a held partition is waited for as long as stated, and windows without it are not whole`()
        throws
    {
        let (outcome, totals) = try waiting(holdMs: 8_000)
        #expect(totals[0].forcedFloors > 0)
        #expect(!outcome.lateRows.isEmpty, "its rows come after their windows")
        let values = outcome.aggregates.filter { $0.key.hasPrefix("by-model/model=a/x/") }.values
        let halves = values.joined().filter { number($0, ["rows", "total"]) ?? 0 < 120 }
        #expect(!halves.isEmpty)
        for value in halves where number(value, ["window", "end"]) ?? 0 < Double(t0 + 280_000) {
            #expect(value.contains("\"complete\":false"), "\(value)")
        }
    }

    @Test func `windows that a unit of commit has no room for wait for the next, and none is lost`()
        throws
    {
        // A backlog: ten windows end at once, and each is more than a unit takes.
        let rows = (0..<600).map { row(Double($0), model: "m\($0 % 5)") }
        for crash in 1..<8 {
            var plan = simulationPlan(batchRows: 4_000, idleMs: nil)
            plan.run.unitBytesMax = 500
            let log = cluster([rows], seed: UInt64(crash))
            var simulation = Simulation(plan: plan, cluster: log, workerCount: 1, crashChance: 0)
            simulation.crashAfterCommits = [crash]
            let outcome = try simulation.run()
            #expect(log.commitCount >= 9, "a unit a window, at least")
            #expect(outcome.repeats.isEmpty, "crash after commit \(crash)")
            for window in 0..<9 {
                for model in 0..<5 {
                    #expect(
                        total(outcome, Int64(window), "m\(model)") == 12,
                        "crash after commit \(crash), window \(window)")
                }
            }
        }
    }

    @Test func `a leap that is contradicted takes its rows back, wherever a crash falls`() throws {
        // One record of a clock that is 55 minutes ahead, and twelve in a row later.
        var rows = (0..<200).map { row(Double($0) / 2, availableMs: Int64($0) * 100) }
        rows.insert(row(20 + 3_300, availableMs: 4_000), at: 40)
        rows.insert(
            contentsOf: (0..<12).map { row(60 + 3_300 + Double($0) / 10, availableMs: 12_000) },
            at: 121)
        rows += (200..<400).map { row(Double($0) / 2, availableMs: Int64($0) * 100) }
        for crash in 0..<12 {
            let log = cluster([rows], seed: UInt64(crash))
            var simulation = Simulation(
                plan: simulationPlan(batchRows: crash % 2 == 0 ? 5 : 64, idleMs: nil), cluster: log,
                workerCount: 1, crashChance: 0)
            simulation.crashAfterCommits = crash == 0 ? [] : [crash * 4]
            let outcome = try simulation.run()
            #expect(outcome.lateRows.isEmpty, "crash after commit \(crash * 4)")
            for window in 0..<3 { #expect(total(outcome, Int64(window)) == 120) }
            #expect(
                outcome.aggregates.keys.allSatisfy {
                    Int64($0.split(separator: "/").last ?? "") ?? .max < t0 + 600_000
                }, "nothing of the time that never came")
            let metadata = try CommitMetadata(
                try #require(log.offsets[log.partitions[0].name]).metadata,
                applicationHash: fnv1a("sim"), clusterHash: fnv1a("simulated"),
                dataHash: simulationDataHash, next: Int64(rows.count))
            #expect(metadata.low > 250, "low-water does not wait for it: \(metadata.low)")
        }
    }

    private func conditions(_ rows: [SimulatedRecord]) throws -> [String] {
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: cluster([rows]), workerCount: 1,
            crashChance: 0)
        return try simulation.run().conditions
    }

    @Test func `what a person has to know of the source is said once, and nothing without cause`()
        throws
    {
        let usual = (0..<900).map { row(Double($0) / 15, availableMs: Int64($0) * 70) }
        #expect(try conditions(usual).isEmpty)
        // Half of the rows of a minute are of the past.
        let late = (0..<1_200).map { index in
            let second = 100 + Double(index) / 20
            return row(
                index % 2 == 0 ? second : 5, recordSeconds: second, availableMs: Int64(index) * 20)
        }
        #expect(try conditions(late) == ["late_rows firing"])
        let ahead = (0..<900).map { index in
            let second = Double(index) / 15
            return row(
                index % 4 == 0 ? second + 7_200 : second, recordSeconds: second,
                availableMs: Int64(index) * 70)
        }
        #expect(try conditions(ahead) == ["quarantined_rows firing"])
        let still = (0..<900).map { index in
            row(5, recordSeconds: Double(index) / 15, availableMs: Int64(index) * 70)
        }
        #expect(try conditions(still) == ["watermark_still firing"])
        var odd = usual
        for index in odd.indices where index % 9 == 0 { odd[index].recordTimeMs *= 1_000 }
        #expect(try conditions(odd) == ["record_times firing"])
    }

    @Test func `1_7 a silent partition gets a floor though others have news at every tick`()
        throws
    {
        var plan = simulationPlan(idleMs: 5_000)
        plan.run.commitMs = 1_000
        // A row each 50 ms, for a minute; the other partition falls silent at 2 s.
        let busy = (0..<1_200).map { row(Double($0) / 6, availableMs: Int64($0) * 50) }
        let quiet = (0..<10).map { row(Double($0), availableMs: Int64($0) * 200) }
        // Comes back, with rows of the past, while the others still have news.
        let past = (0..<5).map { row(12 + Double($0), recordSeconds: 190, availableMs: 55_000) }
        let cluster = cluster([busy, quiet + past])
        var simulation = Simulation(plan: plan, cluster: cluster, workerCount: 2, crashChance: 0)
        let outcome = try simulation.run()
        #expect(outcome.lateRows.count == 5, "its floor came while the others were busy")
    }

    /// The window that the late row came into holds nothing of it: no snapshot may make it one without rows.
    @Test func `windows that hold nothing are not there, before a restart as after it`() throws {
        var plan = simulationPlan(
            windows: [WindowPlan(lengthMs: 120_000, stepMs: 20_000)], idleMs: nil, learns: true)
        plan.stream.filter = .compare(.notEqual, .column(1), .text("z"))
        plan.limits.maxRereadMs = 20_000
        // Rows of one group, then such as are filtered out, among them one that is late; the watermark goes on.
        func z(_ seconds: Double) -> SimulatedRecord {
            row(seconds, model: "z", availableMs: Int64(seconds * 30))
        }
        let rows =
            stride(from: 0.0, to: 120, by: 2).map { row($0, availableMs: Int64($0 * 30)) }
            + stride(from: 120.0, to: 150, by: 2).map(z) + [
                row(90, recordSeconds: 150, availableMs: 4_500)
            ]
            + stride(from: 150.0, to: 500, by: 2).map(z)
        func run(_ crashes: Set<Int>) throws -> SimulationOutcome {
            var simulation = Simulation(
                plan: plan, cluster: cluster([rows]), workerCount: 1, crashChance: 0)
            simulation.crashAfterCommits = crashes
            let outcome = try simulation.run()
            #expect(crashes.isEmpty || outcome.snapshots > 0)
            return outcome
        }
        let whole = try run([])
        #expect(!whole.aggregates.isEmpty)
        for crash in 1...25 {
            let broken = try run([crash])
            #expect(broken.aggregates == whole.aggregates, "after commit \(crash)")
            #expect(broken.alerts == whole.alerts, "after commit \(crash)")
        }
    }

    @Test(arguments: [1, 7, 64])
    func `1_11 a late row is decided by the records before it, whatever the batch`(
        batchRows: Int
    ) throws {
        // The rows at 8 s and 9 s come when their pane is sealed and their window is open; those at 10 s and 11 s
        // when the row before them closed it, within one batch of 64.
        let rows =
            (0..<30).map { row(Double($0)) } + [row(8), row(9)]
            + (30..<70).map { row(Double($0)) } + [row(10), row(11)]
            + (70..<140).map { row(Double($0)) }
        var simulation = Simulation(
            plan: simulationPlan(batchRows: batchRows, idleMs: nil), cluster: cluster([rows]),
            workerCount: 1, crashChance: 0)
        let outcome = try simulation.run()
        #expect(outcome.lateRows == ["in/0/72 late", "in/0/73 late"])
        #expect(total(outcome, 0) == 62)
        #expect(number(outcome.aggregates[key(0)]?.first, ["rows", "late"]) == 0)
        #expect(number(outcome.aggregates[key(1)]?.first, ["rows", "late"]) == 2)
    }

    @Test(arguments: 0..<UInt64(12))
    func `1_12 the same groups are kept whatever the order, the workers and the crashes`(
        seed: UInt64
    ) throws {
        let models = (0..<12).map { "m\($0)" }
        var random = SeededRandom(seed)
        let rows = (0..<2).map { _ in
            (0..<300).map { index in
                row(Double(index) / 2, model: models[random.below(models.count)])
            }
        }
        let plan = simulationPlan(batchRows: seed % 2 == 0 ? 3 : 64, groupCountMax: 4, idleMs: nil)
        var simulation = Simulation(
            plan: plan, cluster: cluster(rows, seed: seed), workerCount: 1 + Int(seed % 2),
            crashChance: 0.001)
        let outcome = try simulation.run()
        try expectSmallestHashes(outcome, rows: rows, models: models, kept: 4)
    }

    @Test func `1_15 an idle floor seals what is open, so that low-water comes up to next`() throws
    {
        let busy = (0..<300).map { row(Double($0), availableMs: Int64($0) * 100) }
        let quiet = (0..<10).map { row(Double($0)) }
        let cluster = cluster([busy, quiet])
        var simulation = Simulation(
            plan: simulationPlan(idleMs: 5_000), cluster: cluster, workerCount: 1, crashChance: 0)
        _ = try simulation.run()
        let name = TopicPartition(topic: "in", partition: 1)
        let committed = try #require(cluster.offsets[name])
        let metadata = try CommitMetadata(
            committed.metadata, applicationHash: fnv1a("sim"),
            clusterHash: fnv1a("simulated"), dataHash: simulationDataHash, next: committed.next)
        #expect(
            metadata.low == metadata.next, "retention may take every row of the silent partition")
        #expect(metadata.next == 10)
    }

    @Test func `1_20 the end is reached past control records, and a later run goes on from it`()
        throws
    {
        var log = partitions([
            (0..<90).map { row(Double($0)) }, (0..<90).map { row(Double($0) + 0.5) },
        ])
        // A commit marker at the end of each, and one partition that was always empty.
        log[0].end += 1
        log[1].end += 2
        log.append(
            SimulatedPartition(
                name: TopicPartition(topic: "in", partition: 2), records: [], end: 0))
        let cluster = SimulatedCluster(
            partitions: log, seed: 3, time: SimulatedTime(), faults: .none)
        var simulation = Simulation(
            plan: simulationPlan(), cluster: cluster, workerCount: 2, crashChance: 0)
        simulation.untilEnd = true
        let first = try simulation.run()
        #expect(total(first, 0) == 120)
        let open = try #require(first.aggregates[key(1)]?.first)
        #expect(number(open, ["rows", "total"]) == 60)
        #expect(open.contains("\"complete\":false"))
        #expect(open.contains("\"rev\":0"))
        #expect(first.aggregates[key(0)]?.first?.contains("\"complete\":true") == true)

        // More rows come; what one run over all of it says is said under the next revision.
        for slot in 0..<2 {
            for index in 90..<150 {
                var more = row(Double(index) + Double(slot) / 2)
                more.offset = cluster.partitions[slot].end
                cluster.partitions[slot].records.append(more)
                cluster.partitions[slot].end += 1
            }
        }
        let second = try simulation.run()
        let again = try #require(second.aggregates[key(1)]?.first { $0.contains("\"rev\":1") })
        #expect(number(again, ["rows", "total"]) == 120)
        #expect(again.contains("\"complete\":true"))
        #expect(second.aggregates[key(0)]?.count == 1, "what was complete is not published again")
    }

    @Test func `1_22 a re-read rebuilds the counters of panes and adds nothing to exported ones`()
        throws
    {
        var rows = (0..<50).map { row(Double($0)) }
        rows[20].value = Array("{\"model\":\"a\",\"ts\":\(t0 + 20_000),\"x\":null}".utf8)
        rows[21].value = Array("no json".utf8)
        rows += (50..<130).map { row(Double($0), availableMs: 3_000) }
        let log = cluster([rows])
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0)
        simulation.crashAfterCommits = [1]
        let outcome = try simulation.run()
        #expect(outcome.crashes == 1)
        #expect(number(outcome.aggregates[key(0)]?.first, ["rows", "null"]) == 1)
        #expect(total(outcome, 0) == 59)
        #expect(outcome.deadLetters == ["in/0/21 not_json"])
        let counted = simulation.totals.map(\.input)
        let committed = counted[1].reread
        #expect(committed > 0, "the second process must have read again")
        #expect(
            counted[1].records == Int64(rows.count) - simulation.reports[1][0].next,
            "what was committed is counted once")
    }

    @Test func `1_2 two workers commit in one unit`() throws {
        // One worker's partition feeds the other's windows: half a commit would lose or repeat.
        let rows = (0..<2).map { slot in (0..<200).map { row(Double($0) + Double(slot) / 2) } }
        for commit in 1..<8 {
            var simulation = Simulation(
                plan: simulationPlan(idleMs: nil), cluster: cluster(rows, seed: UInt64(commit)),
                workerCount: 2, crashChance: 0)
            simulation.crashAfterCommits = [commit]
            let outcome = try simulation.run()
            #expect(total(outcome, 0) == 120 && total(outcome, 1) == 120, "commit \(commit)")
            #expect(outcome.repeats.isEmpty, "commit \(commit)")
        }
    }

    @Test func `1_9 an aborted transaction changes nothing and is sent again whole`() throws {
        let rows = (0..<2).map { _ in (0..<300).map { row(Double($0)) } }
        var faults = SimulatedCluster.Faults()
        faults.aborts = 0.5
        let log = SimulatedCluster(
            partitions: partitions(rows), seed: 9, time: SimulatedTime(), faults: faults)
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0)
        let outcome = try simulation.run()
        for window in 0..<4 { #expect(total(outcome, Int64(window)) == 120) }
        #expect(outcome.repeats.isEmpty)
    }

    @Test func `1_10 at least once, a window that comes again does not move an alert twice`() throws
    {
        // x moves out of the baseline at two minutes, and back at five.
        let rows = (0..<480).map { second in
            row(Double(second), x: 120..<300 ~= second ? 20 : Double(second * 7 % 140) / 10 - 2)
        }
        var faults = SimulatedCluster.Faults()
        faults.commitFails = 0.3
        for seed in UInt64(0)..<20 {
            let log = SimulatedCluster(
                partitions: partitions([rows]), seed: seed, time: SimulatedTime(), faults: faults)
            var simulation = Simulation(
                plan: simulationPlan(idleMs: nil, delivery: .atLeastOnce), cluster: log,
                workerCount: 1, crashChance: 0)
            let outcome = try simulation.run()
            // Two of three windows: it opens in the third minute, fires in the fourth.
            #expect(
                Set(outcome.alerts) == [
                    AlertsByHand.event(
                        "firing", "drift a", t0 + 180_000, t0 + 240_000, t0 + 120_000),
                    AlertsByHand.event(
                        "resolved", "drift a", t0 + 300_000, t0 + 360_000, t0 + 120_000),
                ], "seed \(seed), \(outcome.crashes) crashes")
        }
    }

    @Test func `what fires in a backlog is published and pages nobody`() throws {
        // Written two hours after it happened.
        let rows = (0..<480).map { second in
            row(
                Double(second), x: 120..<300 ~= second ? 20 : Double(second * 7 % 140) / 10 - 2,
                recordSeconds: Double(second) + 7_200)
        }
        for maxAgeMs in [3_600_000, 3 * 3_600_000] as [Int64] {
            var plan = simulationPlan()
            plan.stream.monitors[0].maxAgeMs = maxAgeMs
            var simulation = Simulation(
                plan: plan, cluster: cluster([rows]), workerCount: 1, crashChance: 0)
            let alerts = try simulation.run().alerts
            #expect(alerts.count == 2, "\(alerts)")
            #expect(
                alerts.allSatisfy { $0.hasSuffix("muted by backfill") == (maxAgeMs == 3_600_000) },
                "\(alerts)")
        }
    }

    @Test func `1_13 a partition that joins is read from its beginning`() throws {
        let log = cluster([(0..<70).map { row(Double($0)) }])
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0)
        _ = try simulation.run()
        for second in 70..<200 {
            var more = row(Double(second))
            more.offset = Int64(second)
            log.partitions[0].records.append(more)
        }
        log.partitions[0].end = 200
        var joined = partitions([[], (80..<200).map { row(Double($0)) }])[1]
        joined.beginning = 0
        log.partitions.append(joined)
        let outcome = try simulation.run()
        #expect(simulation.reports.last?.map(\.kind) == [.resumed, .resumed])
        // 0 to 60 s was published before it was known.
        #expect(log.floors[joined.name]?.first?.floorMs == t0 + 64_000)
        #expect(total(outcome, 1) == 100, "80 to 120 s came on both partitions")
        #expect(outcome.aggregates[key(1)]?.first?.contains("\"complete\":true") == true)
    }

    /// A window of an hour, of which a minute is read again.
    private func longWindow() -> Plan {
        var plan = simulationPlan(
            windows: [WindowPlan(lengthMs: 3_600_000, stepMs: 3_600_000)], idleMs: nil)
        plan.limits.maxRereadMs = 60_000
        return plan
    }

    @Test func `an open window is written out, and its rows are not read again`() throws {
        let rows = (0..<3_700).map { row(Double($0)) }
        let log = cluster([rows.map { $0 }])
        var lows: [(next: Int64, low: Int64)] = []
        log.onCommit = { offsets in
            for offset in offsets {
                guard
                    let metadata = try? CommitMetadata(
                        offset.metadata, applicationHash: fnv1a("sim"),
                        clusterHash: fnv1a("simulated"), dataHash: simulationDataHash,
                        next: offset.next)
                else { continue }
                lows.append((metadata.next, metadata.low))
            }
        }
        var simulation = Simulation(
            plan: longWindow(), cluster: log, workerCount: 1, crashChance: 0.01)
        let outcome = try simulation.run(crashesMax: 20)
        #expect(outcome.crashes > 3)
        #expect(outcome.snapshots > 5)
        // A minute, a pane, the bound, and what came between two commits.
        #expect(lows.allSatisfy { $0.next - $0.low < 60 + 10 + 5 + 60 }, "\(lows.suffix(5))")
        let values = try #require(outcome.aggregates.values.first)
        #expect(values.count == 1 && values.first?.contains("\"complete\":true") == true)
        // What is left of the second hour, and nothing of the first.
        #expect(log.state.keys.contains { $0.starts(with: "windows/".utf8) })
    }

    @Test func `a snapshot that is lost leaves its windows incomplete, not silent`() throws {
        let log = cluster([(0..<200).map { row(Double($0)) }])
        var simulation = Simulation(
            plan: longWindow(), cluster: log, workerCount: 1, crashChance: 0)
        _ = try simulation.run()
        #expect(log.state.keys.contains { $0.starts(with: "window/".utf8) })
        for key in log.state.keys where key.starts(with: "window/".utf8) { log.state[key] = nil }
        for second in 200..<3_700 {
            var more = row(Double(second))
            more.offset = Int64(second)
            log.partitions[0].records.append(more)
        }
        log.partitions[0].end = 3_700
        let outcome = try simulation.run()
        let values = try #require(outcome.aggregates.values.first)
        #expect(values.first?.contains("\"complete\":false") == true, "\(values)")
    }

    @Test func `1_15 rows that retention took from an open window leave it incomplete, not silent`()
        throws
    {
        let log = cluster([(0..<90).map { row(Double($0)) }])
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0)
        _ = try simulation.run()
        // Low-water is 60; the first 75 go.
        log.partitions[0].records.removeAll { $0.offset < 75 }
        log.partitions[0].beginning = 75
        for second in 90..<200 {
            var more = row(Double(second))
            more.offset = Int64(second)
            log.partitions[0].records.append(more)
        }
        log.partitions[0].end = 200
        // It stays incomplete when the process dies once more.
        simulation.crashAfterCommits = [log.commitCount + 1]
        let outcome = try simulation.run()
        #expect(simulation.reports.contains { $0.first?.kind == .expired })
        #expect(total(outcome, 1) == 45)
        #expect(outcome.aggregates[key(1)]?.first?.contains("\"complete\":false") == true)
        #expect(outcome.aggregates[key(2)]?.first?.contains("\"complete\":true") == true)
        #expect(outcome.aggregates[key(0)]?.count == 1 && outcome.repeats.isEmpty)
    }

    @Test func `1_16 no partition runs further ahead than the alignment and a batch`() throws {
        var plan = simulationPlan(batchRows: 8, idleMs: nil)
        plan.stream.source.alignmentMs = 20_000
        let ahead = (0..<2_000).map { row(Double($0)) }
        let behind = (0..<2_000).map { row(Double($0), availableMs: Int64($0) * 20) }
        let log = cluster([ahead, behind])
        var simulation = Simulation(plan: plan, cluster: log, workerCount: 2, crashChance: 0)
        var furthest: Int64 = 0
        log.onCommit = { offsets in
            let nexts = offsets.map(\.next)
            // Until everything of the one behind is there; then nobody waits for it.
            if let least = nexts.min(), let most = nexts.max(), least < 1_900 {
                furthest = max(furthest, most - least)
            }
        }
        let outcome = try simulation.run()
        #expect(total(outcome, 5) == 120)
        // 20 s, the bound's share, a batch on both sides.
        #expect(furthest <= 20 + 5 + 2 * 8 + 1, "\(furthest) s ahead")
    }

    @Test(arguments: ["foreign", "moved", "gone"])
    func `1_18 metadata that does not belong starts a new epoch, and old state is not used`(
        how: String
    ) throws {
        let rows = (0..<300).map {
            row(Double($0), x: $0 < 120 ? Double($0 * 7 % 140) / 10 - 2 : 20)
        }
        let log = cluster([rows])
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0)
        let first = try simulation.run()
        #expect(first.alerts.count == 1 && !log.state.isEmpty, "an alert fires")
        let name = log.partitions[0].name
        switch how {
        case "foreign": log.offsets[name]?.metadata = "from a mirror"
        case "moved": log.offsets[name]?.next = 30
        default: log.offsets = [:]
        }
        let second = try simulation.run()
        #expect(simulation.reports.last?.first?.kind != .resumed)
        // The group moved or gone: all of it is read again, by a process that knows of no alert.
        // That of the first epoch is resolved: nothing goes on with it.
        if how != "foreign" {
            #expect(second.alerts.count == 2 && second.repeats.count > 0, "\(second.alerts)")
        }
        #expect(
            log.state.values.allSatisfy { (try? StateFrame($0).epoch) == 2 },
            "entries of the first epoch are taken away")
    }

    @Test
    func `dead letters for a minute stop the reading, with one page, and the next start reads on`()
        throws
    {
        var rows = (0..<600).map { row(Double($0), availableMs: Int64($0) * 20) }
        for index in 100..<600 { rows[index].value = Array("no json".utf8) }
        let log = cluster([rows])
        var plan = simulationPlan(batchRows: 8, idleMs: nil)
        plan.limits.badRowSpanMs = 2_000
        plan.limits.badRowCountMin = 20
        let simulation = Simulation(plan: plan, cluster: log, workerCount: 1, crashChance: 0)
        func pages() -> [OutputRecord] { log.published.filter { $0.topic == "alerts" } }
        for start in 1...2 {
            let engine = try simulation.start().engine
            for _ in 0..<2_000 {
                log.time.advance(ms: 4)
                _ = engine.workers[0].step()
                _ = engine.coordinator.step()
            }
            #expect(engine.coordinator.progress.isHolding, "start \(start)")
            #expect(pages().count == start)
            let next = try #require(log.offsets[log.partitions[0].name]?.next)
            #expect(log.availableEnd(0) > next + 50, "what comes is left alone")
            #expect(
                log.published.count { $0.topic == "dead" } == Int(next) - 100,
                "what was read is published and committed")
        }
        let page = try JSONValue(parsing: try #require(pages().first?.value))
        #expect(page["monitor"]?.asText == "bad_rows" && page["severity"]?.asText == "page")
        // Switched off, it reads to the end.
        plan.limits.badRowShare = nil
        let engine = try Simulation(
            plan: plan, cluster: log, workerCount: 1, crashChance: 0
        ).start().engine
        for _ in 0..<4_000 {
            log.time.advance(ms: 4)
            _ = engine.workers[0].step()
            _ = engine.coordinator.step()
        }
        #expect(log.offsets[log.partitions[0].name]?.next == 600)
    }

    @Test func `the page of dead letters ends after a minute of good records, whoever reads them`()
        throws
    {
        for isSwitchedOff in [false, true] {
            let good = (0..<900).map { row(Double($0), availableMs: Int64($0) * 20) }
            var rows = good
            for index in 100..<900 { rows[index].value = Array("no json".utf8) }
            let log = cluster([rows])
            var plan = simulationPlan(batchRows: 8, idleMs: nil)
            plan.limits.badRowSpanMs = 2_000
            plan.limits.badRowCountMin = 20
            func events() throws -> [JSONValue] {
                try log.published.filter { $0.topic == "alerts" }.map {
                    try JSONValue(parsing: try #require($0.value))
                }.filter { $0["monitor"]?.asText == "bad_rows" }
            }
            func run(_ steps: Int) throws -> Engine {
                let engine = try Simulation(
                    plan: plan, cluster: log, workerCount: 1, crashChance: 0
                ).start().engine
                for _ in 0..<steps {
                    log.time.advance(ms: 4)
                    _ = engine.workers[0].step()
                    _ = engine.coordinator.step()
                }
                return engine
            }
            #expect(try run(2_000).coordinator.progress.isHolding)
            #expect(try events().compactMap { $0["state"]?.asText } == ["firing"])
            // The producer is put right, or nobody wants to hear of it any more.
            if isSwitchedOff {
                plan.limits.badRowShare = nil
            } else {
                let next = try #require(log.offsets[log.partitions[0].name]?.next)
                for index in Int(next)..<900 {
                    log.partitions[0].records[index].value = good[index].value
                }
            }
            // A process that is stopped before the minute is over leaves it open, the next one ends it, once.
            _ = try run(200)
            #expect(try events().count == 1)
            for _ in 0..<2 { _ = try run(1_200) }
            let found = try events()
            #expect(found.compactMap { $0["state"]?.asText } == ["firing", "resolved"])
            #expect(Set(found.compactMap { $0["id"]?.asText }).count == 1)
        }
    }

    @Test func `a burst of dead letters pages, whatever comes behind it`() throws {
        // (good records first, letters, records behind, of which one in so many is a letter): pages.
        let cases: [(String, good: Int, bad: Int, behind: Int, burst: Int64, pages: Int)] = [
            // All at once, then silence: less than a burst, within one look.
            ("short, then nothing", 0, 120, 0, 100_000, 1),
            ("behind good records", 40, 200, 0, 100_000, 1),
            // So many that nobody waits for the minute.
            ("a night's backlog", 0, 400, 3_000, 300, 1),
            ("half of it", 199, 201, 0, 100_000, 1),
            // What is less than the share, or too few to say anything.
            ("mostly good", 210, 190, 0, 100_000, 0),
            ("a few", 0, 60, 0, 100_000, 0),
            ("good ones outweigh it in the minute", 0, 120, 3_000, 100_000, 0),
        ]
        for (name, good, bad, behind, burst, pages) in cases {
            var rows = (0..<good + bad + behind).map {
                row(Double($0), availableMs: $0 < good + bad ? 0 : Int64($0) * 4)
            }
            for index in good..<good + bad { rows[index].value = Array("<row/>".utf8) }
            let log = cluster([rows])
            var plan = simulationPlan(batchRows: 64, idleMs: nil)
            plan.limits.badRowSpanMs = 2_000
            plan.limits.badRowBurstCount = burst
            let engine = try Simulation(
                plan: plan, cluster: log, workerCount: 1, crashChance: 0
            ).start().engine
            var heldMs: Int64?
            let startMs = log.time.wallMs()
            for _ in 0..<1_500 {
                log.time.advance(ms: 4)
                _ = engine.workers[0].step()
                _ = engine.coordinator.step()
                if heldMs == nil, engine.coordinator.progress.isHolding {
                    heldMs = log.time.wallMs() - startMs
                }
            }
            let said = try log.published.filter { $0.topic == "alerts" }.map {
                try JSONValue(parsing: try #require($0.value))
            }.filter { $0["monitor"]?.asText == "bad_rows" }
            #expect(said.count == pages, "\(name): \(said)")
            #expect((heldMs != nil) == (pages > 0), "\(name)")
            if name == "a night's backlog" {
                #expect(try #require(heldMs) < 1_000, "before the minute is over")
            }
        }
    }

    @Test func `1_19 the newest process fences the older one, which ends`() throws {
        let rows = (0..<400).map { row(Double($0), availableMs: Int64($0) * 50) }
        var faults = SimulatedCluster.Faults()
        faults.zombies = 1
        let log = SimulatedCluster(
            partitions: partitions([rows]), seed: 4, time: SimulatedTime(), faults: faults)
        var simulation = Simulation(
            plan: simulationPlan(idleMs: nil), cluster: log, workerCount: 1, crashChance: 0.003)
        let outcome = try simulation.run()
        #expect(outcome.crashes > 0 && outcome.fenced > 0)
        #expect(outcome.repeats.isEmpty)
        for window in 0..<5 { #expect(total(outcome, Int64(window)) == 60) }
    }
}

/// The kept groups are those of the smallest hashes, and no row is missing.
func expectSmallestHashes(
    _ outcome: SimulationOutcome, rows: [[SimulatedRecord]], models: [String], kept: Int,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    // The rank that the design states, worked out through the operators' own default.
    let ranked = models.sorted { groupRank($0) < groupRank($1) }
    let found = Set(
        outcome.aggregates.keys.filter { $0.hasSuffix("/\(t0)") }.map { key in
            String(key.split(separator: "/")[1])
        })
    #expect(
        found == Set(ranked.prefix(kept).map { "model=\($0)" } + ["~other"]),
        sourceLocation: sourceLocation)
    let sum = outcome.aggregates.filter { $0.key.hasSuffix("/\(t0)") }.compactMap {
        number($0.value.first, ["rows", "total"])
    }.reduce(0, +)
    let want = rows.joined().filter { $0.recordTimeMs < t0 + 60_000 }.count
    #expect(sum == Double(want), sourceLocation: sourceLocation)
    #expect(outcome.aggregates.values.allSatisfy { $0.count == 1 }, sourceLocation: sourceLocation)
}

func groupRank(_ model: String) -> UInt64 {
    groupHash(GroupValues(dimensions: [("model", Array(model.utf8))]))
}

/// What an edit and a leap leave behind.
@Suite struct ContinuationTests {
    @Test func `an edit of the topology reads open windows again, and resolves what fired`() throws
    {
        // Far from the baseline in all windows; the third one is open when the process ends.
        let early = (0..<150).map { row(Double($0), x: 9.5) }
        let late = (150..<330).map { row(Double($0), x: 9.5, availableMs: 20_000) }
        var plan = simulationPlan(batchRows: 256, idleMs: nil)
        plan.stream.monitors[0].hold = .windows(1, of: 1)
        let cluster = cluster([early + late])
        var simulation = Simulation(
            plan: plan, cluster: cluster, workerCount: 1, crashChance: 0)
        simulation.dataHashes = [simulationDataHash, 8]
        simulation.crashAfterCommits = [1]
        let outcome = try simulation.run()
        #expect(simulation.reports.last?.first?.kind == .newEpoch(.otherTopology))
        // No row is lost: what was open is published, though as incomplete.
        let totals = (0..<5).map { total(outcome, $0) ?? 0 }
        #expect(totals == [60, 60, 60, 60, 60], "\(totals)")
        for window in Int64(0)..<2 {
            #expect(outcome.aggregates[key(window)]?.count == 1, "published once")
        }
        let changed = cluster.published.filter {
            $0.topic == "alerts"
                && String(decoding: $0.value ?? [], as: UTF8.self).contains(
                    "\"reason\":\"changed\"")
        }
        #expect(changed.count == 1)
        let firing = cluster.published.first { $0.topic == "alerts" }
        #expect(changed.first?.key == firing?.key, "it is the alert that fired")
    }

    @Test func `a watermark that leaps over many windows publishes them unit by unit`() throws {
        // One row a minute for ten hours, all there at once.
        let rows = (0..<600).map { row(Double($0) * 60) }
        var plan = simulationPlan(batchRows: 64, idleMs: nil)
        plan.run.unitBytesMax = 20_000
        let cluster = cluster([rows])
        var greatest = 0
        var last = 0
        cluster.onCommit = { _ in
            greatest = max(greatest, cluster.published.count - last)
            last = cluster.published.count
        }
        var simulation = Simulation(
            plan: plan, cluster: cluster, workerCount: 1, crashChance: 0)
        let outcome = try simulation.run()
        #expect(outcome.aggregates.count >= 590)
        #expect(greatest > 1 && greatest < 100, "\(greatest) records in a unit")
    }
}
