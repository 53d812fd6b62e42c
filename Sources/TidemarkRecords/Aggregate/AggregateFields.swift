import TidemarkCore
package import TidemarkText

/// The table of fields of the aggregates topic.
///
/// It is in four parts, since the first and the third are the same for all records of a group and window
/// (`AggregateEncoder` writes them once).
extension AggregateRecord: RecordFields {
    /// The record's value, JSON; `AggregateEncoder` is for many.
    package func encoded() -> [UInt8] { written() }

    package static var blank: AggregateRecord {
        AggregateRecord(
            topology: "", revision: "", operatorName: "",
            group: .init(dimensions: []), column: "", role: "", isNumeric: false,
            window: .blank, rev: 0, complete: true, backfill: false)
    }

    /// Whether a value means to be such a record: no other has counts of rows.
    package static func isLike(_ value: JSONValue) -> Bool { value["rows"] != nil }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == AggregateRecord {
        groupFields(&v)
        columnFields(&v)
        windowFields(&v)
        valueFields(&v)
    }

    /// Whose rows they are.
    @inline(__always)
    static func groupFields<V: FieldVisitor>(_ v: inout V) where V.Record == AggregateRecord {
        v.version(1)
        v.field("topology", \.topology, "name of the topology")
        v.field(
            "revision", \.revision,
            "hash of all of the topology that can change a result, 16 hex digits")
        v.field("operator", \.operatorName, "the segment's name")
        v.field(
            "group", \.countedGroup,
            "the values of the segment's dimensions; null where rows have none. Groups beyond the segment's limit are together `{\"other\": true, \"groups\": how many}`"
        )
    }

    /// Which column it is, if it is one.
    @inline(__always)
    static func columnFields<V: FieldVisitor>(_ v: inout V) where V.Record == AggregateRecord {
        v.field(
            "column", \.column, when: "of a column", if: { !$0.column.isEmpty },
            "its name; absent in the record of a group as a whole (`-` in the key), which is published where a volume monitor watches"
        )
        v.word(
            "role", \.role,
            of: [
                "feature", "score", "class", "label", "model", "version", "environment",
                "segment", "id", "attribute", "weight", "time", "rule",
                "metric",
            ], when: "of a column", if: { !$0.column.isEmpty }, "what the schema declares it as")
        v.field(
            "kind", \.kind, when: "of a column", if: { !$0.column.isEmpty },
            "whether its values are numbers or texts")
    }

    /// Which window it is, and how it came to be published.
    @inline(__always)
    static func windowFields<V: FieldVisitor>(_ v: inout V) where V.Record == AggregateRecord {
        v.field("window", \.window, "the rows' event time lies in it")
        v.derived(
            "state", shape: .constant(.text("final")),
            help: "the window is over: what comes later is late", { _ in "final" })
        v.field(
            "rev", \.rev, "how often the window was published before, if it was incomplete then")
        v.field(
            "complete", \.complete,
            "false: the input ended, or began, within the window, or it went on without a partition that could not be read"
        )
        v.field(
            "backfill", \.backfill, "the window was long over when its first row was read")
    }

    /// What the rows came to.
    @inline(__always)
    static func valueFields<V: FieldVisitor>(_ v: inout V) where V.Record == AggregateRecord {
        v.object(
            "rows",
            help:
                "`total` = `value` + `null` + `missing` + `wrong_type` + `non_finite`; of a group as a whole `total` and `late`"
        ) { v in
            v.field("total", \.rows.total, "all rows of the group in the window")
            v.field(
                "value", \.rows.value, when: "of a column", if: { !$0.column.isEmpty },
                "rows whose value could be used")
            v.field(
                "null", \.rows.null, when: "of a column", if: { !$0.column.isEmpty },
                "rows that say null, or a text that stands for null")
            v.field(
                "missing", \.rows.missing, when: "of a column", if: { !$0.column.isEmpty },
                "rows without the field")
            v.field(
                "wrong_type", \.rows.wrongType, when: "of a column", if: { !$0.column.isEmpty },
                "rows with a value of another type, or a fraction in a column of integers")
            v.field(
                "non_finite", \.rows.nonFinite, when: "of a column", if: { !$0.column.isEmpty },
                "rows with NaN or an infinity")
            v.field(
                "late", \.rows.late,
                "rows that came too late for all windows of this length, counted in the window that the watermark was in when they came, and not in `total`"
            )
            v.field(
                "quarantined", \.rows.quarantined, when: "where there are some",
                if: { $0.rows.quarantined != 0 },
                "rows too far ahead of the reference clock, counted where late ones are")
        }
        v.field("min", \.min, when: "of numbers, where asked for", "the smallest value")
        v.field("max", \.max, when: "of numbers, where asked for", "the greatest value")
        v.field("mean", \.mean, when: "of numbers, where asked for", "the mean of the values")
        v.field(
            "sd", \.sd, when: "of numbers, where asked for",
            "the standard deviation, which divides by n − 1; absent for a single value")
        v.parts(\.parts)
        v.field(
            "quantiles", \.quantiles, when: "where asked for", if: { !$0.quantiles.isEmpty },
            "by name (`p01`, `p50`, `p99.9`) the smallest value whose rank reaches q, within 1.33% of rank; never outside `min` and `max`. Of the default sketch an f32 by its shortest digits: within 6e-8 of a value"
        )
        v.declare(
            "quantiles_overflow", \.quantilesOverflow, unit: nil, shape: .constant(.boolean(true)),
            presence: "where there are such values",
            isPresent: { $0.quantilesOverflow && !$0.quantiles.isEmpty },
            help:
                "there are values beyond ±3.4e38, which that sketch takes for its largest: quantiles among them are `max` or `min`"
        )
        v.field(
            "histogram", \.histogram, when: "where edges are known",
            "counts between fixed edges")
        v.field(
            "distinct", \.distinct, when: "where asked for", "about how many different texts came")
        v.field(
            "top", \.top, when: "where asked for", "the most frequent texts, that first")
        v.field("metric", \.metric, when: "of a metric", "what it came to")
        v.field(
            "drift", \.drift, when: "where it was tested", if: { !$0.drift.isEmpty },
            "tests against each baseline")
        v.field(
            "verdicts", \.verdicts, when: "where a monitor watches", if: { !$0.verdicts.isEmpty },
            "what each monitor makes of the window")
    }

    /// What a column's values are.
    enum Kind: String, FieldWord {
        case numeric, categorical
    }

    private var kind: Kind {
        @inline(__always) get { isNumeric ? .numeric : .categorical }
        set { isNumeric = newValue == .numeric }
    }

    private var countedGroup: CountedGroup {
        @inline(__always) get { CountedGroup(values: group, otherGroupCount: otherGroupCount) }
        set { (group, otherGroupCount) = (newValue.values, newValue.otherGroupCount) }
    }
}
