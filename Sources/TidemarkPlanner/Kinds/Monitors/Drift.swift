import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A group's window against a baseline, column by column.
struct Drift: MonitorKind {
    let name = "drift"
    let columns = KeySpec("drift", .selector, says: "all", "the columns")
    let tests: KeySpec
    /// Of one test in the map behind `test`.
    let testBelow = Key(
        "ignore_below", ValueType.share(max: 100).optional, "the smallest effect worth hearing")
    let ignoreBelow = Key(
        "ignore_below", ValueType.share(max: 100).optional, says: "by test",
        "the smallest effect worth hearing")
    let combine = Setting(
        "combine", \MonitorPlan.needsAllTests, .choice([("any", false), ("all", true)]),
        usual: AlertKeys.usual, json: "combine",
        "of several tests: whether one that finds drift is enough, or all have to")
    let fallback = Setting(
        "fallback", \MonitorPlan.fallsBack, .choice([("none", false), ("pooled", true)]),
        usual: AlertKeys.usual, json: "fallback",
        "what a group is compared with that the file does not have: nothing, or all groups together"
    )
    let minRows = Setting(
        "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: AlertKeys.usual,
        json: "min_rows", "fewer rows: `too_few`")
    /// What overrides may set beside what all monitors have.
    private static func overridable(
        _ minRows: Setting<MonitorPlan>
    ) -> [Setting<MonitorPlan>] {
        [
            Setting(
                "ignore_below", \MonitorPlan.ignoreBelow, ValueType.share(max: 100).optional,
                usual: AlertKeys.usual, "the smallest effect worth hearing"), minRows,
        ]
    }
    let part: PartSpec?

    init() {
        let names = TestWords.names
        let bounds = ValueShape.members([("ignore_below", .key(ignoreBelow.spec))])
        tests = KeySpec(
            "test", .any("a test, a list of tests, or a map test → { ignore_below }"),
            says: "auto",
            shape: .either([
                .words(["auto"] + names), .list(.words(names)),
                .members(names.map { ($0, bounds) }),
            ]),
            "how it is measured")
        let own: [any TopologyKey] = [
            columns, tests, combine, ignoreBelow, Reach.against, fallback, Reach.segments,
            Reach.windows,
            minRows, OverridesPart.key(Self.overridable(minRows)),
        ]
        part = PartSpec(
            name, path: "monitors.*", "a group's window against a baseline, column by column",
            own + AlertKeys.ofMonitor,
            example: "monitors: { score-drift: { drift: scores, test: psi, ignore_below: 0.2 } }")
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        if let read = read(monitor, &scope) { found.judges.append(read) }
    }

    /// Where the topology declares a baseline, all columns are compared with it.
    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors
    ) {
        guard scope.baselines.declaredCount > 0 else {
            top.reading.say(
                .note, "no-baseline",
                at: top.entry(TopologyPart.monitors)?.keyPlace ?? top.place,
                "no baseline is declared: drift is not watched", expected: "`baselines`",
                suggestion: "`baselines: { training: { file: baselines/training.json } }`")
            return
        }
        let place = top.entry(TopologyPart.baselines)?.keyPlace ?? top.place
        let entry = MonitorEntry(unmentioned: name, at: place, common: common)
        if let read = read(entry, &scope) { found.judges.insert(read, at: 0) }
    }

    private func read(_ monitor: MonitorEntry, _ scope: inout Scope) -> ReadMonitor? {
        let entry = monitor.entry
        guard
            let (f, common) = start(
                monitor, as: "a drift monitor", [minRows],
                overridable: Self.overridable(minRows), scope)
        else { return nil }
        var plan = common
        guard let baseline = Reach.baseline(f, of: entry, learns: true, &scope) else { return nil }
        plan.baseline = baseline
        if fallback.read(f, &plan), plan.fallsBack, let node = f[fallback] {
            checkFallback(baseline, at: node.place, scope)
        }
        let place = f[columns]?.place ?? entry.keyPlace
        guard let (picked, named) = Reach.columns(f, columns, of: entry, scope) else { return nil }
        plan.columns = picked
        scope.named.formUnion(named)
        plan.ignoreBelow = f.value(ignoreBelow)
        plan.tests = readTests(f, ignoreBelow: plan.ignoreBelow) ?? .automatic
        readCombine(f, into: &plan)
        if plan.tests == .automatic, plan.ignoreBelow == nil {
            plan.ignoreBelow = TwoSample.automatic.spec.ignoreBelow
        }
        return ReadMonitor(
            plan: plan, place: place, named: named, testPlace: f[tests]?.place ?? place)
    }

    /// Whether all tests have to find drift; of use where there are several.
    private func readCombine(_ f: Fields, into plan: inout MonitorPlan) {
        guard combine.read(f, &plan), let node = f[combine] else { return }
        if case .named(let tests) = plan.tests, tests.count > 1 { return }
        f.reading.say(
            "misplaced-key", at: node.place, "`combine` has no effect with one test",
            expected: "several tests", suggestion: "`test: [psi, ks]`")
    }

    /// A file must have what groups without entries are to be compared with.
    private func checkFallback(_ baseline: Int, at place: Place, _ scope: Scope) {
        let plan = scope.baselines.plans[baseline]
        if plan.isOfStream {
            scope.reading.say(
                "misplaced-key", at: place,
                "`fallback` has no effect here: `\(plan.name)` is "
                    + (plan.learning != nil
                        ? "learned of every group"
                        : plan.topic != nil ? "one of a topic" : "another group"),
                expected: "a baseline from a file", suggestion: "delete it")
        } else if let summary = scope.baselines.summaries[baseline], !summary.groups.contains("*") {
            scope.reading.say(
                .warning, "fallback-missing", at: place,
                "\(scope.baselines.fileName(baseline)) has no rows of all groups together:"
                    + " groups that it lacks say `no_baseline`",
                expected: "a group `*` in the file",
                suggestion: "`tidemark baseline build --by … --pooled`")
        }
    }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        switch plan.tests {
        case .automatic:
            let spec = TwoSample.automatic.spec
            return MonitorCells(
                test: "auto", columns: plan.columns.count,
                ignored: "\(spec.name) \(numberText(plan.ignoreBelow ?? spec.ignoreBelow))")
        case .named(let tests):
            return MonitorCells(
                test: tests.map(\.test).joined(separator: plan.needsAllTests ? "+" : " "),
                columns: plan.columns.count,
                ignored: tests.map { "\($0.test) \(numberText($0.ignoreBelow))" }
                    .joined(separator: " "))
        }
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        func below(_ effect: Double) -> JSONValue { .object([("ignore_below", .number(effect))]) }
        let tests: [Fact] =
            switch plan.tests {
            case .automatic:
                [("auto", below(plan.ignoreBelow ?? TwoSample.automatic.spec.ignoreBelow))]
            case .named(let tests): tests.map { ($0.test, below($0.ignoreBelow)) }
            }
        return [
            ("test", .object(tests)), ("against", .text(stream.baselines[plan.baseline].name)),
            ("columns", .texts(plan.columns.map { stream.columns[$0].name })),
        ]
            + (plan.needsAllTests ? [combine, minRows, fallback] : [minRows, fallback])
            .compactMap { $0.fact(plan) }
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        if case .named(let tests) = plan.tests {
            identity.tests = tests.map(\.test).joined(separator: ",")
            identity.effects = tests.map(\.ignoreBelow.canonicalText).joined(separator: ",")
        }
        if plan.needsAllTests {
            identity.judged = [Identity.Line("combine", plan.name, "all")]
        }
        if plan.fallsBack { identity.data = [Identity.Line("fallback", plan.name, "pooled")] }
        return identity
    }
}
