package import TidemarkCore
import TidemarkText

/// What windows are compared with: a file, what is learned on the stream, or another group.
package struct BaselinePlan: Sendable {
    /// Where a baseline comes from.
    package enum Origin: Sendable, Equatable {
        /// What `tidemark baseline build` wrote; `contentHash`: SHA-256 of the file, hex.
        case file(path: String, contentHash: String)
        /// Counts of closed windows, which stage 2 learns.
        case learned(LearningPlan)
        /// Another group of the same segment in the same window.
        case other(OtherGroupPlan)
        /// The newest record of a key in a compacted topic, in force from a recorded event time on.
        case topic(TopicBaselinePlan)
    }

    /// As the topology has it; a baseline written inside a monitor has a name made from it.
    package let name: String
    /// Where it comes from.
    package let origin: Origin
    /// As records name it: `training@5b1e…`, the first 12 digits of the hash; a learned one
    /// `recent@trailing-3600s`, another group `champion@version=1.4`.
    ///
    /// Of a topic it is the name alone: which record is in force changes, and its hash stands behind the name then.
    package let label: String

    /// A baseline of any origin.
    package init(name: String, origin: Origin) {
        self.name = name
        self.origin = origin
        label =
            switch origin {
            case .file(_, let contentHash): "\(name)@\(contentHash.prefix(12))"
            case .learned(let learning):
                "\(name)@\(learning.span.rawValue)-\(lengthText(learning.lengthMs))"
            case .other(let other):
                "\(name)@"
                    + other.replaced.map { "\($0.dimension)=\($0.value)" }.joined(separator: ",")
            case .topic: name
            }
    }

    /// A baseline from a file.
    package init(name: String, path: String, contentHash: String) {
        self.init(name: name, origin: .file(path: path, contentHash: contentHash))
    }

    /// A baseline that is learned on the stream.
    package init(name: String, learning: LearningPlan) {
        self.init(name: name, origin: .learned(learning))
    }

    /// The file; empty where it is none.
    package var path: String { if case .file(let path, _) = origin { path } else { "" } }
    /// SHA-256 of the file, hex; empty where it is none.
    package var contentHash: String { if case .file(_, let hash) = origin { hash } else { "" } }
    /// How it is learned on the stream; `nil`: it is not.
    package var learning: LearningPlan? {
        if case .learned(let plan) = origin { plan } else { nil }
    }
    /// The other group; `nil`: it is none.
    package var other: OtherGroupPlan? { if case .other(let plan) = origin { plan } else { nil } }
    /// The topic that it is read from; `nil`: it is not.
    package var topic: TopicBaselinePlan? {
        if case .topic(let plan) = origin { plan } else { nil }
    }

    /// Its counts are in the cells in which the window is counted that is compared: it brings no cells of its own.
    package var isOfStream: Bool { if case .file = origin { false } else { true } }
    /// All groups have to be counted in the same cells: its counts are those of other groups as well, or were made
    /// before anybody knew the groups.
    package var isAcrossGroups: Bool {
        other != nil || topic != nil || learning?.isPooled ?? false
    }
}

/// A baseline that is written to a compacted topic, again whenever a model is trained anew.
package struct TopicBaselinePlan: Sendable, Equatable {
    /// As the cluster names it.
    package var topic: String
    /// The key of the records that are meant.
    package var key: String

    package init(topic: String, key: String) {
        self.topic = topic
        self.key = key
    }
}

/// Another group as a baseline: that of the same segment, and of the same window, with some dimensions replaced.
package struct OtherGroupPlan: Sendable, Equatable {
    /// What a dimension is replaced by.
    package struct Replacement: Sendable, Equatable {
        /// A dimension of the segment.
        package var dimension: String
        /// Its value in the other group.
        package var value: String

        package init(dimension: String, value: String) {
            self.dimension = dimension
            self.value = value
        }
    }

    /// In the order in which the topology has them.
    package var replaced: [Replacement]
    /// With fewer rows of the other group in the window there is nothing to compare with yet.
    package var minRows: Int64 = 1000

    package init(replaced: [Replacement]) { self.replaced = replaced }

    /// The group that a group is compared with; `nil`: it lacks a dimension, or is that group itself.
    package func group(of values: GroupValues) -> GroupValues? {
        var other = values
        for one in replaced {
            guard let place = other.dimensions.firstIndex(where: { $0.name == one.dimension })
            else { return nil }
            other.dimensions[place].value = Array(one.value.utf8)
        }
        return other == values ? nil : other
    }
}

/// A baseline that stage 2 learns: the counts of a group's closed windows, added up.
///
/// Each (segment, window length, group) learns its own, of complete windows that do not overlap:
/// those that start at a multiple of their length. It is in force in windows that start at or after
/// the end of the last window it holds, never in one that it learned from.
package struct LearningPlan: Sendable, Equatable {
    /// Which windows are learned.
    package enum Span: String, Sendable {
        /// From the group's first window on, until it is complete.
        case first
        /// The windows before the one that is compared.
        case trailing
        /// The windows at the same time of earlier periods: of the days or weeks before.
        case sameTime = "same_time"
    }

    /// The first ones, the latest, or those of the same time.
    package var span: Span
    /// How far the span reaches, ms, rounded up to whole windows; of the same time the period.
    package var lengthMs: Int64
    /// The trailing span ends so long before the window starts.
    package var skipMs: Int64 = 0
    /// With fewer rows of the group it is not complete.
    package var minRows: Int64 = 1000
    /// How many periods back the same time is taken.
    package var times: Int64 = 1
    /// The same time begins so much earlier, and ends so much later, ms.
    package var aroundMs: Int64 = 0
    /// Days since 1970 that are no example for others; the same time of an earlier period stands in.
    package var skippedDays: [Int64] = []
    /// All groups of a segment learn one together.
    package var isPooled = false

    /// `minRows` of a baseline that belongs to a volume monitor alone: few rows are what it looks
    /// for.
    package static let volumeMinRows: Int64 = 100
    /// The most windows that a trailing span may have; they are kept one by one.
    package static let windowCountMax: Int64 = 2_016
    /// The most windows that are kept for the same time of earlier periods.
    package static let sameTimeWindowCountMax: Int64 = 20_160
    /// The most times that may be taken.
    package static let timesMax: Int64 = 12

    package init(span: Span, lengthMs: Int64) {
        self.span = span
        self.lengthMs = lengthMs
    }

    /// How many windows of a length make it up.
    package func windowCount(lengthMs windowMs: Int64) -> Int64 {
        guard span == .sameTime else { return (lengthMs + windowMs - 1) / windowMs }
        return times * ((windowMs + 2 * aroundMs + windowMs - 1) / windowMs)
    }

    /// How many windows of a length are kept of a group, one by one.
    package func keptCount(lengthMs windowMs: Int64) -> Int64 {
        switch span {
        case .first: 0
        case .trailing: windowCount(lengthMs: windowMs)
        case .sameTime: (reachMs + 2 * windowMs - 1) / windowMs
        }
    }

    /// How far back from a window's start what is learned may lie, ms.
    package var reachMs: Int64 {
        span == .sameTime
            ? lengthMs * (times + Int64(skippedDays.count)) + aroundMs : lengthMs + skipMs
    }

    /// A group without rows for longer than this many days (UTC) is forgotten, and learns anew when it
    /// returns.
    package var forgetDays: Int64 { max(7, reachMs.flooredDivision(by: 86_400_000) + 1) }

    /// When the windows start that are the same time as one, ms: a range for each period, the latest first.
    ///
    /// A day that is skipped has the same time of the period before it in its place. The windows start at multiples
    /// of their length, each before the one that is compared.
    package func sameTimes(as startMs: Int64, lengthMs windowMs: Int64) -> [Range<Int64>] {
        var found: [Range<Int64>] = []
        let lastMs = startMs.flooredDivision(by: windowMs) * windowMs
        var periods: Int64 = 0
        while found.count < Int(times), periods < times + Int64(skippedDays.count) {
            periods += 1
            let thenMs = startMs - periods * lengthMs
            if skippedDays.contains(thenMs.flooredDivision(by: 86_400_000)) { continue }
            let fromMs = (thenMs - aroundMs).flooredDivision(by: windowMs) * windowMs
            let toMs = -(-(thenMs + windowMs + aroundMs)).flooredDivision(by: windowMs) * windowMs
            found.append(fromMs..<max(fromMs, min(toMs, lastMs)))
        }
        return found
    }
}
