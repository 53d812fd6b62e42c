import TidemarkDataflow
import TidemarkText
import TidemarkTopology

/// Outputs, limits and how it runs.
extension Resolver {
    func outputs(_ top: Fields, name: String, source: SourcePlan) -> OutputsPlan {
        var plan = OutputsPlan(
            aggregates: "\(name)-aggregates", alerts: "\(name)-alerts",
            deadLetters: "\(name)-dead-letters", late: nil)
        guard let node = top["outputs"],
            let f = reading.fields(node, Spec.outputs, what: "`outputs`")
        else { return plan }
        if let node = f["aggregates"] {
            if node.isOff {
                plan.aggregates = nil
            } else if node.entries != nil {
                if let a = reading.fields(node, Spec.aggregates, what: "`aggregates`") {
                    if let topic = reading.topic(a, "topic") { plan.aggregates = topic }
                    _ = reading.choice(a, "layout")
                    if let list = a["sketches"], !list.isOff { plan.sketches = sketches(list) }
                }
            } else if let text = reading.text(node, expected: "a topic") {
                plan.aggregates = reading.topic(text, at: node.place) ?? plan.aggregates
            }
        }
        if let topic = reading.topic(f, "alerts") { plan.alerts = topic }
        if let topic = reading.topic(f, "dead_letters") { plan.deadLetters = topic }
        if !f.isOff("late"), let topic = reading.topic(f, "late") { plan.late = topic }
        if !f.isOff("quarantined"), let topic = reading.topic(f, "quarantined") {
            plan.quarantined = topic
        }
        if let node = f["audit"], !node.isOff {
            reading.say(
                "later", at: node.place, "the audit topic comes in a later version",
                expected: "off", suggestion: "delete the line")
        }
        var seen: Set<String> = []
        for topic in plan.topics where !seen.insert(topic).inserted {
            reading.say(
                "output-twice", at: node.place, "two outputs go to \(shown(topic))",
                expected: "a topic each", suggestion: "other names")
        }
        for topic in plan.topics where source.topics.contains(topic) {
            reading.say(
                "output-is-source", at: node.place, "\(shown(topic)) is read and written: a loop",
                expected: "another topic", suggestion: "`\(topic)-out`")
        }
        return plan
    }

    private func sketches(_ node: Node) -> Set<OutputsPlan.SketchOutput> {
        var found: Set<OutputsPlan.SketchOutput> = []
        let names = OutputsPlan.SketchOutput.allCases.map(\.rawValue)
        for item in reading.list(
            node, what: "a list of " + names.joined(separator: ", "), orOne: true, countMax: 16)
        {
            guard let text = reading.text(item, expected: "a sketch") else { continue }
            if let sketch = OutputsPlan.SketchOutput(rawValue: text) {
                found.insert(sketch)
            } else {
                reading.say(
                    "unknown-word", at: item.place, "\(shown(text)) is not known here",
                    expected: alternatives(names),
                    suggestion: nearest(text, names).map { "`\($0)`" })
            }
        }
        return found
    }

    func limits(_ top: Fields) -> Limits {
        var limits = Limits()
        guard let node = top["limits"],
            let f = reading.fields(node, Spec.limits, what: "`limits`")
        else { return limits }
        if let bytes = reading.size(f, "memory") { limits.memoryBytes = Int(bytes) }
        if let ms = reading.duration(f, "max_reread") { limits.maxRereadMs = ms }
        if f.isOff("bad_rows") {
            limits.badRowShare = nil
        } else if let share = reading.share(f, "bad_rows") {
            limits.badRowShare = share
        }
        if let bytes = reading.size(f, "record") { limits.recordBytes = Int(bytes) }
        limits.memory = MemorySplit(memoryBytes: limits.memoryBytes)
        return limits
    }

    func run(_ top: Fields) -> RunSettings {
        var settings = RunSettings()
        guard let node = top["run"], let f = reading.fields(node, Spec.run, what: "`run`") else {
            return settings
        }
        if let word = reading.choice(f, "delivery"),
            let delivery = RunSettings.Delivery(rawValue: word)
        {
            settings.delivery = delivery
        }
        _ = reading.choice(f, "merge")
        if let ms = reading.duration(f, "commit") { settings.commitMs = ms }
        if let node = f["workers"], node.text != "auto" {
            let spec = FieldSpec("workers", .count(1...1024), "threads")
            settings.workers = reading.scalar(node, spec, Reading.count).map(Int.init)
        }
        if let count = reading.count(f, "batch_rows") { settings.batchRows = Int(count) }
        if let ms = reading.duration(f, "stop_within") { settings.stopWithinMs = ms }
        return settings
    }
}
