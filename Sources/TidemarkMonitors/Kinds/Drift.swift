import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkRecords
import TidemarkText

/// Drift: the values of a column differ from those of a baseline.
///
/// Verdicts rest on counts in fixed cells alone: order-free summaries.
struct Drift: Monitor {
    static let spec = KindSpec(name: "drift") { monitor in
        if case .named(let tests) = monitor.tests, let first = tests.first {
            return (first.test, monitor.ignoreBelow ?? first.ignoreBelow)
        }
        return (TwoSample.automatic.spec.name, monitor.ignoreBelow ?? 0)
    }

    /// What of a monitor is asked for with each column of each window.
    private struct Watch {
        var monitor: Int
        /// The monitor itself, as overrides have it.
        var settings: MonitorPlan
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
    private var overridden: OverriddenMonitors
    /// What says whether a column of numbers, or of categories, differs significantly.
    private let significance = (
        numbers: KnownTest(TwoSample.significance(ofNumbers: true)),
        categories: KnownTest(TwoSample.significance(ofNumbers: false))
    )

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        labels = plan.stream.baselines.map(\.label)
        let stream = plan.stream
        overridden = OverriddenMonitors(plan)
        let watches = Dictionary(
            uniqueKeysWithValues: stream.monitors.indices.filter {
                stream.monitors[$0].kind == Self.spec.name
            }.map { ($0, Self.watch($0, stream.monitors[$0], stream)) })
        watching = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                stream.columns.indices.map { column in
                    stream.monitors(
                        of: Self.spec.name, segment: segment, size: size, column: column
                    ).compactMap { watches[$0] }
                }
            }
        }
    }

    private static func watch(
        _ index: Int, _ monitor: MonitorPlan, _ stream: StreamPlan
    ) -> Watch {
        let sizes = sizes(of: monitor)
        return Watch(
            monitor: index, settings: monitor, baseline: monitor.baseline,
            isLearned: stream.baselines.indices.contains(monitor.baseline)
                && stream.baselines[monitor.baseline].isOfStream,
            alerts: monitor.isJudged, isAutomatic: monitor.tests == .automatic,
            fallsBack: monitor.fallsBack, sizes: sizes,
            rules: sizes.map { _, ignoreBelow in
                DriftRule(
                    level: monitor.level, ignoreBelow: ignoreBelow,
                    rowCountMin: UInt64(max(0, monitor.minRows)))
            })
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

    func judges(segment: Int, size: Int, column: Int?) -> Bool {
        column.map { !watching[segment][size][$0].isEmpty } ?? false
    }

    mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        guard let column = window.column else { return }
        /// What was worked out for each baseline.
        var comparisons: [Comparison] = []
        for usual in watching[window.segment][window.closing.size][column] {
            let watch =
                overridden.variant(usual.monitor, column: column, part: window.part)
                .map { Self.watch(usual.monitor, $0, plan.stream) } ?? usual
            guard let known = comparison(of: window, watch, &record, &comparisons) else { continue }
            comparisons[known].include(watch.sizes, automatic: watch.isAutomatic, window)
            guard watch.alerts else { continue }
            judge(window, watch, comparisons[known], &record, &alerts)
        }
        if comparisons.count > 1 { comparisons.sort { $0.baseline < $1.baseline } }
        for comparison in comparisons where !comparison.published.isEmpty {
            record.drift.append(
                DriftRecord(
                    baseline: comparison.label, n: Int64(comparison.rowCount),
                    nBaseline: Int64(comparison.reference.valueCount),
                    tests: comparison.published))
        }
    }

    /// The place of the comparison that a monitor wants, made if it is not there yet; where there is nothing
    /// to compare with, its verdict says so.
    private func comparison(
        of window: borrowing WindowEvidence, _ watch: Watch, _ record: inout AggregateRecord,
        _ comparisons: inout [Comparison]
    ) -> Int? {
        guard hasBaseline(window, watch) else {
            if watch.alerts {
                record.verdicts.append(
                    verdictRecord(watch.settings, .noBaseline))
            }
            return nil
        }
        if let known = comparisons.firstIndex(where: { $0.baseline == watch.baseline }) {
            return known
        }
        let learned = window.references[watch.baseline]
        // What others are compared with is not compared with itself.
        if learned?.isItself ?? false { return nil }
        guard let comparison = compare(window, watch) else {
            // It is not whole yet, or has nothing of the group: nothing to compare with.
            if watch.alerts {
                let lacking = learned?.verdict(lacking: window.place) ?? .learning
                var verdict = verdictRecord(watch.settings, lacking)
                verdict.baseline = learned?.label ?? verdict.baseline
                if lacking == .learning { verdict.learned = learned?.progress }
                record.verdicts.append(verdict)
            }
            return nil
        }
        comparisons.append(comparison)
        return comparisons.count - 1
    }

    /// Any of several named tests may find drift, or all have to: the verdict shows the one that is most so, or least.
    private func judge(
        _ window: borrowing WindowEvidence, _ watch: Watch, _ comparison: Comparison,
        _ record: inout AggregateRecord, _ alerts: inout AlertDesk
    ) {
        let monitor = watch.settings
        let isBlind = comparison.isBlind(level: monitor.level)
        var best: Finding?
        for (place, size) in watch.sizes.enumerated() {
            guard let result = comparison.result(size.test) else { continue }
            let finding = Finding(
                verdict: watch.rules[place].verdict(
                    p: comparison.significance?.p, effect: result.effect,
                    rows: comparison.rowCount, baselineRows: comparison.reference.valueCount,
                    isBlind: isBlind),
                test: size.test, result: result, ignoreBelow: size.ignoreBelow)
            let decides = best.map {
                monitor.needsAllTests ? $0.isMoreSo(than: finding) : finding.isMoreSo(than: $0)
            }
            if decides ?? true { best = finding }
        }
        guard let best else {
            // No rows at all: a test has nothing to say.
            var verdict = verdictRecord(monitor, .tooFew)
            verdict.baseline = comparison.label
            record.verdicts.append(verdict)
            return
        }
        let p = comparison.significance?.p
        var verdict = verdictRecord(monitor, best.verdict)
        verdict.baseline = comparison.label
        (verdict.p, verdict.effect, verdict.ignoreBelow) = (p, best.result.effect, best.ignoreBelow)
        record.verdicts.append(verdict)
        // Hysteresis: still significant, and only just below the bound, is not clear. What began an alert in
        // cells that hide now was seen in them, and is gone from them.
        let isSignificant = monitor.level.map { level in p.map { $0 <= level } ?? false } ?? true
        let isNear =
            isSignificant && best.result.effect >= best.ignoreBelow * monitor.clearBelow
        alerts.take(best.verdict, isNear: isNear, of: watch.monitor, window) { saying, text in
            let alert = text.record(
                saying, monitor, record, window.closing, test: best.test.name,
                threshold: best.ignoreBelow, summary: "")
            var whole = with(evidence: window, of: comparison, best, alert)
            whole.summary = summary(whole, monitor, best)
            return whole
        }
    }

    // MARK: Testing

    /// A window beside its baseline, and the tests that were asked of them.
    private struct Comparison {
        var baseline: Int
        /// As records name the baseline.
        var label: String
        /// Place of the binning among the column's.
        var binning: Int
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
            _ window: borrowing WindowEvidence
        ) {
            results.reserveCapacity(tests.count)
            published.reserveCapacity(tests.count + 1)
            if automatic, let significance { publish(significanceTest, significance) }
            for (test, _) in tests where result(test) == nil {
                // It may be at hand already.
                let found = test == significanceTest ? significance : apply(test, window)
                guard let found else { continue }
                results.append((test, found))
                publish(test, found)
            }
        }

        /// Compares the window with the baseline.
        func apply(
            _ test: KnownTest, _ window: borrowing WindowEvidence
        ) -> TidemarkDrift.TestResult? {
            window.compare(binning, valueCount: rowCount, with: reference, by: test.type)
        }

        private mutating func publish(_ test: KnownTest, _ result: TidemarkDrift.TestResult) {
            guard !published.contains(where: { $0.name == test.name }) else { return }
            published.append(
                TestRecord(name: test.name, value: result.value, p: result.p))
        }
    }

    /// What one of the tests that decide on size came to.
    private struct Finding {
        var verdict: Verdict
        var test: KnownTest
        var result: TidemarkDrift.TestResult
        var ignoreBelow: Double

        /// Whether it shows drift where the other does not, or more of it, each by its own bound.
        func isMoreSo(than other: Finding) -> Bool {
            if verdict.isBreach != other.verdict.isBreach { return verdict.isBreach }
            return result.effect / max(ignoreBelow, 1e-12)
                > other.result.effect / max(other.ignoreBelow, 1e-12)
        }
    }

    /// Whether a file has what the group is compared with; what is learned comes by itself.
    private func hasBaseline(_ window: borrowing WindowEvidence, _ watch: Watch) -> Bool {
        guard !watch.isLearned else { return true }
        guard let binning = window.binnings.first(where: { $0.baseline == watch.baseline }) else {
            return false
        }
        return watch.fallsBack || !binning.isFallback
    }

    /// - Returns: nil where there is nothing to compare with, or not yet.
    private func compare(
        _ window: borrowing WindowEvidence, _ watch: Watch
    ) -> Comparison? {
        guard let cells = window.comparable(with: watch.baseline, isOfStream: watch.isLearned)
        else {
            return nil
        }
        var comparison = Comparison(
            baseline: watch.baseline,
            label: window.references[watch.baseline]?.label ?? labels[watch.baseline],
            binning: cells.binning, reference: cells.reference,
            hiddenShare: cells.hiddenShare, rowCount: window.valueCount(cells.binning),
            significanceTest: window.isNumeric ? significance.numbers : significance.categories)
        comparison.significance = comparison.apply(comparison.significanceTest, window)
        return comparison
    }

    /// The bound that is shown where no test was run.
    private static let ignoreBelow = TwoSample.automatic.spec.ignoreBelow

    private func verdictRecord(_ monitor: MonitorPlan, _ verdict: Verdict) -> VerdictRecord {
        VerdictRecord(
            monitor: monitor.name, baseline: labels[monitor.baseline], p: nil,
            level: monitor.level, effect: nil,
            ignoreBelow: monitor.ignoreBelow ?? Self.ignoreBelow, verdict: verdict)
    }

    // MARK: Alerts

    /// An alert with what it rests on.
    private func with(
        evidence window: borrowing WindowEvidence, of comparison: Comparison, _ finding: Finding,
        _ alert: AlertRecord
    ) -> AlertRecord {
        var alert = alert
        alert.n = Int64(comparison.rowCount)
        alert.nBaseline = Int64(comparison.reference.valueCount)
        alert.baseline = comparison.label
        alert.value = finding.result.value
        alert.effect = finding.result.effect
        alert.p = comparison.significance?.p
        alert.tests = comparison.published
        alert.current = unsafe window.cells(comparison.binning).map { Int64($0) }
        alert.reference = comparison.reference.counts.map { Int64($0) }
        // What the cells are, for people: neither where they are hashes.
        let binning = window.binnings[comparison.binning]
        switch binning.entry?.shape {
        case .numeric(let edges, _, _, _, _): alert.edges = edges
        case .categorical(let categories, _, _): alert.categories = categories
        case nil: alert.edges = binning.edgeValues
        }
        let cells: CellText
        if !alert.edges.isEmpty {
            cells = CellText(
                current: alert.current, baseline: alert.reference, edges: alert.edges,
                atoms: binning.entry?.atoms ?? [], isOpen: binning.isOpen)
        } else if !alert.categories.isEmpty {
            cells = CellText(
                current: alert.current, baseline: alert.reference, categories: alert.categories)
        } else {
            return alert
        }
        (alert.usual, alert.now, alert.changes) = (cells.usual, cells.now, cells.changes())
        return alert
    }

    /// A few words for a person: what differs, by how much, what was usual and what is now.
    private func summary(
        _ alert: AlertRecord, _ monitor: MonitorPlan, _ finding: Finding
    ) -> String {
        let baseline = plan.stream.baselines[monitor.baseline].name
        let group = String(decoding: alert.group.part, as: UTF8.self)
        var measured = "\(finding.test.name) \(shortText(finding.result.value))"
        // The bound is one of the effect.
        if let name = finding.test.effectName {
            measured += ", \(name) \(shortText(finding.result.effect))"
        }
        guard alert.transition == .firing else {
            return "\(alert.column) of \(group) is like \(baseline) again: \(measured)"
        }
        var text =
            "\(alert.column) of \(group) differs from \(baseline): \(measured), over"
            + " \(shortText(finding.ignoreBelow))"
        if let usual = alert.usual, let now = alert.now {
            let what = alert.edges.isEmpty ? "" : "the middle half "
            text += "; usual: \(what)\(usual); now: \(usual == now ? "the same" : now)"
        }
        if !alert.changes.isEmpty { text += "; most changed: \(AlertText.text(alert.changes))" }
        return text + "; since \(timeText(alert.openedMs).prefix(16))Z"
    }
}
