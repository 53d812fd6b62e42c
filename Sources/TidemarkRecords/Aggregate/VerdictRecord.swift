package import TidemarkCore

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

extension LearnedProgress: RecordFields {
    package static var blank: LearnedProgress {
        LearnedProgress(windows: 0, windowsNeeded: 0, rows: 0, rowsNeeded: 0)
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == LearnedProgress {
        v.field("windows", \.windows, "windows that the baseline has learned")
        v.field("windows_needed", \.windowsNeeded, "windows that make it whole")
        v.field("rows", \.rows, "rows in those that it has")
        v.field("rows_needed", \.rowsNeeded, "rows that make it whole")
    }
}

extension Verdict: FieldWord {}

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
    /// What was expected: rows of volume, or the value of a metric in its baseline.
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

extension VerdictRecord: RecordFields {
    package static var blank: VerdictRecord {
        VerdictRecord(
            monitor: "", baseline: "", p: nil, level: nil, effect: nil, ignoreBelow: nil,
            verdict: .ok)
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == VerdictRecord {
        v.field("monitor", \.monitor, "the monitor's name in the topology")
        v.field(
            "baseline", \.baseline, when: "where there is one", if: { !$0.baseline.isEmpty },
            "what the window was compared with: a file by its name and the first digits of its SHA-256, a learned one by its name and span (`recent@trailing-21600s`)"
        )
        v.field(
            "p", \.p, unit: .share, when: "where significance was tested",
            "that of the test for significance. Of `ks` it is that of finite samples: exact up to 100,000 pairs of rows, else scipy's `kstwo`; ties make it larger, never smaller"
        )
        v.field(
            "level", \.level, unit: .share, when: "where the alert budget is on",
            "the p that had to be reached")
        v.field(
            "effect", \.effect, when: "where something was compared",
            "the size of the difference, which `ignore_below` bounds: the test's `value`, but of `chi_square` Cramér's V, and of `wasserstein` the value over the baseline's standard deviation; of volume the change as a share of what was expected"
        )
        v.field(
            "ignore_below", \.ignoreBelow, when: "where a size decides",
            "`drift` needs at least this effect, p ≤ `level`, and enough rows")
        v.field(
            "expected", \.expected, when: "of volume and of metrics that are held to a baseline",
            "how many rows were expected, or what the metric is in the baseline")
        v.field(
            "verdict", \.verdict,
            "of a column `drift`, `ok`; `too_few` rows; `learning`: the baseline is being learned; `no_baseline`: the file, or the record of the topic, does not have this group or column; `blind`: no drift was seen and could not be, since one cell of many values holds over 75% of the baseline, or since it has so few rows that no window could be significant. Of a share of rows `excess`, where it is greater than it may be, `ok`, `too_few` or `no_baseline`. Of rows `drop`, `rise`, `ok`, `learning` or `too_few`; a known group without a row has a record (0 rows) when it falls silent and when its verdict changes, not in each window"
        )
        v.field(
            "learned", \.learned, when: "with `learning`",
            "the windows and rows that a learned baseline has at the window's start, and how many make it whole"
        )
    }
}
