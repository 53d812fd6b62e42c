import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkRecords

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
        var sizes: [(test: KnownTest, ignoreBelow: Double)]
        var rules: [DriftRule]
    }

    /// A test, with its name at hand.
    private struct KnownTest {
        let name: String
        let type: any TwoSampleTest.Type
        /// What its effect is called where it isn't the value.
        let effectName: String?

        init(_ type: any TwoSampleTest.Type) {
            let spec = type.spec
            name = spec.name
            effectName = spec.effectName
            self.type = type
        }

        static func == (a: Self, b: Self) -> Bool { a.type == b.type }
    }

    private let plan: Plan
    private let labels: [String]
    /// By segment, by window length, by column.
    private let watching: [[[[Watch]]]]
    private let alertText: AlertText
    /// What says whether a column of numbers, or of categories, differs significantly.
    private let significance = (
        numbers: KnownTest(TwoSample.significance(ofNumbers: true)),
        categories: KnownTest(TwoSample.significance(ofNumbers: false))
    )

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
        test: KnownTest, ignoreBelow: Double
    )] {
        switch monitor.tests {
        case .automatic:
            let test = TwoSample.automatic
            return [(KnownTest(test), monitor.ignoreBelow ?? test.spec.ignoreBelow)]
        case .named(let tests):
            return tests.map {
                guard let test = TwoSample.named($0.test) else {
                    preconditionFailure("the planner knows no other tests")
                }
                return (KnownTest(test), monitor.ignoreBelow ?? $0.ignoreBelow)
            }
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
            var best: (verdict: Verdict, place: Int, result: TidemarkDrift.TestResult)?
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
                        event, monitor, record, cell, place, outcome, test: size.test,
                        result: best.result, threshold: size.ignoreBelow, closing))
            }
        }
        if outcomes.count > 1 { outcomes.sort { $0.baseline < $1.baseline } }
        for outcome in outcomes where !outcome.published.isEmpty {
            record.drift.append(
                DriftRecord(
                    baseline: labels[outcome.baseline], n: Int64(outcome.rowCount),
                    nBaseline: Int64(outcome.reference.valueCount), tests: outcome.published))
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
        var significanceTest: KnownTest
        var significance: TidemarkDrift.TestResult?
        var results: [(test: KnownTest, result: TidemarkDrift.TestResult)] = []
        /// In the order in which they were asked for.
        var published: [TestRecord] = []

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
            guard significanceTest.type == KolmogorovSmirnov.self, let level else { return false }
            return !KolmogorovSmirnov.canReach(
                level, current: rowCount, baseline: reference.valueCount)
        }

        func result(_ test: KnownTest) -> TidemarkDrift.TestResult? {
            results.first { $0.test == test }?.result
        }

        mutating func include(
            _ tests: [(test: KnownTest, ignoreBelow: Double)], automatic: Bool,
            _ cell: GroupCell, _ place: Int
        ) {
            if automatic, let significance { publish(significanceTest, significance) }
            for (test, _) in tests where result(test) == nil {
                // It may be at hand already.
                let found =
                    test == significanceTest ? significance : apply(test, cell, place)
                guard let found else { continue }
                results.append((test, found))
                publish(test, found)
            }
        }

        /// Compares the window with the baseline.
        func apply(
            _ test: KnownTest, _ cell: GroupCell, _ place: Int
        ) -> TidemarkDrift.TestResult? {
            // The shape, which the cell keeps, has the edges, the cell the counts.
            let shape = cell.shape.columns[place]
            let extent = cell.extent(place)
            let boundaries =
                unsafe (binning.map { shape.binnings[$0] } ?? shape.learned)?.boundaries
                ?? UnsafeBufferPointer(start: nil, count: 0)
            let now = unsafe Evidence(
                counts: current(cell, place), valueCount: rowCount, boundaries: boundaries,
                range: extent.least <= extent.most ? extent.least...extent.most : nil)
            let then = unsafe reference.evidence(boundaries: boundaries)
            return test.type.compare(now, then)
        }

        private mutating func publish(_ test: KnownTest, _ result: TidemarkDrift.TestResult) {
            guard !published.contains(where: { $0.name == test.name }) else { return }
            published.append(
                TestRecord(name: test.name, value: result.value, p: result.p))
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
            reference = ReferenceCounts(learned.cells[range])
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
            significanceTest: shape.column.type.isNumeric
                ? significance.numbers : significance.categories)
        let current = unsafe outcome.current(cell, place)
        for cell in 0..<current.count { unsafe outcome.rowCount &+= current[cell] }
        outcome.significance = outcome.apply(outcome.significanceTest, cell, place)
        return outcome
    }

    /// The bound that is shown where no test was run.
    private static let ignoreBelow = TwoSample.automatic.spec.ignoreBelow

    private func verdictRecord(
        _ monitor: MonitorPlan, p: Double?, effect: Double?, _ verdict: Verdict,
        ignoreBelow: Double? = nil
    ) -> VerdictRecord {
        VerdictRecord(
            monitor: monitor.name, baseline: labels[monitor.baseline], p: p,
            level: monitor.level, effect: effect,
            ignoreBelow: ignoreBelow ?? monitor.ignoreBelow ?? Self.ignoreBelow,
            verdict: verdict)
    }

    // MARK: Alerts

    private func said(
        _ monitor: MonitorPlan, _ verdict: Verdict, effect: Double, p: Double?,
        ignoreBelow: Double
    ) -> AlertVerdict {
        switch verdict {
        case .drift, .drop, .rise: return .breached
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
        test: KnownTest, result: TidemarkDrift.TestResult, threshold: Double,
        _ closing: WindowClosing
    ) -> AlertRecord {
        let baseline = plan.stream.baselines[monitor.baseline]
        var alert = alertText.record(
            action, monitor, record, closing, test: test.name, threshold: threshold,
            summary: summary(
                action.transition, monitor, record, test, result, threshold, baseline))
        alert.n = Int64(outcome.rowCount)
        alert.nBaseline = Int64(outcome.reference.valueCount)
        alert.baseline = baseline.label
        alert.value = result.value
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
        _ test: KnownTest, _ result: TidemarkDrift.TestResult, _ threshold: Double,
        _ baseline: BaselinePlan
    ) -> String {
        let group = String(decoding: record.group.part, as: UTF8.self)
        let value = shortText(result.value)
        let threshold = shortText(threshold)
        if let template = monitor.summary {
            return filled(
                template,
                [
                    ("{column}", record.column), ("{group}", group), ("{value}", value),
                    ("{threshold}", threshold), ("{baseline}", baseline.name),
                ])
        }
        var measured = "\(test.name) \(value)"
        // The bound is one of the effect.
        if let name = test.effectName { measured += ", \(name) \(shortText(result.effect))" }
        return transition == .firing
            ? "\(record.column) of \(group) differs from \(baseline.name): \(measured), over \(threshold)"
            : "\(record.column) of \(group) is like \(baseline.name) again: \(measured)"
    }
}
