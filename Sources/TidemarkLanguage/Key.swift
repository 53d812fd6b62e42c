package import TidemarkText

/// What a key of a topology is called and takes, whatever the type of its value.
///
/// Messages, the JSON Schema, `tidemark list operators` and the reference all read this.
package struct KeySpec: Sendable {
    /// As it stands in a topology.
    package var name: String
    /// What values it takes.
    package var form: ValueForm
    /// `off` is a value, too.
    package var takesOff: Bool
    /// A topology without it is refused.
    package var isRequired: Bool
    /// The default, as an author writes it or in words; `nil`: none.
    package var defaultText: String?
    /// The default as a JSON document would have it; `nil`: none, or it is not one value.
    package var defaultValue: JSONValue?
    /// What it is for, in a few words.
    package var help: String
    /// The full language knows it; this version refuses it.
    package var isLater: Bool
    /// Why it is refused, and what serves instead; `nil`: it has no reason of its own.
    package var refusal: (because: String, instead: String)?
    /// What its value is made of, where it is more than one scalar; `nil`: the form says it all.
    package var shape: ValueShape?

    /// A key whose value has parts of its own, which the part that it belongs to reads.
    ///
    /// `says` is what holds where the key is left out, in words.
    package init(
        _ name: String, _ form: ValueForm, says: String? = nil, off: Bool = false,
        required: Bool = false, shape: ValueShape? = nil, _ help: String
    ) {
        self.name = name
        self.form = form
        takesOff = off
        isRequired = required
        defaultText = says
        self.help = help
        isLater = false
        self.shape = shape
    }

    /// A key of the full language that this version refuses.
    package static func later(_ name: String, _ help: String) -> KeySpec {
        var spec = KeySpec(name, .any(""), help)
        spec.isLater = true
        return spec
    }

    /// A key of the full language that this version refuses for a reason.
    ///
    /// - `instead`: what serves in its place, as a message says what was expected.
    package static func later(
        _ name: String, _ help: String, because: String, instead: String
    ) -> KeySpec {
        var spec = later(name, help)
        spec.refusal = (because, instead)
        return spec
    }

    /// What a message says was expected.
    package var expected: String { takesOff ? form.expected + ", or off" : form.expected }
}

/// A key with one scalar for its value: the one place that knows its name, type, bounds, default and help.
package struct Key<Value: Sendable>: Sendable {
    /// What people are told of it.
    package let spec: KeySpec
    /// How its values are read and written.
    package let type: ValueType<Value>
    /// The value where a topology does not have the key.
    package let usual: Value

    /// A key with its default.
    ///
    /// `says` describes the default in words where it is not one value.
    package init(
        _ name: String, _ type: ValueType<Value>, usual: Value, says: String? = nil,
        required: Bool = false, _ help: String
    ) {
        var spec = KeySpec(
            name, type.form, says: says ?? type.text(usual), off: type.takesOff,
            required: required, help)
        if required { spec.defaultText = nil }
        if says == nil, let text = spec.defaultText { spec.defaultValue = type.form.value(text) }
        self.spec = spec
        self.type = type
        self.usual = usual
    }

    /// A key without a default.
    package init<Wrapped>(
        _ name: String, _ type: ValueType<Wrapped?>, says: String? = nil, required: Bool = false,
        _ help: String
    ) where Value == Wrapped? {
        self.init(name, type, usual: nil, says: says, required: required, help)
    }
}

/// What the value of a key is made of, for the JSON Schema.
package indirect enum ValueShape: Sendable {
    /// A map with the keys of the part of this name.
    case part(String)
    /// `off`.
    case off
    /// Any text.
    case text
    /// One of these words, or a reference that stands for one.
    case words([String])
    /// One of these words.
    case literals([String])
    /// A list of such values.
    case list(ValueShape)
    /// A map of names that the author chooses, each with such a value.
    case names(ValueShape)
    /// A map of these names, and no others.
    case members([(name: String, shape: ValueShape)])
    /// The value of a key by itself.
    case key(KeySpec)
    /// One of them.
    case either([ValueShape])
}

/// A part of a topology with its keys: a map, or a kind of monitor.
package struct PartSpec: Sendable {
    /// As messages and `tidemark list operators` name it.
    package var name: String
    /// Where it stands: `source`, `segments.*`, or nothing for the top level.
    package var path: String
    /// What it is for, in a few words.
    package var summary: String
    /// In the order in which they are listed.
    package var keys: [KeySpec]
    /// YAML, a few lines.
    package var example: String

    package init(
        _ name: String, path: String, _ summary: String, _ keys: [KeySpec], example: String
    ) {
        self.name = name
        self.path = path
        self.summary = summary
        self.keys = keys
        self.example = example
    }

    /// The key of that name; `nil`: the part has none.
    package func key(_ name: String) -> KeySpec? { keys.first { $0.name == name } }
    /// The keys that this version takes.
    package var keysOfNow: [KeySpec] { keys.filter { !$0.isLater } }
}
