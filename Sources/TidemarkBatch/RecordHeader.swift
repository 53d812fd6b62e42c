/// A header of a record: a name that may come more than once, and bytes.
///
/// In a batch's arena the headers of a record stand one behind the other: the lengths of name and value (-1:
/// there is no value) as 32-bit little-endian numbers, then the bytes of both. Whoever fills an arena from C
/// writes the same form.
package struct RecordHeader: Sendable, Equatable {
    /// UTF-8 by convention; Kafka does not check it.
    package var name: [UInt8]
    /// `nil`: the header has none, which is not the same as an empty one.
    package var value: [UInt8]?

    package init(name: [UInt8], value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    /// Bytes that stand in front of each header's name.
    package static let lengthByteCount = 8

    static func encoded(_ headers: [RecordHeader]) -> [UInt8] {
        var bytes: [UInt8] = []
        for header in headers {
            for length in [header.name.count, header.value?.count ?? -1] {
                let number = UInt32(bitPattern: Int32(truncatingIfNeeded: length))
                for place in 0..<4 {
                    bytes.append(UInt8(truncatingIfNeeded: number >> (place * 8)))
                }
            }
            bytes += header.name + (header.value ?? [])
        }
        return bytes
    }

    static func decoded(_ bytes: UnsafeRawBufferPointer) -> [RecordHeader] {
        var headers: [RecordHeader] = []
        var at = 0
        while at + lengthByteCount <= bytes.count {
            // In bounds: checked by the loop and by the guard below.
            let nameLength = Int(unsafe bytes.loadUnaligned(fromByteOffset: at, as: Int32.self))
            let valueLength = Int(
                unsafe bytes.loadUnaligned(fromByteOffset: at + 4, as: Int32.self))
            at += lengthByteCount
            guard nameLength >= 0, at + nameLength + max(0, valueLength) <= bytes.count else {
                break
            }
            let name = unsafe [UInt8](bytes[at..<at + nameLength])
            at += nameLength
            guard valueLength >= 0 else {
                headers.append(RecordHeader(name: name, value: nil))
                continue
            }
            headers.append(
                RecordHeader(name: name, value: unsafe [UInt8](bytes[at..<at + valueLength])))
            at += valueLength
        }
        return headers
    }
}
