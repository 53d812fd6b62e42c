import TidemarkDataflow
import TidemarkLanguage
import TidemarkText

/// A JSON document a record.
enum JSONFormat: FormatKind {
    static let name = "json"
    static let keys: [any TopologyKey] = []

    static func read(_ f: Fields?, _ schema: inout Schema, _ reading: Reading) -> RecordEncoding {
        .json
    }

    static func facts(_ encoding: RecordEncoding) -> FormatFacts? {
        guard case .json = encoding else { return nil }
        return FormatFacts(json: .text(name))
    }
}
