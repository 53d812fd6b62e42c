import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Rows came, and not one has a value: the field was renamed, or it is of another type now.
///
/// Where the baseline or `expect` says how many rows have a value, that must be no chance: once in 10⁹ windows, so
/// that no budget is drawn on. Fields that a topology does not declare are not read, so a new one is not seen.
enum ColumnsCheck: QualityCheck {
    static let spec = CheckSpec(
        "columns", of: [.numbers, .categories, .texts, .ids], takesShare: false, testCount: 0,
        pages: true, "rows came, and none has a value that could be read")

    private static let level = 1e-9

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        let rows = window.rows.total
        guard rows > 0, rows >= Int64(clamping: watch.rule.rowCountMin) else {
            return CheckFinding(.tooFew, bound: 1)
        }
        let now = ShareCount(rows - window.rows.value, of: rows)
        guard window.rows.value == 0 else {
            return CheckFinding(.ok, effect: now.share, bound: 1, now: now)
        }
        var usual: UsualRows?
        if case .rows(let rows) = window.usual(watch) { usual = rows }
        // Labels come later than predictions, or never.
        guard usual != nil || watch.role != .label else { return nil }
        let then = usual.map { ShareCount($0.nullCount, of: $0.valueCount + $0.nullCount) }
        var p: Double?
        if let most = watch.expected?.asNumber {
            p = excessP(now, over: most)
        } else if let then, then.total > 0 {
            p = excessP(now, over: then)
        }
        return CheckFinding(
            p.map { $0 <= level } ?? true ? .excess : .ok, effect: 1, bound: 1, p: p, now: now,
            then: then)
    }

    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String {
        guard finding.effect == 1 else { return "values are read again" }
        let usual = finding.then.map {
            ", \(percentText(1 - $0.share)) of those in the baseline have one"
        }
        return "rows come, and none of them has a value that could be read" + (usual ?? "")
    }
}
