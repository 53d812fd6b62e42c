import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What is read, and when it is complete.
enum SourcePart {
    private static let usual = SourcePlan(topics: [])
    static let topic = KeySpec(
        "topic", .text(lengthMax: 249), "a Kafka topic; or topics, or file")
    static let topics = KeySpec(
        "topics", .list("a list of at most 64 topics"), "topics of one schema")
    static let file = Key("file", ValueType.path.optional, "NDJSON; `-` is standard input")
    static let start = Setting(
        "start", \SourcePlan.start, .start, usual: usual, "where a new application begins")
    static let isolation = Setting(
        "isolation", \SourcePlan.isolationCommitted,
        .choice([("committed", true), ("uncommitted", false)]), usual: usual,
        "which records are read")
    /// Its shape depends on which formats there are.
    static func decode(_ formats: [String]) -> KeySpec {
        let keys = DecodePart.part.keys.map(\.name)
        return KeySpec(
            "decode",
            .any(
                "\(alternatives(Formats.all.map { $0.name })), or { \(keys.joined(separator: ", ")) }"
            ), says: Formats.all[0].name,
            shape: .either([.literals(formats), .part("decode")]), "encoding of a record")
    }
    static let schema = KeySpec(
        "schema", .map("a map column → word"), required: true,
        shape: .names(.either([.words(ColumnWords.all), .part("column")])),
        "the columns that are read")
    static let outOfOrderness = Setting(
        "out_of_orderness", \SourcePlan.outOfOrdernessMs, .duration(0...hourMs), usual: usual,
        json: "out_of_orderness_ms", "watermark = greatest event time − this")
    static let skew = Setting(
        "skew", \SourcePlan.skewMs, .duration(secondMs...dayMs), usual: usual, json: "skew_ms",
        "a row further ahead of the clock is quarantined")
    static let clock = KeySpec(
        "clock", .any("record, file or a time"), says: "record",
        "the clock that `skew` is measured against")
    static let idle = Setting(
        "idle", \SourcePlan.idleMs, ValueType.duration(2 * secondMs...weekMs).orOff, usual: usual,
        json: "idle_ms", "a partition quiet this long does not hold up the others")
    static let hold = Setting(
        "hold", \SourcePlan.holdMs, ValueType.duration(2 * secondMs...weekMs).orOff, usual: usual,
        "a partition whose end can't be seen holds up the others this long")
    static let alignment = Setting(
        "alignment", \SourcePlan.alignmentMs, ValueType.duration(0...weekMs).orOff, usual: usual,
        json: "alignment_ms", "partitions further ahead of the slowest are paused")
    static let fetchWait = Setting(
        "fetch_wait", \SourcePlan.fetchWaitMs, .duration(0...secondMs), usual: usual,
        says: "a hundredth of the shortest step, at most 50ms", json: "fetch_wait_ms",
        "a broker collects this long before it answers; 0: it answers at once")

    static let weight = Setting(
        "weight", \SourcePlan.weight, .number(1e-9...1e9), usual: usual, json: "weight",
        "rows that each row stands for, in a sample (10 of a tenth): metrics count so many")

    /// The part, if these are the formats of records.
    static func part(formats: [String]) -> PartSpec {
        PartSpec(
            "source", path: "source", "what is read, and when it is complete",
            [
                topic, topics, file, start, isolation, decode(formats), schema, outOfOrderness,
                skew, clock, idle, hold, alignment, fetchWait, weight,
                KeySpec.later("keyed_by", "equal values share a partition"),
                KeySpec.later("schema_from", "columns from a file"),
            ],
            example: "source: { topic: predictions.churn, schema: { ts: time_ms, score: score } }")
    }

    /// What was read of a source.
    struct Source {
        var plan = SourcePlan(topics: [])
        /// Its columns.
        var schema = Schema()
        /// `fetch_wait` was given, and is not derived from the windows.
        var hasFetchWait = false
        /// Where `weight` stands; `nil`: nowhere.
        var weightPlace: Place?
    }

    /// Reads the source and its columns; `part` has its keys.
    static func read(
        _ top: Fields, part: PartSpec, expect: ExpectPart, path: TopologyPath
    ) -> Source {
        var source = Source()
        guard let f = top.part(TopologyPart.source, part) else { return source }
        checkOneSource(f)
        if let topic = f.topic(topic) { source.plan.topics = [topic] }
        if let list = f[topics] { source.plan.topics += readTopics(list, top.reading) }
        if let file = f.value(file) {
            source.plan.file = path.resolved(file)
            source.plan.topics = []
            source.plan.clock = .file
        }
        f.read([start, isolation, outOfOrderness, skew, weight], into: &source.plan)
        readClock(f, &source.plan)
        readPatience(f, &source.plan)
        source.hasFetchWait = fetchWait.read(f, &source.plan)
        source.weightPlace = f.entry(weight)?.keyPlace
        if let schema = f[schema] {
            source.schema = ColumnPart.readSchema(schema, expect, top.reading)
        }
        if let node = f[decode([])] {
            source.plan.encoding = DecodePart.read(node, &source.schema, top.reading)
        }
        return source
    }

    /// How many rows a row stands for, once all columns are known; reported where that is said twice.
    static func weight(of source: Source, _ reading: Reading) -> RowWeight? {
        let schema = source.schema
        let columns = schema.columns.indices.filter { schema.columns[$0].role == .weight }
        let places = columns.map { schema.places[$0] } + [source.weightPlace].compactMap(\.self)
        for place in places.dropFirst() {
            reading.say(
                "two-weights", at: place,
                "this is a second weight of rows, after "
                    + "\(places[0].line):\(places[0].column)", expected: "at most one",
                suggestion: "`attribute` for another column, or no `source.weight`")
        }
        return columns.first.map { .column($0) }
            ?? (source.plan.weight == 1 ? nil : .each(source.plan.weight))
    }

    /// Exactly one of topic, topics and file must be given.
    private static func checkOneSource(_ f: Fields) {
        let given = [f.entry(topic), f.entry(topics), f.entry(file)].compactMap(\.self)
        if given.isEmpty {
            f.reading.say(
                "missing-key", at: f.place, "`source` does not say what to read",
                expected: "one of topic, topics, file", suggestion: "`topic: predictions.churn`")
        } else if given.count > 1 {
            f.reading.say(
                "two-sources", at: given[1].keyPlace,
                "\(shown(given[1].key)) is a second source, after \(shown(given[0].key))",
                expected: "one of topic, topics, file", suggestion: "delete one of them")
        }
    }

    /// The topics of a list, each once.
    private static func readTopics(_ list: Node, _ reading: Reading) -> [String] {
        var topics: [String] = []
        var seen: Set<String> = []
        for item in reading.list(
            list, what: "a list of at most 64 topics", orOne: true, countMax: 64)
        {
            guard let text = reading.text(item, expected: "a topic"),
                let topic = reading.topic(text, at: item.place)
            else { continue }
            if seen.insert(topic).inserted {
                topics.append(topic)
            } else {
                reading.say(
                    "listed-twice", at: item.place, "\(shown(topic)) is already in the list",
                    expected: "once", suggestion: "delete it")
            }
        }
        if list.items?.isEmpty ?? false {
            reading.say(
                "empty-list", at: list.place, "no topic is named", expected: "at least one",
                suggestion: nil)
        }
        return topics
    }

    /// The reference clock.
    private static func readClock(_ f: Fields, _ plan: inout SourcePlan) {
        guard let node = f[clock], let text = f.reading.text(node) else { return }
        if text == "record", plan.file == nil {
            plan.clock = .record
        } else if text == "file", plan.file != nil {
            plan.clock = .file
        } else if let ms = Scalars.time(text) {
            plan.clock = .time(ms: ms)
        } else {
            let isWord = text == "record" || text == "file"
            f.reading.say(
                "bad-clock", at: node.place,
                isWord
                    ? "`\(text)` is the clock of another source" : "\(shown(text)) is not a clock",
                expected:
                    "\(plan.file == nil ? "record" : "file"), or a time like 2026-01-31T12:00:00Z",
                suggestion: "delete the line for the default")
        }
    }

    /// How long partitions are waited for; how far they are out of order is known.
    private static func readPatience(_ f: Fields, _ plan: inout SourcePlan) {
        f.read([idle, hold], into: &plan)
        let isGiven = alignment.read(f, &plan)
        guard let ms = plan.alignmentMs else { return }
        guard isGiven, let node = f[alignment] else {
            plan.alignmentMs = max(ms, plan.outOfOrdernessMs)
            return
        }
        if ms < plan.outOfOrdernessMs {
            f.reading.say(
                "out-of-limits", at: node.place,
                "\(durationText(ms)) is less than out_of_orderness "
                    + "(\(durationText(plan.outOfOrdernessMs)))",
                expected: "at least \(durationText(plan.outOfOrdernessMs))",
                suggestion: "`\(durationText(plan.outOfOrdernessMs))`")
        }
    }

    /// What the plan's JSON says of a source.
    static func facts(_ plan: SourcePlan) -> JSONValue {
        let times = [outOfOrderness, skew, idle, alignment, fetchWait]
        return .object(
            [
                ("topics", .texts(plan.topics)), ("file", .maybe(plan.file)),
                ("decode", DecodePart.facts(plan.encoding)),
            ] + times.compactMap { $0.fact(plan) }
                + (plan.weight == 1 ? [] : [weight.fact(plan)].compactMap(\.self)))
    }
}

extension ValueType where Value == SourcePlan.Start {
    /// Where an application without committed positions begins.
    fileprivate static var start: ValueType {
        let words: [(String, SourcePlan.Start)] = [
            ("committed", .committed), ("earliest", .earliest), ("latest", .latest),
        ]
        return ValueType(
            .any("committed, earliest, latest or a time"),
            parse: { text, _ in
                if let word = words.first(where: { $0.0 == text }) { return .success(word.1) }
                if let ms = Scalars.time(text) { return .success(.time(ms: ms)) }
                return .failure(
                    ScalarProblem(
                        rule: "bad-time", message: "\(shown(text)) is not a start",
                        expected: "committed, earliest, latest or a time like 2026-01-31T12:00:00Z",
                        suggestion: nearest(text, words.map(\.0)).map { "`\($0)`" }))
            },
            text: { value in words.first { $0.1 == value }?.0 },
            json: { value in .maybe(words.first { $0.1 == value }?.0) })
    }
}
