import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift

/// Tests closed windows against baselines.
///
/// Verdicts rest on counts in fixed cells alone: order-free summaries.
struct DriftMonitors {
    /// What of a monitor is asked for with each column of each window.
    private struct Watch {
        var monitor: Int
        var baseline: Int
        var isLearned: Bool
        var alerts: Bool
        var isAutomatic: Bool
        /// Groups that a file has not are compared with all its rows together.
        var fallsBack: Bool
        /// The tests that decide on size, with the size below which nobody wants to hear.
        var sizes: [(test: DataflowTest, ignoreBelow: Double)]
        var rules: [DriftRule]
    }

    private let plan: Plan
    private let labels: [String]
    /// By segment, by window length, by column.
    private let watching: [[[[Watch]]]]
    private let alertText: AlertText

    init(plan: Plan) {
        self.plan = plan
        labels = plan.stream.baselines.map(\.label)
        alertText = AlertText(plan: plan)
        let stream = plan.stream
        let watches = stream.monitors.indices.map { index in
            let monitor = stream.monitors[index]
            let sizes = Self.sizes(of: monitor)
            return Watch(
                monitor: index, baseline: monitor.baseline,
                isLearned: stream.baselines.indices.contains(monitor.baseline)
                    && stream.baselines[monitor.baseline].learning != nil,
                alerts: monitor.alerts, isAutomatic: monitor.tests == .automatic,
                fallsBack: monitor.fallsBack, sizes: sizes,
                rules: sizes.map { _, ignoreBelow in
                    DriftRule(
                        level: monitor.level, ignoreBelow: ignoreBelow,
                        rowCountMin: UInt64(max(0, monitor.minRows)))
                })
        }
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map { column in
                    watches.filter {
                        let monitor = stream.monitors[$0.monitor]
                        return monitor.segments.contains(segment) && monitor.windows.contains(size)
                            && monitor.columns.contains(column)
                    }
                }
            }
        }
    }

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
        let watches = watching[segment][closing.size][column]
        guard !watches.isEmpty, !record.group.isOther else { return [] }
        var events: [AlertRecord] = []
        /// What was worked out for each baseline.
        var outcomes: [Outcome] = []
        for watch in watches {
            guard hasBaseline(cell, place, watch) else {
                if watch.alerts {
                    record.verdicts.append(
                        verdictRecord(
                            plan.stream.monitors[watch.monitor], p: nil, effect: nil, .noBaseline))
                }
                continue
            }
            var known = outcomes.firstIndex { $0.baseline == watch.baseline }
            if known == nil,
                let outcome = compare(cell, place, watch, references[watch.baseline])
            {
                known = outcomes.count
                outcomes.append(outcome)
            }
            guard let known else {
                // It is not whole yet: nothing to compare with.
                if watch.alerts {
                    var verdict = verdictRecord(
                        plan.stream.monitors[watch.monitor], p: nil, effect: nil, .learning)
                    verdict.learned = references[watch.baseline]?.progress
                    record.verdicts.append(verdict)
                }
                continue
            }
            outcomes[known].include(watch.sizes, automatic: watch.isAutomatic, cell, place)
            guard watch.alerts else { continue }
            let monitor = plan.stream.monitors[watch.monitor]
            let outcome = outcomes[known]
            let isBlind = outcome.isBlind(level: monitor.level)
            // Any of several named tests may find drift; the verdict shows the one that is most so.
            var best: (verdict: DriftVerdict, place: Int, result: TidemarkDrift.TestResult)?
            for (place, size) in watch.sizes.enumerated() {
                guard let result = outcome.result(size.test) else { continue }
                let verdict = watch.rules[place].verdict(
                    p: outcome.significance?.p, effect: result.effect, rows: outcome.rowCount,
                    baselineRows: outcome.reference.valueCount, isBlind: isBlind)
                let isMoreSo =
                    best.map { best in
                        if (verdict == .drift) != (best.verdict == .drift) {
                            return verdict == .drift
                        }
                        return result.effect / max(size.ignoreBelow, 1e-12)
                            > best.result.effect / max(watch.sizes[best.place].ignoreBelow, 1e-12)
                    } ?? true
                if isMoreSo { best = (verdict, place, result) }
            }
            guard let best else {
                // No rows at all: a test has nothing to say.
                record.verdicts.append(verdictRecord(monitor, p: nil, effect: nil, .tooFew))
                continue
            }
            let size = watch.sizes[best.place]
            record.verdicts.append(
                verdictRecord(
                    monitor, p: outcome.significance?.p, effect: best.result.effect, best.verdict,
                    ignoreBelow: size.ignoreBelow))
            let event = alerts.observe(
                AlertSeries(
                    monitor: watch.monitor, segment: segment, size: closing.size, column: column,
                    group: cell.shape.part),
                said(
                    monitor, best.verdict, effect: best.result.effect, p: outcome.significance?.p,
                    ignoreBelow: size.ignoreBelow), closing)
            if let event {
                events.append(
                    alert(
                        event, monitor, record, cell, place, outcome, test: size.test.rawValue,
                        value: best.result.value, threshold: size.ignoreBelow, closing))
            }
        }
        if outcomes.count > 1 { outcomes.sort { $0.baseline < $1.baseline } }
        for outcome in outcomes where !outcome.published.isEmpty {
            record.drift.append(
                (
                    labels[outcome.baseline], Int64(outcome.rowCount),
                    Int64(outcome.reference.valueCount), outcome.published
                ))
        }
        return events
    }

    // MARK: Testing

    /// A window beside its baseline, and the tests that were asked of them.
    private struct Outcome {
        var baseline: Int
        /// Place of the binning in the column's; nil is the one in which baselines are learned.
        var binning: Int?
        var reference: ReferenceCounts
        /// The share of the reference in one cell of many values; see `BaselineTable.Entry`.
        var hiddenShare: Double
        var rowCount: UInt64
        /// KS for numbers, chi-square for categories.
        var significanceTest: DataflowTest
        var significance: TidemarkDrift.TestResult?
        var results: [(test: DataflowTest, result: TidemarkDrift.TestResult)] = []
        /// In the order in which they were asked for.
        var published: [TidemarkCore.TestResult] = []

        /// The window's counts.
        func current(_ cell: GroupCell, _ place: Int) -> UnsafeBufferPointer<UInt64> {
            let shape = cell.shape.columns[place]
            if let binning { return unsafe cell.cells(shape.binnings[binning]) }
            guard let learned = shape.learned else {
                return unsafe UnsafeBufferPointer(start: nil, count: 0)
            }
            return unsafe cell.cells(learned)
        }

        /// Whether drift could hide from it: in one cell, or behind a reference of so few rows that even
        /// a window without any value in common would not be significant.
        func isBlind(level: Double?) -> Bool {
            if hiddenShare > BaselineTable.Entry.blindShare { return true }
            guard significanceTest == .ks, let level else { return false }
            return !TwoSample.ksCanReach(
                level, current: rowCount, baseline: reference.valueCount)
        }

        func result(_ test: DataflowTest) -> TidemarkDrift.TestResult? {
            results.first { $0.test == test }?.result
        }

        mutating func include(
            _ tests: [(test: DataflowTest, ignoreBelow: Double)], automatic: Bool,
            _ cell: GroupCell, _ place: Int
        ) {
            if automatic, let significance { publish(significanceTest, significance) }
            for (test, _) in tests where result(test) == nil {
                // It may be at hand already.
                let found =
                    unsafe test == significanceTest
                    ? significance : DriftMonitors.apply(test, current(cell, place), reference)
                guard let found else { continue }
                results.append((test, found))
                publish(test, found)
            }
        }

        private mutating func publish(_ test: DataflowTest, _ result: TidemarkDrift.TestResult) {
            guard !published.contains(where: { $0.name == test.rawValue }) else { return }
            published.append(
                TidemarkCore.TestResult(name: test.rawValue, value: result.value, p: result.p))
        }
    }

    /// Whether a file has what the group is compared with; what is learned comes by itself.
    private func hasBaseline(_ cell: GroupCell, _ place: Int, _ watch: Watch) -> Bool {
        guard !watch.isLearned else { return true }
        let binning = cell.shape.columns[place].binnings.first { $0.baseline == watch.baseline }
        guard let binning else { return false }
        return watch.fallsBack || !binning.isFallback
    }

    /// - Returns: nil where there is nothing to compare with, or not yet.
    private func compare(
        _ cell: GroupCell, _ place: Int, _ watch: Watch, _ learned: LearnedReference?
    ) -> Outcome? {
        let shape = cell.shape.columns[place]
        let binning: Int?
        let reference: ReferenceCounts
        let hiddenShare: Double
        if watch.isLearned {
            guard let learned, learned.isInForce, let cells = shape.learned,
                let range = learned.ranges[place]
            else { return nil }
            binning = nil
            reference = ReferenceCounts(Array(learned.cells[range]))
            hiddenShare = cells.hiddenShare(of: reference)
        } else {
            guard
                let found = shape.binnings.firstIndex(where: { $0.baseline == watch.baseline }),
                let known = shape.binnings[found].reference
            else { return nil }
            binning = found
            reference = known
            hiddenShare = shape.binnings[found].hiddenShare
        }
        var outcome = Outcome(
            baseline: watch.baseline, binning: binning, reference: reference,
            hiddenShare: hiddenShare, rowCount: 0,
            significanceTest: shape.column.type.isNumeric ? .ks : .chiSquare)
        let current = unsafe outcome.current(cell, place)
        for cell in 0..<current.count { unsafe outcome.rowCount &+= current[cell] }
        outcome.significance = unsafe Self.apply(outcome.significanceTest, current, reference)
        return outcome
    }

    private static func apply(
        _ test: DataflowTest, _ current: UnsafeBufferPointer<UInt64>, _ reference: ReferenceCounts
    ) -> TidemarkDrift.TestResult? {
        switch test {
        case .psi: unsafe TwoSample.psi(current: current, baseline: reference)
        case .ks: unsafe TwoSample.ks(current: current, baseline: reference)
        case .chiSquare: unsafe TwoSample.chiSquare(current: current, baseline: reference)
        case .jsDistance: unsafe TwoSample.jsDistance(current: current, baseline: reference)
        case .lInfinity: unsafe TwoSample.lInfinity(current: current, baseline: reference)
        }
    }

    private func verdictRecord(
        _ monitor: MonitorPlan, p: Double?, effect: Double?, _ verdict: DriftVerdict,
        ignoreBelow: Double? = nil
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
        case .tooFew, .learning, .noBaseline: return .none
        // What began an alert was seen in these cells, and is gone from them.
        case .ok, .blind:
            // Hysteresis: still significant, and only just below the bound, is not clear.
            let isSignificant =
                monitor.level.map { level in p.map { $0 <= level } ?? false } ?? true
            return isSignificant && effect >= ignoreBelow * monitor.clearBelow
                ? .between : .cleared
        }
    }

    private func alert(
        _ action: AlertSaying, _ monitor: MonitorPlan,
        _ record: AggregateRecord, _ cell: GroupCell, _ place: Int, _ outcome: Outcome,
        test: String, value: Double, threshold: Double, _ closing: WindowClosing
    ) -> AlertRecord {
        let baseline = plan.stream.baselines[monitor.baseline]
        var alert = alertText.record(
            action, monitor, record, closing, test: test, threshold: threshold,
            summary: summary(action.transition, monitor, record, test, value, threshold, baseline))
        alert.n = Int64(outcome.rowCount)
        alert.nBaseline = Int64(outcome.reference.valueCount)
        alert.baseline = baseline.label
        alert.value = value
        alert.p = outcome.significance?.p
        alert.level = monitor.level
        alert.tests = outcome.published
        alert.current = unsafe outcome.current(cell, place).map { Int64($0) }
        alert.reference = outcome.reference.counts.map { Int64($0) }
        // What the cells are, for people: neither where they are hashes.
        let shape = cell.shape.columns[place]
        if let binning = outcome.binning.map({ shape.binnings[$0] }) ?? shape.learned {
            switch binning.entry?.shape {
            case .numeric(let edges, _, _, _, _): alert.edges = edges
            case .categorical(let categories, _, _): alert.categories = categories
            case nil: alert.edges = shape.edges(binning)
            }
        }
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
