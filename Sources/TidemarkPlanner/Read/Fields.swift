import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What names a key of a part, whatever the type of its value.
protocol TopologyKey: Sendable {
    var spec: KeySpec { get }
}

extension KeySpec: TopologyKey {
    var spec: KeySpec { self }
}

extension Key: TopologyKey {}

/// A map of the topology, its keys checked against its spec.
struct Fields {
    let spec: PartSpec
    let place: Place
    private let entries: [Node.Entry]
    let reading: Reading

    init(spec: PartSpec, place: Place, entries: [Node.Entry], reading: Reading) {
        self.spec = spec
        self.place = place
        self.entries = entries
        self.reading = reading
    }

    /// The line of a key; `nil`: the topology does not have it.
    func entry(_ key: some TopologyKey) -> Node.Entry? {
        reading.keysRead.insert("\(spec.name).\(key.spec.name)")
        return entries.first { $0.key == key.spec.name }
    }

    /// What stands behind a key.
    subscript(key: some TopologyKey) -> Node? { entry(key)?.value }
    func has(_ key: some TopologyKey) -> Bool { entry(key) != nil }
    func isOff(_ key: some TopologyKey) -> Bool { self[key]?.isOff ?? false }

    /// The value of a key; `nil` where the topology does not have it, or it is wrong (which is reported).
    func given<Value>(_ key: Key<Value>) -> Value? {
        self[key].flatMap { reading.scalar($0, key) }
    }

    /// The value of a key that can be off; `nil` where the topology does not have it, or it is wrong
    /// (which is reported).
    func given<Value>(_ key: Key<Value?>) -> Value?? {
        guard let node = self[key] else { return nil }
        if key.spec.takesOff, node.isOff { return .some(nil) }
        return reading.scalar(node, key)
    }

    /// The value of a key, or its default.
    func value<Value>(_ key: Key<Value>) -> Value { given(key) ?? key.usual }

    /// The value of a key that can be off, or its default.
    func value<Value>(_ key: Key<Value?>) -> Value? { given(key) ?? key.usual }

    /// The topic that a key names.
    func topic(_ key: some TopologyKey) -> String? {
        guard let node = self[key], let text = reading.text(node, expected: "a topic") else {
            return nil
        }
        return reading.topic(text, at: node.place)
    }

    /// The map behind a key, its own keys checked; `nil` where there is none.
    func part(_ key: some TopologyKey, _ spec: PartSpec, shape: String? = nil) -> Fields? {
        self[key].flatMap {
            reading.fields($0, spec, what: "`\(key.spec.name)`", shape: shape)
        }
    }
}

extension Reading {
    /// The map `node`, its unknown keys reported; `nil`: it is no map.
    func fields(_ node: Node, _ spec: PartSpec, what: String, shape: String? = nil) -> Fields? {
        guard let entries = node.entries else {
            say(
                "not-a-map", at: node.place, "\(what) is \(describe(node))",
                expected: shape
                    ?? "a map: "
                    + spec.keys.filter { !$0.isLater }.map(\.name).joined(separator: ", "),
                suggestion: "like `\(spec.example.split(separator: "\n").first ?? "")`")
            return nil
        }
        var known: [Node.Entry] = []
        for entry in entries {
            guard let field = spec.key(entry.key) else {
                sayUnknown(entry, spec, what)
                continue
            }
            if field.isLater {
                if entry.value.isOff { continue }
                let why = field.refusal.map { "is refused: \($0.because)" }
                say(
                    "later", at: entry.keyPlace,
                    "\(shown(entry.key)) \(why ?? "comes in a later version")",
                    expected: field.refusal?.instead ?? "keys of this version",
                    suggestion: field.refusal == nil ? "delete it for now" : "delete it")
                continue
            }
            guard !checkEmpty(entry, field) else { continue }
            if entry.value.isOff, !field.takesOff, field.form != .boolean {
                switch field.form {
                case .text, .name, .path, .secret, .any, .choice: break
                default:
                    say(
                        "not-off", at: entry.value.place,
                        "\(shown(entry.key)) cannot be switched off",
                        expected: field.expected, suggestion: "delete the line for the default")
                    continue
                }
            }
            known.append(entry)
        }
        for field in spec.keys
        where field.isRequired && !entries.contains(where: { $0.key == field.name }) {
            say(
                "missing-key", at: node.place, "\(what) has no `\(field.name)`",
                expected: field.expected, suggestion: "add `\(field.name): …`: \(field.help)")
        }
        return Fields(spec: spec, place: node.place, entries: known, reading: self)
    }

    /// A key without a value, or with `null`.
    func checkEmpty(_ entry: Node.Entry, _ field: KeySpec) -> Bool {
        guard entry.value.isEmpty else { return false }
        let isNull = entry.value.text != ""
        let fallback = field.defaultText.map { "delete the line for the default (\($0))" }
        say(
            "empty-value", at: isNull ? entry.value.place : entry.keyPlace,
            isNull
                ? "\(shown(entry.value.text ?? "")) is not a value"
                : "\(shown(entry.key)) has no value",
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
                "empty-value", at: entry.keyPlace, "\(shown(entry.key)) has no value",
                expected: item, suggestion: "`off`, or delete the line")
            return false
        }
    }
}
