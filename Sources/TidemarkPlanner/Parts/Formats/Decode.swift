import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// How records are written.
enum DecodePart {
    static let format = Key(
        "format",
        ValueType<String>.choice(
            Formats.all.map { $0.name },
            later: [
                "avro", "protobuf", "cloudevents", "kserve_v1", "kserve_v2", "seldon", "sagemaker",
            ]),
        usual: Formats.all[0].name, required: true, "json, or a row of values")
    static let part = PartSpec(
        "decode", path: "source.decode", "encoding of a record",
        [format] + Formats.all.flatMap { $0.keys },
        example: "decode: { format: csv, columns: [ts, id, age, score] }")

    /// The encoding, which may change the paths of columns that have been read.
    static func read(_ node: Node, _ schema: inout Schema, _ reading: Reading) -> RecordEncoding {
        var name: String?
        var f: Fields?
        if node.entries == nil {
            name = reading.scalar(node, format)
        } else if let fields = reading.fields(node, part, what: "`decode`") {
            f = fields
            name = fields.given(format)
        }
        let kind = Formats.all.first { $0.name == name }
        if let f, let kind {
            for other in Formats.all where other.name != kind.name {
                guard let entry = other.keys.lazy.compactMap({ f.entry($0) }).first else {
                    continue
                }
                reading.say(
                    "unknown-key", at: entry.keyPlace, "`\(entry.key)` is a key of \(other.name)",
                    expected: "`format` alone", suggestion: "`format: \(other.name)`")
            }
        }
        return (kind ?? Formats.all[0]).read(f, &schema, reading)
    }

    /// What the plan's JSON says of an encoding.
    static func facts(_ encoding: RecordEncoding) -> JSONValue { Formats.facts(encoding).json }
}
