import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// The columns of a source, with where each stands in the topology.
struct Schema {
    var columns: [ColumnPlan] = []
    /// By place of the column: where it is declared.
    var places: [Place] = []
    /// By place of the column: the bounds of `expect.range`.
    var ranges: [Int: (Double, Double)] = [:]
}

/// Where a value lies in a record, and what it is.
enum ColumnPart {
    static let role = KeySpec(
        "role", .any("a role word"), says: "feature",
        shape: .words(ColumnWords.ofRole + ColumnWords.times.map(\.word)), "what it is for")
    static let type = KeySpec(
        "type", .any("a type word"), says: "by role", shape: .words(ColumnWords.ofType),
        "how it is read")
    static let path = KeySpec(
        "path", .text(lengthMax: 1024), says: "the name", "`output.score`, `items[0].age`")
    static let acceptText = Key(
        "accept_text", .boolean, usual: false, "\"12.5\" is read as 12.5")
    static let zone = KeySpec(
        "zone", .any("a zone like Europe/Berlin, UTC, or an offset like +01:00"), says: "UTC",
        "of time_text: what a time without an offset means")
    static let nullValues = KeySpec(
        "null_values", .list("a list of texts"), says: "[]", "values that mean null")
    static let expect = KeySpec(
        "expect", .map("a map"), says: "{}", shape: .part("expect"), "what values are expected")
    static let part = PartSpec(
        "column", path: "source.schema.*", "where a value lies in a record, and what it is",
        [role, type, path, acceptText, zone, nullValues, expect],
        example: "age: { type: integer, path: input.age, expect: { range: [18, 120] } }")

    /// The columns that the map `schema` declares.
    static func readSchema(_ node: Node, _ expect: ExpectPart, _ reading: Reading) -> Schema {
        var reader = SchemaReader(reading: reading, expect: expect)
        reader.read(node)
        return reader.schema
    }

    /// A type as messages name it: `a category`.
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
}

/// Reads the columns of a source.
private struct SchemaReader {
    let reading: Reading
    let expect: ExpectPart
    private(set) var schema = Schema()
    /// Where the event time is declared.
    private var timePlace: Place?

    private static let countMax = 4000

    /// What an entry declares, for each of its names.
    private struct Template {
        var plan: ColumnPlan
        /// Its path was named.
        var hasPath = false
    }

    init(reading: Reading, expect: ExpectPart) {
        self.reading = reading
        self.expect = expect
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
        reading.say(
            "unknown-word", at: place, "\(shown(text)) is not a \(what) of a column",
            expected: words.joined(separator: " "),
            suggestion: (Self.wordAliases[text.lowercased()].flatMap {
                words.contains($0) ? $0 : nil
            }
                ?? nearest(text, words)).map { "`\($0)`" })
    }

    /// Reads the map of columns.
    mutating func read(_ node: Node) {
        let entries = reading.named(
            node, what: "schema", item: "a word or a map", countMax: Self.countMax)
        if node.entries?.isEmpty ?? false {
            reading.say(
                "empty-list", at: node.place, "no column is declared", expected: "at least one",
                suggestion: "`score: score`")
        }
        for entry in entries {
            guard let names = names(of: entry), let template = column(entry) else { continue }
            if template.plan.role == .time {
                if let first = timePlace {
                    reading.say(
                        "two-times", at: entry.keyPlace,
                        "\(shown(entry.key)) is a second event time, after the one at "
                            + "\(first.line):\(first.column)", expected: "at most one",
                        suggestion: "`attribute` for this one")
                    continue
                }
                timePlace = entry.keyPlace
            }
            guard schema.columns.count + names.count <= Self.countMax else {
                reading.say(
                    "too-many", at: entry.keyPlace, "more than \(Self.countMax) columns",
                    expected: "at most \(Self.countMax)", suggestion: nil)
                return
            }
            for name in names { add(name, template, at: entry.keyPlace) }
            if names.count > 1, template.hasPath, !template.plan.path.contains(.key("*")) {
                reading.say(
                    "path-of-range", at: entry.keyPlace, "several columns can't share a path",
                    expected: "no `path`, or one with `*` where the column's name stands",
                    suggestion: "`path: inputs.*`, or a line for each column")
            }
        }
    }

    /// Adds a column, if it may have that name.
    private mutating func add(_ name: String, _ template: Template, at place: Place) {
        guard Scalars.isColumnName(name) else {
            reading.say(
                "bad-name", at: place, "\(shown(name)) can't name a column",
                expected: "a letter, then letters, digits or _",
                suggestion: name.contains(".")
                    ? "another name, with `path: \(name)`, or `path: '[\"\(name)\"]'` if this is one key"
                    : "another name, with `path: \(name)`")
            return
        }
        guard !Selector.words.contains(name) else {
            reading.say(
                "bad-name", at: place,
                "\(shown(name)) is a word for columns: it can't name one",
                expected: "another name",
                suggestion: "`\(name)_: { type: …, path: \(name) }`")
            return
        }
        if let index = schema.columns.firstIndex(where: { $0.name == name }) {
            let first = schema.places[index]
            reading.say(
                "duplicate-key", at: place,
                "\(shown(name)) is already declared at \(first.line):\(first.column)",
                expected: "once", suggestion: "delete one of them")
            return
        }
        var column = template.plan
        column.name = name
        column.path = template.hasPath ? template.plan.path(for: name) : [.key(name)]
        if let range = ExpectPart.range(of: template.plan) {
            schema.ranges[schema.columns.count] = range
        }
        schema.columns.append(column)
        schema.places.append(place)
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

    /// What an entry declares; `nil` after reporting what is wrong.
    private func column(_ entry: Node.Entry) -> Template? {
        if entry.value.text != nil {
            guard let word = reading.text(entry.value) else { return nil }
            guard let (role, type) = meaning(word) else {
                sayWord(word, ColumnWords.all, at: entry.value.place, what: "word")
                return nil
            }
            return Template(plan: ColumnPlan(name: "", role: role, type: type, path: []))
        }
        guard
            let f = reading.fields(
                entry.value, ColumnPart.part, what: "a column",
                shape: "a word, or { role, type, … }"),
            let (role, type) = roleAndType(f, entry)
        else { return nil }
        var template = Template(plan: ColumnPlan(name: "", role: role, type: type, path: []))
        if let node = f[ColumnPart.path], let text = reading.text(node) {
            guard let path = path(text, at: node.place) else { return nil }
            template.plan.path = path
            template.hasPath = true
        }
        readTextForms(f, &template.plan)
        if let node = f[ColumnPart.nullValues] {
            for item in reading.list(node, what: "a list of texts", countMax: 100) {
                if let text = reading.text(item) { template.plan.nullValues.append(text) }
            }
        }
        if let e = f.part(ColumnPart.expect, expect.part) {
            template.plan.expected = expect.read(e, template.plan)
        }
        return template
    }

    /// What a column is for and what its values are; `nil` after reporting what is wrong.
    private func roleAndType(_ f: Fields, _ entry: Node.Entry) -> (ColumnRole, ColumnType)? {
        var role = ColumnRole.feature
        var type: ColumnType?
        if let node = f[ColumnPart.role] {
            guard let word = reading.text(node) else { return nil }
            if word == "feature" {
                role = .feature
            } else if let found = ColumnWords.roles.first(where: { $0.word == word }) {
                (role, type) = (found.role, found.type)
            } else if let unit = ColumnWords.times.first(where: { $0.word == word })?.unit {
                (role, type) = (.time, .time(unit))
            } else {
                sayWord(word, ColumnWords.ofRole, at: node.place, what: "role")
                return nil
            }
        }
        if let node = f[ColumnPart.type] {
            guard let word = reading.text(node) else { return nil }
            if let found = ColumnWords.types.first(where: { $0.word == word })?.type {
                guard fits(found, role, word, at: node.place) else { return nil }
                type = found
            } else if let unit = ColumnWords.times.first(where: { $0.word == word })?.unit,
                role == .feature, !f.has(ColumnPart.role)
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

    /// Whether values of a role may be of a type; reported where they may not.
    private func fits(
        _ type: ColumnType, _ role: ColumnRole, _ word: String, at place: Place
    ) -> Bool {
        let fits =
            switch role {
            case .feature, .attribute, .label, .class, .id: true
            case .score, .weight: type.isNumeric
            case .model, .version, .environment, .segment: type == .category
            case .time, .metric, .rule: false
            }
        if !fits {
            reading.say(
                "type-of-role", at: place,
                "a \(role.rawValue) can't be of type \(shown(word))",
                expected: role == .score || role == .weight ? "number or integer" : "no `type`",
                suggestion: "delete `type`")
        }
        return fits
    }

    /// How texts are read as numbers and times.
    private func readTextForms(_ f: Fields, _ plan: inout ColumnPlan) {
        plan.acceptText = f.value(ColumnPart.acceptText)
        if plan.acceptText, !plan.type.isNumeric, plan.role != .time,
            let node = f[ColumnPart.acceptText]
        {
            reading.say(
                "type-of-role", at: node.place, "`accept_text` is for numbers",
                expected: "type number or integer", suggestion: "delete it")
        }
        if let node = f[ColumnPart.zone] {
            if plan.type == .time(.text) {
                plan.zone = zone(node)
            } else {
                reading.say(
                    "type-of-role", at: node.place, "`zone` is for times that are texts",
                    expected: "type time_text", suggestion: "delete it")
            }
        }
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
            "bad-zone", at: node.place, "\(shown(name)) is not a time zone that this system knows",
            expected: "a name like Europe/Berlin, UTC, or an offset like +01:00",
            suggestion: hasDatabase
                ? "`timedatectl list-timezones` lists them"
                : "install the system's time zones: `apt-get install tzdata`")
        return nil
    }

    /// The steps of a path; what is wrong with it is reported.
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
}
