import TidemarkDataflow
import TidemarkLanguage
import TidemarkTopology

/// Rows chosen by a hash of their coordinates.
struct Sample: OneFieldSummary {
    let sort = SummarySpec.Columns.numbers
    let setting = Setting(
        "sample", \ColumnSummary.sampleCount, ValueType<Int>.count(1...10_000).orOff,
        usual: ColumnSummary(), json: "sample",
        "rows chosen by a hash of their coordinates, each with partition and offset")

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(setting, isFor: sort)
        rule.set(setting, of: sort, &scope)
        var scratch = ColumnSummary()
        guard scope.topicCount > 1, let entry = rule.f.entry(setting),
            setting.read(rule.f, &scratch), scratch.sampleCount != nil
        else { return }
        rule.f.reading.say(
            "type-of-role", at: entry.keyPlace,
            "rows are named by partition and offset, and there are \(scope.topicCount) topics",
            expected: "one topic", suggestion: "delete it")
    }

    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)? { summary.sampleCount }
}
