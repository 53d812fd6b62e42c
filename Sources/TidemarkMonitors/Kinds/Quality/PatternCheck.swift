import TidemarkCore
import TidemarkDrift
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText

/// Texts in which a regular expression does not occur.
enum PatternCheck: ShareCheck {
    static let spec = CheckSpec(
        "pattern", of: [.categories, .texts, .ids],
        contract: ContractSpec(
            "pattern", .pattern, of: [.categories, .texts, .ids],
            "a regular expression (RE2) that occurs in each text; `^` and `$` tie it to the ends"),
        "texts in which `expect.pattern` does not occur")

    static let phrase = "of the values do not have the pattern that is expected"

    /// Texts in which a regular expression occurs.
    private struct Occurs: TextRule {
        let pattern: Pattern

        func isBroken(_ text: [UInt8]) -> Bool {
            unsafe text.withUnsafeBytes { unsafe !pattern.occurs(in: $0) }
        }
    }

    static func tally(_ expected: JSONValue) -> CheckTally? {
        guard let text = expected.asText, let pattern = try? Pattern(text) else { return nil }
        return .texts(Occurs(pattern: pattern))
    }

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        window.tally(spec.name).map { ShareCount($0, of: window.rows.value) }
    }
}
