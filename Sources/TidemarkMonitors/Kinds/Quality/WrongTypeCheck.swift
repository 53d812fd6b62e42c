import TidemarkCore
import TidemarkDrift
import TidemarkLanguage

/// Rows whose value is of another type, such as a text in a column of numbers.
enum WrongTypeCheck: ShareCheck {
    static let spec = CheckSpec(
        "wrong_type", of: [.numbers, .categories, .texts, .ids], compares: .rows,
        "rows with a value of another type")

    static let phrase = "of the rows have a value of another type"

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        ShareCount(window.rows.wrongType, of: window.rows.total)
    }

    /// A file that does not part its rows without a value has at most so many.
    static func then(_ usual: UsualRows) -> ShareCount? {
        ShareCount(
            usual.wrongTypeCount ?? usual.nullCount, of: usual.valueCount + usual.nullCount)
    }
}
