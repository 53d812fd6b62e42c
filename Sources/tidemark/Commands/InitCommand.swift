import Glibc
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner

/// `tidemark init --from FILE`: a topology to begin with, made of a sample of records.
func initCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    guard let input = invocation.value("--from") else {
        throw UsageError(
            message: "`init` needs records to look at",
            hint: "tidemark init --from records.ndjson > topology.yaml")
    }
    do throws(BaselineTable.Problem) {
        let records = try firstRecords(input, 2000)
        let guess = SchemaGuess(records)
        guard !guess.columns.isEmpty else {
            throw BaselineTable.Problem("\(input) holds no JSON objects")
        }
        printOut(
            starterTopology(
                guess, from: input, recordCount: records.count,
                topic: invocation.value("--topic")))
        return ExitCode.done
    } catch {
        printError("tidemark: \(error.message)\n")
        return ExitCode.environment
    }
}

/// The text of a topology that watches every column of a guess.
func starterTopology(
    _ guess: SchemaGuess, from input: String, recordCount: Int, topic: String?
) -> String {
    let file = input.split(separator: "/").last.map(String.init) ?? "records"
    var name = ""
    for scalar in (topic ?? String(file.prefix { $0 != "." })).lowercased().unicodeScalars.prefix(
        60)
    {
        let isFine = ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
        name.unicodeScalars.append(isFine ? scalar : "-")
    }
    if !("a"..."z").contains(name.unicodeScalars.first ?? "0") { name = "t-" + name }
    var text = """
        # Guessed from \(recordCount) records of \(printable(file)): look at each column before you rely on it.
        name: \(name)
        source:
          topic: \(topic ?? name)
          schema:

        """
    for column in guess.columns {
        let word = typeWord(column)
        guard column.path != [.key(column.name)] else {
            text += "    \(column.name): \(word)\n"
            continue
        }
        let key = column.role == .feature || column.role == .time ? "type" : "role"
        let path = PathText.text(column.path).replacing("'", with: "''")
        text += "    \(column.name): { \(key): \(word), path: '\(path)' }\n"
    }
    for place in guess.leftOut { text += "    # not read: \(place)\n" }
    return text + "windows: [5m]\n"
}

/// The word of the language for what a column is.
private func typeWord(_ column: ColumnPlan) -> String {
    switch (column.role, column.type) {
    case (.time, .time(let unit)): "time_\(unit.rawValue)"
    case (.feature, .number): "number"
    case (.feature, .boolean): "boolean"
    case (.feature, _): "category"
    case (let role, _): role.rawValue
    }
}
