package import TidemarkText

/// A line of an output file: a record of a topic, with its key and headers around its value.
package struct OutputLine: Sendable {
    /// The record's key as text; `nil`: it has none.
    package var key: String?
    /// JSON as it is, other bytes as a text (UTF-8, or base64 of those that are none).
    package var value: JSONValue
    /// Those that are there once.
    package var headers: [(name: String, value: [UInt8])]

    /// Reads a line; what is no envelope is a value by itself, as consoles print it.
    package init(_ line: JSONValue) {
        guard let members = line["headers"]?.asObject else {
            value = line
            headers = []
            return
        }
        key = line["key"]?.asText
        value = line["value"] ?? line["value_base64"] ?? .null
        headers = members.compactMap { name, value in
            value.asText.map { (name, Array($0.utf8)) }
        }
    }

    /// Reads the bytes of a line; `nil`: they are no JSON.
    package init?(_ bytes: [UInt8]) {
        guard let json = try? JSONValue(parsing: bytes), json.asObject != nil else { return nil }
        self.init(json)
    }
}
