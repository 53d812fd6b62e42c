import Testing
import TidemarkDataflow
import TidemarkPlanner
import TidemarkText
import TidemarkTopology

/// Baselines that are neither a file nor the windows just before: how they are read, checked and told.
struct BaselineTests {
    private let bare = """
        name: t
        source:
          topic: rows
          schema: { ts: time_ms, model: model, version: version, amount: { type: number, expect: { range: [0, 1] } }, country: category }
        windows: [15m]
        monitors: { volume: off, quality: off, freshness: off, DRIFT }
        segments: { by-version: { by: [model, version] } }
        baselines:

        """

    private func world(_ baselines: String, drift: String = "drift: { drift: all }") -> World {
        World(bare.replacing("DRIFT", with: drift) + baselines)
    }

    @Test func `the same time, another group and the pool are in the plan as they are written`() {
        let text = """
              usual: { same_time: 1w, times: 4, around: 30m, skip_dates: [2026-12-25, 2026-11-27] }
              champion: { other: { version: "1.0" }, min_rows: 2000 }
              lately: { trailing: 6h, per: pooled }
            """
        let result = world(
            text, drift: "drift: { drift: all, against: [usual, champion, lately] }"
        ).plan()
        #expect(lines(result.diagnostics, .error) == [])
        guard let plan = result.plan else { return }
        var usual = LearningPlan(span: .sameTime, lengthMs: 604_800_000)
        (usual.times, usual.aroundMs) = (4, 1_800_000)
        usual.skippedDays = [20_784, 20_812]
        var lately = LearningPlan(span: .trailing, lengthMs: 21_600_000)
        lately.isPooled = true
        var champion = OtherGroupPlan(replaced: [.init(dimension: "version", value: "1.0")])
        champion.minRows = 2000
        #expect(
            plan.stream.baselines.map(\.origin)
                == [.learned(usual), .other(champion), .learned(lately)])
        #expect(
            plan.stream.baselines.map(\.label) == [
                "usual@same_time-604800s", "champion@version=1.0", "lately@trailing-21600s",
            ])
        // A monitor each, and each draws on the budget; where there is no version nothing is compared.
        #expect(
            plan.stream.monitors.map(\.name) == ["drift.usual", "drift.champion", "drift.lately"])
        #expect(plan.stream.monitors.map(\.segments.count) == [2, 1, 2])
        let series = 2.0 * 10_000
        #expect(plan.stream.monitors[0].testsPerPeriod == (2 + 1 + 2) * series * 672)
        #expect(
            lines(result.diagnostics, .note).filter { $0.contains("other-without") } == [
                "10:22 other-without-dimension: `drift.champion` does not compare groups of segment `by-model`, which has no `version` · expected: segments by that dimension · try: `segments` in the monitor"
            ])
        func bare(_ text: String) -> String { text.filter { !$0.isWhitespace } }
        let told = bare(planText(result))
        for line in [
            "usual: the same time 1w before, 4 times, 30m around, without 2 days, 1,000 rows or more; a group keeps 4035 windows of 15m",
            "champion: the same group with version 1.0 in the same window, 2,000 rows or more",
            "lately: the trailing 6h, of all groups together, 1,000 rows or more; a segment keeps 24 windows of 15m",
        ] { #expect(told.contains(bare(line)), "\(planText(result))") }
    }

    @Test(arguments: [
        (
            "usual: { same_time: 1d, around: 12h }",
            "9:23 same-time-too-long: a window of 15m with 12h around it is longer than 1d · expected: windows that, with `around`, are at most as long as `same_time` · try: `around: 11h`"
        ),
        (
            "usual: { same_time: 1d, times: 13, skip_dates: [2026-02-30] }",
            "9:34 out-of-limits: `13` is out of bounds · expected: a count from 1 to 12 · try: `12`"
        ),
        (
            "usual: { same_time: 1d, skip_dates: [2026-02-30] }",
            "9:40 bad-date: `2026-02-30` is not a date · expected: year, month and day: 2026-12-25"
        ),
        (
            "usual: { other: 1.0 }",
            "9:19 not-a-map: `other` is `1.0` · expected: dimensions, and their values in the other group · try: `other: { version: 1.0 }`"
        ),
        (
            "usual: { other: { versoin: 1 } }",
            "9:19 unknown-column: no segment of `drift` has the dimension `versoin` · expected: a segment by versoin · try: `version`"
        ),
        (
            "usual: { other: { country: BR }, times: 2 }",
            "9:36 misplaced-key: `times` is not a key of a baseline with `other` · expected: `times` beside `same_time` · try: delete it"
        ),
    ])
    func `what is wrong with them is said`(_ baseline: String, _ message: String) {
        let said = lines(world("  \(baseline)").plan().diagnostics, .error)
        #expect(said.contains(message), "\(said)")
    }

    @Test func `groups with bins of their own can't be compared with each other`() {
        var world = world(
            "  file: { file: t.json }\n  champion: { other: { version: 1 } }",
            drift: "drift: { drift: amount, against: champion }")
        world.baselines["t.json"] = summary(
            "ab", groups: ["model=a,version=1"], numbers: ["amount"], categories: ["country"])
        #expect(
            lines(world.plan().diagnostics, .error) == [
                "6:72 edges-differ: t.json has bins of its own for each group of segment `by-version`, in which groups can't be compared with each other (`champion`) · expected: the same bins for all groups · try: `summaries: [{ columns: amount, histogram: { edges: { from: 0, to: 1 } } }]`"
            ])
    }

    @Test func `rows are compared with neither the pool nor another group`() {
        for (baseline, reason) in [
            ("{ trailing: 6h, per: pooled }", "`traffic` is pooled"),
            ("{ other: { version: 1 } }", "`traffic` is another group"),
        ] {
            let text = world(
                "  none: { first: 1h }",
                drift: "drift: off, traffic: { volume: rows, against: \(baseline) }")
            let said = lines(text.plan().diagnostics, .error)
            #expect(said.first?.contains("baseline-without-volume: \(reason)") == true, "\(said)")
        }
    }

    @Test
    func `without a declared baseline the first hour of each group is the truth, and that is said`()
    {
        let text = bare.replacing("baselines:\n", with: "").replacing(
            "DRIFT", with: "drift: { drift: amount }, more: { drift: country }")
        let result = World(text).plan()
        #expect(lines(result.diagnostics, .error) == [])
        #expect(
            lines(result.diagnostics, .note).filter { $0.contains("baseline-learned") } == [
                "6:56 baseline-learned: no baseline is declared: `drift` is compared with each group's first hour · expected: `baselines` · try: `baselines: { training: { file: baselines/training.json } }`"
            ])
        #expect(
            result.plan?.stream.baselines.map(\.origin)
                == [.learned(LearningPlan(span: .first, lengthMs: 3_600_000))])
        #expect(result.plan?.stream.monitors.map(\.baseline) == [0, 0])
    }

    @Test func `days that are skipped have the same time of the day before in their place`() {
        let (day, hour): (Int64, Int64) = (86_400_000, 3_600_000)
        var plan = LearningPlan(span: .sameTime, lengthMs: day)
        plan.times = 3
        plan.skippedDays = [18, 15]
        let start = 20 * day + 5 * hour
        #expect(
            plan.sameTimes(as: start, lengthMs: hour).map(\.lowerBound) == [
                19 * day + 5 * hour, 17 * day + 5 * hour, 16 * day + 5 * hour,
            ])
        plan.aroundMs = hour / 2
        // Whole windows, widened outwards.
        #expect(
            plan.sameTimes(as: start, lengthMs: hour).first
                == 19 * day + 4 * hour..<19 * day + 7 * hour)
        #expect(plan.reachMs == 5 * day + hour / 2)
        // Never the window itself, or one behind it.
        plan.lengthMs = hour
        plan.skippedDays = []
        plan.aroundMs = 0
        #expect(
            plan.sameTimes(as: start, lengthMs: hour).first == start - hour..<start)
    }
}
