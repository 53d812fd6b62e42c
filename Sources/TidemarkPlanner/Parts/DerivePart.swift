import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Columns that are computed of others.
enum DerivePart {
    static let value = KeySpec(
        "value", .any("a row expression"), required: true, "what is computed of other columns")
    static let role = KeySpec(
        "role", .any("a role word"), says: "feature",
        shape: .words(["feature"] + ColumnWords.roles.map(\.word)), "what it is for")
    static let part = PartSpec(
        "derive", path: "derive.*", "a column that is computed of others", [value, role],
        example: "derive: { size: { value: \"bucket(amount, [10, 100])\", role: segment } }")
    private static let countMax = 500

    /// Adds the derived columns to a schema, in the order of the topology.
    static func read(_ top: Fields, _ schema: inout Schema) {
        guard let node = top[TopologyPart.derive], !schema.columns.isEmpty else { return }
        var reader = DeriveReader(reading: top.reading, schema: schema)
        let entries = top.reading.named(
            node, what: "derive", item: "an expression or { value, role }", countMax: countMax)
        reader.read(entries)
        schema = reader.schema
    }

    /// The type of a column that an expression is the value of; `nil`: no column has such values.
    static func type(of expression: TypedExpression) -> ColumnType? {
        switch expression.type {
        case .number: expression.isWhole ? .integer : .number
        case .boolean: .boolean
        case .text: .category
        case .time, .duration, nil: nil
        }
    }

    /// Says that no column has values of a type.
    static func sayType(
        _ expression: TypedExpression, _ text: String, at place: Place, _ reading: Reading
    ) {
        let suggestion =
            switch expression.type {
            case .time: "`hour_of_day(\(text))`"
            case .duration: "`seconds(\(text))`"
            default: "delete it"
            }
        reading.say(
            "not-a-column-value", at: place,
            "this is \(expression.type?.article ?? "always null"): no column has such values",
            expected: "a number, text or a condition", suggestion: suggestion)
    }
}

/// Reads derived columns: each after those that it needs.
private struct DeriveReader {
    /// A column before its expression is typed.
    private struct Draft {
        var place: Int
        var value: Node
        var text: String
        var needs: Set<String>
        var role: ColumnRole
        var rolePlace: Place?
    }

    let reading: Reading
    var schema: Schema
    private var drafts: [String: Draft] = [:]
    private var names: [String] = []
    /// Columns that were typed, or of which it was said what is wrong.
    private var done: Set<String> = []
    private var failed: Set<String> = []

    init(reading: Reading, schema: Schema) {
        self.reading = reading
        self.schema = schema
    }

    mutating func read(_ entries: [Node.Entry]) {
        for entry in entries { draft(entry) }
        for name in names { type(name, []) }
        // What could not be typed is no column: the plan is refused for it.
    }

    private mutating func draft(_ entry: Node.Entry) {
        guard isFree(entry) else { return }
        var (value, role, rolePlace) = (entry.value, ColumnRole.feature, Place?.none)
        if entry.value.entries != nil {
            guard let f = reading.fields(entry.value, DerivePart.part, what: "a derived column"),
                let node = f[DerivePart.value]
            else { return }
            value = node
            if let node = f[DerivePart.role] {
                guard let read = self.role(node) else { return }
                (role, rolePlace) = (read, node.place)
            }
        }
        guard let text = reading.text(value, expected: "a row expression") else { return }
        let syntax: Syntax
        do throws(ExpressionFailure) {
            syntax = try ExpressionParser.parse(text)
        } catch {
            _ = ExpressionReader.value(
                value, for: "a derived column", columns: schema.columns, reading: reading)
            failed.insert(entry.key)
            return
        }
        names.append(entry.key)
        drafts[entry.key] = Draft(
            place: schema.columns.count, value: value, text: text, needs: syntax.names, role: role,
            rolePlace: rolePlace)
        var column = ColumnPlan(name: entry.key, role: role, type: .number, path: [])
        column.computation = ColumnPlan.Computation(
            source: "derive.\(entry.key)", expression: .null)
        schema.columns.append(column)
        schema.places.append(entry.keyPlace)
    }

    /// Whether a column may have that name; what is wrong with it is said.
    private func isFree(_ entry: Node.Entry) -> Bool {
        guard Scalars.isColumnName(entry.key), !Selector.words.contains(entry.key) else {
            reading.say(
                "bad-name", at: entry.keyPlace, "\(shown(entry.key)) can't name a column",
                expected: "a letter, then letters, digits or _; no word that picks columns",
                suggestion: "another name")
            return false
        }
        guard let place = schema.columns.firstIndex(where: { $0.name == entry.key }) else {
            return true
        }
        let first = schema.places[place]
        reading.say(
            "duplicate-key", at: entry.keyPlace,
            "\(shown(entry.key)) is already declared at \(first.line):\(first.column)",
            expected: "a name of its own", suggestion: "`\(entry.key)_`")
        return false
    }

    private func role(_ node: Node) -> ColumnRole? {
        guard let word = reading.text(node) else { return nil }
        if word == "feature" { return .feature }
        if let role = ColumnWords.roles.first(where: { $0.word == word })?.role { return role }
        let words = ColumnWords.roles.map(\.word)
        reading.say(
            "unknown-word", at: node.place, "\(shown(word)) is not a role of a derived column",
            expected: (["feature"] + words).joined(separator: " "),
            suggestion: nearest(word, words).map { "`\($0)`" })
        return nil
    }

    /// Gives a column its type, after those that it needs; `path` leads to it.
    private mutating func type(_ name: String, _ path: [String]) {
        guard let draft = drafts[name], !done.contains(name) else { return }
        if let start = path.firstIndex(of: name) {
            let circle = path[start...] + [name]
            reading.say(
                "derive-circle", at: schema.places[draft.place],
                "\(shown(name)) needs itself: "
                    + circle.map { "`\($0)`" }.joined(separator: " → "),
                expected: "columns that do not need each other in a circle", suggestion: nil)
            for member in circle {
                done.insert(member)
                failed.insert(member)
            }
            return
        }
        for need in draft.needs.sorted() { type(need, path + [name]) }
        guard done.insert(name).inserted else { return }
        // What needs a column that is wrong would only be its follow-up.
        guard draft.needs.isDisjoint(with: failed) else {
            failed.insert(name)
            return
        }
        guard
            let typed = ExpressionReader.value(
                draft.value, for: "a derived column", columns: schema.columns, reading: reading)
        else {
            failed.insert(name)
            return
        }
        guard let type = DerivePart.type(of: typed) else {
            DerivePart.sayType(typed, draft.text, at: draft.value.place, reading)
            failed.insert(name)
            return
        }
        if !fits(draft.role, type) {
            reading.say(
                "type-of-role", at: draft.rolePlace ?? draft.value.place,
                "\(shown(name)) is \(ColumnPart.article(type)): it can't be `\(draft.role.rawValue)`",
                expected: draft.role == .score || draft.role == .weight
                    ? "a number" : "text or a condition",
                suggestion: draft.role == .score ? "`feature`" : "`text(\(draft.text))`")
        }
        schema.columns[draft.place].type = draft.role == .id ? .text : type
        schema.columns[draft.place].computation?.expression = typed.expression
    }

    /// Whether a column of a role may have values of a type.
    private func fits(_ role: ColumnRole, _ type: ColumnType) -> Bool {
        switch role {
        case .score, .weight: type.isNumeric
        case .model, .version, .environment, .segment, .class, .label, .id: type.isText
        default: true
        }
    }
}
