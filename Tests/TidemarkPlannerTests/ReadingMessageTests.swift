import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkPlanner
import TidemarkText
import TidemarkTopology

private func findings(_ text: String, columns: String = "x: number", source: String = "")
    -> [String]
{
    lines(
        World(
            """
            name: t
            source:
              topic: t
            \(source)  schema:
                ts: time_ms
                \(columns)
            \(text)
            """
        ).plan().diagnostics)
}

private func path(_ text: String) -> [PathStep]? {
    let yaml = text.replacing("'", with: "''")
    let world = World(
        """
        name: t
        source: { topic: t, schema: { ts: time_ms, x: { type: number, path: '\(yaml)' } } }
        """)
    return world.plan().plan?.stream.columns.first { $0.name == "x" }?.path
}

@Suite struct PathTests {
    @Test func `keys are named as they are, odd ones in quotes`() {
        let cases: [(String, [PathStep])] = [
            ("a", [.key("a")]), ("a.b[0].c", [.key("a"), .key("b"), .index(0), .key("c")]),
            ("mean area", [.key("mean area")]), ("in-age", [.key("in-age")]),
            ("a:b", [.key("a:b")]),
            (#"["in.age"]"#, [.key("in.age")]), (#""in.age""#, [.key("in.age")]),
            ("['in.age'].x", [.key("in.age"), .key("x")]),
            (#"a."b.c".d"#, [.key("a"), .key("b.c"), .key("d")]),
            (#"a["b c"][1]"#, [.key("a"), .key("b c"), .index(1)]),
            (#"['say "so"']"#, [.key(#"say "so""#)]), (#"["$.a"]"#, [.key("$.a")]),
            (#"["/a"]"#, [.key("/a")]), ("$set", [.key("$set")]),
            ("[0].a", [.index(0), .key("a")]),
            ("größe", [.key("größe")]), (#"[" a "]"#, [.key(" a ")]), (#"["*"]"#, [.key("x")]),
        ]
        for (text, steps) in cases { #expect(path(text) == steps, "\(text)") }
        // What is written from steps is read as them.
        for (_, steps) in cases where !steps.contains(.key("x")) {
            #expect(path(PathText.text(steps)) == steps, "\(PathText.text(steps))")
        }
    }

    @Test func `other notations are errors with the right spelling`() {
        let cases = [
            ("$.a.b", "JSONPath", "`a.b`"), ("$['a.b'][0]", "JSONPath", #"`["a.b"][0]`"#),
            ("$[\"a\"]", "JSONPath", "`a`"), ("/a/b/0", "JSON Pointer", "`a.b[0]`"),
            ("/a.b", "JSON Pointer", #"`["a.b"]`"#), ("#/a~1b", "JSON Pointer", "`a/b`"),
            (".a.b", "jq", "`a.b`"), ("a[*].b", "many places", "items[0]"),
            ("a[].b", "many places", "items[0]"), ("a..b", "many places", "items[0]"),
            ("a.b*", "a pattern", "part of a key"),
            (#"in\.age"#, "escapes nothing", #"["in.age"]"#),
            (#"a"b"#, "a quote", "part of a key"), ("a. b", "a blank", #"`[" b"]`"#),
            (#"["a"#, "no end", nil), ("a[x]", "without an index", nil), ("a.", "empty step", nil),
            (#"[""]"#, "empty key", nil), ("", "not a path", nil), ("$", "JSONPath", nil),
        ]
        for (text, message, right) in cases {
            #expect(path(text) == nil, "\(text)")
            let found = findings(
                "", columns: "x: { type: number, path: '\(text.replacing("'", with: "''"))' }")
            #expect(found.count == 1, "\(text): \(found)")
            #expect(found.first?.contains("bad-path: ") ?? false, "\(text): \(found)")
            #expect(found.first?.contains(message) ?? false, "\(text): \(found)")
            if let right { #expect(found.first?.contains(right) ?? false, "\(text): \(found)") }
        }
    }

    @Test func `several names share a path by their own name, and a pattern makes no columns`()
        throws
    {
        let plan = try #require(
            World(
                """
                name: t
                source:
                  topic: t
                  schema:
                    ts: time_ms
                    age, "mean_area", f0..f2: { type: number, path: inputs.* }
                    a, b: category
                """.replacing("\"", with: "")
            ).plan().plan)
        let paths = plan.stream.columns.dropFirst().map { PathText.text($0.path) }
        #expect(
            paths == [
                "inputs.age", "inputs.mean_area", "inputs.f0", "inputs.f1", "inputs.f2", "a", "b",
            ])
        #expect(
            findings("", columns: "inputs.*: number") == [
                "6:5 bad-name: `inputs.*` would make columns of whatever records hold · expected: names: what is watched is said by the topology alone · try: `age, plan, tenure: { type: number, path: inputs.* }` (`*` is each column's name)"
            ])
        #expect(
            findings("", columns: "a, b: { type: number, path: inputs.x }").first?.contains(
                "path-of-range") ?? false)
    }

    @Test func `in CSV a path is the name of a field, dots and all`() {
        let plan = World(
            """
            name: t
            source:
              topic: t
              decode: { format: csv, columns: [ts, in.age] }
              schema: { ts: time_ms, age: { type: number, path: in.age } }
            """
        ).plan().plan
        #expect(plan?.stream.columns.last?.path == [.key("in.age")])
    }
}

@Suite struct WordTests {
    @Test func `what is wrong is said with what would be right`() {
        let cases = [
            ("windows: [{ size: 5m }]", "`5m`"),
            ("windows: [{ length: 15m, slide: 5m }]", "`15m every 5m`"),
            ("windows: { size: 10m, advance: 5m }", "`windows: [10m every 5m]`"),
            ("windows: { every: 1m }", "`windows: [1m]`"),
            ("filter: xs > 3 and x < 9", "one of ts, x · try: `ts`"),
            ("filter: nothing > 3", "one of ts, x"),
            ("kafka: { brokers: [a:9092, b:9092] }", "one text: `a:9092,b:9092`"),
            ("alerts: { slack: x }", "reads that topic"),
            ("limits: { bad_rows: 20 }", "`20%`"),
            ("monitors: { v: { volume: rows, rise: 20 } }", "`20%`, or `2000%`"),
            ("monitors: { v: { volume: rows, rise: 1.5 } }", "`1.5%`, or `150%`"),
            ("monitors: { v: { volume: rows, rise: 150% } }", ""),
        ]
        for (text, right) in cases {
            let found = findings(text)
            #expect(found.isEmpty == right.isEmpty, "\(text): \(found)")
            #expect(right.isEmpty || found.contains { $0.contains(right) }, "\(text): \(found)")
        }
        for (word, right) in [
            ("target", "`label`"), ("float", "`number`"), ("datetime", "`time_text`"),
        ] {
            let found = findings("", columns: "x: \(word)")
            #expect(found.first?.contains("try: \(right)") ?? false, "\(found)")
            #expect(found.first?.contains("…") == false, "\(found)")
        }
    }

    @Test func `overrides are lines of their own, and what they leave alone stays where it was`() {
        var world = World(
            """
            name: t
            source:
              topic: t
              schema: { ts: time_ms, x: number }
            monitors:
              silent: { freshness: 1h }
            """)
        let cases: [([String], String)] = [
            (["windows=[5x]"], "--set:1:10: error[bad-duration]"),
            (["source.idle=1m", "windows=[5m, 5x]"], "--set:2:14: error[bad-duration]"),
            (["limits.memory=1GiB", "source.tpic=u"], "--set:2:8: error[unknown-key]"),
            (["monitors.silent.sevrity=page"], "--set:1:17: error[unknown-key]"),
            (["run.workers=2", "source.topic="], "--set:2:13: error[bad-override]"),
            (["run.workers=2", "source.topic= \t"], "no value after its `=`"),
            (["source.idle=\n  - 1", "windows"], "--set:3:1: error[bad-override]"),
        ]
        for (overrides, want) in cases {
            let found = world.plan(set: overrides).diagnostics.filter { $0.severity == .error }
            let source = overrides.joined(separator: "\n")
            let text = found.map { $0.rendered(source: source) }.joined()
            #expect(text.contains(want), "\(overrides): \(text)")
            // The line that is shown is the one that was given.
            #expect(text.contains(" | \(overrides.last ?? "")") || source.contains("\t"), "\(text)")
        }
        // What is said of the whole is said of the file.
        let notes = world.plan(set: ["limits.memory=1GiB", "monitors.silent.severity=info"])
            .diagnostics
        #expect(!notes.isEmpty && notes.allSatisfy { $0.file == "t.yaml" }, "\(notes)")
        world.files["over.yaml"] = "monitors: { silent: { freshness: 2h } }"
        let plan = world.plan(set: ["windows=[7m]"], with: "over.yaml").plan
        #expect(plan?.stream.windows.map(\.lengthMs) == [420_000])
        #expect(plan?.stream.freshness.contains { $0.limitMs == 7_200_000 } ?? false)
    }

    @Test func `a span of the day before is advised against no more, one that follows is`() {
        func warned(_ baseline: String, _ windows: String) -> Bool {
            World(
                """
                name: t
                source: { topic: t, schema: { ts: time_ms, x: { type: number, expect: { range: [0, 1] } } } }
                windows: \(windows)
                baselines: { b: { \(baseline) } }
                monitors: { d: { drift: all, against: b } }
                """
            ).plan().diagnostics.contains { $0.rule == "trailing-follows-drift" }
        }
        for (baseline, windows, isWarned) in [
            ("trailing: 1h, skip: 23h", "[10m]", false), ("trailing: 1h, skip: 23h", "[1m]", false),
            ("trailing: 1h, skip: 167h", "[1h]", false), ("trailing: 6h, skip: 1h", "[5m]", false),
            ("trailing: 1h", "[5m]", true), ("trailing: 30m, skip: 5m", "[5m]", true),
            ("trailing: 1h, skip: 1h", "[15m]", true),
        ] {
            #expect(warned(baseline, windows) == isWarned, "\(baseline), \(windows)")
        }
    }

    @Test func `what outlasts Kafka's default retention is noted`() {
        func notes(_ text: String, source: String = "") -> [String] {
            World(
                "name: t\nsource: { topic: t, schema: { ts: time_ms, x: number }\(source) }\n\(text)"
            ).plan().diagnostics.filter { $0.rule == "retention" }.map { $0.rendered(source: nil) }
        }
        #expect(notes("windows: [1d]").isEmpty && notes("windows: [1w]").isEmpty)
        let long = notes("", source: ", idle: 1w")
        #expect(long.first?.contains("over 605170000 on `t`") ?? false, "\(long)")
        let alerts = "monitors: { v: { volume: rows, below: 5, resolve_after: 30d } }"
        #expect(
            notes(alerts).first?.contains("retention.ms from 2592000000, on `t-alerts`") ?? false,
            "\(notes(alerts))")
        #expect(notes(alerts.replacing("30d", with: "7d")).isEmpty)
    }

    @Test func `the largest result of a plan is what it lists, text by text and pair by pair`()
        throws
    {
        func size(_ more: String, _ sketches: String = "") throws -> ResultSize {
            let outputs =
                sketches.isEmpty
                ? "" : "outputs: { aggregates: { topic: a, sketches: [\(sketches)] } }"
            return ResultSize(
                try #require(
                    World(
                        """
                        name: t
                        source: { topic: t, schema: { ts: time_ms, model: model, f0..f63: number, c: category } }
                        \(more)
                        \(outputs)
                        """
                    ).plan().plan, "\(more)"))
        }
        // What nobody asked for fits a topic of the default size, whatever it holds.
        let usual = try size("")
        #expect(usual.most < 1_000_000 && usual.aggregateBytes < 20_000 && usual.sketchBytes == 0)
        let fits = 1_048_588
        #expect(try size("summaries: [{ columns: f0, sample: 10000 }]").aggregateBytes > 450_000)
        #expect(try size("summaries: [{ columns: c, top: 50 }]").aggregateBytesMax > fits)
        #expect(
            try size("summaries: [{ columns: c, counts: 4096 }]").aggregateBytesMax > 4096 * 32_768)
        #expect(try size("summaries: [{ columns: f0, log_linear: true }]").aggregateBytesMax > fits)
        let pairs = try size("summaries: [{ columns: f0..f63, correlation: true }]", "correlation")
        #expect(pairs.aggregateBytes > 63 * 60 && pairs.sketchBytes > 16_000)
        #expect(
            try size("summaries: [{ columns: c, distinct: { lg_k: 21 } }]", "hll").sketchBytes
                > 2_000_000)
        #expect(try size("", "frequent").sketchBytesMax > 768 * 32_768)
        #expect(try size("", "frequent").sketchBytes < 20_000)
        let dd = "summaries: [{ columns: f0, quantiles: { sketch: ddsketch } }]"
        #expect(try size(dd, "ddsketch").sketchBytes > 16_000)
    }

    @Test func `every word is read, and stands in the schema and in the documentation`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let document = contents("/\(root)/docs/topology.md")
        let schema = core.schema
        for word in ColumnWords.all {
            #expect(
                findings("", columns: "y: \(word)\n    z: number").filter {
                    !$0.contains("two-times")
                }.isEmpty, "\(word)")
            #expect(document.contains("| `\(word)` |"), "\(word)")
            #expect(schema.contains("\"\(word)\""), "\(word)")
        }
        #expect(
            document.hasSuffix(core.markdown),
            "docs/topology.md ends with what `tidemark list operators --markdown` prints")
    }

    @Test func `every two-sample test is read by name, checked by type, and listed everywhere`() {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let document = contents("/\(root)/docs/topology.md")
        let schema = core.schema
        for spec in TwoSample.specs {
            for (column, kind) in [("amount", TestSpec.Columns.numbers), ("country", .categories)] {
                var world = World(
                    """
                    name: t
                    source:
                      topic: t
                      schema: { ts: time_ms, amount: number, country: category }
                    baselines: { training: { file: t.json } }
                    monitors: { d: { drift: \(column), test: \(spec.name) }, volume: off }
                    """)
                world.baselines["t.json"] = summary(
                    "ab", groups: ["*"], numbers: ["amount"], categories: ["country"])
                let result = world.plan()
                let said = lines(result.diagnostics)
                guard spec.columns.contains(kind) else {
                    #expect(said.contains { $0.contains("test-of-type: `\(spec.name)`") })
                    continue
                }
                #expect(said.isEmpty, "\(spec.name) \(column)")
                #expect(
                    result.plan?.stream.monitors.first { $0.name == "d" }?.tests
                        == .named([.init(test: spec.name, ignoreBelow: spec.ignoreBelow)]))
            }
            #expect(document.contains("| `\(spec.name)` |"), "\(spec.name)")
            #expect(schema.contains("\"\(spec.name)\""), "\(spec.name)")
            #expect(core.listing.contains("\n    \(spec.name) "), "\(spec.name)")
        }
    }

    @Test func `zones are read from the system, and unknown ones named`() {
        var world = World(
            """
            name: t
            source: { topic: t, schema: { ts: { type: time_text, zone: Mars/Olympus }, x: number } }
            """)
        #expect(lines(world.plan().diagnostics).first?.contains("bad-zone") ?? false)
        for name in ["UTC", "+01:00", "-5"] {
            world.files["t.yaml"] =
                "name: t\nsource: { topic: t, schema: { ts: { type: time_text, zone: '\(name)' }, x: number } }"
            #expect(world.plan().plan?.stream.columns.first?.zone?.name == name)
        }
        world.files["t.yaml"] =
            "name: t\nsource: { topic: t, schema: { ts: { type: time_text, zone: ../../etc/passwd }, x: number } }"
        #expect(world.plan().plan == nil)
        // Another zone is another meaning; without one the identity is what it was.
        func hash(_ column: String) -> String {
            World("name: t\nsource: { topic: t, schema: { ts: \(column), x: number } }").plan()
                .dataHash
        }
        #expect(hash("time_text") == hash("{ type: time_text }"))
        #expect(hash("time_text") != hash("{ type: time_text, zone: '+01:00' }"))
    }

    @Test func `forty thousand findings take no longer each than a few`() {
        let clock = ContinuousClock()
        func seconds(_ count: Int) -> Duration {
            let keys = (0..<count).map { "k\($0): 1" }.joined(separator: "\n")
            let world = World(
                "name: t\nsource: { topic: t, schema: { ts: time_ms, x: number } }\n\(keys)")
            return clock.measure { _ = world.plan() }
        }
        let (few, many) = (seconds(4_000), seconds(40_000))
        #expect(many < few * 30 + .seconds(1), "\(few) for 4,000, \(many) for 40,000")
    }
}
