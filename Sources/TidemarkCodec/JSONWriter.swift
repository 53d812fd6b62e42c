/// Writes JSON text into bytes, without a tree.
///
/// Commas are put where they belong; the caller opens and closes what it opened.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(capacity: Int = 256) { bytes.reserveCapacity(capacity) }

    package mutating func beginObject() { open(0x7b) }
    package mutating func endObject() { close(0x7d) }
    package mutating func beginArray() { open(0x5b) }
    package mutating func endArray() { close(0x5d) }

    package mutating func key(_ name: String) {
        separate()
        quote(name.utf8)
        bytes.append(0x3a)
        needsComma = false
    }

    package mutating func value(_ text: String) {
        separate()
        quote(text.utf8)
        needsComma = true
    }

    /// Bytes that are UTF-8 already.
    package mutating func value(utf8: [UInt8]) {
        separate()
        quote(utf8)
        needsComma = true
    }

    /// Bytes of any kind, as base64: nothing of it needs escaping.
    package mutating func value(base64 binary: [UInt8]) {
        separate()
        bytes.append(0x22)
        appendBase64(binary, to: &bytes)
        bytes.append(0x22)
        needsComma = true
    }

    package mutating func value(_ flag: Bool) { raw(flag ? "true" : "false") }
    package mutating func value(_ number: Int) { value(Int64(number)) }

    package mutating func value(_ number: Int64) {
        separate()
        needsComma = true
        if number < 0 { bytes.append(0x2d) }
        var magnitude = number.magnitude
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var count = 0
        repeat {
            digits[count] = UInt8(0x30 + magnitude % 10)
            magnitude /= 10
            count += 1
        } while magnitude > 0
        while count > 0 {
            count -= 1
            bytes.append(digits[count])
        }
    }

    /// The shortest text that reads back as the same double.
    ///
    /// - Precondition: finite: a number that does not exist is left out by the caller.
    package mutating func value(_ number: Double) {
        precondition(number.isFinite, "a number that does not exist is absent")
        if number == number.rounded(.towardZero), number.magnitude < 9_007_199_254_740_992 {
            return value(Int64(number))
        }
        raw(number.description)
    }

    package mutating func null() { raw("null") }

    /// JSON text made elsewhere.
    package mutating func raw(_ text: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
        needsComma = true
    }

    package mutating func member(_ name: String, _ text: String) {
        key(name)
        value(text)
    }

    package mutating func member(_ name: String, _ number: Int64) {
        key(name)
        value(number)
    }

    package mutating func member(_ name: String, _ number: Int) { member(name, Int64(number)) }

    package mutating func member(_ name: String, _ flag: Bool) {
        key(name)
        value(flag)
    }

    /// Left out where it does not exist.
    package mutating func member(_ name: String, _ number: Double?) {
        guard let number, number.isFinite else { return }
        key(name)
        value(number)
    }

    private mutating func raw(_ text: String) { raw(text.utf8) }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(0x2c) }
    }

    private mutating func quote(_ text: some Collection<UInt8>) {
        // Nearly always nothing is to be escaped.
        let isPlain =
            text.withContiguousStorageIfAvailable { bytes in
                var odd = false
                for index in bytes.indices {
                    let byte = unsafe bytes[index]
                    odd = odd || byte < 0x20 || byte == 0x22 || byte == 0x5c
                }
                return !odd
            } ?? false
        if isPlain {
            bytes.append(0x22)
            bytes.append(contentsOf: text)
            bytes.append(0x22)
            return
        }
        quoteEscaping(text)
    }

    private mutating func quoteEscaping(_ text: some Collection<UInt8>) {
        let hex: StaticString = "0123456789abcdef"
        bytes.append(0x22)
        for byte in text {
            switch byte {
            case 0x22: bytes.append(contentsOf: [0x5c, 0x22])
            case 0x5c: bytes.append(contentsOf: [0x5c, 0x5c])
            case 0x0a: bytes.append(contentsOf: [0x5c, 0x6e])
            case 0x0d: bytes.append(contentsOf: [0x5c, 0x72])
            case 0x09: bytes.append(contentsOf: [0x5c, 0x74])
            case 0..<0x20:
                bytes.append(contentsOf: [0x5c, 0x75, 0x30, 0x30])
                // In bounds: a nibble, and the text has sixteen letters.
                bytes.append(unsafe hex.utf8Start[Int(byte >> 4)])
                bytes.append(unsafe hex.utf8Start[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(0x22)
    }
}
