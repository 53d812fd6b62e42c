import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkText

/// What `tidemark plan` prints: what is read, how it is grouped, what is tested how often.
package func planText(_ result: PlanResult) -> String {
    guard let plan = result.plan else { return "" }
    let kinds = result.catalogue.monitors
    let text = PlanText(plan: plan, facts: result.facts, kinds: kinds)
    let stream = plan.stream
    let head =
        "\(plan.name)  revision \(plan.revision) (data \(result.dataHash))   "
        + "\(plural(stream.segments.count, "segment")), \(plural(stream.windows.count, "window")), "
        + "panes of \(durationText(stream.paneMs))\n"
    let rows = text.input + text.baselines + text.resources + text.ownMonitors
    let results =
        result.facts.silent.map { Row("silent", "\($0.name): \($0.text)") }
        + text.budget + text.published
    return head + rows.map(\.text).joined() + monitorTable(plan, result.facts, kinds)
        + results.map(\.text).joined()
}

private func plural(_ count: Int, _ word: String) -> String {
    "\(count) \(word)\(count == 1 ? "" : "s")"
}

/// A name, and what there is to say: wrapped, with a margin.
private struct Row {
    let name: String
    let value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    var text: String {
        let width = 90
        let margin = String(repeating: " ", count: 10)
        var lines: [String] = []
        var line = ""
        for word in value.split(separator: " ", omittingEmptySubsequences: false) {
            if !line.isEmpty, line.unicodeScalars.count + word.unicodeScalars.count + 1 > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        let head = name + String(repeating: " ", count: max(1, 10 - name.utf8.count))
        return head + lines.joined(separator: "\n" + margin) + "\n"
    }
}

/// The rows of a plan, subject by subject.
private struct PlanText {
    let plan: Plan
    let facts: PlanFacts
    let kinds: MonitorKinds
    private var stream: StreamPlan { plan.stream }

    init(plan: Plan, facts: PlanFacts, kinds: MonitorKinds) {
        self.plan = plan
        self.facts = facts
        self.kinds = kinds
    }

    // MARK: Input

    var input: [Row] {
        let source = stream.source.file ?? stream.source.topics.joined(separator: " ")
        let read = ranges(stream.columns.filter(\.isRead).map(\.name))
        let unread = ranges(
            stream.columns.filter {
                !$0.isRead && $0.computation == nil && $0.role != .metric
            }.map(\.name))
        let derived = ranges(
            stream.columns.filter { $0.isComputed && !$0.isHidden }.map(\.name))
        return [
            Row(
                "source",
                "\(source)\(Formats.facts(stream.source.encoding).text)   "
                    + "out_of_orderness \(durationText(stream.source.outOfOrdernessMs))"),
            Row(
                "reads",
                read + (unread.isEmpty ? "" : "; not read: \(unread)")
                    + (derived.isEmpty ? "" : "; derives: \(derived)")),
            // How a window's slices are kept together: see `TwoStackWindow`.
            Row(
                "windows",
                stream.windows.map { window in
                    windowText(window)
                        + (window.sliceCount > 1
                            ? " (\(window.sliceCount) slices, two stacks)" : "")
                }.joined(separator: ", ")),
            groups, columns,
        ] + metrics
    }

    private func windowText(_ window: WindowPlan) -> String {
        durationText(window.lengthMs)
            + (window.stepMs == window.lengthMs ? "" : " every \(durationText(window.stepMs))")
    }

    private var groups: Row {
        var isCounted = false
        let groups = stream.segments.enumerated().map { index, segment in
            let fact = facts.groups.indices.contains(index) ? facts.groups[index] : (0, false)
            if segment.dimensions.isEmpty { return "\(segment.name) 1" }
            guard fact.1 else { return "\(segment.name) up to \(segment.groupCountMax)" }
            isCounted = true
            return "\(segment.name) \(fact.0) of \(segment.groupCountMax)"
        }
        return Row(
            "groups", groups.joined(separator: ", ") + (isCounted ? "   (counts: baseline)" : ""))
    }

    /// Numbers and conditions of windows, where there are some.
    private var metrics: [Row] {
        let names = stream.metrics.map { stream.columns[$0.column] }
            .filter { !$0.isUnpublished }.map(\.name)
        return names.isEmpty ? [] : [Row("metrics", names.joined(separator: " "))]
    }

    private var columns: Row {
        let watched = Set(stream.segments.flatMap(\.columns))
            .filter { !stream.columns[$0].isUnpublished }
        var columns = "\(watched.count) watched"
        for (index, baseline) in stream.baselines.enumerated() where !baseline.isOfStream {
            let count = watched.count { stream.columns[$0].summary.histogram == .baseline(index) }
            let rows =
                facts.baselines.indices.contains(index)
                ? facts.baselines[index]?.columns.map(\.rowCount).max() ?? 0 : 0
            columns += "; bins of \(count) from \(baseline.label) (\(grouped(Double(rows))) rows)"
        }
        return Row("columns", columns)
    }

    // MARK: Baselines

    /// The baselines that are learned.
    var baselines: [Row] {
        stream.baselines.indices.compactMap { index in
            // Of some it keeps but the names of groups.
            let users = stream.monitors.filter { $0.baseline == index }
            let isCompared =
                users.isEmpty || users.contains { kinds.kind(of: $0).compares($0) }
            if let other = stream.baselines[index].other {
                return Row("compares", otherText(stream.baselines[index].name, other))
            }
            if let topic = stream.baselines[index].topic {
                return Row(
                    "follows",
                    "\(stream.baselines[index].name): the newest record of \(topic.topic) under the key"
                        + " \(topic.key)")
            }
            guard let learning = stream.baselines[index].learning, isCompared else { return nil }
            return Row("learns", learningText(index, learning, users))
        }
    }

    /// `recent: the trailing 6h, 1h before the window, 1,000 rows or more; a group keeps 360 windows of 1m`.
    private func learningText(
        _ index: Int, _ learning: LearningPlan, _ users: [MonitorPlan]
    ) -> String {
        let isKept = learning.span != .first
        var text =
            "\(stream.baselines[index].name): \(spanText(learning))"
            + ", \(grouped(Double(learning.minRows))) rows or more"
        let sizes = Set(users.flatMap(\.windows)).sorted()
        let cells = Set(users.flatMap(\.columns)).reduce(0) { $0 + cellCount(stream.columns[$1]) }
        var bytes = 0
        let windows = sizes.map { size in
            let lengthMs = stream.windows[size].lengthMs
            let count =
                isKept
                ? learning.keptCount(lengthMs: lengthMs) : learning.windowCount(lengthMs: lengthMs)
            // What one window takes: `LearnedBaselines`.
            bytes += isKept ? Int(count) * (48 + cells * 3 / 2) : cells * 8
            return "\(plural(Int(count), "window")) of \(durationText(lengthMs))"
        }
        text +=
            windows.isEmpty
            ? "; no monitor uses it"
            : "; \(learning.isPooled ? "a segment" : "a group") \(isKept ? "keeps" : "adds up") "
                + windows.joined(separator: ", ") + " in about \((bytes + 1023) / 1024) KiB"
        if learning.isPooled { return text }
        // `LearnedBaselines` keeps about so much of a group without rows, its name included.
        let limit = Set(users.flatMap(\.segments)).reduce(0) {
            $0 + stream.segments[$1].groupCountMax
        }
        let goneKiB = limit * sizes.count * 450 / 1024
        return text + "; a group is forgotten after \(learning.forgetDays)d without rows"
            + (windows.isEmpty
                ? ""
                : ", those without rows are at most \(grouped(Double(limit))) in about"
                    + " \(max(1, goneKiB / 1024)) MiB")
    }

    /// `the trailing 6h, 1h before the window`; `the same time 1w before, 4 times, 30m around`.
    private func spanText(_ learning: LearningPlan) -> String {
        let length = durationText(learning.lengthMs)
        let pooled = learning.isPooled ? ", of all groups together" : ""
        guard learning.span == .sameTime else {
            return "the \(learning.span.rawValue) \(length)"
                + (learning.skipMs > 0
                    ? ", \(durationText(learning.skipMs)) before the window" : "")
                + pooled
        }
        return "the same time \(length) before"
            + (learning.times > 1 ? ", \(learning.times) times" : "")
            + (learning.aroundMs > 0 ? ", \(durationText(learning.aroundMs)) around" : "")
            + (learning.skippedDays.isEmpty
                ? "" : ", without \(plural(learning.skippedDays.count, "day"))")
            + pooled
    }

    /// `champion: the same group with version 1.4.2 in the same window, 1,000 rows or more`.
    private func otherText(_ name: String, _ other: OtherGroupPlan) -> String {
        "\(name): the same group with "
            + other.replaced.map { "\($0.dimension) \($0.value)" }.joined(separator: ", ")
            + " in the same window, \(grouped(Double(other.minRows))) rows or more"
    }

    /// Cells that are compared of a column.
    private func cellCount(_ column: ColumnPlan) -> Int {
        func known(_ summary: BaselineSummary?) -> Int? {
            summary?.columns.first { $0.name == column.name }?.cellCount
        }
        switch column.summary.histogram {
        case .edges(let edges): return edges.count + 1
        case .baseline(let index):
            let file = facts.baselines.indices.contains(index) ? facts.baselines[index] : nil
            return (known(file) ?? 20) + 2
        case nil:
            let count = facts.baselines.lazy.compactMap(known).first
            return column.type.isText ? count.map { $0 + 1 } ?? 32 : 0
        }
    }

    // MARK: Resources

    /// Memory, and how long what takes.
    var resources: [Row] {
        let memory = plan.limits.memory
        func size(_ bytes: Int) -> String { "\(bytes >> 20)" }
        let wholeMs = (stream.windows.map(\.lengthMs).max() ?? 0) + plan.rereadFloorMs
        let rereadMs = plan.mayNeedSnapshots ? plan.limits.maxRereadMs : wholeMs
        let collectedMs = stream.source.file == nil ? stream.source.fetchWaitMs : 0
        return [
            Row(
                "memory",
                "at most \(size(plan.limits.memoryBytes)) MiB: Kafka client "
                    + "\(size(3 * memory.clientQueueBytes)), producer \(size(memory.producerQueueBytes)), "
                    + "mailboxes \(size(memory.mailboxBytes)), batches \(size(memory.batchBytes)), "
                    + "panes and windows \(size(memory.paneBytes))" + heldGroups),
            Row(
                "restart",
                "reads at most about \(durationText(rereadMs)) of event time again"
                    + (plan.mayNeedSnapshots
                        ? "; longer windows are written to \(plan.stateTopicName)" : "")),
            Row(
                "results",
                "\(durationText(stream.source.outOfOrdernessMs)) after the end of a window, "
                    + (collectedMs > 0
                        ? "when brokers have collected for up to \(durationText(collectedMs)), "
                        : "")
                    + "then committed at once"),
        ]
    }

    /// How many groups the memory of panes and windows holds, segment by segment.
    private var heldGroups: String {
        guard let estimate = facts.memory else { return "" }
        let held = stream.segments.indices.filter {
            !stream.segments[$0].dimensions.isEmpty
        }.map { index in
            let count = estimate.groupCount(segment: index, bytes: plan.limits.memory.paneBytes)
            return "\(grouped(Double(count))) of \(stream.segments[index].name)"
        }
        return held.isEmpty
            ? "" : " (about \(held.joined(separator: " or ")), with 10,000 rows each)"
    }

    // MARK: Results

    /// Monitors that do not judge windows.
    var ownMonitors: [Row] {
        kinds.all.compactMap { $0.own(stream)?.row }.filter { !$0.texts.isEmpty }.map {
            Row($0.name, $0.texts.joined(separator: ", "))
        }
    }

    var budget: [Row] {
        let parts = Severity.allCases.compactMap { severity -> String? in
            guard let total = facts.testsPerPeriod[severity], total > 0 else { return nil }
            guard let rate = facts.budget.rate(of: severity) else {
                return "\(severity.rawValue) off"
            }
            if facts.budget.isOfMonitor {
                return "\(severity.rawValue) \(rateText(rate)) for each monitor"
            }
            return "\(severity.rawValue) \(rateText(rate)) = \(grouped(total)) tests × "
                + scientific(min(1, rate.count / total))
        }
        return parts.isEmpty ? [] : [Row("budget", parts.joined(separator: "; "))]
    }

    /// `1 a week`.
    private func rateText(_ rate: ErrorBudget) -> String {
        "\(numberText(rate.count)) a \(rate.periodName ?? durationText(rate.periodMs))"
    }

    /// Topics, and how large what they get may be.
    var published: [Row] {
        let topics = plan.neededTopics.map { need in
            switch need.cleanup {
            case .compact: "\(need.name) (compacted)"
            case .uncompacted: "\(need.name) (not compacted)"
            case .any, .delete: need.name
            }
        }
        return [Row("publishes", plan.outputs.topics.joined(separator: " "))] + routes + largest
            + [Row("needs", topics.joined(separator: " "))]
    }

    /// `page of drift* with region=eu to oncall and team`, route by route.
    private var routes: [Row] {
        plan.outputs.routes.map { route in
            var text =
                route.severities.isEmpty
                ? "all" : route.severities.map(\.rawValue).joined(separator: ", ")
            if !route.monitors.isEmpty { text += " of \(route.monitors.joined(separator: ", "))" }
            if !route.groups.isEmpty {
                text +=
                    " with "
                    + route.groups.map { "\($0.dimension)=\($0.pattern)" }.joined(separator: ", ")
            }
            return Row(
                "routes",
                text + " to " + (route.to.isEmpty ? "nobody" : route.to.joined(separator: ", ")))
        }
    }

    /// Results that are larger than topics take as they are made by default.
    private var largest: [Row] {
        let takenBytes = 1_048_588
        let result = ResultSize(plan)
        guard result.most > takenBytes else { return [] }
        let sizes = [
            ("an aggregate", result.aggregateBytesMax), ("a sketch", result.sketchBytesMax),
            ("an alert", result.alertBytesMax),
        ].filter { $0.1 > takenBytes }.map { "\($0.0) of \(grouped(Double($0.1))) bytes" }
        let sure = max(result.aggregateBytes, result.sketchBytes)
        return [
            Row(
                "largest",
                sizes.joined(separator: ", ")
                    + " where texts are as long as texts may be and numbers of all sizes"
                    + (sure > takenBytes ? ", \(grouped(Double(sure))) bytes in any case" : "")
                    + ": topics need that as max.message.bytes, or the result says that it is too large"
            )
        ]
    }
}

/// A line a monitor, in columns.
private func monitorTable(_ plan: Plan, _ facts: PlanFacts, _ kinds: MonitorKinds) -> String {
    guard !plan.stream.monitors.isEmpty else { return Row("monitors", "none").text }
    let rows =
        [["monitor", "test", "columns", "tests", "severity", "level", "ignored below"]]
        + plan.stream.monitors.map { cells($0, facts, kinds.kind(of: $0).cells($0)) }
    let widths = rows[0].indices.map { column in
        rows.map { $0[column].unicodeScalars.count }.max() ?? 0
    }
    return rows.map { cells in
        var line = ""
        for (cell, width) in zip(cells, widths) {
            line += cell + String(repeating: " ", count: width - cell.unicodeScalars.count + 3)
        }
        while line.last == " " { line.removeLast() }
        return line + "\n"
    }.joined()
}

private func cells(
    _ monitor: MonitorPlan, _ facts: PlanFacts, _ cells: MonitorCells
) -> [String] {
    let rate = facts.budget.rate(of: monitor.severity)
    return [
        monitor.name, cells.test, cells.columns.map { "\($0)" } ?? "-",
        rate.map { "\(grouped(monitor.testsPerPeriod)) a \($0.periodName ?? "period")" } ?? "-",
        monitor.severity.rawValue + (monitor.alerts ? "" : " (no alert)"),
        monitor.level.map(scientific) ?? "off", cells.ignored,
    ]
}

extension ErrorBudget {
    /// The name of its period; `nil`: it has none.
    fileprivate var periodName: String? { Rate(count: count, periodMs: periodMs).periodName }
}
