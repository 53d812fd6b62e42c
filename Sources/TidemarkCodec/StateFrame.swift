import CLZ4
import TidemarkCore
import TidemarkText

/// A state entry's value: which epoch and window it belongs to, and what it keeps.
///
///     0   "TMS", version: that in which the kind last changed
///     4   kind
///     5   flags: 1 = the payload is an LZ4 frame
///     6   state epoch, i64 LE
///     14  applied through: end of the last window, ms, i64 LE
///     22  length of the payload before compression, u32 LE
///     26  payload
///     n−4 CRC-32C of everything before, u32 LE
///
/// Every format, later ones too, is at least 30 bytes long and ends in the checksum of all before it: so
/// damage is never taken for a newer version. A version reads every earlier one. A later one is refused,
/// never skipped: going back to an older version of tidemark needs `tidemark reset`, unless the formats are
/// the same.
package struct StateFrame: Sendable, Equatable {
    /// The newest version that is read; a frame says the one in which its kind last changed.
    package static let version: UInt8 = 7
    /// Payloads above it are damaged, whatever they say.
    package static let payloadBytesMax = 64 << 20

    /// What is kept.
    package enum Kind: UInt8, Sendable {
        case alert = 1
        case baseline = 2
        /// A freshness monitor that fires; applied through the last arrival.
        case silence = 3
        /// A part of an open window, after the panes up to its applied-through.
        case window = 4
        /// The open windows of a snapshot.
        case windowList = 5
        /// When a group or segment whose silence is watched was last seen; applied through the end
        /// of that pane.
        case freshness = 6
        /// The name of the topology that the state belongs to.
        case owner = 7
        /// A part of a baseline that a topic brought; applied through what it is in force from.
        case topicBaseline = 8

        /// The first version that has it as it is: what an older one does not know it must refuse.
        var version: UInt8 {
            switch self {
            case .silence: 1
            case .windowList: 2
            case .freshness, .owner: 4
            case .alert, .baseline: 5
            case .window: 6
            case .topicBaseline: 7
            }
        }
    }

    /// What the payload is.
    package var kind: Kind
    /// The state epoch: a frame of another one is not used.
    package var epoch: Int
    /// End of the last window that is in it, ms; kinds without windows say what it is for them.
    package var appliedThroughMs: Int64
    /// What is kept, in the kind's own form.
    package var payload: [UInt8]

    package init(kind: Kind, epoch: Int, appliedThroughMs: Int64, payload: [UInt8]) {
        self.kind = kind
        self.epoch = epoch
        self.appliedThroughMs = appliedThroughMs
        self.payload = payload
    }

    /// Why bytes are no frame.
    package enum Rejection: Error, Sendable, Equatable {
        case newer(version: Int)
        case damaged(String)
    }

    /// The frame's bytes; LZ4 where that makes the payload shorter.
    package func encoded() -> [UInt8] {
        // An empty frame alone has as many bytes: nothing so short gets shorter.
        let compressed = payload.count <= 15 ? payload : Self.compress(payload)
        let isCompressed = compressed.count < payload.count
        let body = isCompressed ? compressed : payload
        var bytes: [UInt8] =
            Array("TMS".utf8) + [kind.version, kind.rawValue, isCompressed ? 1 : 0]
        bytes.reserveCapacity(30 + body.count)
        bytes.append(littleEndian: Int64(epoch))
        bytes.append(littleEndian: appliedThroughMs)
        bytes.append(littleEndian: UInt32(payload.count))
        bytes.append(contentsOf: body)
        bytes.append(littleEndian: crc32c(bytes))
        return bytes
    }

    /// - Throws: `Rejection`; nothing in `bytes` can make it trap.
    package init(_ bytes: [UInt8]) throws(Rejection) {
        guard bytes.count >= 4, bytes.starts(with: "TMS".utf8) else {
            throw .damaged("it does not begin like a state entry")
        }
        guard bytes.count >= 30 else { throw .damaged("it is cut short") }
        // Before anything else is believed, the version included: every format ends in this checksum.
        let sum = UInt32(truncatingIfNeeded: Self.number(bytes, bytes.count - 4, 4))
        guard sum == crc32c(bytes[..<(bytes.count - 4)]) else {
            throw .damaged("its checksum does not match")
        }
        guard bytes[3] <= Self.version else { throw .newer(version: Int(bytes[3])) }
        guard let kind = Kind(rawValue: bytes[4]) else {
            throw .damaged("kind \(bytes[4]) is unknown")
        }
        self.kind = kind
        epoch = Int(Self.number(bytes, 6, 8))
        appliedThroughMs = Self.number(bytes, 14, 8)
        let count = Int(Self.number(bytes, 22, 4))
        guard count <= Self.payloadBytesMax else { throw .damaged("it is larger than any entry") }
        let body = Array(bytes[26..<(bytes.count - 4)])
        guard bytes[5] & 1 == 1 else {
            guard body.count == count else { throw .damaged("its length does not match") }
            payload = body
            return
        }
        guard let whole = Self.decompress(body, count: count) else {
            throw .damaged("its LZ4 frame is damaged")
        }
        payload = whole
    }

    private static func number(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int64 {
        var value: UInt64 = 0
        for index in (0..<count).reversed() { value = value << 8 | UInt64(bytes[start + index]) }
        return Int64(bitPattern: value)
    }

    private static func compress(_ bytes: [UInt8]) -> [UInt8] {
        let capacity = LZ4F_compressFrameBound(bytes.count, nil)
        return unsafe Array(unsafeUninitializedCapacity: capacity) { target, count in
            let size = unsafe LZ4F_compressFrame(
                target.baseAddress, capacity, bytes, bytes.count, nil)
            precondition(LZ4F_isError(size) == 0, "the bound is enough")
            count = size
        }
    }

    private static func decompress(_ bytes: [UInt8], count: Int) -> [UInt8]? {
        var context: OpaquePointer?
        guard
            unsafe LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION)))
                == 0
        else { return nil }
        defer { unsafe LZ4F_freeDecompressionContext(context) }
        // One byte more than announced, so that a longer frame shows.
        var produced = 0
        var isWhole = false
        let result = unsafe [UInt8](unsafeUninitializedCapacity: count + 1) { target, used in
            var consumed = 0
            while consumed < bytes.count {
                var room = count + 1 - produced
                var taken = bytes.count - consumed
                let hint = unsafe bytes.withUnsafeBytes { source in
                    unsafe LZ4F_decompress(
                        context, target.baseAddress.map { unsafe $0 + produced }, &room,
                        source.baseAddress.map { unsafe $0 + consumed }, &taken, nil)
                }
                guard LZ4F_isError(hint) == 0, taken > 0 || room > 0 else { break }
                produced += room
                consumed += taken
                if hint == 0 {
                    isWhole = consumed == bytes.count
                    break
                }
                if produced > count { break }
            }
            used = produced
        }
        return isWhole && produced == count ? result : nil
    }
}
