import TidemarkText

/// What libyaml could not read, in its own words, and where.
struct YAMLProblem {
    /// libyaml's text.
    let problem: String
    /// What it was reading, in its words.
    let context: String
    /// Where it stopped.
    let place: Place
    /// Where what it was reading begins.
    let contextPlace: Place
    /// The text.
    let bytes: [UInt8]
    /// Where `place` is in the text; `nil`: at its end.
    let offset: Int?

    /// The same in our words.
    var diagnostic: Diagnostic {
        ofCharacter ?? ofMarker ?? ofStructure
            ?? Diagnostic(
                "yaml-syntax", at: place, "YAML can't be read on from here",
                expected: "`key: value`",
                suggestion: "quotes around the value, two spaces for each level")
    }

    private var here: UInt8? { offset.map { bytes[$0] } }

    /// A character that means something to YAML.
    private var ofCharacter: Diagnostic? {
        if here == 0x7b, let offset, offset > 0, bytes[offset - 1] == 0x24 {
            return ofReference(offset)
        }
        if here == 0x09 || problem.contains("tab") {
            return Diagnostic(
                "yaml-tab", at: place, "a tab", expected: "spaces",
                suggestion: "two spaces for each level")
        }
        if problem.contains("cannot start any token") {
            let text = here.map { String(decoding: [$0], as: UTF8.self) } ?? ""
            return Diagnostic(
                "yaml-character", at: place, "a value can't begin with \(shown(text))",
                expected: "quotes", suggestion: "quotes around the whole value")
        }
        return nil
    }

    /// `${NAME}` inside of braces.
    private func ofReference(_ offset: Int) -> Diagnostic {
        var end = offset
        while end < bytes.count, bytes[end] != 0x7d, bytes[end] != 0x0a, end - offset < 60 {
            end += 1
        }
        let text = "$" + String(decoding: bytes[offset..<end], as: UTF8.self) + "}"
        var place = place
        place.column -= 1
        return Diagnostic(
            "yaml-brace", at: place, "inside { } YAML reads \(shown(text)) as a map",
            expected: "quotes", suggestion: "`\"\(text)\"`")
    }

    /// An alias, a quote, a bracket, a colon or an escape.
    private var ofMarker: Diagnostic? {
        if context.contains("alias") || context.contains("anchor") {
            let isAlias = context.contains("alias")
            return Diagnostic(
                isAlias ? "yaml-alias" : "yaml-anchor", at: contextPlace,
                isAlias
                    ? "a leading `*` makes this a YAML alias"
                    : "a `&` in front makes this a YAML anchor", expected: "quotes",
                suggestion: "quotes around it")
        }
        if problem.contains("unexpected end of stream") || problem.contains("document indicator") {
            return Diagnostic(
                "yaml-quote", at: contextPlace, "a quote that is never closed",
                expected: "a second quote", suggestion: "close it on this line")
        }
        if problem.contains("expected ',' or '}'") || problem.contains("expected ',' or ']'") {
            let (bracket, closing) = problem.contains("'}'") ? ("{", "}") : ("[", "]")
            return Diagnostic(
                "yaml-bracket", at: place,
                "neither `,` nor `\(closing)` for the `\(bracket)` at "
                    + "\(contextPlace.line):\(contextPlace.column)",
                expected: "`,` or `\(closing)`",
                suggestion: "close it, or quotes around text with brackets in it")
        }
        if problem.contains("mapping values are not allowed") {
            return Diagnostic(
                "yaml-colon", at: place, "a `: ` inside a text makes it a key",
                expected: "one `key: value` a line",
                suggestion: "quotes around the text, or a line of its own")
        }
        if problem.contains("could not find expected ':'") {
            return Diagnostic(
                "yaml-colon", at: contextPlace, "this line has no `: `", expected: "`key: value`",
                suggestion: "a space behind the colon, or quotes around a text of several lines")
        }
        return nil
    }

    /// Lines that do not belong together, and escapes.
    private var ofStructure: Diagnostic? {
        if problem.contains("expected key") || problem.contains("'-' indicator")
            || problem.contains("block sequence entries")
        {
            return Diagnostic(
                "yaml-indent", at: place,
                contextPlace.line < place.line
                    ? "this does not line up with \(contextPlace.line):\(contextPlace.column)"
                    : "this can't stand here", expected: "the same column for keys of one map",
                suggestion: "two spaces for each level")
        }
        if problem.contains("escape") {
            return Diagnostic(
                "yaml-escape", at: place, "an escape that YAML does not know",
                expected: "like \\n, \\\", \\\\", suggestion: "single quotes: they know no escapes")
        }
        if problem.contains("document start") {
            return Diagnostic(
                "yaml-indent", at: place, "this stands outside of the map that the file is",
                expected: "keys at the first column", suggestion: "the same column for all keys")
        }
        return nil
    }
}
