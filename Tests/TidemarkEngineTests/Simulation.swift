import Glibc
import TidemarkAlerts
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkMonitors
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport
import TidemarkText

/// What a run left behind, by key: the values of each revision, and how often a row was seen.
struct SimulationOutcome {
    /// Key to the values published under it; equal ones folded.
    var aggregates: [String: Set<String>] = [:]
    var deadLetters: Set<String> = []
    var lateRows: Set<String> = []
    /// Alerts about the source itself, which the wall clock decides: `monitor state`.
    var conditions: [String] = []
    /// In the order of publication: `monitor group window firing|resolved opened`.
    var alerts: [String] = []
    /// What a reader saw more than once: keys with their revision, coordinates, ids of events.
    var repeats: [String] = []
    var crashes = 0
    /// How often a process was told that another has taken over.
    var fenced = 0
    /// How often open windows were written out.
    var snapshots = 0
    /// Partitions waited for the slowest one, since memory was over its limit.
    var waitedForMemory = false
    /// Partitions that came into being while processes were at work.
    var joined = 0
    /// What a process read and did not account for, or a column that a monitor watches and passed over.
    var silences: [String] = []
}

/// Runs the shipped engine over a simulated cluster, one step at a time, in an order drawn from the
/// seed, and starts it again after each crash.
struct Simulation {
    var plan: Plan
    var cluster: SimulatedCluster
    var workerCount: Int
    var crashChance: Double
    var untilEnd = false
    /// Wraps stage 1: how a defect is planted.
    var wrap: (any StageOne) -> any StageOne = { $0 }
    var rank: (@Sendable ([UInt8]) -> UInt64)?
    /// Wraps the log of commits: how a defect is planted there.
    var wrapLog: (any CommitLog) -> any CommitLog = { $0 }
    /// A crash right after each of these commits, by number from 1.
    var crashAfterCommits: Set<Int> = []
    /// How long a process is away after a crash.
    var awayMs: Int64 = 0
    /// Of the topology, from the first process and from the second one on.
    var dataHashes = [simulationDataHash]
    /// What the processes counted, one after the other.
    var totals: [RunTotals] = []
    var reports: [[StartReport]] = []

    struct Stuck: Error { var description: String }

    /// A process that was left running beside its successor.
    var zombie: Process?

    struct Process {
        var engine: Engine
        var sink: SimulatedSink?
    }

    /// Steps until everything available was read, published and committed.
    mutating func run(crashesMax: Int = 5) throws -> SimulationOutcome {
        var outcome = SimulationOutcome()
        while true {
            let ending = try runOnce(mayCrash: outcome.crashes < crashesMax, &outcome)
            if ending == .done { break }
            if ending == .grown { continue }
            outcome.crashes += 1
            cluster.time.advance(ms: awayMs)
        }
        zombie = nil
        outcome.joined = cluster.joinedCount
        outcome.snapshots = totals.reduce(0) { $0 + $1.snapshots }
        collect(&outcome)
        outcome.silences = SilencesByHand.silences(totals) + SilencesByHand.silences(outcome, plan)
        return outcome
    }

    func start() throws(ConnectorError) -> Process {
        let plan = plan
        let (wrap, rank) = (wrap, rank)
        let reader = SimulatedStateReader(cluster)
        var sink: SimulatedSink?
        let log: any CommitLog
        switch plan.run.delivery {
        case .exactlyOnce:
            log = TransactionLog(
                producer: SimulatedProducer(cluster), stateTopic: plan.stateTopic, reader: reader,
                time: cluster.time, transactionTimeoutMs: 60_000)
        case .atLeastOnce:
            let direct = SimulatedSink(cluster)
            sink = direct
            log = DirectLog(
                sink: direct, offsets: SimulatedOffsets(cluster), stateTopic: plan.stateTopic,
                reader: reader)
        }
        let baselines = plan.stream.baselines.map {
            $0.learning == nil ? simulationBaseline : BaselineTable(records: [])
        }
        let engine = try Engine(
            plan: plan, dataHash: dataHashes[min(reports.count, dataHashes.count - 1)],
            parts: EngineParts(
                source: SimulatedSource(cluster), log: wrapLog(log),
                makeStageOne: {
                    wrap(
                        rank.map { StageOneOperator(plan: plan, baselines: baselines, rank: $0) }
                            ?? StageOneOperator(plan: plan, baselines: baselines))
                },
                makeStageTwo: {
                    rank.map { StageTwoOperator(plan: plan, baselines: baselines, rank: $0) }
                        ?? StageTwoOperator(plan: plan, baselines: baselines)
                },
                letters: RecordLetters(plan: plan), time: cluster.time),
            workerCount: workerCount, untilEnd: untilEnd, pollTimeoutMs: 0)
        return Process(engine: engine, sink: sink)
    }

    private enum Ending { case done, crashed, grown }

    /// One process.
    private mutating func runOnce(
        mayCrash: Bool, _ outcome: inout SimulationOutcome
    ) throws -> Ending {
        let process: Process
        do throws(ConnectorError) {
            process = try start()
        } catch {
            // The supervisor starts it again: positions of new partitions were not through.
            guard error.kind == .retriable else { throw error }
            return .crashed
        }
        let engine = process.engine
        reports.append(engine.reports)
        defer { totals.append(engine.coordinator.progress.totals) }
        var quietSteps = 0
        func crash(_ simulation: inout Simulation) -> Ending {
            process.sink?.crash()
            // Whoever believes it dead is wrong about it: it goes on until it is told.
            if process.sink == nil,
                simulation.cluster.random.chance(simulation.cluster.faults.zombies)
            {
                simulation.zombie = process
            }
            return .crashed
        }
        for _ in 0..<200_000 {
            if crashAfterCommits.remove(cluster.commitCount) != nil {
                process.sink?.crash()
                return .crashed
            }
            cluster.time.advance(ms: Int64(cluster.random.below(40)))
            if mayCrash, cluster.random.chance(crashChance) { return crash(&self) }
            if let old = zombie, cluster.random.chance(0.3) {
                let actor = cluster.random.below(old.engine.workers.count + 1)
                if actor < old.engine.workers.count {
                    _ = old.engine.workers[actor].step()
                } else if old.engine.coordinator.step() == .finished {
                    if old.engine.coordinator.failure?.kind == .fenced { outcome.fenced += 1 }
                    zombie = nil
                }
            }
            let actor = cluster.random.below(engine.workers.count + 1)
            if actor == engine.workers.count {
                let step = engine.coordinator.step()
                if engine.coordinator.progress.isOverMemory { outcome.waitedForMemory = true }
                if step == .finished {
                    guard let failure = engine.coordinator.failure else {
                        return engine.coordinator.progress.hasGrown ? .grown : .done
                    }
                    if failure.kind == .fenced { outcome.fenced += 1 }
                    process.sink?.crash()
                    return .crashed
                }
                if step == .worked { quietSteps = 0 } else { quietSteps += 1 }
            } else if engine.workers[actor].step() == .worked {
                quietSteps = 0
            }
            let isReadOut = cluster.partitions.indices.allSatisfy { slot in
                cluster.availableEnd(slot) == cluster.partitions[slot].end
                    && cluster.offsets[cluster.partitions[slot].name]?.next
                        == cluster.partitions[slot].end
            }
            // Long enough for idle floors to be recorded, obeyed and committed.
            if !untilEnd, isReadOut, quietSteps > 1500 { return .done }
        }
        throw Stuck(
            description: """
                200,000 steps and not done at \(cluster.time.ms) ms, quiet for \(quietSteps): \
                committed \(cluster.partitions.map { cluster.offsets[$0.name]?.next ?? -1 }) of \
                \(cluster.partitions.map(\.end)), \(engine.coordinator.progress)
                """)
    }

    private func collect(_ outcome: inout SimulationOutcome) {
        var seen: Set<String> = []
        func see(_ what: String) { if !seen.insert(what).inserted { outcome.repeats.append(what) } }
        for record in cluster.published {
            let key = String(decoding: record.key ?? [], as: UTF8.self)
            let value = String(decoding: record.value ?? [], as: UTF8.self)
            switch record.topic {
            case "aggregates":
                outcome.aggregates[key, default: []].insert(value)
                let json = try? JSONValue(parsing: Array(value.utf8))
                see("\(key) rev \(json?["rev"]?.asInteger ?? -1)")
            case "dead":
                outcome.deadLetters.insert(Self.coordinates(record))
                see(Self.coordinates(record))
            case "late":
                outcome.lateRows.insert(Self.coordinates(record))
                see(Self.coordinates(record))
            case "alerts":
                guard let json = try? JSONValue(parsing: Array(value.utf8)) else { continue }
                if let name = json["monitor"]?.asText, SourceCondition.Kind(rawValue: name) != nil {
                    outcome.conditions.append("\(name) \(json["state"]?.asText ?? "")")
                    continue
                }
                let event = AlertsByHand.event(
                    json["state"]?.asText ?? "",
                    "\(json["monitor"]?.asText ?? "") \(json["group"]?["model"]?.asText ?? "")",
                    json["window"]?["start"]?.asInteger ?? 0,
                    json["window"]?["end"]?.asInteger ?? 0,
                    json["opened"]?.asInteger ?? 0, json["muted_by"]?.asText)
                see(event)
                if outcome.repeats.last != event { outcome.alerts.append(event) }
            default: break
            }
        }
    }

    static func coordinates(_ record: OutputRecord) -> String {
        let headers = Dictionary(
            record.headers.map { ($0.name, String(decoding: $0.value, as: UTF8.self)) },
            uniquingKeysWith: { a, _ in a })
        return
            "\(headers["topic"] ?? "")/\(headers["partition"] ?? "")/\(headers["offset"] ?? "") \(headers["reason"] ?? "")"
    }
}

/// The alerts that the verdicts in published aggregates must bring about, window by window: no crash
/// and no commit has a part in it.
enum AlertsByHand {
    static func event(
        _ state: String, _ whose: String, _ start: Int64, _ end: Int64, _ opened: Int64,
        _ mutedBy: String? = nil
    ) -> String {
        "\(whose) \(start)-\(end) \(state) opened \(opened)"
            + (mutedBy.map { " muted by \($0)" } ?? "")
    }

    static func events(_ outcome: SimulationOutcome, _ plan: Plan) -> Set<String> {
        history(outcome, plan).events
    }

    /// All events, and by `monitor model/length` the starts of windows from which on, and up to which, an
    /// alert was pending or firing.
    static func history(
        _ outcome: SimulationOutcome, _ plan: Plan
    ) -> (events: Set<String>, episodes: [String: [Range<Int64>]]) {
        typealias Said = (verdict: Verdict, isNear: Bool)
        var series: [String: [Int64: (start: Int64, said: Said, isOld: Bool)]] = [:]
        // Every window that there was, of any group, by length, and whether it was old.
        var all: [Int64: [Int64: Bool]] = [:]
        // Ends of windows in which a group had no row, and of those that anything was said of it.
        var silent: [String: Set<Int64>] = [:]
        var spoken: [String: Set<Int64>] = [:]
        for values in outcome.aggregates.values {
            for value in values {
                guard let json = try? JSONValue(parsing: Array(value.utf8)),
                    value.contains("\"complete\":true"),
                    let start = json["window"]?["start"]?.asInteger,
                    let end = json["window"]?["end"]?.asInteger
                else { continue }
                all[end - start, default: [:]][end] = value.contains("\"backfill\":true")
                let model = json["group"]?["model"]?.asText ?? ""
                for verdict in json["verdicts"]?.asArray ?? [] {
                    let whose = verdict["monitor"]?.asText ?? ""
                    spoken["\(whose) \(model)/\(end - start)", default: []].insert(end)
                    guard let said = verdict["verdict"]?.asText,
                        ["drift", "ok", "blind", "drop", "rise"].contains(said)
                    else { continue }
                    let monitor = verdict["monitor"]?.asText ?? ""
                    // What is large ends no alert about rows, be it chance or not.
                    let isLarge =
                        monitor == "traffic"
                        && verdict["effect"]?.asNumber ?? -1
                            >= verdict["ignore_below"]?.asNumber ?? 0
                    let isClear = said == "ok" || said == "blind"
                    if monitor == "traffic", json["rows"]?["total"]?.asInteger == 0 {
                        silent["\(monitor) \(model)/\(end - start)", default: []].insert(end)
                    }
                    series["\(monitor) \(model)/\(end - start)", default: [:]][end] =
                        (
                            start, (isClear ? .ok : .drift, isLarge),
                            value.contains("\"backfill\":true")
                        )
                }
            }
        }
        var events: Set<String> = []
        var episodes: [String: [Range<Int64>]] = [:]
        for (name, windows) in series {
            let parts = name.split(separator: "/").map(String.init)
            let (whose, length) = (parts[0], Int64(parts[1]) ?? 0)
            var life = AlertLifecycle()
            var resolvedAt: Int64?
            var mutedBy: String?
            var lastEnd: Int64 = 0
            var openedAt: Int64?
            let monitor = plan.stream.monitors.first { whose.hasPrefix($0.name) }
            let coolDown = monitor?.coolDownMs ?? 0
            let resolveAfter = monitor?.resolveAfterMs ?? .max
            let options = AlertOptions(
                hold: .windows(count: 2, of: 3), clearHold: .windows(count: 1, of: 1))
            func take(_ action: AlertAction, _ start: Int64, _ end: Int64, isOld: Bool) {
                switch action {
                case .none: break
                case .fire(let event):
                    mutedBy = isOld ? "backfill" : nil
                    if let resolvedAt, end - resolvedAt < coolDown { mutedBy = "cool_down" }
                    events.insert(
                        Self.event("firing", whose, start, end, event.openingStartMs, mutedBy))
                case .resolve(let event):
                    if mutedBy != "cool_down" { resolvedAt = end }
                    events.insert(
                        Self.event("resolved", whose, start, end, event.openingStartMs, mutedBy))
                }
                if life.phase != .inactive, openedAt == nil { openedAt = start }
                if life.phase == .inactive, let from = openedAt {
                    if from < start { episodes[name, default: []].append(from..<start) }
                    openedAt = nil
                }
            }
            // What is said of a group without rows is published once, and holds until it is back.
            var repeated: Said?
            for end in (all[length] ?? [:]).keys.sorted() {
                let known = windows[end].map { window in
                    repeated = silent[name]?.contains(end) == true ? window.said : nil
                    return window
                }
                if known == nil, spoken[name]?.contains(end) == true { repeated = nil }
                let isOld = all[length]?[end] ?? false
                if let window = known ?? repeated.map({ (end - length, $0, isOld) }) {
                    lastEnd = end
                    take(
                        life.observe(
                            window.said.verdict, isNear: window.said.isNear, startMs: window.start,
                            endMs: end, complete: true, options: options), window.start, end,
                        isOld: window.isOld)
                } else if life.phase != .inactive, end - lastEnd >= resolveAfter {
                    // Nobody expects the group any more.
                    take(
                        life.giveUp(atMs: end).map { .resolve($0) } ?? .none, end - length, end,
                        isOld: false)
                }
            }
            if let openedAt { episodes[name, default: []].append(openedAt..<Int64.max) }
        }
        return (events, episodes)
    }
}

/// What each window is compared with, worked out from the windows that were published before it.
enum LearnedByHand {
    private struct Seen {
        var start: Int64
        var end: Int64
        var cell: NaiveRecompute.Cell
        var json: JSONValue
        var complete: Bool
        /// A known group without a row: there is a record of the group alone.
        var isAbsent = false
        /// Nothing was published: it has no row as before.
        var isSilent = false
    }

    /// Windows whose learned baselines are not what the windows before them come to.
    static func differences(_ outcome: SimulationOutcome, _ plan: Plan) -> [String] {
        var series: [String: [Seen]] = [:]
        for (key, values) in outcome.aggregates {
            let ofColumn = key.replacing("/-/", with: "/x/")
            guard key == ofColumn || outcome.aggregates[ofColumn] == nil else { continue }
            for value in values {
                guard let json = try? JSONValue(parsing: Array(value.utf8)),
                    let start = json["window"]?["start"]?.asInteger,
                    let end = json["window"]?["end"]?.asInteger,
                    let cell = NaiveRecompute.cell(value)
                else { continue }
                let name = ofColumn.split(separator: "/").dropLast().joined(separator: "/")
                series[name, default: []].append(
                    Seen(
                        start: start, end: end, cell: cell, json: json,
                        complete: value.contains("\"complete\":true"), isAbsent: key != ofColumn))
            }
        }
        addSilence(&series)
        let episodes = AlertsByHand.history(outcome, plan).episodes
        var found = volumes(outcome, plan, series, episodes)
        for (name, windows) in series {
            let apart = troubles(name, episodes, plan)
            for baseline in plan.stream.baselines {
                guard let learning = baseline.learning else { continue }
                // Only a baseline of rows takes note of windows without any.
                let known = windows.filter { baseline.name == "recent" || !$0.isAbsent }
                for window in windows where !window.isAbsent {
                    let want = expected(window, known, learning, apart)
                    let monitor = baseline.name == "recent" ? "lately" : "since"
                    let verdict = window.json["verdicts"]?.asArray?.first {
                        $0["monitor"]?.asText == monitor
                    }
                    let drift = window.json["drift"]?.asArray?.first {
                        $0["baseline"]?.asText == baseline.label
                    }
                    let place = "\(name)/\(window.start) \(baseline.name)"
                    let isLearning = verdict?["verdict"]?.asText == "learning"
                    if isLearning == want.isWhole {
                        found.append("\(place): learning \(isLearning), by hand \(!want.isWhole)")
                    } else if isLearning {
                        let learned = verdict?["learned"]
                        if learned?["windows"]?.asInteger != Int64(want.windows.count)
                            || learned?["rows"]?.asInteger != Int64(want.rows)
                        {
                            found.append(
                                "\(place): learned \(learned.map { "\($0)" } ?? "nothing"), by hand \(want.windows.count) windows, \(want.rows) rows"
                            )
                        }
                    } else if window.cell.value > 0 {
                        let psi = drift?["tests"]?["psi"]?["value"]?.asNumber ?? -1
                        let hand = Self.psi(window.cell.bins, want.bins)
                        if abs(psi - hand) > 1e-9
                            || drift?["n_baseline"]?.asInteger != Int64(want.bins.reduce(0, +))
                        {
                            found.append("\(place): psi \(psi), by hand \(hand)")
                        }
                    }
                }
            }
        }
        return found
    }

    /// Windows of which nothing is published, since the group has no row in them as in the one before.
    private static func addSilence(_ series: inout [String: [Seen]]) {
        for (name, windows) in series {
            let length = name.split(separator: "/").last ?? ""
            let all = Set(
                series.filter { $0.key.hasSuffix("/\(length)") }.values.joined()
                    .filter { $0.complete && !$0.isSilent }.map(\.start))
            let published = Dictionary(grouping: windows.filter(\.complete), by: \.start)
            var last: Seen?
            for start in all.sorted() {
                if let one = published[start]?.first {
                    last = one
                } else if let last, last.isAbsent {
                    series[name, default: []].append(
                        Seen(
                            start: start, end: start + last.end - last.start, cell: last.cell,
                            json: last.json, complete: true, isAbsent: true, isSilent: true))
                }
            }
        }
    }

    /// Records of groups as a whole that are not what the windows before them come to.
    private static func volumes(
        _ outcome: SimulationOutcome, _ plan: Plan, _ series: [String: [Seen]],
        _ episodes: [String: [Range<Int64>]]
    ) -> [String] {
        guard let learning = plan.stream.baselines.first(where: { $0.name == "recent" })?.learning
        else { return [] }
        var found: [String] = []
        for (name, windows) in series {
            let apart = troubles(name, episodes, plan)
            let length = name.split(separator: "/").last ?? ""
            // Every window that there was, of any group.
            let all = Set(
                series.filter { $0.key.hasSuffix("/\(length)") }.values.joined()
                    .filter(\.complete).map(\.start))
            let began = windows.filter { $0.complete && !$0.isAbsent }.map(\.start).min() ?? .max
            let missing = all.filter { $0 > began }.subtracting(windows.map(\.start))
            if !missing.isEmpty { found.append("\(name): no record for \(missing.sorted())") }
            for window in windows where !window.isSilent {
                let place = "\(name)/\(window.start) traffic"
                let key = name.replacing("/x/", with: "/-/") + "/\(window.start)"
                guard
                    let json = outcome.aggregates[key]?.first.flatMap({
                        try? JSONValue(parsing: Array($0.utf8))
                    }), let verdict = json["verdicts"]?.asArray?.first
                else {
                    found.append("\(place): not judged")
                    continue
                }
                let rows = window.cell.total
                if json["rows"]?["total"]?.asInteger != Int64(rows) {
                    found.append("\(place): \(json), by hand \(rows) rows")
                }
                let want = expected(window, windows, learning, apart)
                let said = verdict["verdict"]?.asText
                if rows < 2 {
                    if said != "drop" { found.append("\(place): \(rows) rows are \(said ?? "-")") }
                } else if !want.isWhole {
                    if said != "learning" {
                        found.append("\(place): \(said ?? "-") before it is whole")
                    }
                } else if want.windows.count > 1 {
                    let mean = Double(want.rows) / Double(want.windows.count)
                    if abs((verdict["expected"]?.asNumber ?? -1) - mean) > 1e-9 {
                        found.append("\(place): \(verdict), by hand \(mean) expected")
                    }
                    let change = Double(rows) / mean - 1
                    let size = change > 0 ? change / 0.3 : change / -0.2
                    let isFar = said == "drop" || said == "rise"
                    if isFar && size < 1
                        || said == "ok" && verdict["p"]?.asNumber ?? 1 <= 0.2 && size >= 1
                    {
                        found.append("\(place): \(verdict), by hand \(change)")
                    }
                }
            }
        }
        return found
    }

    /// When an alert was open that is judged by what is learned of late, of a group and window length:
    /// what happened then is not learned, unless it goes on for too long.
    private static func troubles(
        _ name: String, _ episodes: [String: [Range<Int64>]], _ plan: Plan
    ) -> [Range<Int64>] {
        let parts = name.split(separator: "/").map(String.init)
        let model = parts[1].dropFirst("model=".count)
        let length = (Int64(parts[3].dropLast()) ?? 0) * 1000
        return ["lately", "traffic"].flatMap { monitor in
            let longest =
                plan.stream.monitors.first { $0.name == monitor }?.resolveAfterMs ?? 0
            return (episodes["\(monitor) \(model)/\(length)"] ?? []).map {
                $0.lowerBound..<min($0.upperBound, $0.lowerBound + longest)
            }
        }
    }

    private static func expected(
        _ window: Seen, _ all: [Seen], _ learning: LearningPlan, _ apart: [Range<Int64>]
    ) -> (isWhole: Bool, windows: [Seen], rows: Int, bins: [Int]) {
        let length = window.end - window.start
        let span = (learning.lengthMs + length - 1) / length * length
        // Whole windows that do not overlap.
        let candidates = all.filter { $0.complete && $0.start % length == 0 }
            .sorted { $0.start < $1.start }
        let began = all.filter(\.complete).map(\.start).min() ?? .max
        func rows(_ windows: [Seen]) -> Int { windows.reduce(0) { $0 + $1.cell.total } }
        var taken: [Seen] = []
        let isOld: Bool
        switch learning.span {
        case .first:
            for one in candidates where one.start >= began && one.end <= window.start {
                if one.start >= began + span, rows(taken) >= Int(learning.minRows) { break }
                taken.append(one)
            }
            isOld = window.start >= began + span
        case .trailing:
            let edge = (window.start - learning.skipMs) / length * length
            // Slot by slot, back from the edge; those set apart don't count.
            let usual = candidates.filter { one in
                one.start >= began && !apart.contains { $0.contains(one.start) }
            }
            let unusual = Set(candidates.map(\.start)).subtracting(usual.map(\.start))
            var from = edge
            var slots = span / length
            while slots > 0, from > edge - 1_000_000 {
                from -= length
                if !(from >= began && unusual.contains(from)) { slots -= 1 }
            }
            taken = usual.filter { $0.start >= from && $0.end <= edge }
            isOld = from >= began
        }
        let isEarly = window.start < began
        return (
            !isEarly && isOld && rows(taken) >= Int(learning.minRows), taken, rows(taken),
            taken.reduce(Array(repeating: 0, count: 12)) { sum, one in
                zip(sum, one.cell.bins).map { $0 + $1 }
            }
        )
    }

    private static func psi(_ now: [Int], _ then: [Int]) -> Double {
        let places = now.indices.filter { now[$0] + then[$0] > 0 }
        let (n, m) = (Double(now.reduce(0, +)), Double(then.reduce(0, +)))
        return places.reduce(0) { sum, place in
            let k = Double(places.count)
            let p = now[place] > 0 ? Double(now[place]) / n : 0.5 / (n + k / 2)
            let q = then[place] > 0 ? Double(then[place]) / m : 0.5 / (m + k / 2)
            return sum + (p - q) * log(p / q)
        }
    }
}

// MARK: The naive recompute

/// What the rows of a partition come to, worked out one by one in plain Swift: nothing of it is
/// shared with the engine.
struct NaiveRecompute {
    struct Cell: Equatable, CustomStringConvertible {
        var total = 0
        var value = 0
        var null = 0
        var missing = 0
        var wrongType = 0
        var late = 0
        var quarantined = 0
        var bins = [Int](repeating: 0, count: 12)
        var min = Double.infinity
        var max = -Double.infinity
        var description: String {
            "\(total) \(value) \(null) \(missing) \(wrongType) \(late) \(quarantined) \(bins) \(min) \(max)"
        }
    }

    var cells: [String: Cell] = [:]
    var deadLetters: Set<String> = []
    var lateRows: Set<String> = []
    /// By partition, the final watermark.
    var watermarks: [Int64] = []
    /// By the start of a pane that there was: models of which a row that counts was its own, or came late when
    /// the watermark was in it.
    var heard: [Int64: Set<String>] = [:]

    init(plan: Plan, partitions: [SimulatedPartition], floors: [TopicPartition: [RecordedFloor]]) {
        let source = plan.stream.source
        for partition in partitions {
            var greatest: Int64?
            var clock = NaiveClock(
                step: Swift.max(source.outOfOrdernessMs, 1_000), skew: source.skewMs)
            var floor: Int64?
            var pending = (floors[partition.name] ?? []).sorted { $0.offset < $1.offset }
            // Rows that count, unless the leap that they came by is contradicted.
            var counted: [(row: Row, time: Int64, pane: Int64, closed: Int64)] = []
            func watermark() -> Int64? {
                [greatest.map { $0 - source.outOfOrdernessMs }, floor].compactMap(\.self).max()
            }
            func follow(_ time: Int64) {
                clock.follow(time)
                guard let after = clock.withdrawn else { return }
                counted.removeAll { $0.pane > max(after, watermark() ?? .min) }
            }
            func isTime(_ time: Int64) -> Bool { (946_684_800_000...253_402_300_799_999) ~= time }
            for record in partition.records {
                while let next = pending.first, next.offset <= record.offset {
                    floor = Swift.max(floor ?? .min, next.floorMs)
                    pending.removeFirst()
                }
                let at = "\(partition.name.topic)/\(partition.name.partition)/\(record.offset)"
                func isDead(_ reason: String) {
                    if isTime(record.recordTimeMs) { follow(record.recordTimeMs) }
                    if !reason.isEmpty { deadLetters.insert("\(at) \(reason)") }
                }
                guard let value = record.value else {
                    isDead("")
                    continue
                }
                guard let row = Self.read(value) else {
                    isDead(value.isEmpty ? "empty" : "not_json")
                    continue
                }
                guard let time = row.time else {
                    isDead("event_time_missing")
                    continue
                }
                guard isTime(time) else {
                    isDead("event_time_out_of_range")
                    continue
                }
                let before = watermark()
                follow(isTime(record.recordTimeMs) ? record.recordTimeMs : time)
                if time > clock.now + source.skewMs {
                    if let before {
                        count(row, before, plan) { $0.quarantined += 1 }
                        heard[Self.pane(before, plan), default: []].formUnion([])
                    }
                    continue
                }
                let pane = time / plan.stream.paneMs * plan.stream.paneMs
                let isLate = before.map { pane + plan.stream.paneMs <= $0 } ?? false
                if let reference = clock.reference {
                    greatest = Swift.max(greatest ?? .min, Swift.min(time, reference))
                }
                if isLate, let before {
                    heard[Self.pane(before, plan), default: []].formUnion([])
                    // By length: in windows that the watermark has not passed, or late in those of the watermark.
                    var isLost = true
                    for window in plan.stream.windows {
                        if Self.windows(window, pane).contains(where: {
                            $0 + window.lengthMs > before
                        }) {
                            isLost = false
                        } else {
                            count(row, before, window, plan) { $0.late += 1 }
                        }
                    }
                    if isLost {
                        lateRows.insert("\(at) late")
                        continue
                    }
                    heard[Self.pane(before, plan), default: []].insert(row.model)
                } else {
                    heard[pane, default: []].insert(row.model)
                }
                counted.append((row, time, pane, isLate ? before ?? .min : .min))
            }
            for (row, time, _, closed) in counted {
                count(row, time, plan, after: closed) { cell in
                    cell.total += 1
                    switch row.x {
                    case .value(let x):
                        cell.value += 1
                        cell.min = Swift.min(cell.min, x)
                        cell.max = Swift.max(cell.max, x)
                        cell.bins[x < 0 ? 0 : x >= 10 ? 11 : Int(x) + 1] += 1
                    case .null: cell.null += 1
                    case .missing: cell.missing += 1
                    case .wrongType: cell.wrongType += 1
                    }
                }
            }
            for next in pending { floor = Swift.max(floor ?? .min, next.floorMs) }
            watermarks.append(watermark() ?? .min)
        }
    }

    /// Starts of the windows of a length that hold a pane.
    private static func windows(_ window: WindowPlan, _ pane: Int64) -> [Int64] {
        var starts: [Int64] = []
        var start = pane / window.stepMs * window.stepMs
        while start + window.lengthMs > pane {
            starts.append(start)
            start -= window.stepMs
        }
        return starts
    }

    private static func pane(_ time: Int64, _ plan: Plan) -> Int64 {
        time / plan.stream.paneMs * plan.stream.paneMs
    }

    /// `after`: in windows that end after it alone.
    private mutating func count(
        _ row: Row, _ time: Int64, _ plan: Plan, after closed: Int64 = .min,
        _ change: (inout Cell) -> Void
    ) {
        for window in plan.stream.windows {
            count(row, time, window, plan, after: closed, change)
        }
    }

    private mutating func count(
        _ row: Row, _ time: Int64, _ window: WindowPlan, _ plan: Plan, after closed: Int64 = .min,
        _ change: (inout Cell) -> Void
    ) {
        for start in Self.windows(window, Self.pane(time, plan))
        where start + window.lengthMs > closed {
            let key = "by-model/model=\(row.model)/x/\(window.lengthMs / 1000)s/\(start)"
            change(&cells[key, default: Cell()])
        }
    }

    enum X { case value(Double), null, missing, wrongType }
    struct Row {
        var model: String
        var time: Int64?
        var x: X
    }

    private static func read(_ bytes: [UInt8]) -> Row? {
        guard let json = try? JSONValue(parsing: bytes), json.asObject != nil else { return nil }
        let x: X =
            switch json["x"] {
            case nil: .missing
            case .null: .null
            case let value?: value.asNumber.map(X.value) ?? .wrongType
            }
        return Row(model: json["model"]?.asText ?? "", time: json["ts"]?.asInteger, x: x)
    }

    /// The same cell as the engine published it.
    static func cell(_ text: String) -> Cell? {
        guard let json = try? JSONValue(parsing: Array(text.utf8)) else { return nil }
        func number(_ name: String) -> Int { Int(json["rows"]?[name]?.asInteger ?? 0) }
        var cell = Cell()
        cell.total = number("total")
        cell.value = number("value")
        cell.null = number("null")
        cell.missing = number("missing")
        cell.wrongType = number("wrong_type")
        cell.late = number("late")
        cell.quarantined = number("quarantined")
        if let min = json["min"]?.asNumber { cell.min = min }
        if let max = json["max"]?.asNumber { cell.max = max }
        let histogram = json["histogram"]
        cell.bins =
            [Int(histogram?["under"]?.asInteger ?? 0)]
            + (histogram?["counts"]?.asArray ?? []).map { Int($0.asInteger ?? -1) }
            + [Int(histogram?["over"]?.asInteger ?? 0)]
        // A window of rows that were set aside has none.
        if histogram == nil { cell.bins = [Int](repeating: 0, count: 12) }
        return cell
    }
}
