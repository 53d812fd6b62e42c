package import TidemarkCore

/// What a monitor says of a window.
package struct VerdictRecord: Sendable, Equatable {
    /// The monitor's name in the topology.
    package var monitor: String
    /// The baseline as records name it: `training@5b1e…`, `recent@trailing-3600s`; empty: there is
    /// none.
    package var baseline: String
    /// p of the test that decides on significance; `nil`: it has none, or nothing was compared.
    package var p: Double?
    /// The p that had to be reached; `nil` where the alert budget is off.
    package var level: Double?
    /// How large the difference is: the value of the test that decides on size; `nil`: nothing was
    /// compared.
    package var effect: Double?
    /// Smaller effects are ignored; `nil` where a fixed bound decides.
    package var ignoreBelow: Double?
    /// How many rows were expected, where the monitor is one of volume.
    package var expected: Double?
    /// What it came to.
    package var verdict: Verdict
    /// How far the baseline is, while it is being learned.
    package var learned: LearnedProgress?
    package init(
        monitor: String, baseline: String, p: Double?, level: Double?, effect: Double?,
        ignoreBelow: Double?, verdict: Verdict
    ) {
        self.monitor = monitor
        self.baseline = baseline
        self.p = p
        self.level = level
        self.effect = effect
        self.ignoreBelow = ignoreBelow
        self.verdict = verdict
    }
}

/// How much of a baseline was learned by the start of a window, and how much makes it whole.
package struct LearnedProgress: Sendable, Equatable {
    /// Windows that have been learned.
    package var windows: Int64
    /// Windows that make the baseline whole.
    package var windowsNeeded: Int64
    /// Rows in the windows that have been learned.
    package var rows: Int64
    /// Rows that make the baseline whole, however many windows it has.
    package var rowsNeeded: Int64

    package init(windows: Int64, windowsNeeded: Int64, rows: Int64, rowsNeeded: Int64) {
        self.windows = windows
        self.windowsNeeded = windowsNeeded
        self.rows = rows
        self.rowsNeeded = rowsNeeded
    }
}
