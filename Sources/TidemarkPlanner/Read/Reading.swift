import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Reads values and collects what is wrong with them.
final class Reading {
    var diagnostics: [Diagnostic] = []
    /// What was said, to say nothing twice.
    private var said: Set<Diagnostic> = []
    /// Texts with references, by place: what the references stand for is shown nowhere.
    var replaced: [Place: (raw: String, text: String)] = [:]
    /// Keys that were asked for, whether or not the topology has them: `part.key`.
    var keysRead: Set<String> = []
    /// Every part of a topology: where a key that stands in the wrong place belongs.
    let parts: [PartSpec]
    let environment: @Sendable (String) -> String?
    let readFile: @Sendable (String) -> Result<[UInt8], FileProblem>

    init(
        parts: [PartSpec], environment: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String) -> Result<[UInt8], FileProblem>
    ) {
        self.parts = parts
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

    func describe(_ node: Node) -> String {
        switch node.kind {
        case .scalar(let text, _): node.isEmpty ? "empty" : shown(text)
        case .list: "a list"
        case .map: "a map"
        }
    }

    // MARK: Scalars

    /// The value of a text behind a key; `nil` if it is wrong (which is said).
    func scalar<Value>(_ node: Node, _ key: Key<Value>) -> Value? {
        scalar(node, key.spec) { key.type.read($0, of: key.spec) }
    }

    /// The value that `read` makes of a text; `nil` if it is wrong (which is said).
    func scalar<Value>(
        _ node: Node, _ spec: KeySpec, _ read: (String) -> Result<Value, ScalarProblem>
    ) -> Value? {
        guard let text = text(node, expected: spec.expected) else { return nil }
        switch read(text) {
        case .success(let value): return value
        case .failure(let problem):
            say(
                problem.rule, at: node.place, problem.message,
                expected: problem.expected ?? spec.expected, suggestion: problem.suggestion)
            return nil
        }
    }

    /// The number that a scalar holds.
    func number(_ node: Node) -> Double? {
        guard let text = text(node, expected: "a number") else { return nil }
        if let value = Scalars.number(text) { return value }
        say(
            "bad-number", at: node.place, "\(shown(text)) is not a number",
            expected: "a finite number", suggestion: nil)
        return nil
    }

    /// Whether a name is one; what is wrong with it is reported.
    func isName(_ text: String, at place: Place) -> Bool {
        if Scalars.isName(text) { return true }
        let problem = Scalars.badName(text, ValueForm.name.expected)
        say(
            problem.rule, at: place, problem.message, expected: problem.expected,
            suggestion: problem.suggestion)
        return false
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

    /// The elements of a list; a lone scalar is a list of one where `orOne`.
    func list(_ node: Node, what: String, orOne: Bool = false, countMax: Int) -> [Node] {
        if orOne, node.text != nil { return [node] }
        guard let items = node.items else {
            say(
                "not-a-list", at: node.place, "found \(describe(node))", expected: what,
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
                "empty-value", at: item.place, "an empty entry", expected: what,
                suggestion: "delete it")
            return false
        }
    }
}
