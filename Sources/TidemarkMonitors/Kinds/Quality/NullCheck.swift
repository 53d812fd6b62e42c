import TidemarkCore
import TidemarkDrift
import TidemarkLanguage

/// Rows that say null, or lack the field.
enum NullCheck: ShareCheck {
    static let spec = CheckSpec(
        "null", of: [.numbers, .categories, .texts, .ids],
        contract: ContractSpec(
            "null", .share, of: [.numbers, .categories, .texts, .ids],
            "the share of rows that may be null or lack the field"),
        comparesWithBaseline: true, "rows that are null or lack the field")

    static let phrase = "of the rows have no value"

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        ShareCount(window.rows.null + window.rows.missing, of: window.rows.total)
    }

    /// A file that does not part its rows without a value has at most so many.
    static func then(_ entry: BaselineTable.Entry) -> ShareCount? {
        let others = (entry.wrongTypeCount ?? 0) + (entry.nonFiniteCount ?? 0)
        return ShareCount(entry.nullCount - others, of: entry.rowCount + entry.nullCount)
    }
}
