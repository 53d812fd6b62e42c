import TidemarkDataflow
import TidemarkDrift
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Makes a plan of a tree: it fills in every default and reports every error.
///
/// It goes pass by pass. The arguments of a pass are what it needs from those before it.
struct Resolver {
    let root: Node
    let path: TopologyPath
    let reading: Reading
    let catalogue: Catalogue
    let load: (String) -> Result<BaselineSummary, BaselineProblem>

    /// The plan, and what was found out on the way; no plan where something is wrong, which was reported.
    func resolve() -> (plan: Plan?, facts: PlanFacts) {
        var facts = PlanFacts()
        guard
            let top = reading.fields(
                root, catalogue.topology, what: "a topology", shape: "a map that begins with `name`"
            )
        else { return (nil, facts) }
        var plan = header(top)
        var source = SourcePart.read(
            top, part: catalogue.source, expect: catalogue.expect, path: path)
        DerivePart.read(top, &source.schema)
        plan.stream.source = source.plan
        let filter = filter(top, source.schema)
        plan.stream.filter = filter

        var scope = scope(top, source)
        if !source.hasFetchWait {
            // A part of the delay that nobody sees beside the step.
            let stepMs = scope.windows.map(\.stepMs).min() ?? 0
            plan.stream.source.fetchWaitMs = min(50, stepMs / 100)
        }
        // Rules and monitors may name columns that are watched only then.
        let rules = Summaries.read(top, rule: catalogue.rule, &scope)
        scope.segments = SegmentPart.read(top, scope.columns, scope.windows)
        scope.add(scope.segments.computed)
        facts.budget = BudgetPart.read(top)
        MetricPart.read(top, &scope)
        let monitors = catalogue.monitors.read(top, &scope)
        let named = scope.named
        scope.segments.watch(
            scope.columns.indices.filter {
                Selector.isWatched(scope.columns[$0].role) || named.contains($0)
            })
        Summaries.apply(rules, catalogue.summaries, &scope)
        Histogram.fillUniversal(monitors.judges + MetricPart.comparisons(scope), &scope)
        MetricPart.check(scope)
        plan.stream.metrics = MetricPart.place(&scope)
        plan.stream.monitors = Levels.judge(monitors.judges, scope, &facts)
        plan.stream.freshness = monitors.silences
        plan.mutes = MutePart.read(
            top.part(TopologyPart.alerts, AlertKeys.part), monitors: monitors, scope)
        facts.silent = monitors.silent
        plan.outputs = OutputsPart.read(
            top, name: plan.name, sketches: catalogue.sketches, scope.columns)
        var judged = plan.stream
        judged.segments = scope.segments.plans
        AlertRoutesPart.read(top, judged, into: &plan.outputs)
        OutputsPart.check(plan.outputs, top, plan.stream.source)
        plan.limits = LimitsPart.read(top)
        plan.run = RunPart.read(top)
        fill(&plan.stream, scope, filterColumns: filter?.columns ?? [])
        let limits = LimitChecks(top: top, segments: scope.segments)
        limits.checkReread(plan)
        sayIfTimeless(top, plan.stream)
        facts.baselines = scope.baselines.plans.indices.map { scope.baselines.summaries[$0] }
        facts.memory = limits.checkMemory(plan, facts)
        limits.noteRetention(plan)
        facts.keysRead = reading.keysRead
        return (reading.hasErrors ? nil : plan, facts)
    }

    /// What the topology says of itself; the passes fill in all else.
    private func header(_ top: Fields) -> Plan {
        _ = top.value(TopologyPart.language)
        let name = top.value(TopologyPart.name) ?? ""
        var plan = Plan(
            name: name, app: top.value(TopologyPart.app) ?? name, revision: "",
            stream: StreamPlan(
                source: SourcePlan(topics: []), columns: [], eventTimeColumn: nil, filter: nil,
                segments: [], windows: [], paneMs: 1000, baselines: [], monitors: []),
            outputs: OutputsPlan(aggregates: nil, alerts: "", deadLetters: "", late: nil))
        plan.owner = top.value(TopologyPart.owner)
        plan.description = top.value(TopologyPart.description)
        if let node = top[TopologyPart.labels] {
            for entry in reading.named(node, what: "labels", item: "text", countMax: 16) {
                if let text = reading.text(entry.value) { plan.labels.append((entry.key, text)) }
            }
        }
        plan.kafka = KafkaPart.read(top, path: path)
        return plan
    }

    private func filter(
        _ top: Fields, _ schema: Schema
    ) -> RowExpression? {
        guard let node = top[TopologyPart.filter], !schema.columns.isEmpty else { return nil }
        return ExpressionReader.condition(
            node, for: "a filter", columns: schema.columns, reading: reading)
    }

    /// What summaries and monitors are read against; segments come later.
    private func scope(_ top: Fields, _ source: SourcePart.Source) -> Scope {
        let windows = WindowPart.read(top)
        let paneMs = WindowPart.paneMs(top, windows)
        let reader = BaselinePart.Reader(path: path, load: load, reading: reading)
        return Scope(
            reading: reading, monitorKinds: catalogue.monitors, baselineReader: reader,
            schema: source.schema, windows: windows,
            paneMs: paneMs, topicCount: source.plan.topics.count,
            isFile: source.plan.file != nil, weight: SourcePart.weight(of: source, reading),
            segments: Segments(),
            baselines: reader.read(top))
    }

    /// Fills in what rows are read for: columns that something uses are decoded.
    private func fill(_ stream: inout StreamPlan, _ scope: Scope, filterColumns: Set<Int>) {
        stream.columns = scope.columns
        stream.windows = scope.windows
        stream.paneMs = scope.paneMs
        stream.segments = scope.segments.plans
        stream.correlations = scope.correlations
        stream.baselines = scope.baselines.plans
        stream.eventTimeColumn = scope.columns.firstIndex { $0.role == .time }
        var used = filterColumns.union(scope.segments.used)
        if let time = stream.eventTimeColumn { used.insert(time) }
        for segment in stream.segments {
            used.formUnion(segment.columns)
            used.formUnion(segment.dimensions.map(\.column))
        }
        // What computed columns that are used need.
        var todo = Array(used)
        while let index = todo.popLast() {
            for need in stream.columns[index].computation?.expression.columns ?? []
            where used.insert(need).inserted {
                todo.append(need)
            }
        }
        for index in stream.columns.indices {
            let isComputed = stream.columns[index].computation != nil
            stream.columns[index].isRead =
                used.contains(index) && !isComputed && stream.columns[index].role != .metric
            stream.columns[index].isComputed = used.contains(index) && isComputed
        }
    }

    /// Warns where no column is the event time.
    private func sayIfTimeless(_ top: Fields, _ stream: StreamPlan) {
        guard stream.eventTimeColumn == nil, !stream.columns.isEmpty,
            let source = top.entry(TopologyPart.source)
        else { return }
        reading.say(
            .warning, "no-event-time", at: source.keyPlace,
            "no column is the event time: Kafka record time is used, so replayed rows land in today's windows",
            expected: "a column declared time_ms, time_s, time_us, time_ns or time_text",
            suggestion: "`ts: time_ms` in `schema`")
    }
}
