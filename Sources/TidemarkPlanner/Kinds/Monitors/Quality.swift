import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Rows of columns that should not be so, check by check.
///
/// Each check is a monitor of the plan, named by the monitor and the check with a point between: it has alerts
/// and verdicts of its own. Which checks there are, the code that judges says.
struct Quality: MonitorKind {
    /// What a check allows.
    private enum Bound: Sendable, Equatable {
        /// What the column promises, else no more than in the baseline.
        case automatic
        /// At most this share.
        case most(Double)
    }

    /// A check with its key.
    private struct Check: Sendable {
        let spec: CheckSpec
        let key: Key<Bound?>
    }

    let name = "quality"
    private let columns = KeySpec("quality", .selector, says: "all", "the columns")
    private let checks: KeySpec
    private let known: [Check]
    private let ignoreBelow = Key(
        "ignore_below", ValueType.share(max: 1), usual: 0.01,
        "beside a baseline: the smallest difference worth hearing, absolute")
    private let minRows = Setting(
        "min_rows", \MonitorPlan.minRows, .count(1...1_000_000_000), usual: AlertKeys.usual,
        json: "min_rows", "fewer rows: `too_few`")
    /// What overrides may set beside what all monitors have.
    private static func overridable(
        _ minRows: Setting<MonitorPlan>
    ) -> [Setting<MonitorPlan>] {
        [
            Setting(
                "ignore_below", \MonitorPlan.ignoreBelow, ValueType.share(max: 1).optional,
                usual: AlertKeys.usual, "the smallest difference worth hearing"), minRows,
        ]
    }
    let checkPart: PartSpec
    let part: PartSpec?
    var usualSeverity: Severity { .warn }

    init(_ specs: [CheckSpec]) {
        known = specs.map {
            Check(
                spec: $0,
                key: Key(
                    $0.name, Self.bound($0.takesShare), usual: .automatic, says: "auto", $0.help))
        }
        let keys = known.map(\.key.spec)
        checks = KeySpec(
            "checks", .any("a map check → the share that is allowed, `auto` or off"),
            says: "auto, each", shape: .members(keys.map { ($0.name, .key($0)) }),
            "which, and how much")
        checkPart = PartSpec(
            "checks", path: "monitors.*.checks", "the checks of quality", keys,
            example: "checks: { null: 5%, unseen: off }")
        let own: [any TopologyKey] = [
            columns, checks, ignoreBelow, Reach.against, Reach.segments, Reach.windows, minRows,
            OverridesPart.key(Self.overridable(minRows)),
        ]
        part = PartSpec(
            name, path: "monitors.*", "rows that should not be so, column by column",
            own + AlertKeys.ofMonitor,
            example: "monitors: { quality: { checks: { null: 5%, unseen: off } } }")
    }

    /// The share that is allowed, or `auto`.
    private static func bound(_ takesShare: Bool) -> ValueType<Bound?> {
        let share = ValueType.share(max: 1)
        return ValueType<Bound>(
            .any(takesShare ? "a share, or auto" : "auto"),
            parse: { text, spec in
                if text == "auto" { return .success(.automatic) }
                let read = share.read(text, of: spec).map { Bound.most($0) }
                guard case .success = read, !takesShare else { return read }
                return .failure(
                    ScalarProblem(
                        rule: "no-share", message: "`\(spec.name)` counts no rows",
                        expected: spec.expected, suggestion: "`auto`"))
            },
            text: { if case .most(let most) = $0 { share.text(most) } else { "auto" } },
            json: { if case .most(let most) = $0 { .number(most) } else { .text("auto") } }
        ).orOff
    }

    // MARK: Reading

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        read(monitor, isUnmentioned: false, &scope, into: &found)
    }

    /// All columns are watched for all checks.
    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors
    ) {
        let place = top.entry(TopologyPart.monitors)?.keyPlace ?? top.place
        let entry = MonitorEntry(unmentioned: name, at: place, common: common)
        read(entry, isUnmentioned: true, &scope, into: &found)
    }

    private func read(
        _ monitor: MonitorEntry, isUnmentioned: Bool, _ scope: inout Scope,
        into found: inout ReadMonitors
    ) {
        let entry = monitor.entry
        guard
            let (f, begun) = start(
                monitor, as: "a quality monitor", [minRows],
                overridable: Self.overridable(minRows), scope),
            let (picked, named) = Reach.columns(f, columns, of: entry, scope)
        else { return }
        guard
            let (plan, given, baseline) = common(
                f, begun, entry, isUnmentioned: isUnmentioned, &scope)
        else { return }
        scope.named.formUnion(named)
        let place = f[columns]?.place ?? entry.keyPlace
        var silent: [String] = []
        for check in known {
            let own = given?[check.key]
            let bound = given.map { $0.value(check.key) } ?? .automatic
            guard let bound else { continue }
            var plan = plan
            plan.name = "\(entry.key).\(check.spec.name)"
            let ids = check.spec.columns.contains(.ids) ? self.ids(check, bound, scope) : []
            plan.columns = (picked + ids).filter { index in
                scope.columns[index].sort.map(check.spec.columns.contains) ?? false
            }.sorted()
            sayOthers(check, named, at: own?.place ?? place, own != nil, scope)
            let candidates = plan.columns
            set(&plan, check, bound, isGiven: own != nil, baseline: baseline, &scope)
            let quiet = candidates.filter { !plan.columns.contains($0) }
            // What no column promises nobody expects to be checked.
            if !quiet.isEmpty, check.spec.compares != nil {
                silent.append(
                    "\(check.spec.name) of \(ranges(quiet.map { scope.columns[$0].name }))")
            }
            guard !plan.columns.isEmpty else {
                if case .most = bound, let own { sayNothing(check, at: own.place, scope) }
                continue
            }
            scope.named.formUnion(ids.filter(plan.columns.contains))
            found.judges.append(
                ReadMonitor(
                    plan: plan, place: place, named: named, testPlace: own?.place ?? place))
        }
        if !silent.isEmpty {
            let plan = baseline >= 0 ? scope.baselines.plans[baseline] : nil
            let keepsValues = plan.map { $0.isOfStream && $0.topic == nil } ?? false
            found.silent.append(
                (
                    entry.key,
                    "no `expect` and no baseline from a file says what is usual: "
                        + silent.joined(separator: ", ")
                        + (keepsValues
                            ? " (`checks: { unseen: auto }` keeps which values there were)" : "")
                ))
        }
    }

    /// What all checks of a monitor have alike, the checks that are given, and the baseline.
    private func common(
        _ f: Fields, _ begun: MonitorPlan, _ entry: Node.Entry, isUnmentioned: Bool,
        _ scope: inout Scope
    ) -> (plan: MonitorPlan, checks: Fields?, baseline: Int)? {
        var given: Fields?
        if f.has(checks) {
            guard let own = f.part(checks, checkPart, shape: "{ null, unseen, … }") else {
                return nil
            }
            given = own
        }
        var plan = begun
        plan.isUnmentioned = isUnmentioned
        plan.ignoreBelow = f.value(ignoreBelow)
        guard let baseline = baseline(f, of: entry, isUnmentioned: isUnmentioned, &scope)
        else { return nil }
        return (plan, given, baseline)
    }

    /// Ids are watched where they promise something, or where a check asks for them by itself.
    private func ids(_ check: Check, _ bound: Bound, _ scope: Scope) -> [Int] {
        scope.columns.indices.filter { index in
            guard scope.columns[index].sort == .ids else { return false }
            if check.spec.columns == [.ids] { return bound != .automatic }
            return !scope.columns[index].expected.values.isEmpty
        }
    }

    /// What says what is usual; -1: nothing does.
    ///
    /// - Returns: its place; `nil` after reporting that it can't be told which.
    private func baseline(
        _ f: Fields, of entry: Node.Entry, isUnmentioned: Bool, _ scope: inout Scope
    ) -> Int? {
        let declared = scope.baselines.declaredCount
        let files = (0..<declared).filter { !scope.baselines.plans[$0].isOfStream }
        guard f.has(Reach.against) || !files.isEmpty && !isUnmentioned && declared > 1 else {
            if files.count == 1 { return files[0] }
            return declared == 1 ? 0 : -1
        }
        return Reach.baseline(f, of: entry, &scope)
    }

    /// Leaves the columns of which something is known, and says what it is.
    ///
    /// - `isGiven`: the topology names the check. What it costs to keep which values there were is asked for.
    private func set(
        _ plan: inout MonitorPlan, _ check: Check, _ bound: Bound, isGiven: Bool, baseline: Int,
        _ scope: inout Scope
    ) {
        let contract = check.spec.contract
        func promise(_ index: Int) -> JSONValue? {
            contract.flatMap { contract in
                scope.columns[index].expected[contract.key.name]
            }
        }
        var isCompared = false
        let (file, origin) =
            baseline >= 0
            ? (scope.baselines.summaries[baseline], scope.baselines.plans[baseline]) : (nil, nil)
        let isOfStream = origin?.isOfStream ?? false
        func isKnown(_ index: Int) -> Bool {
            // A topic says how many values fell into each cell, not which.
            if isOfStream {
                return check.spec.compares != .names || isGiven && origin?.topic == nil
            }
            return file?.columns.contains { $0.name == scope.columns[index].name } ?? false
        }
        let counts = contract.map { !$0.isShare } ?? false
        plan.columns.removeAll { index in
            if promise(index) != nil { return false }
            // Without a promise there is nothing to be held to, but a share, or the baseline.
            if case .most = bound, !counts, check.spec.compares != .names { return false }
            if check.spec.compares == nil {
                return counts || check.spec.columns == [.ids]
            }
            isCompared = isCompared || isKnown(index)
            return !isKnown(index)
        }
        // Rows that come and can't be read need no baseline to be wrong.
        let looksUp = check.spec.pages && baseline >= 0
        plan.baseline = isCompared || looksUp ? baseline : -1
        plan.asksEntries = plan.baseline >= 0
        plan.needsCells = isCompared && check.spec.compares == (isOfStream ? .cells : .names)
        plan.asksSeen = isCompared && isOfStream && check.spec.compares == .names
        if check.spec.pages { plan.severity = .page }
        plan.settings = Self.settings(
            check, bound,
            promises: plan.columns.compactMap { index in
                promise(index).map { (scope.columns[index].name, $0) }
            })
        for index in plan.columns {
            if counts, promise(index) != nil,
                !scope.schema.columns[index].tallies.contains(check.spec.name),
                check.spec.takesShare
            {
                scope.schema.columns[index].tallies.append(check.spec.name)
            }
            if check.spec.columns == [.ids] { scope.repeats.insert(index) }
            if counts, !check.spec.takesShare { scope.counted.insert(index) }
            if plan.asksSeen, promise(index) == nil { scope.seen.insert(index) }
        }
    }

    /// What a check asks, as plans have it.
    ///
    /// - `promises`: what columns promise, by their names.
    private static func settings(
        _ check: Check, _ bound: Bound, promises: [(name: String, value: JSONValue)]
    ) -> Settings {
        var most = JSONValue.null
        if case .most(let share) = bound { most = .number(share) }
        var settings: [(name: String, value: JSONValue)] = [
            ("check", .text(check.spec.name)), ("most", most),
        ]
        if !promises.isEmpty { settings.append(("expect", .object(promises))) }
        return Settings(settings)
    }

    /// Columns that are named, and that a check which is named too can't watch.
    private func sayOthers(
        _ check: Check, _ named: Set<Int>, at place: Place, _ isGiven: Bool, _ scope: Scope
    ) {
        guard isGiven, check.spec.columns != [.ids] else { return }
        for index in named.sorted() {
            let column = scope.columns[index]
            if let sort = column.sort, check.spec.columns.contains(sort) { continue }
            let sorts = CheckSpec.Columns.allCases.filter(check.spec.columns.contains)
            scope.reading.say(
                "not-testable", at: place,
                "`\(check.spec.name)` is for \(alternatives(sorts.map(\.rawValue)));"
                    + " \(shown(column.name)) is \(ColumnPart.article(column.type))",
                expected: alternatives(sorts.map(\.rawValue)),
                suggestion: "`\(check.spec.name): off`")
        }
    }

    /// A share was given of what nobody can tell.
    private func sayNothing(_ check: Check, at place: Place, _ scope: Scope) {
        let sorts = CheckSpec.Columns.allCases.filter(check.spec.columns.contains)
        let key = check.spec.contract.map { "`\($0.key.name)` in `expect`" }
        let other = check.spec.compares.map { _ in "a baseline" }
        let needs = [key, other].compactMap(\.self)
        scope.reading.say(
            "matches-nothing", at: place,
            "`\(check.spec.name)` has no column that it can watch",
            expected: needs.isEmpty
                ? "columns that are \(alternatives(sorts.map(\.rawValue)))" : alternatives(needs),
            suggestion: "`\(check.spec.name): off`")
    }

    // MARK: Checks

    func check(_ read: inout ReadMonitor, _ scope: Scope) { Reach.checkWatched(read, scope) }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        guard let check = known.first(where: { $0.spec.name == self.check(of: plan) }) else {
            return 0
        }
        let watched = scope.segments.plans[segment].columns
        let isShare = check.spec.contract?.isShare ?? false
        let tested = plan.columns.count { index in
            guard watched.contains(index) else { return false }
            if let most = most(of: plan) { return most > 0 }
            guard let promise = promises(of: plan)[scope.columns[index].name] else { return true }
            // None may be so: no test, and no budget.
            return isShare && promise.asNumber ?? 0 > 0
        }
        return check.spec.testCount * tested
    }

    func compares(_ plan: MonitorPlan) -> Bool { plan.baseline >= 0 }

    private func check(of plan: MonitorPlan) -> String {
        plan.settings["check"]?.asText ?? ""
    }

    private func most(of plan: MonitorPlan) -> Double? {
        plan.settings["most"]?.asNumber
    }

    private func promises(of plan: MonitorPlan) -> [String: JSONValue] {
        let promises = plan.settings["expect"]?.asObject ?? []
        return Dictionary(promises.map { ($0.name, $0.value) }) { first, _ in first }
    }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        var ignored = "auto"
        if let most = most(of: plan) {
            ignored = "most \(shareText(most))"
        } else if compares(plan), !plan.settings.values.contains(where: { $0.name == "expect" }) {
            ignored = "auto \(shareText(plan.ignoreBelow ?? 0))"
        } else if !promises(of: plan).isEmpty {
            ignored =
                "expect of \(ranges(promises(of: plan).keys.sorted()))"
                + (compares(plan) ? ", else \(shareText(plan.ignoreBelow ?? 0))" : "")
        }
        return MonitorCells(
            test: check(of: plan), columns: plan.columns.count, ignored: ignored)
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let against: String? = compares(plan) ? stream.baselines[plan.baseline].name : nil
        let expect = plan.settings.values.filter { $0.name == "expect" }
        return [
            ("check", .text(check(of: plan))), ("most", .maybe(most(of: plan))),
            ("ignore_below", .maybe(plan.ignoreBelow)), ("against", .maybe(against)),
            ("columns", .texts(plan.columns.map { stream.columns[$0].name })),
        ] + expect + [minRows.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        let check = check(of: plan)
        identity.tests = check
        identity.effects = most(of: plan).map(\.canonicalText) ?? "auto"
        let promises = promises(of: plan).sorted { $0.key < $1.key }
        guard !promises.isEmpty else { return identity }
        let lines = promises.map { Identity.Line("expect", plan.name, $0.key, $0.value) }
        switch known.first(where: { $0.spec.name == check })?.spec.contract?.form {
        // What cells count: other texts are other counts.
        case .texts, .pattern: identity.data = lines
        default: identity.judged = lines
        }
        return identity
    }
}
