import TidemarkDataflow
import TidemarkDrift
import TidemarkTopology

/// What monitors need of everything else, checked once all is read.
extension Resolver {
    /// The monitors with their columns checked against baselines and histograms, and their levels.
    func checkMonitors(_ monitors: [ReadMonitor]) -> [MonitorPlan] {
        facts.groups = segments.indices.map { groups(of: $0, baseline: nil) }
        var plans: [MonitorPlan] = []
        for var read in monitors {
            check(&read)
            plans.append(read.plan)
        }
        for index in plans.indices {
            plans[index].testsPerPeriod = tests(of: plans[index])
            if plans[index].alerts {
                facts.testsPerPeriod[plans[index].severity, default: 0] +=
                    plans[index].testsPerPeriod
            }
        }
        for index in plans.indices {
            let plan = plans[index]
            guard let rate = facts.budget.rate(of: plan.severity) else { continue }
            // One that never alerts is judged as if it did.
            var total = facts.testsPerPeriod[plan.severity] ?? 0
            if !plan.alerts { total += plan.testsPerPeriod }
            if total > 0 { plans[index].level = rate.level(testsInPeriod: total) }
            plans[index].testsPerPeriod = total
        }
        return plans
    }

    private func check(_ read: inout ReadMonitor) {
        let name = read.plan.name
        if read.plan.volume != nil {
            checkVolume(read)
            return
        }
        // Text is counted only.
        let texts = read.plan.columns.filter { !canBeTested($0) }
        for index in texts where read.named.contains(index) {
            reading.say(
                "not-testable", at: read.place,
                "\(shown(columns[index].name)) is \(Self.article(columns[index].type)): it is counted only",
                expected: "numbers, categories or booleans", suggestion: "declare it as `category`")
        }
        read.plan.columns.removeAll { texts.contains($0) }
        guard !read.plan.columns.isEmpty else {
            if texts.allSatisfy({ !read.named.contains($0) }), !columns.isEmpty {
                reading.say(
                    "matches-nothing", at: read.place, "`\(name)` has no column that can be tested",
                    expected: "numbers, categories or booleans", suggestion: "`\(name): off`")
            }
            return
        }
        // The baseline must have them all.
        let baseline = read.plan.baseline
        let lacking = read.plan.columns.filter { !holds(baseline, $0) }
        if !lacking.isEmpty, baselines.indices.contains(baseline) {
            let names = lacking.map { columns[$0].name }
            var list = names.prefix(3).map { "`\($0)`" }.joined(separator: ", ")
            if names.count > 3 { list += " and \(names.count - 3) more" }
            reading.say(
                "baseline-lacks-column", at: baselinePlaces[baseline],
                "\(Self.fileName(baselines[baseline].path)) has no \(list)",
                expected: "every column of `\(name)` (\(read.place.line):\(read.place.column))",
                suggestion: "build it again, or `drift: [all, "
                    + names.prefix(3).map { "-\($0)" }.joined(separator: ", ")
                    + (names.count > 3 ? ", …" : "") + "]`")
            return
        }
        for index in read.plan.columns {
            let column = columns[index]
            if let known = summaries[baseline]?.columns.first(where: { $0.name == column.name }),
                known.isNumeric != column.type.isNumeric
            {
                reading.say(
                    "baseline-other-schema", at: baselinePlaces[baseline],
                    "\(Self.fileName(baselines[baseline].path)) has `\(column.name)` as "
                        + (known.isNumeric ? "numbers" : "categories"),
                    expected: "\(Self.article(column.type)) "
                        + "(\(columnPlaces[index].line):\(columnPlaces[index].column))",
                    suggestion:
                        "`tidemark baseline build --topology`, which reads it as this file says; or"
                        + " `\(column.name): { \(Self.roleText(column))type: \(known.isNumeric ? "number" : "category") }`"
                )
                continue
            }
            if case .named(let tests) = read.plan.tests {
                for test in tests { check(test, of: column, at: read.testPlace) }
            }
            if column.type.isNumeric, isWatched(index, read.plan),
                baselines[baseline].learning == nil,
                column.summary.histogram != .baseline(baseline), summaries[baseline] != nil
            {
                reading.say(
                    "no-histogram", at: read.place,
                    column.summary.histogram == nil
                        ? "`\(column.name)` has no histogram to compare"
                        : "the histogram of `\(column.name)` has other edges than the baseline",
                    expected: "`histogram: { edges: \(baselines[baseline].name) }`",
                    suggestion: "a rule in `summaries`, or `-\(column.name)` here")
            }
        }
        if let learning = baselines[baseline].learning {
            checkLearning(learning, of: read)
        }
        // Each column must be watched where the monitor looks.
        for segment in read.plan.segments {
            for index in read.plan.columns
            where !segments[segment].columns.contains(index) && read.named.contains(index) {
                reading.say(
                    "not-watched", at: read.place,
                    "segment `\(segments[segment].name)` does not watch `\(columns[index].name)`",
                    expected: "a column of the segment", suggestion: "add it to its `columns`")
            }
        }
        for segment in read.plan.segments where isWithoutBaseline(segment, read.plan) {
            reading.say(
                .warning, "baseline-other-groups", at: baselinePlaces[baseline],
                "\(Self.fileName(baselines[baseline].path)) has no groups of segment "
                    + "`\(segments[segment].name)`: `\(name)` will say `no_baseline` there",
                expected: "groups by "
                    + (segments[segment].dimensions.isEmpty
                        ? "nothing"
                        : segments[segment].dimensions.map(\.name).joined(separator: ", ")),
                suggestion: "`segments` in the monitor, or build the baseline by them")
        }
        sayWhereBlind(read.plan)
    }

    /// Whether a test by name is for columns of this type.
    private func check(_ test: MonitorPlan.NamedTest, of column: ColumnPlan, at place: Place) {
        guard let spec = TwoSample.named(test.test)?.spec,
            !spec.columns.contains(column.type.isNumeric ? .numbers : .categories)
        else { return }
        let isOfNumbers = spec.columns.contains(.numbers)
        let reason =
            spec.needs.contains(.edges)
            ? "needs distances" : spec.needs.contains(.order) ? "needs an order" : "is not for it"
        reading.say(
            "test-of-type", at: place,
            "`\(spec.name)` \(reason); `\(column.name)` is \(Self.article(column.type))",
            expected: isOfNumbers ? "numbers" : "categories", suggestion: "`auto`")
    }

    /// Whether a baseline's file has nothing to compare any group of a segment with.
    private func isWithoutBaseline(_ segment: Int, _ plan: MonitorPlan) -> Bool {
        guard let summary = summaries[plan.baseline] else { return false }
        let names = segments[segment].dimensions.map(\.name)
        if summary.groups.contains(where: { $0 != "*" && Self.names(ofPart: $0) == names }) {
            return false
        }
        // All rows together are a baseline where the file has nothing else.
        let isPooled = plan.fallsBack || names.isEmpty || summary.groups.allSatisfy { $0 == "*" }
        return !(isPooled && summary.groups.contains("*"))
    }

    /// Warns of columns in which the baseline's cells would show next to nothing.
    private func sayWhereBlind(_ plan: MonitorPlan) {
        guard let summary = summaries[plan.baseline] else { return }
        for index in plan.columns {
            let blind = summary.blind.filter { $0.column == columns[index].name }
            guard let most = blind.max(by: { $0.share < $1.share }) else { continue }
            let others = blind.count > 1 ? " and \(blind.count - 1) more" : ""
            reading.say(
                .warning, "baseline-blind", at: baselinePlaces[plan.baseline],
                "\(Self.fileName(baselines[plan.baseline].path)) can't tell values of "
                    + "`\(columns[index].name)` apart: \(Int((most.share * 100).rounded()))% of its rows"
                    + " (\(most.group)\(others)) lie in one "
                    + (columns[index].type.isNumeric
                        ? "bin" : "cell for all categories that it does not name")
                    + ", so that `\(plan.name)` will say `blind` or `drift`",
                expected: "at most 75% in a bin of many values",
                suggestion: columns[index].type.isNumeric
                    ? "build it again: `tidemark baseline build`"
                    : "`-\(columns[index].name)` in the monitor, if it is an id")
        }
    }

    /// To whole days, hours or minutes.
    private static func roundedDown(_ ms: Int64) -> Int64 {
        let unit = [dayMs, hourMs, minuteMs].first { $0 <= ms } ?? 1
        return ms / unit * unit
    }

    private func checkVolume(_ read: ReadMonitor) {
        guard let rule = read.plan.volume, rule.testCount > 0 else { return }
        let baseline = baselines[read.plan.baseline]
        guard let learning = baseline.learning else {
            reading.say(
                "baseline-without-volume", at: read.place,
                "`\(baseline.name)` is a file: it knows no rows a window",
                expected: "a learned baseline", suggestion: "`against: { trailing: 6h }`")
            return
        }
        for index in read.plan.windows {
            let window = windows[index]
            let count = learning.windowCount(lengthMs: window.lengthMs)
            if count < 3 {
                reading.say(
                    "too-few-windows", at: read.place,
                    "\(durationText(learning.lengthMs)) hold \(count) "
                        + "window\(count == 1 ? "" : "s") of \(durationText(window.lengthMs)): "
                        + "how much rows scatter can't be told",
                    expected: "3 windows or more, better 12",
                    suggestion: "`\(learning.span.rawValue): \(durationText(12 * window.lengthMs))`"
                )
            }
            sayIfTooMany(learning, window, of: read)
        }
    }

    /// What a learned baseline needs of the columns and windows that are compared with it.
    private func checkLearning(_ learning: LearningPlan, of read: ReadMonitor) {
        let baseline = read.plan.baseline
        let binless = read.plan.columns.filter {
            columns[$0].type.isNumeric && isWatched($0, read.plan)
                && columns[$0].summary.histogram == nil
        }
        if let first = binless.first {
            let names = binless.map { columns[$0].name }
            var list = names.prefix(3).map { "`\($0)`" }.joined(separator: ", ")
            if names.count > 3 { list += " and \(names.count - 3) more" }
            reading.say(
                "edges-missing", at: read.place,
                "nothing says where the bins of \(list) lie, in which "
                    + "`\(baselines[baseline].name)` learns counts",
                expected: "edges that are known before the data, from a file or declared",
                suggestion: "`\(columns[first].name): { type: number, expect: "
                    + "{ range: [0, 1] } }`, or `-\(columns[first].name)` here")
        }
        for index in read.plan.windows {
            let window = windows[index]
            let count = learning.windowCount(lengthMs: window.lengthMs)
            if sayIfTooMany(learning, window, of: read) { continue }
            // A span that lies further back than ten windows, as the same hour of the day before, follows nothing.
            let isFarBack = learning.skipMs >= 10 * window.lengthMs
            if learning.span == .trailing, !isFarBack, count < 10 || learning.skipMs == 0 {
                reading.say(
                    .warning, "trailing-follows-drift", at: baselinePlaces[baseline],
                    count < 10
                        ? "`\(baselines[baseline].name)` holds \(count) "
                            + "window\(count == 1 ? "" : "s") of \(durationText(window.lengthMs)):"
                            + " slow drift is learned as normal"
                        : "`\(baselines[baseline].name)` reaches up to the window itself:"
                            + " slow drift is learned as normal",
                    expected: "10 windows or more, and a `skip`",
                    suggestion: count < 10
                        ? "`trailing: \(durationText(window.lengthMs * 10))`"
                        : "`skip: \(durationText(learning.lengthMs))`")
            }
        }
    }

    /// A trailing span is kept window by window.
    ///
    /// - Returns: whether it was reported that there are too many.
    @discardableResult
    private func sayIfTooMany(
        _ learning: LearningPlan, _ window: WindowPlan, of read: ReadMonitor
    ) -> Bool {
        let count = learning.windowCount(lengthMs: window.lengthMs)
        guard learning.span == .trailing, count > LearningPlan.windowCountMax else { return false }
        let longest = Self.roundedDown(window.lengthMs * LearningPlan.windowCountMax)
        reading.say(
            "too-many", at: baselinePlaces[read.plan.baseline],
            "\(durationText(learning.lengthMs)) are \(count) windows of "
                + "\(durationText(window.lengthMs)), which are kept one by one",
            expected: "at most \(LearningPlan.windowCountMax)",
            suggestion: "`trailing: \(durationText(longest))`, "
                + "or `windows` with longer ones in `\(read.plan.name)`")
        return true
    }

    /// `role: label, ` where a column has a role of its own.
    private static func roleText(_ column: ColumnPlan) -> String {
        column.role == .feature ? "" : "role: \(column.role.rawValue), "
    }

    private func canBeTested(_ index: Int) -> Bool {
        switch columns[index].type {
        case .number, .integer, .category, .boolean: true
        case .text, .time: false
        }
    }

    private func isWatched(_ column: Int, _ plan: MonitorPlan) -> Bool {
        plan.segments.contains { segments[$0].columns.contains(column) }
    }

    /// How many groups of a segment have a baseline; without one, how many there may be.
    private func groups(of segment: Int, baseline: Int?) -> (count: Int, isCounted: Bool) {
        let segment = segments[segment]
        let bound = segment.dimensions.isEmpty ? 1 : segment.groupCountMax
        let known = baseline.map { summaries[$0].map { [$0] } ?? [] } ?? Array(summaries.values)
        var best: Int?
        for summary in known {
            let counted = summary.groups.count {
                Self.names(ofPart: $0) == segment.dimensions.map(\.name)
            }
            if counted > 0 { best = max(best ?? 0, counted) }
        }
        if let best { return (min(best, bound), true) }
        if segment.dimensions.isEmpty { return (1, true) }
        if let baseline, let summary = summaries[baseline], !summary.groups.contains("*") {
            return (0, true)
        }
        return (bound, false)
    }

    /// The dimension names in a group's part: `model=churn,region=eu`; `*` and `-` have none.
    private static func names(ofPart part: String) -> [String] {
        if part == "*" || part == "-" || part.hasPrefix("~") { return [] }
        return part.split(separator: ",").map { String($0.prefix { $0 != "=" }) }
    }

    /// Tests of a monitor in the period of its severity's budget.
    private func tests(of plan: MonitorPlan) -> Double {
        guard let rate = facts.budget.rate(of: plan.severity) else { return 0 }
        var total = 0.0
        for segment in plan.segments {
            // What is learned may be learned of every group.
            let isLearned =
                baselines.indices.contains(plan.baseline)
                && baselines[plan.baseline].learning != nil
            let count = groups(of: segment, baseline: isLearned ? nil : plan.baseline).count
            let watched =
                plan.volume?.testCount
                ?? plan.columns.count { segments[segment].columns.contains($0) }
            for window in plan.windows where segments[segment].windows.contains(window) {
                total += rate.testsInPeriod(
                    series: count * watched, stepMs: windows[window].stepMs)
            }
        }
        return total
    }
}
