import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// No rows have come for too long.
struct Freshness: MonitorKind {
    let name = "freshness"
    private static let usual = FreshnessPlan(name: "freshness", limitMs: 600_000)
    private let limit = Setting(
        "freshness", \FreshnessPlan.limitMs, .duration(1000...31 * 86_400_000), usual: usual,
        json: "limit_ms", "the longest silence")
    private let per = Setting(
        "per", \FreshnessPlan.per, .choice(), usual: usual,
        json: "per", "what must not be silent")
    private let segments = KeySpec(
        "segments", .list("a list of segments"), says: "all", "where it looks, per segment or group"
    )
    private let severity = Setting(
        "severity", \FreshnessPlan.severity, .choice(), usual: usual, json: "severity", "how urgent"
    )
    private let alert = Setting(
        "alert", \FreshnessPlan.alerts, .booleanOrOff, usual: usual,
        "off: it serves roll-ups alone")
    private let texts = [
        Setting(
            "summary", \FreshnessPlan.summary, ValueType.text(lengthMax: 300).optional,
            usual: usual, says: "a generated text", "text of the alert"),
        Setting(
            "runbook", \FreshnessPlan.runbook, ValueType.text(lengthMax: 1024).optional,
            usual: usual, "what to do"),
        Setting(
            "description", \FreshnessPlan.description, ValueType.text(lengthMax: 1024).optional,
            usual: usual, "carried in its alerts, in place of the topology's"),
    ]
    /// Keys of other monitors that a silence has no use for.
    private static let refused = [
        KeySpec.later(
            "windows", "", because: "a silence has no window", instead: "`freshness`, a duration"),
        KeySpec.later(
            "for", "", because: "how long nothing comes is the limit itself",
            instead: "a longer `freshness`"),
        KeySpec.later(
            "clear_for", "", because: "a silence is over with the next row",
            instead: "no key: it resolves then"),
        KeySpec.later(
            "clear_below", "", because: "a silence is over with the next row",
            instead: "no key: it resolves then"),
        KeySpec.later(
            "cool_down", "", because: "a silence is told once, and the next one begins after it",
            instead: "a longer `freshness`"),
        KeySpec.later(
            "min_rows", "", because: "no row is what it waits for", instead: "`volume` with `below`"
        ),
        KeySpec.later(
            "overrides", "", because: "a silence has one limit",
            instead: "a second monitor, with other `segments`"),
        KeySpec.later(
            "against", "", because: "a silence is held to its limit",
            instead: "`volume`, which is held to a baseline"),
    ]
    var part: PartSpec? {
        PartSpec(
            name, path: "monitors.freshness",
            "nothing comes: on the source (wall clock), of a segment or of a group (event time)",
            [limit, per, segments, severity, alert] + texts + Self.refused,
            example: "monitors: { silent: { freshness: 2h, per: group, severity: warn } }")
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        guard let part,
            let f = scope.reading.fields(
                monitor.entry.value, part, what: "a freshness monitor")
        else { return }
        var given = Self.usual
        limit.read(f, &given)
        // How long a group is remembered follows from the limit.
        var plan = FreshnessPlan(name: monitor.entry.key, limitMs: given.limitMs)
        plan.severity = monitor.common.severity
        plan.maxAgeMs = monitor.common.maxAgeMs
        per.read(f, &plan)
        readReach(f, of: monitor.entry, scope, into: &plan)
        severity.read(f, &plan)
        f.read(texts, into: &plan)
        if alert.read(f, &plan), !plan.alerts, plan.per == .source, let node = f[alert] {
            f.reading.say(
                "misplaced-key", at: node.place,
                "without an alert nothing is left of a monitor of the source as a whole",
                expected: "`per: segment` or `per: group`, for roll-ups",
                suggestion: "`\(monitor.entry.key): off`")
        }
        add(plan, scope, into: &found)
    }

    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors
    ) {
        add(Self.usual, scope, into: &found)
    }

    /// Adds a monitor, if it can say anything.
    ///
    /// A file or a finished topic is silent by nature, and a clock on the wall says nothing of it; `--until-end`
    /// looks at no clock either.
    private func add(_ plan: FreshnessPlan, _ scope: Scope, into found: inout ReadMonitors) {
        if plan.per == .source { found.ofSource.insert(plan.name) }
        if plan.per != .source || !scope.isFile { found.silences.append(plan) }
    }

    /// Which segments it watches, or whose groups.
    private func readReach(
        _ f: Fields, of entry: Node.Entry, _ scope: Scope, into plan: inout FreshnessPlan
    ) {
        guard plan.per != .source else {
            if let node = f.entry(segments) {
                f.reading.say(
                    "misplaced-key", at: node.keyPlace,
                    "`segments` has no effect where the source as a whole is watched",
                    expected: "`per: segment` or `per: group` beside it",
                    suggestion: "`per: group`")
            }
            return
        }
        let all = scope.segments.plans
        plan.segments = Reach.segments(f, segments, scope) ?? Array(all.indices)
        if plan.per == .group {
            let groupless = plan.segments.filter { all[$0].dimensions.isEmpty }
            plan.segments.removeAll { all[$0].dimensions.isEmpty }
            if let first = groupless.first, f.has(segments) || plan.segments.isEmpty {
                f.reading.say(
                    "no-groups", at: f[segments]?.place ?? f[per]?.place ?? entry.keyPlace,
                    "segment `\(all[first].name)` has no groups: its `by` is empty",
                    expected: "a segment with `by`", suggestion: "`per: segment`")
            }
        }
        if plan.limitMs < scope.paneMs {
            let pane = durationText(scope.paneMs)
            f.reading.say(
                .warning, "freshness-below-pane", at: f[limit]?.place ?? entry.keyPlace,
                "\(durationText(plan.limitMs)) is less than a pane (\(pane)), at the"
                    + " end of which silence is seen",
                expected: "\(pane) or more", suggestion: "`freshness: \(pane)`")
        }
    }

    // MARK: What a plan says

    func own(_ stream: StreamPlan) -> OwnMonitors? {
        OwnMonitors(
            row: ("silence", stream.freshness.map { text($0, stream) }),
            fact: ("freshness", .array(stream.freshness.map { facts($0, stream) })),
            identity: stream.freshness.flatMap { identity($0, stream) })
    }

    /// `silent (warn) after 2h without a row of a group of by-store`.
    private func text(_ plan: FreshnessPlan, _ stream: StreamPlan) -> String {
        let names = plan.segments.map { stream.segments[$0].name }.joined(separator: " or ")
        let what =
            switch plan.per {
            case .source: "without a record"
            case .segment: "without a row of \(names)"
            case .group: "without a row of a group of \(names)"
            }
        let loud = plan.alerts ? plan.severity.rawValue : "no alert"
        return
            "\(plan.name) (\(loud)) after \(durationText(plan.limitMs)) \(what)"
    }

    private func facts(_ plan: FreshnessPlan, _ stream: StreamPlan) -> JSONValue {
        let names = plan.segments.map { stream.segments[$0].name }
        return .object(
            [("name", .text(plan.name))] + [limit, per].compactMap { $0.fact(plan) }
                + [("segments", .texts(names))] + [severity].compactMap { $0.fact(plan) }
                + [("forget_ms", plan.per == .source ? .null : .integer(plan.forgetMs))]
                + (plan.alerts ? [] : [("alert", .boolean(false))]))
    }

    private func identity(_ plan: FreshnessPlan, _ stream: StreamPlan) -> [Identity.Line] {
        var lines = [
            Identity.Line(
                "freshness", plan.name, plan.limitMs, plan.severity.rawValue, plan.description,
                plan.summary, plan.runbook)
        ]
        if !plan.alerts { lines.append(Identity.Line("alert", plan.name, "off")) }
        if plan.per != Self.usual.per {
            lines.append(
                Identity.Line(
                    "per", plan.per.rawValue, plan.segments.map { stream.segments[$0].name },
                    plan.maxAgeMs))
        }
        return lines
    }
}
