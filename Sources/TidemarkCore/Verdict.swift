/// What a monitor says of a window: the one vocabulary, with the word of records as raw value.
package enum Verdict: String, Sendable, Hashable, CaseIterable {
    /// The column differs from its baseline: significant, and large enough to hear of.
    case drift
    /// Nothing to hear of: not significant, too small, or within the bounds.
    case ok
    /// Too few rows to judge: in the window fewer than `min_rows`, or none in the baseline.
    case tooFew = "too_few"
    /// The baseline is still being learned.
    case learning
    /// The baseline is a file that has nothing of the group and column: nothing is learned either.
    case noBaseline = "no_baseline"
    /// No drift was seen, and the baseline could not have shown it: one cell holds nearly all of its
    /// values, whatever they are there, or it has too few rows for any window to be significant.
    case blind
    /// Fewer rows than expected, or than a bound allows: a verdict on volume.
    case drop
    /// More rows than expected, or than a bound allows: a verdict on volume.
    case rise
    /// A share of rows is greater than it may be.
    case excess

    /// What a monitor watches for is so: an alert may begin.
    package var isBreach: Bool {
        switch self {
        case .drift, .drop, .rise, .excess: true
        case .ok, .tooFew, .learning, .noBaseline, .blind: false
        }
    }

    /// What a monitor watches for is not so, as far as can be seen: an alert may end.
    package var isCalm: Bool {
        switch self {
        case .ok, .blind: true
        case .drift, .drop, .rise, .excess, .tooFew, .learning, .noBaseline: false
        }
    }

    /// Something was compared with something; the others say nothing of the data.
    package var isReached: Bool {
        switch self {
        case .drift, .ok, .drop, .rise, .excess: true
        case .tooFew, .learning, .noBaseline, .blind: false
        }
    }
}
