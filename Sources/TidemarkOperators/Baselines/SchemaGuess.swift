import TidemarkCodec
package import TidemarkDataflow
import TidemarkText

/// A guess at the columns of some records, from their names and first values, for whoever has no
/// topology yet.
///
/// It looks into objects; a column there is named by its key, or by the whole path where two keys
/// are the same.
package struct SchemaGuess: Sendable {
    /// What was found, in the order in which it was met.
    package private(set) var columns: [ColumnPlan] = []
    /// Places that make no column, and why: `tags (a list)`.
    package private(set) var leftOut: [String] = []

    /// What is known of one place in the records.
    private struct Place {
        var path: [String]
        var numberCount = 0
        var integerCount = 0
        var booleanCount = 0
        var textCount = 0
        var listCount = 0
        var texts: Set<String> = []
        /// A number that was met.
        var sample = 0.0
        var sampleText = ""
    }

    private static let depthMax = 8
    private static let timeNames = [
        "ts", "time", "timestamp", "event_time", "occurred_at", "event_timestamp", "datetime",
        "created_at", "prediction_time",
    ]

    /// Guesses from records, each the bytes of one; what is no object is passed over.
    package init(_ records: [[UInt8]]) {
        var places: [Place] = []
        var known: [[String]: Int] = [:]
        func note(_ value: JSONValue, _ path: [String]) {
            if let members = value.asObject, path.count < Self.depthMax {
                for (name, value) in members { note(value, path + [name]) }
                return
            }
            let place: Int
            if let found = known[path] {
                place = found
            } else {
                place = places.count
                known[path] = place
                places.append(Place(path: path))
            }
            switch value {
            case .integer(let number):
                places[place].integerCount += 1
                places[place].sample = Double(number)
            case .number(let number):
                places[place].numberCount += 1
                places[place].sample = number
            case .text(let text):
                places[place].textCount += 1
                places[place].sampleText = text
                places[place].texts.insert(text)
            case .boolean: places[place].booleanCount += 1
            case .array: places[place].listCount += 1
            default: break
            }
        }
        for record in records {
            guard let value = try? JSONValue(parsing: record), value.asObject != nil else {
                continue
            }
            note(value, [])
        }
        var hasTime = false
        let leaves = places.map { $0.path.last ?? "" }
        for place in places {
            let leaf = place.path.last ?? ""
            let isAlone = leaves.count { $0 == leaf } == 1
            let name = Self.columnName(isAlone ? leaf : place.path.joined(separator: "_"))
            let shown = shownText(place.path.joined(separator: "."), countMax: 60)
            if place.listCount > 0 {
                leftOut.append("\(shown) (a list)")
                continue
            }
            guard var column = Self.column(place, leaf, hasTime: hasTime) else {
                leftOut.append("\(shown) (no value)")
                continue
            }
            guard !columns.contains(where: { $0.name == name }) else {
                leftOut.append("\(shown) (another column has its name)")
                continue
            }
            hasTime = hasTime || column.role == .time
            column.name = name
            column.path = place.path.map { .key($0) }
            columns.append(column)
        }
    }

    /// Whether a name has letters, digits and `_` only.
    private static func columnName(_ text: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isFine =
                scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            name.unicodeScalars.append(isFine ? scalar : "_")
        }
        if let first = name.unicodeScalars.first, ("0"..."9").contains(first) { name = "_" + name }
        let words = [
            "all", "features", "numbers", "categories", "booleans", "texts", "scores", "classes",
            "labels",
        ]
        return words.contains(name) ? name + "_" : String(name.prefix(63))
    }

    private static func column(_ place: Place, _ leaf: String, hasTime: Bool) -> ColumnPlan? {
        func column(_ role: ColumnRole, _ type: ColumnType) -> ColumnPlan {
            ColumnPlan(name: "", role: role, type: type, path: [])
        }
        let numberCount = place.numberCount + place.integerCount
        if timeNames.contains(leaf), !hasTime {
            if numberCount > 0, place.textCount == 0 {
                return column(.time, .time(unit(place.sample)))
            }
            if place.textCount > 0 {
                let digits = place.sampleText.utf8.allSatisfy { (0x30...0x39).contains($0) }
                return column(.time, .time(digits ? unit(Double(place.sampleText) ?? 0) : .text))
            }
        }
        if place.textCount > numberCount {
            if leaf == "model" { return column(.model, .category) }
            if leaf == "version" { return column(.version, .category) }
            // Nearly all different: an id says nothing about a distribution.
            if place.texts.count > 20, place.texts.count * 10 > place.textCount * 9 {
                return column(.id, .category)
            }
            return column(.feature, .category)
        }
        if place.booleanCount > numberCount { return column(.feature, .boolean) }
        guard numberCount > 0 else { return nil }
        return column(leaf == "score" ? .score : .feature, .number)
    }

    private static func unit(_ time: Double) -> TimeUnit {
        time > 1e17 ? .ns : time > 1e14 ? .us : time > 1e11 ? .ms : .s
    }
}
