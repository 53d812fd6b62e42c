import Glibc
import Synchronization
package import TidemarkCore
import TidemarkText

/// The log: one event a line, fields and not prose, one write a line.
///
/// `level=warning event="pane overflow" topology=w1 rows=12`. An error means that someone must act.
/// Feature values and keys are never logged. The log also owns the terminal's status line, since
/// both are written to the same place: a line that is logged takes the status line away and draws it
/// again below.
package final class Log: Sendable {
    /// How much a line matters; each level holds those above it.
    package enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, warning, error

        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

        /// The name in a line and on the command line.
        package var name: String {
            switch self {
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            }
        }

        /// syslog's number, as journald takes it.
        fileprivate var journalPrefix: String {
            switch self {
            case .debug: "<7>"
            case .info: "<6>"
            case .warning: "<4>"
            case .error: "<3>"
            }
        }
    }

    /// What belongs to an event, in the order in which it is shown.
    package typealias Fields = KeyValuePairs<String, any CustomStringConvertible>

    /// Lines below this level are not written.
    package let levelMin: Level
    private let time: any TimeSource
    /// `<4>` instead of the time, for journald, which adds its own.
    private let isJournal: Bool
    private let write: @Sendable ([UInt8]) -> Void
    /// The status line that is on the terminal now; empty if none is.
    private let status = Mutex("")

    /// Makes a log whose lines go to `write`, each whole, or to standard error.
    package init(
        time: any TimeSource,
        level: Level = .info,
        journal: Bool = false,
        write: (@Sendable ([UInt8]) -> Void)? = nil
    ) {
        self.time = time
        self.levelMin = level
        self.isJournal = journal
        self.write = write ?? writeToStandardError
    }

    /// What helps only whoever looks for a fault.
    package func debug(_ event: String, _ fields: Fields = [:]) { log(.debug, event, fields) }
    /// What is as it should be.
    package func info(_ event: String, _ fields: Fields = [:]) { log(.info, event, fields) }
    /// What somebody should look at, though nothing has to be done now.
    package func warning(_ event: String, _ fields: Fields = [:]) { log(.warning, event, fields) }
    /// What somebody has to act on.
    package func error(_ event: String, _ fields: Fields = [:]) { log(.error, event, fields) }

    /// Writes one line, unless the level is below what is asked for.
    package func log(_ level: Level, _ event: String, _ fields: Fields = [:]) {
        log(level, event, fields.map { ($0.key, $0.value.description) })
    }

    /// The same with fields that are only known at run time.
    package func log(_ level: Level, _ event: String, _ fields: [(name: String, value: String)]) {
        guard level >= levelMin else { return }
        var line = isJournal ? level.journalPrefix : "ts=\(timeText(time.wallMs())) "
        line += "level=\(level.name) event=\(fieldText(event))"
        for (name, value) in fields { line += " \(name)=\(fieldText(value))" }
        line += "\n"
        status.withLock { status in
            write(Array((status.isEmpty ? line : "\r\u{1b}[K" + line + status).utf8))
        }
    }

    /// Writes a line for a person who looks at the terminal, as it is, unless its level is below what is asked
    /// for.
    package func print(_ line: String, _ level: Level) {
        guard level >= levelMin else { return }
        status.withLock { status in
            write(Array((status.isEmpty ? line + "\n" : "\r\u{1b}[K\(line)\n\(status)").utf8))
        }
    }

    /// Draws the terminal's status line anew (without a line end); an empty one takes it away.
    ///
    /// The caller asks only if standard error is a terminal.
    package func setStatus(_ text: String) {
        status.withLock { status in
            guard status != text else { return }
            status = text
            write(Array(("\r\u{1b}[K" + text).utf8))
        }
    }

    /// Whether standard error is a terminal, where a status line can be drawn.
    package static var isTerminal: Bool { isatty(2) == 1 }
}

private func writeToStandardError(_ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe Glibc.write(
                2,
                bytes.baseAddress.map { unsafe $0 + written },
                bytes.count - written
            )
        }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        written += count
    }
}

/// The value as it is, or in quotes if it has spaces, quotes, `=` or control characters.
private func fieldText(_ value: String) -> String {
    let isPlain =
        !value.isEmpty
        && value.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0 != "\\" && !isControl($0)
        }
    guard !isPlain else { return value }
    var text = "\""
    for character in value.unicodeScalars {
        switch character {
        case "\"": text += "\\\""
        case "\\": text += "\\\\"
        case "\n": text += "\\n"
        case "\t": text += "\\t"
        case "\r": text += "\\r"
        case _ where isControl(character):
            text += "\\u{\(String(character.value, radix: 16))}"
        default: text.unicodeScalars.append(character)
        }
    }
    return text + "\""
}

/// C0, DEL and C1, and what turns the direction of a line around.
private func isControl(_ character: Unicode.Scalar) -> Bool {
    character.value < 0x20 || 0x7F...0x9F ~= character.value
        || 0x200E...0x200F ~= character.value || 0x2028...0x202E ~= character.value
        || 0x2066...0x2069 ~= character.value
}
