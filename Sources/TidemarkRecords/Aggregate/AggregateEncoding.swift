import TidemarkCore
import TidemarkText

/// Writes records of the aggregates topic one after the other, in the shape that it promises.
///
/// What the records of a group and window begin with is written once.
package struct AggregateEncoder: ~Copyable {
    private var json = JSONWriter(capacity: 2048)
    private var head: [UInt8] = []
    private var frame: [UInt8] = []
    /// Names of the ranks that were met: a handful.
    private var rankNames: [(rank: Double, name: String)] = []

    package init() {}

    /// Says that the records that follow are of the group and window of this one.
    package mutating func begin(_ record: AggregateRecord) {
        json.removeAll()
        json.beginObject()
        json.member("v", 1)
        json.member("topology", record.topology)
        json.member("revision", record.revision)
        json.member("operator", record.operatorName)
        json.key("group")
        record.group.write(to: &json, otherGroupCount: record.otherGroupCount)
        head = json.bytes
        json.removeAll()
        record.window.write(to: &json)
        json.member("state", "final")
        json.member("rev", record.rev)
        json.member("complete", record.complete)
        json.member("backfill", record.backfill)
        frame = json.bytes
    }

    /// The record's value, JSON.
    package mutating func encode(_ record: AggregateRecord) -> [UInt8] {
        json.removeAll()
        json.raw(head)
        if !record.column.isEmpty {
            json.member("column", record.column)
            json.member("role", record.role)
            json.member("kind", record.isNumeric ? "numeric" : "categorical")
        }
        json.raw(frame)
        record.write(to: &json, rankNames: &rankNames)
        json.endObject()
        return json.bytes
    }
}

extension AggregateRecord {
    /// The record's value, JSON; `AggregateEncoder` is for many.
    package func encoded() -> [UInt8] {
        var encoder = AggregateEncoder()
        encoder.begin(self)
        return encoder.encode(self)
    }

    /// What stands behind group and window.
    fileprivate func write(
        to json: inout JSONWriter, rankNames: inout [(rank: Double, name: String)]
    ) {
        json.key("rows")
        json.beginObject()
        json.member("total", rows.total)
        if !column.isEmpty {
            json.member("value", rows.value)
            json.member("null", rows.null)
            json.member("missing", rows.missing)
            json.member("wrong_type", rows.wrongType)
            json.member("non_finite", rows.nonFinite)
        }
        json.member("late", rows.late)
        if rows.quarantined != 0 { json.member("quarantined", rows.quarantined) }
        json.endObject()
        json.member("min", min)
        json.member("max", max)
        json.member("mean", mean)
        json.member("sd", sd)
        json.member("skewness", skewness)
        json.member("kurtosis", kurtosis)
        if let decayed { json.write(decayed) }
        if !correlations.isEmpty { json.write(correlations) }
        if let logLinear { json.write(logLinear) }
        if let counts { json.write(counts) }
        if let sample { json.write(sample) }
        if !quantiles.isEmpty {
            json.key("quantiles")
            json.beginObject()
            for (rank, value, isSingle) in quantiles where value.isFinite {
                let known = rankNames.firstIndex { $0.rank == rank }
                if known == nil { rankNames.append((rank, quantileName(rank))) }
                json.key(text: rankNames[known ?? rankNames.count - 1].name)
                if isSingle {
                    json.value(Float(value))
                } else {
                    json.value(value)
                }
            }
            json.endObject()
            if quantilesOverflow { json.member("quantiles_overflow", true) }
        }
        if let histogram {
            json.key("histogram")
            json.beginObject()
            json.member("edges", histogram.edges)
            json.member("under", histogram.under)
            json.write("counts", histogram.counts)
            json.member("over", histogram.over)
            json.endObject()
        }
        if let distinct {
            json.key("distinct")
            json.beginObject()
            json.member("estimate", distinct.estimate)
            json.member("lower", distinct.lower)
            json.member("upper", distinct.upper)
            json.endObject()
        }
        if let top {
            json.key("top")
            json.beginArray()
            for item in top {
                json.beginObject()
                json.key("value")
                json.value(utf8: item.value)
                json.member("count", item.count)
                json.member("lower", item.lower)
                json.member("upper", item.upper)
                json.endObject()
            }
            json.endArray()
        }
        if !drift.isEmpty {
            json.key("drift")
            json.beginArray()
            for entry in drift {
                json.beginObject()
                json.member("baseline", entry.baseline)
                json.member("n", entry.n)
                json.member("n_baseline", entry.nBaseline)
                json.write(entry.tests)
                json.endObject()
            }
            json.endArray()
        }
        if !verdicts.isEmpty {
            json.key("verdicts")
            json.beginArray()
            for verdict in verdicts {
                json.beginObject()
                json.member("monitor", verdict.monitor)
                if !verdict.baseline.isEmpty { json.member("baseline", verdict.baseline) }
                json.member("p", verdict.p)
                json.member("level", verdict.level)
                json.member("effect", verdict.effect)
                json.member("ignore_below", verdict.ignoreBelow)
                json.member("expected", verdict.expected)
                json.member("verdict", verdict.verdict.rawValue)
                if let learned = verdict.learned {
                    json.key("learned")
                    json.beginObject()
                    json.member("windows", learned.windows)
                    json.member("windows_needed", learned.windowsNeeded)
                    json.member("rows", learned.rows)
                    json.member("rows_needed", learned.rowsNeeded)
                    json.endObject()
                }
                json.endObject()
            }
            json.endArray()
        }
    }
}

extension AlertRecord {
    /// The alert's value: a CloudEvent's data, with the evidence inside.
    package func encoded() -> [UInt8] {
        var json = JSONWriter(capacity: 2048)
        json.beginObject()
        json.member("v", 1)
        json.member("id", id)
        json.member("state", transition.rawValue)
        json.member("topology", topology)
        json.member("revision", revision)
        if let owner { json.member("owner", owner) }
        if !labels.isEmpty {
            json.key("labels")
            json.beginObject()
            for (name, value) in labels {
                json.key(text: name)
                json.value(value)
            }
            json.endObject()
        }
        json.member("monitor", monitor)
        json.member("severity", severity)
        json.member("muted", mutedBy != nil)
        if let mutedBy { json.member("muted_by", mutedBy) }
        if let reason { json.member("reason", reason.rawValue) }
        json.member("summary", summary)
        if let description { json.member("description", description) }
        if let runbook { json.member("runbook", runbook) }
        json.member("operator", operatorName)
        json.key("group")
        group.write(to: &json, otherGroupCount: nil)
        json.member("column", column)
        json.member("test", test)
        json.member("value", value)
        json.member("threshold", threshold)
        json.member("direction", isAbove ? "above" : "below")
        json.member("p", p)
        json.member("level", level)
        window.write(to: &json)
        json.member("opened", openedMs)
        json.member("first_seen", firstSeenMs)
        json.member("backfill", backfill)
        json.member("n", n)
        json.member("n_baseline", nBaseline)
        json.member("baseline", baseline)
        if !tests.isEmpty { json.write(tests) }
        json.key("histogram")
        json.beginObject()
        if !edges.isEmpty {
            json.key("edges")
            json.beginArray()
            for edge in edges { json.value(edge) }
            json.endArray()
        }
        if !categories.isEmpty {
            json.key("categories")
            json.beginArray()
            for category in categories { json.value(category) }
            json.endArray()
        }
        json.write("current", current)
        json.write("baseline", reference)
        json.endObject()
        json.endObject()
        return json.bytes
    }

    /// CloudEvents 1.0 attributes, binary mode of the Kafka binding.
    package var headers: [(name: String, value: [UInt8])] {
        // Without a column it is about the group, or the source, as a whole.
        let subject =
            String(decoding: group.part, as: UTF8.self)
            + (column.isEmpty
                ? "" : "/" + String(decoding: percentEncoded(Array(column.utf8)), as: UTF8.self))
        return [
            ("ce_specversion", "1.0"), ("ce_id", eventId),
            ("ce_type", "tidemark.alert.\(transition.rawValue)"),
            ("ce_source", "tidemark/\(topology)"), ("ce_subject", subject),
            ("ce_time", timeText(window.endMs)), ("content-type", "application/json"),
        ].map { ($0.0, Array($0.1.utf8)) }
    }
}

/// The name of a quantile: 0.01 is `p01`, 0.5 `p50`, 0.999 `p99.9`.
///
/// - Precondition: `0 <= rank <= 1`.
package func quantileName(_ rank: Double) -> String {
    let percent = (rank * 1_000_000).rounded() / 10_000
    let whole = Int(percent)
    guard percent != Double(whole) else { return wholePercentNames[whole] }
    return (whole < 10 ? "p0" : "p") + "\(percent)"
}

/// `p00` to `p100`.
private let wholePercentNames = (0...100).map { $0 < 10 ? "p0\($0)" : "p\($0)" }

extension GroupValues {
    fileprivate func write(to json: inout JSONWriter, otherGroupCount: Int?) {
        json.beginObject()
        if isOther {
            json.member("other", true)
            if let otherGroupCount { json.member("groups", otherGroupCount) }
        }
        for (name, value) in dimensions {
            json.key(text: name)
            if let value { json.value(utf8: value) } else { json.null() }
        }
        json.endObject()
    }
}

extension Window {
    fileprivate func write(to json: inout JSONWriter) {
        json.key("window")
        json.beginObject()
        json.member("start", startMs)
        json.member("end", endMs)
        json.endObject()
    }
}

extension JSONWriter {
    fileprivate mutating func write(_ name: StaticString, _ counts: [Int64]) {
        key(name)
        beginArray()
        for count in counts { value(count) }
        endArray()
    }

    fileprivate mutating func write(_ decayed: DecayedRecord) {
        key("decayed")
        beginObject()
        member("half_life_ms", decayed.halfLifeMs)
        member("mean", decayed.mean)
        member("sd", decayed.sd)
        member("rate", decayed.rate)
        endObject()
    }

    fileprivate mutating func write(_ correlations: [CorrelationRecord]) {
        key("correlation")
        beginArray()
        for pair in correlations {
            beginObject()
            member("with", pair.with)
            member("n", pair.n)
            member("covariance", pair.covariance)
            member("correlation", pair.correlation)
            endObject()
        }
        endArray()
    }

    fileprivate mutating func write(_ histogram: LogLinearRecord) {
        key("log_linear")
        beginObject()
        member("bins_per_octave", 32)
        member("zero", Int64(clamping: histogram.zero))
        for (name, bins) in [("positive", histogram.positive), ("negative", histogram.negative)] {
            guard let bins else { continue }
            key(text: name)
            beginObject()
            member("first", bins.first)
            write("counts", bins.counts.map { Int64(clamping: $0) })
            endObject()
        }
        endObject()
    }

    fileprivate mutating func write(_ counts: ValueCounts) {
        key("counts")
        beginObject()
        key("values")
        beginArray()
        for item in counts.items {
            beginObject()
            key("value")
            value(utf8: item.value)
            member("count", item.count)
            endObject()
        }
        endArray()
        member("other", counts.other)
        endObject()
    }

    fileprivate mutating func write(_ sample: [SampledRow]) {
        key("sample")
        beginArray()
        for row in sample {
            beginObject()
            member("partition", row.partition)
            member("offset", row.offset)
            member("value", row.value)
            endObject()
        }
        endArray()
    }

    fileprivate mutating func write(_ tests: [TestRecord]) {
        key("tests")
        beginObject()
        for test in tests {
            key(text: test.name)
            beginObject()
            member("value", test.value)
            member("p", test.p)
            endObject()
        }
        endObject()
    }
}
