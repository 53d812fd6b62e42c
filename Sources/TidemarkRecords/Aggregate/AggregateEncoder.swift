import TidemarkText

/// Writes records of the aggregates topic one after the other.
///
/// What the records of a group and window have in common is written once.
package struct AggregateEncoder: ~Copyable {
    private var json = JSONWriter(capacity: 2048)
    private var group: [UInt8] = []
    private var window: [UInt8] = []

    package init() {}

    /// Says that the records that follow are of the group and window of this one.
    package mutating func begin(_ record: AggregateRecord) {
        json.removeAll()
        json.beginObject()
        record.writeFields(to: &json) { AggregateRecord.groupFields(&$0) }
        group = json.bytes
        json.removeAll()
        record.writeFields(to: &json) { AggregateRecord.windowFields(&$0) }
        window = json.bytes
    }

    /// The record's value, JSON.
    package mutating func encode(_ record: AggregateRecord) -> [UInt8] {
        json.removeAll()
        json.raw(group)
        record.writeFields(to: &json) { AggregateRecord.columnFields(&$0) }
        json.raw(window)
        record.writeFields(to: &json) { AggregateRecord.valueFields(&$0) }
        json.endObject()
        return json.bytes
    }
}
