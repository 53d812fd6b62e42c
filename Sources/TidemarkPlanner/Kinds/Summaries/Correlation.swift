import TidemarkDataflow
import TidemarkLanguage
import TidemarkTopology

/// Covariance and correlation of the columns of a rule with each other.
struct Correlation: SummaryKind {
    private let correlation = Key(
        "correlation", .booleanOrOff, usual: false,
        "covariance and correlation of the columns of this rule with each other")
    private let counts = 2...64
    var keys: [any TopologyKey] { [correlation] }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(correlation, isFor: .numbers)
        guard let entry = rule.f.entry(correlation) else { return }
        // A value that is no boolean was said, and stops the topology anyway.
        let isWanted = rule.f.given(correlation) ?? true
        let numbers = rule.numbers
        if !isWanted {
            scope.correlations = scope.correlations.compactMap { list in
                let rest = list.filter { !numbers.contains($0) }
                return rest.count > 1 ? rest : nil
            }
        } else if counts.contains(numbers.count) {
            scope.correlations.append(numbers.sorted())
        } else {
            rule.f.reading.say(
                "out-of-range", at: entry.keyPlace,
                "`correlation` of \(numbers.count) number\(numbers.count == 1 ? "" : "s")",
                expected: "\(counts.lowerBound) to \(counts.upperBound) columns that are numbers",
                suggestion: "`columns: [age, score]`")
        }
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] { [] }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        SummaryIdentity()
    }
}
