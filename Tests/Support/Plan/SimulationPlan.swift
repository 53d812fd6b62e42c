package import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
package import TidemarkMonitors

/// The topology that simulations run: counts, exact sums and a histogram by model, compared with a
/// file.
///
/// `learns`: and with what is learned on the way. `comparesMore`: and with the same time before, with all groups
/// together, and with the group `m0`. `measures`: metrics are taken of windows and of all that is learned.
package func simulationPlan(
    windows: [WindowPlan] = [WindowPlan(lengthMs: 60_000, stepMs: 60_000)], paneMs: Int64 = 10_000,
    batchRows: Int = 16, groupCountMax: Int = 100, idleMs: Int64? = 5_000,
    delivery: RunSettings.Delivery = .exactlyOnce, learns: Bool = false,
    comparesMore: Bool = false, measures: Bool = false, watches: Bool = false
) -> Plan {
    var source = SourcePlan(topics: ["in"])
    source.start = .earliest
    source.outOfOrdernessMs = 5_000
    source.skewMs = 60_000
    source.idleMs = idleMs
    var x = ColumnPlan(name: "x", role: .feature, type: .number, path: [.key("x")])
    x.summary.moments = true
    x.summary.range = true
    x.summary.histogram = .edges([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    x.summary.metricSums = measures || watches
    let columns = [
        ColumnPlan(name: "ts", role: .time, type: .time(.ms), path: [.key("ts")]),
        ColumnPlan(name: "model", role: .model, type: .category, path: [.key("model")]), x,
    ]
    var segment = SegmentPlan(
        name: "by-model", dimensions: [("model", 1)], windows: Array(windows.indices), columns: [2])
    segment.groupCountMax = groupCountMax
    // Of about forty rows a window, so that alerts come and go all the time.
    var monitor = MonitorPlan(
        name: "drift", columns: [2], segments: [0], windows: Array(windows.indices), baseline: 0,
        tests: .automatic)
    monitor.minRows = 10
    monitor.ignoreBelow = 0.3
    monitor.clearBelow = 1
    monitor.coolDownMs = 130_000
    monitor.resolveAfterMs = 110_000
    monitor.hold = .windows(2, of: 3)
    monitor.clearHold = .windows(1, of: 1)
    var recent = LearningPlan(span: .trailing, lengthMs: 90_000)
    recent.skipMs = 20_000
    recent.minRows = 40
    var initial = LearningPlan(span: .first, lengthMs: 70_000)
    initial.minRows = 30
    var baselines = [BaselinePlan(name: "training", path: "", contentHash: "0")]
    if learns {
        baselines += [
            BaselinePlan(name: "recent", learning: recent),
            BaselinePlan(name: "initial", learning: initial),
        ]
    }
    if comparesMore {
        let isLong = windows.contains { $0.lengthMs > 60_000 }
        var usual = LearningPlan(span: .sameTime, lengthMs: isLong ? 120_000 : 90_000)
        usual.times = isLong ? 1 : 2
        usual.aroundMs = isLong ? 0 : 15_000
        usual.minRows = 30
        var pool = LearningPlan(span: .trailing, lengthMs: 60_000)
        pool.minRows = 60
        pool.isPooled = true
        var champion = OtherGroupPlan(replaced: [.init(dimension: "model", value: "m0")])
        champion.minRows = 25
        baselines += [
            BaselinePlan(name: "usual", learning: usual),
            BaselinePlan(name: "pool", learning: pool),
            BaselinePlan(name: "champion", origin: .other(champion)),
        ]
    }
    var monitors = baselines.indices.map { index in
        var against = monitor
        against.name = ["drift", "lately", "since", "again", "together", "rival"][index]
        against.baseline = index
        if index > 0 { against.ignoreBelow = 0.6 }
        return against
    }
    if learns {
        var traffic = monitor
        traffic.name = "traffic"
        traffic.kind = "volume"
        traffic.columns = []
        traffic.baseline = 1
        traffic.level = 0.2
        var rule = VolumeRule()
        rule.drop = 0.2
        rule.rise = 0.3
        rule.below = 2
        traffic.volume = rule
        monitors.append(traffic)
    }
    var plan = Plan(
        name: "sim", app: "sim", revision: "0",
        stream: StreamPlan(
            source: source, columns: columns, eventTimeColumn: 0, filter: nil, segments: [segment],
            windows: windows, paneMs: paneMs,
            baselines: baselines, monitors: monitors),
        outputs: OutputsPlan(
            aggregates: "aggregates", alerts: "alerts", deadLetters: "dead", late: "late"))
    if measures { addMetrics(&plan.stream, like: monitor) }
    if watches { addWatches(&plan.stream, like: monitor) }
    plan.run.batchRows = batchRows
    plan.run.commitMs = 200
    plan.run.delivery = delivery
    // Quiet means done, here.
    plan.run.heartbeatMs = .max
    return plan
}

/// Adds metrics of `x`, of the window and of all baselines of the stream, and a monitor of its mean.
private func addMetrics(_ stream: inout StreamPlan, like monitor: MonitorPlan) {
    func add(_ name: String, _ kind: AggregateKind, over baseline: String? = nil) {
        let place = stream.baselines.firstIndex { $0.name == baseline }
        guard baseline == nil || place != nil else { return }
        var column = ColumnPlan(name: name, role: .metric, type: .number, path: [])
        column.isRead = false
        stream.columns.append(column)
        stream.metrics.append(
            MetricPlan(
                column: stream.columns.count - 1,
                metric: MetricExpression(
                    expression: .column(0), type: .number,
                    aggregates: [Aggregate(kind: kind, baseline: baseline)], dimensions: []),
                inputs: [MetricInput(kind: kind, column: 2, baseline: place)]))
    }
    add("count_x", .count)
    add("sum_x", .sum)
    add("mean_x", .mean)
    var bound = monitor
    (bound.name, bound.kind, bound.baseline) = ("bound", "metric", -1)
    bound.columns = [stream.columns.count - 1]
    bound.metric.above = 5.1
    stream.monitors.append(bound)
    add("sum_recent", .sum, over: "recent")
    add("shift_recent", .test("psi"), over: "recent")
    add("rows_initial", .rows, over: "initial")
    add("lacking_pool", .nullShare, over: "pool")
    add("most_champion", .max, over: "champion")
}

/// Adds a monitor of nearly every other kind, quiet by itself, and roll-ups of them.
///
/// - Precondition: the plan learns.
private func addWatches(_ stream: inout StreamPlan, like monitor: MonitorPlan) {
    let recent = stream.baselines.firstIndex { $0.name == "recent" } ?? 0
    var began = LearningPlan(span: .first, lengthMs: 1_000)
    began.minRows = 0
    stream.baselines.append(BaselinePlan(name: "began", learning: began))
    func watch(_ name: String, _ kind: String, _ change: (inout MonitorPlan) -> Void) {
        var watch = monitor
        (watch.name, watch.kind, watch.baseline, watch.columns) = (name, kind, -1, [])
        (watch.needsCells, watch.alerts, watch.isMember) = (false, false, true)
        change(&watch)
        stream.monitors.append(watch)
    }
    /// Sum and number of rows, by these places in the expression.
    func metric(
        _ name: String, _ type: ExpressionType, _ expression: RowExpression,
        over baseline: Int? = nil
    ) -> Int {
        var column = ColumnPlan(
            name: name, role: .metric, type: type == .boolean ? .boolean : .number, path: [])
        (column.isRead, column.isUnpublished) = (false, baseline != nil)
        stream.columns.append(column)
        let kinds: [(AggregateKind, Int?)] = [(.sum, 2), (.rows, nil)]
        let label = baseline.map { stream.baselines[$0].name }
        stream.metrics.append(
            MetricPlan(
                column: stream.columns.count - 1,
                metric: MetricExpression(
                    expression: expression, type: type,
                    aggregates: kinds.map { Aggregate(kind: $0.0, baseline: label) },
                    dimensions: []),
                inputs: kinds.map { MetricInput(kind: $0.0, column: $0.1, baseline: baseline) }))
        return stream.columns.count - 1
    }
    watch("nulls", "quality") {
        ($0.columns, $0.level) = ([2], 0.05)
        $0.settings = Settings([("check", .text("null")), ("most", .number(0.1))])
    }
    watch("lacking", "quality") {
        ($0.columns, $0.level, $0.baseline, $0.asksEntries) = ([2], 0.05, recent, true)
        $0.ignoreBelow = 0.02
        $0.settings = Settings([("check", .text("null")), ("most", .null)])
    }
    watch("stale", "age") {
        $0.baseline = stream.baselines.count - 1
        $0.settings = Settings([("limit_ms", .integer(200_000))])
    }
    let mean = RowExpression.arithmetic(.divide, .column(0), .column(1))
    let typical = metric("typical", .number, mean)
    _ = metric("typical over recent", .number, mean, over: recent)
    let usual = stream.metrics.count - 1
    let busy = metric(
        "busy", .boolean,
        .and(
            .compare(.greaterOrEqual, .column(1), .number(12)),
            .compare(.greater, mean, .number(4))))
    watch("moved", "metric") {
        ($0.columns, $0.baseline) = ([typical], recent)
        ($0.metric.change, $0.metric.usual) = (0.15, usual)
    }
    watch("rushed", "when") { $0.columns = [busy] }
    let members = ["nulls", "lacking", "stale", "moved", "rushed"]
    for (name, kind, members, bound) in [
        ("many", "any_of", members, RollUpBound.count(4)),
        ("both", "all_of", ["moved", "rushed"], .share(0.3)),
    ] {
        watch(name, kind) {
            ($0.alerts, $0.isMember, $0.minRows, $0.atLeast) = (true, false, 0, bound)
            $0.members = members.map { RollUpMember($0, monitors: [$0]) }
        }
    }
}

/// The plan with one group, of which it watches which models there are, and sums beside those of windows before.
///
/// - Precondition: it learns, and measures.
package func remembering(_ plan: Plan) -> Plan {
    var plan = plan
    plan.stream.segments[0].dimensions = []
    plan.stream.segments[0].columns = [1, 2]
    plan.stream.columns[1].summary.keepsSeen = true
    let sum = plan.stream.columns.firstIndex { $0.name == "sum_x" } ?? 0
    func watch(_ name: String, _ kind: String, _ change: (inout MonitorPlan) -> Void) {
        var watch = plan.stream.monitors[0]
        (watch.name, watch.kind, watch.needsCells) = (name, kind, false)
        change(&watch)
        plan.stream.monitors.append(watch)
    }
    for (place, name) in [(1, "recent"), (2, "initial")] {
        watch("new-\(name)", "quality") {
            ($0.columns, $0.baseline, $0.asksEntries, $0.asksSeen) = ([1], place, true, true)
            ($0.ignoreBelow, $0.level) = (0.02, 0.2)
            $0.settings = Settings([("check", .text("unseen")), ("most", .null)])
        }
        watch("sum-\(name)", "volume") {
            ($0.columns, $0.baseline, $0.keepsValues) = ([sum], place, true)
            ($0.volume.drop, $0.volume.rise) = (0.1, 0.1)
        }
    }
    return plan
}

/// The plan with its column and its groups computed of what is read, a condition on its segment, and a rule.
///
/// What is computed equals what was read, but for reasons that a value is not there.
package func expressing(_ plan: Plan) -> Plan {
    var plan = plan
    func computed(_ place: Int, _ source: String, _ expression: RowExpression) {
        plan.stream.columns[place].isRead = false
        plan.stream.columns[place].isComputed = true
        plan.stream.columns[place].path = []
        plan.stream.columns[place].computation = ColumnPlan.Computation(
            source: source, expression: expression)
    }
    let raw = plan.stream.columns.count
    plan.stream.columns += [
        ColumnPlan(name: "raw", role: .attribute, type: .number, path: [.key("x")]),
        ColumnPlan(name: "name", role: .attribute, type: .category, path: [.key("model")]),
        ColumnPlan(name: "low", role: .rule, type: .number, path: []),
    ]
    // Half of four times less twice is the number itself, to the last bit.
    computed(
        2, "derive.x",
        .arithmetic(
            .divide,
            .arithmetic(
                .subtract, .arithmetic(.multiply, .column(raw), .number(4)),
                .arithmetic(.multiply, .column(raw), .number(2))),
            .number(2)))
    computed(1, "segments.by-model.by.model", .call("lower", [.call("upper", [.column(raw + 1)])]))
    plan.stream.segments[0].condition = .or(
        .isNull(.column(raw)), .compare(.less, .column(2), .number(8)))
    // A window of which no row is in the segment is judged, and not published: by hand nobody would see it.
    plan.stream.monitors.removeAll { $0.kind == "volume" }
    let isLow = RowExpression.compare(.less, .column(raw), .number(6))
    computed(
        raw + 2, "monitors.low.rule",
        .call("if", [.isNull(isLow), .null, .call("if", [isLow, .number(0), .number(1)])]))
    plan.stream.columns[raw + 2].summary.histogram = .edges([-0.5, 0.5, 1.5])
    plan.stream.segments[0].columns.append(raw + 2)
    var rule = MonitorPlan(
        name: "low", columns: [raw + 2], segments: [0],
        windows: Array(plan.stream.windows.indices), baseline: -1, tests: .automatic)
    rule.kind = "rule"
    rule.settings = Settings([("broken", .number(0.1))])
    rule.alerts = false
    plan.stream.monitors.append(rule)
    return plan
}

/// What `simulationPlan` compares with.
package let simulationBaseline = BaselineTable(records: [
    BaselineTable.Record(
        group: "*", column: "x",
        entry: BaselineTable.Entry(
            shape: .numeric(
                edges: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], isOpen: false, under: 1_400,
                counts: Array(repeating: 700, count: 10), over: 1_400), rowCount: 9_800,
            nullCount: 0))
])
