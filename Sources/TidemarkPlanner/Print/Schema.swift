import TidemarkTopology

/// A JSON Schema (2020-12) of topologies, for editors: from the same specs as the checks.
package func topologySchema() -> String {
    let definitions = operatorCatalogue.filter { $0.path != "" }.map { spec in
        (spec.name, schema(of: spec))
    }
    var properties: [(String, String)] = [
        ("$schema", quoted("https://json-schema.org/draft/2020-12/schema")),
        ("title", quoted("Tidemark topology")),
    ]
    properties.append(contentsOf: members(of: Spec.topology))
    properties.append(("$defs", object(definitions)))
    return object(properties) + "\n"
}

private func schema(of spec: OperatorSpec) -> String {
    object([("description", quoted(spec.summary))] + members(of: spec))
}

private func members(of spec: OperatorSpec) -> [(String, String)] {
    let fields = spec.fields.filter { !$0.isLater }
    var members: [(String, String)] = [
        ("type", quoted("object")),
        (
            "properties",
            object(fields.map { ($0.name, schema(of: $0, in: spec)) })
        ),
        ("additionalProperties", "false"),
    ]
    let required = fields.filter(\.isRequired).map { quoted($0.name) }
    if !required.isEmpty { members.append(("required", array(required))) }
    return members
}

/// Maps of a key that have a spec of their own: by path of the owner and the key.
private func inner(_ field: FieldSpec, _ spec: OperatorSpec) -> String? {
    func reference(_ name: String) -> String { object([("$ref", quoted("#/$defs/\(name)"))]) }
    func map(_ value: String) -> String {
        object([("type", quoted("object")), ("additionalProperties", value)])
    }
    // A reference may stand for a word.
    func words(_ list: [String]) -> String {
        object([
            (
                "anyOf",
                array([
                    object([("enum", array(list.map(quoted)))]),
                    object([("type", quoted("string")), ("pattern", quoted("^\\$\\{"))]),
                ])
            )
        ])
    }
    let off = object([("enum", array([quoted("off"), "false"]))])
    func either(_ parts: String...) -> String { object([("anyOf", array(parts))]) }
    switch (spec.name, field.name) {
    case ("topology", "kafka"), ("topology", "source"), ("topology", "budget"),
        ("topology", "alerts"), ("topology", "outputs"), ("topology", "limits"),
        ("topology", "run"):
        return reference(field.name)
    case ("topology", "segments"): return map(either(reference("segment"), off))
    case ("topology", "baselines"): return map(either(reference("baseline"), off))
    case ("topology", "monitors"):
        return map(
            either(reference("drift"), reference("volume"), reference("freshness"), off))
    case ("topology", "summaries"):
        return object([("type", quoted("array")), ("items", reference("summary"))])
    case ("kafka", "tls"), ("kafka", "sasl"): return either(reference(field.name), off)
    case ("source", "schema"):
        return map(either(words(ColumnWords.all), reference("column")))
    case ("column", "role"): return words(ColumnWords.ofRole + ColumnWords.times.map(\.word))
    case ("column", "type"): return words(ColumnWords.ofType)
    case ("source", "decode"):
        return either(
            object([("enum", array([quoted("json"), quoted("csv")]))]), reference("decode"))
    case ("drift", "test"):
        let bounds = object([
            ("type", quoted("object")),
            (
                "properties",
                object(
                    spec.fields.filter { $0.name == "ignore_below" }.map {
                        ($0.name, schema(of: $0, in: spec))
                    })
            ), ("additionalProperties", "false"),
        ])
        return either(
            words(["auto"] + TestWords.names),
            object([("type", quoted("array")), ("items", words(TestWords.names))]),
            object([
                ("type", quoted("object")),
                ("properties", object(TestWords.names.map { ($0, bounds) })),
                ("additionalProperties", "false"),
            ]))
    case ("column", "expect"): return reference("expect")
    case ("summary", "histogram"), ("summary", "quantiles"), ("summary", "distinct"):
        return either(reference(field.name), off)
    case ("outputs", "aggregates"):
        return either(object([("type", quoted("string"))]), reference("aggregates"), off)
    default: return nil
    }
}

private func schema(of field: FieldSpec, in spec: OperatorSpec) -> String {
    var help = field.help
    if let text = field.defaultText { help += " (default \(text))" }
    let description = ("description", quoted(help))
    if let inner = inner(field, spec) {
        return object([description, ("allOf", array([inner]))])
    }
    let string = quoted("string")
    // YAML tools turn these into numbers and booleans; both are read.
    var members: [(String, String)] = [description]
    switch field.kind {
    case .choice(let words):
        // A reference may stand for a word.
        members.append(
            (
                "anyOf",
                array(
                    [
                        object([
                            ("enum", array((words + (field.takesOff ? ["off"] : [])).map(quoted)))
                        ]),
                        object([("type", string), ("pattern", quoted("^\\$\\{"))]),
                    ] + (field.takesOff ? [object([("const", "false")])] : []))
            ))
    case .boolean: members.append(("type", array([quoted("boolean"), string])))
    case .count, .number, .share: members.append(("type", array([quoted("number"), string])))
    case .list: members.append(("type", array([quoted("array"), string])))
    case .map: members.append(("type", quoted("object")))
    case .selector: members.append(("type", array([string, quoted("array")])))
    case .any: break
    case .text, .name, .path, .secret, .duration, .time, .size, .rate, .hold, .condition:
        members.append(
            (
                "type",
                field.takesOff
                    ? array([string, quoted("boolean")])
                    : array([string, quoted("number"), quoted("boolean")])
            ))
    }
    return object(members)
}
