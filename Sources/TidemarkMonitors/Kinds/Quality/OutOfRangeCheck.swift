import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkText

/// Numbers outside of the range that is expected, which both its ends belong to.
enum OutOfRangeCheck: ShareCheck {
    static let spec = CheckSpec(
        "out_of_range", of: [.numbers],
        contract: ContractSpec(
            "range", .numbers, of: [.numbers],
            "where numbers lie, both ends among them; bounds of the histogram too"),
        "numbers outside of `expect.range`")

    static let phrase = "of the values lie outside of the range that is expected"

    static func tally(_ expected: JSONValue) -> CheckTally? {
        guard let ends = expected.asArray, ends.count == 2, let least = ends[0].asNumber,
            let most = ends[1].asNumber, least <= most
        else { return nil }
        return .outside(least...most)
    }

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        window.tally(spec.name).map { ShareCount($0, of: window.rows.value) }
    }
}
