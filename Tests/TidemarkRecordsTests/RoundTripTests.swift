import Testing
import TidemarkCore
import TidemarkRecords
import TidemarkText

/// Writing, reading by type and writing again.
struct RoundTripTests {
    @Test(arguments: 1...300)
    func `an aggregate that is read and written again has the same bytes`(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        let record = draw.aggregate()
        let bytes = record.encoded()
        let read = try AggregateRecord(reading: bytes)
        #expect(text(read.encoded()) == text(bytes), "seed \(seed)")
        #expect(read.key == record.key)
        #expect(read.rows == record.rows)
        #expect(read.verdicts == record.verdicts)
        #expect(read.drift == record.drift)
        #expect(read.histogram == record.histogram)
        #expect(read.top == record.top)
        #expect(read.distinct == record.distinct)
        #expect(read.parts == record.parts)
        #expect(
            [read.min, read.max, read.mean, read.sd] == [
                record.min, record.max, record.mean, record.sd,
            ])
        #expect(read.group == record.group && read.otherGroupCount == record.otherGroupCount)
        #expect(read.quantiles.map(\.rank) == record.quantiles.map(\.rank))
        for (a, b) in zip(read.quantiles, record.quantiles) {
            #expect(b.isSingle ? Float(a.value) == Float(b.value) : a.value == b.value)
        }
        // What was read is read the same again, singles too.
        #expect(try AggregateRecord(reading: read.encoded()).quantiles == read.quantiles)
    }

    @Test(arguments: 1...300)
    func `an alert that is read and written again has the same bytes`(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        let record = draw.alert()
        let bytes = record.encoded()
        let read = try AlertRecord(reading: bytes)
        #expect(text(read.encoded()) == text(bytes), "seed \(seed)")
        #expect(read.id == record.id && read.transition == record.transition)
        #expect(read.reason == record.reason && read.mutedBy == record.mutedBy)
        #expect(read.labels.map(\.name) == record.labels.map(\.name))
        #expect(read.tests == record.tests && read.edges == record.edges)
        #expect(read.current == record.current && read.reference == record.reference)
        #expect(read.window == record.window && read.openedMs == record.openedMs)
    }

    @Test(arguments: 1...100)
    func `many records of a group and window have the bytes of each by itself`(seed: UInt64) {
        var draw = Draw(seed: seed)
        var encoder = AggregateEncoder()
        let first = draw.aggregate()
        encoder.begin(first)
        for _ in 0..<4 {
            var record = draw.aggregate()
            record.topology = first.topology
            record.revision = first.revision
            record.operatorName = first.operatorName
            record.group = first.group
            record.otherGroupCount = first.otherGroupCount
            record.window = first.window
            record.rev = first.rev
            record.complete = first.complete
            record.backfill = first.backfill
            #expect(text(encoder.encode(record)) == text(record.encoded()), "seed \(seed)")
        }
    }

    @Test(arguments: 1...100)
    func `a letter's headers are read as they were written`(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        var letter = LetterRecord(
            reason: draw.text(), topic: draw.text(), partition: Int32(draw.count(100)),
            offset: draw.whole())
        letter.detail = draw.maybe { $0.text() }
        letter.windowStartMs = draw.maybe { $0.whole() }
        letter.ahead = draw.maybe { draw in LetterRecord.Lead(ms: draw.maybe { $0.whole() }) }
        letter.file = draw.maybe { $0.text() }
        letter.line = draw.maybe { $0.whole() }
        letter.timestampMs = draw.maybe { $0.whole() }
        letter.topology = draw.maybe { $0.text() }
        letter.revision = draw.maybe { $0.text() }
        letter.keyByteCount = draw.maybe { $0.whole() }
        letter.byteCount = draw.maybe { $0.whole() }
        letter.headersByteCount = draw.maybe { $0.whole() }
        let headers = letter.headers()
        #expect(try LetterRecord(headers: headers + [("theirs", [1])]) == letter)
        let own: [(name: String, value: [UInt8])] = [
            ("theirs", [1]), ("offset", [2]), ("original-offset", [3]),
        ]
        let kept = own.map { (name: LetterRecord.carried($0.name), value: $0.value) }
        let back = LetterRecord.original(of: headers + kept)
        #expect(back.map(\.name) == own.map(\.name) && back.map(\.value) == own.map(\.value))
    }

    @Test(arguments: 1...200)
    func `damaged records are refused or read, and never end the program`(seed: UInt64) {
        var draw = Draw(seed: seed)
        let whole = [draw.aggregate().encoded(), draw.alert().encoded()]
        let odd = ["-1", "1e308", "9223372036854775807", "null", "[]", "{}", "\"\"", "0.5"]
        for bytes in whole {
            for _ in 0..<50 {
                var damaged = bytes
                let colons = damaged.indices.filter { damaged[$0] == UInt8(ascii: ":") }
                guard let at = colons.isEmpty ? nil : colons[draw.count(colons.count)] else {
                    return
                }
                let end =
                    damaged[(at + 1)...].firstIndex { [0x2c, 0x7d, 0x5d].contains($0) }
                    ?? damaged.endIndex
                damaged.replaceSubrange(at + 1..<end, with: odd[draw.count(odd.count)].utf8)
                if draw.count(4) == 0 { damaged[draw.count(damaged.count)] = 0x22 }
                if let read = try? AggregateRecord(reading: damaged) { _ = read.encoded() }
                if let read = try? AlertRecord(reading: damaged) { _ = read.encoded() }
            }
        }
    }

    @Test func `what later versions add is passed over in alerts and kept in aggregates`() throws {
        var draw = Draw(seed: 7)
        let alert = draw.alert()
        let more = Array(text(alert.encoded()).dropLast().utf8) + Array(#","new":{"a":[1]}}"#.utf8)
        #expect(try AlertRecord(reading: more).encoded() == alert.encoded())
        var record = draw.aggregate()
        record.parts = RecordParts()
        let added =
            Array(text(record.encoded()).dropLast().utf8) + Array(#","new":{"a":[1]}}"#.utf8)
        let read = try AggregateRecord(reading: added)
        #expect(read.parts.members.map(\.name) == ["new"])
        #expect(read.parts.members.first?.value == .object([("a", .array([.integer(1)]))]))
    }

    @Test func `parts stand in the order of their places`() {
        let first = PartField("first", place: 1, shape: .number, presence: "sometimes", help: "")
        let second = PartField("second", place: 2, shape: .number, presence: "sometimes", help: "")
        var parts = RecordParts()
        parts.add(second, .integer(2))
        parts.add(first, .integer(1))
        parts.add(first, nil)
        #expect(parts.members.map(\.name) == ["first", "second"])
        #expect(parts[second] == .integer(2))
    }

    @Test func `what is no such record is refused with the place and what was expected`() throws {
        func refusal(_ change: (String) -> String) -> RecordError? {
            var draw = Draw(seed: 3)
            var alert = draw.alert()
            alert.transition = .firing
            alert.tests = [TestRecord(name: "psi", value: 0.5, p: nil)]
            do throws(RecordError) {
                _ = try AlertRecord(reading: Array(change(text(alert.encoded())).utf8))
                return nil
            } catch {
                return error
            }
        }
        func replaced(_ part: String, _ other: String) -> RecordError? {
            refusal {
                $0.split(separator: part, maxSplits: 1, omittingEmptySubsequences: false)
                    .joined(separator: other)
            }
        }
        #expect(refusal { $0 } == nil)
        #expect(replaced(#""psi":{"value""#, #""psi":{"size""#) == .missing("tests.psi.value"))
        #expect(
            replaced(#""v":1"#, #""v":2"#) == .newer(version: 2))
        #expect(
            replaced(#""threshold":"#, #""threshold":"x","was":"#)
                == .wrongType("threshold", expected: "a number"))
        let state = replaced(#""state":"firing""#, #""state":"gone""#)
        #expect(state?.message == "`state` is not one of firing, resolved, no_data")
        let window = replaced(#""window":{"start":"#, #""window":{"start":"x","was":"#)
        #expect(window == .wrongType("window.start", expected: "an integer"))
        if case .notJSON = refusal({ _ in "{" }) {} else { Issue.record("no JSON was read") }
    }
}

/// Text of bytes that are UTF-8.
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// Records at random, the same for the same seed.
struct Draw {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }

    private mutating func bits() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func count(_ below: Int) -> Int { Int(bits() % UInt64(below)) }
    mutating func flag() -> Bool { bits() & 1 == 1 }
    mutating func whole() -> Int64 { Int64(bits() >> UInt64(1 + count(60))) }
    mutating func maybe<T>(_ value: (inout Draw) -> T) -> T? { flag() ? value(&self) : nil }

    /// Numbers of all sizes, whole ones among them.
    mutating func number() -> Double {
        switch count(5) {
        case 0: return Double(Int64(bitPattern: bits()) >> 40)
        case 1: return Double(bits() % 1000) / 8
        case 2:
            return Double(bitPattern: bits() & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000) - 1
        case 3: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits()) & 0x7eff_ffff))
        default:
            let any = Double(bitPattern: bits())
            return any.isFinite ? any : 0.1
        }
    }

    mutating func text() -> String {
        let letters = ["a", "ß", "\"", "\\", "\n", "漢", "=", "/", "x", "\u{1}", "🙂"]
        return (0..<count(6)).map { _ in letters[count(letters.count)] }.joined()
    }

    mutating func window() -> Window {
        let start = whole() % 1_000_000_000_000
        return Window(startMs: start, endMs: start + 1 + whole() % 1_000_000)
    }

    mutating func group() -> GroupValues {
        if count(5) == 0 { return GroupValues(dimensions: [], isOther: true) }
        return GroupValues(
            dimensions: (0..<count(3)).map { place in
                ("d\(place)", maybe { Array($0.text().utf8) })
            })
    }

    mutating func tests() -> [TestRecord] {
        ["psi", "ks", "x y"].prefix(count(4)).map {
            TestRecord(name: $0, value: number(), p: maybe { $0.number() })
        }
    }

    mutating func counts() -> [Int64] { (0..<count(5)).map { _ in whole() } }

    mutating func verdict() -> VerdictRecord {
        var record = VerdictRecord(
            monitor: text(), baseline: text(), p: maybe { $0.number() },
            level: maybe { $0.number() }, effect: maybe { $0.number() },
            ignoreBelow: maybe { $0.number() },
            verdict: Verdict.allCases[count(Verdict.allCases.count)])
        record.expected = maybe { $0.number() }
        record.learned = maybe {
            LearnedProgress(
                windows: $0.whole(), windowsNeeded: $0.whole(), rows: $0.whole(),
                rowsNeeded: $0.whole())
        }
        return record
    }

    mutating func aggregate() -> AggregateRecord {
        var record = AggregateRecord(
            topology: text(), revision: text(), operatorName: text(), group: group(),
            column: "", role: "", isNumeric: false, window: window(), rev: count(3),
            complete: flag(), backfill: flag())
        if record.group.isOther { record.otherGroupCount = maybe { $0.count(1000) } }
        record.rows.total = whole()
        record.rows.late = whole()
        record.rows.quarantined = Int64(count(3))
        record.verdicts = (0..<count(3)).map { _ in verdict() }
        if flag() { return record }
        record.column = "c" + text()
        record.role = "feature"
        record.isNumeric = flag()
        record.rows.value = whole()
        record.rows.null = whole()
        record.rows.missing = whole()
        record.rows.wrongType = whole()
        record.rows.nonFinite = whole()
        record.min = maybe { $0.number() }
        record.max = maybe { $0.number() }
        record.mean = maybe { $0.number() }
        record.sd = maybe { $0.number() }
        record.quantiles = [0, 0.01, 0.5, 0.975, 0.999, 1].prefix(count(7)).map {
            let isSingle = flag()
            let any = number()
            return QuantileRecord(
                rank: $0, value: isSingle ? Double(Float(clamping: any)) : any, isSingle: isSingle)
        }
        record.quantilesOverflow = !record.quantiles.isEmpty && flag()
        record.histogram = maybe {
            HistogramRecord(
                edges: $0.text(), under: $0.whole(), counts: $0.counts(), over: $0.whole())
        }
        record.distinct = maybe {
            DistinctRecord(estimate: $0.number(), lower: $0.number(), upper: $0.number())
        }
        record.top = maybe { draw in
            (0..<draw.count(3)).map { _ in
                TopItem(
                    value: Array(draw.text().utf8), count: draw.whole(), lower: draw.whole(),
                    upper: draw.whole())
            }
        }
        record.drift = (0..<count(3)).map { _ in
            DriftRecord(baseline: text(), n: whole(), nBaseline: whole(), tests: tests())
        }
        let parts = (0..<3).map {
            PartField("part\($0)", place: $0, shape: .number, presence: "sometimes", help: "")
        }
        record.parts.add(parts[2], .finite(number()))
        record.parts.add(
            parts[0],
            maybe { .members(["a": .text($0.text()), "b": .array([.integer($0.whole())])]) })
        return record
    }

    mutating func alert() -> AlertRecord {
        let transitions = AlertRecord.Transition.allCases
        var alert = AlertRecord(
            id: text(), eventId: "", transition: transitions[count(transitions.count)],
            topology: text(), revision: text(), monitor: text(), severity: "warn",
            summary: text(), operatorName: text(), group: group(), column: text(), test: text(),
            threshold: number(), window: window(), openedMs: -whole(), firstSeenMs: whole(),
            backfill: flag(), n: whole(), nBaseline: whole(), baseline: text())
        alert.mutedBy = maybe { _ in "backfill" }
        alert.reason = maybe { AlertRecord.Reason.allCases[$0.count(3)] }
        alert.description = maybe { $0.text() }
        alert.runbook = maybe { $0.text() }
        alert.owner = maybe { $0.text() }
        alert.labels = (0..<count(3)).map { ("l\($0)", text()) }
        alert.value = maybe { $0.number() }
        alert.isAbove = flag()
        alert.p = maybe { $0.number() }
        alert.level = maybe { $0.number() }
        alert.tests = tests()
        alert.current = counts()
        alert.reference = counts()
        alert.edges = (0..<count(4)).map { _ in number() }
        alert.categories = (0..<count(4)).map { _ in text() }
        return alert
    }
}

extension Float {
    /// The nearest one, within its range.
    init(clamping value: Double) {
        let largest = Float.greatestFiniteMagnitude
        self = Swift.max(-largest, Swift.min(largest, Float(value)))
    }
}
