import CZlib
import CZstd
import Glibc
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkTestSupport

private func temporary(_ bytes: [UInt8]) -> String {
    let letters = String(repeating: "X", count: 6)
    var template = Array("/tmp/tidemark-test-\(letters)".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else { break }
        rest = rest.dropFirst(count)
    }
    close(descriptor)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// All records of a file, and the line that each begins on.
private func records(
    _ bytes: [UInt8], _ encoding: RecordEncoding = .json, recordByteCountMax: Int = 16 << 20,
    peeks: Bool = false, rowCountMax: Int = 4096
) throws(ConnectorError) -> [(value: [UInt8], line: Int64)] {
    let path = temporary(bytes)
    defer { unsafe unlink(path) }
    let source = try FileSource(
        path: path, topic: "t", recordByteCountMax: recordByteCountMax, clock: .file,
        encoding: encoding)
    if peeks { _ = try source.firstRecord { false } }
    let reader = try source.open([
        [PartitionStart(slot: 0, partition: TopicPartition(topic: "t", partition: 0), offset: 0)]
    ])[0]
    let batch = RecordBatch(recordCountMax: rowCountMax, arenaCapacity: 1 << 16)
    var found: [(value: [UInt8], line: Int64)] = []
    while true {
        try reader.poll(into: batch, timeoutMs: 0)
        for row in 0..<batch.recordCount {
            #expect(unsafe batch.offset[row] == Int64(found.count))
            found.append(
                (unsafe batch.value(row).map { unsafe Array($0) } ?? [], unsafe batch.line[row]))
        }
        if batch.recordCount == 0, reader.isAtEnd(0) { return found }
    }
}

@Suite struct FileReadingTests {
    private let encoding = RecordEncoding.csv(columns: ["a", "b"], separator: 0x2c)

    @Test(arguments: 0..<UInt64(6))
    func `rows of CSV end where no quotes hold the line end, wherever blocks end`(seed: UInt64)
        throws
    {
        var random = SeededRandom(seed)
        let lineEnd = [["\n"], ["\r\n"], ["\r\r\n"]][random.below(3)][0]
        var text = seed % 2 == 0 ? "\u{feff}" : ""
        var wanted: [(value: String, line: Int64)] = []
        var line: Int64 = 1
        while text.utf8.count < 3 << 20 {
            let pool = [
                "plain", "\"a\nb\"", "\"\"", "\"say \"\"so\"\"\"", "\"\r\n\n\"", "5\" wide", "",
                "\"," + String(repeating: "x\n", count: random.below(40)) + "\"", "ünï",
                "\"a\"\"\n\"",
            ]
            let row = (0..<2).map { _ in pool[random.below(pool.count)] }.joined(separator: ",")
            wanted.append((row, line))
            line += Int64(row.utf8.count { $0 == 0x0a }) + 1
            text += row + lineEnd
        }
        text += "last,\"row\nof"
        // What nothing closes is a record by its line.
        let closed = seed % 3 == 0
        if closed { text += " it\"" }
        wanted.append((closed ? "last,\"row\nof it\"" : "last,\"row", line))
        if !closed { wanted.append(("of", line + 1)) }
        for peeks in [false, true] {
            let found = try records(
                Array(text.utf8), encoding, peeks: peeks, rowCountMax: peeks ? 4096 : 7)
            #expect(found.count == wanted.count, "seed \(seed)")
            for (a, b) in zip(found, wanted)
            where a.value != Array(b.value.utf8) || a.line != b.line {
                Issue.record(
                    "seed \(seed): line \(a.line) for \(b.line): \(String(decoding: a.value, as: UTF8.self)) for \(b.value)"
                )
                return
            }
        }
    }

    @Test func `a quote that nothing closes costs its line, not the rest of the file`() throws {
        var text = "1,\"open\n"
        for row in 0..<200_000 { text += "\(row),plain text\n" }
        let found = try records(Array(text.utf8), encoding)
        #expect(found.count == 200_001)
        #expect(found[0].value == Array("1,\"open".utf8))
        #expect(found[200_000].line == 200_001)
    }

    @Test func `a row that is longer than the limit is one record, and its neighbours are whole`()
        throws
    {
        let long = String(repeating: "y", count: 3 << 20)
        for row in ["1,\(long)", "\"\(long)\",2", "1,\"\(long)"] {
            let found = try records(
                Array("first,1\n\(row)\nlast,2\n".utf8), encoding, recordByteCountMax: 2048)
            #expect(found.count == 3)
            #expect(found.first?.value == Array("first,1".utf8))
            #expect(found.last?.value == Array("last,2".utf8))
        }
    }

    @Test func `a short limit of records never shows bytes that were not read`() throws {
        // The end of a block falls into a line that is longer than the limit, and shorter than what is kept.
        let filler = String(repeating: "z", count: 999) + "\n"
        var text = String(repeating: filler, count: 1048)
        text += String(repeating: "q", count: 4000) + "\n" + filler
        let found = try records(Array(text.utf8), recordByteCountMax: 1024)
        #expect(found.count == 1050)
        #expect(found.allSatisfy { $0.value.allSatisfy { $0 == 0x7a || $0 == 0x71 } })
    }

    // MARK: Packed files

    private func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = unsafe z_stream()
        unsafe deflateInit2_(
            &stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        var out = [UInt8](repeating: 0, count: bytes.count + 4096)
        var input = bytes
        let count = unsafe input.withUnsafeMutableBufferPointer { from in
            unsafe out.withUnsafeMutableBufferPointer { to in
                unsafe stream.next_in = from.baseAddress
                unsafe stream.avail_in = UInt32(from.count)
                unsafe stream.next_out = to.baseAddress
                unsafe stream.avail_out = UInt32(to.count)
                unsafe deflate(&stream, Z_FINISH)
                return to.count - Int(unsafe stream.avail_out)
            }
        }
        unsafe deflateEnd(&stream)
        return Array(out[..<count])
    }

    private func zstd(_ bytes: [UInt8]) -> [UInt8] {
        let context = unsafe ZSTD_createCCtx()
        defer { unsafe ZSTD_freeCCtx(context) }
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        var out = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let count = unsafe ZSTD_compress2(context, &out, out.count, bytes, bytes.count)
        return Array(out[..<count])
    }

    private func lines(_ seed: UInt64, byteCount: Int) -> [UInt8] {
        var random = SeededRandom(seed)
        var bytes: [UInt8] = []
        while bytes.count < byteCount {
            bytes += Array(
                "{\"x\":\(random.below(1_000_000)),\"s\":\"v\(random.below(9))\"}\n".utf8)
        }
        return bytes
    }

    @Test func `packed files are read as what they hold, in one part or several`() throws {
        let bytes = lines(3, byteCount: 3 << 20)
        let plain = try records(bytes).map(\.value)
        let cut = bytes.count / 3
        for pack in [gzip, zstd] {
            #expect(try records(pack(bytes)).map(\.value) == plain)
            let parts = pack(Array(bytes[..<cut])) + pack([]) + pack(Array(bytes[cut...]))
            #expect(try records(parts).map(\.value) == plain)
            #expect(try records(pack([])).isEmpty)
            #expect(try records(pack(bytes), peeks: true).map(\.value) == plain)
        }
        #expect(try records(gzip(bytes) + [0, 0, 0, 0]).map(\.value) == plain)
    }

    @Test func `packed files that are cut off or damaged end in an error`() {
        let bytes = lines(4, byteCount: 300_000)
        for pack in [gzip, zstd] {
            let packed = pack(bytes)
            for count in [packed.count - 1, packed.count / 2, 20, 8] {
                #expect(throws: ConnectorError.self, "\(count) bytes") {
                    try records(Array(packed[..<count]))
                }
            }
            var random = SeededRandom(9)
            for _ in 0..<20 {
                var copy = packed
                // The header holds a time and other things that nobody checks.
                copy[20 + random.below(copy.count - 20)] ^= UInt8(1 << random.below(8))
                #expect(throws: ConnectorError.self) { try records(copy) }
            }
            #expect(throws: ConnectorError.self) { try records(packed + Array("more".utf8)) }
        }
    }

    @Test func `files of other forms are named, not read as lines`() {
        for (bytes, name) in [
            ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz"), (Array("PAR1".utf8), "Parquet"),
            ([0x50, 0x4b, 0x03, 0x04], "zip"), (Array("Obj\u{1}".utf8), "Avro"),
        ] as [([UInt8], String)] {
            do throws(ConnectorError) {
                _ = try records(bytes + Array(repeating: 7, count: 100))
                Issue.record("\(name) was read")
            } catch {
                #expect(error.message.contains(name))
            }
        }
        // Letters that some of them begin with are letters.
        for text in ["P", "PK", "BZ", "O", "(", "PAR,1\n"] {
            #expect((try? records(Array(text.utf8)))?.count == 1, "\(text)")
        }
    }
}
