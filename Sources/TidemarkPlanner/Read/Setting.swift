import TidemarkLanguage
import TidemarkText

/// A name and a value of a plan, as `tidemark plan --json` has them.
typealias Fact = (name: String, value: JSONValue)

/// A key whose value is one field of a plan: the field's own default is the key's.
struct Setting<Plan>: TopologyKey, Sendable {
    let spec: KeySpec
    private let given: @Sendable (Fields) -> (@Sendable (inout Plan) -> Void)?
    /// What the plan's JSON says of it; `nil`: nothing.
    let fact: @Sendable (Plan) -> Fact?

    /// A key for a field.
    ///
    /// `usual` is a plan with the default in it, which `says` describes where it is not one value; `json` names
    /// the field in the plan's JSON.
    init<Value>(
        _ name: String, _ field: any WritableKeyPath<Plan, Value> & Sendable,
        _ type: ValueType<Value>, usual: Plan, says: String? = nil, json: String? = nil,
        _ help: String
    ) {
        let key = Key(name, type, usual: usual[keyPath: field], says: says, help)
        spec = key.spec
        given = { f in
            guard let value = f.given(key) else { return nil }
            return { (plan: inout Plan) in plan[keyPath: field] = value }
        }
        fact = { plan in json.map { ($0, type.json(plan[keyPath: field])) } }
    }

    /// A key for a field that there may be nothing in.
    init<Value>(
        _ name: String, _ field: any WritableKeyPath<Plan, Value?> & Sendable,
        _ type: ValueType<Value?>, usual: Plan, says: String? = nil, json: String? = nil,
        _ help: String
    ) {
        let key = Key(name, type, usual: usual[keyPath: field], says: says, help)
        spec = key.spec
        given = { f in
            guard let value = f.given(key) else { return nil }
            return { (plan: inout Plan) in plan[keyPath: field] = value }
        }
        fact = { plan in json.map { ($0, type.json(plan[keyPath: field])) } }
    }

    /// Sets the field to the value in the topology; leaves it alone where there is none, or a wrong one.
    ///
    /// - Returns: whether it was set.
    @discardableResult
    func read(_ f: Fields, _ plan: inout Plan) -> Bool {
        guard let set = given(f) else { return false }
        set(&plan)
        return true
    }

    /// What sets the field to the value in the topology; `nil` where there is none, or a wrong one.
    func setter(_ f: Fields) -> (@Sendable (inout Plan) -> Void)? { given(f) }
}

extension Fields {
    /// Sets all fields that the topology has a value for.
    func read<Plan>(_ settings: [Setting<Plan>], into plan: inout Plan) {
        for setting in settings { setting.read(self, &plan) }
    }
}
