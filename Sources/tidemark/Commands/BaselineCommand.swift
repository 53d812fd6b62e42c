import Glibc
import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkTelemetry
import TidemarkText

/// `tidemark baseline build|show|publish`.
func baselineCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    switch invocation.arguments[0] {
    case "build": return try build(invocation)
    case "show":
        guard invocation.arguments.count == 2 else {
            throw UsageError(
                message: "`baseline show` needs a file", hint: "tidemark baseline show FILE")
        }
        return showBaseline(invocation.arguments[1], invocation)
    case "publish":
        guard invocation.arguments.count == 2 else {
            throw UsageError(
                message: "`baseline publish` needs a file",
                hint: "tidemark baseline publish FILE --topology TOPOLOGY")
        }
        return try publishBaseline(invocation.arguments[1], invocation)
    case let other:
        throw UsageError(
            message: "`baseline` has no `\(other)`",
            hint: nearest(other, ["build", "show", "publish"]).map { "tidemark baseline \($0)" }
                ?? "tidemark baseline build, show or publish")
    }
}

private func build(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let windowCount = try invocation.count("--windows", in: 1...10_000_000)
    let bins = try invocation.count("--bins", in: 1...10_000) ?? 20
    do throws(BaselineTable.Problem) {
        guard let form = try RecordForm(invocation, windowCount: windowCount) else {
            return ExitCode.topology
        }
        let rule = try edgeRule(invocation.value("--edges") ?? "auto", bins: bins)
        let dimensions = invocation.values("--by").flatMap {
            $0.split(separator: ",").map(String.init)
        }
        var records = BaselineRecords(form)
        do throws(ConnectorError) {
            try records.openFirst()
        } catch {
            return printFailure(error)
        }
        let builder = try BaselineBuilder(
            columns: form.columns, encoding: records.encoding, by: dimensions,
            timeColumn: form.columns.firstIndex { $0.role == .time }, windowMs: form.windowMs,
            windowCount: windowCount, rowCountMax: 4096, filter: form.filter)
        do throws(ConnectorError) {
            try builder.read { take throws(ConnectorError) in
                try records.read(into: builder.makeBatch(), take)
            }
        } catch {
            return printFailure(error)
        }
        var made: [(name: String, value: String)] = [
            ("by", "tidemark \(programVersion)"),
            ("from", form.inputs.map(\.name).joined(separator: ", ")),
            ("at", timeText(SystemTime().wallMs())),
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

/// How edges are chosen: by a word, or as another baseline has them.
private func edgeRule(
    _ word: String, bins: Int
) throws(BaselineTable.Problem) -> BaselineBuilder.EdgeRule {
    switch word {
    case "auto": return .automatic(bins: bins)
    case "equal": return .equal(bins: bins)
    case "quantile": return .quantile(bins: bins)
    case "topology": return .columns(bins: bins)
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

/// A warning for each column in which most changes would not be seen.
func blindText(_ table: BaselineTable) -> String {
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

extension String {
    func leftPadded(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
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
