package import TidemarkText

/// A place in a topology, both numbers from 1.
package struct Place: Sendable, Hashable, Comparable {
    /// As it was named: a path, or `--set`.
    package var file: String
    /// From 1.
    package var line: Int
    /// From 1, in characters.
    package var column: Int

    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    package static func < (a: Place, b: Place) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
}

/// Something to say about a place in a topology: what was found, what was expected, what to do.
package struct Diagnostic: Sendable, Hashable {
    /// A topology with an error does not run; a note asks for nothing.
    package enum Severity: String, Sendable, CaseIterable { case error, warning, note }

    /// As it was named: a path, or `--set`.
    package var file: String
    /// From 1.
    package var line: Int
    /// From 1, in characters.
    package var column: Int
    /// Whether the topology can run all the same.
    package var severity: Severity
    /// `unknown-key`: `tidemark explain` knows it.
    package var rule: String
    /// What was found, for a person.
    package var message: String
    /// What could have stood there; `nil`: there is no one thing to name.
    package var expected: String?
    /// What to write or to run instead; `nil`: nobody can know.
    package var suggestion: String?

    /// A finding about a place.
    package init(
        _ rule: String, _ severity: Severity = .error, at place: Place, _ message: String,
        expected: String? = nil, suggestion: String? = nil
    ) {
        file = place.file
        line = place.line
        column = place.column
        self.severity = severity
        self.rule = rule
        self.message = message
        self.expected = expected
        self.suggestion = suggestion
    }

    /// Where it is.
    package var place: Place { Place(file: file, line: line, column: column) }

    /// Three lines, then the line of the source with a caret under the place, if `source` is given.
    package func rendered(source: String?) -> String {
        var text = "\(file):\(line):\(column): \(severity.rawValue)[\(rule)]: \(message)\n"
        if let expected { text += "  expected: \(expected)\n" }
        if let suggestion { text += "  try: \(suggestion)\n" }
        guard let source, let found = Self.line(line, of: source) else { return text }
        // A long line is shown around the place.
        let shownMax = 100
        let characters = Array(found.unicodeScalars)
        let from = column > shownMax ? column - shownMax / 2 : 0
        let to = min(characters.count, from + shownMax)
        guard from <= to else { return text }
        var shown = ""
        var caret = ""
        for (index, scalar) in characters[from..<to].enumerated() {
            shown.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
            if from + index + 1 < column { caret += " " }
        }
        let number = String(line)
        let margin = String(repeating: " ", count: number.utf8.count)
        text += "  \(number) | \(shown)\n"
        text += "  \(margin) | \(caret)^\n"
        return text
    }

    private static func line(_ number: Int, of source: String) -> String? {
        var current = 1
        var bytes: [UInt8] = []
        for byte in source.utf8 {
            if byte == 0x0a {
                if current == number { break }
                current += 1
                continue
            }
            if current == number { bytes.append(byte) }
        }
        guard current == number else { return nil }
        if bytes.last == 0x0d { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// One line of JSON.
    package func json() -> String {
        var writer = JSONWriter()
        writer.value(asJSON)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// As a member of a list of findings.
    package var asJSON: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("file", .text(file)), ("line", .integer(Int64(line))),
            ("column", .integer(Int64(column))), ("severity", .text(severity.rawValue)),
            ("rule", .text(rule)), ("message", .text(message)),
        ]
        if let expected { members.append(("expected", .text(expected))) }
        if let suggestion { members.append(("try", .text(suggestion))) }
        return .object(members)
    }

    /// One line that GitHub shows beside the change (a workflow command).
    package func github() -> String {
        let word =
            switch severity {
            case .error: "error"
            case .warning: "warning"
            case .note: "notice"
            }
        var text = message
        if let expected { text += " · expected: \(expected)" }
        if let suggestion { text += " · try: \(suggestion)" }
        func escaped(_ text: String, property: Bool) -> String {
            var out = ""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "%": out += "%25"
                case "\r": out += "%0D"
                case "\n": out += "%0A"
                case ":" where property: out += "%3A"
                case "," where property: out += "%2C"
                default: out.unicodeScalars.append(scalar)
                }
            }
            return out
        }
        return "::\(word) file=\(escaped(file, property: true)),line=\(line),col=\(column),"
            + "title=\(escaped(rule, property: true))::\(escaped(text, property: false))"
    }
}
