import TidemarkCore

/// A monitor of silence: nothing comes for so long.
///
/// Of the source as a whole it is the one monitor that a clock on the wall decides, since event time
/// stands still when everything is silent. Of a segment or of its groups it is a matter of event
/// time, and so a function of the log.
package struct FreshnessPlan: Sendable, Equatable {
    /// What must not be silent.
    package enum Per: String, Sendable, CaseIterable {
        case source, segment, group
    }

    package var name: String
    package var per = Per.source
    /// Places in `StreamPlan.segments`; none where it watches the source.
    package var segments: [Int] = []
    package var limitMs: Int64
    /// After so long a silence a group or segment is no longer expected: a week, or twice the limit
    /// where that is longer; ms of event time.
    package var forgetMs: Int64
    package var severity: Severity = .page
    /// Silences that were over for longer, by the reference clock, are published muted; ms.
    package var maxAgeMs: Int64 = 3_600_000
    package var description: String?
    package var summary: String?
    package var runbook: String?

    package init(name: String, limitMs: Int64) {
        self.name = name
        self.limitMs = limitMs
        forgetMs = max(7 * 86_400_000, 2 * limitMs)
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

/// A monitor of drift (D9), for each (segment, group, column, window) of its reach, or of volume, for
/// each (segment, group, window).
package struct MonitorPlan: Sendable {
    package var name: String
    package var description: String?
    /// `nil`: it watches drift.
    package var volume: VolumeRule?
    /// None where it watches volume.
    package var columns: [Int]
    /// Places in `StreamPlan.segments` and `.windows`.
    package var segments: [Int]
    package var windows: [Int]
    package var baseline: Int
    /// `auto` is resolved by column: see `tests(for:)`.
    package var tests: Tests
    package var ignoreBelow: Double?
    package var minRows: Int64 = 500
    /// A group that the baseline's file does not have is compared with all rows of it together, where
    /// the file has those too; else it has no baseline.
    package var fallsBack = false
    package var severity: Severity = .page
    package var alerts = true
    /// It exists without being mentioned: nobody asked for what it has no verdict on.
    package var isUnmentioned = false
    package var hold: Hold = .windows(1, of: 1)
    package var clearHold: Hold = .windows(2, of: 2)
    /// Resolves below this share of `ignoreBelow` (hysteresis).
    package var clearBelow = 0.8
    package var coolDownMs: Int64 = 3_600_000
    package var maxAgeMs: Int64 = 3_600_000
    /// An alert without a verdict for so long resolves: its group is gone.
    ///
    /// And what differs from a trailing baseline for so long is learned after all; ms of event time.
    package var resolveAfterMs = Self.resolveAfterMsDefault
    package static let resolveAfterMsDefault: Int64 = 7 * 86_400_000
    package var summary: String?
    package var runbook: String?
    /// The p-value that a test must reach: the budget of the severity over the tests that run in
    /// its period; `nil` where the budget is off (then the effect alone decides).
    package var level: Double?
    /// Tests a period that `level` was reckoned with.
    package var testsPerPeriod: Double = 0

    package enum Tests: Sendable, Equatable {
        /// Significance by KS or chi-square, size by PSI.
        case automatic
        /// Named tests, each with its own `ignore_below`.
        case named([NamedTest])
    }

    package struct NamedTest: Sendable, Equatable {
        package var test: DriftTest
        package var ignoreBelow: Double
        package init(test: DriftTest, ignoreBelow: Double) {
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

package enum DriftTest: String, Sendable, CaseIterable {
    case psi, ks
    case chiSquare = "chi_square"
    case jsDistance = "js_distance"
    case lInfinity = "l_infinity"
}

package enum Severity: String, Sendable, CaseIterable {
    case page, warn, info
}

/// How long a state must last: `5m`, or `2 of 3` windows.
package enum Hold: Sendable, Equatable {
    case duration(ms: Int64)
    case windows(Int, of: Int)
}
