import Glibc
import Testing
import TidemarkOperators
import TidemarkRecords
import TidemarkText

/// What the documentation says of records comes from their tables of fields.
///
/// `ops/documents` writes it anew: it runs these tests with `TIDEMARK_WRITE=1`.
@Suite(.serialized)
struct DocumentTests {
    @Test func `the schema of aggregates is that of the table`() throws {
        try check(
            "docs/schemas/aggregate.schema.json",
            FieldFacts.schema(
                title: "A record of the aggregates topic: a (window, group, column)",
                AggregateRecord.facts(parts: partFields)
            ).pretty() + "\n")
    }

    @Test func `the schema of alerts is that of the table`() throws {
        try check(
            "docs/schemas/alert.schema.json",
            FieldFacts.schema(
                title: "The value of a record of the alerts topic: a CloudEvent's data",
                AlertRecord.facts()
            ).pretty() + "\n")
    }

    @Test(arguments: [
        ("aggregate", FieldFacts.table(AggregateRecord.facts(parts: partFields))),
        ("alert", FieldFacts.table(AlertRecord.facts())),
        ("alert headers", FieldFacts.headerTable(AlertHeaders.headerFacts())),
        ("sketch headers", FieldFacts.headerTable(SketchRecord.headerFacts())),
        ("letter headers", FieldFacts.headerTable(LetterRecord.headerFacts())),
    ])
    func `the tables of docs/records.md are those of the records`(
        name: String, table: String
    ) throws {
        let path = "docs/records.md"
        let document = try String(decoding: #require(read(path)), as: UTF8.self)
        let begin = "<!-- fields of \(name): written by ops/documents -->\n\n"
        let end = "\n<!-- end -->\n"
        let parts = document.split(
            separator: begin, maxSplits: 1, omittingEmptySubsequences: false)
        try #require(parts.count == 2, "\(path) has no place for the table of \(name)")
        let rest = parts[1].split(separator: end, maxSplits: 1, omittingEmptySubsequences: false)
        try #require(rest.count == 2, "the table of \(name) has no end in \(path)")
        try check(path, "\(parts[0])\(begin)\(table)\(end)\(rest[1])")
    }

    /// Holds a file to its text, or writes it.
    private func check(_ path: String, _ text: String) throws {
        if unsafe getenv("TIDEMARK_WRITE") != nil {
            try write(path, Array(text.utf8))
        } else {
            let found = try String(decoding: #require(read(path)), as: UTF8.self)
            let isSame = found == text
            #expect(isSame, "\(path) is not what the tables of fields say: ops/documents")
        }
    }

    /// The path of a file of the repository, of which this one is a file.
    private func absolute(_ path: String) -> String {
        #filePath.split(separator: "/Tests/TidemarkRecordsTests/")[0] + "/" + path
    }

    private func read(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(absolute(path), "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    private func write(_ path: String, _ bytes: [UInt8]) throws {
        let file = unsafe try #require(fopen(absolute(path), "w"))
        #expect(unsafe fwrite(bytes, 1, bytes.count, file) == bytes.count)
        unsafe fclose(file)
    }
}
