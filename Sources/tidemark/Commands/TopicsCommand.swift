import Glibc
import TidemarkCodec
import TidemarkDataflow
import TidemarkKafka
import TidemarkPlanner
import TidemarkTelemetry
import TidemarkText
import TidemarkTopology

/// A client for a verb that works by hand on the topology's cluster.
func handClient(_ plan: Plan) throws(ConnectorError) -> KafkaClient {
    try KafkaClient(
        settings: plan.kafka,
        app: plan.app,
        source: plan.stream.source,
        limits: plan.limits,
        workers: 1,
        time: SystemTime(),
        log: Log(time: SystemTime(), level: .error),
        telemetry: Telemetry()
    )
}

/// The plan of a verb's topology, with its findings printed if it has none; and the hash of what
/// shapes its data.
func handPlan(_ path: String, _ invocation: Invocation) -> (plan: Plan, dataHash: String)? {
    let result = planTopology(path, invocation)
    let shown = result.diagnostics.filter { $0.severity == .error }
    printError(report(shown, overrides: invocation.values("--set"), format: "text"))
    return result.plan.map { ($0, result.dataHash) }
}

/// `tidemark topics check|create TOPOLOGY`.
func topicsCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let action = invocation.arguments[0]
    guard action == "check" || action == "create" else {
        throw UsageError(
            message: "`topics` does not know `\(action)`",
            hint:
                "tidemark topics \(nearest(action, ["check", "create"]) ?? "check") TOPOLOGY"
        )
    }
    guard invocation.arguments.count == 2 else {
        throw UsageError(
            message: "`topics \(action)` needs TOPOLOGY",
            hint: "tidemark topics \(action) TOPOLOGY"
        )
    }
    let replicas = try invocation.count("--replication")
    let partitions = try invocation.count("--partitions")
    guard let (plan, _) = handPlan(invocation.arguments[1], invocation) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        let suffix = invocation.value("--suffix")
        let needs =
            suffix == nil ? plan.neededTopics : ShadowOutputs.needs(plan, suffix: suffix)
        var compared = try compareTopics(needs, client.admin)
        var notes: [String: String] = [:]
        if action == "create" {
            let isDry = invocation.has("--dry-run")
            for topic in compared where topic.isMissing && topic.need.isOurs {
                var settings = topic.need.creationSettings
                if let replicas, replicas > 2 {
                    settings.append(TopicSetting("min.insync.replicas", "\(replicas - 1)"))
                }
                let isSplit = topic.need.role == .aggregates || topic.need.role == .sketches
                let problem = try client.admin.create(
                    topic.need.name,
                    partitions: isSplit
                        ? partitions ?? topic.need.partitionCount : topic.need.partitionCount,
                    replicas: replicas,
                    settings: settings,
                    onlyValidate: isDry
                )
                notes[topic.need.name] =
                    problem.map { "could not be made: \($0)" }
                    ?? (isDry ? "would be made" : "made")
            }
            if !isDry, !notes.isEmpty { compared = try settled(needs, client.admin, notes) }
        }
        printOut(
            invocation.has("--json")
                ? topicsJSON(compared, notes) : topicsText(compared, notes, client.admin.brokers)
        )
        let isBad = compared.contains { topic in
            topic.hasProblem && notes[topic.need.name] != "would be made"
        }
        return isBad ? ExitCode.findings : ExitCode.done
    } catch {
        return printFailure(error)
    }
}

/// Asks again until what was made is seen, for a few seconds at most.
private func settled(
    _ needs: [TopicNeed],
    _ admin: KafkaAdmin,
    _ notes: [String: String]
) throws(ConnectorError) -> [ComparedTopic] {
    var compared = try compareTopics(needs, admin)
    for _ in 0..<50
    where compared.contains(where: { $0.isMissing && notes[$0.need.name] == "made" }) {
        sleepMs(100)
        compared = try compareTopics(needs, admin)
    }
    return compared
}

func sleepMs(_ ms: Int) { usleep(UInt32(1000 * ms)) }

private func needText(_ need: TopicNeed) -> String {
    var words: [String] = []
    if need.isOurs {
        words.append("\(need.partitionCount) partition\(need.partitionCount == 1 ? "" : "s")")
    }
    switch need.cleanup {
    case .uncompacted: words.append("not compacted")
    case .any, .delete: words.append("cleanup.policy=delete")
    case .compact: words.append("cleanup.policy=compact")
    }
    words += need.settings.map(\.description)
    if let ms = need.rereadMs { words.append("retention.ms over \(ms)") }
    if let ms = need.openMs { words.append("compacted, or retention.ms from \(ms)") }
    if let bytes = need.batchBytes { words.append("max.message.bytes from \(bytes + 50_000)") }
    return words.joined(separator: ", ")
}

private let shownSettings = [
    "cleanup.policy", "retention.ms", "min.insync.replicas", "max.message.bytes",
    "message.timestamp.type",
]

private func stateText(_ state: TopicState) -> String {
    switch state {
    case .missing: return "nothing"
    case .denied: return "unknown"
    case .present(let partitions, let replicas, let settings):
        let shown = shownSettings.compactMap { name in
            settings?[name].map { "\(name)=\($0)" }
        }
        return (["\(partitions) partition\(partitions == 1 ? "" : "s") × \(replicas)"] + shown)
            .joined(separator: ", ")
    }
}

private func topicsText(
    _ compared: [ComparedTopic],
    _ notes: [String: String],
    _ brokers: String
) -> String {
    var text = ""
    for topic in compared {
        let note = notes[topic.need.name]
        text +=
            "\(topic.need.name)  (\(topic.need.role.rawValue))  \(note ?? (topic.hasProblem ? "problem" : "ok"))\n"
        text += "    there   \(stateText(topic.state))\n"
        text += "    needed  \(needText(topic.need))\n"
        for finding in topic.findings where note == nil || !topic.isMissing {
            text += "    \(finding.isProblem ? "problem" : "note   ") \(finding.text)\n"
            if let change = finding.change {
                text += "    change  \(changeText(change, topic.need, brokers))\n"
            }
        }
    }
    return text
}

private func topicsJSON(_ compared: [ComparedTopic], _ notes: [String: String]) -> String {
    var json = JSONWriter()
    json.beginObject()
    json.key("topics")
    json.objects(compared) { json, topic in
        json.member("name", topic.need.name)
        json.member("role", topic.need.role.rawValue)
        json.member("there", stateText(topic.state))
        json.member("needed", needText(topic.need))
        if let note = notes[topic.need.name] { json.member("outcome", note) }
        json.key("problems")
        json.beginArray()
        for finding in topic.findings where finding.isProblem { json.value(finding.text) }
        json.endArray()
        json.key("notes")
        json.beginArray()
        for finding in topic.findings where !finding.isProblem { json.value(finding.text) }
        json.endArray()
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self) + "\n"
}
