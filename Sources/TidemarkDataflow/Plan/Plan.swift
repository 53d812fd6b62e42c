import TidemarkCore

/// A checked topology: what the runtime runs and the operators compute.
///
/// The planner makes it from YAML; a test may make it by hand. Everything in it is resolved:
/// columns are indices, durations are milliseconds, every default is filled in.
package struct Plan: Sendable {
    /// The topology's name; output topics begin with it by default.
    package var name: String
    /// Consumer group, transactional id, prefix of internal topics.
    package var app: String
    /// Hash of everything below that can change a result or an alert, 16 hex digits.
    package var revision: String
    /// Who is asked; carried in alerts.
    package var owner: String?
    /// What the author says of it; carried in alerts.
    package var description: String?
    /// Carried in alerts, in the order of the file.
    package var labels: [(name: String, value: String)] = []
    /// How the cluster is reached.
    package var kafka = KafkaSettings()
    /// What is read and what is watched: all that results depend on.
    package var stream: StreamPlan
    /// Planned downtime.
    package var mutes: [MutePlan] = []
    /// Topics that are written.
    package var outputs: OutputsPlan
    /// What is never exceeded.
    package var limits = Limits()
    /// How it is run; results do not depend on it.
    package var run = RunSettings()

    /// What the application's state topic is called, whether or not it needs one.
    package var stateTopicName: String { "\(app)-state" }

    /// The compacted topic of entry state; `nil` where nothing outlives a window.
    package var stateTopic: String? {
        stream.monitors.contains(where: \.alerts) || !stream.freshness.isEmpty || mayNeedSnapshots
            || stream.baselines.contains { $0.learning != nil || $0.topic != nil }
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
    /// `host:port`, several with commas between, as librdkafka takes them.
    package var brokers: String = "localhost:9092"
    /// `nil`: connections are not encrypted.
    package var tls: TLS?
    /// `nil`: the cluster does not ask who we are.
    package var sasl: SASL?
    /// Every other librdkafka property, as text, in the order of the file.
    package var properties: [(name: String, value: Secret)] = []

    /// Encryption; files are PEM.
    package struct TLS: Sendable {
        /// Authorities that the brokers' certificates are checked against; `nil`: the system's.
        package var caPath: String?
        /// Our own certificate, where brokers ask for one.
        package var certificatePath: String?
        /// The key of our certificate.
        package var key: Secret?
        /// Brokers' certificates are checked.
        package var verify = true
        package init() {}
    }

    /// How we say who we are.
    package struct SASL: Sendable {
        /// As Kafka names it, such as `SCRAM-SHA-512`.
        package var mechanism: String
        /// `nil` where the mechanism needs none.
        package var username: String?
        /// `nil` where the mechanism needs none.
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

    /// The reference: a secret that is printed shows where it comes from.
    package var description: String { reference }
    /// Shows the reference where the value would be dumped.
    package var customMirror: Mirror { Mirror(self, children: ["reference": reference]) }
}
