import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Too few or too many rows of a group in a window, or too little or too much of a number of it.
struct Volume: MonitorKind {
    let name = "volume"
    /// The default of `drop`: of the monitor that exists without being mentioned, and of one that is written down.
    private let usualDrop = (unmentioned: 0.8, written: 0.5)
    /// With fewer windows nobody can tell how much the number of rows varies.
    private let windowCounts: (least: Int64, better: Int64) = (3, 12)

    private let amount = KeySpec(
        "volume", .any("rows, or an aggregate"), says: "rows", shape: .text,
        "what is watched: rows, a metric by its name, or an expression over aggregates")
    private let drop: Key<Double?>
    private let rise = Setting(
        "rise", \VolumeRule.rise, ValueType.share(max: 100).orOff, usual: VolumeRule(),
        json: "rise", "more than expected by this share, and significantly")
    private let below = Setting(
        "below", \VolumeRule.below, ValueType<Int64>.count(1...1_000_000_000_000).optional,
        usual: VolumeRule(), json: "below", "fewer rows than this")
    private let above = Setting(
        "above", \VolumeRule.above, ValueType<Int64>.count(0...1_000_000_000_000).optional,
        usual: VolumeRule(), json: "above", "more rows than this")
    /// By default the windows of this long say what is expected.
    private let usualSpanMs = hourMs
    private let against: KeySpec
    let part: PartSpec?

    init() {
        drop = Key(
            "drop", ValueType.share(max: 1).orOff,
            says: "\(shareText(usualDrop.written)); of `volume` itself "
                + shareText(usualDrop.unmentioned),
            "fewer than expected by this share, and significantly")
        against = KeySpec(
            "against",
            .any("a learned baseline: its name, { first }, { trailing } or { same_time }"),
            says:
                "{ trailing: \(durationText(usualSpanMs)) }, at least \(windowCounts.better) windows",
            "what is expected")
        let own: [any TopologyKey] = [
            amount, drop, rise, below, above, against, Reach.segments, Reach.windows,
            OverridesPart.key([]),
            KeySpec.later(
                "min_rows", "", because: "few rows are what it looks for",
                instead: "`below`, or `min_rows` of its baseline"),
        ]
        part = PartSpec(
            name, path: "monitors.*",
            "too few or too many rows of a group in a window, or too little or too much of a number of it",
            own + AlertKeys.ofMonitor,
            example: "monitors: { traffic: { volume: rows, drop: 80%, against: { trailing: 6h } } }"
        )
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        if let read = read(monitor, &scope) { found.judges.append(read) }
    }

    /// It watches the windows of which its span holds a number that can be kept.
    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors
    ) {
        let place = top.entry(TopologyPart.monitors)?.keyPlace ?? top.place
        let entry = MonitorEntry(unmentioned: name, at: place, common: common)
        guard var monitor = read(entry, &scope),
            let learning = scope.baselines.plans[monitor.plan.baseline].learning
        else { return }
        monitor.plan.isUnmentioned = true
        monitor.plan.windows.removeAll {
            learning.windowCount(lengthMs: scope.windows[$0].lengthMs)
                > LearningPlan.windowCountMax
        }
        found.judges.append(monitor)
    }

    private func read(_ monitor: MonitorEntry, _ scope: inout Scope) -> ReadMonitor? {
        let entry = monitor.entry
        guard let (f, common) = start(monitor, as: "a volume monitor", overridable: [], scope),
            let rule = rule(f, entry)
        else { return nil }
        var plan = common
        plan.volume = rule
        if let node = f[amount], node.text != "rows" {
            guard let column = MetricWatched.column(node, of: entry, wanted: .number, &scope)
            else { return nil }
            plan.columns = [column]
            (plan.needsCells, plan.keepsValues) = (false, true)
        }
        guard let node = f[against], rule.testCount > 0 else {
            if let node = f[against] {
                f.reading.say(
                    "misplaced-key", at: node.place,
                    "`against` has no effect without `drop` or `rise`",
                    expected: "`drop` or `rise` beside it", suggestion: "delete it")
            }
            plan.baseline = scope.baselines.add(ownBaseline(of: plan, rule, entry, scope))
            return ReadMonitor(plan: plan, place: entry.keyPlace, testPlace: entry.keyPlace)
        }
        guard let index = Reach.against(node, of: entry.key, &scope) else { return nil }
        plan.baseline = index
        if node.entries != nil, node["min_rows"] == nil {
            scope.baselines.setMinRows(LearningPlan.volumeMinRows, of: index)
        }
        return ReadMonitor(plan: plan, place: node.place, testPlace: node.place)
    }

    /// What is too few and too many; `nil` after reporting that nothing is.
    private func rule(_ f: Fields, _ entry: Node.Entry) -> VolumeRule? {
        var rule = VolumeRule()
        f.read([below, above, rise], into: &rule)
        let hasBound = rule.below != nil || rule.above != nil
        if let given = f.given(drop) {
            rule.drop = given
        } else if !hasBound || f.has(against) {
            rule.drop = entry.key == name ? usualDrop.unmentioned : usualDrop.written
        }
        if rule.testCount == 0, !hasBound {
            f.reading.say(
                "volume-without-bound", at: entry.keyPlace,
                "\(shown(entry.key)) does not say what is too few or too many",
                expected: "one of drop, rise, below, above", suggestion: "`drop: 80%`")
            return nil
        }
        if let below = rule.below, let above = rule.above, below > above,
            let place = f[self.above]?.place
        {
            f.reading.say(
                "out-of-limits", at: place,
                "nothing can be both at least \(below) and at most \(above)",
                expected: "at least \(below)", suggestion: nil)
        }
        return rule
    }

    /// What a monitor is compared with that names no baseline.
    private func ownBaseline(
        of plan: MonitorPlan, _ rule: VolumeRule, _ entry: Node.Entry, _ scope: Scope
    ) -> BaselinePart.Baseline {
        // Bounds need to know which groups there are, and no more.
        let longest = plan.windows.map { scope.windows[$0].lengthMs }.max() ?? usualSpanMs
        // Of short windows that is more than is kept one by one.
        let spanMs = max(
            min(usualSpanMs, LearningPlan.windowCountMax * longest), windowCounts.better * longest)
        var learning =
            rule.testCount > 0
            ? LearningPlan(span: .trailing, lengthMs: spanMs)
            : LearningPlan(span: .first, lengthMs: secondMs)
        learning.minRows = rule.testCount > 0 ? LearningPlan.volumeMinRows : 0
        return BaselinePart.Baseline(
            plan: BaselinePlan(name: scope.baselines.ownName(of: entry.key), learning: learning),
            place: entry.keyPlace)
    }

    // MARK: Checks

    func check(_ read: inout ReadMonitor, _ scope: Scope) {
        guard compares(read.plan) else { return }
        let baseline = scope.baselines.plans[read.plan.baseline]
        guard let learning = baseline.learning, !learning.isPooled else {
            scope.reading.say(
                "baseline-without-volume", at: read.place,
                baseline.learning != nil
                    ? "`\(baseline.name)` is pooled: it says how many rows all groups have together"
                    : baseline.other != nil
                        ? "`\(baseline.name)` is another group, whose rows say nothing of how many "
                            + "this one should have"
                        : baseline.topic != nil
                            ? "`\(baseline.name)` is one of a topic, which does not say how many rows a "
                                + "window has"
                            : "`\(baseline.name)` is a file, which does not say how many rows a window has",
                expected: "a learned baseline", suggestion: "`against: { trailing: 6h }`")
            return
        }
        for index in read.plan.windows {
            let window = scope.windows[index]
            let count = learning.windowCount(lengthMs: window.lengthMs)
            if learning.span == .sameTime {
                if count < windowCounts.least { sayFewTimes(learning, window, count, read, scope) }
            } else if count < windowCounts.least {
                let better = durationText(windowCounts.better * window.lengthMs)
                scope.reading.say(
                    "too-few-windows", at: read.place,
                    "\(durationText(learning.lengthMs)) holds \(count) "
                        + "window\(count == 1 ? "" : "s") of \(durationText(window.lengthMs)): "
                        + "too few to tell how much the number of rows varies",
                    expected:
                        "\(windowCounts.least) windows or more, better \(windowCounts.better)",
                    suggestion: "`\(learning.span.rawValue): \(better)`")
            }
            Reach.sayIfTooMany(learning, window, of: read.plan, scope)
        }
    }

    /// Warns of so few windows at the same time that nobody can tell how much the number of rows varies: rows are
    /// then taken as Poisson, which bursts are not.
    private func sayFewTimes(
        _ learning: LearningPlan, _ window: WindowPlan, _ count: Int64, _ read: ReadMonitor,
        _ scope: Scope
    ) {
        scope.reading.say(
            .warning, "too-few-windows", at: read.place,
            "\(count) window\(count == 1 ? "" : "s") of \(durationText(window.lengthMs)) at the "
                + "same time: too few to tell how much the number of rows varies",
            expected: "\(windowCounts.least) windows or more, better \(windowCounts.better)",
            suggestion: "`times: 4`, or `around: \(durationText(2 * window.lengthMs))`")
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        plan.volume.testCount
    }

    func compares(_ plan: MonitorPlan) -> Bool { plan.volume.testCount > 0 }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        let rule = plan.volume
        let bounds = [
            rule.drop.map { "drop \(shareText($0))" }, rule.rise.map { "rise \(shareText($0))" },
            rule.below.map { "below \(grouped(Double($0)))" },
            rule.above.map { "above \(grouped(Double($0)))" },
        ]
        return MonitorCells(
            test: name, columns: nil, ignored: bounds.compactMap(\.self).joined(separator: " "))
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let rule = plan.volume
        let baseline = compares(plan) ? stream.baselines[plan.baseline].name : nil
        let amount: [Fact] =
            plan.columns.isEmpty ? [] : [("volume", .text(stream.columnNames(plan.columns)))]
        return amount + [("against", .maybe(baseline)), ("drop", .maybe(rule.drop))]
            + [rise, below, above].compactMap { $0.fact(rule) }
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        let rule = plan.volume
        var identity = MonitorIdentity()
        identity.data = [Identity.Line("volume", plan.name)]
        identity.judged = [
            Identity.Line("rows", plan.name, rule.drop, rule.rise, rule.below, rule.above)
        ]
        return identity
    }
}
