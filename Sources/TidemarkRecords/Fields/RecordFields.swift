package import TidemarkText

/// A kind of record, or an object inside one, by its table of fields.
///
/// `fields` is the only place where the JSON name, meaning and presence of a field stand, beside the stored
/// property that holds its value. What writes records, what reads them by type, the JSON Schemas and the
/// tables in `docs/records.md` all come from it.
package protocol RecordFields: FieldValue, FieldElement {
    /// What reading starts from: a field that is there replaces its value.
    static var blank: Self { get }

    /// Declares the fields, in the order in which they are written.
    ///
    /// Conformers mark it `@inline(__always)`. The key paths and words of the declarations are constants then,
    /// and writing a record comes to the code that somebody would write by hand, a line for each field; a
    /// stored table of closures or key paths would cost 10 ns and more for each field of 50,000 records a second.
    static func fields<V: FieldVisitor>(_ visitor: inout V) where V.Record == Self
}

/// What goes over the declarations of a record's fields, one after the other.
package protocol FieldVisitor {
    /// Whose fields they are.
    associatedtype Record

    /// A field; `FieldVisitor` has shorter forms for most of them.
    ///
    /// - `shape`: what values look like, where their type does not say it.
    /// - `presence`: when the field is there, as in "where rows were late"; `nil`: always, or of an
    ///   optional one where it is known.
    /// - `isPresent`: whether this record has it; the value is asked as well.
    mutating func declare<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit?,
        shape: @autoclosure () -> FieldShape?, presence: StaticString?,
        isPresent: (borrowing Record) -> Bool, help: StaticString)

    /// A field that is the same in all records, or follows from other fields: it is not read.
    mutating func derived<Value: FieldValue>(
        _ name: StaticString, shape: @autoclosure () -> FieldShape, help: StaticString,
        _ value: (borrowing Record) -> Value)

    /// The version of the record's form: records of later ones are not read.
    mutating func version(_ version: Int64)

    /// An object whose fields are the record's own.
    mutating func object(
        _ name: StaticString, help: StaticString, _ fields: (inout Self) -> Void)

    /// What summaries add, under names of their own.
    mutating func parts(_ path: WritableKeyPath<Record, RecordParts>)
}

extension FieldVisitor {
    /// A field that all records have; of an optional type, those in which it is known.
    @inline(__always)
    package mutating func field<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit? = nil,
        _ help: StaticString
    ) {
        declare(
            name, path, unit: unit, shape: nil, presence: nil, isPresent: { _ in true }, help: help)
    }

    /// A field that some records have.
    @inline(__always)
    package mutating func field<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit? = nil,
        when presence: StaticString, if isPresent: (borrowing Record) -> Bool = { _ in true },
        _ help: StaticString
    ) {
        declare(
            name, path, unit: unit, shape: nil, presence: presence, isPresent: isPresent,
            help: help)
    }

    /// A text of which all possible ones are known.
    @inline(__always)
    package mutating func word<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>,
        of words: @autoclosure () -> [String], when presence: StaticString? = nil,
        if isPresent: (borrowing Record) -> Bool = { _ in true }, _ help: StaticString
    ) {
        declare(
            name, path, unit: nil, shape: .word(words()), presence: presence,
            isPresent: isPresent, help: help)
    }
}

/// A record, or an object in one, is written as an object.
extension RecordFields {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .object(facts()) }

    @inline(__always)
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        writeFields(to: &json) { Self.fields(&$0) }
        json.endObject()
    }

    package static func read(_ json: JSONValue) throws(RecordError) -> Self {
        guard let members = json.asObject else { throw .wrongType("", expected: "an object") }
        var reading = RecordReading(Self.blank, members)
        fields(&reading)
        return try reading.result()
    }

    /// The value of a record of a topic; conformers call it in a function of their own, since it is
    /// specialised for them in this module alone.
    @inline(__always)
    func written() -> [UInt8] {
        var json = JSONWriter(capacity: 2048)
        write(to: &json)
        return json.bytes
    }

    /// Reads the value of a record of a topic.
    ///
    /// What is not known is passed over, so that records of a later
    /// version that only adds fields can be read.
    package init(reading bytes: [UInt8]) throws(RecordError) {
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: bytes)
        } catch {
            throw .notJSON(error.reason)
        }
        self = try Self.read(json)
    }

    /// What is known of the fields, in their order.
    ///
    /// `parts`: what summaries may add.
    package static func facts(parts: [PartField] = []) -> [FieldFacts] {
        var collecting = FactsCollecting<Self>(parts: parts.map(\.facts))
        fields(&collecting)
        return collecting.facts
    }
}
