import TidemarkDataflow
import TidemarkLanguage

/// Mean, deviation and rate in which the past counts less and less.
struct Decay: OneFieldSummary {
    let sort = SummarySpec.Columns.numbers
    let setting = Setting(
        "decay", \ColumnSummary.halfLifeMs, ValueType.duration(secondMs...weekMs).orOff,
        usual: ColumnSummary(), json: "decay_ms",
        "mean, deviation and rate in which a value counts half after this time")

    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)? { summary.halfLifeMs }
}
