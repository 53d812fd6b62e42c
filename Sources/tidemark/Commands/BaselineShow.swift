import TidemarkDataflow
import TidemarkMonitors
import TidemarkText

/// `tidemark baseline show FILE`: a line for each column, or a column cell by cell.
func showBaseline(_ path: String, _ invocation: Invocation) -> Int32 {
    do throws(BaselineTable.Problem) {
        let table = try BaselineTable(reading: path)
        let column = invocation.value("--column")
        if let column, !table.records.contains(where: { $0.column == column }) {
            let names = table.summary.columns.map(\.name)
            throw BaselineTable.Problem(
                "has no column `\(column)`; it has \(names.joined(separator: ", "))"
                    + (nearest(column, names).map { ": `\($0)`?" } ?? ""))
        }
        if invocation.has("--json") {
            var json = JSONWriter()
            json.value(baselineJSON(table, column))
            printOut(String(decoding: json.bytes, as: UTF8.self) + "\n")
            return ExitCode.done
        }
        printOut(column.map { columnText(table, $0, path) } ?? baselineText(table, path))
        printError(blindText(table))
        return ExitCode.done
    } catch {
        printError("tidemark: \(path) \(error.message)\n")
        return ExitCode.environment
    }
}

/// What a baseline holds, for programs: cells with what falls into them.
private func baselineJSON(_ table: BaselineTable, _ column: String?) -> JSONValue {
    .object([
        ("sha256", .text(table.contentHash)),
        ("made", .object(table.made.map { ($0.name, .text($0.value)) })),
        (
            "columns",
            .array(
                table.records.filter { column == nil || $0.column == column }.map { record in
                    .object([
                        ("group", .text(record.group)), ("column", .text(record.column)),
                        ("rows", .integer(record.entry.rowCount)),
                        ("nulls", .integer(record.entry.nullCount)),
                        ("blind", .boolean(record.entry.isBlind)),
                        (
                            "cells",
                            .array(
                                record.entry.cells.indices.map { cellJSON($0, record.entry) })
                        ),
                    ])
                })
        ),
    ])
}

/// A cell of an entry: what falls into it, with its exact bounds where it has some.
private func cellJSON(_ cell: Int, _ entry: BaselineTable.Entry) -> JSONValue {
    var members: [(String, JSONValue)] = [("cell", .text(cellLabels(entry)[cell]))]
    if case .numeric(let edges, let isOpen, _, let counts, _) = entry.shape {
        let bin = isOpen ? cell : cell - 1
        let (first, last) = isOpen ? (1, counts.count - 2) : (0, counts.count - 1)
        if bin >= first, bin <= counts.count { members.append(("from", .number(edges[bin]))) }
        if bin <= last { members.append(("to", .number(edges[bin + 1]))) }
    }
    return .object(members + [("rows", .integer(entry.cells[cell]))])
}

/// What falls into each cell of an entry.
private func cellLabels(_ entry: BaselineTable.Entry) -> [String] {
    switch entry.shape {
    case .categorical(let categories, _, _): return categories + ["all others"]
    case .numeric(let edges, let isOpen, _, let counts, _):
        var labels = (0..<counts.count).map { bin in
            let atom = entry.atoms.first { edges[bin] <= $0 && $0 < edges[bin + 1] }
            return atom.map { shortNumber($0) }
                ?? "\(shortNumber(edges[bin])) to \(shortNumber(edges[bin + 1]))"
        }
        guard isOpen else {
            return ["below \(shortNumber(edges.first))"] + labels
                + ["\(shortNumber(edges.last)) and above"]
        }
        guard counts.count > 1 else { return ["everything"] }
        labels[0] = "below \(shortNumber(edges[1]))"
        labels[counts.count - 1] = "\(shortNumber(edges[counts.count - 1])) and above"
        return labels
    }
}

/// A column, cell by cell: what falls into it, how many rows, their share, and a bar.
private func columnText(_ table: BaselineTable, _ column: String, _ path: String) -> String {
    var text = headText(table, path)
    for record in table.records where record.column == column {
        let entry = record.entry
        text += "\n\(column) of \(record.group == "*" ? "all groups together" : record.group)\n"
        let all = entry.rowCount + entry.nullCount
        let nullShare = all > 0 ? Double(entry.nullCount) / Double(all) : 0
        text +=
            "  \(grouped(entry.rowCount)) rows with a value, \(grouped(entry.nullCount)) without"
            + " (\(fixed(nullShare * 100, 2))%)\n"
        let labels = cellLabels(entry)
        let width = labels.map(\.count).max() ?? 0
        let most = entry.cells.max() ?? 0
        for (label, count) in zip(labels, entry.cells) {
            let share = entry.rowCount > 0 ? Double(count) / Double(entry.rowCount) : 0
            text +=
                "  \(label.padded(width))  \(grouped(count).leftPadded(11))"
                + "  \(fixed(share * 100, 2).leftPadded(6))%"
                + (count > 0 ? "  \(bar(count, of: most))\n" : "\n")
        }
        if entry.isBlind { text += "  BLIND: one cell of many values holds most of the rows\n" }
    }
    return text
}

/// Up to forty letters wide, in eighths.
private func bar(_ count: Int64, of most: Int64) -> String {
    guard most > 0, count > 0 else { return "" }
    let eighths = max(1, Int((Double(count) / Double(most) * 320).rounded()))
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
}

private func headText(_ table: BaselineTable, _ path: String) -> String {
    var text = "\(path)  sha256 \(table.contentHash.prefix(12))…\n"
    if !table.made.isEmpty {
        text +=
            "made  " + table.made.map { "\($0.name) \($0.value)" }.joined(separator: ", ") + "\n"
    }
    return text
}

/// A baseline for reading: a line a column, with a small picture of its cells.
func baselineText(_ table: BaselineTable, _ path: String) -> String {
    var text = headText(table, path)
    let width = table.records.map { $0.column.count }.max() ?? 0
    for group in table.summary.groups {
        text += "\n\(group == "*" ? "all groups together" : group)\n"
        for record in table.records where record.group == group {
            let entry = record.entry
            text +=
                "  \(record.column.padded(width))  \(grouped(entry.rowCount).leftPadded(11)) rows"
            text += "  \(grouped(entry.nullCount).leftPadded(8)) without  \(bars(entry.cells))  "
            switch entry.shape {
            case .numeric(let edges, let isOpen, _, let counts, _):
                // What bounds an open bin is no end of the data.
                let (first, last) =
                    isOpen
                    ? (edges.dropFirst().first, edges.dropLast().last)
                    : (edges.first, edges.last)
                if isOpen, counts.count < 2 {
                    text += "1 bin of everything"
                } else {
                    text += "\(counts.count) bins \(shortNumber(first)) … \(shortNumber(last))"
                    if isOpen { text += ", and all beyond" }
                }
                let atoms = entry.atoms
                if !atoms.isEmpty {
                    text +=
                        ", alone: "
                        + atoms.prefix(5).map { shortNumber($0) }
                        .joined(separator: ", ")
                    if atoms.count > 5 { text += ", … \(atoms.count) in all" }
                }
                if entry.isBlind { text += "  BLIND" }
            case .categorical(let categories, _, let other):
                text += categories.prefix(3).joined(separator: ", ")
                if categories.count > 3 { text += ", … \(categories.count) in all" }
                if other > 0 { text += " and \(grouped(other)) rows of others" }
                if entry.isBlind { text += "  BLIND" }
            }
            text += "\n"
        }
    }
    return text
}
