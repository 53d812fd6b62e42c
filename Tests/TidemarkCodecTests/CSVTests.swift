import Glibc
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkKernels
import TidemarkTestSupport
import TidemarkText

/// One of each kind, texts that mean null, and two columns of one field.
private let fields = [
    Field(kind: .number, path: [.key("x")]),
    Field(kind: .number, path: [.key("y")], nullValues: ["NA", "-999"]),
    Field(kind: .integer, path: [.key("n")]),
    Field(kind: .category, path: [.key("s")], nullValues: ["none"]),
    Field(kind: .text, path: [.key("s")]),
    Field(kind: .category, path: [.key("a longer name of a field")]),
    Field(kind: .boolean, path: [.key("b")]),
    Field(kind: .timeMs, path: [.key("ts")]),
    Field(kind: .timeText, path: [.key("when")]),
]
private let names = [
    "u", "x", "ts", "s", "y", "when", "n", "b", "a longer name of a field", "last",
]

/// What a value comes to: nil stands for a state other than `value`.
private enum Wanted: Equatable {
    case state(ValueState)
    case number(UInt64)
    case time(Int64)
    case text([UInt8])
}

/// RFC 4180, letter by letter.
private func naiveFields(_ bytes: [UInt8], _ separator: UInt8) -> [(text: [UInt8], quoted: Bool)]? {
    var rest = bytes[...]
    if rest.last == 0x0a { rest.removeLast() }
    while rest.last == 0x0d { rest.removeLast() }
    if rest.starts(with: [0xef, 0xbb, 0xbf]) { rest.removeFirst(3) }
    var found: [(text: [UInt8], quoted: Bool)] = []
    while true {
        var text: [UInt8] = []
        let quoted = rest.first == 0x22
        if quoted {
            rest.removeFirst()
            while true {
                guard let byte = rest.popFirst() else { return nil }
                if byte == 0x22 {
                    guard rest.first == 0x22 else { break }
                    rest.removeFirst()
                }
                text.append(byte)
            }
            if let next = rest.first, next != separator { return nil }
        } else {
            while let byte = rest.first, byte != separator {
                if byte == 0x22 { return nil }
                text.append(rest.removeFirst())
            }
        }
        found.append((text, quoted))
        guard rest.popFirst() != nil else { return found }
    }
}

/// `nil`: a time that was damaged; what it comes to then has tests of its own.
private func wanted(_ field: Field, _ raw: [UInt8], quoted: Bool) -> Wanted? {
    let isText = field.kind == .category || field.kind == .text
    var text = String(decoding: raw, as: UTF8.self)
    if !isText {
        while text.hasPrefix(" ") || text.hasPrefix("\t") { text.removeFirst() }
        while text.hasSuffix(" ") || text.hasSuffix("\t") { text.removeLast() }
    }
    if text.isEmpty, !(quoted && isText) { return .state(.null) }
    if field.nullValues.contains(text) { return .state(.null) }
    switch field.kind {
    case .number, .integer:
        let lower = text.lowercased()
        let body = lower.hasPrefix("+") || lower.hasPrefix("-") ? lower.dropFirst() : lower[...]
        if ["nan", "inf", "infinity"].contains(body) {
            return .state(.nonFinite)
        }
        guard body.wholeMatch(of: /(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?/) != nil else {
            return .state(.wrongType)
        }
        let value = unsafe strtod(text, nil)
        if !value.isFinite { return .state(field.kind == .number ? .nonFinite : .wrongType) }
        if field.kind == .integer, value != value.rounded() || value.magnitude >= 0x1p63 {
            return .state(.wrongType)
        }
        if field.nullValues.contains(where: { unsafe strtod($0, nil) == value && $0 != "NA" }) {
            return .state(.null)
        }
        return .number(value.bitPattern)
    case .boolean:
        if ["true", "True", "TRUE", "1"].contains(text) { return .text(Array("true".utf8)) }
        if ["false", "False", "FALSE", "0"].contains(text) { return .text(Array("false".utf8)) }
        return .state(.wrongType)
    case .timeMs:
        // The generator makes none below 0 with a fraction.
        let isNumber = text.wholeMatch(of: /-?(0|[1-9]\d*)(\.\d+)?/) != nil
        guard isNumber else { return .state(.wrongType) }
        let whole = text.split(separator: ".", omittingEmptySubsequences: false)
        return Int64(whole[0]).map { .time($0) } ?? .state(.wrongType)
    case .timeText:
        let known = ["2024-05-01T12:00:00Z", "2024-05-01 12:00", "2024-05-01T12:00:00.0004+00"]
        if known.contains(text) { return .time(1_714_564_800_000) }
        return text == "yesterday" ? .state(.wrongType) : nil
    default: return .text(raw)
    }
}

private func value(_ decoder: RecordDecoder, _ column: Int, _ row: Int) -> Wanted {
    let batch = decoder.frame.columns[column]
    for place in 0..<batch.exceptionCount where Int(unsafe batch.exceptionRows[place]) == row {
        return .state(ValueState(rawValue: unsafe batch.exceptionStates[place]) ?? .value)
    }
    if let numbers = unsafe batch.numbers { return .number(unsafe numbers[row].bitPattern) }
    if let times = unsafe batch.times { return .time(unsafe times[row]) }
    guard let codes = unsafe batch.codes else { return .state(.value) }
    return .text(unsafe Array(decoder.frame.text(column, code: codes[row])))
}

private struct Generator {
    var random: SeededRandom
    var separator: UInt8

    mutating func pick(_ list: [String]) -> String { list[random.below(list.count)] }

    mutating func field(_ name: String) -> String {
        switch name {
        case "x", "y":
            if random.chance(0.1) {
                return pick([
                    "", "NA", "-999", "-999.0", "nan", "-Inf", "1e400", "+3", ".5", "7.", "007",
                    " 4 ", "1e5", "x", "--1", "0x10", "1.2.3", "9007199254740993",
                    "0.1234567890123456789",
                ])
            }
            return "\(Double(random.below(2_000_000) - 1_000_000) / 1_000)"
        case "n":
            if random.chance(0.1) { return pick(["", "1.5", "12345678901234567890", "1e3", "a"]) }
            return "\(random.below(100_000) - 50_000)"
        case "ts":
            if random.chance(0.05) {
                return pick(["", "soon", "-5", "1700000000123.99999999", "99.5"])
            }
            return "\(1_700_000_000_000 + random.below(1_000_000))"
        case "when":
            return random.chance(0.1)
                ? pick(["", "yesterday", "2024-05-01 12:00", " 2024-05-01T12:00:00.0004+00 "])
                : "2024-05-01T12:00:00Z"
        case "b": return pick(["true", "false", "True", "0", "", "yes"])
        default:
            if random.chance(0.1) {
                return pick([
                    "", "none", "a,b", "say \"so\"", "ünïcode", "back\\slash", "two\nlines",
                    " pad ",
                    "a text that is longer than sixteen bytes",
                ])
            }
            return "v\(random.below(40))"
        }
    }

    mutating func row() -> [UInt8] {
        let quotesAll = random.chance(0.1)
        var parts = names.map { name -> String in
            let text = field(name)
            let needs = text.utf8.contains { $0 == separator || $0 == 0x22 || $0 == 0x0a }
            guard needs || quotesAll || random.chance(0.01) else { return text }
            return "\""
                + text.split(separator: "\"", omittingEmptySubsequences: false)
                .joined(separator: "\"\"") + "\""
        }
        if random.chance(0.02) { parts.removeLast(1 + random.below(4)) }
        if random.chance(0.01) { parts.append("more") }
        var bytes = Array(
            parts.joined(separator: String(UnicodeScalar(separator))).utf8)
        if random.chance(0.02) { bytes.append(0x0d) }
        if random.chance(0.01) { bytes = [0xef, 0xbb, 0xbf] + bytes }
        if random.chance(0.03), !bytes.isEmpty {
            let at = random.below(bytes.count)
            switch random.below(3) {
            case 0: bytes[at] = 0x22
            case 1: bytes.remove(at: at)
            default: bytes.insert([0x22, separator, 0xff, 0x20][random.below(4)], at: at)
            }
        }
        return bytes
    }
}

@Suite struct CSVTests {
    private static let batchCount = environment("TIDEMARK_LONG") == nil ? 3 : 60

    @Test(arguments: 0..<UInt64(16))
    func `rows are read by their commas as by the walk, and both as letter by letter`(
        seed: UInt64
    ) {
        let separator: UInt8 = seed % 4 == 3 ? 0x3b : 0x2c
        var generator = Generator(random: SeededRandom(seed), separator: separator)
        let format = RecordFormat.csv(columns: names, separator: separator)
        let walk = RecordDecoder(
            fields: fields, format: format, rowCountMax: 4096, speculates: false)
        let readers = [InstructionTier.scalar, .avx2, .avx512].map {
            RecordDecoder(
                fields: fields, format: format, rowCountMax: 4096, speculates: true, tier: $0)
        }
        var header = Array(names.joined(separator: String(UnicodeScalar(separator))).utf8)
        if seed % 2 == 1 { header.append(0x0d) }
        for number in 0..<Self.batchCount {
            var rows = (0..<4096).map { _ in generator.row() }
            rows[7 * number] = header
            let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 20)
            for (row, bytes) in rows.enumerated() {
                unsafe bytes.withUnsafeBytes { bytes in
                    unsafe batch.append(
                        partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
                }
            }
            for decoder in [walk] + readers { decoder.decode(batch) }
            for (row, bytes) in rows.enumerated() {
                let verdict = unsafe DecodeVerdict(rawValue: walk.frame.verdicts[row])
                for reader in readers {
                    #expect(
                        unsafe reader.frame.verdicts[row] == walk.frame.verdicts[row],
                        "seed \(seed) row \(row): \(String(decoding: bytes, as: UTF8.self))")
                }
                if row == 7 * number {
                    #expect(verdict == .tombstone)
                    continue
                }
                let isUTF8 = String(validating: bytes, as: UTF8.self) != nil
                let naive = naiveFields(bytes, separator)
                let isRow =
                    isUTF8 && !bytes.isEmpty && naive.map { $0.count <= names.count } ?? false
                #expect(
                    (verdict == .row) == isRow,
                    "seed \(seed): \(verdict as Any) \(String(decoding: bytes, as: UTF8.self))")
                guard verdict == .row, let naive else { continue }
                for (column, field) in fields.enumerated() {
                    guard case .key(let name)? = field.path.first,
                        let place = names.firstIndex(of: name)
                    else { continue }
                    let want =
                        place < naive.count
                        ? wanted(field, naive[place].text, quoted: naive[place].quoted)
                        : Wanted.state(.missing)
                    guard let want else { continue }
                    for decoder in [walk] + readers {
                        let got = value(decoder, column, row)
                        #expect(
                            got == want,
                            "seed \(seed) \(name): \(got), expected \(want): \(String(decoding: bytes, as: UTF8.self))"
                        )
                    }
                }
            }
        }
        if separator == 0x2c {
            for reader in readers {
                #expect(reader.rowCounts.byLayout > reader.rowCounts.walked / 4)
            }
        }
    }
}
