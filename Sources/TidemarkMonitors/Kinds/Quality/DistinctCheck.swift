import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Fewer or more different values than expected.
///
/// They are counted by HyperLogLog, with a standard error of 1.04/√(2^lg_k): 1.6% where nothing else is said. A
/// count is out of bounds where it is by three of those.
enum DistinctCheck: QualityCheck {
    static let spec = CheckSpec(
        "distinct", of: [.categories, .texts],
        contract: ContractSpec(
            "distinct", .counts, of: [.categories, .texts],
            "the fewest and the most different values of a window"),
        takesShare: false, testCount: 0,
        "fewer or more different values than `expect.distinct`")

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        guard let ends = watch.expected?.asArray, ends.count == 2, let least = ends[0].asNumber,
            let most = ends[1].asNumber, let distinct = record.distinct
        else { return nil }
        // Bounds of records are those of two standard errors.
        let low = distinct.estimate - 1.5 * (distinct.estimate - distinct.lower)
        let high = distinct.estimate + 1.5 * (distinct.upper - distinct.estimate)
        let isAbove = distinct.estimate > most
        let bound = isAbove ? most : least
        guard window.rows.value >= Int64(clamping: watch.rule.rowCountMin) else {
            return CheckFinding(.tooFew, bound: bound)
        }
        let now = ShareCount(Int64(distinct.estimate.rounded()), of: window.rows.value)
        return CheckFinding(
            low > most || high < least ? .excess : .ok, effect: distinct.estimate, bound: bound,
            now: now)
    }

    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String {
        let count = Int64((finding.effect ?? 0).rounded())
        let bound = Int64(finding.bound)
        return "about \(count) different values, expected are "
            + (count > bound ? "at most \(bound)" : "at least \(bound)")
    }
}
