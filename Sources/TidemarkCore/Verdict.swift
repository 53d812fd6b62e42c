/// What a monitor says of a window: the one vocabulary, with the word of records as raw value.
package enum Verdict: String, Sendable, Hashable, CaseIterable {
    /// The column differs from its baseline: significant, and large enough to hear of.
    case drift
    /// Nothing to hear of: not significant, too small, or within the bounds.
    case ok
    /// Too few rows to judge: in the window fewer than `min_rows`, or none in the baseline; or what is
    /// judged does not exist.
    case tooFew = "too_few"
    /// The baseline is still being learned.
    case learning
    /// The baseline is a file that has nothing of the group and column: nothing is learned either.
    case noBaseline = "no_baseline"
    /// No drift was seen, and the baseline could not have shown it: one cell holds nearly all of its
    /// values, whatever they are there, or it has too few rows for any window to be significant.
    case blind
    /// Fewer rows than expected, or a number below its bound: a verdict on volume or a metric.
    case drop
    /// More rows than expected, or a number above its bound: a verdict on volume or a metric.
    case rise
    /// A share of rows is greater than it may be.
    case excess
    /// The condition that a monitor waits for is true.
    case met

    /// What a monitor watches for is so: an alert may begin.
    package var isBreach: Bool {
        switch self {
        case .drift, .drop, .rise, .excess, .met: true
        case .ok, .tooFew, .learning, .noBaseline, .blind: false
        }
    }

    /// What a monitor watches for is not so, as far as can be seen: an alert may end.
    package var isCalm: Bool {
        switch self {
        case .ok, .blind: true
        case .drift, .drop, .rise, .excess, .met, .tooFew, .learning, .noBaseline: false
        }
    }

    /// Something was compared with something; the others say nothing of the data.
    package var isReached: Bool {
        switch self {
        case .drift, .ok, .drop, .rise, .excess, .met: true
        case .tooFew, .learning, .noBaseline, .blind: false
        }
    }
}
