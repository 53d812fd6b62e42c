import Glibc
import Synchronization
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkHTTP
import TidemarkKafka
import TidemarkOperators
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// Set by SIGTERM and SIGINT; looked at about twenty times a second.
private let stopRequested = Atomic<Bool>(false)

/// A stop that takes longer ends the process.
private let stopWithinSeconds = Atomic<UInt32>(30)

private func requestStop(_ signal: Int32) {
    // A second signal ends the process at once.
    if stopRequested.exchange(true, ordering: .relaxed) { _exit(128 + signal) }
    // Single calls of the client wait for a broker for as long as it does not answer.
    alarm(stopWithinSeconds.load(ordering: .relaxed))
}

/// Ends the process when the time to stop is over: the next start repeats what was not committed.
private func giveUpStopping(_ signal: Int32) {
    let text: StaticString =
        "tidemark: the last commit was not through within run.stop_within; the next start does it again\n"
    _ = unsafe write(2, text.utf8Start, text.utf8CodeUnitCount)
    _exit(ExitCode.environment)
}

/// Runs a plan; prints what happens.
func run(_ loaded: LoadedPlan, _ options: RunOptions) throws(ConnectorError) -> RunSummary {
    let started = SystemTime().nowNs()
    let time = SystemTime()
    let telemetry = Telemetry()
    let log = Log(time: time, level: options.quiet || options.json ? .warning : .info)
    let health = RunHealth(time: time)
    var server: HTTPServer?
    if let address = options.http {
        do throws(HTTPProblem) {
            server = try serve(at: address, telemetry, health)
        } catch {
            throw ConnectorError(.environment, error.message, hint: "--http 127.0.0.1:9464")
        }
    }
    // It serves until the run is over.
    defer { withExtendedLifetime(server) {} }
    if let server { log.info("metrics and probes are served", ["at": "http://\(server.address)/"]) }
    // Two seconds more: by then the run has ended by itself where the client lets it.
    stopWithinSeconds.store(
        UInt32(clamping: (loaded.plan.run.stopWithinMs + 999) / 1000 + 2), ordering: .relaxed)
    signal(SIGALRM, giveUpStopping)
    signal(SIGTERM, requestStop)
    signal(SIGINT, requestStop)
    signal(SIGPIPE, SIG_IGN)
    var totals = RunTotals()
    var last = RunProgress()
    var clockMs: Int64?
    var isFirst = true
    // Whoever has new partitions to read begins as a new process would, from its own commit.
    while true {
        let ended = try runEngine(
            loaded, options, totals, isFirst: isFirst, time: time, telemetry: telemetry, log: log,
            health: health)
        totals = ended.totals
        last = ended.last
        clockMs = ended.clockMs
        isFirst = false
        guard ended.last.hasGrown, !stopRequested.load(ordering: .relaxed) else { break }
        log.warning("the input has new partitions: reading goes on with them")
    }
    let isPipe = (options.input ?? loaded.plan.stream.source.file) == "-"
    let untilEnd = options.untilEnd || isPipe
    return RunSummary(
        loaded.plan, totals: totals, last: last,
        untilEnd: untilEnd && !stopRequested.load(ordering: .relaxed),
        seconds: Double(time.nowNs() - started) / 1e9, clockMs: clockMs, isPipe: isPipe)
}

/// Runs one engine to its end: of the input, by a stop, or since there are new partitions.
///
/// `before`: what earlier ones did.
private func runEngine(
    _ loaded: LoadedPlan, _ options: RunOptions, _ before: RunTotals, isFirst: Bool,
    time: SystemTime, telemetry: Telemetry, log: Log, health: RunHealth
) throws(ConnectorError) -> (totals: RunTotals, last: RunProgress, clockMs: Int64?) {
    var plan = loaded.plan
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
        let file = try FileSource(
            path: inputPath, topic: topic, recordByteCountMax: plan.limits.recordBytes,
            clock: plan.stream.source.clock, encoding: plan.stream.source.encoding,
            follows: !options.untilEnd && inputPath != "-")
        plan.stream.source.encoding = try obeyed(
            file, columns: plan.stream.columns, encoding: plan.stream.source.encoding,
            path: inputPath, log: log
        ) {
            stopRequested.load(ordering: .relaxed) || options.shouldStop?() ?? false
        }
        source = file
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
            inner = FileSink(
                directory: directory, appends: !isFirst, inputs: loaded.inputs(options), log: log)
        } else if options.suffix != nil {
            inner = try client?.sink()
        }
        commits = DirectLog(
            sink: ShadowSink(ShadowOutputs(plan, suffix: suffix ?? ""), inner: inner),
            offsets: offsets)
        log.info("shadow: nothing is committed, no alert is published")
    } else if let directory = options.output {
        commits = try fileLog(loaded, options, directory, offsets, isFirst: isFirst, log)
    } else if let client {
        commits = try kafkaLog(client, plan, isFile: inputPath != nil, time)
    } else {
        preconditionFailure("a client is made wherever no directory is given")
    }
    let baselines = loaded.baselines
    let read = plan
    let engine = try Engine(
        plan: read, dataHash: fnv1a(loaded.dataHash),
        parts: EngineParts(
            source: source,
            log: options.isShadow || !options.tellsAlerts
                ? commits : AnnouncedLog(commits, plan: read, log: log),
            makeStageOne: { StageOneOperator(plan: read, baselines: baselines) },
            makeStageTwo: { StageTwoOperator(plan: read, baselines: baselines) },
            letters: RecordLetters(plan: read, file: inputPath), time: time),
        workerCount: workerCount,
        untilEnd: options.untilEnd || inputPath == "-")
    logStart(engine.reports, engine.state, log)
    for partition in engine.joining {
        log.warning(
            "the topic has grown: a new partition will be read from its beginning",
            ["topic": partition.topic, "partition": partition.partition])
    }
    let progress = ProgressLine(
        log: log, time: time, plan: plan, isQuiet: options.quiet || options.json)
    let engineMetrics = EngineMetrics(telemetry, plan: plan)
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
                health.note(reading, isStopping: stopRequested.load(ordering: .relaxed))
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
    return (all, engine.coordinator.progress, source.fixedReferenceMs)
}

/// Results in files, with the state that outlives a window beside them.
///
/// Files know no transactions: results, then state, then positions. A source that is a file is read from its
/// beginning every time, so outputs begin anew and there is no state to keep.
private func fileLog(
    _ loaded: LoadedPlan, _ options: RunOptions, _ directory: String, _ offsets: any OffsetStore,
    isFirst: Bool, _ log: Log
) throws(ConnectorError) -> DirectLog {
    let plan = loaded.plan
    let isFile = (options.input ?? plan.stream.source.file) != nil
    let sink = FileSink(
        directory: directory, appends: !isFile || !isFirst, inputs: loaded.inputs(options), log: log
    )
    var state: FileState?
    if !isFile, let topic = plan.stateTopic {
        state = FileState(directory: directory, topic: topic)
        try state?.compact()
    }
    return DirectLog(
        sink: sink, offsets: offsets, stateTopic: isFile ? nil : plan.stateTopic, reader: state)
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
        case .fresh:
            guard report.passedOver > 0 else { break }
            log.warning(
                "no offset was committed: earlier records are not read",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "skipped": report.passedOver,
                ])
        case .foreign:
            log.error(
                "another program set this offset: what lies before it may be in no window, and the first"
                    + " windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "try": "tidemark offsets show",
                ])
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
                    "offset": report.offset, "next": report.next, "lost": report.lost,
                ])
        }
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
    private var told: Set<SourceCondition.Kind> = []
    private var wasSlow = false
    private var lastTroubleNs = Int64.min / 2
    private let columnNames: [String]
    private var lastWindows = 0
    /// Columns without a value and groups without a baseline that were reported: once each.
    private var toldColumns: Set<Int> = []
    private var toldGroups: Set<String> = []
    private static let toldGroupsMax = 20

    init(log: Log, time: SystemTime, plan: Plan, isQuiet: Bool) {
        columnNames = plan.stream.columns.map(\.name)
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
        tellConditions(reading)
        tellUnknown(reading.totals)
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

    /// Reports conditions of the source, when they begin and when they are over.
    private func tellConditions(_ reading: RunProgress) {
        for condition in reading.conditions where told.insert(condition.kind).inserted {
            log.warning(
                condition.summary, ["condition": condition.kind.rawValue, "value": condition.value])
        }
        for kind in told.sorted(by: { $0.rawValue < $1.rawValue })
        where !reading.conditions.contains(where: { $0.kind == kind }) {
            told.remove(kind)
            log.info("no longer so", ["condition": kind.rawValue])
        }
        if let trouble = reading.commitTrouble, time.nowNs() - lastTroubleNs > 30_000_000_000 {
            lastTroubleNs = time.nowNs()
            log.warning("results are not committed", ["why": trouble])
        }
        let isSlow = reading.lastUnitMs > RunSettings.unitMsMax
        if isSlow, !wasSlow {
            log.warning(
                "results leave slowly: fewer go into each commit",
                ["commit_ms": reading.lastUnitMs, "bytes_max": reading.unitBytesMax])
        }
        wasSlow = isSlow
    }

    /// Reports, once each, columns without a value in a whole window and groups that no baseline
    /// has.
    private func tellUnknown(_ totals: RunTotals) {
        guard totals.windows != lastWindows else { return }
        lastWindows = totals.windows
        for (place, tally) in totals.columns.enumerated()
        where tally.emptyWindows > 0 && toldColumns.insert(place).inserted {
            log.warning(
                "a column had no value in any row of a window",
                [
                    "column": columnNames[place], "rows": tally.rows.total,
                    "missing": tally.rows.missing, "null": tally.rows.null,
                    "wrong_type": tally.rows.wrongType, "non_finite": tally.rows.nonFinite,
                ])
        }
        guard totals.groupsWithoutBaseline.count > toldGroups.count,
            toldGroups.count < Self.toldGroupsMax
        else { return }
        for group in totals.groupsWithoutBaseline.sorted()
        where toldGroups.count < Self.toldGroupsMax && toldGroups.insert(group).inserted {
            log.warning("a group is not in the baseline: it is not compared", ["group": group])
        }
        if toldGroups.count == Self.toldGroupsMax {
            log.warning("further groups without a baseline are counted, not named")
        }
    }

    func finish() { if !isQuiet, isTerminal { log.setStatus("") } }
}
