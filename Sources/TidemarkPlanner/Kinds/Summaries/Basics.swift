import TidemarkDataflow
import TidemarkLanguage

/// Mean, standard deviation, smallest and greatest value.
struct Basics: SummaryKind {
    private let moments = Setting(
        "moments", \ColumnSummary.moments, .boolean, usual: .ofNumbers, json: "moments",
        "mean and standard deviation")
    private let range = Setting(
        "range", \ColumnSummary.range, .boolean, usual: .ofNumbers, json: "range",
        "smallest and greatest value")
    var keys: [any TopologyKey] { [moments, range] }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.set(moments, of: .numbers, &scope)
        rule.set(range, of: .numbers, &scope)
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        [moments, range].compactMap { $0.fact(summary) }
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        SummaryIdentity(column: [summary.moments, summary.range])
    }
}
