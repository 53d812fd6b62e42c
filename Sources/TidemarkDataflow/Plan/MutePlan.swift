package import TidemarkCore
import TidemarkText

/// Planned downtime: alerts of these monitors and groups are published muted.
package struct MutePlan: Sendable, Equatable {
    /// Names or patterns; empty: all monitors.
    ///
    /// That of a monitor with parts, such as `quality`, is that of all.
    package var monitors: [String] = []
    /// Patterns of values by dimension; a group without one of the dimensions is none of them.
    package var groups: [GroupPattern] = []
    /// From here on, ms of event time; `nil`: since ever.
    package var fromMs: Int64?
    /// Up to here; `nil`: for ever.
    package var toMs: Int64?
    /// Only at this time of each week; `nil`: always.
    package var weekly: WeeklySpan?
    /// Why, for people.
    package var why: String

    package init(why: String) { self.why = why }

    /// Whether a monitor is one of these.
    package func holds(monitor name: String) -> Bool {
        let head = name.prefix { $0 != "." }
        return monitors.isEmpty
            || monitors.contains {
                matchesPattern(name, $0) || matchesPattern(String(head), $0)
            }
    }

    /// Whether a window touches its time.
    package func holds(_ window: Window) -> Bool {
        guard window.endMs > fromMs ?? .min, window.startMs < toMs ?? .max else { return false }
        return weekly?.holds(window) ?? true
    }

    /// When its time was last, in a span that begins after one moment and ends with another; `nil`: at no moment
    /// of it.
    ///
    /// - Returns: the end of the span where its time goes on.
    package func lastMoment(after startMs: Int64, through endMs: Int64) -> Int64? {
        let endMs = min(endMs, toMs ?? .max)
        var lastMs = endMs
        if let weekly, !weekly.holds(Window(startMs: endMs - 1, endMs: endMs)) {
            lastMs = weekly.end(before: endMs)
        }
        return lastMs > max(startMs, fromMs ?? .min) ? lastMs : nil
    }
}

/// The value of a dimension, as a pattern: `*` any letters, `?` one.
package struct GroupPattern: Sendable, Equatable {
    /// The dimension's name.
    package var dimension: String
    /// What its values look like.
    package var pattern: String

    package init(dimension: String, pattern: String) {
        self.dimension = dimension
        self.pattern = pattern
    }

    /// The values of a group by dimension, from its part as keys have it.
    package static func values(of part: [UInt8]) -> [(dimension: String, value: String)] {
        part.split(separator: 0x2c).map { text in
            let halves = text.split(separator: 0x3d, maxSplits: 1, omittingEmptySubsequences: false)
            return (
                String(decoding: percentDecoded(halves[0]), as: UTF8.self),
                halves.count == 2 ? String(decoding: percentDecoded(halves[1]), as: UTF8.self) : ""
            )
        }
    }

    /// Whether values are like all of these patterns.
    package static func match(
        _ values: [(dimension: String, value: String)], _ patterns: [GroupPattern]
    ) -> Bool {
        patterns.allSatisfy { pattern in
            values.contains {
                $0.dimension == pattern.dimension && matchesPattern($0.value, pattern.pattern)
            }
        }
    }
}

/// Settings of a monitor for some of its groups and columns.
package struct MonitorOverride: Sendable {
    /// Patterns of values by dimension; empty: all groups.
    package var groups: [GroupPattern]
    /// Places in `StreamPlan.columns`; `nil`: all, and groups as a whole.
    package var columns: [Int]?
    /// Sets what it says.
    package var apply: @Sendable (inout MonitorPlan) -> Void
    /// What it says, by key, as its author wrote it.
    package var texts: [(key: String, value: String)]

    package init(
        groups: [GroupPattern], columns: [Int]?, texts: [(key: String, value: String)],
        apply: @escaping @Sendable (inout MonitorPlan) -> Void
    ) {
        self.groups = groups
        self.columns = columns
        self.texts = texts
        self.apply = apply
    }
}

/// A part of each week, UTC.
package struct WeeklySpan: Sendable, Equatable {
    /// From Monday's beginning on, ms.
    package var fromMs: Int64
    /// Less than `fromMs` where it goes on into the next week.
    package var toMs: Int64

    package init(fromMs: Int64, toMs: Int64) {
        self.fromMs = fromMs
        self.toMs = toMs
    }

    private static let weekMs: Int64 = 7 * 86_400_000
    /// 1970 began on a Thursday.
    private static let mondayMs: Int64 = 4 * 86_400_000

    /// When it was last over, at a moment or before.
    func end(before ms: Int64) -> Int64 {
        let sinceMs = ms - Self.mondayMs - toMs
        return ms - (sinceMs - sinceMs.flooredDivision(by: Self.weekMs) * Self.weekMs)
    }

    /// Whether a window touches it.
    func holds(_ window: Window) -> Bool {
        let lengthMs = (toMs - fromMs + Self.weekMs) % Self.weekMs
        guard window.lengthMs < Self.weekMs else { return true }
        let sinceMonday = window.startMs - Self.mondayMs - fromMs
        let at = sinceMonday - sinceMonday.flooredDivision(by: Self.weekMs) * Self.weekMs
        return at < lengthMs || at + window.lengthMs > Self.weekMs
    }
}
