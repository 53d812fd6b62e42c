import TidemarkCore
package import TidemarkText

/// The table of fields of the alerts topic: a CloudEvent's data, with the evidence inside.
extension AlertRecord: RecordFields {
    /// The record's value, JSON.
    package func encoded() -> [UInt8] { written() }

    package static var blank: AlertRecord {
        AlertRecord(
            id: "", eventId: "", transition: .firing, topology: "", revision: "", monitor: "",
            severity: "", summary: "", operatorName: "", group: GroupValues(dimensions: []),
            column: "", test: "", threshold: 0, window: .blank, openedMs: 0, firstSeenMs: 0,
            backfill: false, n: 0, nBaseline: 0, baseline: "")
    }

    /// Whether a value means to be such a record.
    package static func isLike(_ value: JSONValue) -> Bool {
        value["monitor"] != nil && value["state"] != nil
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == AlertRecord {
        v.version(1)
        v.field(
            "id", \.id,
            "hash of monitor, group, column and opening window: the same until the alert resolves")
        v.field(
            "state", \.transition,
            "`firing`; `no_data`: nothing comes, the firing of a freshness monitor; `resolved`")
        v.field("topology", \.topology, "name of the topology")
        v.field(
            "revision", \.revision,
            "hash of all of the topology that can change a result, 16 hex digits")
        v.field("owner", \.owner, when: "where the topology names one", "who answers for it")
        v.field(
            "labels", \.labelFields, when: "where the topology has some",
            if: { !$0.labels.isEmpty }, "the topology's labels, in its order")
        v.field("monitor", \.monitor, "the monitor's name in the topology")
        v.word(
            "severity", \.severity, of: ["page", "warn", "info"], "how loud the monitor is")
        v.derived(
            "muted", shape: .flag, help: "published, and nobody is to be paged",
            { $0.mutedBy != nil })
        v.word(
            "muted_by", \.mutedBy, of: ["backfill", "cool_down", "grouped", "planned"],
            when: "where it is muted",
            "`backfill`: the window was over for longer than the monitor's `max_age` (1h) when its first row was read, as after an outage or in a replay. `cool_down`: the alert resolved less than `cool_down` (1h of event time) before, so that one that flaps pages once. `grouped`: another alert of the model speaks for it (`alerts.group`). `planned`: the window lies in a time of `alerts.mute`; an alert that goes on after it fires once more, not muted. The resolution of a muted alert is muted too"
        )
        v.field(
            "reason", \.reason, when: "where no window cleared it",
            "why it resolved: `expired` (no verdict for `resolve_after`, a week by default: the group is gone, or too small to be judged), `learned` (what differed from a trailing baseline for so long is what is usual now), `changed` (the topology was edited or positions were set by hand: a new state epoch does not go on with it)"
        )
        v.field("summary", \.summary, "one line for a person: what, where, how much")
        v.field(
            "description", \.description, when: "where the topology has one",
            "what the monitor's author says of it, else what the topology's says of the whole")
        v.field("runbook", \.runbook, when: "where the monitor has one", "a link")
        v.field(
            "operator", \.operatorName,
            "the segment's name; empty where the alert is about the source as a whole")
        v.field(
            "group", \.group,
            "whose rows it is about, as in the aggregates; without dimensions where it is about the source"
        )
        v.field(
            "column", \.column,
            "the column that differs; empty for volume, freshness and the source")
        v.field(
            "test", \.test,
            "the test that decides on size; `volume`, `freshness`, or the word for a condition of the source"
        )
        v.field(
            "value", \.value, when: "where something was measured",
            "in the test's own unit; of freshness seconds, of `bad_rows` a share")
        v.field("threshold", \.threshold, "the bound that `value` is held against")
        v.field(
            "effect", \.effect, when: "where a size is bounded",
            "the size of the difference, as in the verdicts of aggregates; `threshold` bounds it, but of volume it is a share"
        )
        v.field(
            "usual", \.usual, when: "where the cells have names",
            "what the baseline holds, in the column's own terms: the middle half of the numbers, or the most frequent values"
        )
        v.field(
            "now", \.now, when: "where the cells have names", "what the window holds, likewise")
        v.field(
            "changes", \.changes, when: "where the cells have names", if: { !$0.changes.isEmpty },
            "the cells that differ most, the largest difference first; at most five")
        v.field(
            "members", \.members, when: "where it speaks for others", if: { !$0.members.isEmpty },
            "the alerts of the model that fired in the same window, the largest first, itself among them; at most a hundred"
        )
        v.field(
            "lead", \.lead, when: "where another one speaks for it", "the id of that alert")
        v.field(
            "routes", \.routes, when: "where a route takes it", if: { !$0.routes.isEmpty },
            "names of the destinations that it goes to as well")
        v.field("direction", \.direction, "the side of the threshold on which the alert fires")
        v.field(
            "p", \.p, unit: .share, when: "where significance was tested",
            "that of the test for significance")
        v.field(
            "level", \.level, unit: .share, when: "where the alert budget is on",
            "the p that had to be reached")
        v.field(
            "window", \.window,
            "that which made the transition. Of freshness it reaches from the end of the last pane with a row to the end of the pane that said so, or (`resolved`) to the start of the one with the next row"
        )
        v.field(
            "opened", \.openedMs, unit: .timeMs, "start of the window that opened the alert")
        v.field(
            "first_seen", \.firstSeenMs, unit: .timeMs, "end of that window: when it was first seen"
        )
        v.field("backfill", \.backfill, "the window was long over when its first row was read")
        v.field(
            "n", \.n, "values of the window that were compared; its rows where volume is watched")
        v.field(
            "n_baseline", \.nBaseline, "values or rows of the baseline; 0: there is none")
        v.field("baseline", \.baseline, "as verdicts name it; empty: there is none")
        v.field(
            "tests", \.tests, when: "where some were run", if: { !$0.tests.isEmpty },
            "by the name of a test its outcome, the one that decides among them")
        v.object("histogram", help: "the evidence: rows by cell, then and now") { v in
            v.field(
                "edges", \.edges, when: "of numbers", if: { !$0.edges.isEmpty },
                "bounds of the cells, ascending")
            v.field(
                "categories", \.categories, when: "of texts whose names are known",
                if: { !$0.categories.isEmpty }, "names of the cells")
            v.field(
                "current", \.current,
                "rows of the window by cell: bins, or categories and then all others")
            v.field("baseline", \.reference, "rows of the baseline, cell by cell")
        }
    }

    /// On which side of the threshold an alert fires.
    enum Direction: String, FieldWord {
        case above, below
    }

    private var direction: Direction {
        get { isAbove ? .above : .below }
        set { isAbove = newValue == .above }
    }

    private var labelFields: [Label] {
        get { labels.map { Label(name: $0.name, value: $0.value) } }
        set { labels = newValue.map { ($0.name, $0.value) } }
    }

    /// A list of labels is an object of texts.
    struct Label: FieldElement {
        var name: String
        var value: String

        static func listShape() -> FieldShape { .map(.text, names: nil) }

        static func write(_ list: [Label], to json: inout JSONWriter) {
            json.beginObject()
            for label in list {
                json.key(text: label.name)
                json.value(label.value)
            }
            json.endObject()
        }

        static func readList(_ json: JSONValue) throws(RecordError) -> [Label] {
            guard let members = json.asObject else { throw .wrongType("", expected: "an object") }
            var labels: [Label] = []
            for (name, value) in members {
                guard let text = value.asText else { throw .wrongType(name, expected: "a text") }
                labels.append(Label(name: name, value: text))
            }
            return labels
        }
    }
}
