import TidemarkDataflow
import TidemarkDrift
import TidemarkExpressions
import TidemarkLanguage

extension Catalogue {
    /// The reference of the language in Markdown: words for columns, and every key of every part.
    package var markdown: String {
        var text = "## Words for columns\n\n"
        text += table(
            ["type", "what a value is"], ColumnWords.types.map { ["`\($0.word)`", $0.meaning] })
        text += table(
            ["event time", "how it is written"],
            ColumnWords.times.map { ["`\($0.word)`", $0.meaning] })
        text += table(
            ["role", "type unless told otherwise", "what it is for"],
            [["`feature`", "", "an input of the model; what a type alone means"]]
                + ColumnWords.roles.map { role in
                    let type = ColumnWords.types.first { $0.type == role.type }?.word ?? ""
                    return ["`\(role.word)`", type, role.meaning]
                })
        text += table(
            ["selector", "columns that it picks"],
            ColumnWords.selectors.map { ["`\($0.word)`", $0.meaning] })
        text += "## Functions of row expressions\n\n"
        text += table(
            ["function", "gives", "meaning"],
            RowFunctions.specs.map { spec in
                ["`\(spec.signature)`", spec.gives?.rawValue ?? "as a", spec.help]
            })
        text += "## Functions of windows\n\n"
        text += table(
            ["function", "meaning"], Aggregates.listed.map { ["`\($0.signature)`", $0.help] })
        text += "## Two-sample tests\n\n"
        text += table(
            ["test", "columns", "default of `ignore_below`", "p", "what is measured", "source"],
            TestWords.rows)
        text += "## All keys\n\n"
        for part in parts where !part.keysOfNow.isEmpty {
            text +=
                "### \(part.path.isEmpty ? "the top level" : "`\(part.path)`")\n\n"
                + "\(part.summary)\n\n"
            text += table(
                ["key", "value", "default", "meaning"],
                part.keysOfNow.map { key in
                    [
                        "`\(key.name)`", key.expected,
                        key.isRequired ? "required" : key.defaultText ?? "", key.help,
                    ]
                })
            text += part.example.split(separator: "\n").map { "    \($0)\n" }.joined() + "\n"
        }
        return text
    }

    /// The parts of the language and the two-sample tests, for a terminal.
    package var listing: String {
        parts.map(listing).joined() + functionListing + testListing
    }

    /// The functions of row expressions, a line each.
    private var functionListing: String {
        let specs = RowFunctions.specs
        let width = specs.map(\.signature.utf8.count).max() ?? 0
        return "functions  what row expressions know: filter, derive, where, rule\n"
            + specs.map { "    \(padded($0.signature, width))  \($0.help)\n" }.joined() + "\n"
            + "aggregates  what expressions over windows know: metrics, metric, when\n"
            + Aggregates.listed.map { "    \(padded($0.signature, width))  \($0.help)\n" }.joined()
            + "\n"
    }

    private func listing(_ part: PartSpec) -> String {
        var text = "\(part.name)  \(part.summary)\n"
        let width = part.keys.map(\.name.utf8.count).max() ?? 0
        for key in part.keysOfNow {
            text += "    \(padded(key.name, width))  \(key.form.typeName)"
            if let unit = key.form.unit { text += ", \(unit)" }
            if let defaultText = key.defaultText { text += ", default \(defaultText)" }
            if let limits = key.form.limits { text += ", \(limits)" }
            text += ": \(key.help)\n"
        }
        return text
            + "    example: \(part.example.replacing("\n", with: "\n             "))\n\n"
    }

    /// The two-sample tests, a line each.
    private var testListing: String {
        let width = TestWords.names.map(\.utf8.count).max() ?? 0
        var text = "tests  what `test` of a drift monitor takes, beside auto\n"
        for spec in TwoSample.specs {
            text += "    \(padded(spec.name, width))  \(TestWords.columns(spec)), ignore_below"
            text += " \(numberText(spec.ignoreBelow)): \(spec.help)\n"
        }
        return text
    }
}

private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: width - text.utf8.count)
}

private func row(_ cells: [String]) -> String {
    "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
}

private func table(_ head: [String], _ rows: [[String]]) -> String {
    row(head) + "|" + String(repeating: "---|", count: head.count) + "\n"
        + rows.map(row).joined() + "\n"
}
