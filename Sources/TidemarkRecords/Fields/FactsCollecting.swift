import TidemarkText

/// Collects what is known of the fields that are declared to it.
struct FactsCollecting<Record>: FieldVisitor {
    private(set) var facts: [FieldFacts] = []
    private let partFacts: [FieldFacts]

    init(parts: [FieldFacts]) { partFacts = parts }

    mutating func declare<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit?,
        shape: @autoclosure () -> FieldShape?, presence: StaticString?,
        isPresent: (borrowing Record) -> Bool, help: StaticString
    ) {
        facts.append(
            FieldFacts(
                name: "\(name)", shape: shape() ?? Value.shape(unit), unit: unit,
                presence: presence.map { "\($0)" }
                    ?? (Value.isOptional ? "where it is known" : nil), help: "\(help)"))
    }

    mutating func derived<Value: FieldValue>(
        _ name: StaticString, shape: @autoclosure () -> FieldShape, help: StaticString,
        _ value: (borrowing Record) -> Value
    ) {
        facts.append(FieldFacts(name: "\(name)", shape: shape(), help: "\(help)"))
    }

    mutating func version(_ version: Int64) {
        facts.append(
            FieldFacts(
                name: "v", shape: .constant(.integer(version)),
                help: "the version of the record's form: fields may be added without a new one"))
    }

    mutating func object(_ name: StaticString, help: StaticString, _ fields: (inout Self) -> Void) {
        var inner = Self(parts: partFacts)
        fields(&inner)
        facts.append(FieldFacts(name: "\(name)", shape: .object(inner.facts), help: "\(help)"))
    }

    mutating func parts(_ path: WritableKeyPath<Record, RecordParts>) { facts += partFacts }
}
