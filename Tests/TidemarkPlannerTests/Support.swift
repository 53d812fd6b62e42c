import Glibc
import TidemarkDataflow
import TidemarkMonitors
import TidemarkOperators
import TidemarkPlanner
import TidemarkTopology

/// The language as the binary has it.
let core = Catalogue(summaries: declaredSummaries, checks: QualityChecks.specs)

/// Files, baselines and environment of a test.
struct World {
    var files: [String: String] = [:]
    var baselines: [String: BaselineSummary] = [:]
    var environment: [String: String] = [:]
    /// What the language has beside its core.
    var catalogue = core

    init(_ text: String = "") { files["t.yaml"] = text }

    func plan(
        _ path: String = "t.yaml", set overrides: [String] = [], with overlay: String? = nil
    ) -> PlanResult {
        let baselines = baselines
        let environment = environment
        let files = files
        let planner = Planner(
            catalogue: catalogue,
            loadBaseline: { path in
                baselines[path].map { .success($0) } ?? .failure(BaselineProblem("does not exist"))
            },
            environment: { environment[$0] },
            readFile: { path in
                files[path].map { .success(Array($0.utf8)) }
                    ?? .failure(FileProblem("does not exist"))
            })
        return planner.plan(path: path, overrides: overrides, overlay: overlay)
    }
}

/// The shipped topologies with baselines as the workload gives them.
func shipped() -> World {
    var world = World()
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    for name in [
        "minimal", "demo", "learned", "w1", "w1-drift", "champion-challenger", "fraud-scoring",
        "seasonal",
    ] {
        world.files["topologies/\(name).yaml"] = contents("/\(root)/topologies/\(name).yaml")
    }
    world.baselines["topologies/baselines/churn.json"] = summary(
        "c0ffee0123456789", groups: ["model=churn"], numbers: ["age", "monthly_spend", "score"],
        categories: ["plan"])
    world.baselines["topologies/baselines/demand.json"] = summary(
        "de3a9dde3a9dde3a", groups: ["model=demand-v3"], numbers: ["price", "forecast"],
        categories: ["promo", "weather"])
    world.baselines["topologies/baselines/demo.json"] = summary(
        "de305e305e305e30", groups: ["model=churn", "model=fraud", "model=ranking"],
        numbers: ["amount", "age", "tenure", "score"], categories: ["country"])
    world.baselines["topologies/baselines/w1.json"] = summary(
        "5b1e5b1e5b1e5b1e", groups: ["*"], numbers: (0..<12).map { "f\($0)" }, categories: [])
    world.baselines["topologies/baselines/w1-first10.json"] = summary(
        "77ab77ab77ab77ab", groups: ["model=m0", "model=m1", "model=m2"],
        numbers: (0..<12).map { "f\($0)" } + ["score"], categories: ["c0", "c1", "c2"])
    return world
}

func summary(
    _ hash: String, groups: [String], numbers: [String], categories: [String]
) -> BaselineSummary {
    BaselineSummary(
        contentHash: hash, groups: groups,
        columns: numbers.map {
            BaselineSummary.Column(name: $0, isNumeric: true, cellCount: 20, rowCount: 600_000)
        }
            + categories.map {
                BaselineSummary.Column(name: $0, isNumeric: false, cellCount: 8, rowCount: 600_000)
            })
}

func contents(_ path: String) -> String {
    guard let file = unsafe fopen(path, "r") else { return "" }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = unsafe fgetc(file), byte >= 0 { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self)
}

/// `line:column rule: message · expected: … · try: …`.
func lines(_ diagnostics: [Diagnostic], _ severity: Diagnostic.Severity = .error) -> [String] {
    diagnostics.filter { $0.severity == severity }.map {
        "\($0.line):\($0.column) \($0.rule): \($0.message)"
            + ($0.expected.map { " · expected: \($0)" } ?? "")
            + ($0.suggestion.map { " · try: \($0)" } ?? "")
    }
}
