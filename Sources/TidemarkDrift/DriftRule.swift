package import TidemarkCore

/// When a difference is drift.
package struct DriftRule: Sendable, Hashable {
    /// p must reach down to it; nil for bounds that spend no budget: the effect alone decides.
    package var level: Double?
    /// Smaller effects are not drift.
    package var ignoreBelow: Double
    /// Fewer rows in the window give no verdict.
    package var rowCountMin: UInt64

    package init(level: Double?, ignoreBelow: Double, rowCountMin: UInt64) {
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
    ) -> Verdict {
        guard let baselineRows else { return .learning }
        guard rows >= rowCountMin, baselineRows > 0 else { return .tooFew }
        let isLarge = effect >= ignoreBelow
        let isSignificant = level.map { level in p.map { $0 <= level } ?? false } ?? true
        if isLarge, isSignificant { return .drift }
        return isBlind ? .blind : .ok
    }
}
