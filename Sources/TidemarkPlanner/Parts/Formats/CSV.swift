import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A row of values a record.
enum CSVFormat: FormatKind {
    static let name = "csv"
    private static let columns = KeySpec(
        "columns", .list("the names of all fields, in order"), says: "those of `schema`",
        "csv: what a row holds")
    private static let separator = Key(
        "separator",
        ValueType<UInt8>.choice([
            ("comma", 0x2c), ("semicolon", 0x3b), ("tab", 0x09), ("pipe", 0x7c),
        ]),
        usual: 0x2c, "csv: what stands between values")
    static let keys: [any TopologyKey] = [columns, separator]

    static func read(_ f: Fields?, _ schema: inout Schema, _ reading: Reading) -> RecordEncoding {
        var names: [String]?
        if let list = f?[columns] {
            var found: [String] = []
            for item in reading.list(list, what: "the names of all fields", countMax: 4000) {
                guard let name = reading.text(item) else { continue }
                if found.contains(name) {
                    reading.say(
                        "duplicate-key", at: item.place, "\(shown(name)) is named twice",
                        expected: "each field once", suggestion: nil)
                }
                found.append(name)
            }
            names = found
        }
        let separator = f?.value(separator) ?? separator.usual
        let fields = names ?? schema.columns.map(\.name)
        for (index, column) in schema.columns.enumerated() {
            // Dots are letters in the name of a field.
            let whole = PathText.text(column.path)
            if column.path.count > 1, fields.contains(whole) {
                schema.columns[index].path = [.key(whole)]
            }
            guard case .key(let name)? = schema.columns[index].path.first,
                schema.columns[index].path.count == 1, fields.contains(name)
            else {
                reading.say(
                    "unknown-column", at: schema.places[index],
                    "no field of the rows is the one that \(shown(column.name)) reads",
                    expected: someOf(fields, near: column.name),
                    suggestion: nearest(column.name, fields).map { "`path: \($0)`" })
                continue
            }
        }
        return .csv(columns: fields, separator: separator)
    }

    static func facts(_ encoding: RecordEncoding) -> FormatFacts? {
        guard case .csv(let columns, let separator) = encoding else { return nil }
        return FormatFacts(
            json: .object([
                ("format", .text(name)), ("columns", .texts(columns)),
                ("separator", .text(String(UnicodeScalar(separator)))),
            ]),
            text: "   csv",
            identity: Identity.Line("csv", columns.joined(separator: ","), separator))
    }
}
