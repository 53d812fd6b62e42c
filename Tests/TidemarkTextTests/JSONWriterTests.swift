import Testing
import TidemarkKernels
import TidemarkText

@Suite struct JSONWriterTests {
    private func text(_ number: Double) -> String {
        var json = JSONWriter()
        json.beginArray()
        json.value(true)
        json.value(number)
        json.value(number)
        json.endArray()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test func `a number is the shortest text that reads back as it`() {
        let seed: UInt64 = 20
        let random = CounterRandom(key: seed)
        var numbers: [Double] = [
            0.1, 0.0001, 0.00010000000000000001, 0.00009999999999999999, 1e-5,
            .leastNonzeroMagnitude, 0.5, 1.5,
            123_456.75, 4_503_599_627_370_495.5, 9_007_199_254_740_991, 9_007_199_254_740_992,
            1e15 + 0.125, 1e16, 1e22, 1.7976931348623157e308, 0.3, 2.0 / 3, 99.99999999999999,
        ]
        for place in 0..<UInt64(200_000) {
            let bits = random.draw(place)
            let any = Double(bitPattern: bits)
            numbers.append(any.isFinite ? any : 0.25)
            // Of usual sizes: all 53 bits, those of an f32, and three decimals.
            let some = Double(Int64(bitPattern: bits)) * 0x1p-60
            numbers += [some, Double(Float(some)), Double(bits % 1_000_000) / 1_000]
        }
        for number in numbers {
            for number in [number, -number] {
                let whole = number.rounded(.towardZero) == number && abs(number) < 0x1p53
                let expected = whole ? "\(Int64(number))" : number.description
                #expect(text(number) == "[true,\(expected),\(expected)]", "seed \(seed)")
            }
        }
    }

    @Test func `an f32 is the shortest text that reads back as that f32`() {
        let seed: UInt64 = 21
        let random = CounterRandom(key: seed)
        var numbers: [Float] = [
            0.1, 0.0001, 0.00010000001, 0.000099999994, 1e-5, .leastNonzeroMagnitude, 0.5, 1.5,
            8_388_607.5, 16_777_215, 16_777_216, 16_777_218, 1e16, .greatestFiniteMagnitude, 0.3,
            99.99999,
        ]
        for place in 0..<UInt64(200_000) {
            let bits = random.draw(place)
            let any = Float(bitPattern: UInt32(truncatingIfNeeded: bits))
            numbers.append(any.isFinite ? any : 0.25)
            numbers += [
                Float(Int64(bitPattern: bits)) * 0x1p-60, Float(bits % 1_000_000) / 1_000,
            ]
        }
        for number in numbers {
            for number in [number, -number] {
                let whole = number.rounded(.towardZero) == number && abs(number) <= 0x1p24
                let expected = whole ? "\(Int64(number))" : number.description
                var json = JSONWriter()
                json.beginArray()
                json.value(number)
                json.value(number)
                json.endArray()
                #expect(
                    String(decoding: json.bytes, as: UTF8.self) == "[\(expected),\(expected)]",
                    "seed \(seed)")
            }
        }
    }
}
