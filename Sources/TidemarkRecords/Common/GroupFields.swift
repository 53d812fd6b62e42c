package import TidemarkCore
package import TidemarkText

/// The groups beyond a segment's limit are `{"other": true}`, all others their dimensions with their values.
extension GroupValues: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .group }

    package func write(to json: inout JSONWriter) { write(to: &json, otherGroupCount: nil) }

    /// `otherGroupCount`: how many groups the rest holds, if it is said.
    func write(to json: inout JSONWriter, otherGroupCount: Int?) {
        json.beginObject()
        if isOther {
            json.member("other", true)
            if let otherGroupCount { json.member("groups", otherGroupCount) }
        }
        for (name, value) in dimensions {
            json.key(text: name)
            if let value { json.value(utf8: value) } else { json.null() }
        }
        json.endObject()
    }

    package static func read(_ json: JSONValue) throws(RecordError) -> GroupValues {
        try CountedGroup.read(json).values
    }

    /// `model=churn,region=eu` for a person; a dimension without a value is `null`.
    package var text: String {
        if isOther { return "~other" }
        return dimensions.map { name, value in
            "\(name)=\(value.map { String(decoding: $0, as: UTF8.self) } ?? "null")"
        }.joined(separator: ",")
    }
}

/// A group, and how many groups the rest holds where it is that.
struct CountedGroup: FieldValue {
    var values: GroupValues
    var otherGroupCount: Int?

    static func shape(_ unit: FieldUnit?) -> FieldShape { .group }

    func write(to json: inout JSONWriter) {
        values.write(to: &json, otherGroupCount: otherGroupCount)
    }

    static func read(_ json: JSONValue) throws(RecordError) -> CountedGroup {
        guard let members = json.asObject else { throw .wrongType("", expected: "an object") }
        // A dimension's value is a text or null: `other` with `true` is no dimension.
        let isOther = members.contains { $0.name == "other" && $0.value.asBoolean == true }
        var group = CountedGroup(values: GroupValues(dimensions: [], isOther: isOther))
        for (name, value) in members {
            switch value {
            case .null: group.values.dimensions.append((name, nil))
            case .text(let text): group.values.dimensions.append((name, Array(text.utf8)))
            case .boolean where isOther && name == "other": continue
            case .integer(let count) where isOther && name == "groups":
                group.otherGroupCount = Int(exactly: count)
            default: throw .wrongType(name, expected: "a text or null")
            }
        }
        return group
    }
}
