import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkSketches
import TidemarkText

/// The open windows on their way to the state topic and back, where re-reading their rows would
/// take longer than `limits.max_reread`.
///
/// A snapshot has all open windows as they are after the panes that end by a certain time: a list
/// of them, and each in parts of at most `partBytes`. Snapshots take turns in two sets of keys, and
/// the older one is taken away one unit of commit after the newer one was written. So the one that
/// the offsets name is whole, even where entries and offsets are not one transaction.
///
/// The owner is stage 2.
struct WindowSnapshots {
    /// A window in the list.
    struct Listed: Equatable {
        var plan: WindowPlan
        var startMs: Int64
        var referenceMs: Int64
        var partCount: Int
    }

    static let partBytes = 512 << 10

    /// Which set of keys the newest snapshot is in.
    private var turn = 0
    /// Keys of the newest snapshot.
    private var keys: [[UInt8]] = []
    /// Keys that the next unit takes away.
    private var retired: [[UInt8]] = []
    /// Restored frames, by the end of the last pane that is in them.
    private var found: [Int64: [[UInt8]: StateFrame]] = [:]

    // MARK: Writing

    /// Entries of a snapshot; `windows` are the states with what the list says of them.
    mutating func write(
        _ windows: [(listed: Listed, state: [UInt8])], throughMs: Int64, epoch: Int
    ) -> [StateEntry] {
        retired += keys
        keys = []
        turn = 1 - turn
        var entries: [StateEntry] = []
        var list: [UInt8] = []
        list.append(varint: UInt64(windows.count))
        func add(_ kind: StateFrame.Kind, _ key: [UInt8], _ payload: [UInt8]) {
            keys.append(key)
            let frame = StateFrame(
                kind: kind, epoch: epoch, appliedThroughMs: throughMs, payload: payload)
            entries.append(StateEntry(key: key, value: frame.encoded()))
        }
        for (listed, state) in windows {
            let parts = stride(from: 0, to: max(1, state.count), by: Self.partBytes).map {
                Array(state[$0..<min(state.count, $0 + Self.partBytes)])
            }
            for (index, part) in parts.enumerated() {
                add(.window, Self.key(turn, listed, part: index), part)
            }
            for number in [
                listed.plan.lengthMs, listed.plan.stepMs, listed.startMs, listed.referenceMs,
                Int64(parts.count),
            ] {
                list.append(littleEndian: number)
            }
        }
        // Last: where it is there, all is there.
        add(.windowList, Self.listKey(turn), list)
        return entries
    }

    /// Tombstones of what an earlier snapshot left.
    mutating func takeTombstones() -> [StateEntry] {
        defer { retired = [] }
        return retired.map { StateEntry(key: $0, value: nil) }
    }

    private static func key(_ turn: Int, _ listed: Listed, part: Int) -> [UInt8] {
        let lengths = "\(lengthText(listed.plan.lengthMs))-\(lengthText(listed.plan.stepMs))"
        return Array("window/\(turn)/\(lengths)/\(listed.startMs)/\(part)".utf8)
    }

    private static func listKey(_ turn: Int) -> [UInt8] { Array("windows/\(turn)".utf8) }

    // MARK: Reading

    mutating func restore(_ frame: StateFrame, key: [UInt8]) {
        found[frame.appliedThroughMs, default: [:]][key] = frame
    }

    /// Takes the windows of the snapshot through `throughMs` out, and forgets everything else that
    /// was found.
    ///
    /// - Returns: `nil` if it is not there or not whole.
    mutating func read(throughMs: Int64) -> [(listed: Listed, state: [UInt8])]? {
        let frames = found.removeValue(forKey: throughMs) ?? [:]
        retired += found.values.flatMap(\.keys)
        found = [:]
        keys = Array(frames.keys)
        for turn in 0...1 {
            guard let list = frames[Self.listKey(turn)],
                let windows = Self.windows(list.payload, frames, turn)
            else { continue }
            self.turn = turn
            return windows
        }
        return nil
    }

    private static func windows(
        _ list: [UInt8], _ frames: [[UInt8]: StateFrame], _ turn: Int
    ) -> [(listed: Listed, state: [UInt8])]? {
        var reader = ByteReader(list)
        var windows: [(listed: Listed, state: [UInt8])] = []
        do throws(SketchError) {
            let count = Int(clamping: try reader.readVarint())
            guard count <= list.count else { return nil }
            for _ in 0..<count {
                var numbers: [Int64] = []
                for _ in 0..<5 { numbers.append(try reader.read(Int64.self)) }
                let listed = Listed(
                    plan: WindowPlan(lengthMs: numbers[0], stepMs: numbers[1]),
                    startMs: numbers[2], referenceMs: numbers[3],
                    partCount: Int(clamping: numbers[4]))
                var state: [UInt8] = []
                guard 1 <= listed.partCount, listed.partCount <= frames.count else { return nil }
                for part in 0..<listed.partCount {
                    guard let frame = frames[key(turn, listed, part: part)] else { return nil }
                    state += frame.payload
                }
                windows.append((listed, state))
            }
            try reader.finish()
        } catch {
            return nil
        }
        return windows
    }
}
