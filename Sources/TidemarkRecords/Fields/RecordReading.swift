import TidemarkText

/// Reads the fields that are declared to it out of the members of an object.
struct RecordReading<Record>: FieldVisitor {
    private var record: Record
    private var members: [(name: String, value: JSONValue)]
    /// The place behind the member that was taken last: fields mostly come in the order of their declaration.
    private var next = 0
    private var isTaken: [Bool]
    private var problem: RecordError?
    /// Where members go that no field is declared for.
    private var rest: WritableKeyPath<Record, RecordParts>?

    init(_ blank: Record, _ members: [(name: String, value: JSONValue)]) {
        record = blank
        self.members = members
        isTaken = Array(repeating: false, count: members.count)
    }

    /// The record, if all was as declared.
    func result() throws(RecordError) -> Record {
        if let problem { throw problem }
        guard let rest else { return record }
        var record = record
        let others = members.indices.filter { !isTaken[$0] }.map { members[$0] }
        record[keyPath: rest] = RecordParts(read: others)
        return record
    }

    private mutating func take(_ name: StaticString) -> JSONValue? {
        let name = "\(name)"
        for step in 0..<members.count {
            let place = (next + step) % members.count
            guard members[place].name == name else { continue }
            isTaken[place] = true
            next = place + 1
            return members[place].value
        }
        return nil
    }

    mutating func declare<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit?,
        shape: @autoclosure () -> FieldShape?, presence: StaticString?,
        isPresent: (borrowing Record) -> Bool, help: StaticString
    ) {
        guard problem == nil else { return }
        guard let value = take(name) else {
            if presence == nil, !Value.isOptional { problem = .missing("\(name)") }
            return
        }
        do throws(RecordError) {
            record[keyPath: path] = try Value.read(value)
        } catch {
            problem = error.inside("\(name)")
        }
    }

    mutating func derived<Value: FieldValue>(
        _ name: StaticString, shape: @autoclosure () -> FieldShape, help: StaticString,
        _ value: (borrowing Record) -> Value
    ) {
        _ = take(name)
    }

    mutating func version(_ version: Int64) {
        guard problem == nil else { return }
        guard let found = take("v")?.asInteger else {
            problem = .missing("v")
            return
        }
        if found > version { problem = .newer(version: found) }
    }

    mutating func object(_ name: StaticString, help: StaticString, _ fields: (inout Self) -> Void) {
        guard problem == nil else { return }
        guard let members = take(name)?.asObject else {
            problem = .missing("\(name)")
            return
        }
        var inner = Self(record, members)
        fields(&inner)
        record = inner.record
        problem = inner.problem?.inside("\(name)")
    }

    mutating func parts(_ path: WritableKeyPath<Record, RecordParts>) {
        rest = path
    }
}
