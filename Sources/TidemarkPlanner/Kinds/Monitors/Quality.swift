import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Values that should not be there: rows without one, and categories that the baseline does not know.
///
/// Each check is a monitor of the plan, named by the monitor and the check with a point between: it has alerts
/// and verdicts of its own.
struct Quality: MonitorKind {
    /// What a check allows.
    private enum Bound: Sendable, Equatable {
        /// No more than in the baseline.
        case automatic
        /// At most this share.
        case most(Double)
    }

    let name = "quality"
    private let columns = KeySpec("quality", .selector, says: "all", "the columns")
    private let checks: KeySpec
    /// By name; a check is judged by the kind of this name in stage 2.
    private let checkKeys = [
        Key("null", Self.bound, usual: nil, says: "off", "rows without a value"),
        Key("unseen", Self.bound, usual: nil, says: "off", "categories that the baseline lacks"),
    ]
    private let ignoreBelow = Key(
        "ignore_below", ValueType.share(max: 1), usual: 0.01,
        "with `auto`: the smallest difference worth hearing, absolute")
    private let minRows = Setting(
        "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: AlertKeys.usual,
        json: "min_rows", "fewer rows: `too_few`")
    private let checkPart: PartSpec
    let part: PartSpec?

    init() {
        checks = KeySpec(
            "checks", .any("a map check → the share that is allowed, `auto` or off"),
            required: true,
            shape: .members(checkKeys.map { ($0.spec.name, .key($0.spec)) }), "which, and how much")
        checkPart = PartSpec(
            "checks", path: "monitors.*.checks", "the checks of quality", checkKeys,
            example: "checks: { null: 5%, unseen: auto }")
        let own: [any TopologyKey] = [
            columns, checks, ignoreBelow, Reach.against, Reach.segments, Reach.windows, minRows,
        ]
        part = PartSpec(
            name, path: "monitors.*", "values that should not be there, column by column",
            own + AlertKeys.ofMonitor,
            example: "monitors: { filled: { quality: all, checks: { null: 5%, unseen: auto } } }")
    }

    /// The share that is allowed, or `auto`.
    private static var bound: ValueType<Bound?> {
        let share = ValueType.share(max: 1)
        return ValueType<Bound>(
            .any("a share, or auto"),
            parse: { text, spec in
                text == "auto" ? .success(.automatic) : share.read(text, of: spec).map { .most($0) }
            },
            text: { if case .most(let most) = $0 { share.text(most) } else { "auto" } },
            json: { if case .most(let most) = $0 { .number(most) } else { .text("auto") } }
        ).orOff
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        guard let part,
            let f = scope.reading.fields(entry.value, part, what: "a quality monitor"),
            let own = f.part(checks, checkPart, shape: "{ null, unseen }"),
            let (picked, named) = Reach.columns(f, columns, of: entry, scope)
        else { return }
        var plan = monitor.common
        plan.kind = name
        f.read(AlertKeys.ofMonitor + [minRows], into: &plan)
        Reach.read(f, scope, into: &plan)
        plan.ignoreBelow = f.value(ignoreBelow)
        plan.columns = picked
        scope.named.formUnion(named)
        let place = f[columns]?.place ?? entry.keyPlace
        for key in checkKeys {
            guard let bound = own.value(key) else { continue }
            plan.name = "\(entry.key).\(key.spec.name)"
            plan.baseline = -1
            if bound == .automatic || key.spec.name == "unseen" {
                guard let baseline = Reach.baseline(f, of: entry, &scope) else { return }
                plan.baseline = baseline
            }
            var most = JSONValue.null
            if case .most(let share) = bound { most = .number(share) }
            plan.settings = Settings([("check", .text(key.spec.name)), ("most", most)])
            found.judges.append(
                ReadMonitor(
                    plan: plan, place: place, named: named,
                    testPlace: own[key]?.place ?? place))
        }
    }

    // MARK: Checks

    func check(_ read: inout ReadMonitor, _ scope: Scope) {
        Reach.checkWatched(read, scope)
        if check(of: read.plan) == "unseen" { keepCategories(&read, scope) }
        guard compares(read.plan) else { return }
        let baseline = scope.baselines.plans[read.plan.baseline]
        if baseline.isOfStream {
            scope.reading.say(
                "later", at: read.testPlace,
                "`auto` and `unseen` beside `\(baseline.name)`, which is \(baseline.other == nil ? "learned" : "another group"), come in a later"
                    + " version",
                expected: "a baseline from a file", suggestion: "a share, such as 5%")
        }
    }

    /// Numbers have no values that are known one by one.
    private func keepCategories(_ read: inout ReadMonitor, _ scope: Scope) {
        let others = read.plan.columns.filter {
            switch scope.columns[$0].type {
            case .category, .boolean: false
            case .number, .integer, .text, .time: true
            }
        }
        for index in others where read.named.contains(index) {
            let column = scope.columns[index]
            scope.reading.say(
                "not-testable", at: read.testPlace,
                "`unseen` is for categories; \(shown(column.name)) is "
                    + ColumnPart.article(column.type),
                expected: "categories or booleans", suggestion: "`unseen: off`")
        }
        read.plan.columns.removeAll { others.contains($0) }
        guard read.plan.columns.isEmpty, read.named.isEmpty else { return }
        scope.reading.say(
            "matches-nothing", at: read.testPlace, "`unseen` has no column that it can watch",
            expected: "categories or booleans", suggestion: "`unseen: off`")
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        guard most(of: plan) == nil else { return 0 }
        let watched = scope.segments.plans[segment].columns
        return plan.columns.count { watched.contains($0) }
    }

    func compares(_ plan: MonitorPlan) -> Bool { plan.baseline >= 0 }

    private func check(of plan: MonitorPlan) -> String {
        plan.settings.values.first { $0.name == "check" }?.value.asText ?? ""
    }

    private func most(of plan: MonitorPlan) -> Double? {
        plan.settings.values.first { $0.name == "most" }?.value.asNumber
    }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        let most = most(of: plan)
        return MonitorCells(
            test: check(of: plan), columns: plan.columns.count,
            ignored: most.map { "most \(shareText($0))" }
                ?? "auto \(shareText(plan.ignoreBelow ?? 0))")
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let against: String? = compares(plan) ? stream.baselines[plan.baseline].name : nil
        return [
            ("check", .text(check(of: plan))), ("most", .maybe(most(of: plan))),
            ("ignore_below", .maybe(plan.ignoreBelow)), ("against", .maybe(against)),
            ("columns", .texts(plan.columns.map { stream.columns[$0].name })),
        ] + [minRows.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = check(of: plan)
        identity.effects = most(of: plan).map(\.canonicalText) ?? "auto"
        return identity
    }
}
