import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords

/// A column that varied in the baseline has one value.
///
/// With how many rows that is no chance, Fisher's exact test says: of each cell of the baseline, how likely it is
/// that a window lies in it alone, and these together.
enum ConstantCheck: QualityCheck {
    static let spec = CheckSpec(
        "constant", of: [.numbers, .categories], comparesWithBaseline: true, takesShare: false,
        "one value alone, where the baseline has several")

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        guard let entry = window.known(watch) else {
            return CheckFinding(.noBaseline, bound: 1)
        }
        let isOne: Bool
        if window.isNumeric {
            guard let range = window.range else { return CheckFinding(.tooFew, bound: 1) }
            isOne = range.lowerBound == range.upperBound
        } else {
            // Of one value the count is exact.
            guard let distinct = record.distinct else { return nil }
            isOne = distinct.estimate < 1.5
        }
        let count = window.rows.value
        guard count > 0, count >= Int64(clamping: watch.rule.rowCountMin) else {
            return CheckFinding(.tooFew, bound: 1)
        }
        let now = ShareCount(count, of: count)
        guard isOne else { return CheckFinding(.ok, effect: 0, bound: 1, now: now) }
        var p = 0.0
        for cell in entry.cells {
            p += excessP(now, over: ShareCount(cell, of: entry.rowCount))
        }
        p = min(1, p)
        let isSignificant = watch.rule.level.map { p <= $0 } ?? (p < 0.5)
        return CheckFinding(
            isSignificant ? .excess : .ok, effect: 1, bound: 1, p: p, now: now,
            then: ShareCount(entry.cells.max() ?? 0, of: entry.rowCount))
    }

    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String {
        finding.effect == 1
            ? "all values are the same, in the baseline they vary" : "the values vary"
    }
}
