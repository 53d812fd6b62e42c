/// Why bytes are no record of the type that was asked for.
package enum RecordError: Error, Equatable, Sendable {
    /// The bytes are no JSON; the parser's reason.
    case notJSON(String)
    /// A field that every such record has is not there; its path, as in `verdicts[2].monitor`.
    case missing(String)
    /// A field has a value of another kind; its path, and what was expected.
    case wrongType(String, expected: String)
    /// The record says that it is of a later format.
    case newer(version: Int64)

    /// The same, of a field inside this one.
    func inside(_ name: String) -> RecordError {
        func path(_ rest: String) -> String {
            rest.isEmpty ? name : rest.hasPrefix("[") ? name + rest : "\(name).\(rest)"
        }
        return switch self {
        case .missing(let rest): .missing(path(rest))
        case .wrongType(let rest, let expected): .wrongType(path(rest), expected: expected)
        case .notJSON, .newer: self
        }
    }

    /// A sentence for a person.
    package var message: String {
        switch self {
        case .notJSON(let reason): "no JSON: \(reason)"
        case .missing(let path): "`\(path)` is missing"
        case .wrongType(let path, let expected): "`\(path)` is not \(expected)"
        case .newer(let version): "the record is of format \(version): a newer version wrote it"
        }
    }
}
