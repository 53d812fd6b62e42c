import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// A window of one of the plan's sizes.
struct OpenWindow: Hashable, Comparable {
    var window: Window
    /// Its place among the plan's windows.
    var size: Int

    static func < (a: OpenWindow, b: OpenWindow) -> Bool {
        a.window == b.window ? a.size < b.size : a.window < b.window
    }
}

/// Which windows panes belong to.
struct WindowCalendar {
    let windows: [WindowPlan]
    let paneMs: Int64

    /// All windows that a pane lies in, size by size, the latest first.
    func windows(of paneStartMs: Int64) -> [OpenWindow] {
        var found: [OpenWindow] = []
        for (size, window) in windows.enumerated() {
            var startMs = paneStartMs.flooredDivision(by: window.stepMs) * window.stepMs
            while startMs + window.lengthMs > paneStartMs {
                found.append(
                    OpenWindow(
                        window: Window(startMs: startMs, endMs: startMs + window.lengthMs),
                        size: size))
                startMs -= window.stepMs
            }
        }
        return found
    }

    /// The end of the last window that a time, or the pane that starts then, lies in.
    func lastEndMs(of ms: Int64) -> Int64 {
        windows.map {
            ms.flooredDivision(by: $0.stepMs) * $0.stepMs + $0.lengthMs
        }.max() ?? TimeLimit.never
    }

    /// The end of the first window that a time lies in.
    func firstEndMs(of ms: Int64) -> Int64 {
        windows.map {
            ((ms - $0.lengthMs).flooredDivision(by: $0.stepMs) + 1) * $0.stepMs + $0.lengthMs
        }.min() ?? TimeLimit.never
    }

    /// The last start of a window up to a time: times that have the same one lie in the same windows.
    ///
    /// `endingAfterMs`: of the lengths alone of which a window that holds the time ends after it.
    func sliceStartMs(of ms: Int64, endingAfterMs: Int64 = .min) -> Int64 {
        windows.lazy.map { ($0.lengthMs, ms.flooredDivision(by: $0.stepMs) * $0.stepMs) }
            .filter { $1 + $0 > endingAfterMs }.map(\.1).max() ?? ms
    }

    /// The first end of a window after a watermark; `nil` before there is one.
    func nextEndMs(after watermarkMs: Int64) -> Int64? {
        guard watermarkMs != TimeLimit.never else { return nil }
        return windows.map { (watermarkMs.flooredDivision(by: $0.stepMs) + 1) * $0.stepMs }.min()
    }

    /// The end of the last pane that a restart does not read again: all its windows are published, or
    /// the snapshot through that time holds it.
    func settledMs(publishedThroughMs: Int64, snapshotThroughMs: Int64) -> Int64 {
        var settled = TimeLimit.never
        if publishedThroughMs != TimeLimit.never {
            // The first window of each length that is not published begins with its first pane.
            settled =
                windows.map { window in
                    ((publishedThroughMs - window.lengthMs).flooredDivision(by: window.stepMs) + 1)
                        * window.stepMs
                }.min() ?? settled
        }
        guard snapshotThroughMs != TimeLimit.never else { return settled }
        return max(settled, snapshotThroughMs.flooredDivision(by: paneMs) * paneMs)
    }
}
