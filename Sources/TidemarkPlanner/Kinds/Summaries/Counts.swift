import TidemarkDataflow
import TidemarkLanguage

/// Exact counts of different values.
struct Counts: OneFieldSummary {
    let sort = SummarySpec.Columns.categories
    let setting = Setting(
        "counts", \ColumnSummary.valueCountMax, ValueType<Int>.count(1...4096).orOff,
        usual: ColumnSummary(), json: "counts", "exact counts of up to this many different values")

    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)? { summary.valueCountMax }
}
