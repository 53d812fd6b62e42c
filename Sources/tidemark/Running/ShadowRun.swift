import TidemarkCore
import TidemarkDataflow

/// The topics of a shadow: aggregates and sketches under other names, and nothing else.
///
/// A shadow reads beside a live process and disturbs nothing of it: it commits no position, takes no
/// transactional id, writes no state, no alert, no dead letter and no late row.
struct ShadowOutputs {
    /// The name of each output topic that is written.
    let names: [String: String]

    /// `suffix` is appended to names of topics; empty in a directory of files.
    init(_ plan: Plan, suffix: String) {
        var names: [String: String] = [:]
        for topic in [plan.outputs.aggregates, plan.outputs.sketchesTopic].compactMap(\.self) {
            names[topic] = topic + suffix
        }
        self.names = names
    }

    /// What a shadow needs on the cluster.
    static func needs(_ plan: Plan, suffix: String?) -> [TopicNeed] {
        plan.neededTopics.compactMap { need in
            guard need.isOurs else { return need }
            guard let suffix, need.role == .aggregates || need.role == .sketches else { return nil }
            var need = need
            need.name += suffix
            return need
        }
    }
}

/// Passes on what a shadow may publish; the rest ends here, counted by the engine like any output.
///
/// The coordinator is the only caller.
final class ShadowSink: Sink {
    private let outputs: ShadowOutputs
    /// `nil`: nothing is published anywhere.
    private let inner: (any Sink)?

    init(_ outputs: ShadowOutputs, inner: (any Sink)?) {
        self.outputs = outputs
        self.inner = inner
    }

    func check(topics: [String]) throws(ConnectorError) {
        try inner?.check(topics: topics.compactMap { outputs.names[$0] })
    }

    func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        guard let inner, let name = outputs.names[record.topic] else { return true }
        var record = record
        record.topic = name
        return try inner.produce(record)
    }

    func service(timeoutMs: Int) throws(ConnectorError) { try inner?.service(timeoutMs: timeoutMs) }

    var outstandingCount: Int { inner?.outstandingCount ?? 0 }

    func close(withinMs: Int64) { inner?.close(withinMs: withinMs) }
}
