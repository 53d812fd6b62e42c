import TidemarkDataflow
import TidemarkDrift
import TidemarkExpressions
import TidemarkText

/// One text for one meaning of a plan, and hashes of it.
///
/// Left out are secrets, how the cluster is reached, and what never changes a result (workers,
/// batch size).
enum Canonical {
    static func hashes(
        of plan: Plan, budget: Budget, _ catalogue: Catalogue
    ) -> (revision: String, data: String) {
        let data = text(self.data(of: plan, catalogue))
        let all = data + text(judgement(of: plan, budget: budget, catalogue))
        return (digits(fnv1a(all)), digits(fnv1a(data)))
    }

    private static func text(_ lines: [Identity.Line]) -> String {
        lines.map(\.text).joined()
    }

    private static func digits(_ hash: UInt64) -> String {
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    /// What shapes data.
    private static func data(of plan: Plan, _ catalogue: Catalogue) -> [Identity.Line] {
        let stream = plan.stream
        let source = stream.source
        var lines = [
            Identity.Line("app", plan.name, plan.app),
            Identity.Line("topics", source.topics.joined(separator: ","), source.file),
            Identity.Line(
                "source", source.isolationCommitted, source.outOfOrdernessMs, source.skewMs,
                source.clock),
            Identity.Line("record", plan.limits.recordBytes),
        ]
        if let format = Formats.facts(source.encoding).identity { lines.append(format) }
        if source.weight != 1 { lines.append(Identity.Line("weight", source.weight)) }
        for column in stream.columns where column.isHeld {
            lines += self.lines(of: column, stream, catalogue)
        }
        lines += stream.correlations.map {
            Identity.Line("correlation", stream.columnNames($0))
        }
        lines.append(
            Identity.Line("time", stream.eventTimeColumn.map { stream.columns[$0].name }))
        lines.append(Identity.Line("filter", stream.filter.map { expression($0, stream) }))
        for segment in stream.segments {
            lines.append(
                Identity.Line(
                    "segment", segment.name, stream.columnNames(segment.dimensions.map(\.column)),
                    segment.condition.map { expression($0, stream) }, segment.groupCountMax,
                    segment.keep, stream.windowNames(segment.windows),
                    stream.columnNames(segment.columns)))
            let names = segment.dimensions.map(\.name)
            // Dimensions that have names of their own.
            if names != segment.dimensions.map({ stream.columns[$0.column].name }) {
                lines.append(Identity.Line("by", segment.name, names))
            }
        }
        lines.append(
            Identity.Line(
                "windows", stream.windowNames(Array(stream.windows.indices)), stream.paneMs))
        lines += stream.baselines.flatMap(BaselinePart.identity)
        lines += stream.metrics.map {
            Identity.Line("metric", stream.columns[$0.column].name, metric($0, stream))
        }
        lines += stream.monitors.flatMap {
            AlertKeys.dataIdentity($0, stream, catalogue.monitors.kind(of: $0).identity($0))
        }
        let outputs = plan.outputs
        lines.append(
            Identity.Line(
                "outputs", outputs.aggregates,
                outputs.sketches.map(\.rawValue).sorted().joined(separator: ","), outputs.alerts,
                outputs.deadLetters, outputs.late))
        if let columns = outputs.published {
            lines.append(Identity.Line("published", columns.sorted().joined(separator: ",")))
        }
        if let topic = outputs.quarantined { lines.append(Identity.Line("quarantined", topic)) }
        return lines
    }

    /// Lines that came into being one after the other, and stay in that order; others stand behind them.
    private static let oldLines = ["sketch", "mapping", "extras", "zone", "registers"]

    /// A column that is read, with what is kept of it.
    private static func lines(
        of column: ColumnPlan, _ stream: StreamPlan, _ catalogue: Catalogue
    ) -> [Identity.Line] {
        let kinds = Summaries.told(catalogue.summaries)
        let parts = kinds.map { $0.identity(column.summary, stream) }
        let usual = kinds.map { $0.identity(ColumnSummary(), stream) }
        var lines = parts.flatMap(\.lines)
        let extras = Identity.Line("extras", values: parts.flatMap(\.extras))
        if extras.values != Identity.Line("extras", values: usual.flatMap(\.extras)).values {
            lines.append(extras)
        }
        if let zone = column.zone { lines.append(Identity.Line("zone", zone.name)) }
        if let computation = column.computation {
            lines.append(
                Identity.Line("computed", column.name, expression(computation.expression, stream)))
        }
        func rank(_ line: Identity.Line) -> Int {
            oldLines.firstIndex(of: line.name) ?? oldLines.count
        }
        let ordered = lines.enumerated().sorted {
            (rank($0.element), $0.offset) < (rank($1.element), $1.offset)
        }.map(\.element)
        let own: [(any CanonicalValue)?] = [
            column.name, column.role.rawValue, column.type, column.path, column.acceptText,
            column.nullValues,
        ]
        return [Identity.Line("column", values: own + parts.flatMap(\.column))] + ordered
    }

    /// What is said about the data.
    private static func judgement(
        of plan: Plan, budget: Budget, _ catalogue: Catalogue
    ) -> [Identity.Line] {
        let stream = plan.stream
        var lines = Severity.allCases.map { severity in
            let rate = budget.rate(of: severity)
            return Identity.Line("budget", severity.rawValue, rate?.count, rate?.periodMs)
        }
        lines += stream.monitors.flatMap {
            AlertKeys.judgedIdentity($0, stream, catalogue.monitors.kind(of: $0).identity($0))
        }
        lines += catalogue.monitors.all.compactMap { $0.own(stream) }.flatMap(\.identity)
        lines += AlertRoutesPart.identity(plan.outputs)
        lines += MutePart.identity(plan.mutes)
        lines.append(
            Identity.Line(
                "says", plan.owner, plan.description, plan.labels.map { [$0.name, $0.value] }))
        return lines
    }

    /// The expression with columns by name: places may move.
    static func expression(_ e: RowExpression, _ stream: StreamPlan) -> String {
        expression(e) { "`\(stream.columns[$0].name)`" }
    }

    /// `name`: what stands for a column.
    private static func expression(_ e: RowExpression, _ name: (Int) -> String) -> String {
        func go(_ e: RowExpression) -> String { expression(e, name) }
        switch e {
        case .number(let value): return value.canonicalText
        case .text(let text): return "'\(text.utf8.count):\(text)'"
        case .boolean(let value): return value.canonicalText
        case .duration(let ms): return "\(ms.canonicalText)ms"
        case .null: return "null"
        case .column(let index): return name(index)
        case .compare(let c, let a, let b): return "(\(go(a)) \(c.rawValue) \(go(b)))"
        case .and(let a, let b): return "(\(go(a)) and \(go(b)))"
        case .or(let a, let b): return "(\(go(a)) or \(go(b)))"
        case .not(let a): return "(not \(go(a)))"
        case .isNull(let a): return "(\(go(a)) is null)"
        case .isIn(let a, let list): return "(\(go(a)) in [\(list.map(go).joined(separator: ","))])"
        case .arithmetic(let o, let a, let b): return "(\(go(a)) \(o.rawValue) \(go(b)))"
        case .negate(let a): return "(- \(go(a)))"
        case .call(let f, let a): return "\(f)(\(a.map(go).joined(separator: ",")))"
        case .list(let list): return "[\(list.map(go).joined(separator: ","))]"
        }
    }

    // MARK: Metrics

    /// The expression with aggregates spelled out.
    static func metric(_ metric: MetricPlan, _ stream: StreamPlan) -> String {
        let aggregates = metric.metric.aggregates
        return expression(metric.metric.expression) { column in
            column < aggregates.count
                ? self.text(aggregates[column], stream)
                : "`\(metric.metric.dimensions[column - aggregates.count])`"
        }
    }

    private static func text(_ aggregate: Aggregate, _ stream: StreamPlan) -> String {
        var name = aggregate.kind.word
        if case .quantile(let rank) = aggregate.kind { name += " \(rank.canonicalText)" }
        let parts = [
            aggregate.value.map { expression($0, stream) },
            aggregate.condition.map { "where " + expression($0, stream) },
            aggregate.baseline.map { "over `\($0)`" },
        ]
        return "\(name)(\(parts.compactMap(\.self).joined(separator: " ")))"
    }
}
