import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Other settings of a monitor for some of its groups and columns.
enum OverridesPart {
    private static let countMax = 32
    private static let groups = KeySpec(
        "groups", .map("a map dimension → value or pattern"), says: "all",
        shape: .names(.text), "for which groups")
    private static let columns = KeySpec("columns", .selector, says: "all", "for which columns")
    /// An alert that is open goes on by what holds for all.
    private static let common = AlertKeys.ofMonitor.filter { $0.spec.name != "resolve_after" }

    /// The key, where a kind has these settings of its own.
    static func key(_ own: [Setting<MonitorPlan>]) -> KeySpec {
        let members = [groups, columns] + (own + common).map(\.spec)
        return KeySpec(
            "overrides", .list("a list of { groups, columns, and settings }"), says: "[]",
            shape: .list(.members(members.map { ($0.name, .key($0)) })),
            "other settings for some groups or columns: the last that matches wins, key by key")
    }

    /// Reads the overrides of a monitor.
    static func read(
        _ f: Fields, _ own: [Setting<MonitorPlan>], _ scope: Scope, into plan: inout MonitorPlan
    ) {
        let settings = own + common
        guard let node = f[key(own)] else { return }
        let part = PartSpec(
            "override", path: "monitors.*.overrides[]", "settings for some groups or columns",
            [groups, columns] + settings, example: "- { columns: income, severity: info }")
        for item in scope.reading.list(node, what: "a list of overrides", countMax: countMax) {
            guard let one = scope.reading.fields(item, part, what: "an override"),
                let entries = item.entries
            else { continue }
            let setters = settings.compactMap { $0.setter(one) }
            if setters.isEmpty {
                scope.reading.say(
                    "override-empty", at: item.place, "this override sets nothing",
                    expected: settings.map(\.spec.name).joined(separator: ", "),
                    suggestion: "delete it")
                continue
            }
            var picked: [Int]?
            if let selector = one[columns] {
                guard
                    let found = Selector.read(
                        selector, columns: scope.columns, reading: scope.reading)
                else { continue }
                picked = found.picked
            }
            plan.overrides.append(
                MonitorOverride(
                    groups: one[groups].map { GroupPatterns.read($0, scope) } ?? [],
                    columns: picked,
                    texts: entries.filter { !["groups", "columns"].contains($0.key) }
                        .map { ($0.key, $0.value.text ?? "") }
                ) { plan in
                    for set in setters { set(&plan) }
                })
        }
    }

    /// A line of what is said about data, for each.
    static func identity(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Identity.Line] {
        plan.overrides.map { override in
            Identity.Line(
                "override", plan.name, override.groups.map { [$0.dimension, $0.pattern] },
                override.columns.map { stream.columnNames($0) },
                override.texts.map { [$0.key, $0.value] })
        }
    }

    /// What the plan's JSON says.
    static func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        guard !plan.overrides.isEmpty else { return [] }
        let list: [JSONValue] = plan.overrides.map { override in
            let columns = override.columns.map { $0.map { stream.columns[$0].name } }
            return .object(
                [
                    (
                        "groups",
                        .object(override.groups.map { ($0.dimension, .text($0.pattern)) })
                    ), ("columns", columns.map { .texts($0) } ?? .null),
                ] + override.texts.map { ($0.key, .text($0.value)) })
        }
        return [("overrides", .array(list))]
    }
}

/// Patterns of values by dimension, as overrides and times of `mute` have them.
enum GroupPatterns {
    /// The patterns of a map; a dimension that no segment has is reported.
    static func read(_ node: Node, _ scope: Scope) -> [GroupPattern] {
        let known = Set(scope.segments.plans.flatMap { $0.dimensions.map(\.name) })
        return scope.reading.named(node, what: "groups", item: "a value or pattern", countMax: 6)
            .compactMap { entry in
                guard let text = scope.reading.text(entry.value, expected: "a value or pattern")
                else { return nil }
                if !known.contains(entry.key) {
                    scope.reading.say(
                        "unknown-dimension", at: entry.keyPlace,
                        "no segment has the dimension \(shown(entry.key))",
                        expected: alternatives(known.sorted()),
                        suggestion: nearest(entry.key, Array(known)).map { "`\($0)`" })
                }
                return GroupPattern(dimension: entry.key, pattern: text)
            }
    }
}
