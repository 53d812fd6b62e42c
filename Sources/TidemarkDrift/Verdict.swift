/// What a monitor says of one window.
package enum DriftVerdict: String, Sendable, Hashable, CaseIterable {
    /// Significant, and large enough to hear of.
    case drift
    /// Not significant, or too small to hear of.
    case ok
    /// Fewer rows than `min_rows` in the window, or none in the baseline.
    case tooFew = "too_few"
    /// The baseline is still being learned.
    case learning
    /// The baseline is a file that has nothing of the group and column: nothing is learned either.
    case noBaseline = "no_baseline"
    /// No drift was seen, and the baseline could not have shown it: one cell holds nearly all of its
    /// values, whatever they are there, or it has too few rows for any window to be significant.
    case blind
}

/// When a difference is drift.
package struct DriftRule: Sendable, Hashable {
    /// p must reach down to it; nil for bounds that spend no budget: the effect alone decides.
    package var level: Double?
    /// Smaller effects are not drift.
    package var ignoreBelow: Double
    /// Fewer rows in the window give no verdict.
    package var rowCountMin: UInt64

    /// A rule; by default of PSI 0.05 and 500 rows.
    package init(level: Double?, ignoreBelow: Double = 0.05, rowCountMin: UInt64 = 500) {
        self.level = level
        self.ignoreBelow = ignoreBelow
        self.rowCountMin = rowCountMin
    }

    /// Drift if and only if p ≤ level, effect ≥ `ignoreBelow`, and the window has enough rows.
    ///
    /// `baselineRows`: nil while the baseline is being learned. `isBlind`: the baseline can't tell
    /// values apart, so that no drift is no good news.
    package func verdict(
        p: Double?,
        effect: Double,
        rows: UInt64,
        baselineRows: UInt64?,
        isBlind: Bool = false
    ) -> DriftVerdict {
        guard let baselineRows else { return .learning }
        guard rows >= rowCountMin, baselineRows > 0 else { return .tooFew }
        let isLarge = effect >= ignoreBelow
        let isSignificant = level.map { level in p.map { $0 <= level } ?? false } ?? true
        if isLarge, isSignificant { return .drift }
        return isBlind ? .blind : .ok
    }
}
