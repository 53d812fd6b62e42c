import TidemarkText

extension JSONValue {
    /// A text, or `null`.
    static func maybe(_ text: String?) -> JSONValue { text.map { .text($0) } ?? .null }
    /// A whole number, or `null`.
    static func maybe(_ number: Int64?) -> JSONValue { number.map { .integer($0) } ?? .null }
    /// A number, or `null`.
    static func maybe(_ number: Double?) -> JSONValue { number.map { .number($0) } ?? .null }
    /// A whole number.
    static func count(_ number: Int) -> JSONValue { .integer(Int64(number)) }
    /// A list of texts.
    static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .text($0) }) }

    /// Written as JSON.
    var written: String {
        var writer = JSONWriter()
        writer.value(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
