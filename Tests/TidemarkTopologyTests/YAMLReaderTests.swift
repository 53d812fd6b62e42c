import Testing
import TidemarkTopology

@Suite struct YAMLReaderTests {
    @Test func `bytes that are no text are found at their place`() {
        func first(_ bytes: [UInt8]) -> Diagnostic? {
            readYAML(bytes, file: "t.yaml").diagnostics.first
        }
        let broken = first(Array("a: b\nc: é".utf8) + [0xff])
        #expect(broken?.rule == "not-utf8")
        #expect(broken?.line == 2)
        #expect(broken?.column == 5)
        let control = first(Array("a: b\n\nc: x\u{1b}y".utf8))
        #expect(control?.rule == "control-character")
        #expect(control?.line == 3)
        #expect(control?.column == 5)
        #expect(first([])?.rule == "file-empty")
        #expect(first(Array("# only words\n".utf8))?.rule == "file-empty")
        #expect(first(Array(repeating: 0x20, count: (1 << 20) + 1))?.rule == "file-too-long")
        #expect(first(Array(repeating: 0x5b, count: 1 << 20))?.rule == "yaml-depth")
        let lines = String(repeating: "- a\n", count: 100_001)
        #expect(first(Array(lines.utf8))?.rule == "yaml-nodes")
    }
}
