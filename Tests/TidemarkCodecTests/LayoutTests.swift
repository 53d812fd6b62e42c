import Glibc
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkKernels
import TidemarkTestSupport
import TidemarkText

/// What the decoders of a comparison read: every kind, a path in an object and one in an array, two
/// columns at one place, texts that mean null.
private let fields = [
    Field(kind: .number, path: [.key("x")]),
    Field(kind: .number, path: [.key("y")], acceptText: true, nullValues: ["-1", "NA"]),
    Field(kind: .integer, path: [.key("n")]),
    Field(kind: .category, path: [.key("s")], nullValues: ["none", "true", "7"]),
    Field(kind: .category, path: [.key("longer_name_of_a_category_column_here")]),
    Field(kind: .text, path: [.key("s")]),
    Field(kind: .boolean, path: [.key("b")]),
    Field(kind: .timeMs, path: [.key("ts")]),
    Field(kind: .timeUs, path: [.key("us")]),
    Field(kind: .timeText, path: [.key("when")]),
    Field(kind: .number, path: [.key("o"), .key("p")]),
    Field(kind: .category, path: [.key("o"), .key("q"), .key("r")]),
    Field(kind: .number, path: [.key("v"), .index(1)]),
    Field(kind: .timeMs, path: [.key("tq")]),
    Field(kind: .timeNs, path: [.key("nq")]),
    Field(kind: .integer, path: [.key("iq")], acceptText: true, nullValues: ["7"]),
]

/// Records of a few forms, with values of all sorts, some of them damaged.
private struct Generator {
    var random: SeededRandom
    private var forms: [Form] = []

    /// A record with places for values; byte arrays between them.
    private struct Form {
        var literals: [[UInt8]]
        var values: [Character]
    }

    init(_ seed: UInt64) {
        random = SeededRandom(seed)
        for _ in 0..<3 { forms.append(form()) }
    }

    // "f" a number, "i" an integer, "s" a text, "b" a boolean, "m" ms, "w" RFC 3339, "e" nothing.
    private mutating func form() -> Form {
        var keys: [(String, String)] = [
            ("x", "f"), ("y", "f"), ("n", "i"), ("s", "s"),
            ("longer_name_of_a_category_column_here", "s"), ("b", "b"), ("ts", "m"), ("us", "m"),
            ("when", "w"), ("o", "{p:f,q:{r:s,z:s},e:e}"), ("v", "[f,f,s]"), ("id", "s"),
            ("unread", "f"), ("más", "s"), ("tags", "[e]"),
            ("a key that nobody wants and that is longer than one compare", "i"),
            ("deep", "{a:[{b:f},{c:s}]}"), ("tq", "q"), ("nq", "q"), ("iq", "j"),
        ]
        keys.shuffle(using: &random)
        keys.removeLast(random.below(8))
        let (comma, colon) = [(",", ":"), (", ", ": "), (",\n\t", ":"), (" , ", " : ")][
            random.below(4)
        ]
        var text = "{" + (random.chance(0.1) ? " " : "")
        var literals: [[UInt8]] = []
        var values: [Character] = []
        func value(_ shape: inout Substring) {
            switch shape.removeFirst() {
            case "{":
                text += "{"
                while let next = shape.first, next != "}" {
                    if next == "," {
                        shape.removeFirst()
                        text += comma
                    }
                    let end = shape.firstIndex(of: ":") ?? shape.startIndex
                    text += "\"\(shape[..<end])\"" + colon
                    shape = shape[shape.index(after: end)...]
                    value(&shape)
                }
                shape.removeFirst()
                text += "}"
            case "[":
                text += "["
                while let next = shape.first, next != "]" {
                    if next == "," {
                        shape.removeFirst()
                        text += comma
                    }
                    value(&shape)
                }
                shape.removeFirst()
                text += "]"
            case "e": break
            case let kind:
                literals.append(Array(text.utf8))
                text = ""
                values.append(kind)
            }
        }
        for (place, (key, shape)) in keys.enumerated() {
            text += (place > 0 ? comma : "") + "\"\(key)\"" + colon
            // `e:e` is an empty object: the only thing that is no value.
            var rest = Substring(shape.replacing("e:e", with: "e:{}"))
            value(&rest)
        }
        text += ["}", " }", "}\r", "} "][random.chance(0.7) ? 0 : random.below(4)]
        literals.append(Array(text.utf8))
        return Form(literals: literals, values: values)
    }

    private mutating func digits(_ count: Int, into text: inout [UInt8]) {
        for _ in 0..<count { text.append(0x30 + UInt8(random.below(10))) }
    }

    private mutating func number(into text: inout [UInt8]) {
        if random.chance(0.3) { text.append(0x2d) }
        let whole = random.chance(0.8) ? random.below(4) : random.below(22)
        if whole == 0 {
            text.append(0x30)
        } else {
            text.append(0x31 + UInt8(random.below(9)))
            digits(whole - 1, into: &text)
        }
        if random.chance(0.8) {
            text.append(0x2e)
            if random.chance(0.1) {
                text.append(contentsOf: repeatElement(0x30, count: random.below(8)))
            }
            digits(1 + (random.chance(0.7) ? random.below(7) : random.below(24)), into: &text)
        }
        if random.chance(0.03) {
            text.append(random.chance(0.5) ? 0x65 : 0x45)
            if random.chance(0.5) { text.append(random.chance(0.5) ? 0x2b : 0x2d) }
            digits(random.chance(0.1) ? 3 : 1, into: &text)
        }
    }

    private mutating func value(_ kind: Character, into text: inout [UInt8]) {
        if random.chance(0.005) {
            let odd = [
                "null", "true", "false", "NaN", "-Infinity", "\"NA\"", "{}", "[]", "[1,2]", "01",
                "-",
                ".5", "5.", "1e", "nul", "\"\"", "\"a\\\"b\"", "\"\\u00e9\"", "-0", "-0.0", "1e400",
                "\"1700000000000.9\"", "1700000000000.99999", "5.0", "1e2", "\" 5\"", "\"nan\"",
                "\"+5\"",
                "\"0\"", "\"null\"", "\"2024-05-01 12:00:00\"", "\"2024-05-01\"",
                "\"true\"", "\"5\"", "abc", "1 2", "\"x\"y\"", "\"1\"", "0x1", "{\"k\":1}", "7",
                "-1",
            ]
            text.append(contentsOf: odd[random.below(odd.count)].utf8)
            return
        }
        if random.chance(0.02) {
            text.append(contentsOf: "null".utf8)
            return
        }
        switch kind {
        case "f": number(into: &text)
        case "i":
            if random.chance(0.3) { text.append(0x2d) }
            text.append(0x31 + UInt8(random.below(9)))
            digits(random.chance(0.95) ? random.below(5) : random.below(22), into: &text)
        case "s":
            text.append(0x22)
            let pool = [
                "", "plan-", "city, \u{e9}toile-", "{[:", "a text beyond sixteen bytes ", "日本",
            ]
            text.append(contentsOf: pool[random.chance(0.6) ? 1 : random.below(pool.count)].utf8)
            digits(random.below(3), into: &text)
            text.append(0x22)
        case "q":
            text.append(contentsOf: "\"17".utf8)
            digits(11 + random.below(3), into: &text)
            text.append(0x22)
        case "j":
            text.append(0x22)
            text.append(0x31 + UInt8(random.below(9)))
            digits(random.below(4), into: &text)
            text.append(0x22)
        case "b": text.append(contentsOf: (random.chance(0.5) ? "true" : "false").utf8)
        case "m":
            text.append(contentsOf: "17".utf8)
            digits(11 + random.below(4), into: &text)
            if random.chance(0.01) { text.append(contentsOf: ".25".utf8) }
        default:
            text.append(
                contentsOf: "\"2024-05-0\(1 + random.below(9))T12:00:0\(random.below(10))Z\"".utf8
            )
        }
    }

    mutating func record() -> [UInt8] {
        let place = random.chance(0.8) ? 0 : random.below(forms.count)
        if random.chance(0.0002) { forms[0] = form() }
        let form = forms[place]
        var bytes: [UInt8] = []
        for (index, kind) in form.values.enumerated() {
            bytes.append(contentsOf: form.literals[index])
            value(kind, into: &bytes)
        }
        bytes.append(contentsOf: form.literals[form.values.count])
        if random.chance(0.02) {
            // A key that comes again: the last one wins.
            var field = Array("\"\(["x", "s", "ts", "id"][random.below(4)])\":".utf8)
            value(["f", "s", "m"][random.below(3)], into: &field)
            bytes.insert(contentsOf: field + [0x2c], at: 1)
        }
        if random.chance(0.1) { damage(&bytes) }
        return bytes
    }

    private mutating func damage(_ bytes: inout [UInt8]) {
        if random.chance(0.1) {
            bytes.removeLast(random.below(bytes.count))
            return
        }
        let alphabet =
            Array("{}[]:,,\"\"\\0123456789.eE+-tfnul \n\t\u{1}|\u{7f}é".utf8) + [
                0xff, 0xc3, 0xed, 0xa0,
            ]
        for _ in 0...random.below(3) where !bytes.isEmpty {
            let at = random.below(bytes.count)
            switch random.below(4) {
            case 0: bytes[at] = alphabet[random.below(alphabet.count)]
            case 1: bytes.insert(alphabet[random.below(alphabet.count)], at: at)
            case 2: bytes.remove(at: at)
            default:
                // A part of the record once more: repeated keys, swapped fields, doubled quotes.
                let end = min(bytes.count, at + 1 + random.below(24))
                bytes.insert(contentsOf: Array(bytes[at..<end]), at: random.below(bytes.count))
            }
        }
    }
}

/// Everything that a decoder says of a batch, in a form that can be compared: codes as their texts.
private func contents(_ decoder: RecordDecoder, rowCount: Int) -> [[UInt64]] {
    var all: [[UInt64]] = [(0..<rowCount).map { UInt64(unsafe decoder.frame.verdicts[$0]) }]
    for (index, column) in decoder.frame.columns.enumerated() {
        var values = [UInt64](repeating: 0, count: rowCount)
        for row in 0..<rowCount where unsafe decoder.frame.verdicts[row] == 0 {
            if let numbers = unsafe column.numbers {
                let number = unsafe numbers[row]
                values[row] = number.isNaN ? .max : number.bitPattern
            } else if let times = unsafe column.times {
                values[row] = UInt64(bitPattern: unsafe times[row])
            } else if let codes = unsafe column.codes {
                let code = unsafe codes[row]
                guard code != .max else {
                    values[row] = .max
                    continue
                }
                let text = unsafe decoder.frame.text(index, code: code)
                // Any hash will do: equal texts have equal ones.
                var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(text.count)
                for place in 0..<text.count {
                    hash = (hash ^ UInt64(unsafe text[place])) &* 0x100_0000_01b3
                }
                values[row] = hash
            }
        }
        all.append(values)
        all.append(
            (0..<column.exceptionCount).map {
                unsafe UInt64(column.exceptionRows[$0]) << 8 | UInt64(column.exceptionStates[$0])
            }
        )
    }
    return all
}

private let isLong = unsafe getenv("TIDEMARK_LONG") != nil

@Suite struct LayoutTests {
    /// The walk is the contract: it has tests of its own against strtod and a whole parser.
    @Test(arguments: 0..<(isLong ? UInt64(200) : 12))
    func `a row that is read by a layout is read as the walk reads it`(seed: UInt64) {
        var generator = Generator(seed)
        let walk = RecordDecoder(fields: fields, rowCountMax: 4096, speculates: false)
        let readers = InstructionTier.allCases.map {
            RecordDecoder(fields: fields, rowCountMax: 4096, speculates: true, tier: $0)
        }
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 4 << 20)
        for turn in 0..<(isLong ? 14 : 2) {
            batch.clear()
            // Small batches too: a record may lie at the very beginning of the arena.
            let count = turn == 0 ? 100 : 4096
            var records: [[UInt8]] = []
            for row in 0..<count {
                records.append(generator.record())
                unsafe records[row].withUnsafeBytes { bytes in
                    unsafe batch.append(
                        partition: 0,
                        offset: Int64(row),
                        recordTimeMs: 0,
                        key: nil,
                        value: bytes
                    )
                }
            }
            walk.decode(batch)
            let want = contents(walk, rowCount: count)
            for (tier, reader) in zip(InstructionTier.allCases, readers) {
                reader.decode(batch)
                let got = contents(reader, rowCount: count)
                guard got != want else { continue }
                // Lists: verdicts; then of each column values by row, and rows without a value.
                let list = got.indices.first { got[$0] != want[$0] } ?? 0
                let place =
                    zip(got[list], want[list]).enumerated().first { $0.element.0 != $0.element.1 }?
                    .offset ?? 0
                let row = list > 0 && list % 2 == 0 ? Int((want[list] + [0])[place] >> 8) : place
                Issue.record(
                    """
                    seed \(seed), turn \(turn), \(tier.name): list \(list), place \(place): \
                    \(got[list].dropFirst(place).first ?? 0) for \(want[list].dropFirst(place).first ?? 0) in \
                    \(String(decoding: records[row], as: UTF8.self))
                    """
                )
                return
            }
        }
        for (tier, reader) in zip(InstructionTier.allCases, readers) {
            // If hardly a row took the way that is tested here, this test says nothing.
            #expect(
                reader.rowCounts.byLayout > reader.rowCounts.walked / 8,
                "seed \(seed), \(tier.name): \(reader.rowCounts)"
            )
        }
    }

    @Test(arguments: InstructionTier.allCases)
    func `numbers that are read by a layout are those of strtod`(tier: InstructionTier) {
        let decoder = RecordDecoder(
            fields: [Field(kind: .number, path: [.key("x")])],
            rowCountMax: 4096,
            speculates: true, tier: tier
        )
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 20)
        for seed in 0..<(isLong ? UInt64(500) : 20) {
            var random = SeededRandom(seed)
            batch.clear()
            var texts: [String] = []
            for row in 0..<4096 {
                func digits(_ count: Int) -> String {
                    String((0..<count).map { _ in Character("\(random.below(10))") })
                }
                var text: String
                switch random.below(4) {
                case 0:
                    // As Python writes a double: the shortest text that is read back as it.
                    text = "\(Double.random(in: -1000...1000, using: &random))"
                case 1:
                    // Near the middle of two doubles: all 19 digits of the exact value.
                    let whole = UInt64.random(in: (1 << 53)..<(1 << 63), using: &random) | 1
                    text = "\(whole)"
                    let point = random.below(text.count)
                    if point > 0 {
                        text.insert(".", at: text.index(text.startIndex, offsetBy: point))
                    }
                default:
                    text = random.chance(0.3) ? "-" : ""
                    let whole = random.below(12)
                    text += whole == 0 ? "0" : "\(1 + random.below(9))" + digits(whole - 1)
                    if random.chance(0.9) { text += "." + digits(1 + random.below(21)) }
                }
                texts.append(text)
                let record = Array("{\"id\":\"row-\(row)\",\"x\":\(text)}".utf8)
                unsafe record.withUnsafeBytes { bytes in
                    unsafe batch.append(
                        partition: 0,
                        offset: Int64(row),
                        recordTimeMs: 0,
                        key: nil,
                        value: bytes
                    )
                }
            }
            decoder.decode(batch)
            for (row, text) in texts.enumerated() {
                let want = unsafe strtod(text, nil)
                let got = unsafe decoder.frame.columns[0].numbers?[row] ?? .nan
                #expect(got.bitPattern == want.bitPattern, "seed \(seed): \(text)")
            }
        }
        #expect(decoder.rowCounts.walked < 100, "\(decoder.rowCounts)")
    }

    @Test
    func `several forms are read by their layouts, and records without a form cost no layouts`() {
        let decoder = RecordDecoder(fields: fields, rowCountMax: 4096)
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 20)
        func decode(_ record: (Int) -> String) -> (byLayout: UInt64, walked: UInt64) {
            let before = decoder.rowCounts
            batch.clear()
            for row in 0..<4096 {
                let bytes = Array(record(row).utf8)
                unsafe bytes.withUnsafeBytes { bytes in
                    unsafe batch.append(
                        partition: 0,
                        offset: Int64(row),
                        recordTimeMs: 0,
                        key: nil,
                        value: bytes
                    )
                }
            }
            decoder.decode(batch)
            let after = decoder.rowCounts
            return (after.byLayout - before.byLayout, after.walked - before.walked)
        }
        let four = decode { row in
            [
                "{\"x\":\(row),\"s\":\"a\"}", "{\"s\":\"b\",\"x\":\(row)}",
                "{\"x\": \(row), \"s\": \"c\", \"new\": [1, 2]}",
                "{\"o\":{\"p\":\(row)},\"tags\":[]}",
            ][row % 4]
        }
        #expect(four.byLayout > 3_900, "\(four)")
        // An unread field that is now a text, now null, is one form.
        let mixed = decode { row in "{\"x\":\(row),\"id\":\(row % 3 == 0 ? "null" : "\"i\(row)\"")}"
        }
        #expect(mixed.byLayout > 4_000, "\(mixed)")
        var random = SeededRandom(1)
        let shuffled = decode { row in
            var keys = ["x", "y", "n", "a", "b", "c", "d", "e"]
            keys.shuffle(using: &random)
            return "{" + keys.map { "\"\($0)\":\(row)" }.joined(separator: ",") + "}"
        }
        #expect(shuffled.walked > 4_000, "\(shuffled)")
        let again = decode { _ in "{\"x\":1,\"s\":\"a\"}" }
        #expect(again.byLayout + again.walked == 4_096)
    }
}
