import TidemarkDataflow
import TidemarkText

/// The text whose hash is the identity of an application.
///
/// A deployed application is known by that hash: another one is another application, which begins without the state
/// of the first. So every value spells out its own form (`CanonicalValue`), and no name of a Swift type, case or
/// module reaches the text: those may change as they like. A line that says only what departs from a default is
/// left out where nothing does, so that other topologies keep their hash.
enum Identity {
    /// A name and values.
    struct Line {
        let name: String
        let values: [String]

        init(_ name: String, _ values: (any CanonicalValue)?...) { self.init(name, values: values) }

        init(_ name: String, values: [(any CanonicalValue)?]) {
            self.name = name
            self.values = values.map { $0?.canonicalText ?? "off" }
        }

        /// As it is hashed: lengths in front, so that no value can pass for two.
        var text: String {
            name + values.map { " \($0.utf8.count):\($0)" }.joined() + "\n"
        }
    }
}

/// A value with one text that stays the same whatever its type is called and wherever it lives.
protocol CanonicalValue {
    var canonicalText: String { get }
}

extension String: CanonicalValue {
    var canonicalText: String { self }
}

extension Bool: CanonicalValue {
    var canonicalText: String { self ? "true" : "false" }
}

extension Int: CanonicalValue {
    var canonicalText: String { String(self) }
}

extension Int64: CanonicalValue {
    var canonicalText: String { String(self) }
}

extension UInt8: CanonicalValue {
    var canonicalText: String { String(self) }
}

extension Double: CanonicalValue {
    /// The shortest digits that give the same number.
    var canonicalText: String { description }
}

extension Array: CanonicalValue where Element: CanonicalValue {
    var canonicalText: String {
        // Lengths in front here too: a comma in a text is no boundary.
        "["
            + map { "\($0.canonicalText.utf8.count):\($0.canonicalText)" }
            .joined(separator: ",") + "]"
    }
}

extension JSONValue: CanonicalValue {
    /// As `plan --json` has it.
    var canonicalText: String { written }
}

extension ColumnType: CanonicalValue {
    var canonicalText: String {
        switch self {
        case .number: "number"
        case .integer: "integer"
        case .boolean: "boolean"
        case .category: "category"
        case .text: "text"
        case .time(let unit): "time_\(unit.rawValue)"
        }
    }
}

extension PathStep: CanonicalValue {
    var canonicalText: String {
        switch self {
        case .key(let key): "key \(key)"
        case .index(let index): "index \(index)"
        }
    }
}

extension SourcePlan.ReferenceClock: CanonicalValue {
    var canonicalText: String {
        switch self {
        case .record: "record"
        case .file: "file"
        case .time(let ms): "time \(ms)"
        }
    }
}

extension Hold: CanonicalValue {
    var canonicalText: String {
        switch self {
        case .duration(let ms): "\(ms)ms"
        case .windows(let count, let total): "\(count) of \(total)"
        }
    }
}
