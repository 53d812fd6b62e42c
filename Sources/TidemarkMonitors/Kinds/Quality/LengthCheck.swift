import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkText

/// Texts that are shorter or longer than expected, in letters as Unicode counts them.
enum LengthCheck: ShareCheck {
    static let spec = CheckSpec(
        "length", of: [.categories, .texts, .ids],
        contract: ContractSpec(
            "length", .counts, of: [.categories, .texts, .ids],
            "the fewest and the most letters of a text"),
        "texts shorter or longer than `expect.length`")

    static let phrase = "of the values are shorter or longer than expected"

    /// Texts of so many code points.
    private struct Lengths: TextRule {
        let allowed: ClosedRange<Int64>

        /// Bytes that begin a code point of UTF-8.
        func isBroken(_ text: [UInt8]) -> Bool {
            var count: Int64 = 0
            for byte in text where byte & 0xc0 != 0x80 { count += 1 }
            return !allowed.contains(count)
        }
    }

    static func tally(_ expected: JSONValue) -> CheckTally? {
        guard let ends = expected.asArray, ends.count == 2, let least = ends[0].asInteger,
            let most = ends[1].asInteger, least <= most
        else { return nil }
        return .texts(Lengths(allowed: least...most))
    }

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        window.tally(spec.name).map { ShareCount($0, of: window.rows.value) }
    }
}
