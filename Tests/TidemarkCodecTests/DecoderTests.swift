import Glibc
import Testing
import TidemarkBatch
import TidemarkCodec
import TidemarkTestSupport
import TidemarkText

/// Decodes some payloads with a decoder, as one batch.
private func batch(_ payloads: [[UInt8]]) -> RecordBatch {
    let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 16)
    for (row, payload) in payloads.enumerated() {
        unsafe payload.withUnsafeBytes { bytes in
            unsafe batch.append(
                partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
        }
    }
    return batch
}

private func verdict(_ decoder: RecordDecoder, _ row: Int) -> DecodeVerdict? {
    DecodeVerdict(rawValue: unsafe decoder.frame.verdicts[row])
}

private func number(_ decoder: RecordDecoder, _ column: Int, _ row: Int) -> Double? {
    unsafe decoder.frame.columns[column].numbers.map { unsafe $0[row] }
}

@Suite struct DecoderTests {
    @Test(arguments: 0..<UInt64(20))
    func `numbers of 1 to 25 digits, with and without exponents, are those of strtod`(
        seed: UInt64
    ) {
        var random = SeededRandom(seed)
        let decoder = RecordDecoder(
            fields: [Field(kind: .number, path: [.key("x")])], rowCountMax: 4096)
        for _ in 0..<3 {
            var texts: [String] = []
            for _ in 0..<4096 {
                func digits(_ count: Int) -> String {
                    String((0..<count).map { _ in Character("\(random.below(10))") })
                }
                var text = random.chance(0.3) ? "-" : ""
                let whole = random.below(14)
                text += whole == 0 ? "0" : "\(1 + random.below(9))" + digits(whole - 1)
                if random.chance(0.7) { text += "." + digits(1 + random.below(12)) }
                if random.chance(0.2) {
                    text += (random.chance(0.5) ? "e" : "E") + ["", "+", "-"][random.below(3)]
                    text += "\(random.below(300))"
                }
                texts.append(text)
            }
            let rows = batch(texts.map { Array("{\"x\":\($0)}".utf8) })
            decoder.decode(rows)
            for (row, text) in texts.enumerated() {
                let want = unsafe strtod(text, nil)
                let got = number(decoder, 0, row) ?? .nan
                if want.isFinite {
                    #expect(got.bitPattern == want.bitPattern, "seed \(seed): \(text)")
                } else {
                    #expect(got.isNaN, "seed \(seed): \(text)")
                }
            }
        }
    }

    @Test func `no prefix of a record is a row`() {
        let text = #"{"a":{"b":[1,{"c":"x\"}"}]},"x":-1.5,"s":"té\u0041","ts":1700000000000}"#
        let bytes = Array(text.utf8)
        let decoder = RecordDecoder(
            fields: [
                Field(kind: .number, path: [.key("x")]), Field(kind: .category, path: [.key("s")]),
                Field(kind: .category, path: [.key("a"), .key("b"), .index(1), .key("c")]),
                Field(kind: .timeMs, path: [.key("ts")]),
            ], rowCountMax: 4096)
        decoder.decode(batch((0...bytes.count).map { Array(bytes[..<$0]) }))
        for row in 0..<bytes.count { #expect(verdict(decoder, row) != .row, "\(row) bytes") }
        #expect(verdict(decoder, bytes.count) == .row)
        #expect(number(decoder, 0, bytes.count) == -1.5)
        let code = unsafe decoder.frame.columns[1].codes?[bytes.count] ?? .max
        #expect(unsafe String(decoding: decoder.frame.text(1, code: code), as: UTF8.self) == "téA")
        let nested = unsafe decoder.frame.columns[2].codes?[bytes.count] ?? .max
        #expect(
            unsafe String(decoding: decoder.frame.text(2, code: nested), as: UTF8.self) == "x\"}")
    }

    @Test(arguments: 0..<UInt64(10))
    func `mutated records never trap, and what a whole parser refuses in a wanted value is no row`(
        seed: UInt64
    ) {
        var random = SeededRandom(seed)
        let decoder = RecordDecoder(
            fields: [
                Field(kind: .number, path: [.key("x")]), Field(kind: .category, path: [.key("s")]),
                Field(kind: .timeText, path: [.key("t")]), Field(kind: .boolean, path: [.key("b")]),
            ], rowCountMax: 4096)
        let base = Array(#"{"x":12.25,"s":"plan-1","t":"2024-05-01T12:00:00.5Z","b":true}"#.utf8)
        let alphabet = Array("{}[]:,\"\\0123456789.eE+-tfnul \u{1}é".utf8)
        var payloads: [[UInt8]] = []
        for _ in 0..<4096 {
            var copy = base
            for _ in 0...random.below(3) {
                let at = random.below(copy.count)
                switch random.below(3) {
                case 0: copy[at] = alphabet[random.below(alphabet.count)]
                case 1: copy.insert(alphabet[random.below(alphabet.count)], at: at)
                default: copy.remove(at: at)
                }
            }
            payloads.append(copy)
        }
        decoder.decode(batch(payloads))
        var rows = 0
        for (row, payload) in payloads.enumerated() where verdict(decoder, row) == .row {
            rows += 1
            // All four values are wanted and checked strictly, so a row is JSON, unless a key was
            // hit and its value is no longer wanted.
            guard let json = try? JSONValue(parsing: payload) else {
                let text = String(decoding: payload, as: UTF8.self)
                let hasOddity =
                    text.contains("NaN") || !text.contains("\"x\":") || !text.contains("\"s\":")
                    || !text.contains("\"t\":") || !text.contains("\"b\":")
                #expect(hasOddity, "seed \(seed): \(text)")
                continue
            }
            if let want = json["x"]?.asNumber {
                #expect(number(decoder, 0, row) == want, "seed \(seed): \(payload)")
            }
        }
        #expect(rows > 0)
    }

    @Test func `a dictionary keeps what is marked and forgets the rest`() {
        let decoder = RecordDecoder(
            fields: [Field(kind: .category, path: [.key("s")])], rowCountMax: 4096)
        decoder.decode(
            batch((0..<1000).map { Array("{\"s\":\"value-\($0)-long-enough-to-spill\"}".utf8) }))
        #expect(decoder.frame.textCount(0) == 1000)
        let remap =
            decoder.frame.dictionaries[0]?
            .compact(keeping: (0..<1000).map { $0 % 10 == 0 ? 1 : 0 }) ?? []
        #expect(decoder.frame.textCount(0) == 100)
        for code in 0..<1000 {
            #expect((remap[code] == .max) == (code % 10 != 0))
            if code % 10 == 0 {
                let text = unsafe String(
                    decoding: decoder.frame.text(0, code: remap[code]), as: UTF8.self)
                #expect(text == "value-\(code)-long-enough-to-spill")
            }
        }
    }
}
