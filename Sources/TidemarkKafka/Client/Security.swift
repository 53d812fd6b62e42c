import CRdKafka
import TidemarkDataflow
import TidemarkText

/// What to tell a person about a connection that was refused, by how the client was set up.
///
/// The library's texts name its own properties; these name the keys of the topology.
struct SecurityAdvice: Sendable {
    /// Earlier versions of librdkafka send a wrong nonce, which brokers check since 3.7.2 and
    /// 3.8.1.
    static let scramIsRight: UInt32 = 0x0206_01ff

    private let mechanism: String?
    private let usesTLS: Bool
    private let hasCertificate: Bool
    private let libraryNumber: UInt32

    init(_ configuration: Configuration, libraryNumber: UInt32 = kafkaLibraryNumber()) {
        let mechanism =
            configuration.value("sasl.mechanism") ?? configuration.value("sasl.mechanisms")
        self.mechanism = mechanism?.uppercased()
        usesTLS = configuration.value("security.protocol")?.lowercased().contains("ssl") ?? false
        hasCertificate = [
            "ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location",
        ]
        .contains { configuration.value($0) != nil }
        self.libraryNumber = libraryNumber
    }

    private var isScramBroken: Bool {
        mechanism?.hasPrefix("SCRAM") ?? false && libraryNumber < Self.scramIsRight
    }

    /// What can be known to go wrong before the cluster was asked; `nil`: nothing.
    var startProblem: String? {
        guard isScramBroken, let mechanism else { return nil }
        return
            "librdkafka \(kafkaLibraryVersion()) sends a wrong nonce with \(mechanism), which brokers from 3.7.2 and 3.8.1 on refuse as invalid credentials; use 2.6.1 or newer"
    }

    /// Why the cluster refused us: the library's text, and what it does not know.
    func reason(_ text: String) -> String {
        guard isScramBroken, text.contains("SASL") else { return text }
        return
            "\(text); librdkafka \(kafkaLibraryVersion()) cannot do \(mechanism ?? "SCRAM") with brokers from 3.7.2 and 3.8.1 on"
    }

    /// What to do about a refusal.
    func hint(_ text: String) -> String {
        if text.contains("certificate verify failed") {
            return
                "kafka.tls.ca: the authority that signed the broker's certificate, and kafka.brokers: the names that stand in it"
        }
        if text.contains("SSL alert") {
            return hasCertificate
                ? "kafka.tls.cert and kafka.tls.key: a certificate of an authority that the broker trusts"
                : "kafka.tls.cert and kafka.tls.key: the broker asks for a certificate of ours"
        }
        if text.contains("SSL") {
            return "kafka.tls: off if the listener does not speak TLS, or the port of one that does"
        }
        if isScramBroken {
            return
                "put librdkafka 2.6.1 or newer in front with LD_LIBRARY_PATH (docs/operations.md), or PLAIN over TLS"
        }
        switch mechanism {
        case "OAUTHBEARER":
            return "kafka.sasl.token: a token that the broker takes and that has not expired"
        case nil: return "kafka.sasl: the listener asks for a login"
        default: return "kafka.sasl: the username, and the value of the password's reference"
        }
    }

    /// What to do where nobody answered.
    func hint(unanswered text: String) -> String {
        if !usesTLS, text.contains("SSL listener") || text.contains("APIVERSION_QUERY") {
            return "kafka.tls: {} if the listener speaks TLS; else check that the broker is up"
        }
        if text.contains("PLAINTEXT broker listener"), usesTLS {
            return "kafka.tls: off if the listener does not speak TLS, or the port of one that does"
        }
        if mechanism == nil, usesTLS, text.contains("SASL") || text.contains("Broken pipe") {
            return "kafka.sasl: the listener may ask for a login; else check that the broker is up"
        }
        return "check kafka.brokers in the topology, and that the broker is up"
    }

    /// The command that grants what a code says is denied; `nil`: it is no denial.
    func hint(denied code: rd_kafka_resp_err_t, resource: String?) -> String? {
        let what: String
        switch code {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            what = "\(resource ?? "--topic NAME") (Read for sources, Write for outputs)"
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: what = "--group APP (Read)"
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            what = "--transactional-id APP (Write, Describe)"
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: what = "--cluster (IdempotentWrite)"
        default: return nil
        }
        return "kafka-acls.sh --add --allow-principal User:US on \(what)"
    }
}

/// Gives the library a token when the last one nears its end; called on a thread of the library.
func onTokenWanted(
    _ client: OpaquePointer?,
    _ configuration: UnsafePointer<CChar>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let opaque = unsafe opaque, let client = unsafe client else { return }
    let events = unsafe Unmanaged<ClientEvents>.fromOpaque(opaque).takeUnretainedValue()
    guard let secret = events.token else { return }
    let problem: String
    if let text = secret.reveal(), let token = BearerToken(text) {
        let error = ErrorText()
        let code = unsafe rd_kafka_oauthbearer_set_token(
            client,
            token.text,
            token.expiresMs,
            token.subject,
            nil,
            0,
            error.buffer,
            error.capacity
        )
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return events.noteToken(problem: nil) }
        problem = "the token from \(secret.reference) was refused: \(error.string)"
    } else {
        problem = "\(secret.reference) holds no JSON web token (is it set, and readable?)"
    }
    events.noteToken(problem: problem)
    // The library asks again after ten seconds.
    unsafe rd_kafka_oauthbearer_set_token_failure(client, problem)
}

/// What the client must know of a JSON web token; it is the broker who checks it.
struct BearerToken: Equatable {
    var text: String
    /// Milliseconds since 1970.
    var expiresMs: Int64
    var subject: String

    /// Reads a token, perhaps with white space around it; `nil` if it is none or has no end (`exp`).
    init?(_ raw: String) {
        let trimmed = raw.drop(while: \.isWhitespace)
        text = String(trimmed.prefix(while: { !$0.isWhitespace }))
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = base64URL(parts[1]) else { return nil }
        var expires: Double?
        var subject = ""
        unsafe payload.withUnsafeBytes { bytes in
            var reader = unsafe StatisticsReader(bytes: bytes)
            unsafe reader.readObject { reader, key in
                switch key {
                case "exp": expires = unsafe Double(reader.readWord())
                case "sub":
                    unsafe reader.skipSpace()
                    subject = unsafe reader.readString()
                default: unsafe reader.skip()
                }
            }
        }
        guard let expires, expires > 0, expires < 1e11 else { return nil }
        expiresMs = Int64(expires * 1000)
        self.subject = subject.isEmpty ? "tidemark" : subject
    }
}

/// The bytes of base64 in the alphabet of URLs, with or without padding.
private func base64URL(_ text: Substring) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for character in text.utf8 where character != UInt8(ascii: "=") {
        let value: UInt8
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"), UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "_"), UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        count += 6
        guard count >= 8 else { continue }
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return bytes
}
