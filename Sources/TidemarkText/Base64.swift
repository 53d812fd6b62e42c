internal import CCrypto
internal import CText

/// Base64 with padding, as RFC 4648 section 4 has it.
package func base64(_ bytes: [UInt8]) -> [UInt8] {
    let count = base64Count(bytes.count)
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { text, written in
        written = count
        guard let base = text.baseAddress else { return }
        unsafe bytes.withUnsafeBufferPointer { unsafe writeBase64($0, to: base) }
    }
}

/// How many letters base64 has for so many bytes.
func base64Count(_ byteCount: Int) -> Int { (byteCount + 2) / 3 * 4 }

/// Writes bytes as base64; there is room for `base64Count` letters.
func writeBase64(_ bytes: UnsafeBufferPointer<UInt8>, to text: UnsafeMutablePointer<UInt8>) {
    guard let from = bytes.baseAddress else { return }
    unsafe UnsafeMutableRawPointer(text).withMemoryRebound(
        to: CChar.self, capacity: base64Count(bytes.count)
    ) { unsafe tm_base64(from, bytes.count, $0) }
}

/// The bytes of base64 text; `nil` if it is none.
package func base64Decoded(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var word: UInt32 = 0
    var bits = 0
    for letter in text {
        let value: UInt8
        switch letter {
        case 0x41...0x5a: value = letter - 0x41
        case 0x61...0x7a: value = letter - 0x61 + 26
        case 0x30...0x39: value = letter - 0x30 + 52
        case 0x2b: value = 62
        case 0x2f: value = 63
        case 0x3d: continue
        default: return nil
        }
        word = word << 6 | UInt32(value)
        bits += 6
        if bits >= 8 {
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
        }
    }
    return bytes
}

/// SHA-256 in hex.
package func sha256Hex(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    unsafe tidemark_sha256(bytes, bytes.count, &digest)
    let hex = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in digest {
        text.append(hex[Int(byte >> 4)])
        text.append(hex[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
