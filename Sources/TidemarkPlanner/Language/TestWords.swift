import TidemarkDrift

/// What the language says of two-sample tests: all of it from their list.
enum TestWords {
    /// Names as `test` takes them, without `auto`.
    static var names: [String] { TwoSample.specs.map(\.name) }

    /// `numbers`, or `numbers, categories`.
    static func columns(_ spec: TestSpec) -> String {
        var words: [String] = []
        if spec.columns.contains(.numbers) { words.append("numbers") }
        if spec.columns.contains(.categories) { words.append("categories") }
        return words.joined(separator: ", ")
    }

    /// Rows of the reference: name, columns, default of `ignore_below`, p, what is measured, source.
    static var rows: [[String]] {
        TwoSample.specs.map {
            [
                "`\($0.name)`", columns($0), numberText($0.ignoreBelow),
                $0.hasP ? "its own" : "", $0.help, $0.source,
            ]
        }
    }
}

/// The two-sample tests as `tidemark list operators` has them, indented, a line each.
package func testListing() -> String {
    let width = TestWords.names.map(\.utf8.count).max() ?? 0
    var text = "tests  what `test` of a drift monitor takes, beside auto\n"
    for spec in TwoSample.specs {
        let padding = String(repeating: " ", count: width - spec.name.utf8.count)
        text += "    \(spec.name)\(padding)  \(TestWords.columns(spec)), ignore_below"
        text += " \(numberText(spec.ignoreBelow)): \(spec.help)\n"
    }
    return text
}
