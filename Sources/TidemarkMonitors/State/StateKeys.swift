import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// Keys of state entries, by name, so that they outlive an edit of the topology that leaves what they
/// stand for as it was.
///
/// A key is its parts, each percent-encoded, with slashes between. Which parts an entry has, its owner says.
struct StateKeys {
    let monitors: [[UInt8]]
    let segments: [[UInt8]]
    let sizes: [[UInt8]]
    let columns: [[UInt8]]
    let baselines: [[UInt8]]

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

    /// In the place of a column: the group as a whole.
    static let whole: [UInt8] = [0x2d]

    static func joined(_ parts: [[UInt8]]) -> [UInt8] {
        Array(parts.joined(separator: [0x2f]))
    }

    static func parts(_ key: [UInt8]) -> [[UInt8]] {
        key.split(separator: 0x2f, omittingEmptySubsequences: false).map(Array.init)
    }
}
