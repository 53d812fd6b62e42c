/// `text` with every byte but letters, digits and `- . _ ~` percent-encoded (RFC 3986, unreserved).
package func percentEncoded(_ text: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(text.count)
    appendPercentEncoded(text, to: &out)
    return out
}

/// Adds a text as `percentEncoded` has it.
package func appendPercentEncoded(_ text: some Sequence<UInt8>, to out: inout [UInt8]) {
    func letter(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }
    for byte in text {
        switch byte {
        case 0x41...0x5a, 0x61...0x7a, 0x30...0x39, 0x2d, 0x2e, 0x5f, 0x7e: out.append(byte)
        default:
            out.append(0x25)
            out.append(letter(byte >> 4))
            out.append(letter(byte & 15))
        }
    }
}

/// The bytes that `percentEncoded` made these of.
package func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
    func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        default: nil
        }
    }
    var out: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
        if byte == 0x25, rest.count >= 2, let high = digit(rest[rest.startIndex]),
            let low = digit(rest[rest.startIndex + 1])
        {
            out.append(high << 4 | low)
            rest = rest.dropFirst(2)
        } else {
            out.append(byte)
        }
    }
    return out
}
