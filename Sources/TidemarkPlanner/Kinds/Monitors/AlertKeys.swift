import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Keys that stand in `alerts` and in every monitor that judges windows.
enum AlertKeys {
    /// What holds where a topology says nothing.
    static let usual = MonitorPlan(
        name: "", columns: [], segments: [], windows: [], baseline: 0, tests: .automatic)
    private static let severity = Setting(
        "severity", \MonitorPlan.severity, .choice(), usual: usual,
        says: "page; of quality, metric and when warn",
        json: "severity", "how urgent")
    private static let alert = Setting(
        "alert", \MonitorPlan.alerts, .booleanOrOff, usual: usual, json: "alert",
        "off: results only")
    private static let description = Setting(
        "description", \MonitorPlan.description, ValueType.text(lengthMax: 1024).optional,
        usual: usual, "carried in its alerts, in place of the topology's")
    /// Those of `alerts`, in the order in which they are listed.
    static let settings = [
        severity,
        Setting(
            "for", \MonitorPlan.hold, .hold, usual: usual, json: "for", "how long before firing"),
        Setting(
            "clear_for", \MonitorPlan.clearHold, .hold, usual: usual, json: "clear_for",
            "how long before resolving"),
        Setting(
            "clear_below", \MonitorPlan.clearBelow, .share(max: 1), usual: usual,
            json: "clear_below", "resolves below this share of the bound"),
        Setting(
            "cool_down", \MonitorPlan.coolDownMs, .duration(0...weekMs), usual: usual,
            json: "cool_down_ms",
            "alerts that fire this soon after the last one resolved are published muted"),
        Setting(
            "max_age", \MonitorPlan.maxAgeMs, .duration(0...weekMs), usual: usual,
            json: "max_age_ms",
            "alerts on windows that ended longer ago than this when they were read are published muted"
        ),
        Setting(
            "resolve_after", \MonitorPlan.resolveAfterMs, .duration(secondMs...366 * dayMs),
            usual: usual, json: "resolve_after_ms",
            "an alert without a verdict for this long (the group is gone) resolves; what differs from a trailing baseline for this long is learned"
        ),
        alert,
        Setting(
            "summary", \MonitorPlan.summary, ValueType.template.optional, usual: usual,
            says: "a generated text",
            "text of the alert; words in braces are filled in: "
                + AlertWords.all.joined(separator: ", ")),
        Setting(
            "runbook", \MonitorPlan.runbook, ValueType.text(lengthMax: 1024).optional,
            usual: usual, "what to do"),
    ]
    /// Those of a monitor.
    static let ofMonitor = settings + [description]
    static let part = PartSpec(
        "alerts", path: "alerts", "what monitors have in common",
        settings as [any TopologyKey] + [
            MutePart.key,
            AlertRoutesPart.group, AlertRoutesPart.destinations, AlertRoutesPart.routes,
        ],
        example: "alerts: { clear_for: 30s }")

    /// What the plan's JSON says of every monitor that judges windows, behind what its kind says.
    static func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let told =
            [severity, alert] + settings.filter { !["severity", "alert"].contains($0.spec.name) }
        return [
            ("segments", .texts(plan.segments.map { stream.segments[$0].name })),
            ("windows", .texts(plan.windows.map { durationText(stream.windows[$0].lengthMs) })),
        ] + told.compactMap { $0.fact(plan) } + [
            ("level", .maybe(plan.level)), ("tests_per_period", .number(plan.testsPerPeriod)),
        ] + OverridesPart.facts(plan, stream)
    }

    /// Lines of what shapes data, for every monitor that judges windows.
    static func dataIdentity(
        _ plan: MonitorPlan, _ stream: StreamPlan, _ kind: MonitorIdentity
    ) -> [Identity.Line] {
        let baseline =
            stream.baselines.indices.contains(plan.baseline)
            ? stream.baselines[plan.baseline].name : nil
        return [
            Identity.Line(
                "monitor", plan.name, stream.columnNames(plan.columns),
                plan.segments.map { stream.segments[$0].name }, stream.windowNames(plan.windows),
                baseline, kind.tests)
        ] + kind.data
    }

    /// Lines of what is said about data, for every monitor that judges windows.
    static func judgedIdentity(
        _ plan: MonitorPlan, _ stream: StreamPlan, _ kind: MonitorIdentity
    ) -> [Identity.Line] {
        var lines = [
            Identity.Line(
                "judge", plan.name, kind.effects, plan.ignoreBelow, plan.minRows,
                plan.severity.rawValue, plan.alerts, plan.hold, plan.clearHold, plan.clearBelow,
                plan.coolDownMs, plan.maxAgeMs, plan.level, plan.description, plan.summary,
                plan.runbook)
        ]
        if plan.resolveAfterMs != usual.resolveAfterMs {
            lines.append(Identity.Line("resolve_after", plan.name, plan.resolveAfterMs))
        }
        return lines + kind.judged + OverridesPart.identity(plan, stream)
    }
}

extension StreamPlan {
    /// Columns as the identity names them.
    func columnNames(_ indices: [Int]) -> String {
        indices.map { columns[$0].name }.joined(separator: ",")
    }

    /// Windows as the identity names them.
    func windowNames(_ indices: [Int]) -> String {
        indices.map { "\(windows[$0].lengthMs)/\(windows[$0].stepMs)" }.joined(separator: ",")
    }
}

extension ValueType where Value == Hold {
    /// How long a state must last: `5m`, or `2 of 3` windows.
    static var hold: ValueType {
        @Sendable func text(_ hold: Hold) -> String {
            switch hold {
            case .duration(let ms): durationText(ms)
            case .windows(let count, let of): "\(count) of \(of)"
            }
        }
        return ValueType(
            .hold,
            parse: { text, spec in
                if let (count, of) = Scalars.windowsOf(text) {
                    return .success(.windows(count, of: of))
                }
                let expected = ValueForm.hold.expected
                switch Scalars.duration(text, expected) {
                case .success(let ms) where ms <= weekMs: return .success(.duration(ms: ms))
                case .success:
                    return .failure(
                        ScalarProblem(
                            rule: "out-of-limits", message: "\(shown(text)) is out of bounds",
                            expected: "at most 7d", suggestion: "`7d`"))
                case .failure(let problem):
                    guard text.contains(" of ") else { return .failure(problem) }
                    return .failure(
                        ScalarProblem(
                            rule: "bad-hold", message: "\(shown(text)) is not a hold",
                            expected: expected, suggestion: nil))
                }
            },
            text: { text($0) }, json: { .text(text($0)) })
    }
}
