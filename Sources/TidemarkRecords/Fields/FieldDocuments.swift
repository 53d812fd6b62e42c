package import TidemarkText

/// JSON Schemas (2020-12) and tables of fields, from what is known of fields.
extension FieldFacts {
    /// The schema of records with these fields.
    package static func schema(title: String, _ facts: [FieldFacts]) -> JSONValue {
        let head: [(name: String, value: JSONValue)] = [
            ("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
            ("title", .text(title)),
        ]
        return .object(head + FieldShape.object(facts).schema)
    }

    /// A table of fields in Markdown; fields of objects stand under a path, as in `verdicts[].p`.
    package static func table(_ facts: [FieldFacts]) -> String {
        var text = "| field | type | present | meaning |\n|---|---|---|---|\n"
        for fact in facts { fact.appendRows(to: &text, inside: "") }
        return text
    }

    /// A table of headers in Markdown.
    package static func headerTable(_ facts: [FieldFacts]) -> String {
        var text = "| header | present | meaning |\n|---|---|---|\n"
        for fact in facts {
            text += "| `\(fact.name)` | \(fact.presence ?? "always") | \(fact.help) |\n"
        }
        return text
    }

    private func appendRows(to text: inout String, inside path: String) {
        let path = path + name
        let type = unit.map { "\(shape.words), \($0.rawValue)" } ?? shape.words
        text += "| `\(path)` | \(type) | \(presence ?? "always") | \(help) |\n"
        let (inner, step) = shape.inner
        for fact in inner { fact.appendRows(to: &text, inside: path + step) }
    }
}

extension FieldShape {
    /// The fields that values have, and what stands between this field's name and theirs.
    fileprivate var inner: (facts: [FieldFacts], step: String) {
        switch self {
        case .object(let facts): (facts, ".")
        case .list(.object(let facts)): (facts, "[].")
        case .map(.object(let facts), _): (facts, ".*.")
        default: ([], "")
        }
    }

    /// The keywords that values have to meet.
    fileprivate var schema: [(name: String, value: JSONValue)] {
        func type(_ name: String) -> (name: String, value: JSONValue) { ("type", .text(name)) }
        switch self {
        case .constant(let value): return [("const", value)]
        case .flag: return [type("boolean")]
        case .integer: return [type("integer")]
        case .count: return [type("integer"), ("minimum", .integer(0))]
        case .number: return [type("number")]
        case .text: return [type("string")]
        case .word(let words): return [("enum", .array(words.map { .text($0) }))]
        case .list(let element): return [type("array"), ("items", .object(element.schema))]
        case .object(let facts):
            let properties = facts.map { fact in
                (
                    name: fact.name,
                    value: JSONValue.object(
                        fact.shape.schema + [("description", .text(fact.description))])
                )
            }
            let required = facts.filter(\.isRequired).map { JSONValue.text($0.name) }
            return [
                type("object"), ("properties", .object(properties)),
                ("required", .array(required)), ("additionalProperties", .boolean(false)),
            ]
        case .map(let value, let names):
            guard let names else {
                return [type("object"), ("additionalProperties", .object(value.schema))]
            }
            return [
                type("object"),
                ("patternProperties", .object([(names, .object(value.schema))])),
                ("additionalProperties", .boolean(false)),
            ]
        case .group:
            let types = ["string", "null", "boolean", "integer"].map { JSONValue.text($0) }
            return [
                type("object"),
                ("additionalProperties", .object([("type", .array(types))])),
            ]
        }
    }
}

extension FieldFacts {
    /// The meaning with the unit and the presence, for a schema.
    fileprivate var description: String {
        var text = help.replacing("\\|", with: "|")
        if let unit { text += " (\(unit.rawValue))" }
        if let presence { text += "; present \(presence)" }
        return text
    }
}

extension String {
    /// The text with each `part` replaced.
    fileprivate func replacing(_ part: String, with other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}

extension JSONValue {
    /// The document over lines, a space for each level: for documents that people read.
    package func pretty(_ indent: String = "") -> String {
        func lines(_ parts: [String], _ open: String, _ close: String) -> String {
            parts.isEmpty
                ? open + close
                : "\(open)\n"
                    + parts.map { "\(indent) \($0)" }.joined(separator: ",\n")
                    + "\n\(indent)\(close)"
        }
        switch self {
        case .array(let values): return lines(values.map { $0.pretty(indent + " ") }, "[", "]")
        case .object(let members):
            return lines(
                members.map {
                    let name = String(decoding: JSONValue.text($0.name).encoded(), as: UTF8.self)
                    return "\(name): \($0.value.pretty(indent + " "))"
                }, "{", "}")
        default: return String(decoding: encoded(), as: UTF8.self)
        }
    }
}
