import TidemarkCore
import TidemarkOperators
import TidemarkRecords
import TidemarkText

// What `tidemark inspect` prints of records. The most important fields have places of their own; all others of a
// record's table follow with their names, so that none is forgotten.

extension AggregateRecord {
    /// The record, on a few lines.
    var text: String {
        var text = [operatorName, group.shown, column.isEmpty ? "-" : column, window.text]
            .joined(separator: "  ")
        if !complete { text += "  incomplete" }
        if rev > 0 { text += "  rev \(rev)" }
        if backfill { text += "  backfill" }
        var lines = [text, rowsLine, numbersLine]
        if let histogram {
            var line = "\(bars(histogram.counts))  \(histogram.edges)"
            if histogram.under > 0 { line += ", \(grouped(histogram.under)) under" }
            if histogram.over > 0 { line += ", \(grouped(histogram.over)) over" }
            lines.append(line)
        }
        if let top, !top.isEmpty {
            lines.append(top.prefix(5).map(\.text).joined(separator: ", "))
        }
        lines += partLines
        lines += drift.map(\.text)
        lines += verdicts.map(\.text)
        lines.append(
            Self.rest(
                of: encoded(),
                but: [
                    "operator", "group", "column", "window", "complete", "rev", "backfill", "rows",
                    "min", "mean", "sd", "max", "quantiles", "distinct", "histogram", "top",
                    "drift",
                    "verdicts", "state",
                ] + parts.members.map(\.name)))
        return lines.filter { !$0.isEmpty }.joined(separator: "\n    ")
    }

    private var rowsLine: String {
        var line = "\(grouped(rows.total)) rows"
        for (count, words) in [
            (rows.null, "null"), (rows.missing, "missing"), (rows.wrongType, "of a wrong type"),
            (rows.nonFinite, "not finite"), (rows.late, "late"),
            (rows.quarantined, "quarantined"),
        ] where count > 0 {
            line += ", \(grouped(count)) \(words)"
        }
        return line
    }

    private var numbersLine: String {
        var numbers: [String] = []
        for (name, number) in [("min", min), ("mean", mean), ("sd", sd), ("max", max)] {
            if let number { numbers.append("\(name) \(shortNumber(number))") }
        }
        for (name, value) in parts.members {
            if let number = value.asNumber { numbers.append("\(name) \(shortNumber(number))") }
        }
        for quantile in quantiles {
            numbers.append("\(quantileName(quantile.rank)) \(shortNumber(quantile.value))")
        }
        if let distinct {
            numbers.append("distinct about \(fixed(distinct.estimate, 0))")
        }
        return numbers.joined(separator: "  ")
    }

    /// What summaries added that is more than a number.
    private var partLines: [String] {
        parts.members.filter { $0.value.asNumber == nil }.flatMap { name, value in
            partFields.first { $0.facts.name == name }?.lines.map { $0(value) }
                ?? [memberText(name, value)]
        }
    }
}

extension AlertRecord {
    /// The record, on a few lines.
    var text: String {
        var text = [
            transition.rawValue, severity, monitor, group.shown, column, window.text,
        ].joined(separator: "  ")
        if let mutedBy { text += "  muted: \(mutedBy)" }
        var lines = [text, summary, factsLine]
        for (counts, words) in [(current, "now"), (reference, "then")] where !counts.isEmpty {
            lines.append("\(bars(counts))  \(words)")
        }
        if !tests.isEmpty { lines.append(tests.map(\.text).joined(separator: "  ")) }
        for (name, words) in [
            ("description", description), ("runbook", runbook), ("owner", owner),
        ] {
            if let words { lines.append("\(name): \(words)") }
        }
        lines.append(
            Self.rest(
                of: encoded(),
                but: [
                    "state", "severity", "monitor", "group", "column", "window", "muted",
                    "muted_by",
                    "summary", "test", "value", "threshold", "direction", "p", "level", "n",
                    "n_baseline", "opened", "histogram", "tests", "description", "runbook", "owner",
                ]))
        return lines.filter { !$0.isEmpty }.joined(separator: "\n    ")
    }

    private var factsLine: String {
        var facts: [String] = []
        if let value { facts.append("\(test) \(shortNumber(value))") }
        facts.append("\(isAbove ? "above" : "below") \(shortNumber(threshold))")
        if let p { facts.append("p \(p)") }
        if let level { facts.append("level \(level)") }
        for (count, words) in [(n, "rows"), (nBaseline, "rows of the baseline")] where count > 0 {
            facts.append("\(grouped(count)) \(words)")
        }
        facts.append("since \(timeText(openedMs))")
        return facts.joined(separator: "  ")
    }
}

extension LetterRecord {
    /// Why it is a letter, where the record came from, what is wrong with it, and how it begins.
    func text(payload: String) -> String {
        var text = "\(reason)  \(topic)/\(partition)/\(offset)  \(detail ?? "")"
        if let file { text += "  \(file):\(line ?? 0)" }
        if let windowStartMs { text += "  window \(timeText(windowStartMs))" }
        if let ms = ahead?.ms { text += "  ahead \(lengthText(ms))" }
        if isCut { text += "  cut short" }
        return text + "\n    \(payload.prefix(100))"
    }
}

extension TopItem {
    fileprivate var text: String {
        var text = "\(String(decoding: value, as: UTF8.self)) \(grouped(count))"
        if lower < upper { text += " (at least \(grouped(lower)))" }
        return text
    }
}

extension DriftRecord {
    fileprivate var text: String {
        "against \(baseline): \(tests.map(\.text).joined(separator: "  ")), \(grouped(n)) values and \(grouped(nBaseline))"
    }
}

extension TestRecord {
    fileprivate var text: String {
        "\(name) \(shortNumber(value))" + (p.map { " p \($0)" } ?? "")
    }
}

extension VerdictRecord {
    fileprivate var text: String {
        var text = "\(monitor): \(verdict.rawValue)"
        if let effect { text += ", effect \(shortNumber(effect))" }
        if let p { text += ", p \(p)" }
        if let level { text += " against \(level)" }
        if let expected { text += ", \(shortNumber(expected)) rows expected" }
        if let ignoreBelow { text += ", ignored below \(shortNumber(ignoreBelow))" }
        if !baseline.isEmpty { text += ", baseline \(baseline)" }
        if let learned {
            text +=
                ", learned \(grouped(learned.windows)) of \(grouped(learned.windowsNeeded)) windows"
            text += " and \(grouped(learned.rows)) of \(grouped(learned.rowsNeeded)) rows"
        }
        return text
    }
}

extension GroupValues {
    fileprivate var shown: String { text.isEmpty ? "all rows" : text }
}

extension Window {
    fileprivate var text: String { "\(timeText(startMs)) + \(lengthText(endMs &- startMs))" }
}

extension RecordFields {
    /// All fields of the table but those of these names, which have places of their own.
    fileprivate static func rest(of bytes: [UInt8], but shown: [String]) -> String {
        let members = (try? JSONValue(parsing: bytes))?.asObject ?? []
        let times = Set(facts().filter { $0.unit == .timeMs }.map(\.name))
        return members.filter { $0.name != "v" && !shown.contains($0.name) }.map { name, value in
            if times.contains(name), let ms = value.asInteger { return "\(name) \(timeText(ms))" }
            return memberText(name, value)
        }.joined(separator: "  ")
    }
}

/// A member of a record with its name: what nobody found more words for.
private func memberText(_ name: String, _ value: JSONValue) -> String {
    switch value {
    case .text(let text): return "\(name) \(text)"
    case .integer(let number): return "\(name) \(grouped(number))"
    case .number(let number): return "\(name) \(shortNumber(number))"
    case .boolean(let flag): return flag ? name : "not \(name)"
    case .null: return "\(name) null"
    case .object(let members):
        let inner = members.map { memberText($0.name, $0.value) }.joined(separator: ", ")
        return "\(name) (\(inner))"
    case .array(let values):
        let counts = values.compactMap(\.asInteger)
        if !counts.isEmpty, counts.count == values.count { return "\(name) \(bars(counts))" }
        return "\(name) "
            + values.prefix(5).map { memberText("", $0) }.joined(separator: ",")
            + (values.count > 5 ? ", … \(grouped(Int64(values.count - 5))) more" : "")
    }
}
