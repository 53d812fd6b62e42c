import Glibc
import Testing
import TidemarkText

@Suite struct ZoneRulesTests {
    @Test func `fixed offsets are read by name, and what is none is refused`() {
        for (name, seconds) in [
            ("UTC", 0), ("Z", 0), ("+01:00", 3600), ("-0330", -12_600), ("+5", 18_000),
            ("-11", -39_600),
        ] {
            #expect(ZoneRules(fixed: name)?.offsets == [Int32(seconds)], "\(name)")
        }
        for name in [
            "", "+", "+24", "+01:60", "+1:00", "01:00", "CET", "+01:00:00", "+0100x", "+01-00",
        ] {
            #expect(ZoneRules(fixed: name) == nil, "\(name)")
        }
    }

    @Test func `a damaged zone file is refused, never read beyond its end`() {
        guard let file = unsafe fopen("/usr/share/zoneinfo/Europe/Berlin", "r") else { return }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = unsafe fgetc(file), byte >= 0 { bytes.append(UInt8(byte)) }
        for count in stride(from: 0, to: bytes.count - 1, by: 7) {
            #expect(ZoneRules(name: "x", file: Array(bytes[..<count])) == nil, "\(count) bytes")
        }
        // Each byte of it, as one that says the past or the future of another age, too.
        for place in bytes.indices {
            for value: UInt8 in [0, 0x7f, 0x80, 0xff, bytes[place] ^ 1] {
                var copy = bytes
                copy[place] = value
                if let rules = ZoneRules(name: "x", file: copy) {
                    #expect(rules.localSeconds.count < 2500, "byte \(place) is \(value)")
                }
            }
        }
    }
}
