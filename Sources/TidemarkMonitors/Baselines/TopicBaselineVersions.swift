import TidemarkCore
import TidemarkText

/// What was in force of a baseline of a topic, and from when on.
struct TopicBaselineVersions {
    /// Which state entry: a version is written in parts, since it may be long.
    struct PartID: Hashable {
        /// Place in `StreamPlan.baselines`.
        var baseline: Int
        /// When the version begins.
        var fromMs: Int64
        /// From 0 on.
        var part: Int
    }

    /// A record that is, or was, in force.
    struct Version {
        /// In force in windows that start then, or later.
        let fromMs: Int64
        /// `nil`: it was taken back.
        let table: BaselineTable?
        /// The record's value, which is what state keeps.
        let bytes: [UInt8]
        /// By group and column: counted once, not with every window.
        private let counted: [String: [String: Counts]]

        /// What a record holds of a group and column, in the cells of the stream.
        struct Counts {
            /// `nil`: it was counted in other cells, which no monitor compares.
            var cells: [UInt64]?
            /// What became of the rows that it was made of.
            var rows: RowCounts
        }

        init(fromMs: Int64, table: BaselineTable?, bytes: [UInt8]) {
            self.fromMs = fromMs
            self.table = table
            self.bytes = bytes
            var counted: [String: [String: Counts]] = [:]
            for record in table?.records ?? [] {
                counted[record.group, default: [:]][record.column] = Counts(
                    cells: TopicBaselineFit.cells(of: record.entry), rows: record.entry.rowCounts)
            }
            self.counted = counted
        }

        /// What it holds of a group and column; of all rows together only where it has no groups.
        func counts(group: String, column: String) -> Counts? {
            if let own = counted[group]?[column] { return own }
            guard let table, !table.isFallback(group: group, column: column) else { return nil }
            return counted["*"]?[column]
        }

        /// The state entries that it is written in.
        func parts(of baseline: Int) -> [PartID] {
            (0..<partCount).map { PartID(baseline: baseline, fromMs: fromMs, part: $0) }
        }

        private var partCount: Int {
            max(
                1,
                (bytes.count + TopicBaselineVersions.partBytes - 1)
                    / TopicBaselineVersions.partBytes)
        }

        /// `parts, u32 LE; bytes`.
        func payload(ofPart part: Int) -> [UInt8] {
            var payload: [UInt8] = []
            payload.append(littleEndian: UInt32(partCount))
            let start = part * TopicBaselineVersions.partBytes
            payload += bytes[min(start, bytes.count)...].prefix(TopicBaselineVersions.partBytes)
            return payload
        }
    }

    /// Bytes of a record in one state entry; JSON packs to about a third.
    static let partBytes = 512 << 10

    /// Ascending by when they begin.
    private var versions: [Version] = []
    /// Parts that were read back, by version.
    private var parts: [Int64: [Int: (count: Int, bytes: [UInt8])]] = [:]

    var isEmpty: Bool { versions.isEmpty }
    var last: Version? { versions.last }
    /// Memory, bytes, about: the bytes and what was made of them.
    var byteCount: Int { versions.reduce(0) { $0 + 4 * $1.bytes.count } }

    /// What a window that starts then is compared with; `nil`: nothing was there.
    func inForce(startMs: Int64) -> Version? { versions.last { $0.fromMs <= startMs } }

    /// The version that begins then.
    func version(from fromMs: Int64) -> Version? { versions.first { $0.fromMs == fromMs } }

    /// Adds one that begins after all others.
    mutating func append(_ version: Version) { versions.append(version) }

    /// Drops versions that would begin with a new one or after it.
    ///
    /// - Returns: their state entries.
    mutating func drop(from fromMs: Int64, of baseline: Int) -> [PartID] {
        let gone = versions.filter { $0.fromMs >= fromMs }
        versions.removeAll { $0.fromMs >= fromMs }
        return gone.flatMap { $0.parts(of: baseline) }
    }

    /// Drops versions that another one follows, where nothing needs them from its begin on.
    ///
    /// - Returns: their state entries.
    mutating func drop(of baseline: Int, where isOver: (_ nextMs: Int64) -> Bool) -> [PartID] {
        var gone: [PartID] = []
        while versions.count > 1, isOver(versions[1].fromMs) {
            gone += versions.removeFirst().parts(of: baseline)
        }
        return gone
    }

    /// Takes in a part that was read back.
    ///
    /// - Returns: whether it is one.
    mutating func restore(_ id: PartID, _ payload: [UInt8]) -> Bool {
        guard payload.count >= 4 else { return false }
        let count = payload[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard (1...4096).contains(count), (0..<count).contains(id.part) else { return false }
        parts[id.fromMs, default: [:]][id.part] = (count, Array(payload[4...]))
        return true
    }

    /// Puts the parts together that were read back.
    ///
    /// - Returns: the state entries of versions of which a part is missing: the topic has them, or a newer one.
    mutating func joinParts(of baseline: Int) -> [PartID] {
        var broken: [PartID] = []
        for (fromMs, known) in parts.sorted(by: { $0.key < $1.key }) {
            let count = known.values.first?.count ?? 0
            let bytes = (0..<count).flatMap { known[$0]?.bytes ?? [] }
            let table = bytes.isEmpty ? nil : try? BaselineTable(bytes: bytes)
            guard known.count == count, table != nil || bytes.isEmpty else {
                broken += known.keys.map { PartID(baseline: baseline, fromMs: fromMs, part: $0) }
                continue
            }
            versions.append(Version(fromMs: fromMs, table: table, bytes: bytes))
        }
        parts = [:]
        return broken
    }
}

/// `topic-baseline/name/from/part` is a part of what is in force of a baseline from then on.
extension StateKeys {
    func topicBaseline(_ id: TopicBaselineVersions.PartID) -> [UInt8] {
        Self.joined([
            Array("topic-baseline".utf8), baselines[id.baseline], Array(String(id.fromMs).utf8),
            Array(String(id.part).utf8),
        ])
    }

    func topicBaseline(_ key: [UInt8]) -> TopicBaselineVersions.PartID? {
        let parts = Self.parts(key)
        guard parts.count == 4, parts[0] == Array("topic-baseline".utf8),
            let baseline = baselines.firstIndex(of: parts[1]),
            let fromMs = Int64(String(decoding: parts[2], as: UTF8.self)),
            let part = Int(String(decoding: parts[3], as: UTF8.self))
        else { return nil }
        return TopicBaselineVersions.PartID(baseline: baseline, fromMs: fromMs, part: part)
    }
}
