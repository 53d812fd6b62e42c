// swift-tools-version: 6.3
import PackageDescription

// One CPU baseline for every target (checked first thing in `main`): x86-64-v3, or Armv8.2 on arm64.
#if arch(arm64)
    let march = "-march=armv8.2-a"
    let json = [march]
#else
    let march = "-march=x86-64-v3"
    // Without PCLMUL the half of simdjson that is inlined here falls back to its portable form.
    let json = [march, "-mpclmul"]
#endif

let swift: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .unsafeFlags(["-Xcc", march]),
    // Owners are single by design (a worker, the coordinator); the checks at run time cost 3%.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]
// Aligned, so that how fast a loop runs does not hang on what else is in the binary.
let optimised = ["-O3", "-falign-functions=64", "-Wall", "-Wextra", "-Werror"]
let c: [CSetting] = [.unsafeFlags(optimised + [march])]
let cxx: [CXXSetting] = [.unsafeFlags(optimised + [march])]

/// A module under `Sources`, with what it may import: the table of ARCHITECTURE.md, kept true by
/// `--explicit-target-dependency-import-check error`.
func module(_ name: String, _ imports: [String] = []) -> Target {
    .target(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        swiftSettings: swift,
        linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))])
}

/// Tests, with what they may import: those of a module in `Tests/<Module>Tests`.
func tests(
    _ name: String, _ imports: [String], resources: [Resource]? = nil, exclude: [String] = []
) -> Target {
    .testTarget(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        exclude: exclude,
        resources: resources,
        swiftSettings: swift)
}

/// What tests of several modules use, in a folder of `Tests/Support`.
func support(_ name: String, _ imports: [String], path: String) -> Target {
    .target(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        path: "Tests/Support/" + path,
        swiftSettings: swift)
}

let package = Package(
    name: "tidemark",
    products: [.executable(name: "tidemark", targets: ["tidemark"])],
    targets: [
        // What Debian ships, one importer each.
        .systemLibrary(
            name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(
            name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(
            name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        // Loads libmicrohttpd itself, when there is something to serve.
        .target(name: "CHTTP", cSettings: c),
        .target(name: "CDictionary", cxxSettings: cxx),
        .target(
            name: "CDecode", dependencies: ["CText", "CDictionary"],
            cxxSettings: [.unsafeFlags(optimised + json)],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(
            name: "CText",
            cxxSettings: [.unsafeFlags(optimised + json)],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CTails", cxxSettings: cxx),
        .target(name: "CPattern", cxxSettings: cxx, linkerSettings: [.linkedLibrary("re2")]),
        .target(name: "CKernels", cSettings: c, linkerSettings: [.linkedLibrary("m")]),
        .target(
            name: "CAllocator", cSettings: c, linkerSettings: [.linkedLibrary("jemalloc")]),

        module("TidemarkText", ["CText", "CCrypto"]),
        module("TidemarkCore", ["TidemarkText"]),
        module("TidemarkRecords", ["TidemarkText", "TidemarkCore"]),
        module("TidemarkKernels", ["CKernels"]),
        module("TidemarkSketches", ["TidemarkText", "TidemarkKernels"]),
        module("TidemarkDrift", ["TidemarkCore", "CTails"]),
        module("TidemarkAlerts", ["TidemarkCore"]),
        module("TidemarkBatch", ["TidemarkCore", "CDictionary"]),
        module(
            "TidemarkCodec",
            ["TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkKernels", "CDecode", "CLZ4"]),
        module("TidemarkLanguage", ["TidemarkText"]),
        module(
            "TidemarkExpressions",
            ["TidemarkText", "TidemarkLanguage", "TidemarkBatch", "CPattern"]),
        module(
            "TidemarkDataflow",
            [
                "TidemarkText", "TidemarkCore", "TidemarkLanguage", "TidemarkExpressions",
                "TidemarkBatch",
            ]),
        module(
            "TidemarkMonitors",
            [
                "TidemarkText", "TidemarkCore", "TidemarkRecords", "TidemarkKernels",
                "TidemarkLanguage", "TidemarkDrift", "TidemarkAlerts", "TidemarkCodec",
                "TidemarkExpressions", "TidemarkDataflow",
            ]),
        module(
            "TidemarkOperators",
            [
                "TidemarkText", "TidemarkCore", "TidemarkRecords", "TidemarkKernels",
                "TidemarkSketches", "TidemarkDrift", "TidemarkMonitors", "TidemarkBatch",
                "TidemarkCodec", "TidemarkLanguage", "TidemarkExpressions", "TidemarkDataflow",
            ]),
        module("TidemarkTopology", ["TidemarkText", "CYAML"]),
        module(
            "TidemarkPlanner",
            [
                "TidemarkText", "TidemarkLanguage", "TidemarkExpressions", "TidemarkTopology",
                "TidemarkDataflow", "TidemarkDrift",
            ]),
        module("TidemarkTelemetry", ["TidemarkText", "TidemarkCore"]),
        module("TidemarkHTTP", ["CHTTP"]),
        module(
            "TidemarkRuntime",
            ["TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkDataflow"]),
        module(
            "TidemarkKafka",
            [
                "TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkDataflow",
                "TidemarkTelemetry", "CRdKafka",
            ]),
        module(
            "TidemarkFiles",
            [
                "TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkCodec",
                "TidemarkDataflow",
                "TidemarkTelemetry", "CZlib", "CZstd",
            ]),
        .executableTarget(
            name: "tidemark",
            dependencies: [
                "TidemarkText", "TidemarkCore", "TidemarkRecords", "TidemarkKernels",
                "TidemarkSketches", "TidemarkAlerts", "TidemarkMonitors",
                "TidemarkBatch", "TidemarkCodec", "TidemarkExpressions", "TidemarkDataflow",
                "TidemarkOperators", "TidemarkTopology", "TidemarkPlanner", "TidemarkTelemetry",
                "TidemarkRuntime", "TidemarkKafka", "TidemarkFiles", "TidemarkHTTP", "CAllocator",
            ],
            swiftSettings: swift,
            // One file to copy: no Swift is needed where it runs.
            linkerSettings: [
                .unsafeFlags(["-static-stdlib"], .when(configuration: .release))
            ]),
        // Measurements, run by hand and by `make bench`.
        .executableTarget(
            name: "kafka-bench",
            dependencies: [
                "TidemarkCore", "TidemarkBatch", "TidemarkDataflow", "TidemarkTelemetry",
                "TidemarkKafka",
            ],
            path: "Benchmarks/Kafka", swiftSettings: swift),
        .executableTarget(
            name: "expressions-bench",
            dependencies: ["TidemarkLanguage", "TidemarkBatch", "TidemarkExpressions"],
            path: "Benchmarks/Expressions", swiftSettings: swift),
        .executableTarget(
            name: "sketches-bench", dependencies: ["TidemarkKernels", "TidemarkSketches"],
            path: "Benchmarks/Sketches", swiftSettings: swift),

        // What tests of several modules use: draws and time that a seed decides, lines of a log.
        support("TidemarkTestSupport", ["TidemarkCore", "TidemarkTelemetry"], path: "Common"),
        // The topology of the simulation, and rows as wide as those of W1.
        support(
            "TidemarkTestPlan",
            [
                "TidemarkText", "TidemarkCore", "TidemarkLanguage", "TidemarkExpressions",
                "TidemarkBatch", "TidemarkDataflow", "TidemarkMonitors", "TidemarkTestSupport",
            ], path: "Plan"),
        // A real Kafka for tests, and what writes to it.
        support("TidemarkTestKafka", ["CRdKafka"], path: "Kafka"),
        // Counts allocations in the process that links it.
        .target(name: "TidemarkAllocations", path: "Tests/Allocations", cSettings: c),
        tests("TidemarkTextTests", ["TidemarkText", "TidemarkKernels"]),
        // Operators have the list of what summaries add to records, which is in the schemas too.
        tests(
            "TidemarkRecordsTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkRecords", "TidemarkDataflow",
                "TidemarkOperators",
            ]),
        // Those of TidemarkKernels too: one sketch is tested in every tier of its kernels.
        tests(
            "TidemarkSketchesTests",
            ["TidemarkKernels", "TidemarkSketches", "TidemarkAllocations"],
            exclude: [
                "make_goldens.py", "make_interchange_goldens.py", "make_goldens_support.py",
                "make_hll_table.py", "check_peer.py",
            ]),
        tests(
            "TidemarkDriftTests",
            ["TidemarkCore", "TidemarkDrift", "TidemarkKernels", "TidemarkTestSupport"],
            exclude: ["make_goldens.py"]
        ),
        tests(
            "TidemarkAlertsTests",
            ["TidemarkCore", "TidemarkAlerts", "TidemarkKernels", "TidemarkTestSupport"]),
        tests(
            "TidemarkMonitorsTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkRecords", "TidemarkAlerts",
                "TidemarkCodec", "TidemarkDrift", "TidemarkDataflow", "TidemarkMonitors",
                "TidemarkOperators", "TidemarkPlanner", "TidemarkTestSupport",
            ]),
        // Those of TidemarkBatch too: a batch is what is decoded.
        tests(
            "TidemarkCodecTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkKernels", "TidemarkBatch",
                "TidemarkCodec", "TidemarkTestSupport",
            ], exclude: ["make_time_goldens.py"]),
        tests(
            "TidemarkOperatorsTests",
            [
                "TidemarkCore", "TidemarkKernels", "TidemarkSketches", "TidemarkExpressions",
                "TidemarkBatch", "TidemarkDataflow", "TidemarkMonitors",
                "TidemarkOperators", "TidemarkTestSupport", "TidemarkTestPlan",
                "TidemarkAllocations",
            ]),
        tests(
            "TidemarkExpressionsTests",
            [
                "TidemarkLanguage", "TidemarkExpressions", "TidemarkBatch", "TidemarkTestSupport",
                "TidemarkAllocations",
            ]),
        tests("TidemarkTopologyTests", ["TidemarkTopology"]),
        tests("TidemarkLanguageTests", ["TidemarkLanguage"]),
        tests(
            "TidemarkPlannerTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkLanguage", "TidemarkExpressions",
                "TidemarkTopology", "TidemarkPlanner", "TidemarkDataflow", "TidemarkDrift",
                "TidemarkMonitors",
                "TidemarkOperators",
            ]),
        tests(
            "TidemarkTelemetryTests", ["TidemarkCore", "TidemarkTelemetry", "TidemarkTestSupport"]),
        tests("TidemarkHTTPTests", ["TidemarkHTTP"]),
        tests(
            "TidemarkRuntimeTests",
            ["TidemarkCore", "TidemarkDataflow", "TidemarkRuntime", "TidemarkTestSupport"]),
        tests(
            "TidemarkKafkaTests",
            [
                "TidemarkCore", "TidemarkBatch", "TidemarkDataflow", "TidemarkTelemetry",
                "TidemarkKafka", "TidemarkRuntime", "TidemarkTestSupport", "TidemarkTestKafka",
                "TidemarkAllocations",
            ]),
        tests(
            "TidemarkFilesTests",
            [
                "TidemarkCore", "TidemarkBatch", "TidemarkDataflow", "TidemarkFiles",
                "TidemarkTestSupport", "CZlib", "CZstd",
            ]),
        // What runs the whole engine, on a simulated log.
        tests(
            "TidemarkEngineTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkCodec",
                "TidemarkExpressions", "TidemarkDataflow", "TidemarkMonitors", "TidemarkOperators",
                "TidemarkAlerts", "TidemarkRuntime",
                "TidemarkFiles", "TidemarkTestSupport", "TidemarkTestPlan", "TidemarkAllocations",
            ]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11,
    cxxLanguageStandard: .cxx20
)
