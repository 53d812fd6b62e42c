import TidemarkDataflow
import TidemarkLanguage

/// Counts in universal bins.
struct LogLinear: OneFieldSummary {
    let sort = SummarySpec.Columns.numbers
    let setting = Setting(
        "log_linear", \ColumnSummary.logLinear, .boolean, usual: ColumnSummary(),
        json: "log_linear", "counts in universal bins, 32 to each power of two")

    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)? { summary.logLinear }
}
