import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkFiles
import TidemarkKafka
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkTelemetry
import TidemarkText

/// Where records of a baseline come from.
enum BaselineInput {
    /// A path; `-`: standard input.
    case file(String)
    /// A topic, from its beginning to where it ends now.
    case topic(String)

    /// As the baseline names it: without folders.
    var name: String {
        switch self {
        case .file(let path): path.split(separator: "/").last.map(String.init) ?? path
        case .topic(let topic): topic
        }
    }
}

/// What the records of a baseline are like: as a topology says, or as they look.
struct RecordForm {
    var columns: [ColumnPlan]
    /// Fields that look like no column.
    var leftOut: [String] = []
    var encoding = RecordEncoding.json
    var filter: RowExpression?
    var windowMs: Int64 = 60_000
    var recordByteCountMax = 16 << 20
    var inputs: [BaselineInput]
    /// What the topology says, for whoever reads its topic.
    var plan: Plan?

    /// `nil`: the topology has findings, which were printed.
    init?(
        _ invocation: Invocation, windowCount: Int?
    ) throws(BaselineTable.Problem) {
        inputs =
            invocation.values("--from").map { .file($0) }
            + invocation.values("--from-topic").map { .topic($0) }
        if let path = invocation.value("--topology") {
            // Its baselines may not exist yet: that is what this command is for.
            let result = planTopology(
                path, invocation, schemaOnly: invocation.value("--edges") != "topology")
            guard let plan = result.plan else {
                printError(
                    report(
                        result.diagnostics, overrides: invocation.values("--set"), format: "text"))
                return nil
            }
            self.plan = plan
            columns = plan.stream.columns
            filter = plan.stream.filter
            encoding = plan.stream.source.encoding
            windowMs = plan.stream.windows.first?.lengthMs ?? windowMs
            recordByteCountMax = plan.limits.recordBytes
            if inputs.isEmpty {
                inputs =
                    plan.stream.source.file.map { [.file($0)] }
                    ?? plan.stream.source.topics.map { .topic($0) }
            }
        } else {
            columns = []
            try guess(windowCount)
        }
        if inputs.contains(where: { if case .file("-") = $0 { true } else { false } }),
            windowCount != nil
        {
            throw BaselineTable.Problem(
                "standard input can be read once only, and --windows reads twice: give a file")
        }
        if let text = invocation.value("--window") {
            guard let ms = durationMs(text) else {
                throw BaselineTable.Problem("`\(text)` is not a duration; like 30s, 1m, 1h")
            }
            windowMs = ms
        }
    }

    /// Columns as the first records look.
    private mutating func guess(_ windowCount: Int?) throws(BaselineTable.Problem) {
        guard let first = inputs.first else {
            throw BaselineTable.Problem(
                "`baseline build` needs records: --from FILE, or --topology with its source")
        }
        guard case .file(let path) = first else {
            throw BaselineTable.Problem(
                "a topic needs --topology, which says where its brokers are and what its columns are"
            )
        }
        guard path != "-" else {
            throw BaselineTable.Problem(
                "standard input can be read once only: --topology says what its columns are")
        }
        let guess = SchemaGuess(try firstRecords(path, 2000))
        columns = guess.columns
        leftOut = guess.leftOut
        guard !columns.isEmpty else {
            throw BaselineTable.Problem(
                "\(path) holds no JSON objects; of CSV, --topology says what the columns are")
        }
    }
}

/// Reads the records of a baseline, one input after the other, and says on a terminal how far it is.
struct BaselineRecords {
    private let form: RecordForm
    /// How they are written: by the header of the first file, where that has one.
    private(set) var encoding: RecordEncoding
    /// The first file, of which the first record was looked at.
    private var opened: FileSource?
    private let log = Log(time: SystemTime(), level: .error)
    private let time = SystemTime()

    init(_ form: RecordForm) {
        self.form = form
        encoding = form.encoding
    }

    /// Looks at the first record of the first input.
    mutating func openFirst() throws(ConnectorError) {
        guard case .file(let path) = form.inputs.first else { return }
        let source = try open(path)
        encoding = try obeyed(
            source, columns: form.columns, encoding: form.encoding, path: path, log: nil
        ) { false }
        opened = source
    }

    private func open(_ path: String) throws(ConnectorError) -> FileSource {
        try FileSource(
            path: path, topic: "baseline", recordByteCountMax: form.recordByteCountMax,
            clock: .file, encoding: form.encoding)
    }

    /// Hands all records on, batch by batch.
    mutating func read(
        into batch: RecordBatch, _ take: (RecordBatch) -> Void
    ) throws(ConnectorError) {
        var meter = Meter(log: log, time: time)
        for input in form.inputs {
            switch input {
            case .file(let path): try read(path, into: batch, &meter, take)
            case .topic(let topic): try read(topic: topic, into: batch, &meter, take)
            }
        }
        meter.finish()
    }

    private mutating func read(
        _ path: String, into batch: RecordBatch, _ meter: inout Meter,
        _ take: (RecordBatch) -> Void
    ) throws(ConnectorError) {
        let source: FileSource
        if let first = opened {
            source = first
            opened = nil
        } else {
            source = try open(path)
            let own = try obeyed(
                source, columns: form.columns, encoding: form.encoding, path: path, log: nil
            ) { false }
            guard own == encoding else {
                throw ConnectorError(
                    .environment, "\(path) has its columns in another order than the first input",
                    hint: "one `baseline build` for each, or the same header in all")
            }
        }
        let start = PartitionStart(
            slot: 0, partition: TopicPartition(topic: "baseline", partition: 0), offset: 0)
        let reader = try source.open([[start]])[0]
        while true {
            try reader.poll(into: batch, timeoutMs: 0)
            if batch.recordCount == 0, reader.isAtEnd(0) { return }
            take(batch)
            meter.add(batch.recordCount)
        }
    }

    /// A topic to where its committed end is now.
    private func read(
        topic: String, into batch: RecordBatch, _ meter: inout Meter,
        _ take: (RecordBatch) -> Void
    ) throws(ConnectorError) {
        guard let plan = form.plan else { return }
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        batch.clear()
        var count = 0
        let found = try client.scan(topic, group: "\(plan.app)-baseline") { record in
            if batch.recordCount == batch.recordCountMax || count > 1 << 22 {
                take(batch)
                meter.add(batch.recordCount)
                batch.clear()
                count = 0
            }
            count += record.value?.count ?? 0
            let value = record.value ?? []
            unsafe value.withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 0, offset: record.offset, recordTimeMs: record.timestampMs ?? 0,
                    key: nil, value: record.value == nil ? nil : bytes)
            }
            return true
        }
        guard found != nil else {
            throw ConnectorError(
                .environment, "there is no topic `\(topic)`", hint: "--from-topic with another one")
        }
        take(batch)
        meter.add(batch.recordCount)
        batch.clear()
    }
}

/// How many records were read, on a terminal.
private struct Meter {
    let log: Log
    let time: SystemTime
    private var count: Int64 = 0
    private var saidNs: UInt64 = 0

    init(log: Log, time: SystemTime) {
        self.log = log
        self.time = time
    }

    mutating func add(_ records: Int) {
        count += Int64(records)
        guard Log.isTerminal else { return }
        let now = UInt64(time.nowNs())
        guard now - saidNs > 250_000_000 else { return }
        saidNs = now
        log.setStatus("\(grouped(count)) records read")
    }

    func finish() { if Log.isTerminal { log.setStatus("") } }
}
