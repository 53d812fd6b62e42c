/// What the clocks of a place say: the offset from UTC for each of their times.
///
/// A time that the clocks show twice (they are put back) is the first of the two; one that they never
/// show (they are put forward) is read with the offset before the leap, and so lies as far behind it.
package struct ZoneRules: Sendable, Equatable {
    /// As the topology names it: `Europe/Berlin`, `UTC`, `+01:00`.
    package let name: String
    /// Seconds since 1970 as the clocks show them, ascending: each offset holds from there on.
    ///
    /// The first one holds from the beginning.
    package let localSeconds: [Int64]
    /// Seconds east of UTC.
    package let offsets: [Int32]

    /// A fixed offset, in seconds east of UTC.
    package init(name: String, offset: Int32) {
        self.name = name
        localSeconds = [.min]
        offsets = [offset]
    }

    /// `UTC`, `Z`, or an offset like `+01:00`, `-0330` and `+5`; `nil`: it is none of these.
    package init?(fixed name: String) {
        if name == "UTC" || name == "Z" {
            self.init(name: name, offset: 0)
            return
        }
        let bytes = Array(name.utf8)
        guard let sign = bytes.first, sign == 0x2b || sign == 0x2d else { return nil }
        let digits = bytes.dropFirst().filter { $0 != 0x3a }
        let colons = bytes.indices.filter { bytes[$0] == 0x3a }
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }), [1, 2, 4].contains(digits.count),
            colons.isEmpty || (colons == [3] && digits.count == 4),
            let number = Int32(String(decoding: digits, as: UTF8.self))
        else { return nil }
        let (hours, minutes) = digits.count == 4 ? (number / 100, number % 100) : (number, 0)
        guard hours < 24, minutes < 60 else { return nil }
        let seconds = (hours * 60 + minutes) * 60
        self.init(name: name, offset: sign == 0x2d ? -seconds : seconds)
    }

    /// The rules of a file of the system's time zone database (TZif, RFC 8536); `nil`: it is no such file.
    ///
    /// What lies behind the last change that the file lists follows its closing rule, up to the year
    /// 2500.
    package init?(name: String, file: [UInt8]) {
        guard let parsed = TimeZoneFile(file) else { return nil }
        self.name = name
        var locals: [Int64] = [.min]
        var offsets = [parsed.firstOffset]
        for change in parsed.changes {
            guard let before = offsets.last, change.offset != before else { continue }
            // Until then the clocks show times by the offset before, and a time that comes twice is
            // the first.
            let local = change.atSeconds + Int64(max(before, change.offset))
            guard let last = locals.last, local > last else { continue }
            locals.append(local)
            offsets.append(change.offset)
        }
        localSeconds = locals
        self.offsets = offsets
    }
}

/// The changes of a TZif file, its closing rule written out.
private struct TimeZoneFile {
    /// From a moment on, in seconds since 1970, the offset is another one, in seconds east of UTC.
    struct Change {
        var atSeconds: Int64
        var offset: Int32
    }

    var firstOffset: Int32 = 0
    var changes: [Change] = []

    /// The closing rule is written out up to this year.
    private static let lastYear: Int64 = 2500
    /// Some 8,700 years: what lies further from 1970 is no change of a clock.
    private static let secondsMax: Int64 = 1 << 38

    init?(_ file: [UInt8]) {
        var reader = Reader(bytes: file)
        guard var header = reader.header() else { return nil }
        var width = 4
        if header.version >= 2 {
            // The first block repeats what fits in 32 bits.
            guard reader.skip(header.byteCount(width: 4)), let second = reader.header() else {
                return nil
            }
            header = second
            width = 8
        }
        // Files that count leap seconds are for clocks that do; event times do not.
        guard header.leapCount == 0, header.typeCount > 0,
            let times = reader.integers(header.timeCount, width: width),
            let kinds = reader.integers(header.timeCount, width: 1)
        else { return nil }
        var offsets: [Int32] = []
        for _ in 0..<header.typeCount {
            guard let offset = reader.integers(1, width: 4)?.first, reader.skip(2),
                offset.magnitude < 200_000
            else { return nil }
            offsets.append(Int32(truncatingIfNeeded: offset))
        }
        firstOffset = offsets[0]
        for (time, kind) in zip(times, kinds) {
            guard offsets.indices.contains(Int(kind)) else { return nil }
            if time <= -Self.secondsMax, changes.isEmpty {
                // Some files say since the beginning of the world what holds at first.
                firstOffset = offsets[Int(kind)]
                continue
            }
            guard time > changes.last?.atSeconds ?? -Self.secondsMax, time < Self.secondsMax else {
                return nil
            }
            changes.append(Change(atSeconds: time, offset: offsets[Int(kind)]))
        }
        guard width == 8 else { return }
        guard
            reader.skip(
                header.nameByteCount + header.standardCount + header.universalCount),
            let footer = reader.footer(), footer.isEmpty || closeWith(footer)
        else { return nil }
    }

    /// Writes the closing rule out: `CET-1CEST,M3.5.0,M10.5.0/3`.
    private mutating func closeWith(_ text: [UInt8]) -> Bool {
        var rule = ClosingRule(rest: text[...])
        guard rule.name(), let standard = rule.offset() else { return false }
        let lastSeconds = changes.last?.atSeconds ?? .min
        guard !rule.rest.isEmpty else {
            if (changes.last?.offset ?? firstOffset) != -standard {
                changes.append(Change(atSeconds: lastSeconds, offset: -standard))
            }
            return true
        }
        guard rule.name() else { return false }
        var summer = -standard + 3600
        if rule.rest.first != 0x2c {
            guard let offset = rule.offset() else { return false }
            summer = -offset
        }
        guard let begins = rule.day(), let ends = rule.day(), rule.rest.isEmpty else {
            return false
        }
        let firstYear =
            lastSeconds == .min
            ? 1970 : max(1970, CivilDate.year(ofDay: lastSeconds.flooredDivision(by: 86_400)))
        for year in firstYear...max(firstYear, Self.lastYear) {
            let pair = [
                Change(atSeconds: begins.seconds(year) + Int64(standard), offset: summer),
                Change(atSeconds: ends.seconds(year) - Int64(summer), offset: -standard),
            ].sorted { $0.atSeconds < $1.atSeconds }
            for change in pair where change.atSeconds > lastSeconds { changes.append(change) }
        }
        return true
    }

    private struct Header {
        var version: Int
        var universalCount: Int
        var standardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var nameByteCount: Int

        func byteCount(width: Int) -> Int {
            timeCount * (width + 1) + typeCount * 6 + nameByteCount + leapCount * (width + 4)
                + standardCount + universalCount
        }
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func skip(_ count: Int) -> Bool {
            guard count >= 0, count <= bytes.count - at else { return false }
            at += count
            return true
        }

        /// Big-endian, signed.
        mutating func integers(_ count: Int, width: Int) -> [Int64]? {
            guard count * width <= bytes.count - at else { return nil }
            return (0..<count).map { _ in
                var value: Int64 = width == 1 || bytes[at] < 0x80 ? 0 : -1
                for _ in 0..<width {
                    value = value << 8 | Int64(bytes[at])
                    at += 1
                }
                return value
            }
        }

        mutating func header() -> Header? {
            guard bytes.count - at >= 44, Array(bytes[at..<at + 4]) == Array("TZif".utf8) else {
                return nil
            }
            let digit = bytes[at + 4]
            at += 20
            guard let counts = integers(6, width: 4),
                counts.allSatisfy({ (0..<65_536).contains($0) })
            else { return nil }
            return Header(
                version: digit >= 0x32 ? Int(digit) - 0x30 : 1, universalCount: Int(counts[0]),
                standardCount: Int(counts[1]), leapCount: Int(counts[2]),
                timeCount: Int(counts[3]), typeCount: Int(counts[4]),
                nameByteCount: Int(counts[5]))
        }

        /// Between two line feeds, at the end.
        mutating func footer() -> [UInt8]? {
            guard at < bytes.count, bytes[at] == 0x0a,
                let end = bytes[(at + 1)...].firstIndex(of: 0x0a)
            else { return nil }
            return Array(bytes[(at + 1)..<end])
        }
    }

    /// The parts of a rule as POSIX writes it in the variable TZ.
    private struct ClosingRule {
        var rest: ArraySlice<UInt8>

        /// Three letters or more, or anything in `<>`.
        mutating func name() -> Bool {
            if rest.first == 0x3c {
                guard let end = rest.firstIndex(of: 0x3e) else { return false }
                rest = rest[(end + 1)...]
                return true
            }
            let letters = rest.prefix {
                (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
            }
            rest = rest[letters.endIndex...]
            return letters.count >= 3
        }

        mutating func number() -> Int? {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            rest = rest[digits.endIndex...]
            return digits.count > 4 ? nil : Int(String(decoding: digits, as: UTF8.self))
        }

        mutating func take(_ byte: UInt8) -> Bool {
            guard rest.first == byte else { return false }
            rest = rest.dropFirst()
            return true
        }

        /// `[+-]hh[:mm[:ss]]`, seconds; of a zone, west of UTC.
        mutating func offset() -> Int32? {
            let isBelow = take(0x2d)
            if !isBelow { _ = take(0x2b) }
            guard let hours = number(), hours <= 167 else { return nil }
            var seconds = hours * 3600
            if take(0x3a) {
                guard let minutes = number(), minutes < 60 else { return nil }
                seconds += minutes * 60
                if take(0x3a) {
                    guard let more = number(), more < 60 else { return nil }
                    seconds += more
                }
            }
            return Int32(truncatingIfNeeded: isBelow ? -seconds : seconds)
        }

        /// `,M10.5.0/3`, `,J60` or `,59`.
        mutating func day() -> Day? {
            guard take(0x2c) else { return nil }
            var day = Day()
            if take(0x4d) {
                guard let month = number(), (1...12).contains(month), take(0x2e),
                    let week = number(), (1...5).contains(week), take(0x2e),
                    let weekday = number(), (0...6).contains(weekday)
                else { return nil }
                day.form = .week(month: Int64(month), week: Int64(week), weekday: Int64(weekday))
            } else {
                let skipsLeapDay = take(0x4a)
                guard let number = number(), number <= 366 else { return nil }
                day.form = .dayOfYear(Int64(number), skipsLeapDay: skipsLeapDay)
            }
            if take(0x2f) {
                guard let time = offset() else { return nil }
                day.timeSeconds = Int64(time)
            }
            return day
        }
    }

    /// When in a year clocks change.
    private struct Day {
        enum Form {
            /// Week 5 is the last one.
            case week(month: Int64, week: Int64, weekday: Int64)
            /// From 1 where 29 February has no number, else from 0.
            case dayOfYear(Int64, skipsLeapDay: Bool)
        }
        var form = Form.dayOfYear(0, skipsLeapDay: false)
        /// On the clocks of that day.
        var timeSeconds: Int64 = 7200

        /// Seconds since 1970 on those clocks.
        func seconds(_ year: Int64) -> Int64 {
            let newYear = CivilDate.day(year: year, month: 1, day: 1)
            let day: Int64
            switch form {
            case .week(let month, let week, let weekday):
                let first = CivilDate.day(year: year, month: month, day: 1)
                let next =
                    month == 12
                    ? CivilDate.day(year: year + 1, month: 1, day: 1)
                    : CivilDate.day(year: year, month: month + 1, day: 1)
                // 1 January 1970 was a Thursday.
                let firstWeekday = (first + 4) - (first + 4).flooredDivision(by: 7) * 7
                var found = first + (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
                if found >= next { found -= 7 }
                day = found
            case .dayOfYear(let number, let skipsLeapDay):
                let isLeap =
                    CivilDate.day(year: year, month: 3, day: 1)
                    - CivilDate.day(year: year, month: 2, day: 28) == 2
                day =
                    skipsLeapDay
                    ? newYear + number - 1 + (isLeap && number >= 60 ? 1 : 0) : newYear + number
            }
            return day * 86_400 + timeSeconds
        }
    }
}
