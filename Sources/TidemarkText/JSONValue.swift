internal import CText

/// A JSON document as a tree: for small files, and for records that somebody wants to look at; those of a stream
/// are decoded into columns.
package enum JSONValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case array([JSONValue])
    /// In the order of the document.
    case object([(name: String, value: JSONValue)])

    /// Parses a whole document.
    ///
    /// - Throws: `JSONError` with the parser's reason.
    package init(parsing bytes: [UInt8]) throws(JSONError) {
        var reason: UnsafePointer<CChar>?
        guard let document = unsafe tm_json_document_new(bytes, bytes.count, &reason) else {
            throw JSONError(reason: unsafe reason.map { unsafe String(cString: $0) } ?? "no JSON")
        }
        defer { unsafe tm_json_document_free(document) }
        var event = unsafe tm_json_event()
        guard unsafe tm_json_document_next(document, &event) != 0 else {
            throw JSONError(reason: "empty")
        }
        self = unsafe Self.read(document, event)
    }

    private static func read(_ document: OpaquePointer, _ event: tm_json_event) -> JSONValue {
        switch unsafe tm_json_node(rawValue: UInt32(truncatingIfNeeded: event.kind)) {
        case TM_JSON_NODE_BOOLEAN: return .boolean(unsafe event.number != 0)
        case TM_JSON_NODE_NUMBER:
            return unsafe event.is_integer != 0 ? .integer(event.integer) : .number(event.number)
        case TM_JSON_NODE_TEXT: return .text(unsafe text(event))
        case TM_JSON_NODE_ARRAY:
            var values: [JSONValue] = []
            while let next = unsafe next(document) { unsafe values.append(read(document, next)) }
            return .array(values)
        case TM_JSON_NODE_OBJECT:
            var members: [(name: String, value: JSONValue)] = []
            while let key = unsafe next(document) {
                let name = unsafe text(key)
                guard let value = unsafe next(document) else { break }
                members.append((name, unsafe read(document, value)))
            }
            return .object(members)
        default: return .null
        }
    }

    private static func next(_ document: OpaquePointer) -> tm_json_event? {
        var event = unsafe tm_json_event()
        guard unsafe tm_json_document_next(document, &event) != 0,
            unsafe event.kind != Int32(TM_JSON_NODE_END.rawValue)
        else { return nil }
        return unsafe event
    }

    private static func text(_ event: tm_json_event) -> String {
        unsafe String(
            decoding: UnsafeBufferPointer(start: event.text, count: event.text_length),
            as: UTF8.self)
    }

    /// The value of a member, the last one of that name; `nil`: there is none, or this is no
    /// object.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The text; `nil`: it is none, as a number is none.
    package var asText: String? {
        if case .text(let text) = self { return text }
        return nil
    }

    /// The number, rounded if it is an integer beyond 2^53; `nil`: it is none.
    package var asNumber: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The number, if it is whole and fits; else `nil`: 5.0 is 5.
    package var asInteger: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The boolean; `nil`: it is none.
    package var asBoolean: Bool? {
        if case .boolean(let value) = self { return value }
        return nil
    }

    /// The elements; `nil`: it is no array.
    package var asArray: [JSONValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    /// The members, in the order of the document; `nil`: it is no object.
    package var asObject: [(name: String, value: JSONValue)]? {
        if case .object(let members) = self { return members }
        return nil
    }

    /// An object of the members that have a value, in this order.
    package static func members(
        _ members: KeyValuePairs<String, JSONValue?>
    ) -> JSONValue {
        .object(members.compactMap { name, value in value.map { (name, $0) } })
    }

    /// A number, if it exists and is finite.
    package static func finite(_ number: Double?) -> JSONValue? {
        number.flatMap { $0.isFinite ? .number($0) : nil }
    }

    /// The document as text, without spaces.
    package func encoded() -> [UInt8] {
        var json = JSONWriter()
        json.value(self)
        return json.bytes
    }

    package static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.boolean(let x), .boolean(let y)): x == y
        case (.integer(let x), .integer(let y)): x == y
        case (.number, .number), (.integer, .number), (.number, .integer):
            a.asNumber == b.asNumber
        case (.text(let x), .text(let y)): x == y
        case (.array(let x), .array(let y)): x == y
        case (.object(let x), .object(let y)):
            x.count == y.count
                && zip(x, y).allSatisfy { $0.name == $1.name && $0.value == $1.value }
        default: false
        }
    }
}

/// The bytes are no JSON document.
package struct JSONError: Error, Equatable, Sendable {
    /// What the parser says.
    package var reason: String
}
