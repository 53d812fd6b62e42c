package import TidemarkText

/// A type whose values a plan carries without knowing the key that they belong to.
package protocol SettingValue: Sendable, Equatable {
    /// As the plan carries and prints it.
    var setting: JSONValue { get }
    /// The value again; `nil`: it is of another type.
    init?(setting: JSONValue)
}

extension Bool: SettingValue {
    package var setting: JSONValue { .boolean(self) }
    package init?(setting: JSONValue) {
        guard case .boolean(let value) = setting else { return nil }
        self = value
    }
}

extension Int: SettingValue {
    package var setting: JSONValue { .integer(Int64(self)) }
    package init?(setting: JSONValue) {
        guard case .integer(let value) = setting else { return nil }
        self = Int(value)
    }
}

extension Int64: SettingValue {
    package var setting: JSONValue { .integer(self) }
    package init?(setting: JSONValue) {
        guard case .integer(let value) = setting else { return nil }
        self = value
    }
}

extension Double: SettingValue {
    package var setting: JSONValue { .number(self) }
    package init?(setting: JSONValue) {
        guard case .number(let value) = setting else { return nil }
        self = value
    }
}

extension String: SettingValue {
    package var setting: JSONValue { .text(self) }
    package init?(setting: JSONValue) {
        guard case .text(let value) = setting else { return nil }
        self = value
    }
}

extension Optional: SettingValue where Wrapped: SettingValue {
    package var setting: JSONValue { self?.setting ?? .null }
    package init?(setting: JSONValue) {
        if case .null = setting {
            self = .none
        } else {
            guard let value = Wrapped(setting: setting) else { return nil }
            self = .some(value)
        }
    }
}

/// A key with the type of its value left out: a plan carries the value under the key's name.
package struct SettingKey: Sendable {
    /// What people are told of it.
    package let spec: KeySpec
    /// The value where a topology does not have the key; `nil`: it must be given.
    package let usual: JSONValue?
    /// The value of a text.
    package let read: @Sendable (String) -> Result<JSONValue, ScalarProblem>
    /// A value as an author of topologies writes it; `nil`: there is none.
    package let text: @Sendable (JSONValue) -> String?

    /// The key with the type of its value left out.
    package init<Value: SettingValue>(_ key: Key<Value>) {
        spec = key.spec
        usual = key.spec.isRequired ? nil : key.usual.setting
        read = { key.type.read($0, of: key.spec).map(\.setting) }
        text = { Value(setting: $0).flatMap(key.type.text) }
    }
}

/// Values of keys, by name: what a plan carries of a part that it does not know.
package struct Settings: Sendable, Equatable {
    /// In the order in which the part declares its keys.
    package private(set) var values: [(name: String, value: JSONValue)]

    /// These values, by the names of their keys.
    package init(_ values: [(name: String, value: JSONValue)] = []) { self.values = values }

    /// The value of a key; its default where it was not given.
    package subscript<Value: SettingValue>(key: Key<Value>) -> Value {
        values.first { $0.name == key.spec.name }.flatMap { Value(setting: $0.value) } ?? key.usual
    }

    /// The value of a name; `nil` takes it away.
    package subscript(name: String) -> JSONValue? {
        get { values.first { $0.name == name }?.value }
        set {
            values.removeAll { $0.name == name }
            if let newValue { values.append((name, newValue)) }
        }
    }

    package static func == (a: Settings, b: Settings) -> Bool {
        a.values.elementsEqual(b.values) { $0.name == $1.name && $0.value == $1.value }
    }
}
