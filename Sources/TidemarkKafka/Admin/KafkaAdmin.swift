import CRdKafka
package import TidemarkDataflow

/// What can be asked of a cluster, and made there, by hand or before a run.
///
/// Shares the client of the source; every call waits at most about as long as a connection may take.
package final class KafkaAdmin: Sendable {
    private let handle: ClientHandle
    private let connectMs: Int64

    init(handle: ClientHandle, connectMs: Int64) {
        self.handle = handle
        self.connectMs = connectMs
    }

    /// The brokers asked.
    package var brokers: String { handle.brokers }

    /// Each topic as the cluster has it, in the order of the names.
    package func states(of topics: [String]) throws(ConnectorError) -> [TopicState] {
        handle.events.forget()
        var states: [TopicState] = []
        for topic in topics {
            switch try handle.lookUp(topic, withinMs: connectMs) {
            case .missing: states.append(.missing)
            case .denied(let code): states.append(.denied(reason: codeText(code)))
            case .found(let ids, let replicas):
                states.append(.present(partitions: ids.count, replicas: replicas, settings: nil))
            }
        }
        let present = topics.indices.filter { place in
            if case .present = states[place] { true } else { false }
        }
        let settings = settings(of: present.map { topics[$0] })
        for place in present {
            guard case .present(let partitions, let replicas, _) = states[place] else { continue }
            states[place] = .present(
                partitions: partitions,
                replicas: replicas,
                settings: settings[topics[place]]
            )
        }
        return states
    }

    /// The settings of those topics that show them; an embedded cluster shows none.
    private func settings(of topics: [String]) -> [String: [String: String]] {
        guard !topics.isEmpty else { return [:] }
        var resources = unsafe topics.map {
            unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, $0)
        }
        defer { unsafe rd_kafka_ConfigResource_destroy_array(&resources, resources.count) }
        var found: [String: [String: String]] = [:]
        _ = unsafe ask(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS) { client, options, queue in
            unsafe rd_kafka_DescribeConfigs(client, &resources, resources.count, options, queue)
        } answer: { event in
            var count = 0
            guard let list = unsafe rd_kafka_DescribeConfigs_result_resources(event, &count) else {
                return
            }
            for place in 0..<count {
                guard let resource = unsafe list[place],
                    unsafe rd_kafka_ConfigResource_error(resource) == RD_KAFKA_RESP_ERR_NO_ERROR,
                    let name = unsafe rd_kafka_ConfigResource_name(resource)
                else { continue }
                var entryCount = 0
                let entries = unsafe rd_kafka_ConfigResource_configs(resource, &entryCount)
                var values: [String: String] = [:]
                for index in 0..<entryCount {
                    guard let entry = unsafe entries?[index],
                        let key = unsafe rd_kafka_ConfigEntry_name(entry),
                        let value = unsafe rd_kafka_ConfigEntry_value(entry)
                    else { continue }
                    unsafe values[String(cString: key)] = unsafe String(cString: value)
                }
                unsafe found[String(cString: name)] = values
            }
        }
        return found
    }

    /// Makes a topic; `replicas` `nil` is what the brokers make by default.
    ///
    /// Returns why it was not made, or nothing.
    package func create(
        _ topic: String,
        partitions: Int,
        replicas: Int?,
        settings: [TopicSetting],
        onlyValidate: Bool
    ) throws(ConnectorError) -> String? {
        let text = ErrorText()
        guard
            let new = unsafe rd_kafka_NewTopic_new(
                topic,
                Int32(partitions),
                Int32(replicas ?? -1),
                text.buffer,
                text.capacity
            )
        else { return text.string }
        defer { unsafe rd_kafka_NewTopic_destroy(new) }
        for setting in settings {
            let code = unsafe rd_kafka_NewTopic_set_config(new, setting.name, setting.value)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return codeText(code) }
        }
        var problem: String?
        var list: [OpaquePointer?] = unsafe [new]
        let code = unsafe ask(RD_KAFKA_ADMIN_OP_CREATETOPICS, onlyValidate: onlyValidate) {
            client,
            options,
            queue in
            unsafe rd_kafka_CreateTopics(client, &list, 1, options, queue)
        } answer: { event in
            var count = 0
            guard let results = unsafe rd_kafka_CreateTopics_result_topics(event, &count),
                count > 0,
                let result = unsafe results[0]
            else { return }
            let code = unsafe rd_kafka_topic_result_error(result)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
            let said = unsafe rd_kafka_topic_result_error_string(result)
            problem = unsafe said.map { unsafe String(cString: $0) } ?? codeText(code)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw handle.error(code, "cannot make topic '\(topic)'")
        }
        return problem
    }

    /// Members of a consumer group at the moment.
    package func memberCount(of group: String) throws(ConnectorError) -> Int {
        try handle.memberCount(of: group, withinMs: connectMs)
    }

    /// Sends a request and hands its answer to `answer`; the code is that of the whole request.
    ///
    /// The time runs out here and not in the library: in 2.0.2 a request that ran out of time there and is answered
    /// later ends the process by an assertion (`rd_kafka_enq_once_del_source_return`). What is answered after we
    /// gave up goes to a queue that nobody reads.
    private func ask(
        _ operation: rd_kafka_admin_op_t,
        onlyValidate: Bool = false,
        send: (OpaquePointer, OpaquePointer?, OpaquePointer) -> Void,
        answer: (OpaquePointer) -> Void
    ) -> rd_kafka_resp_err_t {
        guard let queue = unsafe rd_kafka_queue_new(handle.client) else {
            return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE
        }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        let options = unsafe rd_kafka_AdminOptions_new(handle.client, operation)
        defer { if let options = unsafe options { unsafe rd_kafka_AdminOptions_destroy(options) } }
        let text = ErrorText()
        unsafe rd_kafka_AdminOptions_set_request_timeout(
            options,
            3_600_000,
            text.buffer,
            text.capacity
        )
        if onlyValidate {
            unsafe rd_kafka_AdminOptions_set_validate_only(options, 1, text.buffer, text.capacity)
        }
        unsafe send(handle.client, options, queue)
        guard let event = unsafe rd_kafka_queue_poll(queue, Int32(connectMs)) else {
            return RD_KAFKA_RESP_ERR__TIMED_OUT
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        if code == RD_KAFKA_RESP_ERR_NO_ERROR { unsafe answer(event) }
        return code
    }
}

extension ClientHandle {
    /// Members of a consumer group, as its coordinator says.
    ///
    /// It asks by the older call, which waits for its answers itself, and not through the admin
    /// interface: see above for what is wrong with requests there.
    func memberCount(of group: String, withinMs: Int64) throws(ConnectorError) -> Int {
        var list: UnsafePointer<rd_kafka_group_list>?
        let code = unsafe rd_kafka_list_groups(client, group, &list, Int32(withinMs))
        defer { if let list = unsafe list { unsafe rd_kafka_group_list_destroy(list) } }
        let what = "cannot look up group '\(group)'"
        guard let list = unsafe list,
            code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__PARTIAL
        else { throw error(code, what) }
        var count = 0
        for place in 0..<Int(unsafe list.pointee.group_cnt) {
            let info = unsafe list.pointee.groups[place]
            guard unsafe info.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw unsafe error(info.err, what)
            }
            unsafe count += Int(info.member_cnt)
        }
        // A broker that did not answer may be the one that knows the group.
        let groupCount = unsafe list.pointee.group_cnt
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || groupCount > 0 else {
            throw error(code, what)
        }
        return count
    }
}
