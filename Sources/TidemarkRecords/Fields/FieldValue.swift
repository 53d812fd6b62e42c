package import TidemarkText

/// A type that a field of a record may have: how its values are written to JSON and read back.
///
/// Writing what was read gives the same bytes.
package protocol FieldValue {
    /// What values look like, for a field that is measured in `unit`.
    static func shape(_ unit: FieldUnit?) -> FieldShape
    /// Records without a value leave the field out: it is not required.
    static var isOptional: Bool { get }
    /// There is something to write.
    var isPresent: Bool { get }
    /// Writes the value, without a name.
    func write(to json: inout JSONWriter)
    /// Reads a value.
    ///
    /// - Throws: `RecordError`, with a path that begins at this value.
    static func read(_ json: JSONValue) throws(RecordError) -> Self
}

extension FieldValue {
    package static var isOptional: Bool { false }
    package var isPresent: Bool { @inline(__always) get { true } }

    static func wrong() -> RecordError { .wrongType("", expected: shape(nil).article) }
}

extension FieldShape {
    /// "a number", for messages.
    fileprivate var article: String {
        switch self {
        case .flag: words
        case .integer, .count, .object, .group, .map: "an \(words)"
        case .word(let words): "one of \(words.joined(separator: ", "))"
        default: "a \(words)"
        }
    }
}

extension Bool: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .flag }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(self) }
    package static func read(_ json: JSONValue) throws(RecordError) -> Bool {
        guard let value = json.asBoolean else { throw wrong() }
        return value
    }
}

extension Int64: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape {
        unit == .timeMs ? .integer : .count
    }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(self) }
    package static func read(_ json: JSONValue) throws(RecordError) -> Int64 {
        guard let value = json.asInteger else { throw wrong() }
        return value
    }
}

extension Int: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { Int64.shape(unit) }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(self) }
    package static func read(_ json: JSONValue) throws(RecordError) -> Int {
        guard let value = json.asInteger.flatMap({ Int(exactly: $0) }) else { throw wrong() }
        return value
    }
}

extension Double: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .number }
    /// A number that does not exist is left out.
    package var isPresent: Bool { @inline(__always) get { isFinite } }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(self) }
    package static func read(_ json: JSONValue) throws(RecordError) -> Double {
        guard let value = json.asNumber else { throw wrong() }
        return value
    }
}

extension String: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .text }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(self) }
    package static func read(_ json: JSONValue) throws(RecordError) -> String {
        guard let value = json.asText else { throw wrong() }
        return value
    }
}

/// Without a value the field is left out.
extension Optional: FieldValue where Wrapped: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { Wrapped.shape(unit) }
    package static var isOptional: Bool { true }
    package var isPresent: Bool {
        @inline(__always) get {
            if let self { self.isPresent } else { false }
        }
    }
    @inline(__always)
    package func write(to json: inout JSONWriter) {
        if let self { self.write(to: &json) }
    }
    package static func read(_ json: JSONValue) throws(RecordError) -> Wrapped? {
        try Wrapped.read(json)
    }
}

/// Words that are the cases of an enum.
package protocol FieldWord: FieldValue, RawRepresentable, CaseIterable where RawValue == String {}

extension FieldWord {
    package static func shape(_ unit: FieldUnit?) -> FieldShape {
        .word(allCases.map(\.rawValue))
    }
    @inline(__always)
    package func write(to json: inout JSONWriter) { json.value(rawValue) }
    package static func read(_ json: JSONValue) throws(RecordError) -> Self {
        guard let value = json.asText.flatMap({ Self(rawValue: $0) }) else { throw wrong() }
        return value
    }
}

/// What a list can be made of: it decides how the list is written.
package protocol FieldElement {
    /// What a list of them looks like.
    static func listShape() -> FieldShape
    /// Writes a list.
    static func write(_ list: [Self], to json: inout JSONWriter)
    /// Reads a list.
    static func readList(_ json: JSONValue) throws(RecordError) -> [Self]
}

extension Array: FieldValue where Element: FieldElement {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { Element.listShape() }
    @inline(__always)
    package func write(to json: inout JSONWriter) { Element.write(self, to: &json) }
    package static func read(_ json: JSONValue) throws(RecordError) -> [Element] {
        try Element.readList(json)
    }
}

/// A list of values is an array of them.
extension FieldElement where Self: FieldValue {
    package static func listShape() -> FieldShape { .list(shape(nil)) }
    @inline(__always)
    package static func write(_ list: [Self], to json: inout JSONWriter) {
        json.beginArray()
        for element in list { element.write(to: &json) }
        json.endArray()
    }
    package static func readList(_ json: JSONValue) throws(RecordError) -> [Self] {
        guard let values = json.asArray else {
            throw .wrongType("", expected: "a list")
        }
        var list: [Self] = []
        list.reserveCapacity(values.count)
        for (place, value) in values.enumerated() {
            do throws(RecordError) {
                list.append(try read(value))
            } catch {
                throw error.inside("[\(place)]")
            }
        }
        return list
    }
}

extension Int64: FieldElement {}
extension Double: FieldElement {}
extension String: FieldElement {}

/// A list of bytes is a text in UTF-8, which it is already.
extension UInt8: FieldElement {
    package static func listShape() -> FieldShape { .text }
    @inline(__always)
    package static func write(_ list: [UInt8], to json: inout JSONWriter) {
        json.value(utf8: list)
    }
    package static func readList(_ json: JSONValue) throws(RecordError) -> [UInt8] {
        Array(try String.read(json).utf8)
    }
}
