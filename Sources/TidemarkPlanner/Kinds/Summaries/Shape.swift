import TidemarkDataflow
import TidemarkLanguage

/// Skewness and kurtosis.
struct Shape: OneFieldSummary {
    let sort = SummarySpec.Columns.numbers
    let setting = Setting(
        "shape", \ColumnSummary.shape, .boolean, usual: ColumnSummary(), json: "shape",
        "skewness and kurtosis")

    func extra(_ summary: ColumnSummary) -> (any CanonicalValue)? { summary.shape }
}
