import TidemarkDataflow
import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// A check of data quality: what of a column's rows should not be so.
///
/// A check is one file of this folder and its line in `QualityChecks.all`: its key, what `expect` may say of it, its
/// statistics and its words. What it does not need it leaves out.
protocol QualityCheck: SendableMetatype {
    /// Its key in `checks`, and in `expect`.
    static var spec: CheckSpec { get }
    /// What cells have to count for it, by the value of its key in `expect`; `nil`: nothing beside what they count
    /// anyway.
    static func tally(_ expected: JSONValue) -> CheckTally?
    /// What a window of a column comes to; `nil`: it has nothing to say.
    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding?
    /// What is so of a column: `12% of the rows have no value, 1% in the baseline`.
    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String
}

extension QualityCheck {
    static func tally(_ expected: JSONValue) -> CheckTally? { nil }
}

/// What cells count of a column for a check.
package enum CheckTally: Sendable {
    /// Numbers that lie outside of the range.
    case outside(ClosedRange<Double>)
    /// Texts that break a rule.
    case texts(any TextRule)
}

/// What texts may be: asked once for each text of a dictionary.
package protocol TextRule: Sendable {
    /// The text is none of those.
    func isBroken(_ text: [UInt8]) -> Bool
}

/// A check of a column, as a monitor of the plan wants it.
struct CheckWatch: Sendable {
    /// Place in `StreamPlan.monitors`.
    var monitor: Int
    /// The monitor's name, for verdicts.
    var name: String
    /// Place of the baseline; -1: it is compared with none.
    var baseline: Int
    /// The column's role.
    var role: ColumnRole
    /// What `expect` says of the column; `nil`: nothing.
    var expected: JSONValue?
    /// How a share is judged.
    var rule: ShareRule
    /// Resolves below this share of the bound.
    var clearBelow: Double
    /// Groups that a file has not are compared with all its rows together.
    var fallsBack: Bool
}

/// What a window comes to.
struct CheckFinding: Sendable {
    var verdict: Verdict
    /// What was measured, and the bound that it is held against.
    var effect: Double?
    var bound: Double
    var p: Double?
    /// An alert that is open has to wait.
    var isNear = false
    /// Rows of the window that were looked at, and those that are as they should not be.
    var now: ShareCount?
    /// The same of the baseline.
    var then: ShareCount?

    init(
        _ verdict: Verdict, effect: Double? = nil, bound: Double, p: Double? = nil,
        now: ShareCount? = nil, then: ShareCount? = nil
    ) {
        self.verdict = verdict
        self.effect = effect
        self.bound = bound
        self.p = p
        self.now = now
        self.then = then
    }
}

/// A check that counts rows of a kind, and judges their share.
protocol ShareCheck: QualityCheck {
    /// What the rows are: `of the rows have no value`.
    static var phrase: String { get }
    /// The rows of the window; `nil`: nobody counts them.
    static func now(_ window: borrowing WindowEvidence) -> ShareCount?
    /// The rows of the baseline; `nil`: it does not know.
    static func then(_ usual: UsualRows) -> ShareCount?
}

extension ShareCheck {
    static func then(_ usual: UsualRows) -> ShareCount? { nil }

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        guard watch.rule.most == nil else { return judge(watch, now(window), nil) }
        switch window.usual(watch) {
        case .rows(let usual): return judge(watch, now(window), then(usual))
        case .unknown(let verdict):
            return now(window).map { CheckFinding(verdict, bound: watch.rule.bound, now: $0) }
        case .itself: return nil
        }
    }

    /// Judges a share by the monitor's rule.
    static func judge(
        _ watch: CheckWatch, _ now: ShareCount?, _ then: ShareCount?
    ) -> CheckFinding? {
        guard let now else { return nil }
        guard watch.rule.most != nil || then != nil else {
            return CheckFinding(.noBaseline, bound: watch.rule.bound, now: now)
        }
        let found = watch.rule.judge(now, then)
        var finding = CheckFinding(
            found.verdict, effect: found.effect, bound: watch.rule.bound, p: found.p, now: now,
            then: watch.rule.most == nil ? then : nil)
        finding.isNear = watch.rule.isNear(found, clearBelow: watch.clearBelow)
        return finding
    }

    static func says(_ finding: CheckFinding, _ watch: CheckWatch) -> String {
        let share = percentText(finding.now?.share ?? 0)
        let usual =
            if let then = finding.then {
                "\(percentText(then.share)) in the baseline"
            } else if finding.bound == 0 {
                "none may be so"
            } else {
                "\(percentText(finding.bound)) may be so"
            }
        return "\(share) \(phrase), \(usual)"
    }
}
