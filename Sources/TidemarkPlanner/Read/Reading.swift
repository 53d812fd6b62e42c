import TidemarkDataflow
import TidemarkDrift
import TidemarkText
import TidemarkTopology

/// A map of the topology, its keys checked against its spec.
struct Fields {
    var spec: OperatorSpec
    var place: Place
    var entries: [Node.Entry]

    func has(_ key: String) -> Bool { entries.contains { $0.key == key } }
    func entry(_ key: String) -> Node.Entry? { entries.first { $0.key == key } }
    subscript(key: String) -> Node? { entry(key)?.value }
    func isOff(_ key: String) -> Bool { self[key]?.isOff ?? false }
}

/// Reads values and collects what is wrong with them.
final class Reading {
    var diagnostics: [Diagnostic] = []
    /// What was said, to say nothing twice.
    private var said: Set<Diagnostic> = []
    /// Texts with references, by place: what the references stand for is shown nowhere.
    private var replaced: [Place: (raw: String, text: String)] = [:]
    let environment: @Sendable (String) -> String?
    let readFile: @Sendable (String) -> Result<[UInt8], FileProblem>

    init(
        environment: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String) -> Result<[UInt8], FileProblem>
    ) {
        self.environment = environment
        self.readFile = readFile
    }

    func say(
        _ rule: String, at place: Place, _ message: String, expected: String? = nil,
        suggestion: String? = nil
    ) {
        say(.error, rule, at: place, message, expected: expected, suggestion: suggestion)
    }

    func say(
        _ severity: Diagnostic.Severity, _ rule: String, at place: Place, _ message: String,
        expected: String? = nil, suggestion: String? = nil
    ) {
        var diagnostic = Diagnostic(
            rule, severity, at: place, message, expected: expected, suggestion: suggestion)
        if !replaced.isEmpty { hide(&diagnostic, place) }
        if said.insert(diagnostic).inserted { diagnostics.append(diagnostic) }
    }

    /// Takes what references stand for out of a finding, since it may come from a file that holds a
    /// secret.
    private func hide(_ diagnostic: inout Diagnostic, _ place: Place) {
        if let (raw, text) = replaced[place] {
            // What is shown of it may be cut, in other letters, or worked out of it.
            if mentions(diagnostic.message, text) || diagnostic.suggestion != nil {
                diagnostic.message = "what \(shown(raw)) stands for can't be read here"
            }
            diagnostic.suggestion = nil
            return
        }
        for (raw, text) in replaced.values where text.utf8.count >= 3 {
            if mentions(diagnostic.message, text) {
                diagnostic.message = diagnostic.message.replacing(text, with: raw)
                if mentions(diagnostic.message, text) {
                    diagnostic.message = "what \(shown(raw)) stands for does not fit here"
                }
            }
            if let suggestion = diagnostic.suggestion, mentions(suggestion, text) {
                diagnostic.suggestion = nil
            }
            if let expected = diagnostic.expected, mentions(expected, text) {
                diagnostic.expected = nil
            }
        }
    }

    /// Whether a message holds a text, or the beginning of it that messages show.
    private func mentions(_ message: String, _ text: String) -> Bool {
        let part = shown(text).dropFirst().dropLast().prefix { $0 != "…" }
        return message.contains(text) || (!part.isEmpty && message.contains(part))
    }

    var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

    // MARK: Maps

    /// Words that people try, and the key that they mean here.
    private static let hints: [(word: String, key: String, text: String)] = [
        (
            "threshold", "ignore_below",
            "`ignore_below`; how often it may be wrong is set once, in `budget`"
        ),
        (
            "p_value", "ignore_below",
            "`budget`; the size that is worth hearing is `ignore_below`"
        ),
        ("enabled", "", "`off` in place of the whole"),
        ("type", "drift", "the kind is the key: `drift: all`"),
        ("bootstrap_servers", "brokers", "`brokers`"),
        ("columns", "drift", "the columns stand behind the kind: `drift: [score, amount]`"),
        ("group_by", "by", "`by`"),
        ("lateness", "out_of_orderness", "`out_of_orderness`"),
        ("allowed_lateness", "out_of_orderness", "`out_of_orderness`"),
        ("group_id", "app", "`app` at the top level"),
        (
            "slack", "",
            "alerts are records of a topic: what sends them on (to Slack, a pager, mail) reads that topic"
        ),
        (
            "webhook", "",
            "alerts are records of a topic: what sends them on reads that topic"
        ),
        (
            "email", "",
            "alerts are records of a topic: what sends them on reads that topic"
        ),
        (
            "pagerduty", "",
            "alerts are records of a topic: what sends them on reads that topic"
        ),
    ]

    /// The map `node`, its unknown keys reported; `nil`: it is no map.
    func fields(_ node: Node, _ spec: OperatorSpec, what: String, shape: String? = nil) -> Fields? {
        guard let entries = node.entries else {
            say(
                "not-a-map", at: node.place, "\(what) is \(describe(node))",
                expected: shape
                    ?? "a map: "
                    + spec.fields.filter { !$0.isLater }.map(\.name).joined(separator: ", "),
                suggestion: "like `\(spec.example.split(separator: "\n").first ?? "")`")
            return nil
        }
        var known: [Node.Entry] = []
        for entry in entries {
            guard let field = spec.field(entry.key) else {
                sayUnknown(entry, spec, what)
                continue
            }
            if field.isLater {
                if entry.value.isOff { continue }
                say(
                    "later", at: entry.keyPlace, "\(shown(entry.key)) comes in a later version",
                    expected: "keys of this version", suggestion: "delete it for now")
                continue
            }
            guard !checkEmpty(entry, field) else { continue }
            if entry.value.isOff, !field.takesOff, field.kind != .boolean {
                switch field.kind {
                case .text, .name, .path, .secret, .any, .choice: break
                default:
                    say(
                        "not-off", at: entry.value.place, "\(shown(entry.key)) can't be off",
                        expected: field.expected, suggestion: "delete the line for the default")
                    continue
                }
            }
            known.append(entry)
        }
        for field in spec.fields
        where field.isRequired && !entries.contains(where: { $0.key == field.name }) {
            say(
                "missing-key", at: node.place, "\(what) has no `\(field.name)`",
                expected: field.expected, suggestion: "add `\(field.name): …`: \(field.help)")
        }
        return Fields(spec: spec, place: node.place, entries: known)
    }

    /// `key:` with nothing behind it, or `null`.
    func checkEmpty(_ entry: Node.Entry, _ field: FieldSpec) -> Bool {
        guard entry.value.isEmpty else { return false }
        let isNull = entry.value.text != ""
        let fallback = field.defaultText.map { "delete the line for the default (\($0))" }
        say(
            "empty-value", at: isNull ? entry.value.place : entry.keyPlace,
            isNull
                ? "\(shown(entry.value.text ?? "")) is not a value"
                : "\(shown(entry.key)) has nothing behind it",
            expected: field.expected,
            suggestion: fallback
                ?? (field.takesOff ? "`off`, or delete the line" : "a value, or delete the line"))
        return true
    }

    /// The entries of a map of names.
    func named(_ node: Node, what: String, item: String, countMax: Int) -> [Node.Entry] {
        guard let entries = node.entries else {
            say(
                "not-a-map", at: node.place, "\(shown(what)) is \(describe(node))",
                expected: "a map name → \(item)", suggestion: nil)
            return []
        }
        if entries.count > countMax {
            say(
                "too-many", at: entries[countMax].keyPlace,
                "\(shown(what)) has \(entries.count) entries", expected: "at most \(countMax)",
                suggestion: "another topology")
            return Array(entries.prefix(countMax))
        }
        return entries.filter { entry in
            guard entry.value.isEmpty else { return true }
            say(
                "empty-value", at: entry.keyPlace, "\(shown(entry.key)) has nothing behind it",
                expected: item, suggestion: "`off`, or delete the line")
            return false
        }
    }

    private func sayUnknown(_ entry: Node.Entry, _ spec: OperatorSpec, _ what: String) {
        let names = spec.fields.filter { !$0.isLater }.map(\.name)
        let list = names.joined(separator: ", ")
        let message = "\(shown(entry.key)) is not a key of \(what)"
        // Of so many findings none is shown any more: what was meant is not looked for.
        guard diagnostics.count < 1000 else {
            say("unknown-key", at: entry.keyPlace, message, expected: list, suggestion: nil)
            return
        }
        if let hint = Self.hints.first(where: {
            $0.word == entry.key
                || (abs($0.word.utf8.count - entry.key.utf8.count) <= 1
                    && editDistance($0.word, entry.key) == 1)
        }), hint.key.isEmpty || names.contains(hint.key) {
            say(
                "unknown-key", at: entry.keyPlace, message, expected: list, suggestion: hint.text)
            return
        }
        // One level up or down?
        if spec.path != "", Spec.topology.field(entry.key) != nil {
            say(
                "misplaced-key", at: entry.keyPlace, message, expected: "at the top level",
                suggestion: spec.path.contains(".")
                    ? "move it to the left margin" : "move it out two spaces")
            return
        }
        if let close = nearest(entry.key, spec.fields.map(\.name)) {
            say(
                "unknown-key", at: entry.keyPlace, message, expected: list, suggestion: "`\(close)`"
            )
            return
        }
        if let owner = operatorCatalogue.first(where: {
            $0.path != spec.path && $0.path != "" && !$0.path.contains("*")
                && !$0.path.contains("[")
                && $0.field(entry.key) != nil
        }) {
            say(
                "misplaced-key", at: entry.keyPlace, message, expected: "in `\(owner.path)`",
                suggestion: "move it there")
            return
        }
        say("unknown-key", at: entry.keyPlace, message, expected: list, suggestion: nil)
    }

    func describe(_ node: Node) -> String {
        switch node.kind {
        case .scalar(let text, _): node.isEmpty ? "empty" : shown(text)
        case .list: "a list"
        case .map: "a map"
        }
    }

    // MARK: References

    /// The text of a scalar with `${…}` replaced; `nil` after saying why not.
    func text(_ node: Node, expected: String = "text") -> String? {
        guard let raw = node.text else {
            // A list of texts is often one text with commas, as brokers are.
            let texts = (node.items ?? []).compactMap(\.text)
            let isOfTexts = !texts.isEmpty && texts.count == node.items?.count
            say(
                "not-a-text", at: node.place, "\(describe(node)) stands here", expected: expected,
                suggestion: isOfTexts ? "one text: `\(texts.joined(separator: ","))`" : nil)
            return nil
        }
        guard raw.contains("$") else { return raw }
        switch expand(raw) {
        case .success(let text):
            if text != raw { replaced[node.place] = (raw, text) }
            return text
        case .failure(let problem):
            say(
                problem.rule, at: node.place, problem.message, expected: problem.expected,
                suggestion: problem.suggestion)
            return nil
        }
    }

    private func expand(_ raw: String) -> Result<String, ScalarProblem> {
        var out = ""
        var rest = Substring(raw)
        while let dollar = rest.firstIndex(of: "$") {
            out += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                out += "${"
                rest = rest.dropFirst(3)
                continue
            }
            guard rest.hasPrefix("${") else {
                out += "$"
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                return .failure(
                    ScalarProblem(
                        rule: "bad-reference", message: "a `${` that is never closed",
                        expected: "`${env:NAME}` or `${file:PATH}`",
                        suggestion: "`$${` is a literal `${`"))
            }
            let inner = String(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])
            rest = rest[rest.index(after: end)...]
            switch Self.resolve(inner, environment: environment, readFile: readFile) {
            case .success(let text): out += text
            case .failure(let problem): return .failure(problem)
            }
            guard out.utf8.count <= 1 << 20 else {
                return .failure(
                    ScalarProblem(
                        rule: "bad-reference",
                        message: "more than 1 MiB after replacing references",
                        expected: "less", suggestion: nil))
            }
        }
        return .success(out + rest)
    }

    private static func resolve(
        _ inner: String, environment: (String) -> String?,
        readFile: (String) -> Result<[UInt8], FileProblem>
    ) -> Result<String, ScalarProblem> {
        if inner.hasPrefix("env:") {
            var name = String(inner.dropFirst(4))
            var fallback: String?
            let bytes = Array(name.utf8)
            if let cut = bytes.indices.first(where: {
                bytes[$0] == 0x3a && $0 + 1 < bytes.count && bytes[$0 + 1] == 0x2d
            }) {
                fallback = String(decoding: bytes[(cut + 2)...], as: UTF8.self)
                name = String(decoding: bytes[..<cut], as: UTF8.self)
            }
            if let value = environment(name), !(value.isEmpty && fallback != nil) {
                return .success(value)
            }
            if let fallback { return .success(fallback) }
            return .failure(
                ScalarProblem(
                    rule: "env-unset", message: "\(name) is not set", expected: "a value",
                    suggestion: "set it, or `${env:\(name):-default}`"))
        }
        if inner.hasPrefix("file:") {
            let path = String(inner.dropFirst(5))
            switch readFile(path) {
            case .success(var bytes):
                if bytes.last == 0x0a { bytes.removeLast() }
                if bytes.last == 0x0d { bytes.removeLast() }
                return .success(String(decoding: bytes, as: UTF8.self))
            case .failure(let problem):
                return .failure(
                    ScalarProblem(
                        rule: "file-unreadable", message: "\(path) \(problem.message)",
                        expected: "a file that can be read", suggestion: nil))
            }
        }
        return .failure(
            ScalarProblem(
                rule: "unknown-reference", message: "\(shown("${\(inner)}")) stands for nothing",
                expected: "`${env:NAME}` or `${file:PATH}`",
                suggestion: "`${env:\(inner)}`; parameters come in a later version"))
    }

    /// A secret: exactly one reference.
    func secret(_ node: Node) -> Secret? {
        guard let raw = node.text else {
            _ = text(node, expected: "a reference")
            return nil
        }
        let inner = raw.dropFirst(2).dropLast()
        guard raw.hasPrefix("${env:") || raw.hasPrefix("${file:"), raw.hasSuffix("}"),
            !inner.contains("}"), !inner.contains("{")
        else {
            say(
                "secret-literal", at: node.place, "a secret may not stand in a topology",
                expected: "a reference",
                suggestion: "`${file:/run/secrets/kafka}`; and change this one, it is in a file now"
            )
            return nil
        }
        guard !inner.contains(":-") else {
            say(
                "secret-literal", at: node.place, "a secret may not have a default in a topology",
                expected: "a reference", suggestion: "the reference without `:-…`")
            return nil
        }
        return reference(raw)
    }

    /// What `raw` stands for when it is asked for, never before.
    func reference(_ raw: String) -> Secret {
        let environment = environment
        let readFile = readFile
        return Secret(reference: raw) {
            let reading = Reading(environment: environment, readFile: readFile)
            if case .success(let text) = reading.expand(raw) { return text }
            return nil
        }
    }

    // MARK: Values of keys

    /// The value of a key, read by `read`; `nil` if absent or wrong (which is said).
    private func value<T>(
        _ f: Fields, _ key: String, _ read: (String, FieldSpec) -> Result<T, ScalarProblem>
    ) -> T? {
        guard let node = f[key] else { return nil }
        guard let spec = f.spec.field(key) else {
            preconditionFailure("\(key) is no key of \(f.spec.name)")
        }
        return scalar(node, spec, read)
    }

    func scalar<T>(
        _ node: Node, _ spec: FieldSpec, _ read: (String, FieldSpec) -> Result<T, ScalarProblem>
    ) -> T? {
        guard let text = text(node, expected: spec.expected) else { return nil }
        switch read(text, spec) {
        case .success(let value): return value
        case .failure(let problem):
            say(
                problem.rule, at: node.place, problem.message,
                expected: problem.expected ?? spec.expected, suggestion: problem.suggestion)
            return nil
        }
    }

    static func duration(_ text: String, _ spec: FieldSpec) -> Result<Int64, ScalarProblem> {
        guard case .duration(let range) = spec.kind else { return Scalars.duration(text, "") }
        switch Scalars.duration(text, spec.expected) {
        case .success(let value) where !range.contains(value):
            return .failure(
                ScalarProblem(
                    rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
                    expected: spec.expected,
                    suggestion:
                        "`\(durationText(value < range.lowerBound ? range.lowerBound : range.upperBound))`"
                ))
        case let result: return result
        }
    }

    func duration(_ f: Fields, _ key: String) -> Int64? { value(f, key, Self.duration) }

    func size(_ f: Fields, _ key: String) -> Int64? {
        value(f, key) { text, spec in
            switch Scalars.size(text) {
            case .success(let value):
                guard case .size(let range) = spec.kind, !range.contains(value) else {
                    return .success(value)
                }
                return .failure(
                    ScalarProblem(
                        rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
                        expected: spec.expected,
                        suggestion:
                            "`\(sizeText(value < range.lowerBound ? range.lowerBound : range.upperBound))`"
                    ))
            case .failure(let problem): return .failure(problem)
            }
        }
    }

    static func count(_ text: String, _ spec: FieldSpec) -> Result<Int64, ScalarProblem> {
        switch Scalars.count(text) {
        case .success(let value):
            guard case .count(let range) = spec.kind, !range.contains(value) else {
                return .success(value)
            }
            return .failure(
                ScalarProblem(
                    rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
                    expected: spec.expected,
                    suggestion:
                        "`\(value < range.lowerBound ? range.lowerBound : range.upperBound)`"))
        case .failure(let problem): return .failure(problem)
        }
    }

    func count(_ f: Fields, _ key: String) -> Int64? { value(f, key, Self.count) }

    func share(_ f: Fields, _ key: String) -> Double? {
        value(f, key) { text, spec in
            guard case .share(let max) = spec.kind else { return Scalars.share(text, max: 1) }
            return Scalars.share(text, max: max)
        }
    }

    func boolean(_ f: Fields, _ key: String) -> Bool? {
        value(f, key) { text, spec in
            if spec.takesOff, text == "off" { return .success(false) }
            return Scalars.boolean(text)
        }
    }

    func choice(_ f: Fields, _ key: String) -> String? {
        value(f, key) { text, spec in Self.choice(text, spec) }
    }

    /// One of the words of a field.
    static func choice(_ text: String, _ spec: FieldSpec) -> Result<String, ScalarProblem> {
        let key = spec.name
        guard case .choice(let words) = spec.kind else { return .success(text) }
        if words.contains(text) || (spec.takesOff && text == "off") { return .success(text) }
        if let later = Self.laterWords[key], later.contains(text) {
            return .failure(
                ScalarProblem(
                    rule: "later", message: "\(shown(text)) comes in a later version",
                    expected: spec.expected, suggestion: words.first.map { "`\($0)`" }))
        }
        return .failure(
            ScalarProblem(
                rule: "unknown-word", message: "\(shown(text)) is not known here",
                expected: spec.expected, suggestion: nearest(text, words).map { "`\($0)`" }))
    }

    /// Words of the full language that this version refuses, by key.
    static let laterWords: [String: [String]] = [
        "format": [
            "avro", "protobuf", "cloudevents", "kserve_v1", "kserve_v2", "seldon", "sagemaker",
        ],
        "merge": ["kafka"], "layout": ["wide"],
        "sketch": ["req", "tdigest", "theta"],
        "per": ["stream", "monitor", "segment", "group", "pooled"],
        "method": ["e_lond", "lord", "saffron", "addis", "e_bh"],
    ]

    func string(_ f: Fields, _ key: String) -> String? {
        value(f, key) { text, spec in
            if case .text(let max) = spec.kind, text.unicodeScalars.count > max {
                return .failure(
                    ScalarProblem(
                        rule: "too-long", message: "\(text.unicodeScalars.count) letters",
                        expected: spec.expected, suggestion: "a shorter one"))
            }
            if case .path = spec.kind, text.isEmpty {
                return .failure(
                    ScalarProblem(
                        rule: "bad-path", message: "an empty path", expected: "a path",
                        suggestion: nil))
            }
            return .success(text)
        }
    }

    func name(_ f: Fields, _ key: String) -> String? {
        value(f, key) { text, spec in
            Scalars.isName(text)
                ? .success(text)
                : .failure(Self.badName(text, spec.expected))
        }
    }

    static func badName(_ text: String, _ expected: String) -> ScalarProblem {
        var guess = ""
        for character in text.lowercased().unicodeScalars {
            let isFine =
                character.isASCII
                && (character.properties.isAlphabetic || (0x30...0x39).contains(character.value))
            guess.unicodeScalars.append(isFine ? character : "-")
        }
        return ScalarProblem(
            rule: "bad-name", message: "\(shown(text)) is not a name", expected: expected,
            suggestion: Scalars.isName(guess) ? "`\(guess)`" : nil)
    }

    /// A topic name, as Kafka takes it.
    func topic(_ text: String, at place: Place) -> String? {
        let isFine =
            !text.isEmpty && text.utf8.count <= 249 && text != "." && text != ".."
            && text.utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0)
                    || (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x5f || $0 == 0x2d
            }
        if isFine { return text }
        say(
            "bad-topic", at: place, "\(shown(text)) can't name a topic",
            expected: "letters, digits, `.`, `_` and `-`, at most 249", suggestion: nil)
        return nil
    }

    func topic(_ f: Fields, _ key: String) -> String? {
        guard let node = f[key], let text = text(node, expected: "a topic") else { return nil }
        return topic(text, at: node.place)
    }

    func rate(_ f: Fields, _ key: String) -> ErrorBudget? {
        value(f, key) { text, _ in Scalars.rate(text) }
    }

    func hold(_ f: Fields, _ key: String) -> Hold? {
        value(f, key) { text, _ in
            if let (count, of) = Scalars.windowsOf(text) {
                return .success(.windows(count, of: of))
            }
            switch Scalars.duration(text, "a duration, or windows like `2 of 3`") {
            case .success(let ms) where ms <= weekMs: return .success(.duration(ms: ms))
            case .success:
                return .failure(
                    ScalarProblem(
                        rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
                        expected: "at most 7d", suggestion: "`7d`"))
            case .failure(var problem):
                if text.contains(" of ") {
                    problem = ScalarProblem(
                        rule: "bad-hold", message: "\(shown(text)) is not a hold",
                        expected: "a duration, or windows like `2 of 3`", suggestion: nil)
                }
                return .failure(problem)
            }
        }
    }

    /// The elements of a list; a lone scalar is a list of one where `orOne`.
    func list(_ node: Node, what: String, orOne: Bool = false, countMax: Int) -> [Node] {
        if orOne, node.text != nil { return [node] }
        guard let items = node.items else {
            say(
                "not-a-list", at: node.place, "\(describe(node)) stands here", expected: what,
                suggestion: node.text.map { "`[\($0)]`" })
            return []
        }
        if items.count > countMax {
            say(
                "too-many", at: items[countMax].place, "\(items.count) entries",
                expected: "at most \(countMax)", suggestion: nil)
        }
        return items.prefix(countMax).filter { item in
            guard item.isEmpty else { return true }
            say(
                "empty-value", at: item.place, "an entry with nothing in it", expected: what,
                suggestion: "delete it")
            return false
        }
    }
}
