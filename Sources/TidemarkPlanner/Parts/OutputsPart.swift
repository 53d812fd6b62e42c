import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Topics that are written.
enum OutputsPart {
    static let aggregates = KeySpec(
        "aggregates", .any("a topic, or { topic, layout, sketches, columns }"),
        says: usual(of: "<name>").aggregates,
        off: true, shape: .either([.text, .part("aggregates"), .off]), "results of every window")
    static let alerts = KeySpec(
        "alerts", .text(lengthMax: 249), says: usual(of: "<name>").alerts, "alerts")
    static let deadLetters = KeySpec(
        "dead_letters", .text(lengthMax: 249), says: usual(of: "<name>").deadLetters,
        "records that can't be read")
    static let late = KeySpec(
        "late", .text(lengthMax: 249), says: "off", off: true, "rows that came too late")
    static let quarantined = KeySpec(
        "quarantined", .text(lengthMax: 249), says: "off", off: true,
        "rows too far ahead of the clock")
    static let audit = KeySpec("audit", .choice([]), says: "off", off: true, "only off for now")
    static let part = PartSpec(
        "outputs", path: "outputs", "topics that are written",
        [aggregates, alerts, deadLetters, late, quarantined, audit],
        example: "outputs: { late: churn-late }")

    /// Results of every window.
    enum Aggregates {
        static let topic = KeySpec(
            "topic", .text(lengthMax: 249), says: usual(of: "<name>").aggregates, "the topic")
        static let layout = Key(
            "layout",
            ValueType<String>.choice(
                ["narrow"],
                refused: [
                    "wide":
                        "a record of all columns is as large as they are many, and topics limit their records; `columns` leaves some out"
                ]), usual: "narrow", "a record a column")
        static let columns = KeySpec(
            "columns", .selector, says: "all",
            "columns whose results are published; the others are watched all the same")
        /// Its values depend on which sketches there are.
        static func sketches(_ names: [String]) -> KeySpec {
            KeySpec(
                "sketches", .list("a list of \(names.joined(separator: ", "))"), says: "[]",
                "bytes of sketches, on <topic>-sketches")
        }

        /// The part, if these sketches can be published.
        static func part(_ names: [String]) -> PartSpec {
            PartSpec(
                "aggregates", path: "outputs.aggregates", "results of every window",
                [topic, layout, sketches(names), columns],
                example: "aggregates: { topic: churn-aggregates, sketches: [kll] }")
        }
    }

    /// What holds where a topology of this name says nothing.
    private static func usual(of name: String) -> OutputsPlan {
        OutputsPlan(
            aggregates: "\(name)-aggregates", alerts: "\(name)-alerts",
            deadLetters: "\(name)-dead-letters", late: nil)
    }

    /// The outputs of a topology of this name; `sketches` are the kinds that can be published.
    static func read(
        _ top: Fields, name: String, sketches: [String], _ columns: [ColumnPlan]
    ) -> OutputsPlan {
        var plan = usual(of: name)
        guard let f = top.part(TopologyPart.outputs, part) else { return plan }
        if let node = f[aggregates] {
            readAggregates(node, sketches, columns, top.reading, into: &plan)
        }
        if let topic = f.topic(alerts) { plan.alerts = topic }
        if let topic = f.topic(deadLetters) { plan.deadLetters = topic }
        if !f.isOff(late), let topic = f.topic(late) { plan.late = topic }
        if !f.isOff(quarantined), let topic = f.topic(quarantined) { plan.quarantined = topic }
        if let node = f[audit], !node.isOff {
            top.reading.say(
                "later", at: node.place,
                "an audit topic is refused: the fate of every record is counted, and what is set aside has topics",
                expected: "off, with `dead_letters`, `late` and `quarantined`",
                suggestion: "delete the line")
        }
        return plan
    }

    private static func readAggregates(
        _ node: Node, _ names: [String], _ columns: [ColumnPlan], _ reading: Reading,
        into plan: inout OutputsPlan
    ) {
        if node.isOff {
            plan.aggregates = nil
        } else if node.entries != nil {
            guard let f = reading.fields(node, Aggregates.part(names), what: "`aggregates`") else {
                return
            }
            if let topic = f.topic(Aggregates.topic) { plan.aggregates = topic }
            _ = f.value(Aggregates.layout)
            if let node = f[Aggregates.columns],
                let (picked, _) = Selector.read(node, columns: columns, reading: reading)
            {
                plan.published = Set(picked.map { columns[$0].name })
            }
            if let list = f[Aggregates.sketches(names)], !list.isOff {
                plan.sketches = sketches(list, names, reading)
            }
        } else if let text = reading.text(node, expected: "a topic") {
            plan.aggregates = reading.topic(text, at: node.place) ?? plan.aggregates
        }
    }

    /// No two outputs go to one topic, and none to what is read.
    static func check(_ plan: OutputsPlan, _ top: Fields, _ source: SourcePlan) {
        let reading = top.reading
        guard
            let place = top[TopologyPart.outputs]?.place
                ?? (plan.destinations.isEmpty ? nil : top[TopologyPart.alerts]?.place)
        else { return }
        var seen: Set<String> = []
        for topic in plan.topics where !seen.insert(topic).inserted {
            reading.say(
                "output-twice", at: place, "two outputs go to \(shown(topic))",
                expected: "a topic each", suggestion: "other names")
        }
        for topic in plan.topics where source.topics.contains(topic) {
            reading.say(
                "output-is-source", at: place, "\(shown(topic)) is read and written: a loop",
                expected: "another topic", suggestion: "`\(topic)-out`")
        }
    }

    private static func sketches(
        _ node: Node, _ names: [String], _ reading: Reading
    ) -> Set<OutputsPlan.SketchOutput> {
        var found: Set<OutputsPlan.SketchOutput> = []
        for item in reading.list(
            node, what: "a list of " + names.joined(separator: ", "), orOne: true, countMax: 16)
        {
            guard let text = reading.text(item, expected: "a sketch") else { continue }
            if names.contains(text) {
                found.insert(OutputsPlan.SketchOutput(rawValue: text))
            } else {
                reading.say(
                    "unknown-word", at: item.place, "\(shown(text)) is not known here",
                    expected: alternatives(names),
                    suggestion: nearest(text, names).map { "`\($0)`" })
            }
        }
        return found
    }

    /// What the plan's JSON says of outputs.
    static func facts(_ plan: OutputsPlan) -> JSONValue {
        .object(
            [
                ("aggregates", .maybe(plan.aggregates)),
                ("sketches", .texts(plan.sketches.map(\.rawValue).sorted())),
                ("sketches_topic", .maybe(plan.sketchesTopic)), ("alerts", .text(plan.alerts)),
                ("dead_letters", .text(plan.deadLetters)), ("late", .maybe(plan.late)),
                ("quarantined", .maybe(plan.quarantined)),
            ] + (plan.published.map { [("columns", .texts($0.sorted()))] } ?? []))
    }
}
