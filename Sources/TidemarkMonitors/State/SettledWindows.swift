import TidemarkCore
import TidemarkDataflow

/// By window length: which windows were closed, and which of them do not come again.
///
/// A window comes again when its unit of commit was cut short (delivery at least once): its state may be
/// written while its offsets are not. What such a window would ask of an entry must stay until a later
/// unit is made, for units go through one after the other.
struct SettledWindows {
    /// End of the last window that was closed.
    private var closedThroughMs: [Int64]
    /// End of the last one whose unit is through: it and those before it do not come again.
    private(set) var throughMs: [Int64]
    /// `throughMs` moved with the unit before this one.
    private(set) var hasMoved = false

    /// - `sizeCount`: lengths of windows.
    init(sizeCount: Int) {
        closedThroughMs = Array(repeating: TimeLimit.never, count: sizeCount)
        throughMs = closedThroughMs
    }

    /// Notes that a window was closed, after all its groups.
    mutating func close(_ closing: WindowClosing) {
        closedThroughMs[closing.size] = max(closedThroughMs[closing.size], closing.window.endMs)
    }

    /// Notes that a unit was made of all that is closed: when the next one is made, this one is
    /// through.
    mutating func settle() {
        hasMoved = throughMs != closedThroughMs
        throughMs = closedThroughMs
    }
}
