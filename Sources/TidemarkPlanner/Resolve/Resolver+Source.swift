import TidemarkCore
import TidemarkDataflow
import TidemarkText
import TidemarkTopology

/// The source and its columns.
extension Resolver {
    func source(_ top: Fields) -> SourcePlan {
        var plan = SourcePlan(topics: [])
        guard let node = top["source"],
            let f = reading.fields(node, Spec.source, what: "`source`")
        else { return plan }
        checkOneSource(f, at: node.place)
        if let topic = reading.topic(f, "topic") { plan.topics = [topic] }
        if let list = f["topics"] { plan.topics += topics(list) }
        if let file = reading.string(f, "file") {
            plan.file = resolved(file)
            plan.topics = []
            plan.clock = .file
        }
        if let start = start(f) { plan.start = start }
        if let word = reading.choice(f, "isolation") {
            plan.isolationCommitted = word == "committed"
        }
        if let ms = reading.duration(f, "out_of_orderness") { plan.outOfOrdernessMs = ms }
        if let ms = reading.duration(f, "skew") { plan.skewMs = ms }
        readClock(f, &plan)
        readPatience(f, &plan)
        fetchWaitMs = reading.duration(f, "fetch_wait")
        if let schema = f["schema"] { readSchema(schema) }
        if let node = f["decode"] { plan.encoding = encoding(node) }
        return plan
    }

    /// One of topic, topics and file stands there, and no two.
    private func checkOneSource(_ f: Fields, at place: Place) {
        let given = ["topic", "topics", "file"].compactMap { f.entry($0) }
        if given.isEmpty {
            reading.say(
                "missing-key", at: place, "`source` does not say what to read",
                expected: "one of topic, topics, file", suggestion: "`topic: predictions.churn`")
        } else if given.count > 1 {
            reading.say(
                "two-sources", at: given[1].keyPlace,
                "\(shown(given[1].key)) is a second source beside \(shown(given[0].key))",
                expected: "one of topic, topics, file", suggestion: "delete one of them")
        }
    }

    /// The topics of a list, each once.
    private func topics(_ list: Node) -> [String] {
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
                    "listed-twice", at: item.place, "\(shown(topic)) is in the list already",
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

    /// Where reading begins; `nil` where nothing is said of it.
    private func start(_ f: Fields) -> SourcePlan.Start? {
        guard let entry = f.entry("start"), let text = reading.text(entry.value) else { return nil }
        switch text {
        case "committed": return .committed
        case "earliest": return .earliest
        case "latest": return .latest
        default:
            if let ms = Scalars.time(text) { return .time(ms: ms) }
            reading.say(
                "bad-time", at: entry.value.place, "\(shown(text)) is no start",
                expected: "committed, earliest, latest or a time like 2026-01-31T12:00:00Z",
                suggestion: nearest(text, ["committed", "earliest", "latest"]).map { "`\($0)`" })
            return nil
        }
    }

    /// The reference clock.
    private func readClock(_ f: Fields, _ plan: inout SourcePlan) {
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
    }

    /// How long partitions are waited for.
    private func readPatience(_ f: Fields, _ plan: inout SourcePlan) {
        if f.isOff("idle") {
            plan.idleMs = nil
        } else if let ms = reading.duration(f, "idle") {
            plan.idleMs = ms
        }
        if f.isOff("hold") {
            plan.holdMs = nil
        } else if let ms = reading.duration(f, "hold") {
            plan.holdMs = ms
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
            // Dots are letters in the name of a field.
            let whole = PathText.text(column.path)
            if column.path.count > 1, fields.contains(whole) { columns[index].path = [.key(whole)] }
            guard case .key(let name)? = columns[index].path.first,
                columns[index].path.count == 1, fields.contains(name)
            else {
                reading.say(
                    "unknown-column", at: columnPlaces[index],
                    "no field of the rows is what \(shown(column.name)) reads",
                    expected: someOf(fields, near: column.name),
                    suggestion: nearest(column.name, fields).map { "`path: \($0)`" })
                continue
            }
        }
        return .csv(columns: fields, separator: separator)
    }

    /// Role and type of a word.
    private func meaning(_ word: String) -> (ColumnRole, ColumnType)? {
        if let type = ColumnWords.types.first(where: { $0.word == word })?.type {
            return (.feature, type)
        }
        if let unit = ColumnWords.times.first(where: { $0.word == word })?.unit {
            return (.time, .time(unit))
        }
        if let role = ColumnWords.roles.first(where: { $0.word == word }) {
            return (role.role, role.type)
        }
        return nil
    }

    private static let wordAliases = [
        "float": "number", "double": "number", "numeric": "number", "int": "integer",
        "long": "integer", "bool": "boolean", "string": "category", "str": "category",
        "categorical": "category", "timestamp": "time_ms", "time": "time_ms", "date": "time_text",
        "datetime": "time_text", "prediction": "score", "probability": "score", "target": "label",
        "truth": "label", "actual": "label", "outcome": "label", "ground_truth": "label",
        "feature": "number", "group": "segment", "dimension": "segment", "key": "id",
        "enum": "category", "object": "category", "varchar": "category", "env": "environment",
    ]

    private func sayWord(_ text: String, _ words: [String], at place: Place, what: String) {
        if text == "weight" {
            reading.say(
                "later", at: place, "weights come in a later version", expected: "another word",
                suggestion: "`attribute`, or no such column")
            return
        }
        reading.say(
            "unknown-word", at: place, "\(shown(text)) is not a \(what) of a column",
            expected: words.joined(separator: " "),
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
        let allWords = ColumnWords.all
        var timePlace: Place?
        for entry in entries {
            guard let names = names(of: entry) else { continue }
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
                        suggestion: name.contains(".")
                            ? "another name, with `path: \(name)`, or `path: '[\"\(name)\"]'` if this is one key"
                            : "another name, with `path: \(name)`")
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
                column.path = template.hasPath ? template.plan.path(for: name) : [.key(name)]
                if let range = template.range { expectedRanges[columns.count] = range }
                columns.append(column)
                columnPlaces.append(entry.keyPlace)
            }
            if names.count > 1, template.hasPath, !template.plan.path.contains(.key("*")) {
                reading.say(
                    "path-of-range", at: entry.keyPlace, "several columns can't share a path",
                    expected: "no `path`, or one with `*` where the column's name stands",
                    suggestion: "`path: inputs.*`, or a line for each column")
            }
        }
    }

    /// The columns that an entry declares: a name, a range, or several of them between commas.
    private func names(of entry: Node.Entry) -> [String]? {
        if entry.key.contains("*") {
            reading.say(
                "bad-name", at: entry.keyPlace,
                "\(shown(entry.key)) would make columns of whatever records hold",
                expected: "names: what is watched is said by the topology alone",
                suggestion:
                    "`age, plan, tenure: { type: number, path: inputs.* }` (`*` is each column's name)"
            )
            return nil
        }
        var found: [String] = []
        for part in entry.key.split(separator: ",", omittingEmptySubsequences: false) {
            var name = part.drop { $0 == " " }
            while name.last == " " { name.removeLast() }
            switch rangeNames(String(name)) {
            case .success(let range): found += range
            case .failure(let problem):
                reading.say(
                    problem.rule, at: entry.keyPlace, problem.message, expected: problem.expected)
                return nil
            case nil: found.append(String(name))
            }
        }
        return found
    }

    /// A column, whether its path was named, and the range that is expected; `nil`: what is wrong was said.
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
        guard let (role, type) = roleAndType(f, entry) else { return nil }
        var plan = ColumnPlan(name: "", role: role, type: type, path: [])
        var hasPath = false
        if let node = f["path"], let text = reading.text(node) {
            guard let path = path(text, at: node.place) else { return nil }
            plan.path = path
            hasPath = true
        }
        readTextForms(f, &plan)
        if let node = f["null_values"] {
            for item in reading.list(node, what: "a list of texts", countMax: 100) {
                if let text = reading.text(item) { plan.nullValues.append(text) }
            }
        }
        return (plan, hasPath, range(f, type))
    }

    /// What a column is for and what its values are; `nil`: that was said.
    private func roleAndType(_ f: Fields, _ entry: Node.Entry) -> (ColumnRole, ColumnType)? {
        var role = ColumnRole.feature
        var type: ColumnType?
        if let node = f["role"] {
            guard let word = reading.text(node) else { return nil }
            if word == "feature" {
                role = .feature
            } else if let found = ColumnWords.roles.first(where: { $0.word == word }) {
                (role, type) = (found.role, found.type)
            } else if let unit = ColumnWords.times.first(where: { $0.word == word })?.unit {
                (role, type) = (.time, .time(unit))
            } else {
                sayWord(
                    word, ColumnWords.ofRole,
                    at: node.place, what: "role")
                return nil
            }
        }
        if let node = f["type"] {
            guard let word = reading.text(node) else { return nil }
            if let found = ColumnWords.types.first(where: { $0.word == word })?.type {
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
            } else if let unit = ColumnWords.times.first(where: { $0.word == word })?.unit,
                role == .feature, !f.has("role")
            {
                (role, type) = (.time, .time(unit))
            } else {
                sayWord(word, ColumnWords.ofType, at: node.place, what: "type")
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
        return (role, type)
    }

    /// How texts are read as numbers and times.
    private func readTextForms(_ f: Fields, _ plan: inout ColumnPlan) {
        plan.acceptText = reading.boolean(f, "accept_text") ?? false
        if plan.acceptText, !plan.type.isNumeric, plan.role != .time, let node = f["accept_text"] {
            reading.say(
                "type-of-role", at: node.place, "`accept_text` is for numbers",
                expected: "type number or integer", suggestion: "delete it")
        }
        if let node = f["zone"] {
            if plan.type == .time(.text) {
                plan.zone = zone(node)
            } else {
                reading.say(
                    "type-of-role", at: node.place, "`zone` is for times that are texts",
                    expected: "type time_text", suggestion: "delete it")
            }
        }
    }

    /// The range that values are expected in.
    private func range(_ f: Fields, _ type: ColumnType) -> (Double, Double)? {
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
        return range
    }

    /// A zone by its name, from the system's database, or a fixed offset.
    private func zone(_ node: Node) -> ZoneRules? {
        guard let name = reading.text(node, expected: "a zone") else { return nil }
        if let fixed = ZoneRules(fixed: name) { return fixed }
        let isName =
            !name.isEmpty && name.utf8.count <= 64 && !name.hasPrefix("/") && !name.contains("..")
            && name.utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0)
                    || (0x30...0x39).contains($0) || [0x2b, 0x2d, 0x2f, 0x5f].contains($0)
            }
        let folder = reading.environment("TZDIR") ?? "/usr/share/zoneinfo"
        if isName, case .success(let file) = reading.readFile("\(folder)/\(name)"),
            let rules = ZoneRules(name: name, file: file)
        {
            return rules
        }
        var hasDatabase = false
        if case .success = reading.readFile("\(folder)/UTC") { hasDatabase = true }
        reading.say(
            "bad-zone", at: node.place, "\(shown(name)) is no time zone that is known here",
            expected: "a name like Europe/Berlin, UTC, or an offset like +01:00",
            suggestion: hasDatabase
                ? "`timedatectl list-timezones` lists them"
                : "install the system's time zones: `apt-get install tzdata`")
        return nil
    }

    /// `a.b[0]."c.d"`, said where it is none.
    private func path(_ text: String, at place: Place) -> [PathStep]? {
        switch PathText.steps(text) {
        case .success(let steps): return steps
        case .failure(let problem):
            reading.say(
                problem.rule, at: place, problem.message, expected: problem.expected,
                suggestion: problem.suggestion)
            return nil
        }
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
}
