import TidemarkDrift
import TidemarkLanguage

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
