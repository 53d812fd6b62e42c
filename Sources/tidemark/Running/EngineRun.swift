import Glibc
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkKafka
import TidemarkMonitors
import TidemarkOperators
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// One engine from its start to its end: of the input, by a stop, or since there are new partitions.
struct EngineRun {
    let loaded: LoadedPlan
    let options: RunOptions
    /// The first of the process: later ones go on with what it wrote.
    let isFirst: Bool
    let time: SystemTime
    let telemetry: Telemetry
    let log: Log
    /// Somebody wants the process to end.
    let isStopped: @Sendable () -> Bool

    /// How far an engine came.
    struct End {
        var totals: RunTotals
        var last: RunProgress
        var clockMs: Int64?
    }

    /// What is read, and where positions are kept.
    private struct Input {
        var source: any Source
        var offsets: any OffsetStore
    }

    private var plan: Plan { loaded.plan }
    private var inputPath: String? { options.input ?? plan.stream.source.file }
    private var workerCount: Int {
        plan.run.workers ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    /// Runs it to its end; `before`: what earlier ones did.
    func ended(after before: RunTotals, health: RunHealth) throws(ConnectorError) -> End {
        let client = try connectedClient()
        if let client, options.checksTopics, isFirst { try check(client) }
        // Of CSV what the first line says of it.
        var plan = plan
        let input = try opened(client, &plan.stream.source.encoding)
        let commits = try commitLog(client, plan, input.offsets)
        let side = try sideReader(client)
        let engine = try engine(plan, input, commits, side)
        logStart(engine.reports, engine.state, log)
        for partition in engine.joining {
            log.warning(
                "the topic has grown: a new partition will be read from its beginning",
                ["topic": partition.topic, "partition": partition.partition])
        }
        let totals: RunTotals
        do throws(ConnectorError) {
            totals = try watched(engine, before, health)
        } catch {
            side?.close(withinMs: 1000)
            commits.close(withinMs: 1000)
            input.source.close(withinMs: 1000)
            client?.close(withinMs: 2000)
            throw error
        }
        side?.close(withinMs: 1000)
        commits.close(withinMs: plan.run.stopWithinMs)
        input.source.close(withinMs: 5000)
        client?.close(withinMs: 5000)
        var all = before
        all.add(totals)
        return End(
            totals: all, last: engine.coordinator.progress,
            clockMs: input.source.fixedReferenceMs)
    }

    // MARK: Kafka

    /// A client where one is needed: for the input, or for the output.
    private func connectedClient() throws(ConnectorError) -> KafkaClient? {
        guard inputPath == nil || options.output == nil else { return nil }
        let usual = try connect(partitionCount: KafkaClient.partitionCountUsual)
        guard inputPath == nil else { return usual }
        // How much is fetched ahead of each is settled when a client is made.
        let count: Int
        do throws(ConnectorError) {
            count = try usual.partitionCount(of: plan.stream.source.topics)
        } catch {
            usual.close(withinMs: 2000)
            throw error
        }
        guard count > KafkaClient.partitionCountUsual else { return usual }
        usual.close(withinMs: 2000)
        return try connect(partitionCount: count)
    }

    private func connect(partitionCount: Int) throws(ConnectorError) -> KafkaClient {
        try KafkaClient(
            settings: plan.kafka, app: plan.app, source: plan.stream.source,
            limits: plan.limits, workers: workerCount, partitionCount: partitionCount,
            time: time, log: log, telemetry: telemetry)
    }

    /// What is followed beside the source: baselines of topics, or the files that stand in for them.
    private func sideReader(_ client: KafkaClient?) throws(ConnectorError) -> (any SideReader)? {
        let followed = plan.stream.baselines.compactMap { baseline in
            baseline.topic.map { (name: baseline.name, topic: $0) }
        }
        let files = followed.filter { options.baselines[$0.name] != nil }
        let rest = followed.filter { options.baselines[$0.name] == nil }
        guard !followed.isEmpty else { return nil }
        guard rest.isEmpty || inputPath == nil else {
            throw ConnectorError(
                .environment,
                "the baseline `\(rest[0].name)` is one of a topic, and a run from a file reads none",
                hint: "tidemark run --baseline \(rest[0].name)=FILE")
        }
        var records: [SideRecord] = []
        for file in files {
            let path = options.baselines[file.name] ?? ""
            do throws(BaselineTable.Problem) {
                records.append(
                    SideRecord(
                        topic: file.topic.topic, key: file.topic.key, value: try readWholeFile(path)
                    ))
            } catch {
                throw ConnectorError(.environment, "\(path) \(error.message)")
            }
        }
        let reader =
            rest.isEmpty
            ? nil
            : try client?.sideReader(
                rest.map { ($0.topic.topic, $0.topic.key) }, app: plan.app)
        return records.isEmpty ? reader : GivenBaselines(records, beside: reader)
    }

    /// Checks what this run reads and writes on the cluster.
    private func check(_ client: KafkaClient) throws(ConnectorError) {
        let all =
            options.isShadow
            ? ShadowOutputs.needs(plan, suffix: options.suffix) : plan.neededTopics
        let needs = all.filter {
            // A file has no position to keep state beside.
            if $0.role == .state { return options.output == nil && inputPath == nil }
            if $0.role == .baselines { return inputPath == nil }
            return $0.isOurs ? options.output == nil : inputPath == nil
        }
        do throws(ConnectorError) {
            try checkTopics(needs, client.admin, topologyPath: options.topologyPath)
        } catch {
            client.close(withinMs: 2000)
            throw error
        }
    }

    // MARK: Input and output

    /// `encoding`: becomes what the first record of a file says that it is.
    private func opened(
        _ client: KafkaClient?, _ encoding: inout RecordEncoding
    ) throws(ConnectorError) -> Input {
        if let inputPath {
            let topic = plan.stream.source.topics.first ?? plan.name
            let file = try FileSource(
                path: inputPath, topic: topic, recordByteCountMax: plan.limits.recordBytes,
                clock: plan.stream.source.clock, encoding: encoding,
                follows: !options.untilEnd && inputPath != "-")
            encoding = try obeyed(
                file, columns: plan.stream.columns, encoding: encoding, path: inputPath, log: log
            ) {
                isStopped() || options.shouldStop?() ?? false
            }
            return Input(source: file, offsets: NoOffsets())
        }
        guard let client else {
            preconditionFailure("a client is made wherever no file is given")
        }
        return Input(
            source: options.makeSource?(client.source) ?? client.source,
            offsets: options.isShadow ? NoOffsets() : client.offsets)
    }

    /// Where results go, and what makes them final.
    private func commitLog(
        _ client: KafkaClient?, _ plan: Plan, _ offsets: any OffsetStore
    ) throws(ConnectorError) -> any CommitLog {
        if options.isShadow { return try shadowLog(client, plan, offsets) }
        if let directory = options.output { return try fileLog(directory, offsets) }
        guard let client else {
            preconditionFailure("a client is made wherever no directory is given")
        }
        return try kafkaLog(client)
    }

    /// Results under other names, or nowhere; nothing is committed.
    private func shadowLog(
        _ client: KafkaClient?, _ plan: Plan, _ offsets: any OffsetStore
    ) throws(ConnectorError) -> DirectLog {
        let suffix = options.output == nil ? options.suffix : ""
        var inner: (any Sink)?
        if let directory = options.output {
            inner = FileSink(
                directory: directory, appends: !isFirst, inputs: loaded.inputs(options), log: log)
        } else if options.suffix != nil {
            inner = try client?.sink()
        }
        log.info("shadow: nothing is committed, no alert is published")
        return DirectLog(
            sink: ShadowSink(ShadowOutputs(plan, suffix: suffix ?? ""), inner: inner),
            offsets: offsets)
    }

    /// Results in files, with the state that outlives a window beside them.
    ///
    /// Files know no transactions: results, then state, then positions. A source that is a file is read from
    /// its beginning every time, so outputs begin anew and there is no state to keep.
    private func fileLog(
        _ directory: String, _ offsets: any OffsetStore
    ) throws(ConnectorError) -> DirectLog {
        let isFile = inputPath != nil
        let sink = FileSink(
            directory: directory, appends: !isFile || !isFirst, inputs: loaded.inputs(options),
            log: log)
        var state: FileState?
        if !isFile, let topic = plan.stateTopic {
            state = FileState(directory: directory, topic: topic)
            try state?.compact()
        }
        return DirectLog(
            sink: sink, offsets: offsets, stateTopic: isFile ? nil : plan.stateTopic,
            reader: state)
    }

    /// How results reach a cluster, as `run.delivery` says.
    private func kafkaLog(_ client: KafkaClient) throws(ConnectorError) -> any CommitLog {
        // A burst of milliseconds; what is open for longer hangs on a broker that does not answer.
        let timeoutMs = max(60_000, 5 * plan.run.commitMs)
        let reader = plan.stateTopic.map {
            client.stateReader(app: plan.app, topic: $0, waitMs: timeoutMs + 10_000)
        }
        let isFile = inputPath != nil
        // A file is read from its beginning every time: there is no position to commit with.
        if isFile || plan.run.delivery == .atLeastOnce {
            return DirectLog(
                sink: try client.sink(), offsets: isFile ? NoOffsets() : client.offsets,
                stateTopic: isFile ? nil : plan.stateTopic, reader: isFile ? nil : reader)
        }
        return TransactionLog(
            producer: try client.transactions(app: plan.app, timeoutMs: timeoutMs),
            stateTopic: plan.stateTopic, reader: reader, time: time,
            transactionTimeoutMs: timeoutMs)
    }

    // MARK: The engine

    private func engine(
        _ plan: Plan, _ input: Input, _ commits: any CommitLog, _ side: (any SideReader)?
    ) throws(ConnectorError) -> Engine {
        let baselines = loaded.baselines
        return try Engine(
            plan: plan, dataHash: fnv1a(loaded.dataHash),
            parts: EngineParts(
                source: input.source,
                log: options.isShadow || !options.tellsAlerts
                    ? commits : AnnouncedLog(commits, plan: plan, log: log),
                side: side,
                makeStageOne: { StageOneOperator(plan: plan, baselines: baselines) },
                makeStageTwo: { StageTwoOperator(plan: plan, baselines: baselines) },
                letters: RecordLetters(plan: plan, file: inputPath), time: time),
            workerCount: workerCount,
            untilEnd: options.untilEnd || inputPath == "-")
    }

    /// Runs an engine, with what shows how far it is.
    private func watched(
        _ engine: Engine, _ before: RunTotals, _ health: RunHealth
    ) throws(ConnectorError) -> RunTotals {
        let progress = ProgressLine(
            log: log, time: time, plan: plan, isQuiet: options.quiet || options.json)
        defer { progress.finish() }
        let metrics = EngineMetrics(telemetry, plan: plan)
        return try engine.run(
            shouldStop: { isStopped() || options.shouldStop?() ?? false },
            onProgress: { reading in
                var reading = reading
                reading.totals.add(before)
                metrics.update(reading)
                health.note(reading, isStopping: isStopped())
                progress.update(reading)
                options.onProgress?(reading)
            })
    }
}
