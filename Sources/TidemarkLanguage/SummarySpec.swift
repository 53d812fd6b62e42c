/// What the language has to know of a summary: a key of a rule in `summaries`, and what it costs.
///
/// The code that computes a summary declares it in one of these, and the list is handed to the planner's
/// `init`. Nothing else names it: reading, checks by column type, the plan as JSON, its identity, the JSON Schema
/// and the reference are derived.
///
/// In a topology it is `NAME: true` (all defaults), `NAME: VALUE` (its first key), `NAME: { KEY: VALUE }`, or
/// `NAME: off`.
package struct SummarySpec: Sendable {
    /// The columns that it can be kept of.
    package enum Columns: String, Sendable {
        case numbers, categories
    }

    /// As it stands in a rule.
    package var name: String
    /// What is kept, in a few words.
    package var help: String
    /// Of which columns.
    package var columns: Columns
    /// Its keys: a value that is not a map is the first one's.
    package var keys: [SettingKey]
    /// It comes out the same whatever the order in which rows and panes are added.
    package var isOrderFree: Bool
    /// About how much memory it takes in a cell, bytes.
    package var cellBytes: @Sendable (Settings) -> Int
    /// The most that it adds to a record, bytes.
    package var recordBytes: @Sendable (Settings) -> Int
    /// The sketch that it can be published as; `nil`: it is not.
    package var sketch: SketchSpec?

    package init(
        _ name: String, of columns: Columns, keys: [SettingKey] = [], isOrderFree: Bool,
        cellBytes: @escaping @Sendable (Settings) -> Int,
        recordBytes: @escaping @Sendable (Settings) -> Int = { _ in 64 },
        sketch: SketchSpec? = nil, _ help: String
    ) {
        self.name = name
        self.help = help
        self.columns = columns
        self.keys = keys
        self.isOrderFree = isOrderFree
        self.cellBytes = cellBytes
        self.recordBytes = recordBytes
        self.sketch = sketch
    }

    /// All its keys have defaults: `true` asks for it.
    package var hasDefaults: Bool { keys.allSatisfy { $0.usual != nil } }

    /// The key of a rule that asks for it.
    package var ruleKey: KeySpec {
        let names = keys.map(\.spec.name)
        let first = keys.first?.spec
        var words = hasDefaults ? ["true"] : []
        if let first { words.append(first.form.expected) }
        if !names.isEmpty { words.append("{ \(names.joined(separator: ", ")) }") }
        var shapes: [ValueShape] = hasDefaults ? [.literals(["true", "false"])] : []
        if let first { shapes.append(.key(first)) }
        if !keys.isEmpty { shapes.append(.members(keys.map { ($0.spec.name, .key($0.spec)) })) }
        return KeySpec(
            name, .any(words.joined(separator: " or ")), says: "off", off: true,
            shape: .either(shapes + [.off]), help)
    }
}

/// The bytes of a summary on the sketches topic.
package struct SketchSpec: Sendable {
    /// As `outputs.aggregates.sketches` names it.
    package var name: String
    /// The most that it has, bytes.
    package var bytes: @Sendable (Settings) -> Int

    package init(_ name: String, bytes: @escaping @Sendable (Settings) -> Int) {
        self.name = name
        self.bytes = bytes
    }
}

/// A summary that a plan asks for, with the values of its keys: all that the code that computes it needs.
package struct PartPlan: Sendable, Equatable {
    /// The summary's name.
    package var name: String
    /// The values of its keys.
    package var settings: Settings
    /// About how much memory it takes in a cell, bytes.
    package var cellBytes: Int
    /// The most that it adds to a record, bytes.
    package var recordBytes: Int
    /// The sketch that it can be published as; `nil`: it is not.
    package var sketchName: String?
    /// The most that the sketch has, bytes.
    package var sketchBytes: Int

    /// The part that `spec` declares, with these values.
    package init(_ spec: SummarySpec, _ settings: Settings = Settings()) {
        name = spec.name
        self.settings = settings
        cellBytes = spec.cellBytes(settings)
        recordBytes = spec.recordBytes(settings)
        sketchName = spec.sketch?.name
        sketchBytes = spec.sketch?.bytes(settings) ?? 0
    }
}
