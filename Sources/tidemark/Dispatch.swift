import Glibc
import TidemarkCore
import TidemarkDataflow
import TidemarkHTTP
import TidemarkOperators
import TidemarkPlanner
import TidemarkText
import TidemarkTopology

/// Runs one command line.
///
/// - Returns: the exit code.
func runTidemark(_ words: [String]) -> Int32 {
    takeStandardDescriptors()
    if let problem = processorProblem() {
        printError("tidemark: \(problem)\n")
        return ExitCode.environment
    }
    do throws(UsageError) {
        let code = try dispatch(try parse(words))
        guard let problem = outputProblem else { return code }
        printError("tidemark: standard output cannot be written: \(problem)\n")
        return code == ExitCode.done ? ExitCode.environment : code
    } catch {
        printError("tidemark: \(error.message)\n")
        if let hint = error.hint { printError("  try: \(hint)\n") }
        return ExitCode.usage
    }
}

private func dispatch(_ invocation: Invocation) throws(UsageError) -> Int32 {
    switch invocation.verb.name {
    case "run": return try runCommand(invocation)
    case "lint": return lintCommand(invocation)
    case "plan": return planCommand(invocation)
    case "init": return try initCommand(invocation)
    case "baseline": return try baselineCommand(invocation)
    case "inspect": return try inspectCommand(invocation)
    case "demo": return try demoCommand(invocation)
    case "dlq": return try dlqCommand(invocation)
    case "offsets": return try offsetsCommand(invocation)
    case "reset": return try resetCommand(invocation)
    case "topics": return try topicsCommand(invocation)
    case "alerts": return try alertsCommand(invocation)
    case "list":
        guard invocation.arguments.first == "operators" else {
            throw UsageError(
                message: "nothing to list by the name `\(invocation.arguments.first ?? "")`",
                hint: "tidemark list operators")
        }
        printOut(invocation.has("--markdown") ? catalogue.markdown : catalogue.listing)
    case "schema": printOut(catalogue.schema)
    case "explain":
        let rule = invocation.arguments.first ?? ""
        guard let text = explain(rule: rule) else {
            throw UsageError(message: "no rule `\(rule)`", hint: "a name as `lint` prints it")
        }
        printOut(text + "\n")
    case "completions": printOut(try completions(invocation.arguments.first ?? ""))
    case "version": printOut(versionText())
    default:
        if let name = invocation.arguments.first, !verbs.contains(where: { $0.name == name }) {
            throw UsageError(
                message: "no verb `\(name)`",
                hint: nearest(name, verbs.map(\.name)).map { "tidemark help \($0)" })
        }
        printOut(helpText(invocation.arguments.first))
    }
    return ExitCode.done
}

// MARK: run, lint, plan

private func runCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let isShadow = invocation.has("--no-alerts")
    let suffix = invocation.value("--suffix")
    if let suffix {
        guard isShadow, invocation.value("--output") == nil else {
            throw UsageError(
                message: "`--suffix` names the topics of a shadow",
                hint: "--no-alerts --suffix \(suffix)")
        }
        guard !suffix.isEmpty, suffix.utf8.allSatisfy(isTopicByte) else {
            throw UsageError(
                message: "`--suffix \(suffix)` can't end the name of a topic",
                hint: "--suffix .shadow")
        }
    }
    guard let loaded = loadTopology(invocation.arguments[0], invocation, quietly: true) else {
        return ExitCode.topology
    }
    var options = RunOptions(
        input: invocation.value("--input"), output: invocation.value("--output"),
        untilEnd: invocation.has("--until-end"), json: invocation.has("--json"),
        quiet: invocation.has("--quiet"))
    for text in invocation.values("--baseline") {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        let known = loaded.plan.stream.baselines.filter { $0.topic != nil }.map(\.name)
        guard parts.count == 2, known.contains(parts[0]) else {
            throw UsageError(
                message: "`--baseline \(text)` names no baseline that a topic has",
                hint: known.isEmpty
                    ? "delete it: the topology has none" : "--baseline \(known[0])=FILE")
        }
        options.baselines[parts[0]] = parts[1]
    }
    if let text = invocation.value("--http") {
        guard let address = HTTPAddress(text) else {
            throw UsageError(
                message: "`--http \(text)` is not an address and a port",
                hint: "--http 127.0.0.1:9464")
        }
        options.http = address
    }
    options.topologyPath = invocation.arguments[0] + (suffix.map { " --suffix \($0)" } ?? "")
    options.isShadow = isShadow
    options.suffix = suffix
    if options.input != nil, options.output == nil, !isShadow {
        printError(
            "tidemark: results go to \(loaded.plan.outputs.topics.map(printable).joined(separator: ", "))"
                + " at \(printable(loaded.plan.kafka.brokers))\n"
                + "  try: --output DIR writes them to files\n")
    }
    do throws(ConnectorError) {
        let summary = try runPlan(loaded, options)
        printOut(options.json ? summary.json() + "\n" : summary.text())
        return summary.exitCode
    } catch {
        return printFailure(error)
    }
}

private func isTopicByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2d, 0x2e, 0x5f: true
    default: false
    }
}

/// The finding about two topologies of one call that have the same `app`.
private func sharedApp(_ app: String, path: String, other: String) -> Diagnostic {
    Diagnostic(
        "shared-app", at: Place(file: path, line: 1, column: 1),
        "`app` is `\(printable(app))`, as in \(other)", expected: "each with its own `app`",
        suggestion: "`app: \(printable(app))-2`")
}

private func lintCommand(_ invocation: Invocation) -> Int32 {
    var code = ExitCode.done
    let format = invocation.value("--format") ?? "text"
    /// By `app`: who has it.
    var owners: [String: (path: String, name: String)] = [:]
    for path in invocation.arguments {
        var result = planTopology(path, invocation)
        if let plan = result.plan {
            if let other = owners[plan.app], other.name != plan.name {
                result.diagnostics.append(sharedApp(plan.app, path: path, other: other.path))
                result.plan = nil
            }
            owners[plan.app] = (path, plan.name)
        }
        printOut(report(result.diagnostics, overrides: invocation.values("--set"), format: format))
        let isDenied =
            invocation.value("--deny") != nil
            && result.diagnostics.contains { $0.severity == .warning }
        if result.plan == nil || isDenied { code = ExitCode.findings }
        if format == "text" {
            printOut("\(path): \(result.plan == nil ? "errors" : isDenied ? "warnings" : "ok")\n")
        }
    }
    return code
}

private func planCommand(_ invocation: Invocation) -> Int32 {
    let path = invocation.arguments[0]
    let result = planTopology(path, invocation)
    printError(report(result.diagnostics, overrides: invocation.values("--set"), format: "text"))
    guard result.plan != nil else { return ExitCode.topology }
    printOut(invocation.has("--json") ? planJSON(result) : planText(result))
    return ExitCode.done
}
