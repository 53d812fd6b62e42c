import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A summary that the planner knows by its spec alone; its plan is a `PartPlan` of the column.
struct DeclaredSummary: SummaryKind {
    private let spec: SummarySpec
    private let ruleKey: KeySpec
    /// What a map behind the key may hold.
    private let map: PartSpec

    init(_ spec: SummarySpec) {
        self.spec = spec
        ruleKey = spec.ruleKey
        map = PartSpec(
            spec.name, path: "summaries[].\(spec.name)", spec.help, spec.keys.map(\.spec),
            example: "\(spec.name): { \(spec.keys.map(\.spec.name).joined(separator: ", ")) }")
    }

    var keys: [any TopologyKey] { [ruleKey] }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(ruleKey, isFor: spec.columns)
        guard let entry = rule.f.entry(ruleKey) else { return }
        var part: PartPlan?
        if !entry.value.isOff {
            guard let settings = read(entry, rule.f.reading) else { return }
            part = PartPlan(spec, settings)
        }
        for index in rule.columns(spec.columns) {
            scope.schema.columns[index].summary.parts.removeAll { $0.name == spec.name }
            guard let part else { continue }
            scope.schema.columns[index].summary.parts.append(part)
            // State is laid out in this order, which no order of rules may change.
            scope.schema.columns[index].summary.parts.sort { $0.name < $1.name }
        }
    }

    /// The values of its keys; `nil` after reporting what is wrong.
    private func read(_ entry: Node.Entry, _ reading: Reading) -> Settings? {
        let node = entry.value
        var given: [String: JSONValue] = [:]
        if node.entries != nil {
            guard let f = reading.fields(node, map, what: "`\(spec.name)`") else { return nil }
            for key in spec.keys {
                guard let node = f[key.spec] else { continue }
                guard let value = reading.scalar(node, key.spec, key.read) else { return nil }
                given[key.spec.name] = value
            }
        } else if !(spec.hasDefaults && node.text == "true") {
            guard let first = spec.keys.first else {
                reading.say(
                    "bad-boolean", at: node.place, "\(reading.describe(node)) is not a boolean",
                    expected: ruleKey.expected, suggestion: "`true`")
                return nil
            }
            guard let value = reading.scalar(node, first.spec, first.read) else { return nil }
            given[first.spec.name] = value
        }
        var values: [(name: String, value: JSONValue)] = []
        for key in spec.keys {
            guard let value = given[key.spec.name] ?? key.usual else {
                reading.say(
                    "missing-key", at: node.place, "`\(spec.name)` has no `\(key.spec.name)`",
                    expected: key.spec.expected,
                    suggestion: "add `\(key.spec.name): …`: \(key.spec.help)")
                return nil
            }
            values.append((key.spec.name, value))
        }
        return Settings(values)
    }

    private func plan(_ summary: ColumnSummary) -> PartPlan? {
        summary.parts.first { $0.name == spec.name }
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        plan(summary).map { [(spec.name, .object($0.settings.values))] } ?? []
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        guard let plan = plan(summary) else { return SummaryIdentity() }
        let line = Identity.Line("part", spec.name, JSONValue.object(plan.settings.values))
        return SummaryIdentity(lines: [line])
    }
}
