/// What a record's headers say of it, by its table of headers.
///
/// The table is the only place where the name, meaning and presence of a header stand.
package protocol HeaderFields {
    /// What reading starts from.
    static var blank: Self { get }
    /// Declares the headers, in the order in which they are written.
    static func headers<V: HeaderVisitor>(_ visitor: inout V) where V.Record == Self
}

/// What goes over the declarations of headers, one after the other.
package protocol HeaderVisitor {
    /// Whose headers they are.
    associatedtype Record

    /// A header; `presence`: when it is there, `nil`: always.
    mutating func declare<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value>, presence: StaticString?,
        _ help: StaticString)
}

extension HeaderVisitor {
    /// A header that all records have.
    @inline(__always)
    package mutating func header<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value>, _ help: StaticString
    ) {
        declare(name, path, presence: nil, help)
    }

    /// A header that some records have.
    @inline(__always)
    package mutating func header<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value?>, when presence: StaticString,
        _ help: StaticString
    ) {
        declare(name, path, presence: presence, help)
    }
}

/// A type that a header may have: its value is text.
package protocol HeaderValue {
    /// What values look like.
    static var headerShape: FieldShape { get }
    /// The header may be missing.
    static var mayBeMissing: Bool { get }
    /// UTF-8; `nil`: there is no such header.
    var headerBytes: [UInt8]? { get }
    /// Reads a value; `nil`: it is none of this type.
    static func read(header: [UInt8]) -> Self?
}

extension HeaderValue {
    package static var mayBeMissing: Bool { false }
}

extension String: HeaderValue {
    package static var headerShape: FieldShape { .text }
    package var headerBytes: [UInt8]? { Array(utf8) }
    package static func read(header: [UInt8]) -> String? { String(decoding: header, as: UTF8.self) }
}

/// UTF-8 that was made before.
extension [UInt8]: HeaderValue {
    package static var headerShape: FieldShape { .text }
    package var headerBytes: [UInt8]? { @inline(__always) get { self } }
    package static func read(header: [UInt8]) -> [UInt8]? { header }
}

extension HeaderValue where Self: FixedWidthInteger {
    package static var headerShape: FieldShape { .integer }
    package var headerBytes: [UInt8]? { Array(String(self).utf8) }
    package static func read(header: [UInt8]) -> Self? {
        Self(String(decoding: header, as: UTF8.self))
    }
}
extension Int64: HeaderValue {}
extension Int32: HeaderValue {}

extension Optional: HeaderValue where Wrapped: HeaderValue {
    package static var headerShape: FieldShape { Wrapped.headerShape }
    package static var mayBeMissing: Bool { true }
    package var headerBytes: [UInt8]? { @inline(__always) get { self?.headerBytes } }
    package static func read(header: [UInt8]) -> Wrapped?? {
        Wrapped.read(header: header).map { .some($0) }
    }
}

extension HeaderFields {
    /// The headers, in their order.
    ///
    /// Conformers call it in a function of their own: it is specialised for them in this module alone.
    @inline(__always)
    func written() -> [(name: String, value: [UInt8])] {
        unsafe withUnsafePointer(to: self) { record in
            var writing = unsafe HeaderWriting(record)
            Self.headers(&writing)
            return writing.headers
        }
    }

    /// Reads them out of a record's headers, of which the last one of a name counts.
    ///
    /// - Throws: `RecordError`, where one that all such records have is missing or not of its type. Others
    ///   that are not of their type are as if they were missing.
    package init(headers: [(name: String, value: [UInt8])]) throws(RecordError) {
        var reading = HeaderReading(Self.blank, headers)
        Self.headers(&reading)
        if let problem = reading.problem { throw problem }
        self = reading.record
    }

    /// What is known of the headers, in their order.
    package static func headerFacts() -> [FieldFacts] {
        var collecting = HeaderFacts<Self>()
        headers(&collecting)
        return collecting.facts
    }
}

/// Writes the headers that are declared to it; it lives within `written`, where the record stays in its place.
@safe
private struct HeaderWriting<Record>: HeaderVisitor {
    private let record: UnsafePointer<Record>
    private(set) var headers: [(name: String, value: [UInt8])] = []

    @inline(__always)
    init(_ record: UnsafePointer<Record>) {
        unsafe self.record = record
        headers.reserveCapacity(10)
    }

    @inline(__always)
    mutating func declare<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value>, presence: StaticString?,
        _ help: StaticString
    ) {
        if let bytes = unsafe record.pointee[keyPath: path].headerBytes {
            headers.append((name, bytes))
        }
    }
}

/// Reads the headers that are declared to it.
private struct HeaderReading<Record>: HeaderVisitor {
    private(set) var record: Record
    private let headers: [(name: String, value: [UInt8])]
    private(set) var problem: RecordError?

    init(_ blank: Record, _ headers: [(name: String, value: [UInt8])]) {
        record = blank
        self.headers = headers
    }

    mutating func declare<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value>, presence: StaticString?,
        _ help: StaticString
    ) {
        guard problem == nil else { return }
        guard let bytes = headers.last(where: { $0.name == name })?.value else {
            if !Value.mayBeMissing { problem = .missing(name) }
            return
        }
        if let value = Value.read(header: bytes) {
            record[keyPath: path] = value
        } else if !Value.mayBeMissing {
            problem = .wrongType(name, expected: Value.headerShape.words)
        }
    }
}

/// Collects what is known of the headers that are declared to it.
private struct HeaderFacts<Record>: HeaderVisitor {
    private(set) var facts: [FieldFacts] = []

    mutating func declare<Value: HeaderValue>(
        _ name: String, _ path: WritableKeyPath<Record, Value>, presence: StaticString?,
        _ help: StaticString
    ) {
        facts.append(
            FieldFacts(
                name: name, shape: Value.headerShape,
                presence: presence?.description ?? (Value.mayBeMissing ? "where it is known" : nil),
                help: help.description))
    }
}
