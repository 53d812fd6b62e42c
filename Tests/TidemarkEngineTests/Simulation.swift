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
    /// Makes what each process follows beside the source.
    var side: ((SimulatedCluster) -> any SideReader)?
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
                source: SimulatedSource(cluster), log: wrapLog(log), side: side?(cluster),
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
                        ["drift", "ok", "blind", "drop", "rise", "met"].contains(said),
                        !WatchesByHand.areThere(plan)
                            || !["moved", "rushed", "lacking", "nulls", "stale"].contains(whose)
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
        /// Of the values; not published as such.
        var sum = 0.0
        var min = Double.infinity
        var max = -Double.infinity
        var description: String {
            "\(total) \(value) \(null) \(missing) \(wrongType) \(late) \(quarantined) \(bins) \(min) \(max)"
        }
        /// As they are published.
        static func == (a: Cell, b: Cell) -> Bool { a.description == b.description }
    }

    var cells: [String: Cell] = [:]
    private let isExpressing: Bool
    var deadLetters: Set<String> = []
    var lateRows: Set<String> = []
    /// By partition, the final watermark.
    var watermarks: [Int64] = []
    /// By the start of a pane that there was: models of which a row that counts was its own, or came late when
    /// the watermark was in it.
    var heard: [Int64: Set<String>] = [:]

    init(plan: Plan, partitions: [SimulatedPartition], floors: [TopicPartition: [RecordedFloor]]) {
        let source = plan.stream.source
        // The plan computes what others read; see `expressing`.
        isExpressing = plan.stream.columns.contains { $0.computation != nil }
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
                guard var row = Self.read(value) else {
                    isDead(value.isEmpty ? "empty" : "not_json")
                    continue
                }
                if isExpressing { row.compute() }
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
                        if isExpressing {
                            for window in plan.stream.windows {
                                count(row, before, window, plan, column: "low") {
                                    $0.quarantined += 1
                                }
                            }
                        }
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
                            if isExpressing {
                                count(row, before, window, plan, column: "low") { $0.late += 1 }
                            }
                        }
                    }
                    if isLost {
                        lateRows.insert("\(at) late")
                        continue
                    }
                    if !row.isOutside {
                        heard[Self.pane(before, plan), default: []].insert(row.model)
                    }
                } else if !row.isOutside {
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
                        cell.sum += x
                        cell.min = Swift.min(cell.min, x)
                        cell.max = Swift.max(cell.max, x)
                        cell.bins[x < 0 ? 0 : x >= 10 ? 11 : Int(x) + 1] += 1
                    case .null: cell.null += 1
                    case .missing: cell.missing += 1
                    case .wrongType: cell.wrongType += 1
                    }
                }
                countRule(row, time, plan, after: closed)
            }
            for next in pending { floor = Swift.max(floor ?? .min, next.floorMs) }
            watermarks.append(watermark() ?? .min)
        }
    }

    /// The rule of a plan that computes: x is below 6.
    private mutating func countRule(
        _ row: Row, _ time: Int64, _ plan: Plan, after closed: Int64
    ) {
        guard isExpressing else { return }
        for window in plan.stream.windows {
            count(row, time, window, plan, after: closed, column: "low") { cell in
                cell.total += 1
                guard case .value(let x) = row.x else {
                    cell.null += 1
                    return
                }
                cell.value += 1
                cell.bins[x < 6 ? 1 : 2] += 1
            }
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
        column: String = "x", _ change: (inout Cell) -> Void
    ) {
        guard !row.isOutside else { return }
        for start in Self.windows(window, Self.pane(time, plan))
        where start + window.lengthMs > closed {
            let name = "\(column)/\(window.lengthMs / 1000)s/\(start)"
            let key = "by-model/model=\(row.model)/\(name)"
            var cell = cells[key] ?? Cell()
            // Below, kept, broken, above.
            if cells[key] == nil, column == "low" { cell.bins = [0, 0, 0, 0] }
            change(&cell)
            cells[key] = cell
        }
    }

    enum X { case value(Double), null, missing, wrongType }
    struct Row {
        var model: String
        var time: Int64?
        var x: X
        /// Not of the segment.
        var isOutside = false

        /// As a plan that computes sees it.
        mutating func compute() {
            switch x {
            case .value(let value): isOutside = value >= 8
            case .null, .missing, .wrongType: x = .null
            }
        }
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
