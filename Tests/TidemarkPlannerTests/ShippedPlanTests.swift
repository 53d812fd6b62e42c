import Testing
import TidemarkDataflow
import TidemarkPlanner
import TidemarkTopology

struct ShippedPlanTests {
    private func plan(_ name: String) throws -> Plan {
        let result = shipped().plan("topologies/\(name).yaml")
        #expect(lines(result.diagnostics) == [])
        return try #require(result.plan)
    }

    private let ranks = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

    private func summary(_ histogram: HistogramPlan?) -> ColumnSummary {
        var summary = ColumnSummary()
        summary.moments = true
        summary.range = true
        summary.quantiles = ranks
        summary.histogram = histogram
        return summary
    }

    private var category: ColumnSummary {
        var summary = ColumnSummary()
        summary.distinctLgK = 12
        summary.topCount = 10
        return summary
    }

    @Test func `minimal watches four columns by model in five-minute windows`() throws {
        let plan = try plan("minimal")
        #expect(plan.name == "churn")
        #expect(plan.app == "churn")
        #expect(plan.kafka.brokers == "localhost:9092")
        let stream = plan.stream
        #expect(stream.source.topics == ["predictions.churn"])
        #expect(stream.source.start == .committed)
        #expect(stream.source.outOfOrdernessMs == 10_000)
        #expect(stream.source.skewMs == 300_000)
        #expect(stream.source.idleMs == 30_000)
        #expect(stream.source.alignmentMs == 60_000)
        #expect(stream.source.fetchWaitMs == 50)
        #expect(
            stream.columns.map(\.name) == ["ts", "model", "age", "plan", "monthly_spend", "score"])
        #expect(
            stream.columns.map(\.role) == [.time, .model, .feature, .feature, .feature, .score])
        #expect(
            stream.columns.map(\.type) == [
                .time(.ms), .category, .integer, .category, .number, .number,
            ])
        #expect(!stream.columns.map(\.isRead).contains(false))
        #expect(stream.columns.map(\.path) == stream.columns.map { [.key($0.name)] })
        #expect(
            stream.columns.map(\.summary) == [
                ColumnSummary(), ColumnSummary(), summary(.baseline(0)), category,
                summary(.baseline(0)), summary(.baseline(0)),
            ])
        #expect(stream.eventTimeColumn == 0)
        #expect(stream.windows == [WindowPlan(lengthMs: 300_000, stepMs: 300_000)])
        #expect(stream.paneMs == 60_000)
        #expect(stream.segments.map(\.name) == ["by-model"])
        #expect(stream.segments[0].dimensions.map(\.name) == ["model"])
        #expect(stream.segments[0].dimensions.map(\.column) == [1])
        #expect(stream.segments[0].columns == [2, 3, 4, 5])
        #expect(stream.segments[0].windows == [0])
        #expect(stream.segments[0].groupCountMax == 10_000)
        #expect(stream.baselines.map(\.path) == ["topologies/baselines/churn.json", ""])
        #expect(
            stream.baselines.map(\.label) == ["training@c0ffee012345", "volume@trailing-3600s"])
        let checks = ["null", "wrong_type", "non_finite", "unseen", "constant", "columns"]
        #expect(
            stream.monitors.map(\.name) == ["drift"] + checks.map { "quality.\($0)" } + ["volume"])
        // Their tests draw on the budget of warnings, but for a column that can't be read: that pages.
        #expect(
            stream.monitors.filter { $0.kind == "quality" }.map(\.severity)
                == [.warn, .warn, .warn, .warn, .warn, .page])
        #expect(stream.monitors.first { $0.name == "quality.null" }?.columns == [2, 3, 4, 5])
        #expect(stream.monitors.first { $0.name == "quality.unseen" }?.columns == [3])
        #expect(
            stream.monitors.first { $0.name == "quality.null" }?.level
                == 1 / (288.0 * (4 + 4 + 3 + 1 + 4)))
        #expect(stream.monitors.last?.volume.drop == 0.8)
        #expect(stream.freshness.map(\.per) == [.source])
        let drift = try #require(stream.monitors.first)
        #expect(drift.columns == [2, 3, 4, 5])
        #expect(drift.segments == [0])
        #expect(drift.windows == [0])
        #expect(drift.tests == .automatic)
        #expect(drift.ignoreBelow == 0.05)
        #expect(drift.minRows == 500)
        #expect(drift.severity == .page)
        #expect(drift.alerts)
        #expect(drift.hold == .windows(1, of: 1))
        #expect(drift.clearHold == .windows(2, of: 2))
        // Four columns and the rows.
        #expect(drift.testsPerPeriod == 5 * 2016)
        #expect(drift.level == 1 / (5.0 * 2016))
        #expect(plan.outputs.topics == ["churn-aggregates", "churn-alerts", "churn-dead-letters"])
        #expect(plan.limits.memoryBytes == 512 << 20)
        #expect(plan.run.workers == nil)
    }

    @Test func `w1 decodes eighteen columns and keeps sketches of sixteen`() throws {
        let plan = try plan("w1")
        let stream = plan.stream
        let features = (0..<12).map { "f\($0)" }
        #expect(
            stream.columns.map(\.name)
                == ["model", "version", "id", "ts"] + features
                + ["c0", "c1", "c2", "score", "class", "region"])
        #expect(
            stream.columns.filter { !$0.isRead }.map(\.name) == [
                "version", "id", "class", "region",
            ])
        #expect(stream.source.start == .earliest)
        #expect(stream.source.outOfOrdernessMs == 2000)
        #expect(stream.eventTimeColumn == 3)
        #expect(stream.segments.map(\.name) == ["by-model"])
        #expect(stream.segments[0].columns == Array(4..<20))
        #expect(stream.windows == [WindowPlan(lengthMs: 60_000, stepMs: 60_000)])
        #expect(stream.paneMs == 60_000)
        for index in 4..<16 { #expect(stream.columns[index].summary == summary(.baseline(0))) }
        for index in 16..<19 { #expect(stream.columns[index].summary == category) }
        #expect(stream.columns[19].summary == summary(nil))
        #expect(stream.monitors.count == 1)
        let drift = try #require(stream.monitors.first)
        #expect(drift.columns == Array(4..<16))
        #expect(
            drift.tests
                == .named([
                    .init(test: "psi", ignoreBelow: 0.05), .init(test: "ks", ignoreBelow: 0.1),
                ]))
        #expect(drift.ignoreBelow == nil)
        #expect(!drift.alerts)
        #expect(plan.outputs.aggregates == "w1-aggregates")
        #expect(plan.outputs.sketches == [.kll, .hll, .frequent])
        #expect(plan.limits.memoryBytes == 96 << 20)
        #expect(plan.limits.memory == MemorySplit(memoryBytes: 96 << 20))
    }

    @Test func `w1-drift spends one false page a week on 483,840 tests`() throws {
        let plan = try plan("w1-drift")
        let stream = plan.stream
        #expect(stream.monitors.count == 1)
        let drift = try #require(stream.monitors.first)
        #expect(drift.columns == Array(2..<18))
        #expect(drift.columns.map { stream.columns[$0].name }.first == "f0")
        #expect(drift.columns.map { stream.columns[$0].name }.last == "score")
        #expect(drift.testsPerPeriod == 3 * 16 * 10_080)
        #expect(drift.level == 1 / Double(3 * 16 * 10_080))
        #expect(drift.tests == .automatic)
        #expect(drift.alerts)
        #expect(!stream.columns.map(\.isRead).contains(false))
        #expect(stream.columns[17].summary.histogram == .baseline(0))
    }

    @Test func `a revision changes with what it names and only then`() throws {
        let world = shipped()
        let path = "topologies/w1-drift.yaml"
        let base = world.plan(path)
        func other(_ overrides: String...) -> PlanResult { world.plan(path, set: overrides) }
        #expect(base.plan?.revision.utf8.count == 16)
        #expect(base.dataHash.utf8.count == 16)
        for neutral in ["run.workers=3", "run.batch_rows=100", "kafka.brokers=h:1"] {
            let same = other(neutral)
            #expect(same.plan?.revision == base.plan?.revision, "\(neutral)")
            #expect(same.dataHash == base.dataHash, "\(neutral)")
        }
        for judged in [
            "budget.page=2 per week", "alerts.severity=warn", "alerts.for=2 of 3", "owner=x",
        ] {
            let changed = other(judged)
            #expect(changed.plan != nil, "\(judged)")
            #expect(changed.plan?.revision != base.plan?.revision, "\(judged)")
            #expect(changed.dataHash == base.dataHash, "\(judged)")
        }
        for shaping in ["windows=[2m]", "filter=f0 > 1", "segments.by-model.limit=7", "name=w2"] {
            let changed = other(shaping)
            #expect(changed.plan != nil, "\(shaping)")
            #expect(changed.plan?.revision != base.plan?.revision, "\(shaping)")
            #expect(changed.dataHash != base.dataHash, "\(shaping)")
        }
    }

    /// A deployed application is known by these.
    ///
    /// Another data hash is another application, which begins without the state of the first. Nothing but a
    /// change of the shipped topology may change them.
    @Test(arguments: [
        ("minimal", "38cd79dbfaf3621d", "ed5447d0f89ae30d"),
        ("demo", "c2f5c9314f6cab41", "e821ec16e6965760"),
        ("learned", "598dc11f27900a09", "571129ae39527440"),
        ("w1", "cdbba8415a5b897e", "877a5565e5e2f10b"),
        ("w1-drift", "af40c65e55288f8b", "bbfd0b84549367aa"),
        ("champion-challenger", "e2e9e47506191684", "4ce1a0a8b42a39d3"),
        ("fraud-scoring", "ed8cc82d1b6cc215", "167d53c5b7451c57"),
        ("seasonal", "8c9b628b9e7cf109", "8526d5e3f116c84e"),
    ])
    func `the identity of a shipped topology stays what it is`(
        name: String, revision: String, data: String
    ) throws {
        let result = shipped().plan("topologies/\(name).yaml")
        #expect(result.plan?.revision == revision, "\(name)")
        #expect(result.dataHash == data, "\(name)")
    }

    @Test func `each form of a value has a text of its own in the identity`() {
        func data(_ column: String, _ source: String = "", time: String = "time_ms") -> String {
            var world = World()
            world.files["t.yaml"] = """
                name: t
                source: { topic: t, schema: { ts: \(time), x: \(column) }\(source) }
                windows: [1m]
                """
            return world.plan("t.yaml").dataHash
        }
        let hashes = [
            data("number"), data("integer"), data("{ type: number, path: a.b }"),
            data("{ type: number, path: 'a[1]' }"), data("{ type: number, path: 'a[2]' }"),
            data("number", time: "time_us"), data("number", time: "time_text"),
            data("number", ", clock: 2024-01-01T00:00:00Z"),
            data("{ type: number, null_values: [a] }"),
            data("{ type: number, null_values: [a, b] }"),
            data("{ type: number, null_values: ['a,1:b'] }"),
        ]
        #expect(!hashes.contains(""))
        #expect(Set(hashes).count == hashes.count)
    }
}
