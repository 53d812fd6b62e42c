import TidemarkLanguage

extension PartSpec {
    /// A part with these keys, whatever their types.
    init(
        _ name: String, path: String, _ summary: String, _ keys: [any TopologyKey], example: String
    ) {
        self.init(name, path: path, summary, keys.map(\.spec), example: example)
    }
}

/// The top level of a topology.
enum TopologyPart {
    static let language = Key(
        "language", ValueType<Int>.count(1...1), usual: 1, "version of this language")
    static let name = Key(
        "name", ValueType.name.optional, required: true, "the topology; prefix of output topics")
    static let app = Key(
        "app", ValueType.name.optional, says: "the name",
        "consumer group, transactional id, prefix of state")
    static let owner = Key(
        "owner", ValueType.text(lengthMax: 1024).optional, "whom to ask; carried in alerts")
    static let description = Key(
        "description", ValueType.text(lengthMax: 1024).optional, "carried in alerts")
    static let labels = KeySpec(
        "labels", .map("a map name → text"), says: "{}", "carried in alerts")
    static let kafka = KeySpec(
        "kafka", .map("a map"), says: "{}", shape: .part("kafka"), "how the cluster is reached")
    static let source = KeySpec(
        "source", .map("a map"), required: true, shape: .part("source"), "what is read")
    static let filter = KeySpec(
        "filter", .condition, says: "keep all", "only rows for which it is true are counted")
    static let derive = KeySpec(
        "derive", .map("a map column → expression"), says: "{}",
        shape: .names(.either([.key(DerivePart.value), .part("derive")])),
        "new columns, computed of others; watched like those that are read")
    static let segments = KeySpec(
        "segments", .map("a map name → segment"), says: "by model, by each segment column",
        shape: .names(.either([.part("segment"), .off])), "ways to slice the rows")
    static let metrics = KeySpec(
        "metrics", .map("a map name → expression over aggregates"), says: "{}",
        "numbers of each group and window, published and watched like columns")
    static let windows = KeySpec(
        "windows", .list("a list of windows"), says: WindowPart.usualText,
        "`5m`, or `15m every 5m`")
    static let pane = Key(
        "pane", ValueType.duration(secondMs...minuteMs).optional,
        says: "the longest divisor up to \(durationText(WindowPart.paneMsMax))",
        "rows are folded and read again in pieces of this length")
    static let summaries = KeySpec(
        "summaries", .list("a list of rules"), says: "[]", shape: .list(.part("summary")),
        "what is kept of a column, later rules win")
    static let baselines = KeySpec(
        "baselines", .map("a map name → baseline"), says: "{}",
        shape: .names(.either([.part("baseline"), .off])), "what windows are compared with")
    /// Its shape depends on which kinds of monitors there are.
    static func monitors(_ kinds: [String]) -> KeySpec {
        KeySpec(
            "monitors", .map("a map name → monitor"), says: "drift of all",
            shape: .names(.either(kinds.map { .part($0) } + [.off])), "what is alerted on")
    }
    static let monitors = monitors([])
    static let budget = KeySpec(
        "budget", .map("a map"), says: "{}", shape: .part("budget"),
        "how many false alerts are expected")
    static let alerts = KeySpec(
        "alerts", .map("a map"), says: "{}", shape: .part("alerts"), "what monitors have in common")
    static let outputs = KeySpec(
        "outputs", .map("a map"), says: "{}", shape: .part("outputs"), "topics that are written")
    static let limits = KeySpec(
        "limits", .map("a map"), says: "{}", shape: .part("limits"), "what is never exceeded")
    static let run = KeySpec(
        "run", .map("a map"), says: "{}", shape: .part("run"), "how it is run")

    /// The top level, if these are the kinds of monitors.
    static func part(monitorKinds: [String]) -> PartSpec {
        PartSpec(
            "topology", path: "", "a stream, and what is watched on it",
            [
                language, name, app, owner, description, labels, kafka, source, filter, derive,
                segments,
                windows, pane, summaries, baselines, monitors(monitorKinds), budget, alerts,
                outputs, limits, run, metrics,
                KeySpec.later("include", "fragments of other files"),
                KeySpec.later("parameters", "names for values"),
                KeySpec.later("templates", "streams with holes"),
                KeySpec.later("streams", "several streams in one topology"),
                KeySpec.later("lint", "rules silenced with a reason"),
                KeySpec.later("tests", "cases with expected alerts"),
            ],
            example:
                "name: churn\nsource: { topic: predictions.churn, schema: { ts: time_ms, score: score } }"
        )
    }
}
