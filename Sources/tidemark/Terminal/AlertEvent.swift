import TidemarkCodec
import TidemarkCore
import TidemarkText

/// An event of an alert as a reader of the alerts topic gets it: what the console, the log and
/// `tidemark alerts` say of it.
struct AlertEvent {
    /// The alert's id, the same from its firing to its resolution.
    var id: String
    /// `firing`, `no_data` or `resolved`.
    var state: String
    var severity: String
    var monitor: String
    var segment: String
    var group: String
    var column: String
    var summary: String
    /// `backfill` or `cool_down`: published, and nobody is to be paged.
    var mutedBy: String?
    /// Start of the window that began it, ms since 1970.
    var openedMs: Int64
    /// The window that made the transition.
    var windowStartMs: Int64
    var windowEndMs: Int64

    var isResolved: Bool { state == "resolved" }

    /// Reads the value of a record of the alerts topic.
    ///
    /// - Returns: `nil`, if it is no alert of ours.
    init?(value bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes) else { return nil }
        self.init(value)
    }

    init?(_ value: JSONValue) {
        guard let id = value["id"]?.asText,
            let state = value["state"]?.asText, let monitor = value["monitor"]?.asText
        else { return nil }
        self.id = id
        self.state = state
        self.monitor = monitor
        severity = value["severity"]?.asText ?? ""
        segment = value["operator"]?.asText ?? ""
        column = value["column"]?.asText ?? ""
        summary = value["summary"]?.asText ?? ""
        mutedBy = value["muted_by"]?.asText
        windowStartMs = value["window"]?["start"]?.asInteger ?? 0
        windowEndMs = value["window"]?["end"]?.asInteger ?? 0
        openedMs = value["opened"]?.asInteger ?? windowStartMs
        let dimensions = value["group"]?.asObject ?? []
        group = dimensions.map { "\($0.name)=\($0.value.asText ?? "null")" }.joined(separator: ",")
    }

    /// One line for a person.
    var line: String {
        var text = "\(state.padded(8))  \(timeText(windowEndMs))  \(severity.padded(4))  \(summary)"
        if let mutedBy { text += "  (muted: \(mutedBy))" }
        return printable(text)
    }
}
