import Foundation
import Testing
import TidemarkText

struct Base64Tests {
    @Test func `base64 is Foundation's, at every length and after every offset`() {
        var random = SystemRandomNumberGenerator()
        for count in 0...300 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let expected = Array(Data(bytes).base64EncodedData())
            #expect(base64(bytes) == expected, "\(bytes)")
            #expect(base64Decoded(expected) == bytes)
        }
        // Each group of six bits in each place of a vector.
        for value in 0..<64 as Range<UInt8> {
            let bytes = (0..<60).map { place -> UInt8 in
                [value << 2 | value >> 4, value << 4 | value >> 2, value << 6 | value][place % 3]
            }
            #expect(base64(bytes) == Array(Data(bytes).base64EncodedData()))
        }
    }

    @Test func `bytes in JSON are that base64, behind what is there`() {
        for count in [0, 1, 27, 28, 29, 5_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var json = JSONWriter(capacity: 1)
            json.beginArray()
            json.value(base64: bytes)
            json.value(1)
            json.endArray()
            let text = Data(bytes).base64EncodedString()
            #expect(String(decoding: json.bytes, as: UTF8.self) == "[\"\(text)\",1]")
        }
    }
}
