import TidemarkDataflow
import TidemarkLanguage

/// Frequent items.
struct Top: SummaryKind {
    private let top = Setting(
        "top", \ColumnSummary.topCount, ValueType<Int>.count(1...1000).orOff, usual: .ofTexts,
        json: "top", "frequent items, with bounds")
    var keys: [any TopologyKey] { [top] }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(top, isFor: .categories)
        rule.set(top, of: .categories, &scope)
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        [top.fact(summary)].compactMap(\.self)
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        SummaryIdentity(column: [summary.topCount])
    }
}
