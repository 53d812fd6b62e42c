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
        compares: .rows, "rows that are null or lack the field")

    static let phrase = "of the rows have no value"

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        ShareCount(window.rows.null + window.rows.missing, of: window.rows.total)
    }

    /// A file that does not part its rows without a value has at most so many.
    static func then(_ usual: UsualRows) -> ShareCount? {
        let others = (usual.wrongTypeCount ?? 0) + (usual.nonFiniteCount ?? 0)
        return ShareCount(usual.nullCount - others, of: usual.valueCount + usual.nullCount)
    }
}
