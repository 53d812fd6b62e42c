import TidemarkLanguage
import TidemarkText

extension Catalogue {
    /// A JSON Schema (2020-12) of topologies, for editors: from the same specs as the checks.
    package var schema: String {
        let head: [Fact] = [
            ("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
            ("title", .text("Tidemark topology")),
        ]
        let definitions: [Fact] = parts.filter { $0.path != "" }.map { part in
            (part.name, .object([("description", .text(part.summary))] + members(of: part)))
        }
        return JSONValue.object(head + members(of: topology) + [("$defs", .object(definitions))])
            .written + "\n"
    }
}

private func members(of part: PartSpec) -> [Fact] {
    let keys = part.keysOfNow
    var members: [Fact] = [
        ("type", .text("object")), ("properties", .object(keys.map { ($0.name, schema(of: $0)) })),
        ("additionalProperties", .boolean(false)),
    ]
    let required = keys.filter(\.isRequired).map(\.name)
    if !required.isEmpty { members.append(("required", .texts(required))) }
    return members
}

private func schema(of key: KeySpec) -> JSONValue {
    let text = key.defaultText.map { " (default \($0))" } ?? ""
    var description: [Fact] = [("description", .text(key.help + text))]
    if let value = key.defaultValue { description.append(("default", value)) }
    if let shape = key.shape {
        return .object(description + [("allOf", .array([schema(of: shape)]))])
    }
    return .object(description + type(of: key))
}

/// A reference may stand for a word.
private let reference: JSONValue = .object([
    ("type", .text("string")), ("pattern", .text("^\\$\\{")),
])

private func schema(of shape: ValueShape) -> JSONValue {
    func object(_ members: Fact...) -> JSONValue { .object([("type", .text("object"))] + members) }
    switch shape {
    case .part(let name): return .object([("$ref", .text("#/$defs/\(name)"))])
    case .off: return .object([("enum", .array([.text("off"), .boolean(false)]))])
    case .text: return .object([("type", .text("string"))])
    case .literals(let words): return .object([("enum", .texts(words))])
    case .words(let words):
        return .object([("anyOf", .array([.object([("enum", .texts(words))]), reference]))])
    case .list(let item): return .object([("type", .text("array")), ("items", schema(of: item))])
    case .names(let value): return object(("additionalProperties", schema(of: value)))
    case .members(let members):
        return object(
            ("properties", .object(members.map { ($0.name, schema(of: $0.shape)) })),
            ("additionalProperties", .boolean(false)))
    case .key(let key): return schema(of: key)
    case .either(let shapes): return .object([("anyOf", .array(shapes.map(schema)))])
    }
}

/// What the form of a key says of its value.
///
/// YAML tools turn texts into numbers and booleans; both are read.
private func type(of key: KeySpec) -> [Fact] {
    func types(_ names: String...) -> [Fact] { [("type", .texts(names))] }
    func numbers(_ name: String) -> [Fact] {
        [("type", .texts([name, "string"] + (key.takesOff ? ["boolean"] : [])))]
    }
    switch key.form {
    case .choice(let words):
        let literals = (words + (key.takesOff ? ["off"] : [])).flatMap { word -> [JSONValue] in
            [.text(word)] + (Scalars.integer(word).map { [.integer($0)] } ?? [])
        }
        let off: [JSONValue] = key.takesOff ? [.object([("const", .boolean(false))])] : []
        return [("anyOf", .array([.object([("enum", .array(literals))]), reference] + off))]
    case .boolean: return types("boolean", "string")
    // Bounds are those of a value that is written as a number: a reference, or `50%`, is a text.
    case .count(let range):
        return numbers("integer") + [("minimum", .integer(range.lowerBound))]
            + (range.upperBound == .max ? [] : [("maximum", .integer(range.upperBound))])
    case .number(let range):
        let bounds: [Fact] = [
            ("minimum", .number(range.lowerBound)), ("maximum", .number(range.upperBound)),
        ]
        return numbers("number")
            + bounds.filter { $0.value != .number(.infinity) && $0.value != .number(-.infinity) }
    case .share(let max):
        return numbers("number") + [
            ("minimum", .integer(0)), ("maximum", .number(min(1, max))),
        ]
    case .list: return types("array", "string")
    case .map: return [("type", .text("object"))]
    case .selector: return types("string", "array")
    case .any: return []
    case .text, .name, .path, .secret, .duration, .time, .size, .rate, .hold, .condition:
        return key.takesOff ? types("string", "boolean") : types("string", "number", "boolean")
    }
}
