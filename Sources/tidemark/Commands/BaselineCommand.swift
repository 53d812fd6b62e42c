import Glibc
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkText

/// `tidemark baseline build|show`.
func baselineCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    switch invocation.arguments[0] {
    case "build": return try build(invocation)
    case "show":
        guard invocation.arguments.count == 2 else {
            throw UsageError(
                message: "`baseline show` needs a file", hint: "tidemark baseline show FILE")
        }
        return show(invocation.arguments[1])
    case let other:
        throw UsageError(
            message: "`baseline` has no `\(other)`",
            hint: nearest(other, ["build", "show"]).map { "tidemark baseline \($0)" }
                ?? "tidemark baseline build or show")
    }
}

private func build(_ invocation: Invocation) throws(UsageError) -> Int32 {
    guard let input = invocation.value("--from") else {
        throw UsageError(
            message: "`baseline build` needs records",
            hint: "tidemark baseline build --from FILE --by model")
    }
    let windowCount = try invocation.count("--windows", in: 1...10_000_000)
    let bins = try invocation.count("--bins", in: 1...10_000) ?? 20
    if input == "-", windowCount != nil || invocation.value("--topology") == nil {
        throw UsageError(
            message: "standard input can be read once only",
            hint: "a file, or --topology and no --windows")
    }
    do throws(BaselineTable.Problem) {
        guard var form = try RecordForm(invocation, input: input) else { return ExitCode.topology }
        let rule = try edgeRule(invocation.value("--edges") ?? "auto", bins: bins)
        let dimensions = invocation.values("--by").flatMap {
            $0.split(separator: ",").map(String.init)
        }
        let opened: FileSource
        do throws(ConnectorError) {
            opened = try form.open(input)
            form.encoding = try obeyed(
                opened, columns: form.columns, encoding: form.encoding, path: input, log: nil
            ) { false }
        } catch {
            return printFailure(error)
        }
        let builder = try BaselineBuilder(
            columns: form.columns, encoding: form.encoding, by: dimensions,
            timeColumn: form.columns.firstIndex { $0.role == .time }, windowMs: form.windowMs,
            windowCount: windowCount, rowCountMax: 4096, filter: form.filter)
        do throws(ConnectorError) {
            var first: FileSource? = opened
            try builder.read { () throws(ConnectorError) in
                // The one whose first record was looked at; a second pass reads the file anew.
                let source = if let first { first } else { try form.open(input) }
                first = nil
                let start = PartitionStart(
                    slot: 0, partition: TopicPartition(topic: "baseline", partition: 0), offset: 0)
                return try source.open([[start]])[0]
            }
        } catch {
            return printFailure(error)
        }
        var made: [(name: String, value: String)] = [
            ("by", "tidemark \(programVersion)"), ("from", lastPathPart(input)),
            ("rows", "\(builder.rowCount)"), ("edges", invocation.value("--edges") ?? "auto"),
            ("bins", "\(bins)"),
        ]
        if !dimensions.isEmpty { made.append(("group_by", dimensions.joined(separator: ","))) }
        if let windowCount {
            made.append(("windows", "\(windowCount) of \(form.windowMs / 1000)s"))
        }
        let table = try builder.build(rule, made: made, pooled: invocation.has("--pooled"))
        try put(table.encoded(), to: invocation.value("--output"))
        printError(leftOutText(builder, table, columns: form.leftOut))
        return ExitCode.done
    } catch {
        printError("tidemark: \(error.message)\n")
        return ExitCode.environment
    }
}

/// What the records of a baseline are like: as a topology says, or as they look.
private struct RecordForm {
    var columns: [ColumnPlan]
    /// Fields that look like no column.
    var leftOut: [String] = []
    var encoding = RecordEncoding.json
    var filter: RowExpression?
    var windowMs: Int64 = 60_000
    var recordByteCountMax = 16 << 20

    /// `nil`: the topology has findings, which were printed.
    init?(_ invocation: Invocation, input: String) throws(BaselineTable.Problem) {
        if let path = invocation.value("--topology") {
            // Its baselines may not exist yet: that is what this command is for.
            let result = planTopology(path, invocation, schemaOnly: true)
            guard let plan = result.plan else {
                printError(
                    report(
                        result.diagnostics, overrides: invocation.values("--set"), format: "text"))
                return nil
            }
            columns = plan.stream.columns
            filter = plan.stream.filter
            encoding = plan.stream.source.encoding
            windowMs = plan.stream.windows.first?.lengthMs ?? windowMs
            recordByteCountMax = plan.limits.recordBytes
        } else {
            let guess = SchemaGuess(try firstRecords(input, 2000))
            columns = guess.columns
            leftOut = guess.leftOut
            guard !columns.isEmpty else {
                throw BaselineTable.Problem(
                    "\(input) holds no JSON objects; of CSV, --topology says what the columns are")
            }
        }
        if let text = invocation.value("--window") {
            guard let ms = durationMs(text) else {
                throw BaselineTable.Problem("`\(text)` is not a duration; like 30s, 1m, 1h")
            }
            windowMs = ms
        }
    }

    func open(_ input: String) throws(ConnectorError) -> FileSource {
        try FileSource(
            path: input, topic: "baseline", recordByteCountMax: recordByteCountMax,
            clock: .file, encoding: encoding)
    }
}

/// How edges are chosen: by a word, or as another baseline has them.
private func edgeRule(
    _ word: String, bins: Int
) throws(BaselineTable.Problem) -> BaselineBuilder.EdgeRule {
    switch word {
    case "auto": return .automatic(bins: bins)
    case "equal": return .equal(bins: bins)
    case "quantile": return .quantile(bins: bins)
    case let path:
        do throws(BaselineTable.Problem) {
            return .table(try BaselineTable(reading: path))
        } catch {
            throw BaselineTable.Problem("\(path) \(error.message)")
        }
    }
}

/// Writes a baseline to a file, or prints it.
private func put(_ bytes: [UInt8], to path: String?) throws(BaselineTable.Problem) {
    guard let path else { return printOut(String(decoding: bytes, as: UTF8.self)) }
    guard replaceFile(path, bytes) else {
        throw BaselineTable.Problem(
            "\(path) cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
}

/// How large a baseline became, and what is not in it.
private func leftOutText(
    _ builder: BaselineBuilder, _ table: BaselineTable, columns: [String]
) -> String {
    var text =
        "\(grouped(builder.rowCount)) rows, \(table.summary.groups.count) groups, \(table.summary.columns.count) columns\n"
    for (count, why) in [
        (builder.badCount, "they could not be read as rows"),
        (builder.timelessCount, "their event time can't be read"),
        (builder.filteredCount, "`filter` leaves them out"),
    ] where count > 0 { text += "\(grouped(count)) records left out: \(why)\n" }
    if !columns.isEmpty { text += "no columns: \(columns.joined(separator: ", "))\n" }
    text += blindText(table)
    if !builder.emptyColumns.isEmpty {
        text +=
            "warning: no record has a value of "
            + builder.emptyColumns.map { "`\($0)`" }.joined(separator: ", ")
            + ": the baseline has nothing of it\n"
    }
    return text
}

private func show(_ path: String) -> Int32 {
    do throws(BaselineTable.Problem) {
        let table = try BaselineTable(reading: path)
        printOut(baselineText(table, path))
        printError(blindText(table))
        return ExitCode.done
    } catch {
        printError("tidemark: \(path) \(error.message)\n")
        return ExitCode.environment
    }
}

/// A warning for each column in which most changes would not be seen.
private func blindText(_ table: BaselineTable) -> String {
    var columns: [(name: String, isNumeric: Bool, share: Double, group: String, count: Int)] = []
    for record in table.records where record.entry.isBlind {
        let share = record.entry.hiddenShare
        if let place = columns.firstIndex(where: { $0.name == record.column }) {
            columns[place].count += 1
            if share > columns[place].share {
                (columns[place].share, columns[place].group) = (share, record.group)
            }
            continue
        }
        var isNumeric = true
        if case .categorical = record.entry.shape { isNumeric = false }
        columns.append((record.column, isNumeric, share, record.group, 1))
    }
    return columns.map { column in
        "warning: `\(column.name)` can't be told apart: \(fixed(column.share * 100, 1))% of its rows"
            + " (\(column.group)\(column.count > 1 ? " and \(column.count - 1) more" : "")) lie in one "
            + (column.isNumeric
                ? "bin; `--edges auto` parts them\n"
                : "cell, of categories that are too many to name: `blind` or `drift` will be the verdict\n")
    }.joined()
}

/// A baseline for reading: a line a column, with a small picture of its cells.
func baselineText(_ table: BaselineTable, _ path: String) -> String {
    var text = "\(path)  sha256 \(table.contentHash.prefix(12))…\n"
    if !table.made.isEmpty {
        text +=
            "made  " + table.made.map { "\($0.name) \($0.value)" }.joined(separator: ", ") + "\n"
    }
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

extension String {
    func leftPadded(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}

private func lastPathPart(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
}

/// The first records of a file of JSON, unpacked where it is packed.
func firstRecords(_ path: String, _ count: Int) throws(BaselineTable.Problem) -> [[UInt8]] {
    do throws(ConnectorError) {
        let source = try FileSource(
            path: path, topic: "sample", recordByteCountMax: 16 << 20, clock: .file)
        let start = PartitionStart(
            slot: 0, partition: TopicPartition(topic: "sample", partition: 0), offset: 0)
        let reader = try source.open([[start]])[0]
        let batch = RecordBatch(recordCountMax: min(count, 4096), arenaCapacity: 1 << 20)
        var records: [[UInt8]] = []
        while records.count < count {
            try reader.poll(into: batch, timeoutMs: 0)
            if batch.recordCount == 0, reader.isAtEnd(0) { break }
            for row in 0..<batch.recordCount where records.count < count {
                if let value = unsafe batch.value(row) { records.append(unsafe Array(value)) }
            }
        }
        return records
    } catch {
        throw BaselineTable.Problem(error.message)
    }
}

/// `90s`, `5m`, `1h`, as the topology has durations.
private func durationMs(_ text: String) -> Int64? {
    let units: [(String, Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    for (unit, ms) in units where text.hasSuffix(unit) {
        guard let number = Int64(text.dropLast(unit.count)), number > 0 else { continue }
        let (product, isTooMuch) = number.multipliedReportingOverflow(by: ms)
        return isTooMuch ? nil : product
    }
    return nil
}
