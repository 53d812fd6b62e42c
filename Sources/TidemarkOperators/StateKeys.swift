import TidemarkCore
import TidemarkDataflow

/// Keys of state entries, by name, so that they outlive an edit of the topology that leaves what they
/// stand for as it was.
///
///     alert/monitor/segment/size/column/group
///     baseline/name/segment/size/group           the head of what is learned of a group
///     baseline/name/segment/size/group/start     one window of it
///
/// Each part is percent-encoded.
struct StateKeys {
    private let monitors: [[UInt8]]
    private let segments: [[UInt8]]
    private let sizes: [[UInt8]]
    private let columns: [[UInt8]]
    private let baselines: [[UInt8]]

    init(plan: Plan) {
        func encoded(_ name: String) -> [UInt8] { percentEncoded(Array(name.utf8)) }
        monitors = plan.stream.monitors.map { encoded($0.name) }
        segments = plan.stream.segments.map { encoded($0.name) }
        sizes = plan.stream.windows.map {
            Array("\(lengthText($0.lengthMs))-\(lengthText($0.stepMs))".utf8)
        }
        columns = plan.stream.columns.map { encoded($0.name) }
        baselines = plan.stream.baselines.map { encoded($0.name) }
    }

    func alert(_ series: AlertSeries) -> [UInt8] {
        Self.joined([
            Array("alert".utf8), monitors[series.monitor], segments[series.segment],
            sizes[series.size], series.column.map { columns[$0] } ?? Self.whole, series.group,
        ])
    }

    func alert(_ key: [UInt8]) -> AlertSeries? {
        let parts = Self.parts(key)
        guard parts.count == 6, parts[0] == Array("alert".utf8),
            let monitor = monitors.firstIndex(of: parts[1]),
            let segment = segments.firstIndex(of: parts[2]),
            let size = sizes.firstIndex(of: parts[3])
        else { return nil }
        let column = columns.firstIndex(of: parts[4])
        guard column != nil || parts[4] == Self.whole else { return nil }
        return AlertSeries(
            monitor: monitor, segment: segment, size: size, column: column, group: parts[5])
    }

    /// `startMs`: `nil` for the head.
    func learned(
        _ place: LearnedBaselines.Place, _ group: [UInt8], startMs: Int64? = nil
    ) -> [UInt8] {
        var parts = [
            Array("baseline".utf8), baselines[place.baseline], segments[place.segment],
            sizes[place.size], group,
        ]
        if let startMs { parts.append(Array(String(startMs).utf8)) }
        return Self.joined(parts)
    }

    func learned(
        _ key: [UInt8]
    ) -> (place: LearnedBaselines.Place, group: [UInt8], startMs: Int64?)? {
        let parts = Self.parts(key)
        guard parts.count == 5 || parts.count == 6, parts[0] == Array("baseline".utf8),
            let baseline = baselines.firstIndex(of: parts[1]),
            let segment = segments.firstIndex(of: parts[2]),
            let size = sizes.firstIndex(of: parts[3])
        else { return nil }
        var startMs: Int64?
        if parts.count == 6 {
            startMs = Int64(String(decoding: parts[5], as: UTF8.self))
            guard startMs != nil else { return nil }
        }
        return (
            LearnedBaselines.Place(baseline: baseline, segment: segment, size: size), parts[4],
            startMs
        )
    }

    /// In the place of a column: the group as a whole.
    private static let whole: [UInt8] = [0x2d]

    private static func joined(_ parts: [[UInt8]]) -> [UInt8] {
        Array(parts.joined(separator: [0x2f]))
    }

    private static func parts(_ key: [UInt8]) -> [[UInt8]] {
        key.split(separator: 0x2f, omittingEmptySubsequences: false).map(Array.init)
    }
}
