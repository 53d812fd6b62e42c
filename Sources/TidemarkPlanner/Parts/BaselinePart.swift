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
        "file", ValueType.path.optional, "from `tidemark baseline build`; or first, or trailing")
    static let first = Key(
        "first", ValueType.duration(secondMs...31 * dayMs).optional,
        "learned from each group's first complete windows, then fixed")
    static let trailing = Key(
        "trailing", ValueType.duration(secondMs...31 * dayMs).optional,
        "learned from the windows before the one that is compared")
    static let skip = Setting(
        "skip", \LearningPlan.skipMs, .duration(0...31 * dayMs), usual: usual, json: "skip_ms",
        "`trailing` ends this long before the window starts")
    static let minRows = Setting(
        "min_rows", \LearningPlan.minRows, .count(1...1_000_000_000), usual: usual,
        json: "min_rows", "fewer rows of the group: `learning`")
    static let per = Key(
        "per",
        ValueType<String>.choice(
            ["group"], later: ["stream", "monitor", "segment", "pooled"]),
        usual: "group", "what learns one of its own")
    static let part = PartSpec(
        "baseline", path: "baselines.*", "what windows are compared with",
        [
            file, first, trailing, skip, minRows, per,
            KeySpec.later("topic", "the newest record of a compacted topic"),
            KeySpec.later("key", "of such a record"),
            KeySpec.later("same_time", "the same time some days ago"),
            KeySpec.later("other", "another group"), KeySpec.later("times", "of `same_time`"),
            KeySpec.later("around", "of `same_time`"),
            KeySpec.later("skip_dates", "of `same_time`"),
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
                let length = span == .first ? f.value(first) : f.value(trailing)
                guard let lengthMs = length else { return nil }
                var learning = LearningPlan(span: span, lengthMs: lengthMs)
                f.read([skip, minRows], into: &learning)
                _ = f.value(per)
                return Baseline(
                    plan: BaselinePlan(name: entry.key, learning: learning), place: place)
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
            let kinds = [file.spec.name, first.spec.name, trailing.spec.name]
            let given = [f.entry(file), f.entry(first), f.entry(trailing)].compactMap(\.self)
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
            let learned = ["first", "trailing"]
            let owners: [(key: any TopologyKey, kinds: [String])] = [
                (skip, ["trailing"]), (minRows, learned), (per, learned),
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
        guard let learning = plan.learning else {
            return .object([
                ("name", .text(plan.name)), ("file", .text(plan.path)),
                ("hash", .text(plan.contentHash)),
            ])
        }
        return .object(
            [
                ("name", .text(plan.name)), ("learned", .text(learning.span.rawValue)),
                ("length_ms", .integer(learning.lengthMs)),
            ] + [skip, minRows].compactMap { $0.fact(learning) })
    }

    /// Its line in the identity.
    static func identity(_ plan: BaselinePlan) -> Identity.Line {
        guard let learning = plan.learning else {
            return Identity.Line("baseline", plan.name, plan.contentHash)
        }
        return Identity.Line(
            "learned", plan.name, learning.span.rawValue, learning.lengthMs, learning.skipMs,
            learning.minRows)
    }
}
