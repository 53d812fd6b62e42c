import TidemarkCore

/// A checked topology: what the runtime runs and the operators compute.
///
/// The planner makes it from YAML; a test may make it by hand. Everything in it is resolved:
/// columns are indices, durations are milliseconds, every default is filled in.
package struct Plan: Sendable {
    package var name: String
    /// Consumer group, transactional id, prefix of internal topics.
    package var app: String
    /// Hash of everything below that can change a result or an alert, 16 hex digits.
    package var revision: String
    package var owner: String?
    package var description: String?
    package var labels: [(name: String, value: String)] = []
    package var kafka = KafkaSettings()
    package var stream: StreamPlan
    package var outputs: OutputsPlan
    package var limits = Limits()
    package var run = RunSettings()

    /// What the application's state topic is called, whether or not it needs one.
    package var stateTopicName: String { "\(app)-state" }

    /// The compacted topic of entry state; `nil` where nothing outlives a window.
    package var stateTopic: String? {
        stream.monitors.contains(where: \.alerts) || !stream.freshness.isEmpty || mayNeedSnapshots
            || stream.baselines.contains { $0.learning != nil }
            ? stateTopicName : nil
    }

    /// A window may stay open for longer than what a restart should read again.
    package var mayNeedSnapshots: Bool {
        let longest = stream.windows.map(\.lengthMs).max() ?? 0
        return longest + rereadFloorMs > limits.maxRereadMs
    }

    /// What is read again at least: the rows of panes that are not sealed everywhere yet.
    package var rereadFloorMs: Int64 {
        stream.paneMs + stream.source.outOfOrdernessMs + (stream.source.alignmentMs ?? 0)
    }

    package init(
        name: String, app: String, revision: String, stream: StreamPlan, outputs: OutputsPlan
    ) {
        self.name = name
        self.app = app
        self.revision = revision
        self.stream = stream
        self.outputs = outputs
    }
}

/// How to reach the cluster.
///
/// `brokers` and secrets are references until `resolve` is called, so that a plan can be printed
/// and hashed.
package struct KafkaSettings: Sendable {
    package var brokers: String = "localhost:9092"
    package var tls: TLS?
    package var sasl: SASL?
    /// Every other librdkafka property, as text, in the order of the file.
    package var properties: [(name: String, value: Secret)] = []

    package struct TLS: Sendable {
        package var caPath: String?
        package var certificatePath: String?
        package var key: Secret?
        package var verify = true
        package init() {}
    }

    package struct SASL: Sendable {
        package var mechanism: String
        package var username: String?
        package var password: Secret?
        /// A JSON web token, read anew whenever the last one nears its end (`OAUTHBEARER`).
        package var token: Secret?
        package init(mechanism: String) { self.mechanism = mechanism }
    }

    package init() {}
}

/// A value that is never printed: what is shown is where it comes from.
package struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    /// `${env:NAME}`, `${file:PATH}`, or the text itself where it is no secret.
    package let reference: String
    /// What the reference stands for.
    package let reveal: @Sendable () -> String?

    package init(reference: String, reveal: @escaping @Sendable () -> String?) {
        self.reference = reference
        self.reveal = reveal
    }

    /// A value that anyone may read.
    package init(plain text: String) {
        self.init(reference: text) { text }
    }

    package var description: String { reference }
    package var customMirror: Mirror { Mirror(self, children: ["reference": reference]) }
}
