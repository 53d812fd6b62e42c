import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// The plan as data: one JSON object, without secrets.
package func planJSON(_ result: PlanResult) -> String {
    let diagnostics: Fact = ("diagnostics", .array(result.diagnostics.map(\.asJSON)))
    guard let plan = result.plan else { return JSONValue.object([diagnostics]).written + "\n" }
    let stream = plan.stream
    let head: [Fact] = [
        ("name", .text(plan.name)), ("app", .text(plan.app)), ("revision", .text(plan.revision)),
        ("data", .text(result.dataHash)), ("source", SourcePart.facts(stream.source)),
        ("columns", .array(stream.columns.map { facts($0, stream, result.catalogue) })),
        ("event_time", .maybe(stream.eventTimeColumn.map { stream.columns[$0].name })),
        ("filter", .maybe(stream.filter.map { Canonical.expression($0, stream) })),
        (
            "segments",
            .array(
                stream.segments.enumerated().map { index, segment in
                    let groups = result.facts.groups
                    return facts(
                        segment, stream,
                        groups: groups.indices.contains(index) ? groups[index].count : nil)
                })
        ),
        (
            "windows",
            .array(
                stream.windows.map {
                    .object([
                        ("length_ms", .integer($0.lengthMs)), ("step_ms", .integer($0.stepMs)),
                    ])
                })
        ), ("pane_ms", .integer(stream.paneMs)),
        (
            "correlations",
            .array(stream.correlations.map { .texts($0.map { stream.columns[$0].name }) })
        ),
        ("metrics", metrics(stream)),
    ]
    let judged: [Fact] = [
        ("baselines", .array(stream.baselines.map(BaselinePart.facts))),
        (
            "monitors",
            .array(
                stream.monitors.map { facts($0, stream, result.catalogue.monitors.kind(of: $0)) })
        ),
    ]
    let own = result.catalogue.monitors.all.compactMap { $0.own(stream)?.fact }
    let mutes: [Fact] = plan.mutes.isEmpty ? [] : [("mute", MutePart.fact(plan.mutes))]
    let outputs: [Fact] = [
        ("outputs", OutputsPart.facts(plan.outputs)), ("topics", topics(plan)),
        (
            "limits",
            .object(LimitsPart.told.compactMap { $0.fact(plan.limits) })
        ), ("largest", largest(plan)), diagnostics,
    ]
    return JSONValue.object(
        head + judged + own + mutes + outputs + AlertRoutesPart.facts(plan.outputs)
    )
    .written + "\n"
}

private func metrics(_ stream: StreamPlan) -> JSONValue {
    .array(
        stream.metrics.map {
            .object([
                ("name", .text(stream.columns[$0.column].name)),
                ("expression", .text(Canonical.metric($0, stream))),
            ])
        })
}

private func facts(
    _ column: ColumnPlan, _ stream: StreamPlan, _ catalogue: Catalogue
) -> JSONValue {
    let kinds = Summaries.told(catalogue.summaries)
    let computed: [Fact] =
        column.computation.map {
            [
                (
                    "expression", .text(Canonical.expression($0.expression, stream))
                )
            ]
        } ?? []
    return .object(
        [
            ("name", .text(column.name)), ("role", .text(column.role.rawValue)),
            ("type", .text(column.type.canonicalText)), ("read", .boolean(column.isRead)),
        ] + computed
            + [("summary", .object(kinds.flatMap { $0.facts(column.summary, stream) }))])
}

private func facts(_ segment: SegmentPlan, _ stream: StreamPlan, groups: Int?) -> JSONValue {
    .object([
        ("name", .text(segment.name)), ("by", .texts(segment.dimensions.map(\.name))),
        ("where", .maybe(segment.condition.map { Canonical.expression($0, stream) })),
        ("limit", .count(segment.groupCountMax)), ("groups", .maybe(groups.map { Int64($0) })),
        ("windows", .texts(segment.windows.map { durationText(stream.windows[$0].lengthMs) })),
        ("columns", .texts(segment.columns.map { stream.columns[$0].name })),
    ])
}

private func facts(
    _ monitor: MonitorPlan, _ stream: StreamPlan, _ kind: any MonitorKind
) -> JSONValue {
    .object(
        [("name", .text(monitor.name)), ("kind", .text(kind.name))]
            + kind.facts(monitor, stream) + AlertKeys.facts(monitor, stream))
}

private func topics(_ plan: Plan) -> JSONValue {
    .array(
        plan.neededTopics.map { need in
            .object([
                ("name", .text(need.name)), ("role", .text(need.role.rawValue)),
                ("cleanup", .text(need.cleanup.rawValue)),
            ])
        })
}

private func largest(_ plan: Plan) -> JSONValue {
    let size = ResultSize(plan)
    return .object([
        ("aggregate_bytes", .count(size.aggregateBytesMax)),
        ("aggregate_sure_bytes", .count(size.aggregateBytes)),
        ("sketch_bytes", .count(size.sketchBytesMax)), ("alert_bytes", .count(size.alertBytesMax)),
    ])
}
