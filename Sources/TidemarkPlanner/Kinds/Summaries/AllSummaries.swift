import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A kind of summary: its keys in a rule of `summaries`, and what a plan says of it.
///
/// A new one is not written here: the code that computes it declares a `SummarySpec`, and `DeclaredSummary` does the
/// rest. These are the ones whose values are fields of `ColumnSummary`.
protocol SummaryKind: Sendable {
    /// Its keys in a rule.
    var keys: [any TopologyKey] { get }
    /// A map of its own behind one of them; `nil`: there is none.
    var part: PartSpec? { get }
    /// Sets what a rule says, for the columns of the rule.
    func apply(_ rule: SummaryRule, _ scope: inout Scope)
    /// What the plan's JSON says of a column.
    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact]
    /// What the identity says of a column.
    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity
}

extension SummaryKind {
    var part: PartSpec? { nil }
}

/// What a summary adds to the identity of a topology.
struct SummaryIdentity {
    /// Values of the column's own line.
    var column: [(any CanonicalValue)?] = []
    /// Values of the line `extras`, which is there if any of them is not its default.
    var extras: [(any CanonicalValue)?] = []
    /// Lines that are there if something is not its default.
    var lines: [Identity.Line] = []
}

/// A rule of `summaries` that was read, with the columns that it is for.
struct SummaryRule {
    let f: Fields
    /// Columns of it that are watched.
    let columns: [Int]
    let numbers: [Int]
    /// Categories and booleans.
    let texts: [Int]

    /// The columns of one sort.
    func columns(_ sort: SummarySpec.Columns) -> [Int] {
        sort == .numbers ? numbers : texts
    }

    /// Reports a key that has no effect, since the rule has no columns of its sort.
    func check(_ key: some TopologyKey, isFor sort: SummarySpec.Columns) {
        guard columns(sort).isEmpty, !columns.isEmpty, let entry = f.entry(key), !entry.value.isOff
        else { return }
        f.reading.say(
            "type-of-role", at: entry.keyPlace,
            "`\(entry.key)` is for \(sort.rawValue); this rule has none",
            expected: "columns that are \(sort.rawValue)", suggestion: "delete it")
    }

    /// Sets a field of each column of one sort.
    func set(
        _ setting: Setting<ColumnSummary>, of sort: SummarySpec.Columns, _ scope: inout Scope
    ) {
        guard f.has(setting) else { return }
        for index in columns(sort) { setting.read(f, &scope.schema.columns[index].summary) }
    }
}

/// A summary that is one field of `ColumnSummary`, and one key of a rule.
protocol OneFieldSummary: SummaryKind {
    var setting: Setting<ColumnSummary> { get }
    /// Of which columns it can be kept.
    var sort: SummarySpec.Columns { get }
    /// Its value in the line of extras.
    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)?
}

extension OneFieldSummary {
    var keys: [any TopologyKey] { [setting] }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(setting, isFor: sort)
        rule.set(setting, of: sort, &scope)
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        [setting.fact(summary)].compactMap(\.self)
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        SummaryIdentity(extras: [extra(summary)])
    }
}

extension ColumnSummary {
    /// What is kept of numbers unless a rule says otherwise.
    static let ofNumbers: ColumnSummary = {
        var summary = ColumnSummary()
        summary.moments = true
        summary.range = true
        summary.quantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
        return summary
    }()

    /// What is kept of categories and booleans unless a rule says otherwise.
    static let ofTexts: ColumnSummary = {
        var summary = ColumnSummary()
        summary.distinctLgK = 12
        summary.topCount = 10
        return summary
    }()
}

/// The summaries that there are.
enum Summaries {
    /// In the order in which they are listed to people, those that `specs` declare behind the others.
    static func all(_ specs: [SummarySpec]) -> [any SummaryKind] {
        let fields: [any SummaryKind] = [
            Histogram(), Quantiles(), Distinct(), Top(), Basics(), Shape(), Correlation(), Decay(),
            LogLinear(), Counts(), Sample(),
        ]
        return fields + specs.map { DeclaredSummary($0) }
    }

    /// In the order in which the plan's JSON and the identity have them.
    static func told(_ all: [any SummaryKind]) -> [any SummaryKind] {
        all.filter { $0 is Basics } + all.filter { !($0 is Basics) }
    }

    static let columns = KeySpec("columns", .selector, required: true, "of these columns")

    /// A rule, if these are the summaries.
    static func rule(_ all: [any SummaryKind]) -> PartSpec {
        PartSpec(
            "summary", path: "summaries[]", "what is kept of columns in each group and window",
            [columns] + all.flatMap { $0.keys },
            example: "- { columns: numbers, quantiles: { at: [50%, 99%] } }")
    }

    /// The rules of a topology, each with the columns that it picks.
    ///
    /// Columns that one picks by name are watched.
    static func read(
        _ top: Fields, rule: PartSpec, _ scope: inout Scope
    ) -> [(columns: [Int], fields: Fields)] {
        guard let node = top[TopologyPart.summaries] else { return [] }
        var rules: [(columns: [Int], fields: Fields)] = []
        for item in top.reading.list(node, what: "a list of rules", countMax: 64) {
            guard let f = top.reading.fields(item, rule, what: "a rule of `summaries`"),
                let selector = f[columns],
                let picked = Selector.read(selector, columns: scope.columns, reading: top.reading)
            else { continue }
            scope.named.formUnion(picked.named)
            rules.append((picked.picked, f))
        }
        return rules
    }

    /// Sets what is kept of each column that a segment watches: first the defaults, then rule by rule.
    static func apply(
        _ rules: [(columns: [Int], fields: Fields)], _ all: [any SummaryKind],
        _ scope: inout Scope
    ) {
        let watched = Set(scope.segments.plans.flatMap(\.columns))
        for index in watched {
            let column = scope.columns[index]
            // What is kept of a column of a monitor's own is the monitor's business.
            if column.isHidden { continue }
            var summary = ColumnSummary()
            if column.type.isNumeric {
                summary = .ofNumbers
                summary.histogram = Histogram.usual(index, scope)
            } else if column.type == .category || column.type == .boolean {
                summary = .ofTexts
            }
            scope.schema.columns[index].summary = summary
        }
        for rule in rules {
            let columns = rule.columns.filter(watched.contains)
            let types = scope.columns.map(\.type)
            let read = SummaryRule(
                f: rule.fields, columns: columns, numbers: columns.filter { types[$0].isNumeric },
                texts: columns.filter { types[$0] == .category || types[$0] == .boolean })
            for kind in all { kind.apply(read, &scope) }
        }
        // What checks look at is kept whatever the rules say.
        for index in watched {
            if scope.repeats.contains(index) {
                scope.schema.columns[index].summary.countsRepeats = true
            }
            if scope.seen.contains(index) { scope.schema.columns[index].summary.keepsSeen = true }
            if scope.counted.contains(index),
                scope.columns[index].summary.distinctLgK == nil
            {
                scope.schema.columns[index].summary.distinctLgK = 12
            }
        }
    }
}
