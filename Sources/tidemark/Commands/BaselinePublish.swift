import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkMonitors
import TidemarkTelemetry
import TidemarkText

/// `tidemark baseline publish`: writes a baseline to the topic that a topology follows.
func publishBaseline(_ path: String, _ invocation: Invocation) throws(UsageError) -> Int32 {
    guard let topology = invocation.value("--topology") else {
        throw UsageError(
            message: "`baseline publish` needs the topology that follows the topic",
            hint: "tidemark baseline publish \(path) --topology TOPOLOGY")
    }
    guard let (plan, _) = handPlan(topology, invocation) else { return ExitCode.topology }
    let followed = plan.stream.baselines.indices.filter { plan.stream.baselines[$0].topic != nil }
    let names = followed.map { plan.stream.baselines[$0].name }
    let wanted = invocation.value("--name")
    guard
        let index = followed.first(where: {
            wanted == nil ? followed.count == 1 : plan.stream.baselines[$0].name == wanted
        }), let target = plan.stream.baselines[index].topic
    else {
        throw UsageError(
            message: names.isEmpty
                ? "no baseline of \(topology) is read from a topic"
                : "which baseline of \(topology) is meant?",
            hint: names.isEmpty
                ? "baselines: { training: { topic: baselines, key: NAME } }"
                : "--name " + names.joined(separator: ", or --name "))
    }
    do throws(BaselineTable.Problem) {
        let bytes = try readWholeFile(path)
        let table = try BaselineTable(bytes: bytes)
        try table.checkFit(plan.stream, baseline: index)
        do throws(ConnectorError) {
            let client = try handClient(plan)
            defer { client.close(withinMs: 2000) }
            try put(bytes, target, client)
        } catch {
            return printFailure(error)
        }
        printOut(
            "\(path) (\(table.contentHash.prefix(12))) is now the newest record of \(target.topic) under"
                + " the key \(target.key)\n")
        return ExitCode.done
    } catch {
        printError("tidemark: \(path) \(error.message)\n")
        return ExitCode.environment
    }
}

private func put(
    _ bytes: [UInt8], _ target: TopicBaselinePlan, _ client: KafkaClient
) throws(ConnectorError) {
    let sink = try client.sink()
    defer { sink.close(withinMs: 2000) }
    try sink.check(topics: [target.topic])
    let record = OutputRecord(
        topic: target.topic, key: Array(target.key.utf8), value: bytes)
    while !(try sink.produce(record)) { try sink.service(timeoutMs: 100) }
    while sink.outstandingCount > 0 { try sink.service(timeoutMs: 100) }
}
