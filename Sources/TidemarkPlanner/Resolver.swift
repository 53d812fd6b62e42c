import TidemarkDataflow
import TidemarkTopology

/// Makes a plan of a tree: one pass, every default filled in, every error said.
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
    var segments: [SegmentPlan] = []
    var baselines: [BaselinePlan] = []
    var baselinePlaces: [Place] = []
    /// Columns that are correlated, a list for each rule that asks.
    private var correlations: [[Int]] = []
    private var topicCount = 0
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
        plan.stream.paneMs = pane(top)
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
        plan.stream.freshness = plan.stream.source.file == nil ? freshness : []
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

    // MARK: Source and columns

    private func source(_ top: Fields) -> SourcePlan {
        var plan = SourcePlan(topics: [])
        guard let node = top["source"],
            let f = reading.fields(node, Spec.source, what: "`source`")
        else { return plan }
        let given = ["topic", "topics", "file"].compactMap { f.entry($0) }
        if given.isEmpty {
            reading.say(
                "missing-key", at: node.place, "`source` says not what is read",
                expected: "one of topic, topics, file", suggestion: "`topic: predictions.churn`")
        } else if given.count > 1 {
            reading.say(
                "two-sources", at: given[1].keyPlace,
                "\(shown(given[1].key)) is a second source beside \(shown(given[0].key))",
                expected: "one of topic, topics, file", suggestion: "delete one of them")
        }
        if let topic = reading.topic(f, "topic") { plan.topics = [topic] }
        if let list = f["topics"] {
            var seen: Set<String> = []
            for item in reading.list(
                list, what: "a list of at most 64 topics", orOne: true, countMax: 64)
            {
                guard let text = reading.text(item, expected: "a topic"),
                    let topic = reading.topic(text, at: item.place)
                else { continue }
                if seen.insert(topic).inserted {
                    plan.topics.append(topic)
                } else {
                    reading.say(
                        "listed-twice", at: item.place, "\(shown(topic)) is in the list already",
                        expected: "once", suggestion: "delete it")
                }
            }
            if list.items?.isEmpty ?? false {
                reading.say(
                    "empty-list", at: list.place, "no topic is named", expected: "at least one",
                    suggestion: nil)
            }
        }
        if let file = reading.string(f, "file") {
            plan.file = resolved(file)
            plan.topics = []
            plan.clock = .file
        }
        if let entry = f.entry("start"), let text = reading.text(entry.value) {
            switch text {
            case "committed": plan.start = .committed
            case "earliest": plan.start = .earliest
            case "latest": plan.start = .latest
            default:
                if let ms = Scalars.time(text) {
                    plan.start = .time(ms: ms)
                } else {
                    reading.say(
                        "bad-time", at: entry.value.place, "\(shown(text)) is no start",
                        expected: "committed, earliest, latest or a time like 2026-01-31T12:00:00Z",
                        suggestion: nearest(text, ["committed", "earliest", "latest"]).map {
                            "`\($0)`"
                        })
                }
            }
        }
        if let word = reading.choice(f, "isolation") {
            plan.isolationCommitted = word == "committed"
        }
        if let ms = reading.duration(f, "out_of_orderness") { plan.outOfOrdernessMs = ms }
        if let ms = reading.duration(f, "skew") { plan.skewMs = ms }
        if let entry = f.entry("clock"), let text = reading.text(entry.value) {
            if text == "record", plan.file == nil {
                plan.clock = .record
            } else if text == "file", plan.file != nil {
                plan.clock = .file
            } else if let ms = Scalars.time(text) {
                plan.clock = .time(ms: ms)
            } else {
                let isWord = text == "record" || text == "file"
                reading.say(
                    "bad-clock", at: entry.value.place,
                    isWord
                        ? "`\(text)` is the clock of another source" : "\(shown(text)) is no clock",
                    expected:
                        "\(plan.file == nil ? "record" : "file"), or a time like 2026-01-31T12:00:00Z",
                    suggestion: "delete the line for the default")
            }
        }
        if f.isOff("idle") {
            plan.idleMs = nil
        } else if let ms = reading.duration(f, "idle") {
            plan.idleMs = ms
        }
        if f.isOff("alignment") {
            plan.alignmentMs = nil
        } else if let ms = reading.duration(f, "alignment") {
            plan.alignmentMs = ms
            if ms < plan.outOfOrdernessMs, let entry = f.entry("alignment") {
                reading.say(
                    "out-of-limits", at: entry.value.place,
                    "\(durationText(ms)) is less than out_of_orderness "
                        + "(\(durationText(plan.outOfOrdernessMs)))",
                    expected: "at least \(durationText(plan.outOfOrdernessMs))",
                    suggestion: "`\(durationText(plan.outOfOrdernessMs))`")
            }
        } else if let ms = plan.alignmentMs {
            plan.alignmentMs = max(ms, plan.outOfOrdernessMs)
        }
        if let schema = f["schema"] { readSchema(schema) }
        if let node = f["decode"] { plan.encoding = encoding(node) }
        return plan
    }

    /// How records are written; columns are known.
    private func encoding(_ node: Node) -> RecordEncoding {
        var format: String?
        var names: [String]?
        var separator: UInt8 = 0x2c
        if node.entries == nil {
            if let spec = Spec.decode.fields.first(where: { $0.name == "format" }) {
                format = reading.scalar(node, spec, Reading.choice)
            }
        } else if let f = reading.fields(node, Spec.decode, what: "`decode`") {
            format = reading.choice(f, "format")
            if let list = f["columns"] {
                var found: [String] = []
                for item in reading.list(list, what: "the names of all fields", countMax: 4000) {
                    guard let name = reading.text(item) else { continue }
                    if found.contains(name) {
                        reading.say(
                            "duplicate-key", at: item.place, "\(shown(name)) is named twice",
                            expected: "each field once", suggestion: nil)
                    }
                    found.append(name)
                }
                names = found
            }
            switch reading.choice(f, "separator") {
            case "semicolon": separator = 0x3b
            case "tab": separator = 0x09
            case "pipe": separator = 0x7c
            default: break
            }
            if format == "json", let key = ["columns", "separator"].first(where: { f.has($0) }),
                let entry = f.entry(key)
            {
                reading.say(
                    "unknown-key", at: entry.keyPlace, "`\(key)` is a key of csv",
                    expected: "`format` alone", suggestion: "`format: csv`")
            }
        }
        guard format == "csv" else { return .json }
        let fields = names ?? columns.map(\.name)
        for (index, column) in columns.enumerated() {
            guard case .key(let name)? = column.path.first, column.path.count == 1,
                fields.contains(name)
            else {
                reading.say(
                    "unknown-column", at: columnPlaces[index],
                    "no field of the rows is what \(shown(column.name)) reads",
                    expected: "one of " + fields.prefix(12).joined(separator: ", "),
                    suggestion: nearest(column.name, fields).map { "`path: \($0)`" })
                continue
            }
        }
        return .csv(columns: fields, separator: separator)
    }

    private static let typeWords: [(String, ColumnType)] = [
        ("number", .number), ("integer", .integer), ("boolean", .boolean), ("category", .category),
        ("text", .text),
    ]
    private static let timeWords: [(String, TimeUnit)] = [
        ("time_s", .s), ("time_ms", .ms), ("time_us", .us), ("time_ns", .ns), ("time_text", .text),
    ]
    private static let roleWords: [(String, ColumnRole, ColumnType)] = [
        ("model", .model, .category), ("version", .version, .category),
        ("environment", .environment, .category), ("segment", .segment, .category),
        ("class", .class, .category), ("label", .label, .category), ("id", .id, .text),
        ("score", .score, .number), ("attribute", .attribute, .category),
    ]

    /// Role and type of a word.
    private func meaning(_ word: String) -> (ColumnRole, ColumnType)? {
        if let type = Self.typeWords.first(where: { $0.0 == word })?.1 { return (.feature, type) }
        if let unit = Self.timeWords.first(where: { $0.0 == word })?.1 {
            return (.time, .time(unit))
        }
        if let role = Self.roleWords.first(where: { $0.0 == word }) { return (role.1, role.2) }
        return nil
    }

    private static let wordAliases = [
        "float": "number", "double": "number", "numeric": "number", "int": "integer",
        "long": "integer", "bool": "boolean", "string": "category", "str": "category",
        "categorical": "category", "timestamp": "time_ms", "time": "time_ms", "date": "time_text",
        "datetime": "time_text", "prediction": "score", "probability": "score",
    ]

    private func sayWord(_ text: String, _ words: [String], at place: Place, what: String) {
        if text == "weight" {
            reading.say(
                "later", at: place, "weights come in a later version", expected: "another word",
                suggestion: "`attribute`, or no such column")
            return
        }
        var list = words.prefix(9).joined(separator: " ")
        if words.count > 9 { list += " …" }
        reading.say(
            "unknown-word", at: place, "\(shown(text)) is not a \(what) of a column",
            expected: list,
            suggestion: (Self.wordAliases[text.lowercased()].flatMap {
                words.contains($0) ? $0 : nil
            }
                ?? nearest(text, words)).map { "`\($0)`" })
    }

    private func readSchema(_ node: Node) {
        let countMax = 4000
        let entries = reading.named(
            node, what: "schema", item: "a word or a map", countMax: countMax)
        if node.entries?.isEmpty ?? false {
            reading.say(
                "empty-list", at: node.place, "no column is declared", expected: "at least one",
                suggestion: "`score: score`")
        }
        let allWords =
            Self.typeWords.map(\.0) + Self.roleWords.map(\.0) + Self.timeWords.map(\.0)
        var timePlace: Place?
        for entry in entries {
            var names = [entry.key]
            switch rangeNames(entry.key) {
            case .success(let range): names = range
            case .failure(let problem):
                reading.say(
                    problem.rule, at: entry.keyPlace, problem.message, expected: problem.expected)
                continue
            case nil: break
            }
            guard let template = column(entry, words: allWords) else { continue }
            if template.plan.role == .time {
                if let first = timePlace {
                    reading.say(
                        "two-times", at: entry.keyPlace,
                        "\(shown(entry.key)) is a second event time beside "
                            + "\(first.line):\(first.column)", expected: "at most one",
                        suggestion: "`attribute` for this one")
                    continue
                }
                timePlace = entry.keyPlace
            }
            guard columns.count + names.count <= countMax else {
                reading.say(
                    "too-many", at: entry.keyPlace, "more than \(countMax) columns",
                    expected: "at most \(countMax)", suggestion: nil)
                return
            }
            for name in names {
                guard Scalars.isColumnName(name) else {
                    reading.say(
                        "bad-name", at: entry.keyPlace, "\(shown(name)) can't name a column",
                        expected: "a letter, then letters, digits or _",
                        suggestion: "another name, with `path: \(name)`")
                    continue
                }
                guard !Selector.words.contains(name) else {
                    reading.say(
                        "bad-name", at: entry.keyPlace,
                        "\(shown(name)) is a word for columns: it can't name one",
                        expected: "another name",
                        suggestion: "`\(name)_: { type: …, path: \(name) }`")
                    continue
                }
                if let index = columns.firstIndex(where: { $0.name == name }) {
                    let first = columnPlaces[index]
                    reading.say(
                        "duplicate-key", at: entry.keyPlace,
                        "\(shown(name)) stands at \(first.line):\(first.column) already",
                        expected: "once", suggestion: "delete one of them")
                    continue
                }
                var column = template.plan
                column.name = name
                if !template.hasPath { column.path = [.key(name)] }
                if let range = template.range { expectedRanges[columns.count] = range }
                columns.append(column)
                columnPlaces.append(entry.keyPlace)
            }
            if names.count > 1, template.hasPath {
                reading.say(
                    "path-of-range", at: entry.keyPlace, "columns of a range can't share a path",
                    expected: "no `path`", suggestion: "a line for each column")
            }
        }
    }

    private func column(_ entry: Node.Entry, words: [String]) -> (
        plan: ColumnPlan, hasPath: Bool, range: (Double, Double)?
    )? {
        if entry.value.text != nil {
            guard let word = reading.text(entry.value) else { return nil }
            guard let (role, type) = meaning(word) else {
                sayWord(word, words, at: entry.value.place, what: "word")
                return nil
            }
            return (ColumnPlan(name: "", role: role, type: type, path: []), false, nil)
        }
        guard
            let f = reading.fields(
                entry.value, Spec.column, what: "a column", shape: "a word, or { role, type, … }")
        else { return nil }
        var role = ColumnRole.feature
        var type: ColumnType?
        if let node = f["role"] {
            guard let word = reading.text(node) else { return nil }
            if word == "feature" {
                role = .feature
            } else if let found = Self.roleWords.first(where: { $0.0 == word }) {
                (role, type) = (found.1, found.2)
            } else if let unit = Self.timeWords.first(where: { $0.0 == word })?.1 {
                (role, type) = (.time, .time(unit))
            } else {
                sayWord(
                    word, ["feature"] + Self.roleWords.map(\.0) + Self.timeWords.map(\.0),
                    at: node.place, what: "role")
                return nil
            }
        }
        if let node = f["type"] {
            guard let word = reading.text(node) else { return nil }
            if let found = Self.typeWords.first(where: { $0.0 == word })?.1 {
                let fits =
                    switch role {
                    case .feature, .attribute, .label, .class, .id: true
                    case .score: found.isNumeric
                    case .model, .version, .environment, .segment: found == .category
                    case .weight, .time: false
                    }
                guard fits else {
                    reading.say(
                        "type-of-role", at: node.place,
                        "a \(role.rawValue) can't be of type \(shown(word))",
                        expected: role == .score ? "number or integer" : "no `type`",
                        suggestion: "delete `type`")
                    return nil
                }
                type = found
            } else if let unit = Self.timeWords.first(where: { $0.0 == word })?.1,
                role == .feature, !f.has("role")
            {
                (role, type) = (.time, .time(unit))
            } else {
                sayWord(word, Self.typeWords.map(\.0), at: node.place, what: "type")
                return nil
            }
        }
        guard let type else {
            reading.say(
                "missing-key", at: entry.value.place,
                "\(shown(entry.key)) has neither type nor role",
                expected: "`type`, `role` or both", suggestion: "`type: number`")
            return nil
        }
        var plan = ColumnPlan(name: "", role: role, type: type, path: [])
        var hasPath = false
        if let node = f["path"], let text = reading.text(node) {
            guard let path = pathSteps(text, at: node.place) else { return nil }
            plan.path = path
            hasPath = true
        }
        plan.acceptText = reading.boolean(f, "accept_text") ?? false
        if plan.acceptText, !type.isNumeric, let node = f["accept_text"] {
            reading.say(
                "type-of-role", at: node.place, "`accept_text` is for numbers",
                expected: "type number or integer", suggestion: "delete it")
        }
        if let node = f["null_values"] {
            for item in reading.list(node, what: "a list of texts", countMax: 100) {
                if let text = reading.text(item) { plan.nullValues.append(text) }
            }
        }
        var range: (Double, Double)?
        if let node = f["expect"],
            let e = reading.fields(node, Spec.expect, what: "`expect`"), let node = e["range"]
        {
            let numbers = reading.list(node, what: "two numbers, [least, most]", countMax: 2)
                .compactMap { number($0) }
            if numbers.count == 2, numbers[0] < numbers[1] {
                if type.isNumeric {
                    range = (numbers[0], numbers[1])
                } else {
                    reading.say(
                        "type-of-role", at: node.place, "`range` is for numbers",
                        expected: "type number or integer", suggestion: "delete it")
                }
            } else if node.items != nil {
                reading.say(
                    "bad-range", at: node.place, "this is not a range",
                    expected: "two numbers, [least, most], the smaller first",
                    suggestion: numbers.count == 2 && numbers[0] > numbers[1]
                        ? "`[\(numberText(numbers[1])), \(numberText(numbers[0]))]`" : nil)
            }
        }
        return (plan, hasPath, range)
    }

    /// The number that a scalar holds.
    func number(_ node: Node) -> Double? {
        guard let text = reading.text(node, expected: "a number") else { return nil }
        if let value = Scalars.number(text) { return value }
        reading.say(
            "bad-number", at: node.place, "\(shown(text)) is not a number",
            expected: "a finite number", suggestion: nil)
        return nil
    }

    /// `a.b[0].c`.
    private func pathSteps(_ text: String, at place: Place) -> [PathStep]? {
        func fail(_ message: String) -> [PathStep]? {
            reading.say(
                "bad-path", at: place, message, expected: "like output.score or instances[0].age",
                suggestion: nil)
            return nil
        }
        if text == "key" || text.hasPrefix("header:") {
            reading.say(
                "later", at: place, "\(shown(text)): key and headers come in a later version",
                expected: "a place in the value", suggestion: nil)
            return nil
        }
        var steps: [PathStep] = []
        var rest = Substring(text)
        var wantsKey = true
        while !rest.isEmpty {
            if rest.first == "[" {
                guard !steps.isEmpty || wantsKey, let end = rest.firstIndex(of: "]"),
                    let index = Scalars.integer(
                        String(rest[rest.index(after: rest.startIndex)..<end])),
                    index < 1_000_000
                else { return fail("\(shown(text)) has a `[` without an index") }
                steps.append(.index(Int(index)))
                rest = rest[rest.index(after: end)...]
                wantsKey = false
                continue
            }
            if !wantsKey {
                guard rest.first == "." else { return fail("\(shown(text)) is not a path") }
                rest = rest.dropFirst()
            }
            let key = rest.prefix { $0 != "." && $0 != "[" }
            guard !key.isEmpty else { return fail("\(shown(text)) has an empty step") }
            steps.append(.key(String(key)))
            rest = rest[key.endIndex...]
            wantsKey = false
        }
        guard !steps.isEmpty, steps.count <= 32, !text.hasSuffix(".") else {
            return fail("\(shown(text)) is not a path")
        }
        return steps
    }

    // MARK: Windows and panes

    private static let windowSpec = FieldSpec(
        "windows", .duration(secondMs...weekMs), "length of a window")

    private func readWindows(_ top: Fields) {
        guard let node = top["windows"] else {
            windows = [WindowPlan(lengthMs: 5 * minuteMs, stepMs: 5 * minuteMs)]
            return
        }
        let items = reading.list(node, what: "a list of windows", orOne: true, countMax: 8)
        if node.items?.isEmpty ?? false {
            reading.say(
                "empty-list", at: node.place, "no window is given", expected: "at least one",
                suggestion: "delete the line for the default ([5m])")
        }
        for item in items {
            guard let text = reading.text(item, expected: "a window") else { continue }
            let words = text.split(separator: " ").map(String.init)
            var texts = [text]
            if words.count == 3, words[1] == "every" { texts = [words[0], words[2]] }
            var values: [Int64] = []
            for text in texts {
                guard
                    let ms = reading.scalar(
                        Node(text: text, at: item.place), Self.windowSpec, Reading.duration)
                else { break }
                values.append(ms)
            }
            guard values.count == texts.count else { continue }
            let length = values[0]
            let step = values.count > 1 ? values[1] : length
            guard step <= length, length % step == 0 else {
                var suggestions: [String] = []
                if step < length {
                    let next = (length / step + 1) * step
                    suggestions.append("`\(durationText(next)) every \(durationText(step))`")
                    let unit: Int64 = length % minuteMs == 0 ? minuteMs : secondMs
                    var divisor = min(step, length) / unit * unit
                    while divisor >= unit, length % divisor != 0 { divisor -= unit }
                    if divisor >= unit, divisor < length {
                        suggestions.append(
                            "`\(durationText(length)) every \(durationText(divisor))`")
                    }
                }
                reading.say(
                    "window-step", at: item.place,
                    "\(texts[0]) is not a multiple of \(texts.count > 1 ? texts[1] : texts[0])",
                    expected: "a step that divides the length",
                    suggestion: suggestions.isEmpty
                        ? "`\(durationText(length))`" : suggestions.joined(separator: " or "))
                continue
            }
            if windows.contains(where: { $0.lengthMs == length }) {
                reading.say(
                    "listed-twice", at: item.place,
                    "a window of \(durationText(length)) is there already",
                    expected: "lengths that differ", suggestion: "delete one of them")
                continue
            }
            if length / step > 60 {
                reading.say(
                    .note, "windows-overlap", at: item.place,
                    "each row is in \(length / step) windows: tests repeat the same rows",
                    expected: "at most 60", suggestion: "a longer step")
            }
            windows.append(WindowPlan(lengthMs: length, stepMs: step))
        }
    }

    /// A snapshot at every commit would be no bound but a burden.
    private func checkReread(_ plan: Plan, _ top: Fields) {
        let floorMs = plan.rereadFloorMs
        guard plan.limits.maxRereadMs < floorMs else { return }
        let place = (top.entry("limits") ?? top.entry("source"))?.keyPlace ?? top.place
        reading.say(
            "out-of-limits", at: place,
            "max_reread (\(durationText(plan.limits.maxRereadMs))) is less than a pane, "
                + "out_of_orderness and alignment together (\(durationText(floorMs)))",
            expected: "at least \(durationText(floorMs))",
            suggestion: "`limits: { max_reread: \(durationText(floorMs)) }`")
    }

    /// Refuses what its own words say does not fit: groups that a `limit` allows or a baseline has.
    private func checkMemory(_ plan: Plan, _ top: Fields) {
        guard !reading.hasErrors else { return }
        let estimate = MemoryEstimate(plan)
        facts.memory = estimate
        let part = plan.limits.memory.paneBytes
        let counts = plan.stream.segments.enumerated().map { index, segment in
            let fact = facts.groups.indices.contains(index) ? facts.groups[index] : (1, false)
            let count =
                fact.1
                ? fact.0 : writtenLimits[segment.name] == nil ? 1 : segment.groupCountMax
            return max(1, count, segment.keep.count)
        }
        let need = estimate.bytes(groupCounts: counts)
        guard need > part else { return }
        let largest = counts.indices.max {
            counts[$0] * estimate.groupBytes[$0] < counts[$1] * estimate.groupBytes[$1]
        }
        guard let largest else { return }
        let segment = plan.stream.segments[largest]
        // Panes and windows have about a third of the whole.
        let whole = (3 * (need >> 20) / 64 + 1) * 64
        let others = need - counts[largest] * estimate.groupBytes[largest]
        let fitting = estimate.groupCount(segment: largest, bytes: part - others)
        let limitPlace = writtenLimits[segment.name]
        reading.say(
            "memory-over-limit",
            at: limitPlace ?? top.entry("limits")?.value.place ?? top.place,
            "\(counts[largest]) groups of \(shown(segment.name)) take about"
                + " \(estimate.groupBytes[largest] >> 10) KiB each, \(max(1, need >> 20)) MiB with all"
                + " there is; panes and windows have \(part >> 20) of the"
                + " \(plan.limits.memoryBytes >> 20) MiB",
            expected: fitting > 0
                ? "at most \(fitting) groups, or a greater limits.memory"
                : "a greater limits.memory",
            suggestion: limitPlace != nil && fitting > 0
                ? "`limit: \(fitting)`" : "`limits: { memory: \(whole)MiB }`")
    }

    private func pane(_ top: Fields) -> Int64 {
        var divisor: Int64 = 0
        for window in windows {
            divisor = gcd(gcd(divisor, window.lengthMs), window.stepMs)
        }
        guard divisor > 0 else { return secondMs }
        if let ms = reading.duration(top, "pane"), let entry = top.entry("pane") {
            if divisor % ms == 0 { return ms }
            reading.say(
                "pane-step", at: entry.value.place,
                "\(durationText(ms)) does not divide every length and step of `windows`",
                expected: "a divisor of \(durationText(divisor))",
                suggestion: longestDivisor(of: divisor, upTo: ms).map { "`\(durationText($0))`" })
            return ms
        }
        if let ms = longestDivisor(of: divisor, upTo: 10 * secondMs) { return ms }
        if !top.has("pane"), let entry = top.entry("windows") {
            reading.say(
                "pane-step", at: entry.value.place,
                "the lengths and steps have no common divisor from 1s to 10s",
                expected: "whole seconds", suggestion: "round them")
        }
        return secondMs
    }

    private func longestDivisor(of value: Int64, upTo limit: Int64) -> Int64? {
        var candidate = min(limit, value)
        while candidate >= secondMs {
            if value % candidate == 0 { return candidate }
            candidate -= 1
        }
        return nil
    }

    private func gcd(_ a: Int64, _ b: Int64) -> Int64 { b == 0 ? a : gcd(b, a % b) }

    // MARK: Baselines

    private func readBaselines(_ top: Fields) {
        guard let node = top["baselines"] else { return }
        for entry in reading.named(
            node, what: "baselines", item: "a baseline, `{ file: … }`", countMax: 32)
        {
            if entry.value.isOff { continue }
            guard Scalars.isColumnName(entry.key), entry.key == entry.key.lowercased() else {
                reading.say(
                    "bad-name", at: entry.keyPlace, "\(shown(entry.key)) can't name a baseline",
                    expected: "a letter, then letters, digits or _", suggestion: nil)
                continue
            }
            if let (plan, place) = readBaseline(entry) {
                baselines.append(plan)
                baselinePlaces.append(place)
            } else {
                // Held back: what would follow from its absence.
                baselines.append(BaselinePlan(name: entry.key, path: "", contentHash: ""))
                baselinePlaces.append(entry.keyPlace)
            }
        }
    }

    private static let baselineKinds = ["file", "first", "trailing"]

    /// One baseline, about to be added to `baselines`.
    func readBaseline(_ entry: Node.Entry) -> (plan: BaselinePlan, place: Place)? {
        guard
            let f = reading.fields(
                entry.value, Spec.baseline, what: "a baseline",
                shape: "{ file: … }, { first: … } or { trailing: … }")
        else { return nil }
        let given = Self.baselineKinds.compactMap { f.entry($0) }
        guard let kind = given.first else {
            // A key that is no key at all was said already.
            let known = Spec.baseline.fields.map(\.name)
            guard entry.value.entries?.allSatisfy({ known.contains($0.key) }) ?? true else {
                return nil
            }
            reading.say(
                "missing-key", at: entry.keyPlace,
                "\(shown(entry.key)) says not where it comes from",
                expected: "one of " + Self.baselineKinds.joined(separator: ", "),
                suggestion: "`\(entry.key): { file: baselines/\(entry.key).json }`")
            return nil
        }
        guard given.count == 1 else {
            reading.say(
                "two-kinds", at: given[1].keyPlace,
                "\(shown(given[1].key)) is a second kind beside \(shown(kind.key)) "
                    + "(\(kind.keyPlace.line):\(kind.keyPlace.column))",
                expected: "one of " + Self.baselineKinds.joined(separator: ", "),
                suggestion: "two baselines")
            return nil
        }
        // Keys of another kind.
        for (key, kinds) in [
            ("skip", ["trailing"]), ("min_rows", ["first", "trailing"]),
            ("per", ["first", "trailing"]),
        ] where !kinds.contains(kind.key) {
            guard let wrong = f.entry(key) else { continue }
            reading.say(
                "misplaced-key", at: wrong.keyPlace,
                "\(shown(key)) is no key of a baseline with `\(kind.key)`",
                expected: "`\(key)` beside " + alternatives(kinds.map { "`\($0)`" }),
                suggestion: "delete it")
        }
        if let span = LearningPlan.Span(rawValue: kind.key) {
            guard let ms = reading.duration(f, kind.key) else { return nil }
            var learning = LearningPlan(span: span, lengthMs: ms)
            if let skipMs = reading.duration(f, "skip") { learning.skipMs = skipMs }
            if let rows = reading.count(f, "min_rows") { learning.minRows = rows }
            _ = reading.choice(f, "per")
            return (BaselinePlan(name: entry.key, learning: learning), kind.value.place)
        }
        guard let file = reading.string(f, "file") else { return nil }
        let path = resolved(file)
        var plan = BaselinePlan(name: entry.key, path: path, contentHash: "")
        switch load(path) {
        case .success(let summary):
            plan.contentHash = summary.contentHash
            summaries[baselines.count] = summary
        case .failure(let problem):
            reading.say(
                "baseline-unreadable", at: kind.value.place, "\(file) \(problem.message)",
                expected: "a file from `tidemark baseline build`",
                suggestion: "build it, or another path (seen from the topology's folder)")
        }
        return (plan, kind.value.place)
    }

    /// Whether a baseline holds a column; true where nothing is known of it.
    func holds(_ baseline: Int, _ column: Int) -> Bool {
        guard let summary = summaries[baseline] else { return true }
        return summary.columns.contains { $0.name == columns[column].name }
    }

    // MARK: Segments

    private func readSegments(_ top: Fields) {
        let byModel = columns.indices.filter {
            columns[$0].role == .model || columns[$0].role == .environment
        }
        func dimensions(_ indices: [Int]) -> [(name: String, column: Int)] {
            indices.map { (columns[$0].name, $0) }.sorted { $0.0 < $1.0 }
        }
        let everyWindow = Array(windows.indices)
        segments = [
            SegmentPlan(
                name: byModel.isEmpty ? "whole" : "by-model", dimensions: dimensions(byModel),
                windows: everyWindow, columns: [])
        ]
        for index in columns.indices where columns[index].role == .segment {
            let name = "by-" + columns[index].name.lowercased()
            guard !segments.contains(where: { $0.name == name }) else { continue }
            segments.append(
                SegmentPlan(
                    name: name, dimensions: dimensions([index]), windows: everyWindow, columns: []))
        }
        guard let node = top["segments"] else { return }
        for entry in reading.named(node, what: "segments", item: "a segment", countMax: 32) {
            let at = segments.firstIndex { $0.name == entry.key }
            if entry.value.isOff {
                if let at {
                    segments.remove(at: at)
                } else {
                    reading.say(
                        "unknown-segment", at: entry.keyPlace,
                        "there is no segment \(shown(entry.key)) to switch off",
                        expected: alternatives(segments.map(\.name)),
                        suggestion: nearest(entry.key, segments.map(\.name)).map { "`\($0)`" })
                }
                continue
            }
            guard Scalars.isName(entry.key) else {
                let problem = Reading.badName(
                    entry.key, "a name (a letter, then letters, digits, _ or -)")
                reading.say(
                    problem.rule, at: entry.keyPlace, problem.message, expected: problem.expected,
                    suggestion: problem.suggestion)
                continue
            }
            guard let f = reading.fields(entry.value, Spec.segment, what: "a segment") else {
                continue
            }
            var segment =
                at.map { segments[$0] }
                ?? SegmentPlan(name: entry.key, dimensions: [], windows: everyWindow, columns: [])
            if let by = f["by"] {
                segment.dimensions = readDimensions(by)
            } else if at == nil {
                reading.say(
                    "missing-key", at: entry.value.place,
                    "segment \(shown(entry.key)) does not say what makes a group",
                    expected: "`by: [ … ]`", suggestion: "`by: []` for one group of all rows")
            }
            if let condition = f["where"], !columns.isEmpty,
                let read = ExpressionReader.condition(
                    condition, what: "`where`", columns: columns, reading: reading)
            {
                segment.condition = read.expression
                used.formUnion(read.columns)
            }
            if let limit = reading.count(f, "limit") {
                segment.groupCountMax = Int(limit)
                writtenLimits[entry.key] = f["limit"]?.place
            }
            if let list = f["windows"] { segment.windows = readWindowNames(list) ?? everyWindow }
            if let selector = f["columns"],
                let picked = Selector.read(selector, columns: columns, reading: reading)
            {
                segment.columns = picked.picked
                narrowed.insert(entry.key)
            }
            if let keep = f["keep"] { segment.keep = readKeep(keep, segment) }
            if segment.keep.count > segment.groupCountMax, let keep = f["keep"] {
                reading.say(
                    "out-of-limits", at: keep.place,
                    "\(segment.keep.count) groups to keep, but a limit of \(segment.groupCountMax)",
                    expected: "at most the limit", suggestion: "a greater `limit`")
            }
            if let at { segments[at] = segment } else { segments.append(segment) }
        }
        if segments.count > 32 {
            reading.say(
                "too-many", at: node.place, "\(segments.count) segments", expected: "at most 32")
        }
        if segments.isEmpty {
            reading.say(
                "nothing-watched", at: node.place, "no segment is left", expected: "at least one",
                suggestion: "`whole: { by: [] }`")
        }
    }

    /// Segments that say how many groups they keep, and where.
    private var writtenLimits: [String: Place] = [:]
    /// Segments that say which columns they watch.
    private var narrowed: Set<String> = []

    private func readDimensions(_ node: Node) -> [(name: String, column: Int)] {
        if node.entries != nil {
            reading.say(
                "later", at: node.place, "groups by expression come in a later version",
                expected: "a list of columns", suggestion: nil)
            return []
        }
        var found: [(name: String, column: Int)] = []
        for item in reading.list(
            node, what: "a list of at most 6 columns", orOne: true, countMax: 6)
        {
            guard let name = reading.text(item, expected: "a column") else { continue }
            guard let index = columns.firstIndex(where: { $0.name == name }) else {
                Selector.sayUnknown(name, at: item.place, columns, reading)
                continue
            }
            guard columns[index].type == .category || columns[index].type == .boolean else {
                reading.say(
                    "not-a-dimension", at: item.place,
                    "\(shown(name)) is \(Self.article(columns[index].type)): it can't make groups",
                    expected: "a category or boolean column",
                    suggestion: "declare it as `segment`")
                continue
            }
            if found.contains(where: { $0.column == index }) {
                reading.say(
                    "listed-twice", at: item.place, "\(shown(name)) is in the list already",
                    expected: "once", suggestion: "delete it")
                continue
            }
            found.append((name, index))
        }
        return found.sorted { $0.name < $1.name }
    }

    static func article(_ type: ColumnType) -> String {
        switch type {
        case .number: "a number"
        case .integer: "an integer"
        case .boolean: "a boolean"
        case .category: "a category"
        case .text: "text"
        case .time: "the event time"
        }
    }

    /// Windows of the stream by their lengths.
    func readWindowNames(_ node: Node) -> [Int]? {
        var found: Set<Int> = []
        let lengths = windows.map { durationText($0.lengthMs) }
        for item in reading.list(node, what: "a list of window lengths", orOne: true, countMax: 8) {
            guard let ms = reading.scalar(item, Self.windowSpec, Reading.duration) else {
                return nil
            }
            guard let index = windows.firstIndex(where: { $0.lengthMs == ms }) else {
                // Wrong windows above are said there.
                if !windows.isEmpty {
                    reading.say(
                        "unknown-window", at: item.place, "no window of \(durationText(ms))",
                        expected: alternatives(lengths),
                        suggestion: lengths.first.map { "`\($0)`, or add it to `windows`" })
                }
                return nil
            }
            found.insert(index)
        }
        if found.isEmpty {
            if node.items?.isEmpty ?? false {
                reading.say(
                    "empty-list", at: node.place, "no window is named", expected: "at least one",
                    suggestion: "delete the line for all")
            }
            return nil
        }
        return found.sorted()
    }

    private func readKeep(_ node: Node, _ segment: SegmentPlan) -> [[String]] {
        var keep: [[String]] = []
        for item in reading.list(node, what: "a list of maps column → value", countMax: 100_000) {
            guard let entries = item.entries else {
                reading.say(
                    "not-a-map", at: item.place, "\(reading.describe(item)) stands here",
                    expected: "a map column → value", suggestion: nil)
                continue
            }
            for entry in entries where !segment.dimensions.contains(where: { $0.name == entry.key })
            {
                reading.say(
                    "unknown-column", at: entry.keyPlace,
                    "\(shown(entry.key)) makes no group of this segment",
                    expected: alternatives(segment.dimensions.map(\.name)), suggestion: nil)
            }
            var values: [String] = []
            for dimension in segment.dimensions {
                guard let entry = entries.first(where: { $0.key == dimension.name }) else {
                    reading.say(
                        "missing-key", at: item.place, "the group has no `\(dimension.name)`",
                        expected: "a value for each of "
                            + segment.dimensions.map(\.name).joined(separator: ", "),
                        suggestion: nil)
                    continue
                }
                if let text = reading.text(entry.value) { values.append(text) }
            }
            if values.count == segment.dimensions.count { keep.append(values) }
        }
        return keep
    }

    /// Gives every segment its columns: those it names, else all that are watched.
    private func watchNamed() {
        let watched = columns.indices.filter {
            Selector.isWatched(columns[$0].role) || named.contains($0)
        }
        for index in segments.indices where !narrowed.contains(segments[index].name) {
            segments[index].columns = watched
        }
    }

    // MARK: Summaries

    private func summaryRules(_ top: Fields) -> [(columns: [Int], fields: Fields)] {
        guard let node = top["summaries"] else { return [] }
        var rules: [(columns: [Int], fields: Fields)] = []
        for item in reading.list(node, what: "a list of rules", countMax: 64) {
            guard let f = reading.fields(item, Spec.summary, what: "a rule of `summaries`"),
                let selector = f["columns"],
                let picked = Selector.read(selector, columns: columns, reading: reading)
            else { continue }
            named.formUnion(picked.named)
            rules.append((picked.picked, f))
        }
        return rules
    }

    func equalEdges(_ from: Double, _ to: Double, _ bins: Int) -> [Double] {
        (0...bins).map { $0 == bins ? to : from + (to - from) * Double($0) / Double(bins) }
    }

    private func summarise(_ rules: [(columns: [Int], fields: Fields)]) {
        let watched = Set(segments.flatMap(\.columns))
        for index in watched {
            var summary = ColumnSummary()
            switch columns[index].type {
            case .number, .integer:
                summary.moments = true
                summary.range = true
                summary.quantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
                let files = baselines.indices.filter { baselines[$0].learning == nil }
                if files.count == 1, let known = summaries[files[0]],
                    known.columns.contains(where: { $0.name == columns[index].name && $0.isNumeric }
                    )
                {
                    summary.histogram = .baseline(files[0])
                } else if let (from, to) = expectedRanges[index] {
                    summary.histogram = .edges(equalEdges(from, to, 20))
                }
            case .category, .boolean:
                summary.distinctLgK = 12
                summary.topCount = 10
            case .text, .time: break
            }
            columns[index].summary = summary
        }
        for rule in rules { apply(rule.fields, to: rule.columns.filter(watched.contains)) }
    }

    private func applyExtras(_ f: Fields, _ numbers: [Int], _ texts: [Int]) {
        if let value = reading.boolean(f, "shape") {
            for index in numbers { columns[index].summary.shape = value }
        }
        if let value = reading.boolean(f, "log_linear") {
            for index in numbers { columns[index].summary.logLinear = value }
        }
        if f.isOff("decay") {
            for index in numbers { columns[index].summary.halfLifeMs = nil }
        } else if let ms = reading.duration(f, "decay") {
            for index in numbers { columns[index].summary.halfLifeMs = ms }
        }
        if f.isOff("counts") {
            for index in texts { columns[index].summary.valueCountMax = nil }
        } else if let count = reading.count(f, "counts") {
            for index in texts { columns[index].summary.valueCountMax = Int(count) }
        }
        if f.isOff("sample") {
            for index in numbers { columns[index].summary.sampleCount = nil }
        } else if let count = reading.count(f, "sample") {
            for index in numbers { columns[index].summary.sampleCount = Int(count) }
            if topicCount > 1, let entry = f.entry("sample") {
                reading.say(
                    "type-of-role", at: entry.keyPlace,
                    "rows are named by partition and offset, and there are \(topicCount) topics",
                    expected: "one topic", suggestion: "delete it")
            }
        }
        applyCorrelation(f, numbers)
    }

    private func applyCorrelation(_ f: Fields, _ numbers: [Int]) {
        let isOff = f.isOff("correlation")
        guard isOff || f["correlation"] != nil else { return }
        if isOff || reading.boolean(f, "correlation") == false {
            correlations = correlations.compactMap { list in
                let rest = list.filter { !numbers.contains($0) }
                return rest.count > 1 ? rest : nil
            }
        } else if 2...64 ~= numbers.count {
            correlations.append(numbers.sorted())
        } else if let entry = f.entry("correlation") {
            reading.say(
                "out-of-range", at: entry.keyPlace,
                "`correlation` of \(numbers.count) number\(numbers.count == 1 ? "" : "s")",
                expected: "2 to 64 columns that are numbers",
                suggestion: "`columns: [age, score]`")
        }
    }

    private func apply(_ f: Fields, to indices: [Int]) {
        let numbers = indices.filter { columns[$0].type.isNumeric }
        let texts = indices.filter {
            columns[$0].type == .category || columns[$0].type == .boolean
        }
        func needs(_ found: [Int], _ key: String, _ what: String) {
            guard found.isEmpty, let entry = f.entry(key), !indices.isEmpty, !entry.value.isOff
            else {
                return
            }
            reading.say(
                "type-of-role", at: entry.keyPlace, "`\(key)` is for \(what); this rule has none",
                expected: "columns that are \(what)", suggestion: "delete it")
        }
        needs(numbers, "histogram", "numbers")
        needs(numbers, "quantiles", "numbers")
        needs(texts, "distinct", "categories")
        needs(texts, "top", "categories")
        needs(texts, "counts", "categories")
        for key in ["shape", "log_linear", "decay", "sample", "correlation"] {
            needs(numbers, key, "numbers")
        }
        applyExtras(f, numbers, texts)
        if let value = reading.boolean(f, "moments") {
            for index in numbers { columns[index].summary.moments = value }
        }
        if let value = reading.boolean(f, "range") {
            for index in numbers { columns[index].summary.range = value }
        }
        if f.isOff("top") {
            for index in texts { columns[index].summary.topCount = nil }
        } else if let count = reading.count(f, "top") {
            for index in texts { columns[index].summary.topCount = Int(count) }
        }
        if let node = f["distinct"] {
            if node.isOff {
                for index in texts { columns[index].summary.distinctLgK = nil }
            } else if let d = reading.fields(
                node, Spec.distinct, what: "`distinct`",
                shape: "{ sketch, lg_k, registers }, or off")
            {
                _ = reading.choice(d, "sketch")
                let lgK = reading.count(d, "lg_k")
                let bits = reading.choice(d, "registers").flatMap { Int($0) }
                for index in texts {
                    if let bits { columns[index].summary.registerBits = bits }
                    columns[index].summary.distinctLgK =
                        lgK.map(Int.init) ?? columns[index].summary.distinctLgK ?? 12
                }
            }
        }
        if let node = f["quantiles"] { applyQuantiles(node, to: numbers) }
        if let node = f["histogram"] { applyHistogram(node, to: numbers) }
    }

    private func applyQuantiles(_ node: Node, to numbers: [Int]) {
        if node.isOff {
            for index in numbers { columns[index].summary.quantiles = [] }
            return
        }
        guard
            let q = reading.fields(
                node, Spec.quantiles, what: "`quantiles`",
                shape: "{ at, sketch, k, relative_error }, or off")
        else { return }
        let sketch = reading.choice(q, "sketch").flatMap { QuantileSketch(rawValue: $0) }
        let error = reading.share(q, "relative_error")
        if let entry = q.entry("relative_error"), sketch != .ddsketch {
            reading.say(
                "type-of-role", at: entry.keyPlace, "`relative_error` is for ddsketch",
                expected: "`sketch: ddsketch` beside it", suggestion: "delete it, or say `k`")
        } else if let error, error < 0.0001, let entry = q.entry("relative_error") {
            reading.say(
                "out-of-range", at: entry.value.place, "below 0.01% a ddsketch has no use",
                expected: "0.01% to 50%", suggestion: "`1%`")
        }
        var at: [Double]?
        if let list = q["at"] {
            var ranks: Set<Double> = []
            let spec = FieldSpec("at", .share(max: 1), "ranks")
            for item in reading.list(list, what: "a list of shares", orOne: true, countMax: 100) {
                if let rank = reading.scalar(item, spec, { text, _ in Scalars.share(text, max: 1) })
                {
                    ranks.insert(rank)
                }
            }
            if list.items?.isEmpty ?? false {
                reading.say(
                    "empty-list", at: list.place, "no quantile is named", expected: "at least one",
                    suggestion: "`quantiles: off`")
            }
            at = ranks.sorted()
        }
        let k = reading.count(q, "k")
        for index in numbers {
            if let at {
                columns[index].summary.quantiles = at
            } else if columns[index].summary.quantiles.isEmpty {
                columns[index].summary.quantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
            }
            if let k { columns[index].summary.kllK = Int(k) }
            if let sketch { columns[index].summary.quantileSketch = sketch }
            if let error, error >= 0.0001 { columns[index].summary.relativeError = error }
        }
    }

    private func applyHistogram(_ node: Node, to numbers: [Int]) {
        if node.isOff {
            for index in numbers { columns[index].summary.histogram = nil }
            return
        }
        guard
            let h = reading.fields(
                node, Spec.histogram, what: "`histogram`", shape: "{ edges, bins }, or off")
        else { return }
        let bins = reading.count(h, "bins").map(Int.init)
        guard let edges = h["edges"] else {
            for index in numbers {
                if let bins, case .baseline(let baseline) = columns[index].summary.histogram {
                    checkBins(bins, index, baseline, at: h["bins"]?.place ?? node.place)
                } else if let (from, to) = expectedRanges[index] {
                    columns[index].summary.histogram = .edges(equalEdges(from, to, bins ?? 20))
                } else if columns[index].summary.histogram == nil {
                    reading.say(
                        "edges-missing", at: node.place,
                        "nothing says where the bins of \(shown(columns[index].name)) lie",
                        expected: "`edges`", suggestion: "`edges: { from: 0, to: 1 }`")
                    return
                }
            }
            return
        }
        if edges.items != nil {
            let list = reading.list(edges, what: "a list of numbers", countMax: 257).compactMap(
                number)
            guard list.count == edges.items?.count else { return }
            guard list.count >= 3, zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) else {
                reading.say(
                    "bad-edges", at: edges.place, "these are not edges of bins",
                    expected: "at least 3 numbers, each greater than the one before",
                    suggestion: nil)
                return
            }
            if let bins, bins != list.count - 1, let place = h["bins"]?.place {
                reading.say(
                    "bins-differ", at: place, "the edges make \(list.count - 1) bins",
                    expected: "\(list.count - 1)", suggestion: "delete `bins`")
            }
            for index in numbers { columns[index].summary.histogram = .edges(list) }
            return
        }
        if let entries = edges.entries {
            for entry in entries where entry.key != "from" && entry.key != "to" {
                reading.say(
                    "unknown-key", at: entry.keyPlace,
                    "\(shown(entry.key)) is not a key of `edges`",
                    expected: "from, to",
                    suggestion: nearest(entry.key, ["from", "to"]).map { "`\($0)`" })
            }
            guard let from = edges["from"], let to = edges["to"] else {
                reading.say(
                    "missing-key", at: edges.place, "`edges` has not both ends",
                    expected: "{ from, to }", suggestion: "`{ from: 0, to: 1 }`")
                return
            }
            guard let low = number(from), let high = number(to) else { return }
            guard low < high, (high - low).isFinite else {
                reading.say(
                    "bad-edges", at: to.place, "`to` is not greater than `from`",
                    expected: "above \(numberText(low))", suggestion: nil)
                return
            }
            for index in numbers {
                columns[index].summary.histogram = .edges(equalEdges(low, high, bins ?? 20))
            }
            return
        }
        guard let name = reading.text(edges, expected: "a baseline, a list or { from, to }") else {
            return
        }
        if name == "universal" {
            reading.say(
                "later", at: edges.place, "universal edges come in a later version",
                expected: "a baseline, a list of numbers, or { from, to }", suggestion: nil)
            return
        }
        guard let baseline = baseline(name, at: edges.place) else { return }
        guard baselines[baseline].learning == nil else {
            reading.say(
                "edges-missing", at: edges.place,
                "\(shown(name)) is learned: it counts in bins, and brings none",
                expected: "a baseline from a file, a list of numbers, or { from, to }",
                suggestion: "`{ from: 0, to: 1 }`")
            return
        }
        for index in numbers {
            guard holds(baseline, index) else {
                reading.say(
                    "edges-missing", at: edges.place,
                    "\(Self.fileName(baselines[baseline].path)) has no \(shown(columns[index].name))",
                    expected: "every column of this rule",
                    suggestion: "build it again, or other edges")
                continue
            }
            if let bins { checkBins(bins, index, baseline, at: h["bins"]?.place ?? edges.place) }
            columns[index].summary.histogram = .baseline(baseline)
        }
    }

    private func checkBins(_ bins: Int, _ column: Int, _ baseline: Int, at place: Place) {
        guard
            let known = summaries[baseline]?.columns.first(where: {
                $0.name == columns[column].name
            }),
            known.cellCount != bins
        else { return }
        reading.say(
            .warning, "bins-differ", at: place,
            "\(Self.fileName(baselines[baseline].path)) has \(known.cellCount) bins for "
                + "\(shown(columns[column].name)), which are used",
            expected: "\(known.cellCount)", suggestion: "delete `bins`")
    }

    static func fileName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// The baseline of a name; `nil` after saying that there is none.
    func baseline(_ name: String, at place: Place) -> Int? {
        if let index = baselines.firstIndex(where: { $0.name == name }) { return index }
        reading.say(
            "unknown-baseline", at: place, "no baseline \(shown(name))",
            expected: baselines.isEmpty ? "a baseline" : alternatives(baselines.map(\.name)),
            suggestion: (nearest(name, baselines.map(\.name))
                ?? (baselines.count == 1 ? baselines[0].name : nil)).map { "`\($0)`" }
                ?? (baselines.isEmpty ? "declare it in `baselines`" : nil))
        return nil
    }
}
