import TidemarkCore
import TidemarkText

/// The headers of an alert: the attributes of CloudEvents 1.0, in the binary mode of its Kafka binding.
package struct AlertHeaders: Sendable, Equatable {
    /// The version of CloudEvents.
    package var specVersion: String
    /// The event's id: the same when it is published again after a restart.
    package var id: String
    /// `tidemark.alert.` and the state.
    package var type: String
    /// `tidemark/` and the topology.
    package var source: String
    /// The group, and the column where it is about one.
    package var subject: String
    /// End of the window that made the transition, RFC 3339.
    package var time: String
    /// What the value is.
    package var contentType: String
}

extension AlertHeaders: HeaderFields {
    package static var blank: AlertHeaders {
        AlertHeaders(
            specVersion: "", id: "", type: "", source: "", subject: "", time: "", contentType: "")
    }

    @inline(__always)
    package static func headers<V: HeaderVisitor>(_ v: inout V) where V.Record == AlertHeaders {
        v.header("ce_specversion", \.specVersion, "`1.0`")
        v.header("ce_id", \.id, "the event's id: the same on a replay")
        v.header(
            "ce_type", \.type,
            "`tidemark.alert.firing`, `.resolved`, or `.no_data` (nothing comes: a freshness monitor)"
        )
        v.header("ce_source", \.source, "`tidemark/` and the topology's name")
        v.header(
            "ce_subject", \.subject,
            "the group as keys of aggregates have it, and behind a `/` the column, where it is about one"
        )
        v.header("ce_time", \.time, "the end of `window`, RFC 3339")
        v.header("content-type", \.contentType, "`application/json`")
    }
}

extension AlertRecord {
    /// CloudEvents 1.0 attributes, binary mode of the Kafka binding.
    package var headers: [(name: String, value: [UInt8])] {
        // Without a column it is about the group, or the source, as a whole.
        let subject =
            String(decoding: group.part, as: UTF8.self)
            + (column.isEmpty
                ? "" : "/" + String(decoding: percentEncoded(Array(column.utf8)), as: UTF8.self))
        return AlertHeaders(
            specVersion: "1.0", id: eventId, type: "tidemark.alert.\(transition.rawValue)",
            source: "tidemark/\(topology)", subject: subject, time: timeText(window.endMs),
            contentType: "application/json"
        ).written()
    }
}
