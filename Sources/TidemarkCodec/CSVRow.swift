/// The fields of a row of CSV by themselves, blanks around them taken off; `nil` where quotes do not fit.
///
/// For what is looked at once (a header, a message): records are read by `RecordDecoder`.
package func csvFields(_ bytes: [UInt8], separator: UInt8) -> [String]? {
    var rest = bytes[...]
    if rest.starts(with: [0xef, 0xbb, 0xbf]) { rest.removeFirst(3) }
    while let last = rest.last, last == 0x0a || last == 0x0d { rest.removeLast() }
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    var fields: [String] = []
    while true {
        while let first = rest.first, isBlank(first), first != separator { rest.removeFirst() }
        var text: [UInt8] = []
        if rest.first == 0x22 {
            rest.removeFirst()
            while true {
                guard let byte = rest.popFirst() else { return nil }
                if byte == 0x22 {
                    guard rest.first == 0x22 else { break }
                    rest.removeFirst()
                }
                text.append(byte)
            }
            while let first = rest.first, isBlank(first), first != separator { rest.removeFirst() }
            if let next = rest.first, next != separator { return nil }
        } else {
            while let byte = rest.first, byte != separator {
                text.append(byte)
                rest.removeFirst()
            }
        }
        while let last = text.last, isBlank(last) { text.removeLast() }
        fields.append(String(decoding: text, as: UTF8.self))
        guard rest.popFirst() != nil else { return fields }
    }
}
