import TidemarkCore
package import TidemarkLanguage
import TidemarkText

/// A monitor of silence: it fires when nothing has come for a time.
///
/// For the source as a whole the wall clock decides, since event time stands still when everything
/// is silent; this is the one monitor that it decides. For a segment or a group event time decides,
/// so that the result is a function of the log.
package struct FreshnessPlan: Sendable, Equatable {
    /// What must not be silent.
    package enum Per: String, Sendable, CaseIterable {
        case source, segment, group
    }

    /// As the topology has it.
    package var name: String
    /// The source, each segment, or each group.
    package var per = Per.source
    /// Places in `StreamPlan.segments`; none where it watches the source.
    package var segments: [Int] = []
    /// Silence of this length fires, ms: wall time for the source, event time else.
    package var limitMs: Int64
    /// After so long a silence a group or segment is no longer expected: a week, or twice the limit
    /// where that is longer; ms of event time.
    package var forgetMs: Int64
    /// How loud its alerts are.
    package var severity: Severity = .page
    /// Silences that were over for longer, by the reference clock, are published muted; ms.
    package var maxAgeMs: Int64 = 3_600_000
    /// False: it has no alerts of its own, and serves roll-ups alone.
    package var alerts = true
    /// What its author says of it, for alerts.
    package var description: String?
    /// The text of the alert; `nil`: one is written.
    package var summary: String?
    /// A link, for alerts.
    package var runbook: String?

    /// A monitor of the source, with everything else at its default.
    package init(name: String, limitMs: Int64) {
        self.name = name
        self.limitMs = limitMs
        forgetMs = max(7 * 86_400_000, 2 * limitMs)
    }
}

/// What a monitor of kind `age` says.
extension MonitorPlan {
    /// A group that serves for longer is too old, ms.
    package var ageLimitMs: Int64 {
        get { settings["limit_ms"]?.asInteger ?? 90 * 86_400_000 }
        set { settings["limit_ms"] = .integer(newValue) }
    }
    /// When it began to serve; `nil`: with its first window.
    package var ageSinceMs: Int64? {
        get { settings["since_ms"]?.asInteger }
        set { settings["since_ms"] = newValue.map { .integer($0) } }
    }
}

/// What a volume monitor takes for too few or too many rows of a group in a window.
package struct VolumeRule: Sendable, Equatable {
    /// Fewer by this share than expected, and significantly; `nil`: not watched.
    package var drop: Double?
    /// More by this share than expected, and significantly; `nil`: not watched.
    package var rise: Double?
    /// Fewer rows than this, whatever is expected.
    package var below: Int64?
    /// More rows than this.
    package var above: Int64?

    package init() {}

    /// Compares with what is expected, and so has tests that cost budget: how many a window.
    package var testCount: Int { (drop == nil ? 0 : 1) + (rise == nil ? 0 : 1) }
}

/// What a metric monitor takes for too great and too small.
package struct MetricRule: Sendable, Equatable {
    /// Greater values are too great; `nil`: none is.
    package var above: Double?
    /// Smaller values are too small; `nil`: none is.
    package var below: Double?
    /// More or less by this share than in the monitor's baseline, and surely so; `nil`: not watched.
    package var change: Double?
    /// Place in `StreamPlan.metrics` of what it is in the baseline.
    package var usual: Int?

    package init() {}
}

/// Over how many series of its members a monitor has to find something.
package enum RollUpBound: Sendable, Equatable {
    case count(Int64)
    /// Of those that have a verdict.
    case share(Double)
}

/// A monitor whose series a roll-up adds up.
package struct RollUpMember: Sendable, Equatable {
    /// As the topology has it.
    package var name: String
    /// Names of the plan's monitors that it stands for: a list of baselines or of checks is several.
    package var monitors: [String]

    package init(_ name: String, monitors: [String]) {
        self.name = name
        self.monitors = monitors
    }
}

/// A monitor that judges windows.
///
/// Its kind says what it makes of them: drift is judged for each (segment, group, column, window) of its
/// reach, volume for each (segment, group, window).
package struct MonitorPlan: Sendable {
    /// As the topology has it; part of the alerts' ids.
    package var name: String
    /// What its author says of it, for alerts; `nil`: what the topology says of the whole.
    package var description: String?
    /// What it watches, as the key of a monitor names it.
    package var kind = "drift"
    /// The values of the keys that are its kind's own, where the plan knows the kind by name alone.
    package var settings = Settings()
    /// What is too few and too many; of use to volume alone.
    package var volume = VolumeRule()
    /// What is too great and too small; of use to metrics alone.
    package var metric = MetricRule()
    /// Those whose results it adds up; of use to roll-ups alone.
    package var members: [RollUpMember] = []
    /// How many of their series have to be in breach.
    package var atLeast = RollUpBound.count(1)
    /// A roll-up looks at its results.
    package var isMember = false
    /// Places in `StreamPlan.columns`; none where it watches groups as a whole.
    package var columns: [Int]
    /// Places in `StreamPlan.segments`.
    package var segments: [Int]
    /// Places in `StreamPlan.windows`.
    package var windows: [Int]
    /// Place in `StreamPlan.baselines` of what windows are compared with; -1: with none.
    package var baseline: Int
    /// It looks at the cells of its baseline, so values are counted into them; else only at what the baseline says of
    /// rows.
    package var needsCells = true
    /// It judges a number of each window, which its baseline keeps window by window.
    package var keepsValues = false
    /// It wants to know which values of a column its baseline has seen.
    package var asksSeen = false
    /// It wants to know what its baseline holds of a group and column beside cells: rows without a value, say.
    package var asksEntries = false
    /// How drift is measured; `automatic` chooses by the column's type.
    package var tests: Tests
    /// Of several named tests all have to find drift; else any.
    package var needsAllTests = false
    /// The smallest effect worth hearing, in the unit of the test that measures it; `nil`: each
    /// named test has its own.
    package var ignoreBelow: Double?
    /// Values that a window needs; with fewer the verdict is `too_few`.
    package var minRows: Int64 = 500
    /// A group that the baseline's file does not have is compared with all rows of it together, where
    /// the file has those too; else it has no baseline.
    package var fallsBack = false
    /// How loud its alerts are, and which alert budget it draws on.
    package var severity: Severity = .page
    /// False: it has no alerts.
    package var alerts = true
    /// Whether it has verdicts: without alerts for others alone.
    package var isJudged: Bool { alerts || isMember }
    /// The topology does not mention it: it is there by default, so that a missing verdict is no
    /// news.
    package var isUnmentioned = false
    /// How long drift must last before the alert fires.
    package var hold: Hold = .windows(1, of: 1)
    /// How long it must be gone before the alert resolves.
    package var clearHold: Hold = .windows(2, of: 2)
    /// Resolves below this share of `ignoreBelow` (hysteresis).
    package var clearBelow = 0.8
    /// An alert that fires so soon after the last one resolved is published muted, ms of event
    /// time.
    package var coolDownMs: Int64 = 3_600_000
    /// Alerts on windows that were over for longer when their first row was read are published
    /// muted, ms.
    package var maxAgeMs: Int64 = 3_600_000
    /// An alert that has had no verdict for this long resolves, since its group is gone; ms of
    /// event time.
    ///
    /// What has differed from a trailing baseline for as long is learned after all.
    package var resolveAfterMs = Self.resolveAfterMsDefault
    /// A week.
    package static let resolveAfterMsDefault: Int64 = 7 * 86_400_000
    /// The text of the alert, in which words such as `{column}` are filled in; `nil`: one is
    /// written.
    package var summary: String?
    /// A link, for alerts.
    package var runbook: String?
    /// The p-value that a test must reach: the budget of the severity over the tests that run in
    /// its period; `nil` where the budget is off (then the effect alone decides).
    package var level: Double?
    /// What `level` would be at each severity; the budget of one that is missing is off.
    package var levels: [Severity: Double] = [:]
    /// Other settings for some groups and columns, the later over the earlier ones.
    package var overrides: [MonitorOverride] = []
    /// Tests a period that `level` was reckoned with.
    package var testsPerPeriod: Double = 0

    /// How the difference from a baseline is measured.
    package enum Tests: Sendable, Equatable {
        /// Significance by KS or chi-square, size by PSI.
        case automatic
        /// Named tests, each with its own `ignore_below`.
        case named([NamedTest])
    }

    /// A test with the smallest effect of it that is worth hearing.
    package struct NamedTest: Sendable, Equatable {
        /// Its name: that of a two-sample test that there is.
        package var test: String
        /// In the test's own unit.
        package var ignoreBelow: Double

        /// The test of this name, with a bound of its own.
        package init(test: String, ignoreBelow: Double) {
            self.test = test
            self.ignoreBelow = ignoreBelow
        }
    }

    package init(
        name: String, columns: [Int], segments: [Int], windows: [Int], baseline: Int, tests: Tests
    ) {
        self.name = name
        self.columns = columns
        self.segments = segments
        self.windows = windows
        self.baseline = baseline
        self.tests = tests
    }
}

/// How loud an alert is; each level has a budget of false alerts of its own.
package enum Severity: String, Sendable, CaseIterable {
    case page, warn, info
}

/// How long a state must last: `5m`, or `2 of 3` windows.
package enum Hold: Sendable, Equatable {
    case duration(ms: Int64)
    case windows(Int, of: Int)
}
