import CRdKafka
import Synchronization
import TidemarkCore
import TidemarkDataflow
import TidemarkTelemetry

/// What a client reports beside data: errors, statistics, log lines.
///
/// Written by the library's callbacks, read by everyone else.
final class ClientEvents: Sendable {
    struct Failure {
        var code: rd_kafka_resp_err_t
        var text: String
    }

    struct State {
        /// The newest error of any kind, for the message of a call that then fails.
        var last: Failure?
        /// Nothing will work any more.
        var fatal: Failure?
        /// The cluster refused our credentials, or we its certificate.
        var refused: Failure?
        /// A sign that the listener is of another kind than we took it for.
        var suspected: Failure?
        /// We may not use our group; calls that need its coordinator only time out.
        var denied: Failure?
        /// What was logged for each code, without the parts that differ from time to time.
        var said: [Int32: Substring] = [:]
        /// Why there is no token to show the cluster.
        var tokenProblem: String?
        /// Last stable offset and high-water mark, from the statistics.
        var ends: [TopicPartition: (stable: Int64, highWater: Int64)] = [:]
        /// Partitions whose leader does not answer.
        var unanswered: Set<TopicPartition> = []

        /// Waiting longer for the cluster will not help.
        var isHopeless: Bool { refused != nil || tokenProblem != nil || fatal != nil }
    }

    let role: String
    let log: Log
    let redactor: Redactor
    /// Where the token callback finds a token; `nil`: the library's own ways.
    let token: Secret?
    private let telemetry: Telemetry
    private let state = Mutex(State())
    /// Set once with `fatal`, so that the data path need not take the lock.
    private let hasFatal = Atomic<Bool>(false)
    private let errorCount: Counter

    init(
        role: String,
        log: Log,
        redactor: Redactor,
        token: Secret?,
        telemetry: Telemetry
    ) {
        self.token = token
        self.role = role
        self.log = log
        self.redactor = redactor
        self.telemetry = telemetry
        errorCount = telemetry.counter(
            "tidemark_kafka_errors_total",
            labels: [("client", role)],
            help: "Errors that the Kafka client reported."
        )
    }

    var snapshot: State { state.withLock { $0 } }

    var fatal: Failure? {
        guard hasFatal.load(ordering: .acquiring) else { return nil }
        return state.withLock { $0.fatal }
    }

    /// Forgets earlier errors, before a call whose own are wanted.
    func forget() {
        state.withLock { state in
            state.last = nil
            state.refused = nil
            state.suspected = nil
        }
    }

    /// What became of the newest attempt to get a token; `nil`: there is one.
    func noteToken(problem: String?) {
        let problem = problem.map(redactor.clean)
        let isNews = state.withLock { state in
            defer { state.tokenProblem = problem }
            return state.tokenProblem != problem
        }
        guard isNews, let problem else { return }
        log.warning("no token", ["client": role, "reason": problem])
    }

    /// Both as of the last statistics, at most a second old.
    func ends(_ partition: TopicPartition) -> (stable: Int64, highWater: Int64)? {
        state.withLock { $0.ends[partition] }
    }

    /// Whether the leader of a partition does not answer, as of the last statistics.
    func isUnanswered(_ partition: TopicPartition) -> Bool {
        state.withLock { $0.unanswered.contains(partition) }
    }

    func note(_ code: rd_kafka_resp_err_t, _ text: String, isFatal: Bool) {
        var failure = Failure(code: code, text: redactor.clean(text))
        var isFatal = isFatal
        if code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE {
            // A client without its threads does nothing, and says nothing.
            failure.text +=
                ": the limit of threads is reached (ulimit -u, or pids.max of the cgroup)"
            isFatal = true
        }
        errorCount.add()
        let isNews = state.withLock { state in
            let gist =
                code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ? "" : failure.text.prefix { $0 != "(" }
            let isNews = state.said.updateValue(gist, forKey: code.rawValue) != gist
            // That all brokers are down is never why.
            if code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || state.last == nil {
                state.last = failure
            }
            switch code {
            case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__SSL,
                RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
                state.refused = failure
            case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: state.denied = failure
            // A broker that wants a certificate of ours says so after the handshake, as it closes.
            case RD_KAFKA_RESP_ERR__TRANSPORT where failure.text.contains("SSL alert"):
                state.refused = failure
            case RD_KAFKA_RESP_ERR__TRANSPORT
            where ["security.protocol", "listener?"].contains(where: failure.text.contains):
                state.suspected = failure
            default: break
            }
            if isFatal { state.fatal = failure }
            return isNews
        }
        let isDead = isFatal
        if isDead { hasFatal.store(true, ordering: .releasing) }
        guard isNews else { return }
        log.log(
            isDead ? .error : .warning,
            "kafka client error",
            ["client": role, "code": codeName(code), "reason": failure.text]
        )
    }

    func noteLine(level: Int32, facility: String, _ text: String) {
        // A property of a producer in the settings that both kinds of client share, and the reverse.
        if facility == "CONFWARN", text.utf8.count < 400, text.contains(" will be ignored by this ")
        {
            return
        }
        // Newer libraries report it nowhere else.
        if facility == "FAIL", text.contains("in state APIVERSION_QUERY") {
            let failure = Failure(code: RD_KAFKA_RESP_ERR__TRANSPORT, text: redactor.clean(text))
            state.withLock { $0.suspected = $0.suspected ?? failure }
        }
        let level: Log.Level =
            switch level {
            case ...2: .error
            case 3...4: .warning
            case 5...6: .info
            default: .debug
            }
        guard level >= log.levelMin else { return }
        // Errors of connections come through the error callback too.
        guard facility != "FAIL" && facility != "ERROR" else { return }
        // The embedded cluster cannot be told not to make topics.
        guard facility != "AUTOCREATE" else { return }
        log.log(
            level,
            "kafka client",
            ["client": role, "facility": facility, "text": redactor.clean(text)]
        )
    }

    func note(statistics: Statistics) {
        let answering = Set(statistics.brokers.lazy.filter(\.isAnswering).map(\.id))
        state.withLock { state in
            for entry in statistics.partitions where entry.stableEnd >= 0 {
                state.ends[entry.partition] = (entry.stableEnd, entry.highWater)
            }
            state.unanswered = Set(
                statistics.partitions.lazy.filter { !answering.contains($0.leader) }
                    .map(\.partition))
        }
        telemetry.gauge(
            "tidemark_kafka_queue_messages",
            labels: [("client", role)],
            help: "Operations and messages waiting in the client's queues."
        ).set(Double(statistics.replyQueueCount))
        telemetry.gauge(
            "tidemark_kafka_outgoing_messages",
            labels: [("client", role)],
            help: "Messages produced and not yet acknowledged."
        ).set(Double(statistics.messageCount))
        telemetry.gauge(
            "tidemark_kafka_outgoing_bytes",
            labels: [("client", role)],
            help: "Bytes produced and not yet acknowledged."
        ).set(Double(statistics.messageByteCount))
        for broker in statistics.brokers where broker.roundTripUs >= 0 {
            telemetry.gauge(
                "tidemark_kafka_round_trip_seconds",
                labels: [("broker", broker.name), ("client", role)],
                help: "Round trip to a broker, average of the last interval."
            ).set(Double(broker.roundTripUs) / 1e6)
        }
        for entry in statistics.partitions {
            telemetry.gauge(
                "tidemark_kafka_fetch_queue_messages",
                labels: [
                    ("partition", String(entry.partition.partition)),
                    ("topic", entry.partition.topic),
                ],
                help: "Messages of an input partition that were fetched and not yet read."
            ).set(Double(entry.fetchQueueCount))
        }
    }
}

/// The library's name of a code: `_TRANSPORT`, `UNKNOWN_TOPIC_OR_PART`.
func codeName(_ code: rd_kafka_resp_err_t) -> String {
    unsafe String(cString: rd_kafka_err2name(code))
}

/// The library's sentence for a code.
func codeText(_ code: rd_kafka_resp_err_t) -> String {
    unsafe String(cString: rd_kafka_err2str(code))
}

// The callbacks. Each gets the `ClientEvents` of its client as the opaque pointer, unretained: the
// handle keeps it alive longer than the client.

func onClientError(
    _ client: OpaquePointer?,
    _ code: Int32,
    _ reason: UnsafePointer<CChar>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let opaque = unsafe opaque else { return }
    let events = unsafe Unmanaged<ClientEvents>.fromOpaque(opaque).takeUnretainedValue()
    var code = rd_kafka_resp_err_t(rawValue: code)
    var text = unsafe reason.map { unsafe String(cString: $0) } ?? codeText(code)
    let isFatal = code == RD_KAFKA_RESP_ERR__FATAL
    if isFatal {
        let buffer = ErrorText()
        code = unsafe rd_kafka_fatal_error(client, buffer.buffer, buffer.capacity)
        text = buffer.string
    }
    events.note(code, text, isFatal: isFatal)
}

func onClientLog(
    _ client: OpaquePointer?,
    _ level: Int32,
    _ facility: UnsafePointer<CChar>?,
    _ text: UnsafePointer<CChar>?
) {
    guard let opaque = unsafe rd_kafka_opaque(client), let facility = unsafe facility,
        let text = unsafe text
    else { return }
    let events = unsafe Unmanaged<ClientEvents>.fromOpaque(opaque).takeUnretainedValue()
    events.noteLine(
        level: level,
        facility: unsafe String(cString: facility),
        unsafe String(cString: text)
    )
}

func onClientStatistics(
    _ client: OpaquePointer?,
    _ json: UnsafeMutablePointer<CChar>?,
    _ count: Int,
    _ opaque: UnsafeMutableRawPointer?
) -> Int32 {
    guard let opaque = unsafe opaque, let json = unsafe json else { return 0 }
    let events = unsafe Unmanaged<ClientEvents>.fromOpaque(opaque).takeUnretainedValue()
    let bytes = unsafe UnsafeRawBufferPointer(start: json, count: count)
    events.note(statistics: unsafe Statistics(json: bytes))
    return 0  // The library frees the text.
}
