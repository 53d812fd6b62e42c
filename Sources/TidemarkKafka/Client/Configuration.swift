import CRdKafka
import Glibc
import TidemarkDataflow

/// The librdkafka properties of one client, in the order they are set.
///
/// Three layers: our defaults, then `kafka.properties` of the topology, then what our promises rest
/// on, which the topology may not touch.
struct Configuration {
    /// Properties that the topology may not set, and why.
    static let reserved: [(name: String, reason: String)] = [
        ("bootstrap.servers", "it comes from kafka.brokers"),
        ("metadata.broker.list", "it comes from kafka.brokers"),
        ("group.id", "it comes from the topology's app"),
        ("transactional.id", "it comes from the topology's app"),
        ("enable.auto.commit", "offsets are committed with the results"),
        ("enable.auto.offset.store", "offsets are committed with the results"),
        ("auto.offset.reset", "a gap in the input must not go unseen; see source.start"),
        ("enable.partition.eof", "it is needed to find the end of a partition"),
        ("isolation.level", "it comes from source.isolation"),
        ("enable.idempotence", "results must not repeat or change order"),
        ("acks", "results must not be lost"),
        ("request.required.acks", "results must not be lost"),
    ]

    /// Prefixes and names whose values are secrets whatever they come from.
    private static let sensitive: Set<String> = [
        "sasl.password", "ssl.key.pem", "ssl.key.password", "ssl.keystore.password",
        "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret",
    ]

    private(set) var entries: [(name: String, value: String, isSecret: Bool, origin: String)] = []

    /// Where a token for OAUTHBEARER is found, if the topology says.
    private(set) var token: Secret?

    /// What the client will take for a property: the last that was set.
    func value(_ name: String) -> String? { entries.last { $0.name == name }?.value }

    /// What must never be seen in a log line or an error.
    var secrets: [String] {
        entries.filter { $0.isSecret && $0.value.utf8.count >= 3 }.map(\.value)
    }

    mutating func set(_ name: String, _ value: String) {
        entries.append((name, value, Self.sensitive.contains(name), name))
    }

    mutating func set(_ name: String, _ value: Int) { set(name, String(value)) }

    private mutating func set(_ name: String, _ secret: Secret, origin: String)
        throws(ConnectorError)
    {
        guard let value = secret.reveal() else {
            throw ConnectorError(
                .environment,
                "\(origin): \(secret.reference) has no value here (is it set, and readable?)"
            )
        }
        let isSecret = Self.sensitive.contains(name) || value != secret.reference
        entries.append((name, value, isSecret, origin))
    }

    /// How to reach and be known to the cluster.
    mutating func set(connection settings: KafkaSettings) throws(ConnectorError) {
        set("bootstrap.servers", settings.brokers)
        set("client.id", "tidemark")
        set("socket.nagle.disable", "true")
        set("socket.keepalive.enable", "true")
        set("reconnect.backoff.max.ms", 2000)
        set("topic.metadata.refresh.interval.ms", 30_000)
        set("statistics.interval.ms", 1000)
        switch (settings.tls != nil, settings.sasl != nil) {
        case (true, true): set("security.protocol", "sasl_ssl")
        case (true, false): set("security.protocol", "ssl")
        case (false, true): set("security.protocol", "sasl_plaintext")
        case (false, false): break
        }
        if let tls = settings.tls {
            if let path = tls.caPath { set("ssl.ca.location", path) }
            if let path = tls.certificatePath { set("ssl.certificate.location", path) }
            if let key = tls.key { try set(key: key) }
            if !tls.verify {
                set("enable.ssl.certificate.verification", "false")
                set("ssl.endpoint.identification.algorithm", "none")
            }
        }
        if let sasl = settings.sasl {
            set("sasl.mechanism", sasl.mechanism)
            if let name = sasl.username { set("sasl.username", name) }
            if let password = sasl.password {
                try set("sasl.password", password, origin: "kafka.sasl.password")
            }
            if let token = sasl.token {
                guard sasl.mechanism == "OAUTHBEARER" else {
                    throw ConnectorError(
                        .environment,
                        "kafka.sasl.token is for OAUTHBEARER, and kafka.sasl.mechanism is \(sasl.mechanism)"
                    )
                }
                self.token = token
            }
        }
    }

    /// A private key: its text if the reference holds one, else the path of its file.
    private mutating func set(key: Secret) throws(ConnectorError) {
        guard let value = key.reveal() else {
            throw ConnectorError(
                .environment,
                "kafka.tls.key: \(key.reference) has no value here"
            )
        }
        let isText = value.utf8.starts(with: "-----BEGIN".utf8)
        entries.append(
            (isText ? "ssl.key.pem" : "ssl.key.location", value, isText, "kafka.tls.key")
        )
    }

    /// What the topology says in `kafka.properties`.
    mutating func set(properties: [(name: String, value: Secret)]) throws(ConnectorError) {
        for (name, value) in properties {
            if let rule = Self.reserved.first(where: { $0.name == name }) {
                throw ConnectorError(
                    .environment,
                    "kafka.properties may not set \(name): \(rule.reason)"
                )
            }
            try set(name, value, origin: "kafka.properties.\(name)")
        }
    }

    /// A configuration object for `rd_kafka_new`, which owns it if it succeeds.
    func make() throws(ConnectorError) -> OpaquePointer {
        guard let conf = unsafe rd_kafka_conf_new() else {
            throw ConnectorError(.environment, "the Kafka client is out of memory")
        }
        for entry in entries {
            let text = ErrorText()
            let result = unsafe rd_kafka_conf_set(
                conf,
                entry.name,
                entry.value,
                text.buffer,
                text.capacity
            )
            guard result != RD_KAFKA_CONF_OK else { continue }
            unsafe rd_kafka_conf_destroy(conf)
            // The client's text quotes the value.
            let reason = entry.isSecret ? "the value is refused" : text.string
            throw ConnectorError(.environment, "\(entry.origin): \(reason)")
        }
        return unsafe conf
    }
}

/// A buffer that librdkafka writes an error into.
@safe
final class ErrorText {
    let capacity = 512
    let buffer: UnsafeMutablePointer<CChar>

    init() {
        unsafe buffer = .allocate(capacity: capacity)
        unsafe buffer.initialize(repeating: 0, count: capacity)
    }

    deinit { unsafe buffer.deallocate() }

    var string: String { unsafe String(cString: buffer) }
}

/// Takes secrets out of text that comes from the library.
struct Redactor: Sendable {
    let secrets: [String]

    func clean(_ text: String) -> String {
        var text = text
        for secret in secrets { text = text.replacing(secret) }
        return text
    }
}

extension String {
    /// The string with each occurrence of `secret` starred out.
    fileprivate func replacing(_ secret: String) -> String {
        let bytes = Array(utf8)
        let needle = Array(secret.utf8)
        guard !needle.isEmpty, bytes.count >= needle.count else { return self }
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: needle) {
                result.append(contentsOf: "***".utf8)
                index += needle.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
