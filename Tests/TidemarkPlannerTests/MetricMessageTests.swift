import Testing
import TidemarkDataflow
import TidemarkPlanner
import TidemarkTopology

/// What is wrong with a metric is said in place, with a way out.
struct MetricMessageTests {
    private let base = """
        name: t
        source:
          topic: rows
          schema: { ts: time_ms, model: model, amount: number, paid: boolean, country: category, score: score }

        """

    private func errors(_ more: String) -> [String] {
        lines(World(base + more).plan().diagnostics)
    }

    @Test(arguments: [
        (
            "metrics: { m: avg(amount) }",
            "5:15 unknown-function: no function `avg` · expected: an aggregate: count sum mean sd min max quantile median distinct share null_share correlation change"
        ),
        (
            "metrics:\n  m: amount / count()",
            "6:6 row-in-aggregate: `amount` has one value a row; a metric is one value a window · expected: an aggregate · try: `mean(amount)`"
        ),
        (
            "metrics:\n  m: mean(country)",
            "6:11 type-mismatch: `country` is text; `mean` takes a number · expected: a number · try: `distinct`, `count` or `null_share`"
        ),
        (
            "metrics:\n  m: mean(paid)",
            "6:11 type-mismatch: `paid` is a condition; `mean` takes a number · expected: a number · try: `share(paid)`"
        ),
        (
            "metrics:\n  m: count() > 5",
            "6:6 not-a-number: this is a condition · expected: a number · try: a monitor with `when`"
        ),
        (
            "metrics:\n  amount: count()",
            "6:3 duplicate-name: `amount` is a column already; a metric is published beside it · expected: another name · try: `amount_value`"
        ),
        (
            "metrics:\n  m: quantile(amount, 95)",
            "6:23 out-of-limits: `95` is not a rank · expected: a number from 0 to 1 · try: `0.95`, or `95%`"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmetrics:\n  m: max(amount over recent)",
            "7:22 not-kept: `recent` adds windows up, which `max` can't be had of · expected: `count`, `sum`, `mean`, `sd`, `share`, `null_share`, `correlation`"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmetrics:\n  m: correlation(amount, score over recent)",
            "7:26 bad-expression: `where` and `over` stand behind the first argument · expected: correlation(x, y)"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmetrics:\n  m: median(amount)\n  n: change(m, recent)",
            "8:16 not-kept: `recent` adds windows up, which `quantile` can't be had of"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmonitors:\n  m: { metric: min(amount), against: recent, change: 5% }",
            "7:16 not-kept: `recent` adds windows up, which `min` can't be had of"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmonitors:\n  m: { metric: mean(amount), against: recent, above: 5 }",
            "7:39 misplaced-key: `against` has no effect without `change` · expected: `change` beside it · try: `change: 5%`"
        ),
        (
            "baselines: { recent: { trailing: 1h } }\nmetrics:\n  m: wasserstein(country, recent)",
            "7:6 test-of-type: `wasserstein` needs distances; `country` is a category · expected: numbers · try: `auto`"
        ),
        (
            "monitors:\n  m: { any_of: [drfit, volume] }",
            "6:17 unknown-monitor: no monitor `drfit` · expected: monitors: quality, volume"
        ),
        (
            "monitors:\n  m: { any_of: [n] }\n  n: { all_of: [volume] }",
            "6:17 not-a-member: `n` adds up others itself · expected: monitors: quality, volume · try: its members"
        ),
        (
            "monitors:\n  m: { any_of: [freshness] }",
            "6:17 not-a-member: `freshness` watches the source as a whole: while that is silent no window ends, and nothing is added up · expected: monitors: quality, volume · try: `per: segment` or `per: group` in `freshness`"
        ),
        (
            "monitors:\n  m: { any_of: [] }",
            "6:16 empty-list: `any_of` has no monitor in it · expected: monitors · try: `any_of: [drift, volume]`"
        ),
        (
            "monitors:\n  m: { all_of: [volume], at_least: 120% }",
            "6:36 bad-share"
        ),
        (
            "metrics:\n  m: sum(amount over trainig)",
            "6:22 unknown-baseline: no baseline `trainig` · expected: one that `baselines` declares"
        ),
        (
            "metrics:\n  m: declins\n  declines: count()",
            "6:6 unknown-name: no metric or dimension `declins` · expected: model"
        ),
        (
            "monitors:\n  m: { metric: count() }",
            "6:3 metric-without-bound: `m` does not say what is too great or too small · expected: one of above, below, outside, or against with change · try: `above: 5%`"
        ),
        (
            "monitors:\n  m: { metric: count(), outside: [6%, 1%] }",
            "6:34 out-of-limits: everything is outside of 0.06 to 0.01 · expected: the smaller number first · try: `[0.01, 0.06]`"
        ),
        (
            "monitors:\n  m: { when: count() }",
            "6:14 not-a-condition: this is a number · expected: true or false · try: a comparison, `count() > 0.1`"
        ),
        (
            "monitors:\n  drift: { drift: m }\nmetrics:\n  m: count()",
            "6:19 not-watched: `m` is declared as metric: it is not watched · expected: a feature, score, class or label · try: a monitor with `metric: m`"
        ),
    ])
    func `a wrong metric is named at its place with a way out`(more: String, message: String) {
        let found = errors(more)
        #expect(found.contains { $0.hasPrefix(message) }, "\(found)")
    }

    @Test func `a roll-up knows all monitors that a name stands for`() {
        let plan = World(base + "monitors: { m: { any_of: [quality, volume], at_least: 3 } }")
            .plan()
            .plan
        let monitors = plan?.stream.monitors ?? []
        let rollUp = monitors.first { $0.name == "m" }
        #expect(
            rollUp?.members.map { member in
                Set(monitors.filter { member.monitors.contains($0.name) }.map(\.kind))
            } == [["quality"], ["volume"]])
        #expect(rollUp?.members.map(\.name) == ["quality", "volume"])
        #expect(rollUp?.atLeast == .count(3))
        #expect(monitors.filter(\.isMember).count == monitors.count - 1)
        #expect(rollUp?.severity == .warn)
    }

    @Test func `a roll-up looks where its members do, and at silences with the shortest windows`() {
        let text =
            base + """
                windows: [1h, 1m]
                monitors:
                  silent: { freshness: 2h, per: group, segments: [by-model], alert: off }
                  many: { any_of: [silent], at_least: 20% }
                  mixed: { all_of: [silent, hourly] }
                  hourly: { metric: count(), below: 5, windows: [1h] }
                """
        let plan = World(text).plan().plan
        func windows(_ name: String) -> [Int64]? {
            plan?.stream.monitors.first { $0.name == name }?.windows.map {
                plan?.stream.windows[$0].lengthMs ?? 0
            }
        }
        #expect(windows("many") == [60_000])
        #expect(windows("mixed") == [3_600_000])
        #expect(plan?.stream.freshness.first { $0.name == "silent" }?.alerts == false)
    }

    @Test func `metrics may name those before them, and dimensions`() {
        let text = """
            metrics:
              declines: share(paid)
              odds: if(model == "m", declines / (1 - declines), null)
            monitors: { m: { metric: odds, above: 2 }, w: { when: odds > declines } }
            """
        #expect(errors(text).allSatisfy { !$0.contains("error") })
        let plan = World(base + text).plan().plan
        #expect(plan?.stream.metrics.count == 3)
        // One hidden column for the share, however often it is named.
        #expect(plan?.stream.columns.count { $0.isUnpublished } == 1)
    }
}
