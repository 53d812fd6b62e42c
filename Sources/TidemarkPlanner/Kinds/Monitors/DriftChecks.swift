import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What a drift monitor needs of columns, histograms and baselines.
extension Drift {
    func check(_ read: inout ReadMonitor, _ scope: Scope) {
        takeOutTexts(&read, scope)
        guard !read.plan.columns.isEmpty, hasAllColumns(read, scope) else { return }
        for index in read.plan.columns { check(index, of: read, scope) }
        let baseline = scope.baselines.plans[read.plan.baseline]
        if baseline.isOfStream { checkEdges(read, scope) }
        if let learning = baseline.learning { check(learning, of: read, scope) }
        if let other = baseline.other { Reach.keepSegments(of: other, &read, scope) }
        checkSegments(read, scope)
        sayWhereBlind(read.plan, scope)
    }

    /// Text is counted only.
    private func takeOutTexts(_ read: inout ReadMonitor, _ scope: Scope) {
        let texts = read.plan.columns.filter { !canBeTested(scope.columns[$0].type) }
        for index in texts where read.named.contains(index) {
            let column = scope.columns[index]
            scope.reading.say(
                "not-testable", at: read.place,
                "\(shown(column.name)) is \(ColumnPart.article(column.type)): it is counted only",
                expected: "numbers, categories or booleans", suggestion: "declare it as `category`")
        }
        read.plan.columns.removeAll { texts.contains($0) }
        if read.plan.columns.isEmpty, texts.allSatisfy({ !read.named.contains($0) }),
            !scope.columns.isEmpty
        {
            scope.reading.say(
                "matches-nothing", at: read.place,
                "`\(read.plan.name)` has no column that can be tested",
                expected: "numbers, categories or booleans",
                suggestion: "`\(read.plan.name): off`")
        }
    }

    private func canBeTested(_ type: ColumnType) -> Bool {
        switch type {
        case .number, .integer, .category, .boolean: true
        case .text, .time: false
        }
    }

    /// Whether the baseline has every column; reported where it lacks some.
    private func hasAllColumns(_ read: ReadMonitor, _ scope: Scope) -> Bool {
        let baseline = read.plan.baseline
        let names = read.plan.columns.filter {
            !scope.baselines.holds(baseline, scope.columns[$0])
        }.map { scope.columns[$0].name }
        guard !names.isEmpty, scope.baselines.plans.indices.contains(baseline) else { return true }
        scope.reading.say(
            "baseline-lacks-column", at: scope.baselines.places[baseline],
            "\(scope.baselines.fileName(baseline)) has no \(fewOf(names))",
            expected:
                "every column of `\(read.plan.name)` (\(read.place.line):\(read.place.column))",
            suggestion: "build it again, or `drift: [all, "
                + names.prefix(3).map { "-\($0)" }.joined(separator: ", ")
                + (names.count > 3 ? ", …" : "") + "]`")
        return false
    }

    /// The first three of these names.
    private func fewOf(_ names: [String]) -> String {
        names.prefix(3).map { "`\($0)`" }.joined(separator: ", ")
            + (names.count > 3 ? " and \(names.count - 3) more" : "")
    }

    /// What a column needs: a baseline that has it with the same type, tests for that type, and bins.
    private func check(_ index: Int, of read: ReadMonitor, _ scope: Scope) {
        let (column, baseline) = (scope.columns[index], read.plan.baseline)
        if let known = scope.baselines.column(column.name, of: baseline),
            known.isNumeric != column.type.isNumeric
        {
            sayOtherSchema(index, isNumeric: known.isNumeric, baseline, scope)
            return
        }
        if case .named(let tests) = read.plan.tests {
            for test in tests { check(test, of: column, at: read.testPlace, scope) }
        }
        guard column.type.isNumeric, scope.isWatched(index, in: read.plan.segments),
            !scope.baselines.plans[baseline].isOfStream,
            column.summary.histogram != .baseline(baseline),
            scope.baselines.summaries[baseline] != nil
        else { return }
        scope.reading.say(
            "no-histogram", at: read.place,
            column.summary.histogram == nil
                ? "`\(column.name)` has no histogram to compare"
                : "the histogram of `\(column.name)` has other edges than the baseline",
            expected: "`histogram: { edges: \(scope.baselines.plans[baseline].name) }`",
            suggestion: "a rule in `summaries`, or `-\(column.name)` here")
    }

    /// The baseline has numbers where the topology has categories, or the reverse.
    private func sayOtherSchema(_ index: Int, isNumeric: Bool, _ baseline: Int, _ scope: Scope) {
        let column = scope.columns[index]
        let place = scope.schema.places[index]
        let role = column.role == .feature ? "" : "role: \(column.role.rawValue), "
        scope.reading.say(
            "baseline-other-schema", at: scope.baselines.places[baseline],
            "\(scope.baselines.fileName(baseline)) has `\(column.name)` as "
                + (isNumeric ? "numbers" : "categories"),
            expected: "\(ColumnPart.article(column.type)) (\(place.line):\(place.column))",
            suggestion:
                "`tidemark baseline build --topology`, which reads it as this file says; or"
                + " `\(column.name): { \(role)type: \(isNumeric ? "number" : "category") }`")
    }

    /// Whether a test by name is for columns of this type.
    private func check(
        _ test: MonitorPlan.NamedTest, of column: ColumnPlan, at place: Place, _ scope: Scope
    ) {
        guard let spec = TwoSample.named(test.test)?.spec,
            !spec.columns.contains(column.type.isNumeric ? .numbers : .categories)
        else { return }
        let reason =
            spec.needs.contains(.edges)
            ? "needs distances" : spec.needs.contains(.order) ? "needs an order" : "is not for it"
        scope.reading.say(
            "test-of-type", at: place,
            "`\(spec.name)` \(reason); `\(column.name)` is \(ColumnPart.article(column.type))",
            expected: spec.columns.contains(.numbers) ? "numbers" : "categories",
            suggestion: "`auto`")
    }

    // MARK: Baselines of the stream

    /// What is counted on the stream needs edges that are known before the data.
    private func checkEdges(_ read: ReadMonitor, _ scope: Scope) {
        let baseline = read.plan.baseline
        let binless = read.plan.columns.filter {
            scope.columns[$0].type.isNumeric && scope.isWatched($0, in: read.plan.segments)
                && scope.columns[$0].summary.histogram == nil
        }.map { scope.columns[$0].name }
        if let first = binless.first {
            scope.reading.say(
                "edges-missing", at: read.place,
                "no edges are known for the bins of \(fewOf(binless)) lie, in which "
                    + "`\(scope.baselines.plans[baseline].name)` learns counts",
                expected: "edges that are known before the data, from a file or declared",
                suggestion: "`\(first): { type: number, expect: "
                    + "{ range: [0, 1] } }`, or `-\(first)` here")
        }
        if scope.baselines.plans[baseline].isAcrossGroups { checkSharedEdges(read, scope) }
    }

    /// Groups that are compared with each other have to be counted in the same bins.
    private func checkSharedEdges(_ read: ReadMonitor, _ scope: Scope) {
        for column in read.plan.columns {
            guard case .baseline(let file) = scope.columns[column].summary.histogram,
                let summary = scope.baselines.summaries[file]
            else { continue }
            let own = read.plan.segments.first { place in
                let names = scope.segments.plans[place].dimensions.map(\.name)
                return !names.isEmpty
                    && summary.groups.contains { Scope.names(ofPart: $0) == names }
            }
            guard let own else { continue }
            let (name, baseline) = (scope.columns[column].name, read.plan.baseline)
            scope.reading.say(
                "edges-differ", at: read.place,
                "\(scope.baselines.fileName(file)) has bins of its own for each group of segment "
                    + "`\(scope.segments.plans[own].name)`, in which groups can't be compared with "
                    + "each other (`\(scope.baselines.plans[baseline].name)`)",
                expected: "the same bins for all groups",
                suggestion: "`summaries: [{ columns: \(name), histogram: { edges: "
                    + "{ from: 0, to: 1 } } }]`")
            return
        }
    }

    /// What a learned baseline needs of the windows that are compared with it.
    private func check(_ learning: LearningPlan, of read: ReadMonitor, _ scope: Scope) {
        let baseline = read.plan.baseline
        for index in read.plan.windows {
            let window = scope.windows[index]
            if Reach.sayIfTooMany(learning, window, of: read.plan, scope) { continue }
            sayIfFollowing(learning, window, baseline, scope)
        }
    }

    /// Warns of a trailing span so near the window that slow drift is learned.
    private func sayIfFollowing(
        _ learning: LearningPlan, _ window: WindowPlan, _ baseline: Int, _ scope: Scope
    ) {
        let count = learning.windowCount(lengthMs: window.lengthMs)
        // A span that lies further back than ten windows, as the same hour of the day before, follows nothing.
        let isFarBack = learning.skipMs >= 10 * window.lengthMs
        guard learning.span == .trailing, !isFarBack, count < 10 || learning.skipMs == 0 else {
            return
        }
        let name = scope.baselines.plans[baseline].name
        scope.reading.say(
            .warning, "trailing-follows-drift", at: scope.baselines.places[baseline],
            count < 10
                ? "`\(name)` holds \(count) "
                    + "window\(count == 1 ? "" : "s") of \(durationText(window.lengthMs)):"
                    + " slow drift is learned as normal"
                : "`\(name)` reaches up to the window itself: slow drift is learned as normal",
            expected: "10 windows or more, and a `skip`",
            suggestion: count < 10
                ? "`trailing: \(durationText(window.lengthMs * 10))`"
                : "`skip: \(durationText(learning.lengthMs))`")
    }

    // MARK: Segments

    /// Each column must be watched where the monitor looks, and have a baseline there.
    private func checkSegments(_ read: ReadMonitor, _ scope: Scope) {
        let baseline = read.plan.baseline
        Reach.checkWatched(read, scope)
        for place in read.plan.segments where isWithoutBaseline(place, read.plan, scope) {
            let segment = scope.segments.plans[place]
            let names = segment.dimensions.map(\.name)
            scope.reading.say(
                .warning, "baseline-other-groups", at: scope.baselines.places[baseline],
                "\(scope.baselines.fileName(baseline)) has no groups of segment "
                    + "`\(segment.name)`: `\(read.plan.name)` will say `no_baseline` there",
                expected: "groups by "
                    + (names.isEmpty ? "nothing" : names.joined(separator: ", ")),
                suggestion: "`segments` in the monitor, or build the baseline by them")
        }
    }

    /// Whether a baseline's file has nothing to compare any group of a segment with.
    private func isWithoutBaseline(_ segment: Int, _ plan: MonitorPlan, _ scope: Scope) -> Bool {
        guard let summary = scope.baselines.summaries[plan.baseline] else { return false }
        let names = scope.segments.plans[segment].dimensions.map(\.name)
        if summary.groups.contains(where: { $0 != "*" && Scope.names(ofPart: $0) == names }) {
            return false
        }
        // All rows together are a baseline where the file has nothing else.
        let isPooled = plan.fallsBack || names.isEmpty || summary.groups.allSatisfy { $0 == "*" }
        return !(isPooled && summary.groups.contains("*"))
    }

    /// Warns of columns in which the baseline's cells would show next to nothing.
    private func sayWhereBlind(_ plan: MonitorPlan, _ scope: Scope) {
        guard let summary = scope.baselines.summaries[plan.baseline] else { return }
        for index in plan.columns {
            let column = scope.columns[index]
            let blind = summary.blind.filter { $0.column == column.name }
            guard let most = blind.max(by: { $0.share < $1.share }) else { continue }
            let others = blind.count > 1 ? " and \(blind.count - 1) more" : ""
            scope.reading.say(
                .warning, "baseline-blind", at: scope.baselines.places[plan.baseline],
                "\(scope.baselines.fileName(plan.baseline)) can't tell values of "
                    + "`\(column.name)` apart: \(Int((most.share * 100).rounded()))% of its rows"
                    + " (\(most.group)\(others)) lie in one "
                    + (column.type.isNumeric
                        ? "bin" : "cell for all categories that it does not name")
                    + ", so that `\(plan.name)` will say `blind` or `drift`",
                expected: "at most 75% in a bin of many values",
                suggestion: column.type.isNumeric
                    ? "build it again: `tidemark baseline build`"
                    : "`-\(column.name)` in the monitor, if it is an id")
        }
    }
}
