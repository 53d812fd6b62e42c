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
        "constant", of: [.numbers, .categories], compares: .cells, takesShare: false,
        "one value alone, where the baseline has several")

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        let usual: UsualRows
        switch window.usual(watch) {
        case .rows(let rows): usual = rows
        case .unknown(let verdict): return CheckFinding(verdict, bound: 1)
        case .itself: return nil
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
        let cells = usual.cells
        for cell in cells {
            p += excessP(now, over: ShareCount(cell, of: usual.valueCount))
        }
        p = min(1, p)
        let isSignificant = watch.rule.level.map { p <= $0 } ?? (p < 0.5)
        return CheckFinding(
            isSignificant ? .excess : .ok, effect: 1, bound: 1, p: p, now: now,
            then: ShareCount(cells.max() ?? 0, of: usual.valueCount))
    }

    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String {
        finding.effect == 1
            ? "all values are the same, in the baseline they vary" : "the values vary"
    }
}
