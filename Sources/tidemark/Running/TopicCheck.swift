import TidemarkDataflow
import TidemarkKafka
import TidemarkText

/// A needed topic beside what is there.
struct ComparedTopic {
    var need: TopicNeed
    var state: TopicState
    var findings: [TopicFinding]

    var isMissing: Bool { state == .missing }
    var hasProblem: Bool { findings.contains(where: \.isProblem) }
}

/// Compares the topics of a plan with the cluster's.
func compareTopics(_ needs: [TopicNeed], _ admin: KafkaAdmin) throws(ConnectorError)
    -> [ComparedTopic]
{
    let states = try admin.states(of: needs.map(\.name))
    let findings = TopicNeed.findings(needs, states)
    return needs.indices.map {
        ComparedTopic(need: needs[$0], state: states[$0], findings: findings[$0])
    }
}

/// Fails with all problems of the topics that a run would use, and the command that helps.
func checkTopics(
    _ needs: [TopicNeed],
    _ admin: KafkaAdmin,
    topologyPath: String
) throws(ConnectorError) {
    let compared = try compareTopics(needs, admin)
    let bad = compared.filter(\.hasProblem)
    guard !bad.isEmpty else { return }
    var lines: [String] = []
    for topic in bad {
        let what = "\(roleText(topic.need.role)) topic '\(topic.need.name)'"
        if topic.isMissing {
            lines.append(
                "\(what) does not exist at \(admin.brokers)"
                    + (topic.need.isOurs ? "" : ": its producers make it")
            )
            continue
        }
        for finding in topic.findings where finding.isProblem {
            lines.append("\(what) at \(admin.brokers): \(finding.text)")
        }
    }
    for topic in bad {
        for case .grant(let rights)? in topic.findings.map(\.change)
        where topic.findings[0].isProblem {
            throw ConnectorError(
                .environment,
                lines.joined(separator: "\n          "),
                hint: changeText(.grant(rights), topic.need, admin.brokers)
            )
        }
    }
    let canCreate = bad.contains { $0.isMissing && $0.need.isOurs }
    throw ConnectorError(
        .environment,
        lines.joined(separator: "\n          "),
        hint: "tidemark topics \(canCreate ? "create" : "check") \(topologyPath)"
    )
}

func roleText(_ role: TopicNeed.Role) -> String {
    switch role {
    case .source: "input"
    case .baselines: "baseline"
    case .aggregates, .sketches, .alerts, .destination, .deadLetters, .late, .quarantined: "output"
    case .state: "state"
    }
}

func changeText(
    _ change: TopicFinding.Change,
    _ need: TopicNeed,
    _ brokers: String
) -> String {
    switch change {
    case .create: "tidemark topics create"
    case .set(let setting):
        "kafka-configs.sh --bootstrap-server \(brokers) --alter --entity-type topics --entity-name \(need.name) --add-config \(setting)"
    case .grant(let rights):
        "kafka-acls.sh --bootstrap-server \(brokers) --add --allow-principal User:US \(rights.split(separator: " ").filter { $0 != "and" }.map { "--operation \($0)" }.joined(separator: " ")) --topic \(need.name)"
    }
}
