import Glibc
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkKernels
import TidemarkTestSupport
import TidemarkText

/// A value, or why there is none.
private enum Read: Equatable, CustomStringConvertible {
    case number(Double)
    case time(Int64)
    case text(String)
    case none(ValueState)
    case noRow(DecodeVerdict?)

    var description: String {
        switch self {
        case .number(let value): "\(value)"
        case .time(let ms): "\(ms) ms"
        case .text(let text): "`\(text)`"
        case .none(let state): state.name
        case .noRow(let verdict): verdict.map { "\($0)" } ?? "?"
        }
    }
}

/// What becomes of one field in each record: by the walk, and by layouts in each tier, which must agree.
private func read(_ records: [String], _ field: Field, _ format: RecordFormat = .json) -> [Read] {
    let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 16)
    for (row, record) in records.enumerated() {
        unsafe Array(record.utf8).withUnsafeBytes { bytes in
            unsafe batch.append(
                partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
        }
    }
    func all(_ decoder: RecordDecoder) -> [Read] {
        decoder.decode(batch)
        let column = decoder.frame.columns[0]
        return records.indices.map { row in
            let verdict = DecodeVerdict(rawValue: unsafe decoder.frame.verdicts[row])
            guard verdict == .row else { return .noRow(verdict) }
            for place in 0..<column.exceptionCount
            where Int(unsafe column.exceptionRows[place]) == row {
                return .none(ValueState(rawValue: unsafe column.exceptionStates[place]) ?? .value)
            }
            if let numbers = unsafe column.numbers { return .number(unsafe numbers[row]) }
            if let times = unsafe column.times { return .time(unsafe times[row]) }
            guard let codes = unsafe column.codes else { return .none(.value) }
            return .text(
                unsafe String(decoding: decoder.frame.text(0, code: codes[row]), as: UTF8.self))
        }
    }
    let walked = all(
        RecordDecoder(fields: [field], format: format, rowCountMax: 4096, speculates: false))
    for tier in InstructionTier.allCases {
        let decoder = RecordDecoder(
            fields: [field], format: format, rowCountMax: 4096, speculates: true, tier: tier)
        #expect(all(decoder) == walked, "\(tier.name)")
        // Once more, now that layouts are known.
        #expect(all(decoder) == walked, "\(tier.name), layouts")
    }
    return walked
}

private func json(
    _ tokens: [String], kind: FieldKind, acceptText: Bool = false, zone: ZoneRules? = nil
)
    -> [Read]
{
    read(
        tokens.map { "{\"t\":\($0),\"n\":1}" },
        Field(kind: kind, path: [.key("t")], acceptText: acceptText, zone: zone))
}

private func csv(_ fields: [String], kind: FieldKind, zone: ZoneRules? = nil) -> [Read] {
    read(
        fields.map { "\($0),1" }, Field(kind: kind, path: [.key("t")], zone: zone),
        .csv(columns: ["t", "n"], separator: 0x2c))
}

private func zone(_ name: String) -> ZoneRules? {
    guard let file = unsafe fopen("/usr/share/zoneinfo/\(name)", "r") else { return nil }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = unsafe fgetc(file), byte >= 0 { bytes.append(UInt8(byte)) }
    return ZoneRules(name: name, file: bytes)
}

private func quoted(_ texts: [String]) -> [String] { texts.map { "\"\($0)\"" } }

@Suite struct EventTimeTests {
    @Test func `times of zones and forms of ISO 8601 are those of Python`() {
        var byZone: [String: [(text: String, ms: Int64)]] = [:]
        for line in timeGoldens.split(separator: "\n") {
            let parts = line.split(separator: " ").map(String.init)
            byZone[parts[0], default: []].append((parts[1], Int64(parts[2]) ?? 0))
        }
        #expect(byZone.count == 17)
        for (name, cases) in byZone {
            let rules = name == "ISO" ? nil : zone(name)
            #expect(name == "ISO" || rules != nil, "\(name)")
            let texts = cases.map { $0.text.replacing("_", with: " ") }
            let wanted = cases.map { Read.time($0.ms) }
            for (place, got) in json(quoted(texts), kind: .timeText, zone: rules).enumerated() {
                #expect(got == wanted[place], "\(name) \(texts[place])")
            }
            let fields = quoted(texts)
            for (place, got) in csv(fields, kind: .timeText, zone: rules).enumerated() {
                #expect(got == wanted[place], "\(name) \(texts[place]) in CSV")
            }
        }
    }

    @Test
    func `a time that comes twice is the first, and one that never comes lies behind the leap`() {
        let berlin = zone("Europe/Berlin")
        let got = json(
            quoted([
                "2024-10-27T02:30:00", "2024-10-27T03:00:00", "2024-03-31T02:30:00",
                "2024-03-31T03:30:00", "2024-03-31T02:30:00Z",
            ]), kind: .timeText, zone: berlin)
        #expect(
            got == [
                .time(1_729_989_000_000), .time(1_729_994_400_000), .time(1_711_848_600_000),
                .time(1_711_848_600_000), .time(1_711_852_200_000),
            ])
    }

    @Test func `what writers of other languages put behind a time is read`() {
        let ms = 1_705_312_800_000 as Int64
        let texts = [
            "2024-01-15 10:00:00 UTC", "2024-01-15 10:00:00 +0000",
            "2024-01-15T11:00:00+01:00[Europe/Berlin]",
            "2024-01-15T10:00:00z", "2024-01-15t10:00:00Z", " 2024-01-15T10:00:00Z ",
            "20240115T100000Z",
            "2024-01-15T10:00:00.000000000Z", "2024-01-15T10:00:00,0", "2024-01-15T10",
            "2024-01-15 10:00:00 GMT", "2024-01-15T04:15:00-0545",
        ]
        for (text, got) in zip(texts, json(quoted(texts), kind: .timeText)) {
            #expect(got == .time(ms), "\(text)")
        }
        #expect(json(quoted(["2024-01-14T24:00:00Z"]), kind: .timeText) == [.time(ms - 36_000_000)])
    }

    @Test func `what is no time stays none`() {
        let texts = [
            "2024-13-01", "2024-02-30", "2024-01-15T25:00", "2024-01-15T24:00:01Z", "20240115",
            "2024-01-15T10:00:00+", "2024-01-15T10:00:00.Z", "2024-01-15T10:60:00Z", "15.01.2024",
            "2024-1-5", "2024-01-15T", "2024-01-15X10:00:00", "2024-01-15T10:00:00+24:00",
            "1705312800000", "2024-01-15T10:00:00 Europe/Berlin", "2024-01-15T10:00:00[UTC]", "x",
        ]
        for (text, got) in zip(texts, json(quoted(texts), kind: .timeText)) {
            #expect(got == .none(.wrongType), "\(text)")
        }
    }

    @Test func `times without an offset are counted where no zone is named, and nowhere else`() {
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 16)
        for row in 0..<300 {
            let text = row % 3 == 0 ? "2024-01-15T10:00:00" : "2024-01-15T10:00:00Z"
            unsafe Array("{\"t\":\"\(text)\"}".utf8).withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
            }
        }
        for rules in [nil, ZoneRules(fixed: "UTC"), ZoneRules(fixed: "+05:30")] {
            for speculates in [false, true] {
                let decoder = RecordDecoder(
                    fields: [Field(kind: .timeText, path: [.key("t")], zone: rules)],
                    rowCountMax: 4096, speculates: speculates)
                decoder.decode(batch)
                #expect(decoder.assumedUTCCount == (rules == nil ? 100 : 0))
            }
        }
    }

    @Test(arguments: 0..<UInt64(8))
    func `numbers of all units are cut to the millisecond exactly, in quotes or not`(seed: UInt64) {
        var random = SeededRandom(seed)
        for (kind, digits) in [
            (FieldKind.timeNs, 6), (.timeUs, 3), (.timeMs, 0), (.timeS, -3),
        ] {
            var tokens: [String] = []
            var wanted: [Read] = []
            for _ in 0..<500 {
                // Milliseconds, and digits behind them that must not move them.
                let ms = Int64.random(in: 946_684_800_000..<4_000_000_000_000, using: &random)
                let edge = random.chance(0.5)
                func tail(_ count: Int) -> String {
                    String((0..<count).map { _ in edge ? "9" : Character("\(random.below(10))") })
                }
                var text = "\(ms)" + tail(max(0, digits))
                if digits < 0 { text.insert(".", at: text.index(text.endIndex, offsetBy: digits)) }
                if random.chance(0.5) {
                    text += (digits < 0 ? "" : ".") + tail(1 + random.below(9))
                }
                if random.chance(0.2), let dot = text.firstIndex(of: ".") {
                    // As Java prints a double: 1.705312800123E9.
                    let places = text.distance(from: text.startIndex, to: dot) - 1
                    text.remove(at: dot)
                    text.insert(".", at: text.index(after: text.startIndex))
                    text += "E\(places)"
                }
                tokens.append(text)
                wanted.append(.time(ms))
            }
            #expect(json(tokens, kind: kind) == wanted, "seed \(seed) \(kind)")
            #expect(json(quoted(tokens), kind: kind) == wanted, "seed \(seed) \(kind) in quotes")
            #expect(csv(tokens, kind: kind) == wanted, "seed \(seed) \(kind) in CSV")
            #expect(
                csv(quoted(tokens), kind: kind) == wanted, "seed \(seed) \(kind) in CSV, quoted")
        }
        #expect(
            json(["-1", "-1.5", "9223372036854775807", "99999999999999999999"], kind: .timeMs)
                == [.time(-1), .time(-2), .time(.max), .time(.max)])
        #expect(json(["-1", "-1000001"], kind: .timeNs) == [.time(-1), .time(-2)])
    }

    @Test func `records whose times are all in quotes are read by their layout`() {
        let decoder = RecordDecoder(
            fields: [
                Field(kind: .timeMs, path: [.key("t")]),
                Field(kind: .number, path: [.key("x")], acceptText: true),
            ], rowCountMax: 4096)
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 18)
        for row in 0..<4096 {
            let text =
                "{\"t\":\"\(1_705_312_800_000 + row)\",\"x\":\"\(Double(row) / 8)\",\"s\":\"a,b\"}"
            unsafe Array(text.utf8).withUnsafeBytes { bytes in
                unsafe batch.append(
                    partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
            }
        }
        decoder.decode(batch)
        #expect(decoder.rowCounts.walked < 10)
        for row in 0..<4096 {
            #expect(unsafe decoder.frame.columns[0].times?[row] == 1_705_312_800_000 + Int64(row))
            #expect(unsafe decoder.frame.columns[1].numbers?[row] == Double(row) / 8)
        }
    }
}

@Suite struct TextOfNumberTests {
    @Test func `a number as a text is the same number in JSON and in CSV`() {
        let texts = [
            "nan", "NaN", "NAN", "inf", "-Inf", "+inf", "Infinity", "-infinity", "+5", ".5", "5.",
            "-.5",
            " 4 ", "\t4", "007", "1e5", "1E-3", "1e400", "-1e400", "1e-400", "", "  ", "x", "--1",
            "+-1",
            "-+1", "0x10", "1.2.3", "1,5", "1_000", "infinit", "nanx", "nan(1)", "+", "-", ".",
            "e5", "5e",
            "9223372036854775807", "9223372036854775808", "2.5", "-0", "1 2",
        ]
        for kind in [FieldKind.number, .integer] {
            let a = json(
                texts.map { "\"\($0.replacing("\t", with: "\\t"))\"" }, kind: kind, acceptText: true
            )
            let b = csv(quoted(texts), kind: kind)
            let c = csv(texts.map { $0.contains(",") ? "\"\($0)\"" : $0 }, kind: kind)
            for (place, text) in texts.enumerated() {
                #expect(
                    a[place] == b[place] && b[place] == c[place],
                    "\(kind) `\(text)`: \(a[place]) \(b[place]) \(c[place])")
            }
        }
        #expect(
            json(
                quoted(["nan", "+5", ".5", "5.", " 4 ", "", "1e400", "x", "007"]), kind: .number,
                acceptText: true)
                == [
                    .none(.nonFinite), .number(5), .number(0.5), .number(5), .number(4),
                    .none(.null),
                    .none(.nonFinite), .none(.wrongType), .number(7),
                ])
        #expect(json(quoted(["5"]), kind: .number) == [.none(.wrongType)])
    }

    @Test func `equal numbers are one value of a category`() {
        let tokens = [
            "5", "5.0", "5.00", "5e0", "50e-1", "0.5e1", "-0", "0", "0.0", "2.5", "2.50", "25e-1",
            "1e3", "12345678901234567890123", "-7.0", "1e400", "true", "\"5.0\"",
        ]
        let want = [
            "5", "5", "5", "5", "5", "5", "0", "0", "0", "2.5", "2.5", "2.5", "1000",
            "12345678901234567890123", "-7",
        ]
        let got = json(tokens, kind: .category)
        for (place, text) in want.enumerated() {
            #expect(got[place] == .text(text), "\(tokens[place])")
        }
        #expect(Array(got[15...]) == [.none(.wrongType), .text("true"), .text("5.0")])
    }

    @Test func `of equal keys the last one counts, with what is in it and nothing else`() {
        let path: [Field.Step] = [.key("o"), .key("p")]
        let records = [
            #"{"o":{"p":1},"o":{"p":2}}"#, #"{"o":{"p":1},"o":{}}"#, #"{"o":{"p":1},"o":{"q":3}}"#,
            #"{"o":{"p":1},"o":5}"#, #"{"o":{"p":1},"o":null}"#, #"{"o":7,"o":{"p":2}}"#,
            #"{"o":{"p":1,"p":2}}"#, #"{"o":{"p":null},"o":{"x":1}}"#,
            #"{"o":{"p":"a"},"o":{"p":4}}"#,
        ]
        // Often enough for layouts to be learned.
        let many = (0..<40).flatMap { _ in records }
        let want: [Read] = [
            .number(2), .none(.missing), .none(.missing), .none(.wrongType), .none(.null),
            .number(2),
            .number(2), .none(.missing), .number(4),
        ]
        #expect(read(many, Field(kind: .number, path: path)) == (0..<40).flatMap { _ in want })
        let inArray = [#"{"v":[1,2],"v":[3]}"#, #"{"v":[3],"v":[1,2]}"#]
        #expect(
            read(inArray, Field(kind: .number, path: [.key("v"), .index(1)]))
                == [.none(.missing), .number(2)])
    }

    @Test func `a byte order mark before a record is passed over`() {
        #expect(
            read(["\u{feff}{\"t\":1}", "{\"t\":2}"], Field(kind: .number, path: [.key("t")]))
                == [.number(1), .number(2)])
    }
}

@Suite struct FaultDetailTests {
    private func detail(_ bytes: [UInt8], _ verdict: DecodeVerdict, _ format: RecordFormat = .json)
        -> String
    {
        unsafe bytes.withUnsafeBytes {
            unsafe faultDetail($0, verdict: verdict, format: format)
        }
    }

    @Test func `details name what stands in the record`() {
        let cases: [([UInt8], DecodeVerdict, String)] = [
            ([0, 0, 0, 1, 2] + Array("{}".utf8), .syntax, "id (258)"),
            ([0, 0, 0, 0, 9, 0x02, 0x06, 0x61], .syntax, "frame of a schema registry"),
            (
                Array("{\"a\":1}".utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }), .syntax,
                "UTF-16"
            ),
            (
                Array("{\"a\":1}".utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }), .syntax,
                "UTF-16"
            ),
            ([0xff, 0xfe, 0x7b, 0], .notUTF8, "UTF-16"),
            ([0x1f, 0x8b, 8, 0, 0], .notUTF8, "gzip"),
            (Array("[{\"a\":1}]".utf8), .notAnObject, "array"),
            (Array("\"{\\\"a\\\":1}\"".utf8), .notAnObject, "encoded twice"),
            (Array("{\"a\":[1,2,],\"b\":1}".utf8), .badToken, "comma stands before"),
            (Array("{\"a\":1, \n}".utf8), .syntax, "comma stands before"),
            (Array("{".utf8), .truncated, "several lines"),
            (Array("  \"ts\": 17,".utf8), .syntax, "several lines"),
            (Array("},".utf8), .syntax, "several lines"),
            (Array("{'a': 1}".utf8), .syntax, "Python"),
            (Array("1700000000000,m,3".utf8), .syntax, "decode: csv"),
        ]
        for (bytes, verdict, words) in cases {
            let text = detail(bytes, verdict)
            #expect(text.contains(words), "\(String(decoding: bytes, as: UTF8.self)): \(text)")
        }
        #expect(
            detail(Array("1,2,3".utf8), .tooManyFields, .csv(columns: ["a", "b"], separator: 0x2c))
                == "there are 3 fields for 2 columns")
        // Commas in texts are none.
        #expect(!detail(Array("{\"a\":\",}\" 1}".utf8), .syntax).contains("comma stands"))
    }

    @Test
    func `a time that can't be read says what came, what was expected and what would read it`() {
        func detail(_ token: String, _ kind: FieldKind) -> String {
            timeFaultDetail(name: "ts", token: Array(token.utf8), kind: kind)
        }
        #expect(
            detail("\"15.01.2024\"", .timeText)
                == "ts is the text `15.01.2024`, expected ISO 8601 like 2024-01-15T10:00:00Z (time_text)"
        )
        #expect(detail("1705312800", .timeText).hasSuffix("`time_s` reads this"))
        #expect(detail("\"1705312800000\"", .timeText).hasSuffix("`time_ms` reads this"))
        #expect(detail("\"2024-01-15T10:00\"", .timeMs).hasSuffix("`time_text` reads this"))
        #expect(detail("true", .timeMs).hasPrefix("ts is the boolean true"))
        #expect(detail("{\"$date\":1}", .timeMs).hasPrefix("ts is an object"))
        #expect(detail("\"a\u{1b}[31mb\"", .timeMs).contains("a\\u001b[31mb"))
    }
}
