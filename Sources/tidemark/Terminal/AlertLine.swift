import TidemarkCore
import TidemarkRecords
import TidemarkText

/// What the console, the log and `tidemark alerts` say of an alert that was published.
extension AlertRecord {
    var isResolved: Bool { transition == .resolved }

    /// One line for a person.
    var line: String {
        var text =
            "\(transition.rawValue.padded(8))  \(timeText(window.endMs))  \(severity.padded(4))  \(summary)"
        if let mutedBy { text += "  (muted: \(mutedBy))" }
        return printable(text)
    }
}
