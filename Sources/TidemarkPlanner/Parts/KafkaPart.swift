import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// How the cluster is reached.
enum KafkaPart {
    static let brokers = Key(
        "brokers", ValueType.text(lengthMax: 4096).optional,
        says: "${env:TIDEMARK_BROKERS:-\(KafkaSettings().brokers)}", "one cluster for all topics")
    static let tls = KeySpec(
        "tls", .map("a map"), says: "off", off: true, shape: .either([.part("tls"), .off]),
        "encryption")
    static let sasl = KeySpec(
        "sasl", .map("a map"), says: "off", off: true, shape: .either([.part("sasl"), .off]),
        "how Tidemark authenticates")
    static let properties = KeySpec(
        "properties", .map("a map property → text"), says: "{}", "other librdkafka properties")
    static let part = PartSpec(
        "kafka", path: "kafka", "how the cluster is reached", [brokers, tls, sasl, properties],
        example: "kafka: { brokers: \"${env:BROKERS}\" }")

    /// Encryption.
    enum TLS {
        static let ca = Key(
            "ca", ValueType.path.optional, says: "the system's", "certificate authorities, PEM")
        static let cert = Key("cert", ValueType.path.optional, "certificate of this client, PEM")
        static let key = KeySpec("key", .secret, "key of that certificate, PEM")
        static let verify = Setting(
            "verify", \KafkaSettings.TLS.verify, .boolean, usual: KafkaSettings.TLS(),
            "check the broker's certificate")
        static let part = PartSpec(
            "tls", path: "kafka.tls", "encryption", [ca, cert, key, verify],
            example: "tls: { ca: /etc/ssl/kafka.pem }")
    }

    /// How Tidemark authenticates.
    enum SASL {
        static let mechanism = Key(
            "mechanism",
            ValueType<String>.choice([
                "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI",
            ]),
            usual: "PLAIN", required: true, "the SASL mechanism")
        static let username = Key(
            "username", ValueType.text(lengthMax: 1024).optional, "the user")
        static let password = KeySpec("password", .secret, "`${env:NAME}` or `${file:PATH}`")
        static let token = KeySpec(
            "token", .secret,
            "a JSON web token for OAUTHBEARER, read anew before it expires: `${file:PATH}`")
        static let part = PartSpec(
            "sasl", path: "kafka.sasl", "how Tidemark authenticates",
            [mechanism, username, password, token],
            example:
                "sasl: { mechanism: SCRAM-SHA-512, username: tm, password: \"${file:/run/secrets/kafka}\" }"
        )
    }

    /// The settings; `path` is that of the topology.
    static func read(_ top: Fields, path: TopologyPath) -> KafkaSettings {
        var settings = KafkaSettings()
        let f = top.part(TopologyPart.kafka, part)
        if let f, f.has(brokers) {
            settings.brokers = f.value(brokers) ?? ""
        } else if let value = top.reading.environment("TIDEMARK_BROKERS"), !value.isEmpty {
            settings.brokers = value
        }
        guard let f else { return settings }
        if !f.isOff(tls), let t = f.part(tls, TLS.part) {
            var tls = KafkaSettings.TLS()
            tls.caPath = t.value(TLS.ca).map(path.resolved)
            tls.certificatePath = t.value(TLS.cert).map(path.resolved)
            tls.key = t[TLS.key].flatMap(top.reading.secret)
            TLS.verify.read(t, &tls)
            settings.tls = tls
        }
        if !f.isOff(sasl), let s = f.part(sasl, SASL.part) {
            var sasl = KafkaSettings.SASL(mechanism: s.value(SASL.mechanism))
            sasl.username = s.value(SASL.username)
            sasl.password = s[SASL.password].flatMap(top.reading.secret)
            sasl.token = s[SASL.token].flatMap(top.reading.secret)
            settings.sasl = sasl
        }
        if let node = f[properties] {
            let entries = top.reading.named(
                node, what: "properties", item: "text", countMax: 200)
            settings.properties = entries.compactMap { property($0, top.reading) }
        }
        return settings
    }

    /// A property of the Kafka library; `nil`: what is wrong with it was reported.
    private static func property(
        _ entry: Node.Entry, _ reading: Reading
    ) -> (name: String, value: Secret)? {
        if let reason = reservedProperties.first(where: { $0.name == entry.key })?.reason {
            reading.say(
                "reserved-property", at: entry.keyPlace,
                "\(shown(entry.key)) is set by Tidemark: \(reason)",
                expected: "another property", suggestion: "delete it")
            return nil
        }
        guard let raw = entry.value.text else {
            _ = reading.text(entry.value)
            return nil
        }
        if secretProperties.contains(entry.key) {
            return reading.secret(entry.value).map { (entry.key, $0) }
        }
        guard raw.contains("${") else { return (entry.key, Secret(plain: raw)) }
        return reading.text(entry.value).map { _ in (entry.key, reading.reference(raw)) }
    }

    private static let secretProperties: Set<String> = [
        "sasl.password", "ssl.key.pem", "ssl.key.password", "ssl.keystore.password",
        "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret",
    ]
    private static let reservedProperties: [(name: String, reason: String)] = [
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
        ("acks", "results must not be lost"), ("request.required.acks", "results must not be lost"),
    ]
}

/// Where the topology's file is: paths in it are seen from there.
struct TopologyPath {
    let text: String

    /// A path of the topology as this process sees it.
    func resolved(_ file: String) -> String {
        if file.hasPrefix("/") || file == "-" { return file }
        guard let slash = text.lastIndex(of: "/") else { return file }
        return text[...slash] + file
    }
}
