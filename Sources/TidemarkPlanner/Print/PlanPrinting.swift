import TidemarkDataflow
import TidemarkDrift
import TidemarkTopology

/// What `tidemark plan` prints: what is read, how it is grouped, what is tested how often.
package func planText(_ result: PlanResult) -> String {
    guard let plan = result.plan else { return "" }
    let stream = plan.stream
    let facts = result.facts
    func plural(_ count: Int, _ word: String) -> String {
        "\(count) \(word)\(count == 1 ? "" : "s")"
    }
    var text =
        "\(plan.name)  revision \(plan.revision) (data \(result.dataHash))   "
        + "\(plural(stream.segments.count, "segment")), \(plural(stream.windows.count, "window")), "
        + "panes of \(durationText(stream.paneMs))\n"
    func row(_ name: String, _ value: String) {
        text += wrapped(value, name: name)
    }
    let source = stream.source.file ?? stream.source.topics.joined(separator: " ")
    let encoding = stream.source.encoding == .json ? "" : "   csv"
    row(
        "source",
        "\(source)\(encoding)   out_of_orderness \(durationText(stream.source.outOfOrdernessMs))"
    )
    let read = ranges(stream.columns.filter(\.isRead).map(\.name))
    let unread = ranges(stream.columns.filter { !$0.isRead }.map(\.name))
    row("reads", read + (unread.isEmpty ? "" : "; not read: \(unread)"))
    // How a window's slices are kept together: see `TwoStackWindow`.
    row(
        "windows",
        stream.windows.map { window in
            windowText(window)
                + (window.sliceCount > 1 ? " (\(window.sliceCount) slices, two stacks)" : "")
        }.joined(separator: ", "))
    var groups: [String] = []
    var isCounted = false
    for (index, segment) in stream.segments.enumerated() {
        let fact = facts.groups.indices.contains(index) ? facts.groups[index] : (0, false)
        if segment.dimensions.isEmpty {
            groups.append("\(segment.name) 1")
        } else if fact.1 {
            groups.append("\(segment.name) \(fact.0) of \(segment.groupCountMax)")
            isCounted = true
        } else {
            groups.append("\(segment.name) up to \(segment.groupCountMax)")
        }
    }
    row("groups", groups.joined(separator: ", ") + (isCounted ? "   (counts: baseline)" : ""))
    let watched = Set(stream.segments.flatMap(\.columns))
    var columns = "\(watched.count) watched"
    for (index, baseline) in stream.baselines.enumerated() where baseline.learning == nil {
        let count = watched.count { stream.columns[$0].summary.histogram == .baseline(index) }
        let rows =
            facts.baselines.indices.contains(index)
            ? facts.baselines[index]?.columns.map(\.rowCount).max() ?? 0 : 0
        columns += "; bins of \(count) from \(baseline.label) (\(grouped(Double(rows))) rows)"
    }
    row("columns", columns)
    for (index, baseline) in stream.baselines.enumerated() {
        // Of rows with fixed bounds it keeps but the names of groups.
        let isCompared =
            stream.monitors.allSatisfy { $0.baseline != index }
            || stream.monitors.contains {
                $0.baseline == index && ($0.volume?.testCount ?? 1) > 0
            }
        guard let learning = baseline.learning, isCompared else { continue }
        row("learns", learningText(baseline.name, learning, stream, facts))
    }
    let memory = plan.limits.memory
    func size(_ bytes: Int) -> String { "\(bytes >> 20)" }
    row(
        "memory",
        "at most \(size(plan.limits.memoryBytes)) MiB: Kafka client "
            + "\(size(3 * memory.clientQueueBytes)), producer \(size(memory.producerQueueBytes)), "
            + "mailboxes \(size(memory.mailboxBytes)), batches \(size(memory.batchBytes)), "
            + "panes and windows \(size(memory.paneBytes))" + heldGroups(plan, facts))
    let wholeMs = (stream.windows.map(\.lengthMs).max() ?? 0) + plan.rereadFloorMs
    let rereadMs = plan.mayNeedSnapshots ? plan.limits.maxRereadMs : wholeMs
    row(
        "restart",
        "reads at most about \(durationText(rereadMs)) of event time again"
            + (plan.mayNeedSnapshots
                ? "; longer windows are written to \(plan.stateTopicName)" : "")
    )
    let isCollected = stream.source.file == nil && stream.source.fetchWaitMs > 0
    row(
        "results",
        "\(durationText(stream.source.outOfOrdernessMs)) after the end of a window, "
            + (isCollected
                ? "when brokers have collected for up to \(durationText(stream.source.fetchWaitMs)), "
                : "")
            + "then committed at once"
    )
    if !stream.freshness.isEmpty {
        row(
            "silence",
            stream.freshness.map {
                "\($0.name) (\($0.severity.rawValue)) after \(durationText($0.limitMs)) "
                    + silenceText($0, stream)
            }.joined(separator: ", "))
    }
    if stream.monitors.isEmpty {
        row("monitors", "none")
    } else {
        let rows =
            [["monitor", "test", "columns", "tests", "severity", "level", "ignored below"]]
            + stream.monitors.map { monitorCells($0, facts) }
        let widths = rows[0].indices.map { column in
            rows.map { $0[column].unicodeScalars.count }.max() ?? 0
        }
        for cells in rows {
            var line = ""
            for (cell, width) in zip(cells, widths) {
                line += cell + String(repeating: " ", count: width - cell.unicodeScalars.count + 3)
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
    }
    var budget: [String] = []
    for severity in Severity.allCases {
        guard let total = facts.testsPerPeriod[severity], total > 0 else { continue }
        guard let rate = facts.budget.rate(of: severity) else {
            budget.append("\(severity.rawValue) off")
            continue
        }
        budget.append(
            "\(severity.rawValue) \(rateText(rate)) = \(grouped(total)) tests × "
                + scientific(min(1, rate.count / total)))
    }
    if !budget.isEmpty { row("budget", budget.joined(separator: "; ")) }
    row("publishes", plan.outputs.topics.joined(separator: " "))
    let result = ResultSize(plan)
    // What topics take as they are made by default.
    if result.most > 1_048_588 {
        let sizes = [
            ("aggregate", result.aggregateBytesMax), ("sketch", result.sketchBytesMax),
            ("alert", result.alertBytesMax),
        ].filter { $0.1 > 1_048_588 }.map { "an \($0.0) of \(grouped(Double($0.1))) bytes" }
        let sure = max(result.aggregateBytes, result.sketchBytes)
        row(
            "largest",
            sizes.joined(separator: ", ").replacing("an sketch", with: "a sketch")
                + " where texts are as long as texts may be and numbers of all sizes"
                + (sure > 1_048_588 ? ", \(grouped(Double(sure))) bytes in any case" : "")
                + ": topics need that as max.message.bytes, or the result says that it is too large"
        )
    }
    row(
        "needs",
        plan.neededTopics.map { need in
            switch need.cleanup {
            case .compact: "\(need.name) (compacted)"
            case .uncompacted: "\(need.name) (not compacted)"
            case .any, .delete: need.name
            }
        }.joined(separator: " "))
    return text
}

private func wrapped(_ value: String, name: String) -> String {
    let width = 100
    let margin = String(repeating: " ", count: 10)
    var lines: [String] = []
    var line = ""
    for word in value.split(separator: " ", omittingEmptySubsequences: false) {
        if !line.isEmpty, line.unicodeScalars.count + word.unicodeScalars.count + 1 > width - 10 {
            lines.append(line)
            line = ""
        }
        line += (line.isEmpty ? "" : " ") + word
    }
    lines.append(line)
    let head = name + String(repeating: " ", count: max(1, 10 - name.utf8.count))
    return head + lines.joined(separator: "\n" + margin) + "\n"
}

/// `recent: the trailing 6h, 1h before the window, 1,000 rows or more; a group keeps 360 windows of 1m`.
private func learningText(
    _ name: String, _ learning: LearningPlan, _ stream: StreamPlan, _ facts: PlanFacts
) -> String {
    var text =
        "\(name): the \(learning.span.rawValue) \(durationText(learning.lengthMs))"
        + (learning.skipMs > 0 ? ", \(durationText(learning.skipMs)) before the window" : "")
        + ", \(grouped(Double(learning.minRows))) rows or more"
    let index = stream.baselines.firstIndex { $0.name == name }
    let monitors = stream.monitors.filter { $0.baseline == index }
    let sizes = Set(monitors.flatMap(\.windows)).sorted()
    let cells = Set(monitors.flatMap(\.columns)).reduce(0) { sum, column in
        sum + cellCount(stream.columns[column], facts)
    }
    var bytes = 0
    let windows = sizes.map { size in
        let lengthMs = stream.windows[size].lengthMs
        let count = learning.windowCount(lengthMs: lengthMs)
        // What one window takes: `LearnedBaselines`.
        bytes += learning.span == .trailing ? Int(count) * (48 + cells * 3 / 2) : cells * 8
        return "\(count) window\(count == 1 ? "" : "s") of \(durationText(lengthMs))"
    }
    text +=
        windows.isEmpty
        ? "; no monitor uses it"
        : "; a group \(learning.span == .trailing ? "keeps" : "adds up") "
            + windows.joined(separator: ", ") + " in about \((bytes + 1023) / 1024) KiB"
    // `LearnedBaselines` keeps about so much of a group without rows, its name included.
    let limit = Set(monitors.flatMap(\.segments)).reduce(0) {
        $0 + stream.segments[$1].groupCountMax
    }
    let goneKiB = limit * sizes.count * 450 / 1024
    return text + "; a group is forgotten after \(learning.forgetDays)d without rows"
        + (windows.isEmpty
            ? ""
            : ", those without rows are at most \(grouped(Double(limit))) in about"
                + " \(max(1, goneKiB / 1024)) MiB")
}

/// Cells that are compared of a column.
private func cellCount(_ column: ColumnPlan, _ facts: PlanFacts) -> Int {
    let known = facts.baselines.compactMap { summary in
        summary?.columns.first { $0.name == column.name }?.cellCount
    }
    switch column.summary.histogram {
    case .edges(let edges): return edges.count + 1
    case .baseline(let index):
        let columns =
            facts.baselines.indices.contains(index) ? facts.baselines[index]?.columns : nil
        return (columns?.first { $0.name == column.name }?.cellCount ?? 20) + 2
    case nil: return column.type.isText ? (known.first.map { $0 + 1 } ?? 32) : 0
    }
}

/// `without a row of a group of by-store`.
private func silenceText(_ monitor: FreshnessPlan, _ stream: StreamPlan) -> String {
    let names = monitor.segments.map { stream.segments[$0].name }.joined(separator: " or ")
    switch monitor.per {
    case .source: return "without a record"
    case .segment: return "without a row of \(names)"
    case .group: return "without a row of a group of \(names)"
    }
}

private func windowText(_ window: WindowPlan) -> String {
    durationText(window.lengthMs)
        + (window.stepMs == window.lengthMs ? "" : " every \(durationText(window.stepMs))")
}

private func monitorCells(_ monitor: MonitorPlan, _ facts: PlanFacts) -> [String] {
    var test: String
    var ignored: String
    switch monitor.tests {
    case .automatic:
        let spec = TwoSample.automatic.spec
        test = "auto"
        ignored = "\(spec.name) \(numberText(monitor.ignoreBelow ?? spec.ignoreBelow))"
    case .named(let tests):
        test = tests.map(\.test).joined(separator: " ")
        ignored = tests.map { "\($0.test) \(numberText($0.ignoreBelow))" }
            .joined(separator: " ")
    }
    if let rule = monitor.volume {
        test = "volume"
        ignored = [
            rule.drop.map { "drop \(shareText($0))" }, rule.rise.map { "rise \(shareText($0))" },
            rule.below.map { "below \(grouped(Double($0)))" },
            rule.above.map { "above \(grouped(Double($0)))" },
        ].compactMap(\.self).joined(separator: " ")
    }
    let rate = facts.budget.rate(of: monitor.severity)
    let period = rate.flatMap { rate in Scalars.periods.first { $0.ms == rate.periodMs }?.name }
    return [
        monitor.name, test, monitor.volume == nil ? "\(monitor.columns.count)" : "-",
        rate == nil ? "-" : "\(grouped(monitor.testsPerPeriod)) a \(period ?? "period")",
        monitor.severity.rawValue + (monitor.alerts ? "" : " (no alert)"),
        monitor.level.map(scientific) ?? "off", ignored,
    ]
}

/// `1 a week`.
private func rateText(_ rate: ErrorBudget) -> String {
    let period =
        Scalars.periods.first { $0.ms == rate.periodMs }?.name ?? durationText(rate.periodMs)
    return "\(numberText(rate.count)) a \(period)"
}

/// `2.07e-6`: three digits.
func scientific(_ value: Double) -> String {
    guard value > 0, value.isFinite else { return numberText(value) }
    var exponent = 0
    var mantissa = value
    while mantissa >= 10 {
        mantissa /= 10
        exponent += 1
    }
    while mantissa < 1 {
        mantissa *= 10
        exponent -= 1
    }
    var digits = Int((mantissa * 100).rounded())
    if digits >= 1000 {
        digits /= 10
        exponent += 1
    }
    if exponent >= -2, exponent <= 3 { return numberText(value) }
    let fraction = digits % 100
    return "\(digits / 100).\(fraction < 10 ? "0" : "")\(fraction)e\(exponent)"
}

/// `483840` as `483,840`.
func grouped(_ value: Double) -> String {
    guard value.magnitude < 1e15 else { return scientific(value) }
    let digits = Array(String(Int64(value.rounded())))
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return text
}

/// Names in order, with runs such as `f0 f1 … f11` as `f0..f11`.
func ranges(_ names: [String]) -> String {
    var parts: [String] = []
    var index = 0
    while index < names.count {
        func split(_ name: String) -> (String, Int)? {
            let digits = String(name.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
            guard let number = Int(digits), String(number) == digits else { return nil }
            return (String(name.dropLast(digits.count)), number)
        }
        var end = index
        if let (stem, first) = split(names[index]) {
            while end + 1 < names.count, let (next, number) = split(names[end + 1]), next == stem,
                number == first + (end + 1 - index)
            { end += 1 }
        }
        if end - index >= 2 {
            parts.append("\(names[index])..\(names[end])")
        } else {
            parts.append(contentsOf: names[index...end])
        }
        index = end + 1
    }
    return parts.joined(separator: " ")
}

// MARK: JSON

/// The plan as data: one JSON object, without secrets.
package func planJSON(_ result: PlanResult) -> String {
    guard let plan = result.plan else {
        return object([
            ("diagnostics", array(result.diagnostics.map { $0.json() }))
        ]) + "\n"
    }
    let largest = ResultSize(plan)
    let stream = plan.stream
    let columns = stream.columns.map { column in
        object([
            ("name", quoted(column.name)), ("role", quoted(column.role.rawValue)),
            ("type", quoted(typeText(column.type))), ("read", "\(column.isRead)"),
            ("summary", summaryJSON(column.summary, stream)),
        ])
    }
    let segments = stream.segments.enumerated().map { index, segment in
        object([
            ("name", quoted(segment.name)),
            ("by", array(segment.dimensions.map { quoted($0.name) })),
            ("where", segment.condition.map { quoted(Canonical.expression($0, stream)) } ?? "null"),
            ("limit", "\(segment.groupCountMax)"),
            (
                "groups",
                result.facts.groups.indices.contains(index)
                    ? "\(result.facts.groups[index].count)" : "null"
            ),
            (
                "windows",
                array(segment.windows.map { quoted(durationText(stream.windows[$0].lengthMs)) })
            ),
            ("columns", array(segment.columns.map { quoted(stream.columns[$0].name) })),
        ])
    }
    let windows = stream.windows.map {
        object([("length_ms", "\($0.lengthMs)"), ("step_ms", "\($0.stepMs)")])
    }
    let baselines = stream.baselines.map {
        $0.learning.map { [name = $0.name] learning in
            object([
                ("name", quoted(name)), ("learned", quoted(learning.span.rawValue)),
                ("length_ms", "\(learning.lengthMs)"), ("skip_ms", "\(learning.skipMs)"),
                ("min_rows", "\(learning.minRows)"),
            ])
        }
            ?? object([
                ("name", quoted($0.name)), ("file", quoted($0.path)),
                ("hash", quoted($0.contentHash)),
            ])
    }
    let monitors = stream.monitors.map { monitor in
        if let rule = monitor.volume { return volumeJSON(monitor, rule, stream) }
        let tests: String =
            switch monitor.tests {
            case .automatic:
                object([
                    (
                        "auto",
                        object([
                            (
                                "ignore_below",
                                json(
                                    monitor.ignoreBelow
                                        ?? TwoSample.automatic.spec.ignoreBelow)
                            )
                        ])
                    )
                ])
            case .named(let tests):
                object(
                    tests.map {
                        ($0.test, object([("ignore_below", json($0.ignoreBelow))]))
                    })
            }
        return object(
            [
                ("name", quoted(monitor.name)), ("kind", quoted("drift")), ("test", tests),
                ("against", quoted(stream.baselines[monitor.baseline].name)),
                ("columns", array(monitor.columns.map { quoted(stream.columns[$0].name) })),
                ("min_rows", "\(monitor.minRows)"),
                ("fallback", quoted(monitor.fallsBack ? "pooled" : "none")),
            ] + commonJSON(monitor, stream))
    }
    let source = stream.source
    return object([
        ("name", quoted(plan.name)), ("app", quoted(plan.app)), ("revision", quoted(plan.revision)),
        ("data", quoted(result.dataHash)),
        (
            "source",
            object([
                ("topics", array(source.topics.map(quoted))),
                ("file", source.file.map(quoted) ?? "null"),
                ("decode", encodingJSON(source.encoding)),
                ("out_of_orderness_ms", "\(source.outOfOrdernessMs)"),
                ("skew_ms", "\(source.skewMs)"),
                ("idle_ms", source.idleMs.map { "\($0)" } ?? "null"),
                ("alignment_ms", source.alignmentMs.map { "\($0)" } ?? "null"),
                ("fetch_wait_ms", "\(source.fetchWaitMs)"),
            ])
        ),
        ("columns", array(columns)),
        ("event_time", stream.eventTimeColumn.map { quoted(stream.columns[$0].name) } ?? "null"),
        ("filter", stream.filter.map { quoted(Canonical.expression($0, stream)) } ?? "null"),
        ("segments", array(segments)), ("windows", array(windows)), ("pane_ms", "\(stream.paneMs)"),
        (
            "correlations",
            array(
                stream.correlations.map { array($0.map { quoted(stream.columns[$0].name) }) })
        ),
        ("baselines", array(baselines)), ("monitors", array(monitors)),
        ("freshness", array(stream.freshness.map { freshnessJSON($0, stream) })),
        (
            "outputs",
            object([
                ("aggregates", plan.outputs.aggregates.map(quoted) ?? "null"),
                ("sketches", array(plan.outputs.sketches.map(\.rawValue).sorted().map(quoted))),
                ("sketches_topic", plan.outputs.sketchesTopic.map(quoted) ?? "null"),
                ("alerts", quoted(plan.outputs.alerts)),
                ("dead_letters", quoted(plan.outputs.deadLetters)),
                ("late", plan.outputs.late.map(quoted) ?? "null"),
                ("quarantined", plan.outputs.quarantined.map(quoted) ?? "null"),
            ])
        ),
        (
            "topics",
            array(
                plan.neededTopics.map { need in
                    object([
                        ("name", quoted(need.name)), ("role", quoted(need.role.rawValue)),
                        ("cleanup", quoted(need.cleanup.rawValue)),
                    ])
                })
        ),
        (
            "limits",
            object([
                ("memory_bytes", "\(plan.limits.memoryBytes)"),
                ("record_bytes", "\(plan.limits.recordBytes)"),
                ("max_reread_ms", "\(plan.limits.maxRereadMs)"),
            ])
        ),
        (
            "largest",
            object([
                ("aggregate_bytes", "\(largest.aggregateBytesMax)"),
                ("aggregate_sure_bytes", "\(largest.aggregateBytes)"),
                ("sketch_bytes", "\(largest.sketchBytesMax)"),
                ("alert_bytes", "\(largest.alertBytesMax)"),
            ])
        ),
        ("diagnostics", array(result.diagnostics.map { $0.json() })),
    ]) + "\n"
}

/// How many groups the memory of panes and windows holds, segment by segment.
private func heldGroups(_ plan: Plan, _ facts: PlanFacts) -> String {
    guard let estimate = facts.memory else { return "" }
    let held = plan.stream.segments.indices.filter {
        !plan.stream.segments[$0].dimensions.isEmpty
    }.map { index in
        let count = estimate.groupCount(segment: index, bytes: plan.limits.memory.paneBytes)
        return "\(grouped(Double(count))) of \(plan.stream.segments[index].name)"
    }
    return held.isEmpty
        ? "" : " (about \(held.joined(separator: " or ")), with 10,000 rows each)"
}

private func encodingJSON(_ encoding: RecordEncoding) -> String {
    switch encoding {
    case .json: quoted("json")
    case .csv(let columns, let separator):
        object([
            ("format", quoted("csv")), ("columns", array(columns.map(quoted))),
            ("separator", quoted(String(UnicodeScalar(separator)))),
        ])
    }
}

private func volumeJSON(
    _ monitor: MonitorPlan, _ rule: VolumeRule, _ stream: StreamPlan
) -> String {
    object(
        [
            ("name", quoted(monitor.name)), ("kind", quoted("volume")),
            (
                "against",
                rule.testCount > 0 ? quoted(stream.baselines[monitor.baseline].name) : "null"
            ),
            ("drop", rule.drop.map(json) ?? "null"), ("rise", rule.rise.map(json) ?? "null"),
            ("below", rule.below.map { "\($0)" } ?? "null"),
            ("above", rule.above.map { "\($0)" } ?? "null"),
        ] + commonJSON(monitor, stream))
}

private func freshnessJSON(_ monitor: FreshnessPlan, _ stream: StreamPlan) -> String {
    object([
        ("name", quoted(monitor.name)), ("limit_ms", "\(monitor.limitMs)"),
        ("per", quoted(monitor.per.rawValue)),
        ("segments", array(monitor.segments.map { quoted(stream.segments[$0].name) })),
        ("severity", quoted(monitor.severity.rawValue)),
        (
            "forget_ms",
            monitor.per == .source ? "null" : "\(monitor.forgetMs)"
        ),
    ])
}

/// What all monitors of groups have.
private func commonJSON(_ monitor: MonitorPlan, _ stream: StreamPlan) -> [(String, String)] {
    [
        ("segments", array(monitor.segments.map { quoted(stream.segments[$0].name) })),
        (
            "windows",
            array(monitor.windows.map { quoted(durationText(stream.windows[$0].lengthMs)) })
        ),
        ("severity", quoted(monitor.severity.rawValue)),
        ("alert", "\(monitor.alerts)"), ("for", quoted(holdText(monitor.hold))),
        ("clear_for", quoted(holdText(monitor.clearHold))),
        ("clear_below", json(monitor.clearBelow)), ("cool_down_ms", "\(monitor.coolDownMs)"),
        ("max_age_ms", "\(monitor.maxAgeMs)"),
        ("resolve_after_ms", "\(monitor.resolveAfterMs)"),
        ("level", monitor.level.map(json) ?? "null"),
        ("tests_per_period", json(monitor.testsPerPeriod)),
    ]
}

private func summaryJSON(_ summary: ColumnSummary, _ stream: StreamPlan) -> String {
    let histogram: String =
        switch summary.histogram {
        case .baseline(let index): object([("edges", quoted(stream.baselines[index].name))])
        case .edges(let edges): object([("edges", array(edges.map(json)))])
        case nil: "null"
        }
    return object([
        ("moments", "\(summary.moments)"), ("range", "\(summary.range)"), ("histogram", histogram),
        ("quantiles", array(summary.quantiles.map(json))), ("kll_k", "\(summary.kllK)"),
        ("quantile_sketch", quoted(summary.quantileSketch.rawValue)),
        ("relative_error", json(summary.relativeError)),
        ("mapping", quoted(summary.hasLogarithmicBins ? "log" : "cubic")),
        ("register_bits", "\(summary.registerBits)"),
        ("distinct_lg_k", summary.distinctLgK.map { "\($0)" } ?? "null"),
        ("top", summary.topCount.map { "\($0)" } ?? "null"), ("shape", "\(summary.shape)"),
        ("decay_ms", summary.halfLifeMs.map { "\($0)" } ?? "null"),
        ("log_linear", "\(summary.logLinear)"),
        ("counts", summary.valueCountMax.map { "\($0)" } ?? "null"),
        ("sample", summary.sampleCount.map { "\($0)" } ?? "null"),
    ])
}

private func typeText(_ type: ColumnType) -> String {
    switch type {
    case .number: "number"
    case .integer: "integer"
    case .boolean: "boolean"
    case .category: "category"
    case .text: "text"
    case .time(let unit): "time_\(unit.rawValue)"
    }
}

private func holdText(_ hold: Hold) -> String {
    switch hold {
    case .duration(let ms): durationText(ms)
    case .windows(let count, let of): "\(count) of \(of)"
    }
}

func json(_ value: Double) -> String {
    value == value.rounded() && value.magnitude < 1e15 ? String(Int64(value)) : "\(value)"
}

func object(_ fields: [(String, String)]) -> String {
    "{" + fields.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
}

func array(_ items: [String]) -> String { "[" + items.joined(separator: ",") + "]" }
