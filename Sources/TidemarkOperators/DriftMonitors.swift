import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkKernels

/// Tests closed windows against baselines (D9).
///
/// Verdicts rest on counts in fixed cells alone: order-free summaries.
struct DriftMonitors {
    private let plan: Plan
    private let labels: [String]
    private let rules: [[DriftRule]]
    private let alertText: AlertText

    init(plan: Plan) {
        self.plan = plan
        labels = plan.stream.baselines.map(\.label)
        alertText = AlertText(plan: plan)
        rules = plan.stream.monitors.map { monitor in
            Self.sizes(of: monitor).map { _, ignoreBelow in
                DriftRule(
                    level: monitor.level, ignoreBelow: ignoreBelow,
                    rowCountMin: UInt64(max(0, monitor.minRows)))
            }
        }
    }

    /// The tests that decide on size, with the size below which nobody wants to hear.
    private static func sizes(of monitor: MonitorPlan) -> [(
        test: DataflowTest, ignoreBelow: Double
    )] {
        switch monitor.tests {
        case .automatic: [(.psi, monitor.ignoreBelow ?? 0.05)]
        case .named(let tests): tests.map { ($0.test, monitor.ignoreBelow ?? $0.ignoreBelow) }
        }
    }

    /// Tests one column of a closing window; adds results and verdicts to its record.
    ///
    /// `references`: what was learned of the group by the window's start, by baseline.
    /// - Returns: the alert events that the window brought about.
    func judge(
        _ record: inout AggregateRecord, cell: GroupCell, place: Int, segment: Int, column: Int,
        references: [Int: LearnedReference], _ closing: WindowClosing, alerts: inout AlertStates
    ) -> [AlertRecord] {
        guard !record.group.isOther else { return [] }
        var events: [AlertRecord] = []
        /// By baseline: what was worked out for it.
        var outcomes: [Int: Outcome] = [:]
        for (index, monitor) in plan.stream.monitors.enumerated()
        where monitor.segments.contains(segment) && monitor.windows.contains(closing.size)
            && monitor.columns.contains(column)
        {
            if outcomes[monitor.baseline] == nil {
                outcomes[monitor.baseline] = compare(
                    cell, place, baseline: monitor.baseline, column: plan.stream.columns[column],
                    references[monitor.baseline])
            }
            guard var outcome = outcomes[monitor.baseline] else {
                // No entry for this group, or it is not whole yet: nothing to compare with.
                if monitor.alerts {
                    var verdict = verdictRecord(
                        monitor, nil, p: nil, effect: nil, .learning, record)
                    verdict.learned = references[monitor.baseline]?.progress
                    record.verdicts.append(verdict)
                }
                continue
            }
            let sizes = Self.sizes(of: monitor)
            outcome.include(sizes.map(\.test), automatic: monitor.tests == .automatic)
            outcomes[monitor.baseline] = outcome
            guard monitor.alerts else { continue }
            // Any of several named tests may find drift; the verdict shows the one that is most so.
            var best: (verdict: DriftVerdict, place: Int, result: TidemarkDrift.TestResult)?
            for (place, size) in sizes.enumerated() {
                guard let result = outcome.result(size.test) else { continue }
                let verdict = rules[index][place].verdict(
                    p: outcome.significance?.p, effect: result.effect, rows: outcome.rowCount,
                    baselineRows: outcome.baselineRowCount)
                let isMoreSo =
                    best.map { best in
                        if (verdict == .drift) != (best.verdict == .drift) {
                            return verdict == .drift
                        }
                        return result.effect / max(size.ignoreBelow, 1e-12)
                            > best.result.effect / max(sizes[best.place].ignoreBelow, 1e-12)
                    } ?? true
                if isMoreSo { best = (verdict, place, result) }
            }
            guard let best else {
                // No rows at all: a test has nothing to say.
                record.verdicts.append(
                    verdictRecord(monitor, outcome, p: nil, effect: nil, .tooFew, record))
                continue
            }
            let size = sizes[best.place]
            record.verdicts.append(
                verdictRecord(
                    monitor, outcome, p: outcome.significance?.p, effect: best.result.effect,
                    best.verdict, record, ignoreBelow: size.ignoreBelow))
            let event = alerts.observe(
                AlertSeries(
                    monitor: index, segment: segment, size: closing.size, column: column,
                    group: cell.shape.part),
                said(
                    monitor, best.verdict, effect: best.result.effect, p: outcome.significance?.p,
                    ignoreBelow: size.ignoreBelow), closing)
            if let event {
                events.append(
                    alert(
                        event, monitor, record, outcome, test: size.test.rawValue,
                        value: best.result.value, threshold: size.ignoreBelow, closing))
            }
        }
        record.drift = outcomes.keys.sorted().compactMap { baseline in
            guard let outcome = outcomes[baseline], !outcome.published.isEmpty else { return nil }
            return (
                labels[baseline], Int64(outcome.rowCount),
                Int64(outcome.baselineRowCount), outcome.published
            )
        }
        return events
    }

    // MARK: Testing

    /// A window beside its baseline, and the tests that were asked of them.
    private struct Outcome {
        var current: [UInt64]
        var reference: [UInt64]
        /// What the cells are, for people: one of the two, or neither where they are hashes.
        var edges: [Double] = []
        var categories: [String] = []
        /// KS for numbers, chi-square for categories.
        var significanceTest: DataflowTest
        var significance: TidemarkDrift.TestResult?
        var results: [(test: DataflowTest, result: TidemarkDrift.TestResult)] = []
        /// In the order in which they were asked for.
        var published: [TidemarkCore.TestResult] = []

        var rowCount: UInt64 { current.reduce(0, +) }
        var baselineRowCount: UInt64 { reference.reduce(0, +) }

        func result(_ test: DataflowTest) -> TidemarkDrift.TestResult? {
            results.first { $0.test == test }?.result
        }

        mutating func include(_ tests: [DataflowTest], automatic: Bool) {
            if automatic, let significance { publish(significanceTest, significance) }
            for test in tests where result(test) == nil {
                guard let result = DriftMonitors.apply(test, current, reference) else { continue }
                results.append((test, result))
                publish(test, result)
            }
        }

        private mutating func publish(_ test: DataflowTest, _ result: TidemarkDrift.TestResult) {
            guard !published.contains(where: { $0.name == test.rawValue }) else { return }
            published.append(
                TidemarkCore.TestResult(name: test.rawValue, value: result.value, p: result.p))
        }
    }

    /// - Returns: nil where there is nothing to compare with, or not yet.
    private func compare(
        _ cell: GroupCell, _ place: Int, baseline: Int, column: ColumnPlan,
        _ learned: LearnedReference?
    ) -> Outcome? {
        let test: DataflowTest = column.type.isNumeric ? .ks : .chiSquare
        let shape = cell.shape.columns[place]
        func outcome(_ binning: ColumnShape.Binning, _ reference: [UInt64]) -> Outcome {
            let current = cell.cells(binning).map { UInt64(max(0, $0)) }
            var outcome = Outcome(
                current: current, reference: reference, significanceTest: test,
                significance: Self.apply(test, current, reference))
            switch binning.entry?.shape {
            case .numeric(let edges, _, _, _, _): outcome.edges = edges
            case .categorical(let categories, _, _): outcome.categories = categories
            case nil: outcome.edges = shape.edges(binning)
            }
            return outcome
        }
        if plan.stream.baselines[baseline].learning != nil {
            guard let learned, learned.isInForce, let binning = shape.learned,
                let range = learned.ranges[place]
            else { return nil }
            return outcome(binning, Array(learned.cells[range]))
        }
        guard let binning = shape.binnings.first(where: { $0.baseline == baseline }),
            let entry = binning.entry
        else { return nil }
        return outcome(binning, entry.cells.map { UInt64(max(0, $0)) })
    }

    private static func apply(
        _ test: DataflowTest, _ current: [UInt64], _ reference: [UInt64]
    ) -> TidemarkDrift.TestResult? {
        switch test {
        case .psi: TwoSample.psi(current: current, baseline: reference)
        case .ks: TwoSample.ks(current: current, baseline: reference)
        case .chiSquare: TwoSample.chiSquare(current: current, baseline: reference)
        case .jsDistance: TwoSample.jsDistance(current: current, baseline: reference)
        case .lInfinity: TwoSample.lInfinity(current: current, baseline: reference)
        }
    }

    private func verdictRecord(
        _ monitor: MonitorPlan, _ outcome: Outcome?, p: Double?, effect: Double?,
        _ verdict: DriftVerdict, _ record: AggregateRecord, ignoreBelow: Double? = nil
    ) -> VerdictRecord {
        VerdictRecord(
            monitor: monitor.name, baseline: labels[monitor.baseline], p: p,
            level: monitor.level, effect: effect,
            ignoreBelow: ignoreBelow ?? monitor.ignoreBelow ?? 0.05, verdict: verdict.rawValue)
    }

    // MARK: Alerts

    private func said(
        _ monitor: MonitorPlan, _ verdict: DriftVerdict, effect: Double, p: Double?,
        ignoreBelow: Double
    ) -> AlertVerdict {
        switch verdict {
        case .drift: return .breached
        case .tooFew, .learning: return .none
        case .ok:
            // Hysteresis: still significant, and only just below the bound, is not clear.
            let isSignificant =
                monitor.level.map { level in p.map { $0 <= level } ?? false } ?? true
            return isSignificant && effect >= ignoreBelow * monitor.clearBelow
                ? .between : .cleared
        }
    }

    private func alert(
        _ action: AlertSaying, _ monitor: MonitorPlan,
        _ record: AggregateRecord, _ outcome: Outcome, test: String, value: Double,
        threshold: Double, _ closing: WindowClosing
    ) -> AlertRecord {
        let baseline = plan.stream.baselines[monitor.baseline]
        var alert = alertText.record(
            action, monitor, record, closing, test: test, threshold: threshold,
            summary: summary(action.transition, monitor, record, test, value, threshold, baseline))
        alert.n = Int64(outcome.rowCount)
        alert.nBaseline = Int64(outcome.baselineRowCount)
        alert.baseline = baseline.label
        alert.value = value
        alert.p = outcome.significance?.p
        alert.level = monitor.level
        alert.tests = outcome.published
        alert.current = outcome.current.map(Int64.init)
        alert.reference = outcome.reference.map(Int64.init)
        alert.edges = outcome.edges
        alert.categories = outcome.categories
        return alert
    }

    /// One sentence for a person; the topology may have words of its own.
    private func summary(
        _ transition: AlertRecord.Transition, _ monitor: MonitorPlan, _ record: AggregateRecord,
        _ test: String, _ value: Double, _ threshold: Double, _ baseline: BaselinePlan
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let value = shortText(value)
        let threshold = shortText(threshold)
        if let template = monitor.summary {
            return filled(
                template,
                [
                    ("{column}", record.column), ("{group}", group), ("{value}", value),
                    ("{threshold}", threshold), ("{baseline}", baseline.name),
                ])
        }
        return transition == .firing
            ? "\(record.column) of \(group) differs from \(baseline.name): \(test) \(value), over \(threshold)"
            : "\(record.column) of \(group) is like \(baseline.name) again: \(test) \(value)"
    }
}

private typealias DataflowTest = TidemarkDataflow.DriftTest
