import TidemarkText

/// Writes the fields that are declared to it.
///
/// It holds the places of the record and of the writer, and lives within `writeFields` alone, where both stay
/// where they are: a copy of a record of forty fields would cost more than most of what is written.
@safe
struct RecordWriting<Record>: FieldVisitor {
    private let record: UnsafePointer<Record>
    private let json: UnsafeMutablePointer<JSONWriter>

    @inline(__always)
    init(_ record: UnsafePointer<Record>, _ json: UnsafeMutablePointer<JSONWriter>) {
        unsafe self.record = record
        unsafe self.json = json
    }

    @inline(__always)
    mutating func declare<Value: FieldValue>(
        _ name: StaticString, _ path: WritableKeyPath<Record, Value>, unit: FieldUnit?,
        shape: @autoclosure () -> FieldShape?, presence: StaticString?,
        isPresent: (borrowing Record) -> Bool, help: StaticString
    ) {
        guard unsafe isPresent(record.pointee) else { return }
        let value = unsafe record.pointee[keyPath: path]
        guard value.isPresent else { return }
        unsafe json.pointee.key(name)
        unsafe value.write(to: &json.pointee)
    }

    @inline(__always)
    mutating func derived<Value: FieldValue>(
        _ name: StaticString, shape: @autoclosure () -> FieldShape, help: StaticString,
        _ value: (borrowing Record) -> Value
    ) {
        unsafe json.pointee.key(name)
        unsafe value(record.pointee).write(to: &json.pointee)
    }

    @inline(__always)
    mutating func version(_ version: Int64) { unsafe json.pointee.member("v", version) }

    @inline(__always)
    mutating func object(_ name: StaticString, help: StaticString, _ fields: (inout Self) -> Void) {
        unsafe json.pointee.key(name)
        unsafe json.pointee.beginObject()
        fields(&self)
        unsafe json.pointee.endObject()
    }

    @inline(__always)
    mutating func parts(_ path: WritableKeyPath<Record, RecordParts>) {
        unsafe record.pointee[keyPath: path].write(to: &json.pointee)
    }
}

extension RecordFields {
    /// Writes the fields that `declare` declares.
    @inline(__always)
    func writeFields(
        to json: inout JSONWriter, _ declare: (inout RecordWriting<Self>) -> Void
    ) {
        unsafe withUnsafePointer(to: self) { record in
            unsafe withUnsafeMutablePointer(to: &json) { json in
                var writing = unsafe RecordWriting(record, json)
                declare(&writing)
            }
        }
    }
}
