import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What windows are compared with: those of `baselines:`, and monitors' own behind them.
struct Baselines {
    private(set) var plans: [BaselinePlan] = []
    /// By place of the baseline: where it is declared.
    private(set) var places: [Place] = []
    /// The summaries of files that could be read, by place of the baseline.
    private(set) var summaries: [Int: BaselineSummary] = [:]
    /// Those of `baselines:`.
    private(set) var declaredCount = 0

    /// Adds a baseline of the topology.
    mutating func declare(_ read: BaselinePart.Baseline) {
        _ = add(read)
        declaredCount = plans.count
    }

    /// Adds a baseline that belongs to a monitor.
    ///
    /// - Returns: its place.
    mutating func add(_ read: BaselinePart.Baseline) -> Int {
        if let summary = read.summary { summaries[plans.count] = summary }
        plans.append(read.plan)
        places.append(read.place)
        return plans.count - 1
    }

    /// Sets how many rows a learned baseline needs.
    mutating func setMinRows(_ rows: Int64, of baseline: Int) {
        guard var learning = plans[baseline].learning else { return }
        // Those of all groups together are not those of one.
        learning.minRows = rows
        plans[baseline] = BaselinePlan(name: plans[baseline].name, learning: learning)
    }

    /// Whether a baseline holds a column; true where nothing is known of it.
    func holds(_ baseline: Int, _ column: ColumnPlan) -> Bool {
        guard let summary = summaries[baseline] else { return true }
        return summary.columns.contains { $0.name == column.name }
    }

    /// What a file has of a column.
    func column(_ name: String, of baseline: Int) -> BaselineSummary.Column? {
        summaries[baseline]?.columns.first { $0.name == name }
    }

    /// The file's name, without its folders.
    func fileName(_ baseline: Int) -> String {
        let path = plans[baseline].path
        return path.split(separator: "/").last.map(String.init) ?? path
    }

    /// The baseline of a name; `nil` after saying that there is none.
    func named(_ name: String, at place: Place, _ reading: Reading) -> Int? {
        let names = plans.map(\.name)
        if let index = names.firstIndex(of: name) { return index }
        reading.say(
            "unknown-baseline", at: place, "no baseline \(shown(name))",
            expected: names.isEmpty ? "a baseline" : alternatives(names),
            suggestion: (nearest(name, names) ?? (names.count == 1 ? names[0] : nil))
                .map { "`\($0)`" } ?? (names.isEmpty ? "declare it in `baselines`" : nil))
        return nil
    }

    /// A name for the own baseline of a monitor: the monitor's, made unique.
    func ownName(of monitor: String) -> String {
        var name = String(monitor.map { $0 == "-" ? "_" : $0 })
        while plans.contains(where: { $0.name == name }) { name += "_own" }
        return name
    }
}

/// What windows are compared with.
enum BaselinePart {
    private static let usual = LearningPlan(span: .trailing, lengthMs: 0)
    static let file = Key(
        "file", ValueType.path.optional,
        "from `tidemark baseline build`; or topic, first, trailing, same_time, other")
    static let topic = KeySpec(
        "topic", .text(lengthMax: 249),
        "a compacted topic: its newest record under `key` is in force, from a recorded event time on"
    )
    static let key = Key(
        "key", ValueType.text(lengthMax: 249).optional,
        "the key of the records of `topic` that are meant")
    static let first = Key(
        "first", ValueType.duration(secondMs...31 * dayMs).optional,
        "learned from each group's first complete windows, then fixed")
    static let trailing = Key(
        "trailing", ValueType.duration(secondMs...31 * dayMs).optional,
        "learned from the windows before the one that is compared")
    static let sameTime = Key(
        "same_time", ValueType.duration(hourMs...4 * weekMs).optional,
        "learned from the windows at the same time of earlier days (1d) or weeks (1w)")
    static let other = KeySpec(
        "other", .any("a map from dimensions to their values in the other group"),
        "another group of the same window, with these dimensions replaced")
    static let skip = Setting(
        "skip", \LearningPlan.skipMs, .duration(0...31 * dayMs), usual: usual, json: "skip_ms",
        "`trailing` ends this long before the window starts")
    static let minRows = Setting(
        "min_rows", \LearningPlan.minRows, .count(1...1_000_000_000), usual: usual,
        json: "min_rows", "fewer rows of the group: `learning`")
    static let minRowsOfOther = Setting(
        "min_rows", \OtherGroupPlan.minRows, .count(1...1_000_000_000),
        usual: OtherGroupPlan(replaced: []), json: "min_rows",
        "fewer rows of the other group: `learning`")
    static let times = Setting(
        "times", \LearningPlan.times, .count(1...LearningPlan.timesMax), usual: usual,
        json: "times", "`same_time` is taken so many days or weeks back")
    static let around = Setting(
        "around", \LearningPlan.aroundMs, .duration(0...2 * weekMs), usual: usual,
        json: "around_ms", "`same_time` begins so much earlier, and ends so much later")
    static let skipDates = KeySpec(
        "skip_dates", .list("a list of dates, like 2026-12-25"), says: "[]",
        "days (UTC) that `same_time` passes over; the day or week before stands in")
    static let per = Setting(
        "per", \LearningPlan.isPooled, .choice([("group", false), ("pooled", true)]),
        usual: usual, json: "per",
        "what learns one of its own: each group, or all groups of a segment together")
    static let part = PartSpec(
        "baseline", path: "baselines.*", "what windows are compared with",
        [
            file, topic, key, first, trailing, sameTime, other, skip, times, around, skipDates,
            minRows, per,
        ],
        example:
            "baselines: { training: { file: baselines/churn.json }, recent: { trailing: 6h, skip: 1h } }"
    )

    /// A baseline that was read.
    struct Baseline {
        var plan: BaselinePlan
        var place: Place
        /// What its file holds; `nil`: it is learned, or could not be read.
        var summary: BaselineSummary?
    }

    /// Reads baselines, and asks for their files.
    struct Reader {
        let path: TopologyPath
        let load: (String) -> Result<BaselineSummary, BaselineProblem>
        let reading: Reading

        /// Those of `baselines:`.
        func read(_ top: Fields) -> Baselines {
            var baselines = Baselines()
            guard let node = top[TopologyPart.baselines] else { return baselines }
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
                // Held back: what would follow from the absence of one that is wrong.
                baselines.declare(
                    baseline(entry)
                        ?? Baseline(
                            plan: BaselinePlan(name: entry.key, path: "", contentHash: ""),
                            place: entry.keyPlace))
            }
            return baselines
        }

        /// One baseline; `nil` after reporting what is wrong.
        func baseline(_ entry: Node.Entry) -> Baseline? {
            guard
                let f = reading.fields(
                    entry.value, part, what: "a baseline",
                    shape: "{ file: … }, { first: … } or { trailing: … }"),
                let kind = kind(of: entry, f)
            else { return nil }
            let place = kind.value.place
            if let span = LearningPlan.Span(rawValue: kind.key) {
                return learning(span, f).map {
                    Baseline(plan: BaselinePlan(name: entry.key, learning: $0), place: place)
                }
            }
            if f.has(other) {
                return otherGroup(f).map {
                    Baseline(plan: BaselinePlan(name: entry.key, origin: .other($0)), place: place)
                }
            }
            if f.has(topic) {
                return ofTopic(f, entry).map {
                    Baseline(plan: BaselinePlan(name: entry.key, origin: .topic($0)), place: place)
                }
            }
            guard let file = f.value(file) else { return nil }
            let path = path.resolved(file)
            func plan(_ contentHash: String) -> BaselinePlan {
                BaselinePlan(name: entry.key, path: path, contentHash: contentHash)
            }
            switch load(path) {
            case .success(let summary):
                return Baseline(
                    plan: plan(summary.contentHash), place: place, summary: summary)
            case .failure(let problem):
                reading.say(
                    "baseline-unreadable", at: place, "\(file) \(problem.message)",
                    expected: "a file from `tidemark baseline build`",
                    suggestion: "build it, or another path (seen from the topology's folder)")
                return Baseline(plan: plan(""), place: place)
            }
        }

        /// The key that says where it comes from; `nil` after reporting that there is none, or that there are two.
        private func kind(of entry: Node.Entry, _ f: Fields) -> Node.Entry? {
            let keys: [any TopologyKey] = [file, topic, first, trailing, sameTime, other]
            let kinds = keys.map(\.spec.name)
            let given = keys.compactMap { f.entry($0) }
            guard let kind = given.first else {
                // A key that is no key at all was said already.
                let known = part.keys.map(\.name)
                guard entry.value.entries?.allSatisfy({ known.contains($0.key) }) ?? true else {
                    return nil
                }
                reading.say(
                    "missing-key", at: entry.keyPlace,
                    "\(shown(entry.key)) does not say where it comes from",
                    expected: "one of " + kinds.joined(separator: ", "),
                    suggestion: "`\(entry.key): { file: baselines/\(entry.key).json }`")
                return nil
            }
            guard given.count == 1 else {
                reading.say(
                    "two-kinds", at: given[1].keyPlace,
                    "\(shown(given[1].key)) is a second kind, after \(shown(kind.key)) "
                        + "(\(kind.keyPlace.line):\(kind.keyPlace.column))",
                    expected: "one of " + kinds.joined(separator: ", "),
                    suggestion: "two baselines")
                return nil
            }
            sayMisplaced(f, kind.key)
            return kind
        }

        /// Keys of another kind.
        private func sayMisplaced(_ f: Fields, _ kind: String) {
            let learned = ["first", "trailing", "same_time"]
            let owners: [(key: any TopologyKey, kinds: [String])] = [
                (skip, ["trailing"]), (minRows, learned + ["other"]), (per, learned),
                (times, ["same_time"]), (around, ["same_time"]), (skipDates, ["same_time"]),
                (BaselinePart.key, ["topic"]),
            ]
            for (key, kinds) in owners where !kinds.contains(kind) {
                guard let wrong = f.entry(key) else { continue }
                reading.say(
                    "misplaced-key", at: wrong.keyPlace,
                    "\(shown(wrong.key)) is not a key of a baseline with `\(kind)`",
                    expected: "`\(wrong.key)` beside " + alternatives(kinds.map { "`\($0)`" }),
                    suggestion: "delete it")
            }
        }
    }

    /// What the plan's JSON says of a baseline.
    static func facts(_ plan: BaselinePlan) -> JSONValue {
        let name: [Fact] = [("name", .text(plan.name))]
        switch plan.origin {
        case .file(let path, let contentHash):
            return .object(name + [("file", .text(path)), ("hash", .text(contentHash))])
        case .topic(let source):
            return .object(
                name + [("topic", .text(source.topic)), ("key", .text(source.key))])
        case .other(let other):
            let replaced = other.replaced.map { ($0.dimension, JSONValue.text($0.value)) }
            return .object(
                name + [("other", .object(replaced))]
                    + [minRowsOfOther.fact(other)].compactMap(\.self))
        case .learned(let learning):
            var settings: [Setting<LearningPlan>] = []
            if learning.span == .sameTime {
                settings += [times, around]
            } else {
                settings = [skip]
            }
            settings.append(minRows)
            if learning.isPooled { settings.append(per) }
            let skipped: [Fact] =
                learning.skippedDays.isEmpty
                ? []
                : [
                    (
                        "skip_dates",
                        .texts(learning.skippedDays.map { dateText($0) })
                    )
                ]
            return .object(
                name + [
                    ("learned", .text(learning.span.rawValue)),
                    ("length_ms", .integer(learning.lengthMs)),
                ] + settings.compactMap { $0.fact(learning) } + skipped)
        }
    }

    /// Its lines in the identity.
    static func identity(_ plan: BaselinePlan) -> [Identity.Line] {
        switch plan.origin {
        case .file(_, let contentHash): return [Identity.Line("baseline", plan.name, contentHash)]
        case .topic(let source):
            return [Identity.Line("topic_baseline", plan.name, source.topic, source.key)]
        case .other(let other):
            return [
                Identity.Line(
                    "other", plan.name, other.replaced.map { [$0.dimension, $0.value] },
                    other.minRows)
            ]
        case .learned(let learning):
            var lines = [
                Identity.Line(
                    "learned", plan.name, learning.span.rawValue, learning.lengthMs,
                    learning.skipMs, learning.minRows)
            ]
            if learning.span == .sameTime {
                lines.append(
                    Identity.Line(
                        "same_time", plan.name, learning.times, learning.aroundMs,
                        learning.skippedDays))
            }
            if learning.isPooled { lines.append(Identity.Line("pooled", plan.name)) }
            return lines
        }
    }
}

extension BaselinePart.Reader {
    /// What is learned; `nil` after reporting what is wrong.
    fileprivate func learning(_ span: LearningPlan.Span, _ f: Fields) -> LearningPlan? {
        let length =
            switch span {
            case .first: f.value(BaselinePart.first)
            case .trailing: f.value(BaselinePart.trailing)
            case .sameTime: f.value(BaselinePart.sameTime)
            }
        guard let lengthMs = length else { return nil }
        var learning = LearningPlan(span: span, lengthMs: lengthMs)
        f.read(
            [
                BaselinePart.skip, BaselinePart.minRows, BaselinePart.times, BaselinePart.around,
                BaselinePart.per,
            ], into: &learning)
        if let node = f[BaselinePart.skipDates] { learning.skippedDays = days(node, f.reading) }
        return learning
    }

    /// Days since 1970, in their order.
    private func days(_ node: Node, _ reading: Reading) -> [Int64] {
        let days = reading.list(node, what: "a list of dates", orOne: true, countMax: 64)
            .compactMap { item -> Int64? in
                guard let text = reading.text(item, expected: "a date") else { return nil }
                if let day = day(text) { return day }
                reading.say(
                    "bad-date", at: item.place, "\(shown(text)) is not a date",
                    expected: "year, month and day: 2026-12-25", suggestion: nil)
                return nil
            }
        return Set(days).sorted()
    }

    /// The day of `2026-12-25`.
    private func day(_ text: String) -> Int64? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard text.utf8.count == 10, parts.map(\.utf8.count) == [4, 2, 2] else { return nil }
        let numbers = parts.compactMap { Int64($0) }
        guard numbers.count == 3, (1...12).contains(numbers[1]), numbers[0] >= 2000 else {
            return nil
        }
        let day = CivilDate.day(year: numbers[0], month: numbers[1], day: numbers[2])
        return CivilDate.date(ofDay: day) == (numbers[0], numbers[1], numbers[2]) ? day : nil
    }

    /// A record of a topic; `nil` after reporting what is wrong.
    fileprivate func ofTopic(_ f: Fields, _ entry: Node.Entry) -> TopicBaselinePlan? {
        guard let topic = f.topic(BaselinePart.topic) else { return nil }
        guard let key = f.value(BaselinePart.key) else {
            guard !f.has(BaselinePart.key) else { return nil }
            f.reading.say(
                "missing-key", at: entry.keyPlace,
                "\(shown(entry.key)) does not say which records of `\(topic)` it means",
                expected: "`key`: the key of the records, such as the name of the model",
                suggestion: "`\(entry.key): { topic: \(topic), key: \(entry.key) }`")
            return nil
        }
        return TopicBaselinePlan(topic: topic, key: key)
    }

    /// Another group; `nil` after reporting what is wrong.
    fileprivate func otherGroup(_ f: Fields) -> OtherGroupPlan? {
        guard let node = f[BaselinePart.other] else { return nil }
        guard let entries = node.entries, !entries.isEmpty else {
            f.reading.say(
                "not-a-map", at: node.place, "`other` is \(f.reading.describe(node))",
                expected: "dimensions, and their values in the other group",
                suggestion: "`other: { version: \(node.text ?? "1.0") }`")
            return nil
        }
        var replaced: [OtherGroupPlan.Replacement] = []
        for entry in entries {
            guard let value = f.reading.text(entry.value, expected: "the value of a dimension")
            else { return nil }
            replaced.append(.init(dimension: entry.key, value: value))
        }
        var plan = OtherGroupPlan(replaced: replaced)
        f.read([BaselinePart.minRowsOfOther], into: &plan)
        return plan
    }
}

/// A day as `skip_dates` has it.
private func dateText(_ day: Int64) -> String { String(timeText(day * dayMs).prefix(10)) }
