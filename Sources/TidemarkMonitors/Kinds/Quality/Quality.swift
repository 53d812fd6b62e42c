import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Quality: rows of a column that should not be so, check by check.
///
/// Each check of a monitor is a monitor of the plan, with verdicts and alerts of its own.
struct Quality: Monitor {
    static let spec = KindSpec(name: "quality") { monitor in
        (check(of: monitor), most(of: monitor) ?? monitor.ignoreBelow ?? 0)
    }

    private struct Watch {
        var check: any QualityCheck.Type
        var watch: CheckWatch
        /// What verdicts and alerts say of the monitor.
        var test: String
        var baseline: String
        var alerts: Bool
        /// It is there without being mentioned: what is as it should be is no news.
        var isQuiet: Bool
        var level: Double?
    }

    private let plan: Plan
    /// By segment, by window length, by column.
    private let watching: [[[[Watch]]]]
    private var overridden: OverriddenMonitors

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        overridden = OverriddenMonitors(plan)
        let stream = plan.stream
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map { column in
                    stream.monitors(
                        of: Self.spec.name, segment: segment, size: size, column: column
                    ).map { Self.watch($0, stream.monitors[$0], stream.columns[column], stream) }
                }
            }
        }
    }

    private static func watch(
        _ index: Int, _ monitor: MonitorPlan, _ column: ColumnPlan, _ stream: StreamPlan
    ) -> Watch {
        let check = QualityChecks.named(check(of: monitor))
        let contract = check.spec.contract
        let expected = contract.flatMap { key in
            column.expected[key.key.name]
        }
        // What the monitor allows, else what the column promises: a share, or that no value breaks it.
        let most =
            most(of: monitor)
            ?? expected.map { contract?.isShare ?? false ? $0.asNumber ?? 0 : 0 }
        let rule = ShareRule(
            most: most, level: monitor.level, ignoreBelow: monitor.ignoreBelow ?? 0,
            rowCountMin: UInt64(max(0, monitor.minRows)))
        let hasBaseline = stream.baselines.indices.contains(monitor.baseline)
        return Watch(
            check: check,
            watch: CheckWatch(
                monitor: index, name: monitor.name, baseline: monitor.baseline, role: column.role,
                expected: expected, rule: rule, clearBelow: monitor.clearBelow,
                fallsBack: monitor.fallsBack),
            test: check.spec.name,
            baseline: hasBaseline ? stream.baselines[monitor.baseline].label : "",
            alerts: monitor.isJudged, isQuiet: monitor.isUnmentioned && !monitor.isMember,
            level: monitor.level)
    }

    private static func check(of monitor: MonitorPlan) -> String {
        monitor.settings["check"]?.asText ?? ""
    }

    /// The share that is allowed; `nil`: what the column promises, or the baseline has.
    private static func most(of monitor: MonitorPlan) -> Double? {
        monitor.settings["most"]?.asNumber
    }

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        column.map { !watching[segment][size][$0].isEmpty } ?? false
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard let column = window.column else { return }
        for known in watching[window.segment][window.closing.size][column] {
            var (watch, monitor) = watch(known, column, window)
            if let label = window.references[watch.watch.baseline]?.label { watch.baseline = label }
            guard watch.alerts, let finding = watch.check.judge(watch.watch, window, record) else {
                continue
            }
            let verdict = finding.verdict
            if !watch.isQuiet || verdict.isBreach {
                var said = VerdictRecord(
                    monitor: watch.watch.name,
                    baseline: finding.then == nil && watch.watch.rule.most != nil
                        ? "" : watch.baseline, p: finding.p,
                    level: finding.p == nil && watch.watch.rule.most != nil ? nil : watch.level,
                    effect: finding.effect, ignoreBelow: finding.bound, verdict: verdict)
                if verdict == .noBaseline { (said.p, said.effect) = (nil, nil) }
                if verdict == .learning {
                    said.learned = window.references[watch.watch.baseline]?.progress
                }
                record.verdicts.append(said)
            }
            alerts.take(
                verdict, isNear: finding.isNear, of: watch.watch.monitor, window
            ) { saying, text in
                alert(saying, text, monitor, watch, finding, record, window.closing)
            }
        }
    }

    /// What is asked of a group and column, where overrides say otherwise than for all.
    private mutating func watch(
        _ known: Watch, _ column: Int, _ window: borrowing WindowEvidence
    ) -> (Watch, MonitorPlan) {
        let index = known.watch.monitor
        guard let variant = overridden.variant(index, column: column, part: window.part) else {
            return (known, plan.stream.monitors[index])
        }
        return (Self.watch(index, variant, plan.stream.columns[column], plan.stream), variant)
    }

    private func alert(
        _ saying: AlertSaying, _ text: AlertText, _ monitor: MonitorPlan, _ watch: Watch,
        _ finding: CheckFinding, _ record: AggregateRecord, _ closing: WindowClosing
    ) -> AlertRecord {
        var alert = text.record(
            saying, monitor, record, closing, test: watch.test, threshold: finding.bound,
            summary: summary(saying.transition, record, watch, finding))
        alert.value = finding.effect
        alert.effect = finding.effect
        alert.usual = finding.then.map { percentText($0.share) }
        alert.now = finding.now.map { percentText($0.share) }
        alert.p = finding.p
        alert.n = Int64(finding.now?.total ?? 0)
        alert.nBaseline = Int64(finding.then?.total ?? 0)
        alert.baseline = finding.then == nil ? "" : watch.baseline
        return alert
    }

    /// One sentence for a person.
    private func summary(
        _ transition: AlertRecord.Transition, _ record: AggregateRecord, _ watch: Watch,
        _ finding: CheckFinding
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        return "\(record.column) of \(group): \(watch.check.says(finding, watch.watch))"
            + (transition == .firing ? "" : ": as it should be again")
    }
}
