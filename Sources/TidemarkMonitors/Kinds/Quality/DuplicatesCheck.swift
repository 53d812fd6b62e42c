import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords

/// Rows whose id came before in the window.
///
/// Of at most 4,096 ids, those of the smallest hashes, each row is counted; with no more ids in a window the share
/// is exact. Beyond that they are a sample of ids at random, and the test is the binomial one on them: the share of
/// ids that came again is at most the share of rows, over one less that share.
enum DuplicatesCheck: ShareCheck {
    static let spec = CheckSpec(
        "duplicates", of: [.ids], "rows whose id came before in the window")

    static let phrase = "of the rows repeat an id of the window"

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        window.repeats.map { ShareCount($0.rowCount - $0.idCount, of: $0.rowCount) }
    }

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        guard let repeats = window.repeats, let most = watch.rule.most, let now = now(window) else {
            return nil
        }
        guard now.total > 0, most == 0 || window.rows.value >= Int64(watch.rule.rowCountMin) else {
            return CheckFinding(.tooFew, bound: most)
        }
        var finding = CheckFinding(.ok, effect: now.share, bound: most, now: now)
        finding.isNear = now.count > 0 && now.share >= most * watch.clearBelow
        guard now.share > most else { return finding }
        if most > 0 {
            finding.p = excessP(
                ShareCount(repeats.repeatedCount, of: repeats.idCount),
                over: min(1, most / (1 - most)))
        }
        let isSignificant = watch.rule.level.map { finding.p ?? 0 <= $0 } ?? true
        finding.verdict = isSignificant ? .excess : .ok
        return finding
    }
}
