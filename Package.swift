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
let c: [CSetting] = [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror", march])]
let cxx: [CXXSetting] = [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror", march])]

/// A module under `Sources`, with what it may import: the table of ARCHITECTURE.md, kept true by
/// `--explicit-target-dependency-import-check error`.
func module(_ name: String, _ imports: [String] = []) -> Target {
    .target(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        swiftSettings: swift,
        linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))])
}

/// The tests of the modules named.
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
        .target(
            name: "CDecode", dependencies: ["CText"],
            cxxSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"] + json)],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(
            name: "CText",
            cxxSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"] + json)],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CTails", cxxSettings: cxx),
        .target(name: "CKernels", cSettings: c, linkerSettings: [.linkedLibrary("m")]),
        .target(
            name: "CAllocator", cSettings: c, linkerSettings: [.linkedLibrary("jemalloc")]),

        module("TidemarkText", ["CText", "CCrypto"]),
        module("TidemarkCore", ["TidemarkText"]),
        module("TidemarkKernels", ["CKernels"]),
        module("TidemarkSketches", ["TidemarkText", "TidemarkKernels"]),
        module("TidemarkDrift", ["CTails"]),
        module("TidemarkAlerts"),
        module("TidemarkBatch", ["TidemarkCore"]),
        module(
            "TidemarkCodec",
            ["TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkKernels", "CDecode", "CLZ4"]),
        module("TidemarkDataflow", ["TidemarkText", "TidemarkCore", "TidemarkBatch"]),
        module(
            "TidemarkOperators",
            [
                "TidemarkText", "TidemarkCore", "TidemarkKernels", "TidemarkSketches",
                "TidemarkDrift",
                "TidemarkAlerts", "TidemarkBatch", "TidemarkCodec", "TidemarkDataflow",
            ]),
        module("TidemarkTopology", ["CYAML"]),
        module(
            "TidemarkPlanner",
            [
                "TidemarkText", "TidemarkCore", "TidemarkTopology", "TidemarkDataflow",
                "TidemarkDrift",
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
                "TidemarkText", "TidemarkCore", "TidemarkKernels", "TidemarkSketches",
                "TidemarkAlerts",
                "TidemarkBatch", "TidemarkCodec", "TidemarkDataflow", "TidemarkOperators",
                "TidemarkTopology", "TidemarkPlanner", "TidemarkTelemetry",
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
            name: "sketches-bench", dependencies: ["TidemarkKernels", "TidemarkSketches"],
            path: "Benchmarks/Sketches", swiftSettings: swift),

        // A real Kafka for tests, and what writes to it.
        .target(
            name: "TidemarkTestSupport", dependencies: ["CRdKafka"], path: "Tests/Support",
            swiftSettings: swift),
        // Counts allocations in the process that links it.
        .target(name: "TidemarkAllocations", path: "Tests/Allocations", cSettings: c),
        tests(
            "TidemarkSketchesTests",
            ["TidemarkText", "TidemarkKernels", "TidemarkSketches", "TidemarkAllocations"],
            exclude: [
                "make_goldens.py", "make_interchange_goldens.py", "make_goldens_support.py",
                "make_hll_table.py", "check_peer.py",
            ]),
        tests(
            "TidemarkDriftTests",
            [
                "TidemarkText", "TidemarkDrift", "TidemarkSketches", "TidemarkKernels",
                "TidemarkAlerts",
            ],
            exclude: ["make_goldens.py"]),
        tests(
            "TidemarkTopologyTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkTopology", "TidemarkPlanner",
                "TidemarkDataflow", "TidemarkDrift",
            ]),
        tests(
            "TidemarkKafkaTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkDataflow",
                "TidemarkTelemetry",
                "TidemarkKafka", "TidemarkRuntime", "TidemarkTestSupport", "TidemarkAllocations",
            ]),
        tests("TidemarkHTTPTests", ["TidemarkHTTP"]),
        tests(
            "TidemarkEngineTests",
            [
                "TidemarkText", "TidemarkCore", "TidemarkBatch", "TidemarkCodec",
                "TidemarkDataflow",
                "TidemarkOperators", "TidemarkAlerts", "TidemarkDrift", "TidemarkSketches",
                "TidemarkKernels", "TidemarkRuntime", "TidemarkTelemetry", "TidemarkFiles",
                "TidemarkAllocations", "CZlib", "CZstd",
            ], exclude: ["make_time_goldens.py"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11,
    cxxLanguageStandard: .cxx20
)
