import Glibc
import Synchronization
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkKafka
import TidemarkOperators
import TidemarkRuntime
import TidemarkTelemetry

/// Set by SIGTERM and SIGINT; looked at about twenty times a second.
private let stopRequested = Atomic<Bool>(false)

private func requestStop(_ signal: Int32) {
    // A second signal ends the process at once.
    if stopRequested.exchange(true, ordering: .relaxed) { _exit(128 + signal) }
}

/// What a run is made of, beside the plan.
struct RunOptions {
    var input: String?
    var output: String?
    var untilEnd = false
    var json = false
    var quiet = false
    /// Publish no alerts, commit nothing: beside a live process.
    var isShadow = false
    /// Appended to the topics of a shadow's aggregates; `nil`: they are published to no topic.
    var suffix: String?
    /// Named in commands that would help.
    var topologyPath = "TOPOLOGY"
    /// Compare the topics with what the plan needs before anything is read.
    var checksTopics = true
    /// Called with each progress reading, for those who draw their own.
    var onProgress: ((RunProgress) -> Void)?
    /// Puts another source around the cluster's.
    var makeSource: ((any Source) -> any Source)?
    /// A reason to stop beside the signals.
    var shouldStop: (() -> Bool)?
}

/// What a run came to, for `--json`.
struct RunSummary {
    var totals: RunTotals
    var seconds: Double
    var cpuSeconds: Double
    var peakMemoryBytes: Int64
    var clockMs: Int64?

    func json() -> String {
        var json = JSONWriter()
        json.beginObject()
        json.member("records", totals.input.records)
        json.member("bytes", totals.input.bytes)
        json.member("seconds", seconds)
        json.member("cpu_seconds", cpuSeconds)
        json.member("closing_cpu_seconds", Double(totals.closingCPUNs) / 1e9)
        json.member("peak_memory_bytes", peakMemoryBytes)
        json.member("windows", totals.windows)
        json.member("aggregates", totals.aggregates)
        json.member("alerts", totals.alerts)
        json.member("dead_letters", totals.input.deadLetters)
        json.member("late", totals.input.late)
        json.member("quarantined", totals.input.quarantined)
        json.member("tombstones", totals.input.tombstones)
        json.member("filtered", totals.input.filteredOut)
        json.member("filtered_null", totals.input.filteredNull)
        json.member("reread", totals.input.reread)
        json.member("offsets_without_record", totals.input.skipped)
        json.member("late_partials", totals.latePartials)
        json.member("commits", totals.commits)
        json.member("snapshots", totals.snapshots)
        json.member("snapshot_bytes", totals.snapshotBytes)
        if let clockMs { json.member("reference_clock", clockMs) }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    func text() -> String {
        let input = totals.input
        let rate = seconds > 0 ? Double(input.records) / seconds : 0
        var lines = [
            "\(grouped(input.records)) records (\(fixed(Double(input.bytes) / 1e6, 1)) MB) in \(fixed(seconds, 2)) s: \(grouped(Int64(rate))) records/s, \(fixed(cpuSeconds, 2)) CPU-s, peak \(fixed(Double(peakMemoryBytes) / 1e6, 1)) MB",
            "\(grouped(Int64(totals.windows))) windows, \(grouped(Int64(totals.aggregates))) aggregates, \(totals.alerts) alerts",
        ]
        var odd: [String] = []
        func note(_ count: Int64, _ name: String) {
            if count > 0 { odd.append("\(grouped(count)) \(name)") }
        }
        note(input.deadLetters, "dead letters")
        note(input.late, "late")
        note(input.quarantined, "quarantined")
        note(input.tombstones, "tombstones")
        note(input.filteredOut + input.filteredNull, "filtered out")
        note(input.reread, "read again to rebuild")
        note(input.skipped, "offsets without a record")
        note(Int64(totals.latePartials), "late partials")
        if !odd.isEmpty { lines.append(odd.joined(separator: ", ")) }
        if let clockMs { lines.append("reference clock \(timeText(clockMs))") }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Runs a plan; prints what happens.
func run(_ loaded: LoadedPlan, _ options: RunOptions) throws(ConnectorError) -> RunSummary {
    let started = SystemTime().nowNs()
    let time = SystemTime()
    let telemetry = Telemetry()
    let log = Log(time: time, level: options.quiet || options.json ? .warning : .info)
    signal(SIGTERM, requestStop)
    signal(SIGINT, requestStop)
    signal(SIGPIPE, SIG_IGN)
    var totals = RunTotals()
    var clockMs: Int64?
    var isFirst = true
    // Whoever has new partitions to read begins as a new process would, from its own commit.
    while true {
        let ended = try runEngine(
            loaded, options, totals, isFirst: isFirst, time: time, telemetry: telemetry, log: log)
        totals = ended.totals
        clockMs = ended.clockMs
        isFirst = false
        guard ended.hasGrown, !stopRequested.load(ordering: .relaxed) else { break }
        log.warning("the input has new partitions: reading goes on with them")
    }
    return RunSummary(
        totals: totals, seconds: Double(time.nowNs() - started) / 1e9, cpuSeconds: cpuSeconds(),
        peakMemoryBytes: peakMemoryBytes(), clockMs: clockMs)
}

/// Runs one engine to its end: of the input, by a stop, or since there are new partitions.
///
/// `before`: what earlier ones did.
private func runEngine(
    _ loaded: LoadedPlan, _ options: RunOptions, _ before: RunTotals, isFirst: Bool,
    time: SystemTime, telemetry: Telemetry, log: Log
) throws(ConnectorError) -> (totals: RunTotals, hasGrown: Bool, clockMs: Int64?) {
    let plan = loaded.plan
    let inputPath = options.input ?? plan.stream.source.file
    let workerCount = plan.run.workers ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var client: KafkaClient?
    if inputPath == nil || options.output == nil {
        func connect(partitionCount: Int) throws(ConnectorError) -> KafkaClient {
            try KafkaClient(
                settings: plan.kafka, app: plan.app, source: plan.stream.source,
                limits: plan.limits, workers: workerCount, partitionCount: partitionCount,
                time: time, log: log, telemetry: telemetry)
        }
        let usual = try connect(partitionCount: KafkaClient.partitionCountUsual)
        client = usual
        if inputPath == nil {
            // How much is fetched ahead of each is settled when a client is made.
            let count: Int
            do throws(ConnectorError) {
                count = try usual.partitionCount(of: plan.stream.source.topics)
            } catch {
                usual.close(withinMs: 2000)
                throw error
            }
            if count > KafkaClient.partitionCountUsual {
                usual.close(withinMs: 2000)
                client = try connect(partitionCount: count)
            }
        }
    }
    if let client, options.checksTopics, isFirst {
        // What this run reads and writes on the cluster.
        let all =
            options.isShadow
            ? ShadowOutputs.needs(plan, suffix: options.suffix) : plan.neededTopics
        let needs = all.filter {
            // A file has no position to keep state beside.
            if $0.role == .state { return options.output == nil && inputPath == nil }
            return $0.isOurs ? options.output == nil : inputPath == nil
        }
        do throws(ConnectorError) {
            try checkTopics(needs, client.admin, topologyPath: options.topologyPath)
        } catch {
            client.close(withinMs: 2000)
            throw error
        }
    }
    let source: any Source
    let offsets: any OffsetStore
    if let inputPath {
        let topic = plan.stream.source.topics.first ?? plan.name
        source = try FileSource(
            path: inputPath, topic: topic, recordByteCountMax: plan.limits.recordBytes,
            clock: plan.stream.source.clock)
        offsets = NoOffsets()
    } else if let client {
        source = options.makeSource?(client.source) ?? client.source
        offsets = options.isShadow ? NoOffsets() : client.offsets
    } else {
        preconditionFailure("a client is made wherever no file is given")
    }
    let commits: any CommitLog
    if options.isShadow {
        let suffix = options.output == nil ? options.suffix : ""
        var inner: (any Sink)?
        if let directory = options.output {
            inner = FileSink(directory: directory, appends: !isFirst)
        } else if options.suffix != nil {
            inner = try client?.sink()
        }
        commits = DirectLog(
            sink: ShadowSink(ShadowOutputs(plan, suffix: suffix ?? ""), inner: inner),
            offsets: offsets)
        log.info("shadow: nothing is committed, no alert is published")
    } else if let directory = options.output {
        // Files know no transactions, and keep no state.
        commits = DirectLog(
            sink: FileSink(directory: directory, appends: inputPath == nil || !isFirst),
            offsets: offsets)
    } else if let client {
        commits = try kafkaLog(client, plan, isFile: inputPath != nil, time)
    } else {
        preconditionFailure("a client is made wherever no directory is given")
    }
    let baselines = loaded.baselines
    let engine = try Engine(
        plan: plan, dataHash: nameHash(loaded.dataHash),
        parts: EngineParts(
            source: source, log: commits,
            makeStageOne: { StageOneOperator(plan: plan, baselines: baselines) },
            makeStageTwo: { StageTwoOperator(plan: plan, baselines: baselines) },
            letters: RecordLetters(plan: plan), time: time),
        workerCount: workerCount,
        untilEnd: options.untilEnd || inputPath == "-")
    logStart(engine.reports, engine.state, log)
    for partition in engine.joining {
        log.warning(
            "the topic has grown: a new partition will be read from its beginning",
            ["topic": partition.topic, "partition": partition.partition])
    }
    let progress = ProgressLine(log: log, time: time, isQuiet: options.quiet || options.json)
    let engineMetrics = EngineMetrics(telemetry)
    let totals: RunTotals
    do throws(ConnectorError) {
        totals = try engine.run(
            shouldStop: {
                stopRequested.load(ordering: .relaxed) || options.shouldStop?() ?? false
            },
            onProgress: { reading in
                var reading = reading
                reading.totals.add(before)
                engineMetrics.update(reading)
                progress.update(reading)
                options.onProgress?(reading)
            })
    } catch {
        progress.finish()
        commits.close(withinMs: 1000)
        source.close(withinMs: 1000)
        client?.close(withinMs: 2000)
        throw error
    }
    progress.finish()
    commits.close(withinMs: plan.run.stopWithinMs)
    source.close(withinMs: 5000)
    client?.close(withinMs: 5000)
    var all = before
    all.add(totals)
    return (all, engine.coordinator.progress.hasGrown, source.fixedReferenceMs)
}

/// How results reach a cluster, as `run.delivery` says.
private func kafkaLog(
    _ client: KafkaClient, _ plan: Plan, isFile: Bool, _ time: any TimeSource
) throws(ConnectorError) -> any CommitLog {
    // A burst of milliseconds; what is open for longer hangs on a broker that does not answer.
    let timeoutMs = max(60_000, 5 * plan.run.commitMs)
    let reader = plan.stateTopic.map {
        client.stateReader(app: plan.app, topic: $0, waitMs: timeoutMs + 10_000)
    }
    // A file is read from its beginning every time: there is no position to commit with.
    if isFile || plan.run.delivery == .atLeastOnce {
        return DirectLog(
            sink: try client.sink(), offsets: isFile ? NoOffsets() : client.offsets,
            stateTopic: isFile ? nil : plan.stateTopic, reader: isFile ? nil : reader)
    }
    return TransactionLog(
        producer: try client.transactions(app: plan.app, timeoutMs: timeoutMs),
        stateTopic: plan.stateTopic, reader: reader, time: time, transactionTimeoutMs: timeoutMs)
}

private func logStart(_ reports: [StartReport], _ state: StateReport, _ log: Log) {
    if state.taken > 0 {
        log.info("state restored", ["entries": state.taken, "open_windows": state.windows])
    }
    if let throughMs = state.lostSnapshotThroughMs {
        log.error(
            "the snapshot of open windows is not in the state topic: windows that begin before it are"
                + " incomplete", ["through": timeText(throughMs)])
    }
    if state.stale > 0 {
        log.warning(
            "state entries of an earlier epoch are taken away: alerts begin anew",
            ["entries": state.stale])
    }
    for entry in state.unusable {
        log.error(
            "state entry is of no use and is taken away", ["key": entry.key, "why": entry.why])
    }
    for report in reports {
        switch report.kind {
        case .fresh: break
        case .resumed:
            log.info(
                "resumed",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "low_water": report.offset, "next": report.next,
                    "reread": report.next - report.offset,
                ])
        case .newEpoch(let why):
            log.warning(
                "new state epoch: the first windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "metadata": "\(why)",
                ])
        case .expired:
            log.warning(
                "low-water is gone from the log: the first windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "offset": report.offset, "next": report.next,
                ])
        }
    }
}

/// Engine readings as metrics.
private struct EngineMetrics {
    let records: Gauge
    /// What became of the records that count in no window as they are.
    let verdicts: [(gauge: Gauge, count: (WorkerTally) -> Int64)]
    let skipped: Gauge
    let lag: Gauge
    let watermark: Gauge
    let openWindows: Gauge
    let state: Gauge
    let overMemory: Gauge
    let rebuilding: Gauge
    let held: Gauge
    let holding: Gauge

    init(_ telemetry: Telemetry) {
        records = telemetry.gauge("tidemark_records_read", help: "Records read since the start")
        let counts: [(String, (WorkerTally) -> Int64)] = [
            ("dead_letter", { $0.deadLetters }), ("late", { $0.late }),
            ("quarantined", { $0.quarantined }), ("tombstone", { $0.tombstones }),
            ("filtered_out", { $0.filteredOut }), ("filtered_null", { $0.filteredNull }),
            ("reread", { $0.reread }),
        ]
        verdicts = counts.map { name, count in
            let gauge = telemetry.gauge(
                "tidemark_records_set_aside", labels: [("verdict", name)],
                help: "Records that count in no window as they are, by verdict")
            return (gauge, count)
        }
        skipped = telemetry.gauge(
            "tidemark_source_offsets_without_record",
            help: "Offsets passed over: control records, aborted and compacted ones")
        lag = telemetry.gauge("tidemark_consumer_lag_records", help: "Records not yet read")
        watermark = telemetry.gauge(
            "tidemark_watermark_ms", help: "Merged watermark, ms since 1970")
        openWindows = telemetry.gauge("tidemark_windows_open", help: "Windows not yet published")
        state = telemetry.gauge(
            "tidemark_state_bytes", help: "Memory of open panes, windows and entry state")
        overMemory = telemetry.gauge(
            "tidemark_memory_over_limit",
            help: "1 while partitions wait for the slowest one, since panes and windows hold more"
                + " than their part of limits.memory")
        rebuilding = telemetry.gauge(
            "tidemark_rebuilding",
            help: "1 while records before the committed offset are read again")
        holding = telemetry.gauge(
            "tidemark_holding", help: "1 while reading is stopped by the share of dead letters")
        held = telemetry.gauge(
            "tidemark_watermark_held_ms",
            help: "How far the slowest partition's watermark is behind the furthest one's")
    }

    func update(_ reading: RunProgress) {
        records.set(Double(reading.totals.input.records))
        for verdict in verdicts {
            verdict.gauge.set(Double(verdict.count(reading.totals.input)))
        }
        skipped.set(Double(reading.totals.input.skipped))
        if let lag = reading.lag { self.lag.set(Double(lag)) }
        if reading.watermarkMs != TimeLimit.never { watermark.set(Double(reading.watermarkMs)) }
        openWindows.set(Double(reading.openWindows))
        state.set(Double(reading.stateByteCount))
        overMemory.set(reading.isOverMemory ? 1 : 0)
        rebuilding.set(reading.isRebuilding ? 1 : 0)
        held.set(Double(reading.heldMs))
        holding.set(reading.isHolding ? 1 : 0)
    }
}

/// Live progress: a line that is redrawn on a terminal, a log line now and then elsewhere.
final class ProgressLine {
    private let log: Log
    private let time: SystemTime
    private let isQuiet: Bool
    private let isTerminal: Bool
    private var lastNs: Int64
    private var lastRecords: Int64 = 0
    private var wasHolding = false
    private var wasOverMemory = false
    private var noticeCount = 0

    init(log: Log, time: SystemTime, isQuiet: Bool) {
        self.log = log
        self.time = time
        self.isQuiet = isQuiet
        isTerminal = Log.isTerminal
        lastNs = time.nowNs()
    }

    func update(_ reading: RunProgress) {
        if reading.isHolding, !wasHolding {
            log.error(
                "reading has stopped: too many dead letters in a minute (limits.bad_rows)",
                ["dead_letters": reading.totals.input.deadLetters, "try": "tidemark dlq list"])
            wasHolding = true
        }
        if reading.isOverMemory != wasOverMemory {
            wasOverMemory = reading.isOverMemory
            if wasOverMemory {
                log.warning(
                    "panes and windows hold more than their part of limits.memory: partitions wait"
                        + " for the slowest one", ["mib": reading.stateByteCount >> 20])
            } else {
                log.info("panes and windows are within their part of limits.memory again")
            }
        }
        for notice in reading.notices.dropFirst(noticeCount) {
            log.log(.warning, notice.event, notice.fields)
        }
        noticeCount = reading.notices.count
        guard !isQuiet else { return }
        let now = time.nowNs()
        let elapsed = Double(now - lastNs) / 1e9
        guard elapsed >= (isTerminal ? 0.25 : 10) else { return }
        let records = reading.totals.input.records + reading.totals.input.reread
        let rate = Int64(Double(records - lastRecords) / elapsed)
        lastNs = now
        lastRecords = records
        let watermark = reading.watermarkMs == TimeLimit.never ? "-" : timeText(reading.watermarkMs)
        if isTerminal {
            log.setStatus(
                (reading.isRebuilding ? "rebuilding  " : "")
                    + "\(grouped(rate)) records/s  lag \(reading.lag.map { grouped($0) } ?? "-")  watermark \(watermark)  panes \(reading.openPanes)  windows \(reading.totals.windows) (+\(reading.openWindows) open)  alerts \(reading.totals.alerts)"
            )
        } else {
            log.info(
                "progress",
                [
                    "records": records, "records_per_s": rate,
                    "lag": reading.lag.map { "\($0)" } ?? "unknown", "watermark": watermark,
                    "held_by": reading.heldBy.map { "\($0)" } ?? "none",
                    "open_windows": reading.openWindows, "windows": reading.totals.windows,
                    "alerts": reading.totals.alerts,
                ])
        }
    }

    func finish() { if !isQuiet, isTerminal { log.setStatus("") } }
}
