import CRdKafka
import Glibc
import Synchronization
import TidemarkCore
import TidemarkDataflow
import TidemarkTelemetry

/// One `rd_kafka_t`, with the thread that serves its control plane.
///
/// `@unchecked Sendable`: the library's handle may be used from any thread; what is ours beside it
/// is behind locks. The handle is destroyed by `close`, which the owner calls when nobody else uses
/// it any more.
@safe
final class ClientHandle: @unchecked Sendable {
    let client: OpaquePointer
    let events: ClientEvents
    let brokers: String
    let advice: SecurityAdvice
    private let time: any TimeSource
    private let log: Log
    /// Topic handles by name; destroyed before the client.
    private let topics = Mutex<[String: TopicReference]>([:])
    private let control: ControlLoop
    private let isClosed = Atomic<Bool>(false)

    /// Makes the client; nothing is asked of the cluster yet.
    ///
    /// If `controlled`, a thread of ours polls the client's main queue; a producer is polled by
    /// whoever produces instead.
    init(
        type: rd_kafka_type_t,
        configuration: Configuration,
        role: String,
        controlled: Bool,
        brokers: String,
        time: any TimeSource,
        log: Log,
        telemetry: Telemetry
    ) throws(ConnectorError) {
        let events = ClientEvents(
            role: role,
            log: log,
            redactor: Redactor(secrets: configuration.secrets),
            token: configuration.token,
            telemetry: telemetry
        )
        let conf = unsafe try configuration.make()
        unsafe rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(events).toOpaque())
        unsafe rd_kafka_conf_set_error_cb(conf, onClientError)
        unsafe rd_kafka_conf_set_log_cb(conf, onClientLog)
        unsafe rd_kafka_conf_set_stats_cb(conf, onClientStatistics)
        if type == RD_KAFKA_PRODUCER { unsafe rd_kafka_conf_set_dr_msg_cb(conf, onDelivery) }
        // Nobody polls a producer while it waits for a transaction: tokens come from a thread of the
        // library's own.
        let usesTokens = configuration.value("sasl.mechanism") == "OAUTHBEARER"
        if usesTokens { unsafe rd_kafka_conf_enable_sasl_queue(conf, 1) }
        if configuration.token != nil {
            unsafe rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, onTokenWanted)
        }
        // Its main one, one a broker that is named, two for brokers that it finds by their role, and ours.
        let brokerCount = brokers.split(separator: ",").count
        do throws(ConnectorError) {
            try ClientThread.requireRoom(for: brokerCount + 4)
        } catch {
            unsafe rd_kafka_conf_destroy(conf)
            throw error
        }
        let text = ErrorText()
        guard let client = unsafe rd_kafka_new(type, conf, text.buffer, text.capacity) else {
            unsafe rd_kafka_conf_destroy(conf)
            throw ConnectorError(.environment, "kafka: \(events.redactor.clean(text.string))")
        }
        if usesTokens, let failure = unsafe rd_kafka_sasl_background_callbacks_enable(client) {
            unsafe rd_kafka_error_destroy(failure)
        }
        advice = SecurityAdvice(configuration)
        unsafe self.client = unsafe client
        self.events = events
        self.brokers = brokers
        self.time = time
        self.log = log
        self.control = unsafe ControlLoop(client: client, events: events)
        if controlled {
            if type == RD_KAFKA_CONSUMER { unsafe rd_kafka_poll_set_consumer(client) }
            try control.start()
        }
    }

    deinit { close(withinMs: 1000) }

    /// The handle of a topic, kept until the client is closed.
    func topic(_ name: String) -> OpaquePointer? {
        unsafe topics.withLock { topics in
            if let known = topics[name] { return unsafe known.pointer }
            guard let pointer = unsafe rd_kafka_topic_new(client, name, nil) else { return nil }
            topics[name] = unsafe TopicReference(pointer: pointer)
            return unsafe pointer
        }
    }

    /// The partitions of a topic, as the cluster says; `nil` if it has no such topic.
    func partitions(of topic: String, withinMs: Int64) throws(ConnectorError) -> [Int32]? {
        switch try lookUp(topic, withinMs: withinMs) {
        case .found(let ids, _): return ids
        case .missing: return nil
        case .denied(let code):
            throw ConnectorError(
                .environment,
                "topic '\(topic)' at \(brokers): \(codeText(code))",
                hint: advice.hint(denied: code, resource: "--topic \(topic)")
            )
        }
    }

    /// What the cluster says of a topic.
    enum Lookup {
        case found(partitions: [Int32], replicas: Int)
        case missing
        case denied(rd_kafka_resp_err_t)
    }

    /// Asks the cluster for a topic, waiting at most so long for it to answer.
    func lookUp(_ topic: String, withinMs: Int64) throws(ConnectorError) -> Lookup {
        guard let handle = unsafe self.topic(topic) else {
            throw ConnectorError(.environment, "'\(topic)' is not a valid topic name")
        }
        let deadlineNs = time.nowNs() + withinMs * 1_000_000
        var sliceMs: Int64 = 1000
        while true {
            let leftMs = max(1, (deadlineNs - time.nowNs()) / 1_000_000)
            var metadata: UnsafePointer<rd_kafka_metadata>?
            var code = unsafe rd_kafka_metadata(
                client,
                0,
                handle,
                &metadata,
                Int32(min(sliceMs, leftMs))
            )
            if code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata {
                defer { unsafe rd_kafka_metadata_destroy(metadata) }
                code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                if unsafe metadata.pointee.topic_cnt > 0 {
                    let entry = unsafe metadata.pointee.topics[0]
                    code = unsafe entry.err
                    if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                        var ids: [Int32] = []
                        var replicas = Int.max
                        for place in unsafe 0..<Int(entry.partition_cnt) {
                            unsafe ids.append(entry.partitions[place].id)
                            replicas = unsafe min(
                                replicas,
                                Int(entry.partitions[place].replica_cnt)
                            )
                        }
                        return .found(partitions: ids.sorted(), replicas: replicas)
                    }
                }
            }
            switch code {
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
                return .missing
            case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
                return .denied(code)
            default: break
            }
            let isWrongListener = events.snapshot.suspected != nil && leftMs < withinMs - 3000
            if events.snapshot.isHopeless || isWrongListener || time.nowNs() >= deadlineNs {
                throw unreachable(code, waitedMs: withinMs)
            }
            // Errors may come at once, thousands of times.
            sliceMs = min(2 * sliceMs, 30_000)
            usleep(50_000)
        }
    }

    /// Why a call that waited for the cluster failed, with what the library said meanwhile.
    func unreachable(_ code: rd_kafka_resp_err_t, waitedMs: Int64) -> ConnectorError {
        let snapshot = events.snapshot
        if let fatal = snapshot.fatal {
            return ConnectorError(.environment, "the Kafka client gave up: \(fatal.text)")
        }
        if let problem = snapshot.tokenProblem {
            return ConnectorError(
                .environment,
                "no token for Kafka at \(brokers): \(problem)",
                hint: "kafka.sasl.token: a file or variable with a token that has not expired"
            )
        }
        if let refused = snapshot.refused {
            return ConnectorError(
                .environment,
                "Kafka at \(brokers) refused the connection: \(advice.reason(refused.text))",
                hint: advice.hint(refused.text)
            )
        }
        if let denied = snapshot.denied {
            return ConnectorError(
                .environment,
                "Kafka at \(brokers) does not let us use the group: \(denied.text)",
                hint: advice.hint(denied: denied.code, resource: nil)
            )
        }
        let reason = (snapshot.suspected ?? snapshot.last)?.text ?? codeText(code)
        let seconds = Double(waitedMs) / 1000
        return ConnectorError(
            .environment,
            "no answer from Kafka at \(brokers) within \(seconds) s: \(reason)",
            hint: advice.hint(unanswered: reason)
        )
    }

    /// The error for a code that a call returned.
    func error(_ code: rd_kafka_resp_err_t, _ what: String) -> ConnectorError {
        let text = "\(what): \(codeText(code)) (\(codeName(code)))"
        switch code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            return ConnectorError(.fenced, text)
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT,
            RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__WAIT_COORD,
            RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
            RD_KAFKA_RESP_ERR__RETRY,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
            let last = events.snapshot.last.map { ": \($0.text)" } ?? ""
            return ConnectorError(.retriable, text + last)
        default:
            return ConnectorError(
                .environment,
                text,
                hint: advice.hint(denied: code, resource: nil)
            )
        }
    }

    /// Throws what made the client useless, if something did.
    func checkFatal() throws(ConnectorError) {
        guard let fatal = events.fatal else { return }
        switch fatal.code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            throw ConnectorError(.fenced, "kafka: \(fatal.text)")
        default:
            throw ConnectorError(.environment, "the Kafka client gave up: \(fatal.text)")
        }
    }

    /// Destroys the client, waiting at most so long; what hangs is left to the end of the process.
    func close(withinMs: Int64) {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        control.stop()
        let references = topics.withLock { topics in
            defer { topics = [:] }
            return Array(topics.values)
        }
        let resources = unsafe ClosingResources(client: client, topics: references, events: events)
        let control = control
        var isClosing = false
        do throws(ConnectorError) {
            let thread = try ClientThread {
                // The client may not go while its control thread is inside a poll.
                guard control.join(withinMs: 60_000) else { return }
                resources.destroy()
            }
            isClosing = thread.join(withinMs: withinMs)
        } catch {
            // It is left to the end of the process, as one that hangs is.
        }
        if !isClosing {
            log.warning(
                "kafka client did not close in time",
                ["client": events.role, "ms": withinMs]
            )
        }
    }
}

/// A topic handle that goes from thread to thread with its owner.
///
/// `@unchecked Sendable`: the library allows its use from any thread.
@safe
struct TopicReference: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// What a closing client still holds, on its way to the thread that destroys it.
///
/// `@unchecked Sendable`: the closing thread is the only owner.
@safe
private struct ClosingResources: @unchecked Sendable {
    let client: OpaquePointer
    let topics: [TopicReference]
    /// The callbacks point at it until the client is gone.
    let events: ClientEvents

    func destroy() {
        for topic in topics { unsafe rd_kafka_topic_destroy(topic.pointer) }
        // There is no group to leave: partitions are assigned by hand.
        unsafe rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        withExtendedLifetime(events) {}
    }
}

/// The control plane of a consumer: errors, statistics, logs, token refresh.
///
/// `@unchecked Sendable`: the client outlives the loop, which `close` waits for.
@safe
private final class ControlLoop: @unchecked Sendable {
    private let client: OpaquePointer
    private let events: ClientEvents
    private let shouldStop = Atomic<Bool>(false)
    private let thread = Mutex<ClientThread?>(nil)

    init(client: OpaquePointer, events: ClientEvents) {
        unsafe self.client = unsafe client
        self.events = events
    }

    func start() throws(ConnectorError) {
        let own = try ClientThread { self.run() }
        thread.withLock { $0 = own }
    }

    func stop() { shouldStop.store(true, ordering: .releasing) }

    func join(withinMs: Int64) -> Bool {
        thread.withLock { $0 }?.join(withinMs: withinMs) ?? true
    }

    private func run() {
        while !shouldStop.load(ordering: .acquiring) {
            // Data comes through private queues; what comes here is news.
            guard let message = unsafe rd_kafka_consumer_poll(client, 50) else { continue }
            let code = unsafe message.pointee.err
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                // A record that strayed would be lost without a word.
                events.note(
                    RD_KAFKA_RESP_ERR__INCONSISTENT,
                    "a record came through the control queue of the client", isFatal: true)
            } else if code != RD_KAFKA_RESP_ERR__PARTITION_EOF {
                let reason = unsafe rd_kafka_message_errstr(message)
                events.note(
                    code,
                    unsafe reason.map { unsafe String(cString: $0) } ?? codeText(code),
                    isFatal: false
                )
            }
            unsafe rd_kafka_message_destroy(message)
        }
    }
}
