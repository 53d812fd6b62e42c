package import TidemarkCore
package import TidemarkText

/// `{"start": …, "end": …}`.
extension Window: FieldValue {
    package static func shape(_ unit: FieldUnit?) -> FieldShape { .object(Bounds.facts()) }

    package func write(to json: inout JSONWriter) {
        Bounds(startMs: startMs, endMs: endMs).write(to: &json)
    }

    package static func read(_ json: JSONValue) throws(RecordError) -> Window {
        let bounds = try Bounds.read(json)
        guard bounds.startMs < bounds.endMs else {
            throw .wrongType("", expected: "a window: its start is not before its end")
        }
        return Window(startMs: bounds.startMs, endMs: bounds.endMs)
    }

    /// What a record has before it is read.
    static let blank = Window(startMs: 0, endMs: 1)

    private struct Bounds: RecordFields {
        var startMs: Int64
        var endMs: Int64

        static let blank = Bounds(startMs: 0, endMs: 0)

        @inline(__always)
        static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == Bounds {
            v.field("start", \.startMs, unit: .timeMs, "the first millisecond that belongs to it")
            v.field("end", \.endMs, unit: .timeMs, "the first millisecond that does not")
        }
    }
}
