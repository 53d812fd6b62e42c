import TidemarkCore
import TidemarkDrift
import TidemarkLanguage

/// Rows whose number is NaN, infinite or beyond the range of a double.
enum NonFiniteCheck: ShareCheck {
    static let spec = CheckSpec(
        "non_finite", of: [.numbers], compares: .rows,
        "numbers that are NaN, infinite or too large")

    static let phrase = "of the rows have a number that is not finite"

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        ShareCount(window.rows.nonFinite, of: window.rows.total)
    }

    /// A file that does not part its rows without a value has at most so many.
    static func then(_ usual: UsualRows) -> ShareCount? {
        ShareCount(
            usual.nonFiniteCount ?? usual.nullCount, of: usual.valueCount + usual.nullCount)
    }
}
