package import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// How the language writes a place in a record: `output.score`, `items[0].age`, `"a key.with dots".b`,
/// `["in.age"]`.
package enum PathText {
    static let stepCountMax = 32
    static let like = "like output.score, items[0].age or [\"in.age\"]"

    private static func problem(_ message: String, _ suggestion: String? = nil) -> Result<
        [PathStep], ScalarProblem
    > {
        .failure(
            ScalarProblem(
                rule: "bad-path", message: message, expected: like, suggestion: suggestion))
    }

    /// The steps of a path, or why it is none, with the right spelling where another notation was
    /// meant.
    static func steps(_ text: String) -> Result<[PathStep], ScalarProblem> {
        if text == "key" || text.hasPrefix("header:") {
            return .failure(
                ScalarProblem(
                    rule: "later",
                    message: "\(shown(text)): key and headers come in a later version",
                    expected: "a place in the value", suggestion: nil))
        }
        if let foreign = foreign(text) { return foreign }
        var steps: [PathStep] = []
        var rest = Substring(text)
        func none(_ why: String) -> Result<[PathStep], ScalarProblem> {
            problem("\(shown(text)) \(why)")
        }
        while !rest.isEmpty {
            if rest.first == "[" {
                rest = rest.dropFirst()
                if let quote = rest.first, quote == "\"" || quote == "'" {
                    guard let key = quoted(&rest), rest.first == "]" else {
                        return none("has a `[` whose key has no end")
                    }
                    rest = rest.dropFirst()
                    steps.append(.key(key))
                } else {
                    guard let end = rest.firstIndex(of: "]"),
                        let index = Scalars.integer(String(rest[..<end])), index < 1_000_000
                    else { return none("has a `[` without an index") }
                    steps.append(.index(Int(index)))
                    rest = rest[rest.index(after: end)...]
                }
            } else {
                if !steps.isEmpty {
                    guard rest.first == "." else { return none("is not a path") }
                    rest = rest.dropFirst()
                }
                if let quote = rest.first, quote == "\"" || quote == "'" {
                    guard let key = quoted(&rest) else {
                        return none("has a key whose quotes have no end")
                    }
                    steps.append(.key(key))
                } else {
                    let key = rest.prefix { $0 != "." && $0 != "[" }
                    guard !key.isEmpty else { return none("has an empty step") }
                    if let fault = fault(of: String(key), in: text) { return fault }
                    steps.append(.key(String(key)))
                    rest = rest[key.endIndex...]
                }
            }
            if case .key("") = steps.last { return none("has an empty key") }
        }
        guard !steps.isEmpty, steps.count <= stepCountMax else { return none("is not a path") }
        return .success(steps)
    }

    /// A path as it is written, with quotes where a key needs them.
    package static func text(_ steps: [PathStep]) -> String {
        var text = ""
        for step in steps {
            switch step {
            case .index(let place): text += "[\(place)]"
            case .key(let key):
                if isPlain(key) {
                    text += text.isEmpty ? key : ".\(key)"
                } else {
                    text += key.contains("\"") ? "['\(key)']" : "[\"\(key)\"]"
                }
            }
        }
        return text
    }

    /// Up to the closing quote, which is taken off; `nil` where there is none.
    private static func quoted(_ rest: inout Substring) -> String? {
        guard let quote = rest.first else { return nil }
        let inner = rest.dropFirst()
        guard let end = inner.firstIndex(of: quote) else { return nil }
        rest = inner[inner.index(after: end)...]
        return String(inner[..<end])
    }

    /// A key that needs no quotes.
    private static func isPlain(_ key: String) -> Bool {
        !key.isEmpty && fault(of: key, in: key) == nil && !key.contains(".") && !key.contains("[")
            && key.first != "\"" && key.first != "'" && key.first != "$" && key.first != "/"
    }

    /// Letters that an unquoted key can't hold: they mean something in other notations, and not
    /// enough here.
    private static func fault(of key: String, in text: String) -> Result<[PathStep], ScalarProblem>?
    {
        if key == "*" {
            // Stands for the name of each column: see the columns of an entry.
            return nil
        }
        let right = "`[\"\(key)\"]` if it is a part of a key"
        if key.contains("*") || key.contains("?") {
            return problem("\(shown(text)) has a pattern, and a column reads one place", right)
        }
        if key.contains("\\") {
            return problem(
                "\(shown(text)) has a `\\`, which escapes nothing here",
                "`[\"\(text.filter { $0 != "\\" })\"]`")
        }
        if key.contains("\"") || key.contains("'") || key.contains("]") {
            return problem("\(shown(text)) has a quote or bracket within a key", right)
        }
        if key.first == " " || key.last == " " {
            return problem("\(shown(text)) has a blank before or behind a key", "`[\"\(key)\"]`")
        }
        return nil
    }

    /// Spellings of JSONPath, JSON Pointer and jq, with what they are here.
    private static func foreign(_ text: String) -> Result<[PathStep], ScalarProblem>? {
        func said(_ name: String, _ right: String?) -> Result<[PathStep], ScalarProblem> {
            problem("\(shown(text)) looks like \(name)", right.map { "`\($0)`" })
        }
        func translated(_ text: Substring) -> String? {
            if case .success(let steps) = steps(String(text)) { return Self.text(steps) }
            return nil
        }
        if text.hasPrefix("$") {
            // `$.a`, `$['a']`, and `$` for the record itself.
            let rest = text.dropFirst()
            if rest.isEmpty || rest.first == "." || rest.first == "[" {
                return said("JSONPath", translated(rest.first == "." ? rest.dropFirst() : rest))
            }
            return nil
        }
        if text.hasPrefix("/") || text.hasPrefix("#/") {
            let steps = text.drop { $0 == "#" }.dropFirst().split(
                separator: "/", omittingEmptySubsequences: false
            ).map { part -> PathStep in
                let key = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
                if let place = Scalars.integer(key), place < 1_000_000 { return .index(Int(place)) }
                return .key(key)
            }
            return said("JSON Pointer", Self.text(steps))
        }
        if text.hasPrefix("."), !text.hasPrefix("..") {
            return said("jq", translated(text.dropFirst()))
        }
        if text.contains("[*]") || text.contains("[]") || text.contains("..") {
            return problem(
                "\(shown(text)) stands for many places, and a column reads one",
                "an index, like `items[0]`")
        }
        return nil
    }
}

extension ColumnPlan {
    /// Its path with `*` as the name of the column.
    func path(for name: String) -> [PathStep] {
        path.map { $0 == .key("*") ? .key(name) : $0 }
    }
}
