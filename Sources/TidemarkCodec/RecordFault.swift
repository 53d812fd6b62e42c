internal import CDecode
import TidemarkBatch
import TidemarkText

/// A text of a record as messages show it: control bytes as escapes, what is no UTF-8 replaced, cut after
/// `countMax` letters.
package func shownText(_ text: String, countMax: Int = 80) -> String {
    var out = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == countMax { return out + "…" }
        // C0, DEL, C1, and what turns the direction of writing.
        let isHidden =
            scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            || (0x200e...0x200f).contains(scalar.value) || (0x2028...0x202e).contains(scalar.value)
            || (0x2066...0x2069).contains(scalar.value)
        if isHidden {
            let hex = String(scalar.value, radix: 16)
            out += "\\u" + String(repeating: "0", count: max(0, 4 - hex.utf8.count)) + hex
        } else {
            out.unicodeScalars.append(scalar)
        }
    }
    return out
}

/// What is wrong with a record that is no row, in words that say what to look for: what stands in its
/// bytes says more than the verdict does.
package func faultDetail(
    _ bytes: UnsafeRawBufferPointer, verdict: DecodeVerdict, format: RecordFormat
) -> String {
    let head = unsafe Array(bytes.prefix(1 << 16))
    if let form = foreignForm(head, format) { return form }
    switch format {
    case .json: return jsonFault(head, verdict, isWhole: head.count == bytes.count)
    case .csv(let columns, let separator):
        return csvFault(head, verdict, columns, separator)
    }
}

/// Bytes that other systems put in place of, or around, what was expected.
private func foreignForm(_ head: [UInt8], _ format: RecordFormat) -> String? {
    let byte = { (place: Int) in place < head.count ? head[place] : 0 }
    if head.starts(with: [0xff, 0xfe]) || head.starts(with: [0xfe, 0xff]) || isUTF16(head) {
        return "the bytes are UTF-16; records are UTF-8"
    }
    if byte(0) == 0, head.count > 5 {
        let id = (1...4).reduce(0) { $0 << 8 | Int(byte($1)) }
        let inner = byte(5) == 0x7b || byte(5) == 0x5b ? "JSON" : "something other than JSON"
        return
            "the value begins with 0x00 and the four bytes of an id (\(id)): the frame of a schema registry,"
            + " with \(inner) behind it; values are read without one"
    }
    if head.starts(with: [0x1f, 0x8b]) {
        return
            "the value itself is packed by gzip; a producer's `compression.type` packs batches instead"
    }
    if head.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) {
        return
            "the value itself is packed by Zstandard; a producer's `compression.type` packs batches instead"
    }
    if head.starts(with: [0x4f, 0x62, 0x6a, 0x01]) { return "the value is an Avro file" }
    return nil
}

/// Every other byte is 0, as letters of ASCII are in UTF-16.
private func isUTF16(_ head: [UInt8]) -> Bool {
    guard head.count >= 4 else { return false }
    let some = head.prefix(256)
    let zeros = some.indices.filter { some[$0] == 0 }
    let even = zeros.count { $0 % 2 == 0 }
    let most = max(even, zeros.count - even)
    return most * 10 >= some.count * 4 && most * 10 >= zeros.count * 9
}

private func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
}

private func jsonFault(_ head: [UInt8], _ verdict: DecodeVerdict, isWhole: Bool) -> String {
    let trimmed = head.drop(while: isSpace)
    guard let first = trimmed.first else { return verdict.detail }
    switch verdict {
    case .notAnObject:
        switch first {
        case 0x5b: return "the record is an array; a record is one object"
        case 0x22:
            return trimmed.dropFirst().first == 0x7b
                ? "the record is a text that holds an object: it was encoded twice"
                : "the record is a text; a record is one object"
        case 0x74, 0x66: return "the record is a boolean; a record is one object"
        case 0x6e: return "the record is null; a record is one object"
        default: return "the record is a number; a record is one object"
        }
    case .syntax, .truncated, .badToken, .unclosedString, .controlCharacter:
        if let place = commaBeforeEnd(head) {
            return "a comma stands before the closing bracket (byte \(place))"
        }
        if isWhole, isFragment(trimmed) {
            return
                "this is a part of JSON that was written over several lines; a record is one line (`jq -c .` makes it one)"
        }
        if first == 0x7b, trimmed.dropFirst().drop(while: isSpace).first == 0x27 {
            return "keys stand in ' where JSON has \": this is Python's way to print a dict"
        }
        if first != 0x7b, first != 0x5b, first != 0x22, head.count(where: { $0 == 0x2c }) > 0 {
            return "this is not JSON; values between commas are read by `decode: csv`"
        }
        return verdict.detail
    default: return verdict.detail
    }
}

/// The place of a comma that a closing bracket follows, outside of texts.
private func commaBeforeEnd(_ head: [UInt8]) -> Int? {
    var isInside = false
    var isEscaped = false
    var comma: Int?
    for (place, byte) in head.enumerated() {
        if isInside {
            if isEscaped {
                isEscaped = false
            } else if byte == 0x5c {
                isEscaped = true
            } else if byte == 0x22 {
                isInside = false
            }
            continue
        }
        switch byte {
        case 0x22:
            isInside = true
            comma = nil
        case 0x2c: comma = place
        case 0x7d, 0x5d: if let comma { return comma }
        default: if !isSpace(byte) { comma = nil }
        }
    }
    return nil
}

/// A line as JSON has them that is laid out for people: a bracket alone, or a key and its value.
private func isFragment(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    while let last = rest.last, isSpace(last) || last == 0x2c { rest.removeLast() }
    let brackets: [UInt8] = [0x7b, 0x7d, 0x5b, 0x5d]
    if !rest.isEmpty, rest.allSatisfy({ brackets.contains($0) || isSpace($0) }), rest.count <= 4 {
        return true
    }
    guard rest.first == 0x22, let end = rest.dropFirst().firstIndex(of: 0x22) else { return false }
    return rest[(end + 1)...].drop(while: isSpace).first == 0x3a
}

private func csvFault(
    _ head: [UInt8], _ verdict: DecodeVerdict, _ columns: [String], _ separator: UInt8
) -> String {
    if head.first == 0x7b { return "this is JSON; the topology says `decode: csv`" }
    guard verdict == .tooManyFields, let fields = csvFields(head, separator: separator) else {
        return verdict.detail
    }
    return "there are \(fields.count) fields for \(columns.count) columns"
}

/// What is wrong with an event time, and what was expected.
///
/// - `name`: its column.
/// - `token`: its letters in the record, quotes of JSON included; `nil`: not known.
/// - `kind`: what the column is declared as.
package func timeFaultDetail(name: String, token: [UInt8]?, kind: FieldKind) -> String {
    guard let token, let first = token.first else {
        return "\(name) is not a time of the declared form: expected \(timeForm(kind))"
    }
    let text = String(decoding: token, as: UTF8.self)
    let what: String
    var inner = token
    switch first {
    case 0x7b: what = "an object"
    case 0x5b: what = "an array"
    case 0x74 where text == "true", 0x66 where text == "false": what = "the boolean \(text)"
    case 0x22:
        inner = Array(token.dropFirst())
        if inner.last == 0x22 { inner.removeLast() }
        what = "the text `\(shownText(String(decoding: inner, as: UTF8.self), countMax: 40))`"
    default:
        var value = 0.0
        let isNumber = isJSONNumber(token, &value)
        what = (isNumber ? "the number " : "the text ") + "`\(shownText(text, countMax: 40))`"
    }
    var detail = "\(name) is \(what), expected \(timeForm(kind))"
    if let better = betterKind(inner, declared: kind) { detail += "; `\(better)` reads this" }
    return detail
}

/// The declared kind that would read a time as it stands; `nil`: none.
private func betterKind(_ text: [UInt8], declared: FieldKind) -> String? {
    var value = 0.0
    if isJSONNumber(text, &value) {
        guard declared == .timeText else { return nil }
        switch value {
        case 9e8..<1e11: return "time_s"
        case 9e11..<1e14: return "time_ms"
        case 9e14..<1e17: return "time_us"
        case 9e17..<1e20: return "time_ns"
        default: return nil
        }
    }
    let decoder = RecordDecoder(
        fields: [Field(kind: .timeText, path: [.key("t")])],
        format: .csv(columns: ["t"], separator: 0x01), rowCountMax: 1, speculates: false)
    guard declared != .timeText, !text.contains(0x22), !text.contains(0x01) else { return nil }
    let batch = RecordBatch(recordCountMax: 1, arenaCapacity: 512)
    unsafe text.withUnsafeBytes { bytes in
        unsafe batch.append(partition: 0, offset: 0, recordTimeMs: 0, key: nil, value: bytes)
    }
    decoder.decode(batch)
    guard unsafe decoder.frame.verdicts[0] == DecodeVerdict.row.rawValue,
        decoder.frame.columns[0].exceptionCount == 0
    else { return nil }
    return "time_text"
}

private func isJSONNumber(_ text: [UInt8], _ value: inout Double) -> Bool {
    unsafe tm_json_parse_number(text, text.count, &value) >= 0
}

private func timeForm(_ kind: FieldKind) -> String {
    switch kind {
    case .timeS: "seconds since 1970 like 1705312800 (time_s)"
    case .timeMs: "milliseconds since 1970 like 1705312800000 (time_ms)"
    case .timeUs: "microseconds since 1970 like 1705312800000000 (time_us)"
    case .timeNs: "nanoseconds since 1970 like 1705312800000000000 (time_ns)"
    default: "ISO 8601 like 2024-01-15T10:00:00Z (time_text)"
    }
}
