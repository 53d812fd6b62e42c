import Testing
import TidemarkDataflow
import TidemarkLanguage
import TidemarkMonitors
import TidemarkPlanner
import TidemarkText

/// The catalogue is all that the language knows of a key, and the lists all that it knows of a kind.
struct CatalogueTests {
    /// Everything that this version reads, in one topology or another.
    private let topologies = [
        """
        name: t
        kafka: { tls: { verify: true }, sasl: { mechanism: PLAIN } }
        source:
          topic: rows
          decode: { format: csv, separator: tab }
          schema:
            ts: time_ms
            model: model
            amount: { type: number, expect: { range: [0, 1] } }
            country: category
            score: score
        filter: amount > 0
        derive: { size: { value: "bucket(amount, [1])", role: segment } }
        segments: { by-country: { by: [country] } }
        summaries:
          - { columns: numbers, histogram: { bins: 10 }, quantiles: { k: 100 } }
          - { columns: categories, distinct: { lg_k: 10 } }
        baselines: { training: { file: t.json }, recent: { trailing: 1h } }
        monitors:
          d: { drift: amount, test: { psi: {} }, against: training }
          v: { volume: rows }
          r: { rule: amount > 1 }
          q: { quality: all, checks: { null: 5%, unseen: auto }, against: training }
          f: { freshness: 1h, per: group }
          e: { freshness: 1h }
        budget: {}
        alerts: { destinations: { d: { topic: d } }, routes: [{ to: d }], mute: [{ why: x, to: 2026-12-01 }] }
        outputs: { aggregates: {} }
        limits: {}
        run: {}
        """,
        "name: t\nsource: { topic: rows, decode: { format: json }, schema: { ts: time_ms } }",
    ]

    @Test func `every key that is declared is read, and every key that is read is declared`() {
        var read: Set<String> = []
        // Kinds of monitors that are declared elsewhere, one each.
        let known = ["drift", "quality", "rule", "volume", "freshness"]
        let declaredKinds = core.parts.filter {
            $0.path.hasPrefix("monitors") && !known.contains($0.name) && !$0.keysOfNow.isEmpty
        }
        let more = declaredKinds.map { part in
            let against = part.key("against") == nil ? "" : ", against: training"
            return "  of-\(part.name): { \(part.name): all\(against) }\n"
        }.joined()
        for text in topologies.map({ $0.replacing("budget: {}", with: more + "budget: {}") }) {
            var world = World(text)
            world.baselines["t.json"] = summary(
                "ab", groups: ["*"], numbers: ["amount", "score"], categories: ["country"])
            read.formUnion(world.plan().facts.keysRead)
        }
        let declared = Set(
            core.parts.flatMap { part in part.keysOfNow.map { "\(part.name).\($0.name)" } })
        // The key of a monitor's kind, and those of a test and of checks: the one is found before the monitor is
        // read, the others stand in no part that is listed.
        #expect(
            read.subtracting(declared).sorted()
                == (QualityChecks.specs.map { "checks.\($0.name)" } + ["test.ignore_below"])
                .sorted())
        #expect(declared.subtracting(read).sorted() == [])
    }

    @Test func `the schema has the default and the bounds of a key as values`() throws {
        let schema = try JSONValue(parsing: Array(core.schema.utf8))
        func key(_ part: String, _ name: String) -> JSONValue? {
            schema["$defs"]?[part]?["properties"]?[name]
        }
        let rows = key("drift", "min_rows")
        #expect(rows?["default"] == .integer(500))
        #expect(rows?["minimum"] == .integer(1))
        #expect(rows?["maximum"] == .integer(1_000_000_000))
        #expect(key("run", "commit")?["default"] == .text("1s"))
        #expect(key("summary", "moments")?["default"] == .boolean(true))
        #expect(key("quantiles", "relative_error")?["maximum"] == .number(0.5))
        // What is said in words is no value.
        #expect(key("volume", "drop")?["default"] == nil)
    }

    // MARK: Summaries that others declare

    private static let trim = Key(
        "trim", ValueType.share(max: 0.4), usual: 0.1, "cut off at each end")
    private static let least = Key(
        "least", ValueType<Int>.count(1...100), usual: 10, "with fewer values there is none")
    private let trimmed = SummarySpec(
        "trimmed_mean", of: .numbers, keys: [SettingKey(trim), SettingKey(least)],
        isOrderFree: true, cellBytes: { 100 * $0[Self.least] },
        sketch: SketchSpec("tails", bytes: { 200_000 * $0[Self.least] }),
        "the mean without the ends")

    private func plan(_ rule: String, _ specs: [SummarySpec]) -> PlanResult {
        var world = World(
            """
            name: t
            source: { topic: rows, schema: { ts: time_ms, amount: number, country: category } }
            summaries: [{ columns: all, \(rule) }]
            """)
        world.catalogue = Catalogue(summaries: specs)
        return world.plan()
    }

    private func parts(_ result: PlanResult) -> [PartPlan] {
        result.plan?.stream.columns.flatMap(\.summary.parts) ?? []
    }

    @Test(arguments: [
        ("trimmed_mean: true", 0.1, 10), ("trimmed_mean: 20%", 0.2, 10),
        ("trimmed_mean: { trim: 30%, least: 5 }", 0.3, 5), ("trimmed_mean: { least: 7 }", 0.1, 7),
    ])
    func `a declared summary is read with its defaults`(rule: String, share: Double, count: Int)
        throws
    {
        let result = plan(rule, [trimmed])
        #expect(lines(result.diagnostics) == [])
        let found = parts(result)
        let part = try #require(found.first)
        // Of the number alone.
        #expect(found.count == 1)
        #expect(part.name == "trimmed_mean")
        #expect(part.settings[Self.trim] == share)
        #expect(part.settings[Self.least] == count)
        #expect(part.cellBytes == 100 * count)
        #expect(
            planJSON(result).contains("\"trimmed_mean\":{\"trim\":\(share),\"least\":\(count)}"))
    }

    @Test func `a declared summary is part of the identity only where it is asked for`() {
        let without = plan("moments: true", [])
        let beside = plan("moments: true", [trimmed])
        let with = plan("trimmed_mean: true", [trimmed])
        let other = plan("trimmed_mean: 20%", [trimmed])
        #expect(without.dataHash == beside.dataHash)
        #expect(Set([without, with, other].map(\.dataHash)).count == 3)
        #expect(plan("trimmed_mean: off", [trimmed]).dataHash == without.dataHash)
    }

    @Test(arguments: [
        ("trimmed_mean: 60%", "3:43 bad-share"), ("trimmed_mean: { trom: 1% }", "3:45 unknown-key"),
        ("trimmed_mean: { least: 0 }", "3:52 out-of-limits"),
        ("trimmed_meen: true", "3:29 unknown-key"),
    ])
    func `what is wrong with a declared summary is said in place`(rule: String, said: String) {
        let found = lines(plan(rule, [trimmed]).diagnostics)
        #expect(found.count == 1 && found[0].hasPrefix(said), "\(found)")
    }

    @Test func `a declared summary brings the name of its sketch, and how large it may be`() throws
    {
        var world = World(
            """
            name: t
            source: { topic: rows, schema: { ts: time_ms, amount: number } }
            summaries: [{ columns: all, trimmed_mean: true }]
            outputs: { aggregates: { sketches: [kll, tails] } }
            """)
        #expect(lines(world.plan().diagnostics).contains { $0.contains("unknown-word: `tails`") })
        world.catalogue = Catalogue(summaries: [trimmed])
        let plan = try #require(world.plan().plan)
        #expect(plan.outputs.sketches.map(\.rawValue).sorted() == ["kll", "tails"])
        #expect(ResultSize(plan).sketchBytesMax == 2_000_000)
        #expect(planJSON(world.plan()).contains("\"sketches\":[\"kll\",\"tails\"]"))
    }

    @Test func `a declared summary is in the schema, the listing and the reference`() {
        let catalogue = Catalogue(summaries: [trimmed])
        for text in [catalogue.schema, catalogue.listing, catalogue.markdown] {
            #expect(text.contains("trimmed_mean"))
        }
        #expect((try? JSONValue(parsing: Array(catalogue.schema.utf8))) != nil)
        #expect(catalogue.schema.contains("\"least\":{\"description\":\"with fewer"))
    }

    // MARK: Monitors that others declare

    private static let null = Key(
        "null", ValueType.share(max: 1).orOff, usual: 0.05, "more nulls than this")
    private static let wrong = Key(
        "wrong_type", ValueType.share(max: 1).orOff, usual: nil, "more wrong types than this")
    private let quality = MonitorSpec(
        "quality", of: [.numbers, .categories], keys: [SettingKey(null), SettingKey(wrong)],
        example: "monitors: { quality: { null: 1% } }", "nulls and wrong types")

    private func monitors(_ text: String, _ specs: [MonitorSpec]) -> PlanResult {
        var world = World(
            """
            name: t
            source: { topic: rows, schema: { ts: time_ms, amount: number, note: text } }
            monitors: { \(text), volume: off, freshness: off }
            """)
        world.catalogue = Catalogue(monitors: specs)
        return world.plan()
    }

    @Test func `a declared kind of monitor is read, planned, printed and hashed`() throws {
        let result = monitors("quality: { null: 1%, severity: warn }", [quality])
        #expect(lines(result.diagnostics) == [])
        let plan = try #require(result.plan?.stream.monitors.first)
        #expect(plan.kind == "quality")
        #expect(plan.severity == .warn)
        #expect(plan.columns == [1])
        #expect(plan.settings[Self.null] == 0.01)
        #expect(plan.settings[Self.wrong] == nil)
        #expect(planText(result).contains("quality   quality   1 "))
        #expect(planText(result).contains("null 1% wrong_type off"))
        #expect(
            planJSON(result).contains("\"kind\":\"quality\",\"columns\":[\"amount\"],\"null\":0.01")
        )
        let other = monitors("quality: { null: 2%, severity: warn }", [quality])
        #expect(other.dataHash == result.dataHash)
        #expect(other.plan?.revision != result.plan?.revision)
        #expect(
            monitors("quality: off", [quality]).dataHash == monitors("quality: off", []).dataHash)
    }

    @Test func `a declared kind that compares has a baseline, and a level for its tests`() throws {
        let unseen = MonitorSpec(
            "unseen", of: [.categories], needsBaseline: true, testCount: 1,
            example: "monitors: { new: { unseen: categories } }", "values that the baseline lacks")
        func result(_ baselines: String, _ against: String = "") -> PlanResult {
            var world = World(
                """
                name: t
                source: { topic: t, schema: { ts: time_ms, country: category, amount: number } }
                baselines: { \(baselines) }
                monitors: { new: { unseen: all\(against) }, drift: off, volume: off }
                """)
            world.catalogue = Catalogue(monitors: [unseen])
            return world.plan()
        }
        let plan = try #require(result("recent: { trailing: 1h, skip: 1h }").plan)
        let monitor = try #require(plan.stream.monitors.first)
        #expect(monitor.columns.map { plan.stream.columns[$0].name } == ["country"])
        #expect(plan.stream.baselines[monitor.baseline].name == "recent")
        #expect(monitor.testsPerPeriod > 0)
        #expect(monitor.level == 1 / monitor.testsPerPeriod)
        let json = planJSON(result("recent: { trailing: 1h, skip: 1h }"))
        #expect(json.contains("\"kind\":\"unseen\",\"against\":\"recent\""))
        #expect(lines(result("").diagnostics).map { $0.prefix(15) } == ["4:13 no-baselin"])
        let two = "recent: { trailing: 1h }, first: { first: 1h }"
        #expect(lines(result(two).diagnostics).contains { $0.contains("against-needed") })
        #expect(lines(result(two, ", against: first").diagnostics).isEmpty)
    }

    @Test func `a declared kind stands in place of what was to come, and takes any name`() {
        let named = monitors("nulls: { quality: amount, null: off }", [quality])
        #expect(lines(named.diagnostics) == [])
        #expect(named.plan?.stream.monitors.first?.settings[Self.null] == .some(nil))
        let catalogue = Catalogue(monitors: [quality])
        #expect(catalogue.parts.count { $0.name == "quality" } == 1)
        for text in [catalogue.schema, catalogue.listing, catalogue.markdown] {
            #expect(text.contains("more wrong types than this"))
        }
        #expect(catalogue.schema.contains("#/$defs/quality"))
    }

    @Test(arguments: [
        ("quality: { null: 200% }", "3:30 bad-share"),
        ("quality: { quality: note }", "3:33 type-of-role"),
        ("quality: { nul: 1% }", "3:24 unknown-key"),
    ])
    func `what is wrong with a declared monitor is said in place`(text: String, said: String) {
        let found = lines(monitors(text, [quality]).diagnostics)
        #expect(found.count == 1 && found[0].hasPrefix(said), "\(found)")
    }
}
