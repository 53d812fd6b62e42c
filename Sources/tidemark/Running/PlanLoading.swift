import Glibc
import TidemarkDataflow
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkTopology

/// What topologies can say.
///
/// Summaries and kinds of monitors that are declared beside the code that computes them are listed here.
let catalogue = Catalogue(
    summaries: declaredSummaries, monitors: MonitorKinds.declared,
    checks: QualityChecks.specs)

/// A plan with the baselines it names.
struct LoadedPlan {
    var plan: Plan
    /// Hash of what shapes the data.
    var dataHash: String
    /// In the order of `plan.stream.baselines`.
    var baselines: [BaselineTable]
    /// Where the topology was read from.
    var path = ""

    /// Files that a run with these options reads.
    func inputs(_ options: RunOptions) -> [String] {
        let input = options.input ?? plan.stream.source.file
        return [input, path].compactMap(\.self).filter { !$0.isEmpty && $0 != "-" }
            + plan.stream.baselines.map(\.path).filter { !$0.isEmpty }
    }
}

/// Plans a topology file, reading baselines, files and the environment as it asks for them.
func planTopology(
    _ path: String, _ invocation: Invocation, schemaOnly: Bool = false
) -> PlanResult {
    let planner = Planner(
        catalogue: catalogue,
        loadBaseline: { path in
            do throws(BaselineTable.Problem) {
                return .success(try BaselineTable(reading: path).summary)
            } catch {
                return .failure(BaselineProblem(error.message))
            }
        },
        environment: { name in
            guard let value = unsafe getenv(name) else { return nil }
            return unsafe String(cString: value)
        },
        readFile: { path in
            do throws(BaselineTable.Problem) {
                return .success(try readWholeFile(path))
            } catch {
                return .failure(FileProblem(error.message))
            }
        })
    return planner.plan(
        path: path, overrides: invocation.values("--set"), overlay: invocation.value("--with"),
        schemaOnly: schemaOnly)
}

/// The baselines of a plan, in its order.
func loadBaselines(_ plan: Plan) throws(BaselineTable.Problem) -> [BaselineTable] {
    var tables: [BaselineTable] = []
    for baseline in plan.stream.baselines {
        guard !baseline.isOfStream else {
            // What the stream says begins with nothing.
            tables.append(BaselineTable(records: []))
            continue
        }
        let table: BaselineTable
        do throws(BaselineTable.Problem) {
            table = try BaselineTable(reading: baseline.path)
        } catch {
            throw BaselineTable.Problem("\(baseline.path) \(error.message)")
        }
        guard table.contentHash == baseline.contentHash else {
            throw BaselineTable.Problem("\(baseline.path) changed while it was read")
        }
        tables.append(table)
    }
    return tables
}

/// Findings as they are shown, and whether any of them stops the topology.
///
/// Each finding is shown with its line of the file that it is in: the topology, what was laid over it, or the
/// `overrides` of the command line, a line each.
func report(_ diagnostics: [Diagnostic], overrides: [String], format: String) -> String {
    var texts: [String: String?] = [overridesFile: overrides.joined(separator: "\n")]
    // A line with a secret in it is shown by nobody.
    let hidden = Set(
        diagnostics.filter { $0.rule == "secret-literal" }.flatMap { secret in
            diagnostics.filter { $0.file == secret.file && $0.line == secret.line }.map(\.place)
        })
    return diagnostics.map { diagnostic in
        switch format {
        case "json": return diagnostic.json() + "\n"
        case "github": return diagnostic.github() + "\n"
        default:
            guard !hidden.contains(diagnostic.place) else {
                return diagnostic.rendered(source: nil)
            }
            let text = texts[diagnostic.file] ?? sourceText(diagnostic.file)
            texts[diagnostic.file] = text
            return diagnostic.rendered(source: text)
        }
    }.joined()
}

/// The text of a file, for the lines that findings point at.
func sourceText(_ path: String) -> String? {
    (try? readWholeFile(path)).map { String(decoding: $0, as: UTF8.self) }
}

/// Prints a topology's findings; loads the plan and its baselines if there is no error.
func loadTopology(_ path: String, _ invocation: Invocation, quietly: Bool = false) -> LoadedPlan? {
    let result = planTopology(path, invocation)
    let shown = quietly ? result.diagnostics.filter { $0.severity != .note } : result.diagnostics
    printError(report(shown, overrides: invocation.values("--set"), format: "text"))
    guard let plan = result.plan else { return nil }
    do throws(BaselineTable.Problem) {
        return LoadedPlan(
            plan: plan, dataHash: result.dataHash, baselines: try loadBaselines(plan), path: path)
    } catch {
        printError("tidemark: baseline \(error.message)\n")
        return nil
    }
}

/// Prints what went wrong with the environment.
func printFailure(_ error: ConnectorError) -> Int32 {
    printError("tidemark: \(error.message)\n")
    if let hint = error.hint { printError("  try: \(hint)\n") }
    return ExitCode.environment
}
