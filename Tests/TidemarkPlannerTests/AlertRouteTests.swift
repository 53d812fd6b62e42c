import Testing
import TidemarkDataflow
import TidemarkPlanner
import TidemarkTopology

/// Destinations and routes of alerts, and the text of alerts: how they are read and checked.
struct AlertRouteTests {
    private func world(_ alerts: String) -> World {
        World(
            """
            name: t
            source:
              topic: rows
              schema: { ts: time_ms, model: model, amount: { type: number, expect: { range: [0, 1] } } }
            baselines: { lately: { trailing: 1h } }
            monitors: { drift: { drift: all, severity: warn }, quality: off, freshness: { freshness: 10m } }
            windows: [5m]
            alerts:

            """ + alerts)
    }

    @Test func `routes are in the plan, and the first that takes an alert decides`() {
        let result = world(
            """
              destinations: { oncall: { topic: t-oncall }, team: { topic: t-team } }
              routes:
                - { severity: page, monitors: [volume], groups: { model: "a*" }, to: [oncall, team] }
                - { severity: [warn, info], to: team }
                - { severity: page, to: [oncall] }
            """
        ).plan()
        #expect(lines(result.diagnostics, .error) == [])
        guard let outputs = result.plan?.outputs else { return }
        #expect(
            outputs.destinations == [
                AlertDestination(name: "oncall", topic: "t-oncall"),
                AlertDestination(name: "team", topic: "t-team"),
            ])
        #expect(outputs.routes.map(\.to) == [["oncall", "team"], ["team"], ["oncall"]])
        #expect(outputs.topics.contains("t-oncall") && outputs.topics.contains("t-team"))
        #expect(result.plan?.neededTopics.count { $0.role == .destination } == 2)
        #expect(outputs.routes[0].takes { _ in "apple" })
        #expect(!outputs.routes[0].takes { _ in "banana" })
        // A source has no group.
        #expect(!outputs.routes[0].takes { _ in nil })
        #expect(outputs.routes[1].takes(monitor: "drift", severity: "warn"))
        #expect(planText(result).contains("page of volume with model=a* to oncall, team"))
        #expect(lines(result.diagnostics, .warning).filter { $0.contains("rout") } == [])
    }

    @Test func `a monitor that was made of another goes by its name, too`() {
        var route = AlertRoute()
        route.monitors = ["drift"]
        #expect(route.takes(monitor: "drift.training", severity: "page"))
        #expect(!route.takes(monitor: "drifts", severity: "page"))
    }

    @Test func `what is wrong with routes is said, all at once`() {
        let said = world(
            """
              destinations:
                oncall: { webhook: "https://example.org" }
                team: { topic: rows }
                lost: {}
              routes:
                - { severity: pages, to: [team] }
                - { monitors: [drfit], to: [taem] }
                - { groups: { modle: a }, to: [team] }
                - { severity: page }
            """
        ).plan().diagnostics
        #expect(
            lines(said, .error) == [
                "9:3 output-is-source: `rows` is read and written: a loop · expected: another topic · try: `rows-out`",
                "10:15 later: `webhook` comes in a later version · expected: keys of this version · try: delete it for now",
                "12:5 missing-key: `lost` does not say where alerts go · expected: `topic` · try: `lost: { topic: alerts-lost }`",
                "14:19 unknown-word: `pages` is not a severity · expected: page, warn or info · try: `page`",
                "15:20 matches-nothing: `drfit` matches no monitor · expected: at least one · try: `drift`",
                "15:33 unknown-word: `taem` is not a destination · expected: team · try: `team`",
                "16:19 unknown-dimension: no segment has the dimension `modle` · expected: model · try: `model`",
                "17:7 missing-key: a route has no `to` · expected: names of destinations · try: add `to: …`: who hears of it",
            ])
    }

    @Test func `routes that nothing gets to, and pages that nobody hears of, are warned of`() {
        let said = world(
            """
              destinations: { team: { topic: t-team }, other: { topic: t-other } }
              routes:
                - { monitors: [drift, volume], to: [team] }
                - { monitors: [drift], severity: warn, to: [team] }
                - { monitors: [drift], severity: info, to: [team] }
            """
        ).plan().diagnostics
        #expect(
            lines(said, .warning).filter { $0.contains("rout") } == [
                "9:44 destination-unused: no route goes to `other` · expected: a route · try: `routes: [{ severity: page, to: [other] }]`",
                "11:5 page-unrouted: pages of `freshness` and 9 more go to no destination, or not for all groups: nobody is told · expected: a route for every page · try: `{ severity: page, to: [team] }` at the end",
                "12:7 route-unreachable: routes before this one take all of its alerts · expected: a narrower one before it · try: move it up, or delete it",
                "13:7 route-unreachable: no monitor alerts with this severity · expected: a severity of one of its monitors · try: delete it",
            ])
    }

    @Test func `a template is checked when it is planned`() {
        #expect(
            lines(world("  summary: \"{colunm} of {group}: {usual} → {now}\"").plan().diagnostics)
                == [
                    "9:12 unknown-word: `{colunm}` is not filled in · expected: {column}, {group}, {value}, {effect}, {threshold}, {baseline}, {usual}, {now}, {changes}, {monitor} or {severity} · try: `{column}`"
                ])
        #expect(lines(world("  summary: \"{column} { } {effect}\"").plan().diagnostics).count == 1)
        #expect(lines(world("  summary: \"{column} by {effect}\"").plan().diagnostics) == [])
    }
}
