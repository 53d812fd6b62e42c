/// A topic that a plan reads or writes, and what it must be like.
package struct TopicNeed: Sendable, Equatable {
    /// What a plan uses a topic for.
    package enum Role: String, Sendable {
        case source, baselines, aggregates, sketches, alerts, destination, late, quarantined, state
        case deadLetters = "dead_letters"
    }

    /// What a topic's `cleanup.policy` has to be.
    package enum Cleanup: String, Sendable {
        /// Records leave by age: a key comes again with another meaning.
        case delete
        /// The newest record of a key stays.
        case compact
        /// Records of a key stand for themselves; how old ones leave is the owner's business.
        case uncompacted
        case any
    }

    /// As the cluster names it.
    package var name: String
    /// What the plan uses it for.
    package var role: Role
    /// What its `cleanup.policy` has to be.
    package var cleanup: Cleanup
    /// Partitions that it may have.
    package var partitionCounts: ClosedRange<Int>
    /// Partitions that it is made with.
    package var partitionCount: Int
    /// How far back a start may read again, ms; `nil`: it is not read again.
    package var rereadMs: Int64?
    /// How long an alert may be open, ms: its records are asked for until it resolves; `nil`: no alerts.
    package var openMs: Int64?
    /// What one batch of ours may weigh, bytes; `nil`: it is not written.
    package var batchBytes: Int?
    /// What one record of ours weighs; `nil`: others' records, or small ones.
    package var recordBytes: RecordBytes?
    /// Settings that it is made with, beside the policy.
    package var settings: [TopicSetting]

    /// Bytes of one record: always, and at most.
    package struct RecordBytes: Sendable, Equatable {
        /// A record of usual content has this many.
        package var sure: Int
        /// A record of the longest texts and the most digits has this many.
        package var most: Int
    }

    /// A source belongs to those who produce it.
    package var isOurs: Bool { role != .source }

    /// `cleanup.policy` and what else it is made with.
    package var creationSettings: [TopicSetting] {
        guard isOurs, cleanup != .uncompacted else { return settings }
        let policy = cleanup == .compact ? "compact" : "delete"
        return [TopicSetting("cleanup.policy", policy)] + settings
    }
}

/// One setting of a topic, as Kafka names it.
package struct TopicSetting: Sendable, Equatable, CustomStringConvertible {
    /// Such as `retention.ms`.
    package var name: String
    /// As text.
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// `name=value`, as the tools of Kafka take it.
    package var description: String { "\(name)=\(value)" }
}

/// A topic as the cluster has it.
package enum TopicState: Sendable, Equatable {
    case missing
    /// We may not know.
    case denied(reason: String)
    /// `settings` is `nil` where we may not see them.
    case present(partitions: Int, replicas: Int, settings: [String: String]?)
}

/// Where a topic is not as it must be, or not as it should be.
package struct TopicFinding: Sendable, Equatable {
    /// The plan can't run so.
    package var isProblem: Bool
    /// What is so and why it matters, for a person.
    package var text: String
    /// What would put it right.
    package var change: Change?

    /// A step that an administrator can take.
    package enum Change: Sendable, Equatable {
        case create
        case set(TopicSetting)
        case grant(String)
    }

    package init(_ isProblem: Bool, _ text: String, _ change: Change? = nil) {
        self.isProblem = isProblem
        self.text = text
        self.change = change
    }
}

extension Plan {
    /// Every topic that a run on a cluster needs: what `run`, `topics` and `plan` go by.
    package var neededTopics: [TopicNeed] {
        let source = stream.source
        let windowMs = stream.windows.map(\.lengthMs).max() ?? 0
        // Low-water is the first row of the oldest open window, unless open windows are written down; a partition may
        // be held back by others.
        let rereadMs =
            (mayNeedSnapshots ? limits.maxRereadMs : windowMs + source.outOfOrdernessMs)
            + (source.alignmentMs ?? 0) + (source.idleMs ?? 0)
        // As the producer is set up; the topology may say otherwise.
        let batchBytes =
            kafka.properties.last { $0.name == "batch.size" }?.value.reveal().flatMap { Int($0) }
            ?? 900_000
        var needs = source.topics.map { topic in
            TopicNeed(
                name: topic,
                role: .source,
                cleanup: .uncompacted,
                partitionCounts: 1...65_535,
                partitionCount: 4,
                rereadMs: rereadMs,
                batchBytes: nil,
                settings: []
            )
        }
        func output(
            _ name: String?,
            _ role: TopicNeed.Role,
            _ cleanup: TopicNeed.Cleanup,
            _ count: Int
        ) {
            guard let name else { return }
            needs.append(
                TopicNeed(
                    name: name,
                    role: role,
                    cleanup: cleanup,
                    partitionCounts: 1...65_535,
                    partitionCount: count,
                    rereadMs: nil,
                    batchBytes: batchBytes,
                    settings: []
                )
            )
        }
        output(outputs.aggregates, .aggregates, .delete, 4)
        output(outputs.sketchesTopic, .sketches, .delete, 4)
        output(outputs.alerts, .alerts, .any, 1)
        for one in outputs.destinations { output(one.topic, .destination, .any, 1) }
        output(outputs.deadLetters, .deadLetters, .delete, 1)
        output(outputs.late, .late, .delete, 1)
        output(outputs.quarantined, .quarantined, .delete, 1)
        for topic in Set(stream.baselines.compactMap { $0.topic?.topic }).sorted() {
            output(topic, .baselines, .compact, 1)
            // Nothing of a run is written there.
            needs[needs.count - 1].batchBytes = nil
        }
        let size = ResultSize(self)
        for index in needs.indices {
            switch needs[index].role {
            case .alerts:
                needs[index].openMs = stream.monitors.map(\.resolveAfterMs).max()
                needs[index].recordBytes = TopicNeed.RecordBytes(sure: 0, most: size.alertBytesMax)
            case .destination:
                needs[index].recordBytes = TopicNeed.RecordBytes(sure: 0, most: size.alertBytesMax)
            case .aggregates:
                needs[index].recordBytes = TopicNeed.RecordBytes(
                    sure: size.aggregateBytes, most: size.aggregateBytesMax)
            case .sketches:
                needs[index].recordBytes = TopicNeed.RecordBytes(
                    sure: size.sketchBytes, most: size.sketchBytesMax)
            default: break
            }
            // Brokers take 1,048,588 by default.
            if let sure = needs[index].recordBytes?.sure, sure > 900_000 {
                needs[index].settings.append(TopicSetting("max.message.bytes", "\(sure + 50_000)"))
            }
        }
        // One process holds all slots: one partition is one write a commit. 64 slots are the most.
        if let stateTopic {
            needs.append(
                TopicNeed(
                    name: stateTopic,
                    role: .state,
                    cleanup: .compact,
                    partitionCounts: 1...64,
                    partitionCount: 1,
                    rereadMs: nil,
                    batchBytes: batchBytes,
                    settings: [
                        TopicSetting("min.cleanable.dirty.ratio", "0.1"),
                        TopicSetting("segment.bytes", "67108864"),
                    ]
                )
            )
        }
        return needs
    }
}

extension TopicNeed {
    /// What is between the topics of a plan: letters that are kept for longer than the topic that their
    /// records go back to, with their own time, keeps them.
    ///
    /// - Returns: findings of each of `needs`, of which `states` are what the cluster has.
    package static func findings(_ needs: [TopicNeed], _ states: [TopicState]) -> [[TopicFinding]] {
        var found = zip(needs, states).map { need, state in need.findings(state) }
        func setting(_ state: TopicState, _ name: String) -> String? {
            guard case .present(_, _, let settings?) = state else { return nil }
            return settings[name]
        }
        func span(_ state: TopicState, _ name: String) -> Int64? {
            guard let text = setting(state, name), let ms = Int64(text) else { return nil }
            return ms < 0 ? .max : ms
        }
        let sources = zip(needs, states).filter { need, state in
            // Where the broker sets the time itself, what is replayed is new.
            need.role == .source && setting(state, "message.timestamp.type") != "LogAppendTime"
        }
        for index in needs.indices where needs[index].role == .deadLetters {
            guard let lettersMs = span(states[index], "retention.ms") else { continue }
            let shorter = sources.compactMap { need, state in
                span(state, "retention.ms").map { (name: need.name, ms: $0) }
            }.filter { $0.ms < lettersMs }.min { $0.ms < $1.ms }
            guard let shorter else { continue }
            found[index].append(
                TopicFinding(
                    false,
                    "retention.ms is \(lettersMs == .max ? "-1" : "\(lettersMs)"), and that of \(shorter.name)"
                        + " \(shorter.ms): a record is replayed with its own time, and one that is older than"
                        + " that is deleted again",
                    .set(TopicSetting("retention.ms", "\(shorter.ms)"))
                )
            )
        }
        return found
    }

    /// Compares the topic with what is needed: problems first.
    package func findings(_ state: TopicState) -> [TopicFinding] {
        switch state {
        case .missing:
            return [
                TopicFinding(
                    true,
                    isOurs ? "it does not exist" : "it does not exist: its producers make it",
                    isOurs ? .create : nil
                )
            ]
        case .denied(let reason):
            return [
                TopicFinding(
                    true,
                    reason,
                    .grant(isOurs ? "Describe and Write" : "Describe and Read")
                )
            ]
        case .present(let partitions, let replicas, let settings):
            var found: [TopicFinding] = []
            if !partitionCounts.contains(partitions) {
                found.append(
                    TopicFinding(
                        true,
                        "it has \(partitions) partitions; at most \(partitionCounts.upperBound) can be used"
                    )
                )
            }
            guard let settings else {
                found.append(
                    TopicFinding(
                        false,
                        "its settings are not visible to us",
                        .grant("DescribeConfigs")
                    )
                )
                return found
            }
            checkCleanup(settings, &found)
            checkRetention(settings, &found)
            checkWriting(settings, replicas, &found)
            checkTime(settings, &found)
            return found.filter(\.isProblem) + found.filter { !$0.isProblem }
        }
    }

    private func checkCleanup(_ settings: [String: String], _ found: inout [TopicFinding]) {
        guard let policy = settings["cleanup.policy"] else { return }
        let words = policy.split(separator: ",").map { $0.filter { $0 != " " } }
        let isCompacted = words.contains("compact")
        switch cleanup {
        case .any: break
        case .uncompacted where isCompacted:
            found.append(
                TopicFinding(
                    true,
                    "it is compacted: records that a restart must read again disappear from it",
                    .set(TopicSetting("cleanup.policy", "delete"))
                )
            )
        case .delete where isCompacted:
            found.append(
                TopicFinding(
                    true,
                    "cleanup.policy is \(policy): records would be lost to compaction",
                    .set(TopicSetting("cleanup.policy", "delete"))
                )
            )
        case .compact where words != ["compact"]:
            found.append(
                TopicFinding(
                    true,
                    "cleanup.policy is \(policy): state would be lost with age",
                    .set(TopicSetting("cleanup.policy", "compact"))
                )
            )
        case .uncompacted, .delete, .compact: break
        }
    }

    /// What is published carries the time of writing: only what is asked for later can be too old.
    private func checkRetention(_ settings: [String: String], _ found: inout [TopicFinding]) {
        if let openMs, let ms = settings["retention.ms"].flatMap({ Int64($0) }), ms >= 0,
            ms < openMs,
            !(settings["cleanup.policy"] ?? "delete").contains("compact")
        {
            found.append(
                TopicFinding(
                    false,
                    "retention.ms is \(ms), and an alert may be open for \(openMs) ms or longer: one whose"
                        + " records are gone is not listed",
                    .set(TopicSetting("cleanup.policy", "compact"))
                )
            )
        }
        guard let rereadMs else { return }
        if let text = settings["retention.ms"], let ms = Int64(text), ms >= 0 {
            let hourMs: Int64 = 3_600_000
            if ms < rereadMs {
                found.append(
                    TopicFinding(
                        true,
                        "retention.ms is \(ms), and a restart may read \(rereadMs) ms again",
                        .set(TopicSetting("retention.ms", "\(rereadMs + 24 * hourMs)"))
                    )
                )
            } else if ms < rereadMs + hourMs {
                found.append(
                    TopicFinding(
                        false,
                        "retention.ms is \(ms): rows are lost if the process is down for \((ms - rereadMs) / 60_000) minutes",
                        .set(TopicSetting("retention.ms", "\(rereadMs + 24 * hourMs)"))
                    )
                )
            }
        }
        if let text = settings["retention.bytes"], let bytes = Int64(text), bytes >= 0 {
            found.append(
                TopicFinding(
                    false,
                    "retention.bytes is \(bytes) a partition: it must hold \(rereadMs) ms of records and the time the process may be down"
                )
            )
        }
    }

    private func checkWriting(
        _ settings: [String: String],
        _ replicas: Int,
        _ found: inout [TopicFinding]
    ) {
        guard let batchBytes else { return }
        if let least = settings["min.insync.replicas"].flatMap({ Int($0) }) {
            if least > replicas {
                found.append(
                    TopicFinding(
                        true,
                        "min.insync.replicas is \(least) and it has \(replicas) replicas: nothing can be written",
                        .set(TopicSetting("min.insync.replicas", "\(max(1, replicas - 1))"))
                    )
                )
            } else if least == 1, replicas > 2 {
                found.append(
                    TopicFinding(
                        false,
                        "min.insync.replicas is 1: records that one broker alone has are lost with that broker",
                        .set(TopicSetting("min.insync.replicas", "2"))
                    )
                )
            }
        }
        // A batch's own header and the records' framing come on top.
        let needed = batchBytes + 50_000
        if let most = settings["max.message.bytes"].flatMap({ Int($0) }), most < needed {
            found.append(
                TopicFinding(
                    true,
                    "max.message.bytes is \(most), and a batch may have \(needed) (or lower batch.size in kafka.properties)",
                    .set(TopicSetting("max.message.bytes", "1048588"))
                )
            )
        }
        checkRecords(settings, &found)
    }

    private func checkRecords(_ settings: [String: String], _ found: inout [TopicFinding]) {
        guard let recordBytes, let most = settings["max.message.bytes"].flatMap({ Int($0) }) else {
            return
        }
        if recordBytes.sure > most {
            found.append(
                TopicFinding(
                    true,
                    "max.message.bytes is \(most), and a result has \(recordBytes.sure) bytes: it would be"
                        + " replaced by a record that says so",
                    .set(TopicSetting("max.message.bytes", "\(recordBytes.sure + 50_000)"))
                )
            )
        } else if recordBytes.most > most {
            found.append(
                TopicFinding(
                    false,
                    "max.message.bytes is \(most): a result of long texts, or of numbers of all sizes, may have up to"
                        + " \(recordBytes.most) bytes, and would then be replaced by a record that says so"
                )
            )
        }
    }

    private func checkTime(_ settings: [String: String], _ found: inout [TopicFinding]) {
        guard role == .source, settings["message.timestamp.type"] == "CreateTime" else { return }
        let after =
            settings["message.timestamp.after.max.ms"]
            ?? settings["message.timestamp.difference.max.ms"]
        guard let after, let ms = Int64(after), ms > 365 * 86_400_000 else { return }
        found.append(
            TopicFinding(
                false,
                "producers set record times, without a bound: one wrong clock moves the reference clock",
                .set(TopicSetting("message.timestamp.after.max.ms", "3600000"))
            )
        )
    }
}
