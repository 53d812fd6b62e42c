import TidemarkDataflow
import TidemarkLanguage
import TidemarkText

/// A format of records: what `decode` takes for it, and what a plan says of it.
protocol FormatKind: Sendable {
    /// As `format` names it.
    static var name: String { get }
    /// Keys of `decode` that are its own.
    static var keys: [any TopologyKey] { get }
    /// The encoding; `f` has the keys of `decode`, and is `nil` where the format stands alone.
    static func read(_ f: Fields?, _ schema: inout Schema, _ reading: Reading) -> RecordEncoding
    /// What the plan says of an encoding; `nil`: it is another format's.
    static func facts(_ encoding: RecordEncoding) -> FormatFacts?
}

/// What a plan says of an encoding.
struct FormatFacts {
    /// For the plan's JSON.
    var json: JSONValue
    /// Behind the source's name in the plan's text; empty: the usual format.
    var text = ""
    /// Its line in the identity of a topology; `nil`: the usual format.
    var identity: Identity.Line?
}

/// The formats that there are.
enum Formats {
    /// In the order in which they are listed to people; the first is what a topology has that says nothing.
    static let all: [any FormatKind.Type] = [JSONFormat.self, CSVFormat.self]

    /// What the plan says of an encoding.
    static func facts(_ encoding: RecordEncoding) -> FormatFacts {
        for kind in all {
            if let facts = kind.facts(encoding) { return facts }
        }
        return FormatFacts(json: .null)
    }
}
