import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkText

/// One text for one meaning of a plan, and hashes of it.
///
/// Left out are secrets, how the cluster is reached, and what never changes a result (workers,
/// batch size).
///
/// A deployed application is known by these hashes: another hash is another application, which begins
/// without the state of the first. So every value spells out its own form (`CanonicalValue`), and no
/// name of a Swift type, case or module reaches the text: those may change as they like.
enum Canonical {
    static func hashes(of plan: Plan, budget: Budget) -> (revision: String, data: String) {
        let data = data(of: plan)
        let all = data + judgement(of: plan, budget: budget)
        return (digits(fnv1a(all)), digits(fnv1a(data)))
    }

    private static func digits(_ hash: UInt64) -> String {
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    private static func line(_ name: String, _ values: (any CanonicalValue)?...) -> String {
        // Lengths in front: no value can pass for two.
        var text = name
        for value in values {
            let one = value?.canonicalText ?? "off"
            text += " \(one.utf8.count):\(one)"
        }
        return text + "\n"
    }

    /// What shapes data.
    private static func data(of plan: Plan) -> String {
        let stream = plan.stream
        let source = stream.source
        var text = line("app", plan.name, plan.app)
        text += line("topics", source.topics.joined(separator: ","), source.file)
        text += line(
            "source", source.isolationCommitted, source.outOfOrdernessMs, source.skewMs,
            source.clock)
        text += line("record", plan.limits.recordBytes)
        // Only what departs from the default: other topologies keep their hash.
        if case .csv(let names, let separator) = source.encoding {
            text += line("csv", names.joined(separator: ","), separator)
        }
        for column in stream.columns where column.isRead {
            text += line(
                "column", column.name, column.role.rawValue, column.type, column.path,
                column.acceptText, column.nullValues, column.summary.moments, column.summary.range,
                histogram(column.summary.histogram, stream), column.summary.quantiles,
                column.summary.kllK, column.summary.distinctLgK, column.summary.topCount)
            // Only what departs from the default: other topologies keep their hash.
            if column.summary.quantileSketch != .kll {
                text += line(
                    "sketch", column.summary.quantileSketch.rawValue, column.summary.relativeError)
            }
            if column.summary.hasLogarithmicBins { text += line("mapping", "log") }
            if column.summary.hasExtras {
                text += line(
                    "extras", column.summary.shape, column.summary.halfLifeMs,
                    column.summary.logLinear, column.summary.valueCountMax,
                    column.summary.sampleCount)
            }
            if let zone = column.zone { text += line("zone", zone.name) }
            if column.summary.registerBits != 8 {
                text += line("registers", column.summary.registerBits)
            }
        }
        func names(_ indices: [Int]) -> String {
            indices.map { stream.columns[$0].name }.joined(separator: ",")
        }
        func lengths(_ indices: [Int]) -> String {
            indices.map { "\(stream.windows[$0].lengthMs)/\(stream.windows[$0].stepMs)" }
                .joined(separator: ",")
        }
        for columns in stream.correlations { text += line("correlation", names(columns)) }
        text += line("time", stream.eventTimeColumn.map { stream.columns[$0].name })
        text += line("filter", stream.filter.map { expression($0, stream) })
        for segment in stream.segments {
            text += line(
                "segment", segment.name, names(segment.dimensions.map(\.column)),
                segment.condition.map { expression($0, stream) }, segment.groupCountMax,
                segment.keep,
                lengths(segment.windows), names(segment.columns))
        }
        text += line("windows", lengths(Array(stream.windows.indices)), stream.paneMs)
        for baseline in stream.baselines {
            guard let learning = baseline.learning else {
                text += line("baseline", baseline.name, baseline.contentHash)
                continue
            }
            text += line(
                "learned", baseline.name, learning.span.rawValue, learning.lengthMs,
                learning.skipMs, learning.minRows)
        }
        for monitor in stream.monitors {
            let tests: String =
                switch monitor.tests {
                case .automatic: "auto"
                case .named(let tests): tests.map(\.test).joined(separator: ",")
                }
            text += line(
                "monitor", monitor.name, names(monitor.columns),
                monitor.segments.map { stream.segments[$0].name }, lengths(monitor.windows),
                stream.baselines.indices.contains(monitor.baseline)
                    ? stream.baselines[monitor.baseline].name : nil, tests)
            if monitor.volume != nil { text += line("volume", monitor.name) }
            if monitor.fallsBack { text += line("fallback", monitor.name, "pooled") }
        }
        text += line(
            "outputs", plan.outputs.aggregates,
            plan.outputs.sketches.map(\.rawValue).sorted().joined(separator: ","),
            plan.outputs.alerts, plan.outputs.deadLetters, plan.outputs.late)
        // Only what departs from the default: other topologies keep their hash.
        if let topic = plan.outputs.quarantined { text += line("quarantined", topic) }
        return text
    }

    /// What is said about the data.
    private static func judgement(of plan: Plan, budget: Budget) -> String {
        var text = ""
        for severity in Severity.allCases {
            let rate = budget.rate(of: severity)
            text += line("budget", severity.rawValue, rate?.count, rate?.periodMs)
        }
        for monitor in plan.stream.monitors {
            var effects = ""
            if case .named(let tests) = monitor.tests {
                effects = tests.map(\.ignoreBelow.canonicalText).joined(separator: ",")
            }
            text += line(
                "judge", monitor.name, effects, monitor.ignoreBelow, monitor.minRows,
                monitor.severity.rawValue, monitor.alerts, monitor.hold, monitor.clearHold,
                monitor.clearBelow, monitor.coolDownMs, monitor.maxAgeMs, monitor.level,
                monitor.description, monitor.summary, monitor.runbook)
            if monitor.resolveAfterMs != MonitorPlan.resolveAfterMsDefault {
                text += line("resolve_after", monitor.name, monitor.resolveAfterMs)
            }
            if let rule = monitor.volume {
                text += line("rows", monitor.name, rule.drop, rule.rise, rule.below, rule.above)
            }
        }
        for monitor in plan.stream.freshness {
            text += line(
                "freshness", monitor.name, monitor.limitMs, monitor.severity.rawValue,
                monitor.description, monitor.summary, monitor.runbook)
            // Only what departs from the default: other topologies keep their hash.
            if monitor.per != .source {
                text += line(
                    "per", monitor.per.rawValue,
                    monitor.segments.map { plan.stream.segments[$0].name }, monitor.maxAgeMs)
            }
        }
        text += line("says", plan.owner, plan.description, plan.labels.map { [$0.name, $0.value] })
        return text
    }

    private static func histogram(_ plan: HistogramPlan?, _ stream: StreamPlan) -> String? {
        switch plan {
        case .baseline(let index): "baseline \(stream.baselines[index].name)"
        case .edges(let edges): edges.canonicalText
        case nil: nil
        }
    }

    /// The expression with columns by name: places may move.
    static func expression(_ e: RowExpression, _ stream: StreamPlan) -> String {
        func go(_ e: RowExpression) -> String { expression(e, stream) }
        switch e {
        case .number(let value): return value.canonicalText
        case .text(let text): return "'\(text.utf8.count):\(text)'"
        case .boolean(let value): return value.canonicalText
        case .null: return "null"
        case .column(let index): return "`\(stream.columns[index].name)`"
        case .compare(let c, let a, let b): return "(\(go(a)) \(c.rawValue) \(go(b)))"
        case .and(let a, let b): return "(\(go(a)) and \(go(b)))"
        case .or(let a, let b): return "(\(go(a)) or \(go(b)))"
        case .not(let a): return "(not \(go(a)))"
        case .isNull(let a): return "(\(go(a)) is null)"
        case .isIn(let a, let list): return "(\(go(a)) in [\(list.map(go).joined(separator: ","))])"
        case .arithmetic(let o, let a, let b): return "(\(go(a)) \(o.rawValue) \(go(b)))"
        case .negate(let a): return "(- \(go(a)))"
        case .call(let f, let a): return "\(f.rawValue)(\(a.map(go).joined(separator: ",")))"
        }
    }
}

/// A value with one text that stays the same whatever its type is called and wherever it lives.
private protocol CanonicalValue {
    var canonicalText: String { get }
}

extension String: CanonicalValue {
    fileprivate var canonicalText: String { self }
}

extension Bool: CanonicalValue {
    fileprivate var canonicalText: String { self ? "true" : "false" }
}

extension Int: CanonicalValue {
    fileprivate var canonicalText: String { String(self) }
}

extension Int64: CanonicalValue {
    fileprivate var canonicalText: String { String(self) }
}

extension UInt8: CanonicalValue {
    fileprivate var canonicalText: String { String(self) }
}

extension Double: CanonicalValue {
    /// The shortest digits that give the same number.
    fileprivate var canonicalText: String { description }
}

extension Array: CanonicalValue where Element: CanonicalValue {
    fileprivate var canonicalText: String {
        // Lengths in front here too: a comma in a text is no boundary.
        "["
            + map { "\($0.canonicalText.utf8.count):\($0.canonicalText)" }
            .joined(separator: ",") + "]"
    }
}

extension ColumnType: CanonicalValue {
    fileprivate var canonicalText: String {
        switch self {
        case .number: "number"
        case .integer: "integer"
        case .boolean: "boolean"
        case .category: "category"
        case .text: "text"
        case .time(let unit): "time_\(unit.rawValue)"
        }
    }
}

extension PathStep: CanonicalValue {
    fileprivate var canonicalText: String {
        switch self {
        case .key(let key): "key \(key)"
        case .index(let index): "index \(index)"
        }
    }
}

extension SourcePlan.ReferenceClock: CanonicalValue {
    fileprivate var canonicalText: String {
        switch self {
        case .record: "record"
        case .file: "file"
        case .time(let ms): "time \(ms)"
        }
    }
}

extension Hold: CanonicalValue {
    fileprivate var canonicalText: String {
        switch self {
        case .duration(let ms): "\(ms)ms"
        case .windows(let count, let total): "\(count) of \(total)"
        }
    }
}
