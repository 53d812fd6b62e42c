import Testing
import TidemarkDataflow
import TidemarkExpressions
import TidemarkDrift
import TidemarkPlanner
import TidemarkTopology

/// All two-sample tests, as messages list them.
private let testNames: String = {
    let names = TwoSample.specs.map(\.name)
    return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
}()

/// What is wrong is said in place, at once, with a way out.
struct MessageTests {
    /// A topology on lines 1 to 5; more begins at line 6.
    private let base = """
        name: t
        source:
          topic: rows
          schema: { ts: time_ms, model: model, amount: number, country: category, score: score }
        baselines: { training: { file: t.json } }

        """

    private func world(_ text: String) -> World {
        var world = World(text)
        world.baselines["t.json"] = summary(
            "ab", groups: ["*"], numbers: ["amount", "score"], categories: ["country"])
        return world
    }

    private func errors(_ more: String) -> [String] { lines(world(base + more).plan().diagnostics) }

    @Test(arguments: [
        (
            "windows: [60]",
            "6:11 bad-duration: `60` has no unit · expected: a duration from 1s to 1w · try: `60s`, or `60m` if minutes were meant"
        ),
        (
            "run: { stop_within: 5 sec }",
            "6:21 bad-duration: `5 sec` is not a duration · expected: like 250ms, 5s, 1h30m · try: `5s`"
        ),
        (
            "alerts: { cool_down: PT1M }",
            "6:22 bad-duration: ISO 8601 is not read here · expected: like 250ms, 5s, 1h30m · try: `1m`"
        ),
        (
            "alerts: { clear_below: 50 }",
            "6:24 bad-share: `50` would be 5000% · expected: 0% to 100% · try: `50%`"
        ),
        (
            "limits:\n  memory: 512",
            "7:11 bad-size: `512` has no unit · expected: like 64MiB · try: `512MiB`"
        ),
        (
            "limits: { max_reread: 10s }",
            "6:1 out-of-limits: max_reread (10s) is less than a pane, out_of_orderness and alignment together (130s) · expected: at least 130s · try: `limits: { max_reread: 130s }`"
        ),
        (
            "segments: { by-model: { by: [model], limit: 100000 } }\nlimits: { memory: 64MiB }",
            "6:45 memory-over-limit: 100000 groups of `by-model` take about 87 KiB each, 8540 MiB with all there is; panes and windows have 21 of the 64 MiB · expected: at most 249 groups, or a greater limits.memory · try: `limit: 249`"
        ),
        (
            "alerts:\n  alert: yes",
            "7:10 bad-boolean: `yes` is a word, not a boolean · expected: true or false · try: `true`"
        ),
        (
            "monitors: { quality: off }\nmonitors: { volume: off }",
            "7:1 duplicate-key: `monitors` is already there, at 6:1 · expected: once · try: move these entries there"
        ),
        (
            "monitors: { d: { drift: country, test: [psi, ks] } }",
            "6:40 test-of-type: `ks` needs an order; `country` is a category · expected: numbers · try: `auto`"
        ),
        (
            "monitors: { d: { drift: amount, test: pis } }",
            "6:39 unknown-test: no test `pis` · expected: auto, \(testNames) · try: `psi`"
        ),
        (
            "monitors: { d: { drift: amount, test: kl_divergence } }",
            "6:39 later: test `kl_divergence` is refused: it has no bound where a cell is empty · expected: auto, \(testNames) · try: `psi`"
        ),
        (
            "monitors: { d: { drift: amount, test: psi, combine: all } }",
            "6:53 misplaced-key: `combine` has no effect with one test · expected: several tests · try: `test: [psi, ks]`"
        ),
        (
            "monitors: { f: { freshness: 5m, alert: off } }",
            "6:40 misplaced-key: without an alert nothing is left of a monitor of the source as a whole · expected: `per: segment` or `per: group`, for roll-ups · try: `f: off`"
        ),
        (
            "monitors: { f: { freshness: 5m, per: stream } }",
            "6:38 unknown-word: `stream` is not known here · expected: source, segment or group"
        ),
        (
            "monitors: { v: { volume: row } }",
            "6:26 unknown-name: no metric or dimension `row` · expected: model"
        ),
        (
            "monitors: { f: { freshness: 5m, per: group, for: 2 of 2 } }",
            "6:45 later: `for` is refused: how long nothing comes is the limit itself · expected: a longer `freshness` · try: delete it"
        ),
        (
            "monitors: { many: { any_of: [volume], min_rows: 5 } }",
            "6:39 later: `min_rows` is refused: it counts series, and those of few rows have no verdict · expected: `min_rows` of its members · try: delete it"
        ),
        (
            "limits: { alerts: 5 }",
            "6:11 later: `alerts` is refused: an alert that is left out is one that nobody hears of · expected: `group: model` or `cool_down` in `alerts`, or a smaller `budget` · try: delete it"
        ),
        (
            "budget: { method: lord }",
            "6:19 later: `lord` is refused: its levels follow from the verdicts before, in an order that partitions and restarts do not keep · expected: fixed · try: `fixed`"
        ),
        (
            "outputs: { aggregates: { columns: nobody } }",
            "6:35 unknown-column: no column `nobody` · expected: one of ts, model, amount, country, score · try: declare it in `source.schema`"
        ),
        (
            "monitors:\n  drift: &d { test: psi }",
            "7:10 yaml-anchor: anchors and aliases are not read · expected: plain YAML · try: `alerts` for common keys"
        ),
        (
            "filter:",
            "6:1 empty-value: `filter` has no value · expected: a row condition · try: delete the line for the default (keep all)"
        ),
        (
            "summaries:\n  - columns: *_usd",
            "7:14 yaml-alias: a leading `*` makes this a YAML alias · expected: quotes · try: `\"*_usd\"`"
        ),
        (
            "segments: { big: { by: [], where: least(amount, score) > 1 } }",
            "6:35 yaml-comma: inside { } a comma ends the value `least(amount` · expected: quotes · try: `\"least(amount, score) > 1\"`"
        ),
        (
            "kafka: { brokers: ${env:B} }",
            "6:19 yaml-brace: inside { } YAML reads `${env:B}` as a map · expected: quotes · try: `\"${env:B}\"`"
        ),
        (
            "monitors:\n  drift: { drift: amuont }",
            "7:19 unknown-column: no column `amuont` · expected: one of ts, model, amount, country, score · try: `amount`"
        ),
        (
            "monitors:\n  drift: { drift: g* }",
            "7:19 matches-nothing: `g*` matches no column · expected: at least one · try: `a*` (1 column)"
        ),
        (
            "monitors:\n  fast: { severity: page }",
            "7:3 no-kind: monitor `fast` does not say what it watches · expected: exactly one of drift, quality, rule, volume, age, freshness, metric, when, any_of, all_of · try: `drift: all`"
        ),
        (
            "monitors:\n  both: { drift: scores, volume: rows }",
            "7:26 two-kinds: `volume` is a second kind, after `drift` (7:11) · expected: one · try: two monitors"
        ),
        (
            "monitors:\n  drift:\n    against: trainig",
            "8:14 unknown-baseline: no baseline `trainig` · expected: training · try: `training`"
        ),
        (
            "monitors:\n  drift:\n    treshold: 3",
            "8:5 unknown-key: `treshold` is not a key of a drift monitor · expected: drift, test, combine, ignore_below, against, fallback, segments, windows, min_rows, overrides, severity, for, clear_for, clear_below, cool_down, max_age, resolve_after, alert, summary, runbook, description · try: `ignore_below`; how often it may be wrong is set once, in `budget`"
        ),
        (
            "filter: amount == \"100\"",
            "6:19 type-mismatch: `amount` is a number, `\"100\"` is text · expected: a number · try: `amount == 100`"
        ),
        (
            "filter: country = \"BR\"",
            "6:17 one-equals: `=` is not an operator · expected: == != < <= > >= · try: `country == \"BR\"`"
        ),
        (
            "filter: amount > mean(amount)",
            "6:18 aggregate-in-row: `mean` needs a window; a filter sees one row · expected: a row condition · try: a metric and a `when` monitor"
        ),
        (
            "filter: abs(amount)",
            "6:9 not-a-condition: this is a number · expected: true or false · try: a comparison, `abs(amount) > 0`"
        ),
        (
            "kafka:\n  brokers: ${env:BROKERS}",
            "7:12 env-unset: BROKERS is not set · expected: a value · try: set it, or `${env:BROKERS:-default}`"
        ),
        (
            "kafka:\n  sasl: { mechanism: PLAIN, username: tm, password: hunter2 }",
            "7:53 secret-literal: a secret may not stand in a topology · expected: a reference · try: `${file:/run/secrets/kafka}`; and change this one, it is in a file now"
        ),
        (
            "windows: [5m every 2m]",
            "6:11 window-step: 5m is not a multiple of 2m · expected: a step that divides the length · try: `6m every 2m` or `5m every 1m`"
        ),
        (
            "run: { delivery: exactly_onec }",
            "6:18 unknown-word: `exactly_onec` is not known here · expected: exactly_once or at_least_once · try: `exactly_once`"
        ),
        (
            "monitors: { m: { detect: x } }",
            "6:18 later: monitors of kind `detect` come in a later version · expected: drift, quality, rule, volume, age, freshness, metric, when, any_of or all_of · try: delete it"
        ),
        (
            "monitors: { volume: { drop: off } }",
            "6:13 volume-without-bound: `volume` does not say what is too few or too many · expected: one of drop, rise, below, above · try: `drop: 80%`"
        ),
        (
            "monitors: { volume: { against: training } }",
            "6:32 baseline-without-volume: `training` is a file, which does not say how many rows a window has · expected: a learned baseline · try: `against: { trailing: 6h }`"
        ),
        (
            "monitors: { volume: { against: { trailing: 10m } } }",
            "6:32 too-few-windows: 10m holds 2 windows of 5m: too few to tell how much the number of rows varies · expected: 3 windows or more, better 12 · try: `trailing: 1h`"
        ),
        (
            "monitors: { volume: { below: 10, above: 5 } }",
            "6:41 out-of-limits: nothing can be both at least 10 and at most 5 · expected: at least 10"
        ),
        (
            "monitors: { freshness: { per: groups } }",
            "6:31 unknown-word: `groups` is not known here · expected: source, segment or group · try: `group`"
        ),
        (
            "monitors: { quiet: { freshness: 2h, per: group, segments: [by-modle] } }",
            "6:60 unknown-segment: no segment `by-modle` · expected: by-model · try: `by-model`"
        ),
        (
            "monitors: { quiet: { freshness: 2h, segments: [by-model] } }",
            "6:37 misplaced-key: `segments` has no effect where the source as a whole is watched · expected: `per: segment` or `per: group` beside it · try: `per: group`"
        ),
        (
            "segments: { whole: { by: [] } }\nmonitors: { quiet: { freshness: 2h, per: group, segments: [whole] } }",
            "7:59 no-groups: segment `whole` has no groups: its `by` is empty · expected: a segment with `by` · try: `per: segment`"
        ),
        (
            "owner: ~",
            "6:8 empty-value: `~` is not a value · expected: text of at most 1024 characters · try: a value, or delete the line"
        ),
        (
            "a\tb: 1\n\tc: 2",
            "7:1 yaml-tab: a tab · expected: spaces · try: two spaces for each level"
        ),
        (
            "---\nname: u",
            "6:1 yaml-documents: a second document begins here · expected: one document in each file · try: another file"
        ),
        (
            "owner: !!str x",
            "6:8 yaml-tag: tags are not read · expected: plain YAML · try: delete what begins with `!`, or put the value into quotes"
        ),
    ])
    func `a mistake is named at its place with a way out`(text: String, message: String) {
        #expect(errors(text) == [message])
    }

    @Test func `a key one level too deep is sent up`() {
        let text =
            "name: t\nsource:\n  windows: [5m]\n  topic: rows\n  schema: { ts: time_ms, a: score }"
        #expect(
            lines(world(text).plan().diagnostics) == [
                "3:3 misplaced-key: `windows` is not a key of `source` · expected: at the top level · try: move it out two spaces"
            ])
    }

    @Test func `two baselines need a choice, a missing column a new baseline`() {
        let two = base.replacing(
            "baselines: { training: { file: t.json } }",
            with:
                "baselines: { training: { file: t.json }, usual: { file: t.json } }\nmonitors:\n  drift: { test: auto }"
        )
        #expect(
            lines(world(two).plan().diagnostics) == [
                "7:3 against-needed: `drift` could use training or usual · expected: `against` · try: `against: training`"
            ])
        let lacking =
            base.replacing("amount: number", with: "amount: number, spend: number")
            + "monitors:\n  drift: { drift: all }"
        #expect(
            lines(world(lacking).plan().diagnostics) == [
                "5:32 baseline-lacks-column: t.json has no `spend` · expected: every column of `drift` (7:19) · try: build it again, or `drift: [all, -spend]`"
            ])
    }

    /// Lines 1 to 5 without a baseline.
    private let bare = """
        name: t
        source:
          topic: rows
          schema: { ts: time_ms, model: model, amount: number, country: category, score: score }
        windows: [1m, 1h]

        """

    @Test func `a baseline of a topic says what it lacks, and brings no bins and no rows`() {
        let text = """
            name: t
            source: { topic: t, schema: { ts: time_ms, m: model, x: number } }
            baselines:
              a: { topic: bases }
              b: { topic: bases, key: b, skip: 5m }
              c: { first: 1h, key: c }
              d: { topic: "no spaces", key: d }
              e: { topic: bases, key: e }
            monitors: { drift: { against: e, fallback: pooled }, volume: { against: e } }
            summaries: [{ columns: x, histogram: { edges: e } }]
            """
        #expect(
            lines(world(text).plan().diagnostics) == [
                "4:3 missing-key: `a` does not say which records of `bases` it means · expected: `key`: the key of the records, such as the name of the model · try: `a: { topic: bases, key: a }`",
                "5:30 misplaced-key: `skip` is not a key of a baseline with `topic` · expected: `skip` beside `trailing` · try: delete it",
                "6:19 misplaced-key: `key` is not a key of a baseline with `first` · expected: `key` beside `topic` · try: delete it",
                "7:15 bad-topic: `no spaces` can't name a topic · expected: letters, digits, `.`, `_` and `-`, at most 249",
                "9:44 misplaced-key: `fallback` has no effect here: `e` is one of a topic · expected: a baseline from a file · try: delete it",
                "9:73 baseline-without-volume: `e` is one of a topic, which does not say how many rows a window has · expected: a learned baseline · try: `against: { trailing: 6h }`",
                "10:47 edges-missing: `e` is of a topic: it uses bins, and does not define any · expected: a baseline from a file, a list of numbers, or { from, to } · try: `{ from: 0, to: 1 }`",
            ])
    }

    @Test func `a learned baseline says what it lacks, all at once`() {
        let text =
            bare + """
                baselines:
                  a: {}
                  b: { file: t.json, trailing: 1h }
                  c: { file: t.json, skip: 5m, min_rows: 7 }
                  d: { first: 1h, skip: 5m }
                  e: { traling: 1h }
                  f: { trailing: 1h, per: pooled, times: 2 }
                  g: { first: 40d }
                monitors: { drift: { against: b } }
                """
        #expect(
            lines(world(text).plan().diagnostics) == [
                "7:3 missing-key: `a` does not say where it comes from · expected: one of file, topic, first, trailing, same_time, other · try: `a: { file: baselines/a.json }`",
                "8:22 two-kinds: `trailing` is a second kind, after `file` (8:8) · expected: one of file, topic, first, trailing, same_time, other · try: two baselines",
                "9:22 misplaced-key: `skip` is not a key of a baseline with `file` · expected: `skip` beside `trailing` · try: delete it",
                "9:32 misplaced-key: `min_rows` is not a key of a baseline with `file` · expected: `min_rows` beside `first`, `trailing`, `same_time` or `other` · try: delete it",
                "10:19 misplaced-key: `skip` is not a key of a baseline with `first` · expected: `skip` beside `trailing` · try: delete it",
                "11:8 unknown-key: `traling` is not a key of a baseline · expected: file, topic, key, first, trailing, same_time, other, skip, times, around, skip_dates, min_rows, per · try: `trailing`",
                "12:35 misplaced-key: `times` is not a key of a baseline with `trailing` · expected: `times` beside `same_time` · try: delete it",
                "13:15 out-of-limits: `40d` is out of bounds · expected: a duration from 1s to 31d · try: `31d`",
            ])
    }

    @Test func `a learned baseline needs bins, and a span that can be kept`() {
        let text =
            bare + """
                baselines: { recent: { trailing: 3d, skip: 1h } }
                monitors:
                  drift: { drift: all }
                """
        let universal =
            "8:19 edges-universal: nobody says where the values of `amount`, `score` lie: they are counted in universal bins, ten to each power of ten, and changes within a bin are not seen · expected: edges that are known before the data, from a file or declared · try: `amount: { type: number, expect: { range: [0, 1] } }`"
        let result = world(text).plan()
        #expect(
            lines(result.diagnostics) == [
                "6:34 too-many: 3d is 4320 windows of 1m, which are all kept · expected: at most 2016 · try: `trailing: 1d`, or `windows` with longer ones in `drift`"
            ])
        #expect(lines(result.diagnostics, .note).contains(universal))
        // Asked for in vain: that is an error.
        let off = text.replacing(
            "monitors:", with: "summaries: [{ columns: amount, histogram: off }]\nmonitors:")
        #expect(
            lines(world(off).plan().diagnostics).last
                == "9:19 edges-missing: no edges are known for the bins of `amount` lie, in which `recent` learns counts · expected: edges that are known before the data, from a file or declared · try: `amount: { type: number, expect: { range: [0, 1] } }`, or `-amount` here"
        )
        let short = text.replacing("3d, skip: 1h", with: "5m")
            .replacing("drift: all", with: "drift: country, windows: [1m]")
        #expect(lines(world(short).plan().diagnostics, .error) == [])
        #expect(
            lines(world(short).plan().diagnostics, .warning) == [
                "6:34 trailing-follows-drift: `recent` holds 5 windows of 1m: slow drift is learned as normal · expected: 10 windows or more, and a `skip` · try: `trailing: 10m`"
            ])
        let edges =
            text.replacing("3d", with: "1d").replacing("[1m, 1h]", with: "[1h]")
            + "\nsummaries:\n  - { columns: numbers, histogram: { edges: recent } }"
        #expect(
            lines(world(edges).plan().diagnostics) == [
                "10:45 edges-missing: `recent` is learned: it uses bins, and does not define any · expected: a baseline from a file, a list of numbers, or { from, to } · try: `{ from: 0, to: 1 }`"
            ])
    }

    @Test func `a learned baseline is planned, printed and hashed`() throws {
        let text =
            base.replacing(
                "baselines: { training: { file: t.json } }",
                with:
                    "baselines: { training: { file: t.json }, recent: { trailing: 6h, skip: 1h, min_rows: 2_000 } }"
            ) + "windows: [5m]\nmonitors: { drift: { against: recent } }"
        let result = world(text).plan()
        #expect(lines(result.diagnostics) == [])
        #expect(lines(result.diagnostics, .warning) == [])
        let plan = try #require(result.plan)
        #expect(
            plan.stream.baselines.map(\.label).dropFirst() == [
                "recent@trailing-21600s", "volume@trailing-3600s",
            ])
        #expect(plan.stream.columns[2].summary.histogram == .baseline(0))
        #expect(
            planText(result).contains(
                """
                learns    recent: the trailing 6h, 1h before the window, 2,000 rows or more; a group keeps 72
                          windows of 5m in about 9 KiB; a group is forgotten after 7d without rows
                """), "\(planText(result))")
        #expect(
            planText(result).replacing(" ", with: "").replacing("\n", with: "").contains(
                "thosewithoutrowsareatmost10,000inabout4MiB"), "\(planText(result))")
        #expect(
            planJSON(result).contains(
                "{\"name\":\"recent\",\"learned\":\"trailing\",\"length_ms\":21600000,\"skip_ms\":3600000,\"min_rows\":2000}"
            ))
        for (now, then) in [("6h", "5h"), ("1h", "2h"), ("2_000", "3_000"), ("trailing", "first")] {
            let other = world(
                text.replacing(now, with: then).replacing(
                    ", skip: 1h, min", with: then == "first" ? ", min" : ", skip: 1h, min")
            ).plan()
            #expect(other.plan != nil, "\(lines(other.diagnostics))")
            #expect(other.dataHash != result.dataHash, "\(now) to \(then)")
        }
    }

    @Test func `freshness of groups and segments is planned, printed and hashed`() throws {
        let text =
            base + "segments: { by-model: { by: [model] }, whole: { by: [] } }\nmonitors:\n"
            + "  quiet: { freshness: 2h, per: group, severity: warn }\n"
            + "  dry: { freshness: 30m, per: segment, segments: [whole] }"
        let result = world(text).plan()
        #expect(lines(result.diagnostics) == [])
        let plan = try #require(result.plan)
        // The source as a whole is watched besides, as long as nobody edits `freshness`.
        #expect(plan.stream.freshness.map(\.name) == ["quiet", "dry", "freshness"])
        #expect(plan.stream.freshness.map(\.per) == [.group, .segment, .source])
        #expect(plan.stream.freshness.map(\.segments) == [[0], [1], []])
        #expect(plan.stream.freshness.map(\.limitMs) == [7_200_000, 1_800_000, 600_000])
        #expect(plan.stream.freshness[0].forgetMs == 604_800_000)
        #expect(
            planText(result).contains(
                """
                silence   quiet (warn) after 2h without a row of a group of by-model, dry (page) after 30m without a
                          row of whole, freshness (page) after 10m without a record

                """), "\(planText(result))")
        let other = world(text.replacing("[whole]", with: "[by-model]")).plan()
        #expect(other.plan?.revision != plan.revision && other.dataHash == result.dataHash)
        // Clocks on the wall say nothing of a file; event time does.
        let file = world(text.replacing("topic: rows", with: "file: rows.ndjson")).plan()
        #expect(file.plan?.stream.freshness.map(\.name) == ["quiet", "dry"])
    }

    @Test func `a budget of each monitor is spread over its own tests alone`() throws {
        func levels(_ per: String) throws -> [String: Double] {
            let text =
                base + "monitors: { a: { drift: amount }, b: { drift: [amount, country] } }\n"
            let plan = try #require(world(text + "budget: { per: \(per) }").plan().plan)
            return Dictionary(
                plan.stream.monitors.compactMap { monitor in
                    monitor.level.map { (monitor.name, $0) }
                }, uniquingKeysWith: { a, _ in a })
        }
        let (all, each) = (try levels("topology"), try levels("monitor"))
        #expect(try levels("stream") == all)
        let (shared, a, b) = (
            try #require(all["a"]), try #require(each["a"]), try #require(each["b"])
        )
        #expect(all["b"] == shared && a == 2 * b && a > shared)
        // The checks of quality are one monitor of the topology.
        let checks = each.filter { $0.key.hasPrefix("quality.") && $0.key != "quality.columns" }
        #expect(Set(checks.values).count == 1)
    }

    @Test func `a silence that is shorter than a pane is warned of`() {
        #expect(
            lines(
                world(base + "monitors: { quiet: { freshness: 30s, per: group } }").plan()
                    .diagnostics, .warning) == [
                    "6:33 freshness-below-pane: 30s is less than a pane (1m), at the end of which silence is seen · expected: 1m or more · try: `freshness: 1m`"
                ])
    }

    @Test func `volume exists without being mentioned, goes with off, and is edited by name`()
        throws
    {
        func plan(_ more: String) throws -> Plan {
            let result = world(base + more).plan()
            #expect(lines(result.diagnostics) == [])
            var plan = try #require(result.plan)
            // It is there without being mentioned, too.
            plan.stream.monitors.removeAll { $0.kind == "quality" }
            return plan
        }
        let plain = try plan("windows: [1m, 1h]")
        #expect(plain.stream.monitors.map(\.name) == ["drift", "volume"])
        let monitor = try #require(plain.stream.monitors.last)
        #expect(monitor.volume.drop == 0.8 && monitor.volume.rise == nil)
        #expect(monitor.severity == .page && monitor.windows == [0, 1])
        // Twelve of the longest windows, an hour at least.
        #expect(plain.stream.baselines.last?.label == "volume@trailing-43200s")
        #expect(try plan("monitors: { volume: off }").stream.monitors.map(\.name) == ["drift"])
        let edited = try plan("monitors: { volume: { drop: 60%, severity: warn } }")
        #expect(edited.stream.monitors.last?.volume.drop == 0.6)
        #expect(edited.stream.baselines.last?.label == "volume@trailing-3600s")
        // Beside others of its kind it stays.
        #expect(
            try plan("monitors: { floor: { volume: rows, below: 10 } }").stream.monitors.map(\.name)
                == ["drift", "floor", "volume"])
        // Windows of which too many would be kept one by one are left out, or the span is shorter.
        #expect(try plan("windows: [1s, 1h]").stream.monitors.last?.windows == [1])
        #expect(
            try plan("windows: [1s]").stream.baselines.last?.label == "volume@trailing-2016s")
    }

    @Test func `a broker collects for a hundredth of the shortest step, if nothing is said`() throws
    {
        func waitMs(_ windows: String, _ said: String = "") throws -> Int64? {
            let topology = base.replacing("source:\n", with: "source:\n\(said)")
            let result = world(topology + windows).plan()
            #expect(lines(result.diagnostics) == [])
            return result.plan?.stream.source.fetchWaitMs
        }
        #expect(try waitMs("windows: [1s, 1h]") == 10)
        #expect(try waitMs("windows: [1h every 2s]") == 20)
        #expect(try waitMs("windows: [1h]") == 50)
        #expect(try waitMs("windows: [1s]", "  fetch_wait: 0s\n") == 0)
        #expect(try waitMs("windows: [1s]", "  fetch_wait: 250ms\n") == 250)
    }

    @Test func `all mistakes are said at once in order of place`() {
        let text = "windows: [60]\nlimits: { memory: 1 }\nfilter: amont > 1\nrun: { comit: 1s }"
        #expect(errors(text).map { $0.prefix { $0 != ":" } } == ["6", "7", "8", "9"])
    }

    @Test func `no secret is printed`() throws {
        var world = world(
            base + "kafka:\n  sasl: { mechanism: PLAIN, username: u, password: \"${env:PW}\" }\n"
                + "  properties: { ssl.key.password: \"${file:/k}\", client.rack: r1 }")
        world.environment["PW"] = "hunter2"
        world.files["/k"] = "hunter3\n"
        let result = world.plan()
        #expect(lines(result.diagnostics) == [])
        let plan = try #require(result.plan)
        #expect(plan.kafka.sasl?.password?.reveal() == "hunter2")
        #expect(plan.kafka.properties.map(\.name) == ["ssl.key.password", "client.rack"])
        #expect(plan.kafka.properties.map { $0.value.reveal() } == ["hunter3", "r1"])
        let printed = planText(result) + planJSON(result) + "\(plan)"
        #expect(!printed.contains("hunter"))
    }

    @Test func `overlay and overrides win in order and keep their own places`() throws {
        var world = world(base + "owner: a\nwindows: [1m]")
        world.files["o.yaml"] = "owner: b\nlimits: { memory: 64MiB }"
        let plan = try #require(
            world.plan(set: ["owner=c", "limits.record=1MiB"], with: "o.yaml").plan)
        #expect(plan.owner == "c")
        #expect(plan.limits.memoryBytes == 64 << 20)
        #expect(plan.limits.recordBytes == 1 << 20)
        let wrong = world.plan(set: ["limits.memory=12"])
        #expect(wrong.plan == nil)
        #expect(wrong.diagnostics.filter { $0.severity == .error }.map(\.file) == ["--set"])
        #expect(wrong.diagnostics.filter { $0.severity == .error }.map(\.column) == [15])
    }

    @Test func `every rule that is said can be explained`() {
        for rule in ruleNames { #expect(explain(rule: rule) != nil) }
        #expect(explain(rule: "no-such-rule") == nil)
    }

    @Test func `expressions become typed trees`() throws {
        func filter(_ text: String) throws -> RowExpression? {
            let result = world(base + "filter: '\(text)'").plan()
            #expect(lines(result.diagnostics) == [], "\(text)")
            return try #require(result.plan).stream.filter
        }
        #expect(
            try filter("amount > 1 and not country in [\"a\", \"b\"] or score is null")
                == .or(
                    .and(
                        .compare(.greater, .column(2), .number(1)),
                        .not(.isIn(.column(3), [.text("a"), .text("b")]))), .isNull(.column(4))))
        #expect(
            try filter("-amount * 2 + 5% < round(score, 1)")
                == .compare(
                    .less,
                    .arithmetic(
                        .add, .arithmetic(.multiply, .negate(.column(2)), .number(2)), .number(0.05)
                    ),
                    .call("round", [.column(4), .number(1)])))
        #expect(
            try filter("starts_with(lower(country), \"b\")")
                == .call("starts_with", [.call("lower", [.column(3)]), .text("b")]))
    }

    @Test(arguments: [
        ("csv", []),
        ("{ format: csv, columns: [ts, model, other, x], separator: tab }", []),
        (
            "{ format: csv, columns: [ts, model, xs] }",
            [
                "5:40 unknown-column: no field of the rows is the one that `x` reads · expected: one of ts, model, xs · try: `path: xs`"
            ]
        ),
        (
            "{ format: csv, columns: [ts, model, ts, x] }",
            ["4:47 duplicate-key: `ts` is named twice · expected: each field once"]
        ),
        (
            "{ format: json, columns: [ts] }",
            [
                "4:27 unknown-key: `columns` is a key of csv · expected: `format` alone · try: `format: csv`"
            ]
        ),
        (
            "avro",
            [
                "4:11 later: `avro` comes in a later version · expected: json or csv · try: `json`"
            ]
        ),
    ])
    func `of csv every column is a named field`(decode: String, expected: [String]) {
        let text = """
            name: t
            source:
              topic: rows
              decode: \(decode)
              schema: { ts: time_ms, model: model, x: number }
            """
        #expect(lines(world(text).plan().diagnostics) == expected)
    }
}
