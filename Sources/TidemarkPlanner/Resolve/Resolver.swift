import TidemarkDataflow
import TidemarkTopology

/// Makes a plan of a tree in one pass: it fills in every default and reports every error.
final class Resolver {
    let root: Node
    let path: String
    let reading: Reading
    let load: (String) -> Result<BaselineSummary, BaselineProblem>
    var facts = PlanFacts()

    var columns: [ColumnPlan] = []
    /// By place of the column: where it is declared, and the bounds of `expect.range`.
    var columnPlaces: [Place] = []
    var expectedRanges: [Int: (Double, Double)] = [:]
    var windows: [WindowPlan] = []
    var paneMs: Int64 = 1000
    /// `nil`: the topology does not say.
    var fetchWaitMs: Int64?
    var segments: [SegmentPlan] = []
    var baselines: [BaselinePlan] = []
    var baselinePlaces: [Place] = []
    /// Columns that are correlated, a list for each rule that asks.
    var correlations: [[Int]] = []
    var topicCount = 0
    /// Those of `baselines:`; monitors' own come behind them.
    var declaredBaselineCount = 0
    /// The summaries of baselines that could be read, by place.
    var summaries: [Int: BaselineSummary] = [:]
    /// Columns that a rule or a monitor names though they are not watched by themselves.
    var named: Set<Int> = []
    /// Freshness monitors, in the order of the file.
    var freshness: [FreshnessPlan] = []
    /// Columns that expressions use.
    var used: Set<Int> = []
    /// Segments that say how many groups they keep, and where.
    var writtenLimits: [String: Place] = [:]
    /// Segments that say which columns they watch.
    var narrowed: Set<String> = []

    init(
        root: Node, path: String, reading: Reading,
        load: @escaping (String) -> Result<BaselineSummary, BaselineProblem>
    ) {
        self.root = root
        self.path = path
        self.reading = reading
        self.load = load
    }

    func resolve() -> Plan? {
        guard
            let top = reading.fields(
                root, Spec.topology, what: "a topology", shape: "a map that begins with `name`")
        else { return nil }
        _ = reading.count(top, "language")
        let name = reading.name(top, "name") ?? ""
        var plan = Plan(
            name: name, app: reading.name(top, "app") ?? name, revision: "",
            stream: StreamPlan(
                source: SourcePlan(topics: []), columns: [], eventTimeColumn: nil, filter: nil,
                segments: [], windows: [], paneMs: 1000, baselines: [], monitors: []),
            outputs: OutputsPlan(aggregates: nil, alerts: "", deadLetters: "", late: nil))
        plan.owner = reading.string(top, "owner")
        plan.description = reading.string(top, "description")
        if let node = top["labels"] {
            for entry in reading.named(node, what: "labels", item: "text", countMax: 16) {
                if let text = reading.text(entry.value) { plan.labels.append((entry.key, text)) }
            }
        }
        plan.kafka = kafka(top)
        plan.stream.source = source(top)
        topicCount = plan.stream.source.topics.count
        var filterColumns: Set<Int> = []
        if let node = top["filter"], !columns.isEmpty,
            let condition = ExpressionReader.condition(
                node, what: "`filter`", columns: columns, reading: reading)
        {
            plan.stream.filter = condition.expression
            filterColumns = condition.columns
        }
        used.formUnion(filterColumns)
        readWindows(top)
        // A part of the delay that nobody sees beside the step.
        let stepMs = windows.map(\.stepMs).min() ?? 0
        plan.stream.source.fetchWaitMs = fetchWaitMs ?? min(50, stepMs / 100)
        paneMs = pane(top)
        plan.stream.paneMs = paneMs
        readBaselines(top)
        declaredBaselineCount = baselines.count
        // Rules and monitors may name columns that are watched only then.
        let rules = summaryRules(top)
        readSegments(top)
        facts.budget = budget(top)
        let monitors = readMonitors(top)
        watchNamed()
        summarise(rules)
        plan.stream.monitors = checkMonitors(monitors)
        // A clock on the wall says nothing of a file.
        plan.stream.freshness = freshness.filter {
            $0.per != .source || plan.stream.source.file == nil
        }
        plan.outputs = outputs(top, name: name, source: plan.stream.source)
        plan.limits = limits(top)
        plan.run = run(top)
        checkReread(plan, top)
        // What is used is decoded.
        let time = columns.firstIndex { $0.role == .time }
        plan.stream.eventTimeColumn = time
        if let time { used.insert(time) }
        for segment in segments {
            used.formUnion(segment.columns)
            used.formUnion(segment.dimensions.map(\.column))
        }
        for index in columns.indices { columns[index].isRead = used.contains(index) }
        if time == nil, !columns.isEmpty, let source = top.entry("source") {
            reading.say(
                .warning, "no-event-time", at: source.keyPlace,
                "no column is the event time: Kafka record time is used, replays land in today",
                expected: "a column declared time_ms, time_s, time_us, time_ns or time_text",
                suggestion: "`ts: time_ms` in `schema`")
        }
        plan.stream.columns = columns
        plan.stream.windows = windows
        plan.stream.segments = segments
        plan.stream.correlations = correlations
        plan.stream.baselines = baselines
        facts.baselines = baselines.indices.map { summaries[$0] }
        checkMemory(plan, top)
        noteRetention(plan, top)
        return reading.hasErrors ? nil : plan
    }

    /// `path` as seen from the topology file.
    func resolved(_ file: String) -> String {
        if file.hasPrefix("/") || file == "-" { return file }
        guard let slash = path.lastIndex(of: "/") else { return file }
        return path[...slash] + file
    }

    // MARK: Kafka

    private func kafka(_ top: Fields) -> KafkaSettings {
        var settings = KafkaSettings()
        let f = top["kafka"].flatMap { reading.fields($0, Spec.kafka, what: "`kafka`") }
        if let f, f.has("brokers") {
            settings.brokers = reading.string(f, "brokers") ?? ""
        } else if let value = reading.environment("TIDEMARK_BROKERS"), !value.isEmpty {
            settings.brokers = value
        }
        guard let f else { return settings }
        if let node = f["tls"], !node.isOff,
            let t = reading.fields(node, Spec.tls, what: "`tls`")
        {
            var tls = KafkaSettings.TLS()
            tls.caPath = reading.string(t, "ca").map(resolved)
            tls.certificatePath = reading.string(t, "cert").map(resolved)
            tls.key = t["key"].flatMap(reading.secret)
            tls.verify = reading.boolean(t, "verify") ?? true
            settings.tls = tls
        }
        if let node = f["sasl"], !node.isOff,
            let s = reading.fields(node, Spec.sasl, what: "`sasl`")
        {
            var sasl = KafkaSettings.SASL(mechanism: reading.choice(s, "mechanism") ?? "PLAIN")
            sasl.username = reading.string(s, "username")
            sasl.password = s["password"].flatMap(reading.secret)
            sasl.token = s["token"].flatMap(reading.secret)
            settings.sasl = sasl
        }
        if let node = f["properties"] {
            for entry in reading.named(node, what: "properties", item: "text", countMax: 200) {
                if let reason = Self.reservedProperties.first(where: { $0.name == entry.key })?
                    .reason
                {
                    reading.say(
                        "reserved-property", at: entry.keyPlace,
                        "\(shown(entry.key)) is set by us: \(reason)",
                        expected: "another property", suggestion: "delete it")
                    continue
                }
                guard let raw = entry.value.text else {
                    _ = reading.text(entry.value)
                    continue
                }
                if Self.secretProperties.contains(entry.key) {
                    guard let secret = reading.secret(entry.value) else { continue }
                    settings.properties.append((entry.key, secret))
                } else if raw.contains("${") {
                    guard reading.text(entry.value) != nil else { continue }
                    settings.properties.append((entry.key, reading.reference(raw)))
                } else {
                    settings.properties.append((entry.key, Secret(plain: raw)))
                }
            }
        }
        return settings
    }

    static let secretProperties: Set<String> = [
        "sasl.password", "ssl.key.pem", "ssl.key.password", "ssl.keystore.password",
        "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret",
    ]
    static let reservedProperties: [(name: String, reason: String)] = [
        ("bootstrap.servers", "it is kafka.brokers"),
        ("metadata.broker.list", "it is kafka.brokers"),
        ("group.id", "it is the app of the topology"),
        ("transactional.id", "it is the app of the topology"),
        ("enable.auto.commit", "offsets are committed with the results"),
        ("enable.auto.offset.store", "offsets are committed with the results"),
        ("auto.offset.reset", "a gap in the input must not go unseen; see source.start"),
        ("enable.partition.eof", "the end of a partition is found by it"),
        ("isolation.level", "it is source.isolation"),
        ("enable.idempotence", "results must not repeat or change order"),
        ("acks", "results must not be lost"), ("request.required.acks", "results must not be lost"),
    ]
}
