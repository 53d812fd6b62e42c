import TidemarkDataflow
import TidemarkDrift
import TidemarkText
import TidemarkTopology

extension Resolver {
    /// A monitor that was read, with what its checks need to point at.
    struct ReadMonitor {
        var plan: MonitorPlan
        /// Where its columns are chosen.
        var place: Place
        /// Columns chosen by their very names: they can't be left out quietly.
        var named: Set<Int>
        var testPlace: Place
        var ignorePlace: Place?
    }

    // MARK: Budget

    func budget(_ top: Fields) -> Budget {
        var budget = Budget()
        guard let node = top["budget"], let f = reading.fields(node, Spec.budget, what: "`budget`")
        else { return budget }
        func rate(_ key: String, _ current: ErrorBudget?) -> ErrorBudget? {
            if f.isOff(key) {
                if let entry = f.entry(key) {
                    reading.say(
                        .warning, "budget-off", at: entry.keyPlace,
                        "nothing bounds false alarms of severity \(key)", expected: "a rate",
                        suggestion: "`1 per week`")
                }
                return nil
            }
            return reading.rate(f, key) ?? current
        }
        budget.page = rate("page", budget.page)
        budget.warn = rate("warn", budget.warn)
        budget.info = rate("info", budget.info)
        _ = reading.choice(f, "per")
        _ = reading.choice(f, "method")
        return budget
    }

    // MARK: Monitors

    func readMonitors(_ top: Fields) -> [ReadMonitor] {
        var common = MonitorPlan(
            name: "", columns: [], segments: [], windows: [], baseline: 0, tests: .automatic)
        if let node = top["alerts"],
            let f = reading.fields(node, Spec.alerts, what: "`alerts`")
        {
            readAlertKeys(f, into: &common)
        }
        let entries =
            top["monitors"].map {
                reading.named($0, what: "monitors", item: "a monitor", countMax: 200)
            } ?? []
        var found: [ReadMonitor] = []
        var hasDrift = false
        var hasVolume = false
        var hasFreshness = false
        for entry in entries {
            if entry.key == "drift" { hasDrift = true }
            if entry.key == "volume" { hasVolume = true }
            if entry.key == "freshness" { hasFreshness = true }
            if let monitor = monitor(entry, common: common) { found.append(monitor) }
        }
        // A file or a finished topic is silent by nature: `--until-end` looks at no clock.
        if !hasFreshness { freshness.append(FreshnessPlan(name: "freshness", limitMs: 600_000)) }
        if !hasVolume, let monitor = unmentionedVolume(top, common: common) {
            found.append(monitor)
        }
        guard !hasDrift else { return found }
        if declaredBaselineCount == 0 {
            reading.say(
                .note, "no-baseline", at: top.entry("monitors")?.keyPlace ?? root.place,
                "no baseline is declared: drift is not watched", expected: "`baselines`",
                suggestion: "`baselines: { training: { file: baselines/training.json } }`")
            return found
        }
        // The monitor that exists without being mentioned.
        let place = top.entry("baselines")?.keyPlace ?? root.place
        let entry = Node.Entry(
            key: "drift", keyPlace: place, value: Node(kind: .map([]), place: place))
        if let monitor = monitor(entry, common: common) { found.insert(monitor, at: 0) }
        return found
    }

    /// The volume monitor that exists without being mentioned: over all windows of which its span holds
    /// neither too few nor too many.
    private func unmentionedVolume(_ top: Fields, common: MonitorPlan) -> ReadMonitor? {
        let place = top.entry("monitors")?.keyPlace ?? root.place
        let entry = Node.Entry(
            key: "volume", keyPlace: place, value: Node(kind: .map([]), place: place))
        guard var monitor = volumeMonitor(entry, common: common),
            let learning = baselines[monitor.plan.baseline].learning
        else { return nil }
        monitor.plan.isUnmentioned = true
        monitor.plan.windows.removeAll {
            learning.windowCount(lengthMs: windows[$0].lengthMs) > LearningPlan.windowCountMax
        }
        return monitor
    }

    private func monitor(_ entry: Node.Entry, common: MonitorPlan) -> ReadMonitor? {
        let name = entry.key
        let byName = ["drift", "quality", "volume", "freshness"]
        if entry.value.isOff {
            if !byName.contains(name) {
                reading.say(
                    "unknown-monitor", at: entry.keyPlace,
                    "there is no monitor \(shown(name)) to switch off",
                    expected: alternatives(byName),
                    suggestion: nearest(name, byName).map { "`\($0)`" } ?? "delete the line")
            }
            return nil
        }
        guard Scalars.isName(name) else {
            let problem = Reading.badName(name, "a name (a letter, then letters, digits, _ or -)")
            reading.say(
                problem.rule, at: entry.keyPlace, problem.message, expected: problem.expected,
                suggestion: problem.suggestion)
            return nil
        }
        guard let keys = entry.value.entries else {
            reading.say(
                "not-a-map", at: entry.value.place,
                "monitor \(shown(name)) is \(reading.describe(entry.value))",
                expected: "a map with one kind, or off",
                suggestion: "`\(name): { drift: \(entry.value.text ?? "all") }`")
            return nil
        }
        let kinds = keys.filter { Spec.monitorKinds.contains($0.key) || $0.key == "performance" }
        if kinds.count > 1 {
            reading.say(
                "two-kinds", at: kinds[1].keyPlace,
                "\(shown(kinds[1].key)) is a second kind beside \(shown(kinds[0].key)) "
                    + "(\(kinds[0].keyPlace.line):\(kinds[0].keyPlace.column))", expected: "one",
                suggestion: "two monitors")
            return nil
        }
        let kind: String
        if let given = kinds.first?.key {
            kind = given
        } else if byName.contains(name) {
            kind = name
        } else {
            // A key that is no key at all is the better thing to say.
            let known = Spec.drift.fields.map(\.name)
            if let wrong = keys.first(where: { !known.contains($0.key) }),
                let close = nearest(wrong.key, Spec.monitorKinds)
            {
                reading.say(
                    "unknown-key", at: wrong.keyPlace,
                    "\(shown(wrong.key)) is not a key of a monitor",
                    expected: Spec.monitorKindsOfNow.joined(separator: ", "),
                    suggestion: "`\(close)`")
                return nil
            }
            reading.say(
                "no-kind", at: entry.keyPlace,
                "monitor \(shown(name)) does not say what it watches",
                expected: "exactly one of " + Spec.monitorKindsOfNow.joined(separator: ", "),
                suggestion: "`drift: all`")
            return nil
        }
        if kind == "freshness" {
            readFreshness(entry, common: common)
            return nil
        }
        if kind == "volume" { return volumeMonitor(entry, common: common) }
        guard kind == "drift" else {
            let place = kinds.first?.keyPlace ?? entry.keyPlace
            reading.say(
                "later", at: place,
                kinds.isEmpty
                    ? "monitor \(shown(name)) comes in a later version"
                    : "monitors of kind `\(kind)` come in a later version",
                expected: "drift, volume or freshness",
                suggestion: byName.contains(name) ? "`\(name): off`" : "delete it")
            return nil
        }
        guard let f = reading.fields(entry.value, Spec.drift, what: "a drift monitor") else {
            return nil
        }
        return driftMonitor(entry, f, common: common)
    }

    private func readFreshness(_ entry: Node.Entry, common: MonitorPlan) {
        guard let f = reading.fields(entry.value, Spec.freshness, what: "a freshness monitor")
        else {
            return
        }
        var plan = FreshnessPlan(
            name: entry.key, limitMs: reading.duration(f, "freshness") ?? 600_000)
        plan.severity = common.severity
        plan.maxAgeMs = common.maxAgeMs
        if let word = reading.choice(f, "per"), let per = FreshnessPlan.Per(rawValue: word) {
            plan.per = per
        }
        readFreshnessReach(f, of: entry, into: &plan)
        if let word = reading.choice(f, "severity"), let severity = Severity(rawValue: word) {
            plan.severity = severity
        }
        plan.summary = reading.string(f, "summary")
        plan.runbook = reading.string(f, "runbook")
        plan.description = reading.string(f, "description")
        freshness.append(plan)
    }

    /// Which segments a freshness monitor watches, or the groups of which.
    private func readFreshnessReach(
        _ f: Fields, of entry: Node.Entry, into plan: inout FreshnessPlan
    ) {
        guard plan.per != .source else {
            if let node = f.entry("segments") {
                reading.say(
                    "misplaced-key", at: node.keyPlace,
                    "`segments` is of no use where the source as a whole is watched",
                    expected: "`per: segment` or `per: group` beside it",
                    suggestion: "`per: group`")
            }
            return
        }
        plan.segments = readSegmentNames(f) ?? Array(segments.indices)
        if plan.per == .group {
            let groupless = plan.segments.filter { segments[$0].dimensions.isEmpty }
            plan.segments.removeAll { segments[$0].dimensions.isEmpty }
            if let first = groupless.first, f.has("segments") || plan.segments.isEmpty {
                reading.say(
                    "no-groups", at: f["segments"]?.place ?? f["per"]?.place ?? entry.keyPlace,
                    "segment `\(segments[first].name)` has no groups: it is by nothing",
                    expected: "a segment with `by`", suggestion: "`per: segment`")
            }
        }
        if plan.limitMs < paneMs {
            reading.say(
                .warning, "freshness-below-pane", at: f["freshness"]?.place ?? entry.keyPlace,
                "\(durationText(plan.limitMs)) is less than a pane (\(durationText(paneMs))), at the"
                    + " end of which silence is seen",
                expected: "\(durationText(paneMs)) or more",
                suggestion: "`freshness: \(durationText(paneMs))`")
        }
    }

    /// The segments that a monitor names; `nil`: it names none.
    private func readSegmentNames(_ f: Fields) -> [Int]? {
        guard let node = f["segments"] else { return nil }
        var found: [Int] = []
        for item in reading.list(node, what: "a list of segments", orOne: true, countMax: 32) {
            guard let name = reading.text(item, expected: "a segment") else { continue }
            guard let index = segments.firstIndex(where: { $0.name == name }) else {
                let names = segments.map(\.name)
                reading.say(
                    "unknown-segment", at: item.place, "no segment \(shown(name))",
                    expected: alternatives(names),
                    suggestion: nearest(name, names).map { "`\($0)`" })
                continue
            }
            if !found.contains(index) { found.append(index) }
        }
        return found.sorted()
    }

    /// Where a monitor looks.
    private func readReach(_ f: Fields, into plan: inout MonitorPlan) {
        plan.segments = readSegmentNames(f) ?? Array(segments.indices)
        plan.windows = Array(windows.indices)
        if let node = f["windows"] { plan.windows = readWindowNames(node) ?? plan.windows }
    }

    /// Reads what a monitor compares with: a baseline by name, or one of its own.
    ///
    /// - Returns: its place; `nil` after saying what is wrong.
    private func against(_ node: Node, of monitor: String) -> Int? {
        if node.items != nil {
            reading.say(
                "later", at: node.place,
                "several baselines for one monitor come in a later version",
                expected: "a baseline", suggestion: baselines.first.map { "`\($0.name)`" })
            return nil
        }
        guard node.entries != nil else {
            return reading.text(node).flatMap { baseline($0, at: node.place) }
        }
        let name = ownBaselineName(of: monitor)
        guard
            let (plan, place) = readBaseline(
                Node.Entry(key: name, keyPlace: node.place, value: node))
        else { return nil }
        baselines.append(plan)
        baselinePlaces.append(place)
        return baselines.count - 1
    }

    /// The monitor's name, as baselines are named, and as none is yet.
    private func ownBaselineName(of monitor: String) -> String {
        var name = String(monitor.map { $0 == "-" ? "_" : $0 })
        while baselines.contains(where: { $0.name == name }) { name += "_own" }
        return name
    }

    // MARK: Volume

    private func volumeMonitor(_ entry: Node.Entry, common: MonitorPlan) -> ReadMonitor? {
        guard let f = reading.fields(entry.value, Spec.volume, what: "a volume monitor") else {
            return nil
        }
        var plan = common
        plan.name = entry.key
        readAlertKeys(f, into: &plan)
        plan.description = reading.string(f, "description") ?? plan.description
        readReach(f, into: &plan)
        _ = reading.choice(f, "volume")
        var rule = VolumeRule()
        rule.below = reading.count(f, "below")
        rule.above = reading.count(f, "above")
        let hasBound = rule.below != nil || rule.above != nil
        if !f.isOff("drop") {
            rule.drop =
                reading.share(f, "drop")
                ?? (hasBound && !f.has("against") ? nil : entry.key == "volume" ? 0.8 : 0.5)
        }
        if !f.isOff("rise") { rule.rise = reading.share(f, "rise") }
        plan.volume = rule
        if rule.testCount == 0, !hasBound {
            reading.say(
                "volume-without-bound", at: entry.keyPlace,
                "\(shown(entry.key)) says not what is too few or too many",
                expected: "one of drop, rise, below, above", suggestion: "`drop: 80%`")
            return nil
        }
        if let below = rule.below, let above = rule.above, below > above,
            let place = f["above"]?.place
        {
            reading.say(
                "out-of-limits", at: place, "no count is \(below) or more and \(above) or fewer",
                expected: "at least \(below)", suggestion: nil)
        }
        var place = f["against"]?.place ?? entry.keyPlace
        if let node = f["against"], rule.testCount > 0 {
            guard let index = against(node, of: entry.key) else { return nil }
            plan.baseline = index
            if node.entries != nil, node["min_rows"] == nil {
                baselines[index].learning?.minRows = LearningPlan.volumeMinRows
            }
        } else {
            if let node = f["against"] {
                reading.say(
                    "misplaced-key", at: node.place, "`against` is of no use without drop or rise",
                    expected: "`drop` or `rise` beside it", suggestion: "delete it")
            }
            // Bounds need to know which groups there are, and no more.
            let lengths = plan.windows.map { windows[$0].lengthMs }
            let longest = lengths.max() ?? hourMs
            // An hour of windows of a second is more than is kept one by one.
            let spanMs = max(min(hourMs, LearningPlan.windowCountMax * longest), 12 * longest)
            var learning =
                rule.testCount > 0
                ? LearningPlan(span: .trailing, lengthMs: spanMs)
                : LearningPlan(span: .first, lengthMs: secondMs)
            learning.minRows = rule.testCount > 0 ? LearningPlan.volumeMinRows : 0
            baselines.append(
                BaselinePlan(name: ownBaselineName(of: entry.key), learning: learning))
            baselinePlaces.append(entry.keyPlace)
            plan.baseline = baselines.count - 1
            place = entry.keyPlace
        }
        return ReadMonitor(
            plan: plan, place: place, named: [], testPlace: place, ignorePlace: nil)
    }

    private func driftMonitor(
        _ entry: Node.Entry, _ f: Fields, common: MonitorPlan
    ) -> ReadMonitor? {
        var plan = common
        plan.name = entry.key
        readAlertKeys(f, into: &plan)
        plan.description = reading.string(f, "description") ?? plan.description
        if let count = reading.count(f, "min_rows") { plan.minRows = count }
        readReach(f, into: &plan)

        // Which baseline.
        let columnsPlace = f["drift"]?.place ?? entry.keyPlace
        if let node = f["against"] {
            guard let index = against(node, of: entry.key) else { return nil }
            plan.baseline = index
        } else if declaredBaselineCount == 0 {
            reading.say(
                "no-baseline", at: entry.keyPlace,
                "\(shown(entry.key)) has no baseline to compare with",
                expected: "`baselines`",
                suggestion: "`baselines: { training: { file: baselines/training.json } }`")
            return nil
        } else if declaredBaselineCount > 1 {
            let names = baselines.prefix(declaredBaselineCount).map(\.name)
            reading.say(
                "against-needed", at: entry.keyPlace,
                "\(shown(entry.key)) could use \(alternatives(names))", expected: "`against`",
                suggestion: "`against: \(names[0])`")
            return nil
        }

        if let word = reading.choice(f, "fallback") {
            plan.fallsBack = word == "pooled"
            if plan.fallsBack, let node = f["fallback"] {
                checkFallback(plan.baseline, at: node.place)
            }
        }

        // Which columns.
        var chosen: Set<Int> = []
        if let node = f["drift"] {
            if node.isOff {
                reading.say(
                    "not-off", at: node.place, "`drift` can't be off inside a monitor",
                    expected: "columns", suggestion: "`\(entry.key): off`")
                return nil
            }
            guard let picked = Selector.read(node, columns: columns, reading: reading) else {
                return nil
            }
            plan.columns = picked.picked
            chosen = picked.named
        } else {
            plan.columns = columns.indices.filter { Selector.isWatched(columns[$0].role) }
        }
        named.formUnion(chosen)
        var read = ReadMonitor(
            plan: plan, place: columnsPlace, named: chosen,
            testPlace: f["test"]?.place ?? columnsPlace, ignorePlace: f["ignore_below"]?.place)
        read.plan.ignoreBelow = reading.share(f, "ignore_below")
        read.plan.tests = tests(f, ignoreBelow: read.plan.ignoreBelow) ?? .automatic
        if read.plan.tests == .automatic, read.plan.ignoreBelow == nil {
            read.plan.ignoreBelow = TwoSample.automatic.spec.ignoreBelow
        }
        return read
    }

    /// A file must have what groups without entries are to be compared with.
    private func checkFallback(_ baseline: Int, at place: Place) {
        guard baselines.indices.contains(baseline) else { return }
        if baselines[baseline].learning != nil {
            reading.say(
                "misplaced-key", at: place,
                "`fallback` is of no use here: `\(baselines[baseline].name)` is learned of every"
                    + " group",
                expected: "a baseline from a file", suggestion: "delete it")
        } else if let summary = summaries[baseline], !summary.groups.contains("*") {
            reading.say(
                .warning, "fallback-missing", at: place,
                "\(Self.fileName(baselines[baseline].path)) has no rows of all groups together:"
                    + " groups that it lacks say `no_baseline`",
                expected: "a group `*` in the file",
                suggestion: "`tidemark baseline build --by … --pooled`")
        }
    }

    private func tests(_ f: Fields, ignoreBelow: Double?) -> MonitorPlan.Tests? {
        guard let node = f["test"] else { return .automatic }
        func test(_ text: String, at place: Place) -> TestSpec? {
            if let test = TwoSample.named(text) { return test.spec }
            let names = TwoSample.specs.map(\.name)
            if text == "auto" {
                reading.say(
                    "unknown-test", at: place, "`auto` stands alone", expected: "tests by name",
                    suggestion: "`test: auto`")
            } else if TwoSample.later.contains(text) {
                reading.say(
                    "later", at: place, "test \(shown(text)) comes in a later version",
                    expected: "auto, " + alternatives(names), suggestion: "`auto`")
            } else {
                reading.say(
                    "unknown-test", at: place, "no test \(shown(text))",
                    expected: "auto, " + alternatives(names),
                    suggestion: nearest(text, ["auto"] + names).map { "`\($0)`" } ?? "`auto`")
            }
            return nil
        }
        var named: [MonitorPlan.NamedTest] = []
        func add(_ found: TestSpec, _ effect: Double?, at place: Place) {
            guard !named.contains(where: { $0.test == found.name }) else {
                reading.say(
                    "listed-twice", at: place, "\(shown(found.name)) is in the list already",
                    expected: "once", suggestion: "delete it")
                return
            }
            named.append(
                MonitorPlan.NamedTest(
                    test: found.name, ignoreBelow: effect ?? ignoreBelow ?? found.ignoreBelow))
        }
        if node.text != nil {
            guard let text = reading.text(node) else { return nil }
            if text == "auto" { return .automatic }
            guard let found = test(text, at: node.place) else { return nil }
            add(found, nil, at: node.place)
        } else if let items = node.items {
            if items.isEmpty {
                reading.say(
                    "empty-list", at: node.place, "no test is named", expected: "at least one",
                    suggestion: "`test: auto`")
            }
            for item in reading.list(node, what: "a list of tests", countMax: 20) {
                guard let text = reading.text(item, expected: "a test"),
                    let found = test(text, at: item.place)
                else { continue }
                add(found, nil, at: item.place)
            }
        } else if let entries = node.entries {
            let spec = OperatorSpec(
                "test", path: "monitors.*.test.*", "a test",
                [FieldSpec("ignore_below", .share(max: 100), "the smallest effect worth hearing")],
                example: "psi: { ignore_below: 0.2 }")
            if entries.isEmpty {
                reading.say(
                    "empty-list", at: node.place, "no test is named", expected: "at least one",
                    suggestion: "`test: auto`")
            }
            for entry in entries {
                guard let found = test(entry.key, at: entry.keyPlace),
                    let own = reading.fields(
                        entry.value, spec, what: "a test", shape: "{ ignore_below }")
                else { continue }
                add(found, reading.share(own, "ignore_below"), at: entry.keyPlace)
            }
        }
        return named.isEmpty ? nil : .named(named)
    }

    /// Keys that stand in `alerts` and in a monitor.
    private func readAlertKeys(_ f: Fields, into plan: inout MonitorPlan) {
        if let word = reading.choice(f, "severity"), let severity = Severity(rawValue: word) {
            plan.severity = severity
        }
        if let hold = reading.hold(f, "for") { plan.hold = hold }
        if let hold = reading.hold(f, "clear_for") { plan.clearHold = hold }
        if let share = reading.share(f, "clear_below") { plan.clearBelow = share }
        if let ms = reading.duration(f, "cool_down") { plan.coolDownMs = ms }
        if let ms = reading.duration(f, "max_age") { plan.maxAgeMs = ms }
        if let ms = reading.duration(f, "resolve_after") { plan.resolveAfterMs = ms }
        if let alerts = reading.boolean(f, "alert") { plan.alerts = alerts }
        if let text = reading.string(f, "summary") { plan.summary = text }
        if let text = reading.string(f, "runbook") { plan.runbook = text }
    }
}
