import Glibc
import Testing
import TidemarkCodec
import TidemarkDataflow
import TidemarkMonitors
import TidemarkTestPlan
import TidemarkTestSupport
import TidemarkText

/// A compacted topic that each process reads anew: the newest of what was written by then, later what is written.
private final class SimulatedSide: SideReader {
    /// What is written, and when on the simulated clock, ms after the start.
    let written: [(atMs: Int64, record: SideRecord)]
    private let cluster: SimulatedCluster
    private let startMs: Int64
    private var taken = 0

    init(_ written: [(Int64, SideRecord)], _ cluster: SimulatedCluster, startMs: Int64) {
        self.written = written.map { (atMs: $0.0, record: $0.1) }
        self.cluster = cluster
        self.startMs = startMs
    }

    func poll() throws(ConnectorError) -> [SideRecord] {
        var newest: SideRecord?
        while taken < written.count, startMs + written[taken].atMs <= cluster.time.ms {
            newest = written[taken].record
            taken += 1
        }
        return newest.map { [$0] } ?? []
    }

    func close(withinMs: Int64) {}
}

@Suite struct TopicBaselineTests {
    private static let edges: [Double] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    private static let followed = TopicBaselinePlan(topic: "baselines", key: "sim")

    /// A baseline with most rows in one bin; `group`: `*` for all.
    private static func table(mostIn bin: Int, group: String = "*", edges: [Double] = edges)
        -> [UInt8]
    {
        var counts = Array(repeating: Int64(100), count: edges.count - 1)
        counts[bin] = 900
        let rows = counts.reduce(0, +)
        return BaselineTable(
            records: [
                BaselineTable.Record(
                    group: group, column: "x",
                    entry: BaselineTable.Entry(
                        shape: .numeric(
                            edges: edges, isOpen: false, under: 0, counts: counts, over: 0),
                        rowCount: rows, nullCount: 0))
            ], made: [("bin", "\(bin)")]
        ).encoded()
    }

    private static func record(_ bytes: [UInt8]?) -> SideRecord {
        SideRecord(topic: followed.topic, key: followed.key, value: bytes)
    }

    private static func label(_ bytes: [UInt8]) -> String {
        "rolling@\(sha256Hex(bytes).prefix(12))"
    }

    /// A plan with one drift monitor that compares with a topic.
    private static func plan(_ delivery: RunSettings.Delivery) -> Plan {
        var plan = simulationPlan(
            windows: [
                WindowPlan(lengthMs: 60_000, stepMs: 20_000),
                WindowPlan(lengthMs: 30_000, stepMs: 30_000),
            ], delivery: delivery)
        plan.stream.baselines = [BaselinePlan(name: "rolling", origin: .topic(followed))]
        return plan
    }

    /// A run in which baselines are written at these times.
    private static func run(
        seed: UInt64, _ written: [(Int64, SideRecord)], crashChance: Double,
        delivery: RunSettings.Delivery = .exactlyOnce, group: String = "*"
    ) throws -> (SimulationOutcome, SimulatedCluster, Plan) {
        let plan = plan(delivery)
        let partitions = randomPartitions(
            seed: seed, rowCount: 500, partitionCount: 1 + Int(seed % 3), clocksAreOff: false)
        let cluster = SimulatedCluster(
            partitions: partitions, seed: seed, time: SimulatedTime(), faults: .init())
        let startMs = cluster.time.ms
        var simulation = Simulation(
            plan: plan, cluster: cluster, workerCount: 1 + Int(seed % 2), crashChance: crashChance)
        simulation.side = { SimulatedSide(written, $0, startMs: startMs) }
        return (try simulation.run(), cluster, plan)
    }

    /// By `group/length`: what the complete windows say they were compared with, by their start.
    private static func labels(_ outcome: SimulationOutcome) -> [String: [(
        startMs: Int64, label: String
    )]] {
        var found: [String: [(Int64, String)]] = [:]
        for values in outcome.aggregates.values {
            for value in values where value.contains("\"complete\":true") {
                guard let json = try? JSONValue(parsing: Array(value.utf8)),
                    let start = json["window"]?["start"]?.asInteger,
                    let end = json["window"]?["end"]?.asInteger,
                    let verdict = json["verdicts"]?.asArray?.first
                else { continue }
                let name = "\(json["group"]?["model"]?.asText ?? "")/\(end - start)"
                let label =
                    verdict["verdict"]?.asText == "learning"
                    ? "" : verdict["baseline"]?.asText ?? ""
                found[name, default: []].append((start, label))
            }
        }
        return found.mapValues { $0.sorted { $0.0 < $1.0 } }
    }

    @Test(arguments: 0..<30)
    func `a new record is in force from one event time on, through crashes`(seed: Int) throws {
        let delivery: RunSettings.Delivery = seed % 3 == 2 ? .atLeastOnce : .exactlyOnce
        let versions = [Self.table(mostIn: 1), Self.table(mostIn: 5), Self.table(mostIn: 8)]
        let (outcome, cluster, _) = try Self.run(
            seed: UInt64(700 + seed),
            zip([0, 4_000, 9_000], versions).map { (Int64($0), Self.record($1)) },
            crashChance: seed % 2 == 0 ? 0 : 0.004, delivery: delivery)
        let order = versions.map(Self.label)
        let labels = Self.labels(outcome)
        #expect(!labels.isEmpty)
        // When each begins is the same for all groups and lengths.
        var firsts: [String: Int64] = [:]
        var lasts: [String: Int64] = [:]
        for (name, windows) in labels {
            let places = windows.map { order.firstIndex(of: $0.label) ?? -1 }
            #expect(!places.contains(-1), "\(name) was compared with something else")
            #expect(places == places.sorted(), "\(name) went back: \(places)")
            for window in windows {
                firsts[window.label] = min(firsts[window.label] ?? .max, window.startMs)
                lasts[window.label] = max(lasts[window.label] ?? .min, window.startMs)
            }
        }
        for (earlier, later) in zip(order, order.dropFirst()) {
            guard let last = lasts[earlier], let first = firsts[later] else { continue }
            #expect(last < first, "windows that start at one time were compared with two")
        }
        // No window was published in two ways.
        for (key, values) in outcome.aggregates {
            let whole = values.filter { $0.contains("\"complete\":true") }
            #expect(whole.count <= 1, "\(key) was published with different values")
        }
        if delivery == .exactlyOnce { #expect(outcome.repeats.isEmpty) }
        // What nobody needs any more is let go.
        let kept = cluster.state.keys.filter {
            String(decoding: $0, as: UTF8.self).hasPrefix("topic-baseline/")
        }
        #expect((1...3).contains(kept.count))
    }

    @Test func `some window is compared with each of several records`() throws {
        let versions = [Self.table(mostIn: 1), Self.table(mostIn: 5)]
        var seen: Set<String> = []
        for seed in UInt64(800)..<810 {
            let (outcome, _, _) = try Self.run(
                seed: seed, [(0, Self.record(versions[0])), (3_000, Self.record(versions[1]))],
                crashChance: 0)
            for windows in Self.labels(outcome).values { seen.formUnion(windows.map(\.label)) }
        }
        #expect(seen.isSuperset(of: versions.map(Self.label)))
    }

    @Test func `without a record there is no verdict, and one that was taken back is none`() throws
    {
        let (none, _, _) = try Self.run(seed: 820, [], crashChance: 0)
        let labels = Self.labels(none).values.joined().map(\.label)
        #expect(!labels.isEmpty && labels.allSatisfy(\.isEmpty))
        let (back, _, _) = try Self.run(
            seed: 821, [(0, Self.record(Self.table(mostIn: 1))), (1, Self.record(nil))],
            crashChance: 0)
        #expect(Self.labels(back).values.joined().contains { $0.label.isEmpty })
    }

    @Test func `a record in other bins changes nothing, and one without the group says so`() throws
    {
        let good = Self.table(mostIn: 1)
        let other = Self.table(mostIn: 1, edges: [0, 2, 4, 6, 8, 11])
        let (kept, _, _) = try Self.run(
            seed: 830,
            [
                (0, Self.record(good)), (1_000, Self.record(other)),
                (2_000, Self.record(Array("{".utf8))),
            ],
            crashChance: 0)
        let labels = Set(Self.labels(kept).values.joined().map(\.label))
        #expect(labels == [Self.label(good)])
        let (lacking, _, _) = try Self.run(
            seed: 831, [(0, Self.record(Self.table(mostIn: 1, group: "model=nobody")))],
            crashChance: 0)
        let said = lacking.aggregates.values.joined().filter {
            $0.contains("\"complete\":true")
        }
        #expect(said.allSatisfy { !$0.contains("\"verdict\":\"drift\"") })
        #expect(said.contains { $0.contains("\"verdict\":\"no_baseline\"") })
    }

    @Test func `the cells of a record are what the window is tested against`() throws {
        let bytes = Self.table(mostIn: 4)
        let (outcome, _, _) = try Self.run(seed: 840, [(0, Self.record(bytes))], crashChance: 0)
        var compared = 0
        for value in outcome.aggregates.values.joined() {
            guard let json = try? JSONValue(parsing: Array(value.utf8)),
                let drift = json["drift"]?.asArray?.first,
                let counts = json["histogram"]?["counts"]?.asArray?.compactMap(\.asNumber)
            else { continue }
            #expect(drift["baseline"]?.asText == Self.label(bytes))
            #expect(drift["n_baseline"]?.asInteger == 1_800)
            guard
                let psi = drift["tests"]?["psi"]?["value"]?.asNumber,
                let under = json["histogram"]?["under"]?.asNumber,
                let over = json["histogram"]?["over"]?.asNumber
            else { continue }
            var then = Array(repeating: 100.0, count: 10)
            then[4] = 900
            compared += 1
            #expect(abs(psi - naivePSI([under] + counts + [over], [0] + then + [0])) < 1e-9)
        }
        #expect(compared > 5)
    }

    /// Σ (p − q) ln(p / q) over cells with rows on any side; one that is empty on one side holds half a row there.
    private func naivePSI(_ now: [Double], _ then: [Double]) -> Double {
        let (n, m) = (now.reduce(0, +), then.reduce(0, +))
        guard n > 0 else { return 0 }
        let cells = zip(now, then).filter { $0 > 0 || $1 > 0 }
        let k = Double(cells.count)
        return cells.reduce(0) { sum, pair in
            let p = pair.0 > 0 ? pair.0 / n : 0.5 / (n + k / 2)
            let q = pair.1 > 0 ? pair.1 / m : 0.5 / (m + k / 2)
            return sum + (p - q) * log(p / q)
        }
    }
}
