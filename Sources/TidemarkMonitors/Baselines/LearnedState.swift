import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// Windows of a group, added up.
struct LearnedSum: Subtractable {
    var windows: Int64 = 0
    var rows: Int64 = 0
    /// Σ rows² over the windows.
    var squares: UInt128 = 0
    /// Counts of all cells of the learned columns; windows without rows have none.
    var cells: [UInt64] = []

    mutating func add(_ window: LearnedWindow) {
        windows += 1
        rows += window.rows
        squares += UInt128(window.rows) * UInt128(window.rows)
        window.forEachCell { place, count in
            if place == cells.count { cells.append(0) }
            cells[place] += count
        }
    }

    mutating func subtract(_ window: LearnedWindow) {
        windows -= 1
        rows -= window.rows
        squares -= UInt128(window.rows) * UInt128(window.rows)
        window.forEachCell { place, count in cells[place] -= count }
    }

    mutating func add(_ head: LearnedHead) {
        windows += head.windows
        rows += head.rows
        squares += head.squares
        for (place, count) in head.cells.enumerated() {
            if place == cells.count { cells.append(0) }
            cells[place] += count
        }
    }
}

/// One window of a group, as a learned baseline keeps it.
package struct LearnedWindow: Sendable, Equatable {
    /// Its start, ms; its length is that of the baseline's windows.
    package let startMs: Int64
    /// Rows of the group in it.
    package let rows: Int64
    /// Varints (LEB128), a cell each.
    let cells: [UInt8]
    /// Numbers of the window that are kept one by one, since they don't add up; not a number: there is none.
    let values: [Double]
    /// Which values there were, of columns of which that is kept.
    let seen: [SeenCounts]
    var byteCount: Int {
        56 + cells.count + 8 * values.count + seen.reduce(0) { $0 + $1.byteCount }
    }
    /// What it holds beside cells: bits of the first byte.
    private static let (hasValues, hasSeen): (UInt8, UInt8) = (2, 4)

    init(
        startMs: Int64, rows: Int64, counts: [UInt64], values: [Double] = [],
        seen: [SeenCounts] = []
    ) {
        self.startMs = startMs
        self.rows = rows
        self.values = values
        self.seen = seen
        var bytes: [UInt8] = []
        for count in counts { bytes.append(varint: count) }
        cells = bytes
    }

    /// A window as `encoded` gave it; nil if these bytes are none.
    package init?(startMs: Int64, _ bytes: [UInt8]) {
        var rest = bytes[...]
        // No sum of what a span may hold comes near to 64 bits.
        guard let form = rest.popFirst(), form & 1 == 1, form <= 1 | Self.hasValues | Self.hasSeen,
            let rows = rest.popVarint(), rows < 1 << 48
        else { return nil }
        self.startMs = startMs
        self.rows = Int64(rows)
        var values: [Double] = []
        if form & Self.hasValues != 0 {
            guard let count = rest.popVarint(), count <= UInt64(rest.count) / 8 else { return nil }
            for _ in 0..<count {
                let bits = rest.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                values.append(Double(bitPattern: bits))
                rest = rest.dropFirst(8)
            }
        }
        self.values = values
        if form & Self.hasSeen != 0 {
            guard let seen = [SeenCounts](&rest) else { return nil }
            self.seen = seen
        } else {
            seen = []
        }
        cells = Array(rest)
        while !rest.isEmpty {
            guard let count = rest.popVarint(), count < 1 << 48 else { return nil }
        }
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = [
            1 | (values.isEmpty ? 0 : Self.hasValues) | (seen.isEmpty ? 0 : Self.hasSeen)
        ]
        bytes.append(varint: UInt64(rows))
        if !values.isEmpty { bytes.append(varint: UInt64(values.count)) }
        for value in values {
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
        }
        if !seen.isEmpty { seen.write(&bytes) }
        return bytes + cells
    }

    func forEachCell(_ body: (Int, UInt64) -> Void) {
        var rest = cells[...]
        var place = 0
        while let count = rest.popVarint() {
            body(place, count)
            place += 1
        }
    }
}

/// What is known of a group beside the windows that are kept one by one.
package struct LearnedHead: Sendable, Equatable {
    /// Start of the first window.
    package var beganMs: Int64
    /// Days since 1970 of the last window with rows.
    package var seenDay: Int64
    /// End of the last window that was added up here; those before are not kept one by one.
    package var throughMs: Int64 = .min
    /// Windows that were added up here.
    package var windows: Int64 = 0
    /// Rows of those windows.
    package var rows: Int64 = 0
    var squares: UInt128 = 0
    var cells: [UInt64] = []
    /// Which values there were in them, of columns of which that is kept.
    var seen: [SeenCounts] = []
    /// Windows that a trailing baseline did not learn, since an alert was open.
    var apart: [Range<Int64>] = []
    static let apartCountMax = 4_096
    /// The verdicts that were published of the group while it has no rows; nil while it has some.
    var silence: [UInt8]?

    init(beganMs: Int64, seenDay: Int64) {
        self.beganMs = beganMs
        self.seenDay = seenDay
    }

    mutating func take(_ window: LearnedWindow, endMs: Int64) {
        throughMs = endMs
        windows += 1
        rows += window.rows
        squares += UInt128(window.rows) * UInt128(window.rows)
        window.forEachCell { place, count in
            if place == cells.count { cells.append(0) }
            cells[place] += count
        }
        seen.merge(window.seen)
    }

    /// What it holds beside sums: bits of the first byte.
    private static let (hasMore, hasSeen): (UInt8, UInt8) = (2, 4)

    func encoded() -> [UInt8] {
        let hasMore = !apart.isEmpty || silence != nil
        var bytes: [UInt8] = [(hasMore ? Self.hasMore : 0) | (seen.isEmpty ? 0 : Self.hasSeen)]
        for number in [beganMs, seenDay, throughMs, windows, rows] {
            bytes.append(varint: UInt64(bitPattern: number << 1 ^ number >> 63))
        }
        bytes.append(varint: UInt64(truncatingIfNeeded: squares))
        bytes.append(varint: UInt64(truncatingIfNeeded: squares >> 64))
        if hasMore {
            // 0: it has rows; else the length of the text, and one more.
            bytes.append(varint: UInt64(silence.map { $0.count + 1 } ?? 0))
            bytes += silence ?? []
            bytes.append(varint: UInt64(apart.count))
            for range in apart {
                bytes.append(varint: UInt64(bitPattern: range.lowerBound))
                bytes.append(varint: UInt64(bitPattern: range.upperBound - range.lowerBound))
            }
        }
        if !seen.isEmpty { seen.write(&bytes) }
        for cell in cells { bytes.append(varint: cell) }
        return bytes
    }

    /// A head as `encoded` gave it; nil if these bytes are none.
    package init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        guard let form = rest.popFirst(), form & 1 == 0, form <= Self.hasMore | Self.hasSeen else {
            return nil
        }
        var numbers: [Int64] = []
        for _ in 0..<5 {
            guard let raw = rest.popVarint() else { return nil }
            numbers.append(Int64(bitPattern: raw >> 1) ^ -Int64(raw & 1))
        }
        guard let low = rest.popVarint(), let high = rest.popVarint() else { return nil }
        self.init(beganMs: numbers[0], seenDay: numbers[1])
        (throughMs, windows, rows) = (numbers[2], numbers[3], numbers[4])
        squares = UInt128(high) << 64 | UInt128(low)
        guard (0...TimeLimit.latestMs).contains(beganMs),
            (0...TimeLimit.latestMs).contains(seenDay),
            (0...1 << 48).contains(windows), (0...1 << 60).contains(rows)
        else { return nil }
        if form & Self.hasMore != 0 {
            guard let length = rest.popVarint(), length <= 4_096, length <= rest.count + 1 else {
                return nil
            }
            if length > 0 {
                silence = Array(rest.prefix(Int(length) - 1))
                rest = rest.dropFirst(Int(length) - 1)
            }
            guard let count = rest.popVarint(), count <= Self.apartCountMax else { return nil }
            for _ in 0..<count {
                guard let start = rest.popVarint(), let length = rest.popVarint(),
                    start <= TimeLimit.latestMs, length <= TimeLimit.latestMs
                else { return nil }
                apart.append(Int64(start)..<Int64(start + length))
            }
        }
        if form & Self.hasSeen != 0 {
            guard let seen = [SeenCounts](&rest) else { return nil }
            self.seen = seen
        }
        while !rest.isEmpty {
            guard let cell = rest.popVarint(), cell < 1 << 60 else { return nil }
            cells.append(cell)
        }
    }
}

extension StateFrame {
    /// What a baseline's entry holds, in words; nil where it holds none.
    package var learnedText: String? {
        guard kind == .baseline else { return nil }
        if let head = LearnedHead(payload) {
            return "learned since \(timeText(head.beganMs))"
                + (head.windows > 0 ? ", \(head.windows) windows, \(head.rows) rows" : "")
        }
        return LearnedWindow(startMs: 0, payload).map { "a learned window of \($0.rows) rows" }
    }
}
