package import TidemarkText

/// A field that a summary adds to the records of columns that it is kept of.
///
/// The summary declares it where it is itself, and says what stands in it (`RecordParts.add`); nothing else has
/// to know it: it is written at its place, read back, in the schema and in the documentation, and
/// `tidemark inspect` prints it.
package struct PartField: Sendable {
    /// Its name, shape, meaning, and when it is asked for.
    package let facts: FieldFacts
    /// Where it stands among the parts: smaller ones come first.
    ///
    /// A promise, since bytes depend on it.
    package let place: Int
    /// What `tidemark inspect` prints of it in place of names with values; `nil`: those.
    package let lines: (@Sendable (JSONValue) -> [String])?

    package init(
        _ name: String, place: Int, shape: FieldShape, presence: String, help: String,
        lines: (@Sendable (JSONValue) -> [String])? = nil
    ) {
        facts = FieldFacts(name: name, shape: shape, presence: presence, help: help)
        self.place = place
        self.lines = lines
    }
}

/// What summaries added to a record: a value under each one's name, in the order of their places.
///
/// Of a record that was read these are the members that the record's own fields do not know, whoever wrote them.
package struct RecordParts: Sendable, Equatable {
    /// Names with values, in the order in which they are written.
    package private(set) var members: [(name: String, value: JSONValue)] = []
    private var places: [Int] = []

    /// Nothing was asked for.
    package init() {}

    /// What was read, in its order.
    init(read members: [(name: String, value: JSONValue)]) {
        self.members = members
        places = Array(members.indices)
    }

    /// Adds what a summary came to; nothing where it came to none.
    package mutating func add(_ part: PartField, _ value: JSONValue?) {
        guard let value else { return }
        let at = places.firstIndex { $0 > part.place } ?? places.count
        places.insert(part.place, at: at)
        members.insert((part.facts.name, value), at: at)
    }

    /// What stands under a name.
    package subscript(part: PartField) -> JSONValue? {
        members.last { $0.name == part.facts.name }?.value
    }

    @inline(__always)
    func write(to json: inout JSONWriter) {
        if !members.isEmpty { writeMembers(to: &json) }
    }

    private func writeMembers(to json: inout JSONWriter) {
        for (name, value) in members {
            json.key(text: name)
            json.value(value)
        }
    }

    package static func == (a: RecordParts, b: RecordParts) -> Bool {
        a.members.elementsEqual(b.members) { $0.name == $1.name && $0.value == $1.value }
    }
}
