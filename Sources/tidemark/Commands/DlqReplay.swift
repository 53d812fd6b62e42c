import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkRecords
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// What a replay came to.
private struct ReplaySummary {
    var letters = 0
    var matching = 0
    var already = 0
    var cut = 0
    var otherTopic = 0
    var foreign = 0
    var replayed = 0
    /// Letters that the cluster will not take, with the reason; others are sent without them.
    var refused: [(place: String, why: String)] = []
    /// Letters that are replayed with record times from before what their topic keeps.
    var aged = 0

    func text(isDry: Bool) -> String {
        var text =
            "\(grouped(Int64(replayed))) \(isDry ? "would be replayed" : "replayed") of \(grouped(Int64(letters))) letters\n"
        for (count, words) in [
            (letters - matching, "not asked for"), (already, "replayed before"),
            (cut, "cut short: their bytes are not all there"),
            (otherTopic, "of topics that are no source now (--to sends them elsewhere)"),
            (foreign, "records that are not our letters"),
            (refused.count, "that can't be sent"),
            (
                matching - already - cut - otherTopic - refused.count - replayed,
                "left for another time (--limit)"
            ),
        ] where count > 0 {
            text += "    \(grouped(Int64(count))) \(words)\n"
        }
        if aged > 0 {
            text +=
                "    \(grouped(Int64(aged))) are older than their topic's retention.ms: brokers delete them at their next"
                + " look, so they must be read soon\n"
        }
        for (place, why) in refused.prefix(10) { text += "        \(place)  \(printable(why))\n" }
        if refused.count > 10 {
            text += "        and \(grouped(Int64(refused.count - 10))) more (--json lists all)\n"
        }
        return text
    }

    func json(isDry: Bool) -> String {
        var json = JSONWriter()
        json.beginObject()
        json.member("dry_run", isDry)
        json.member("letters", letters)
        json.member("matching", matching)
        json.member("already_replayed", already)
        json.member("cut", cut)
        json.member("other_topic", otherTopic)
        json.member("foreign", foreign)
        json.member("replayed", replayed)
        json.member("older_than_retention", aged)
        json.key("refused")
        json.objects(refused) { json, item in
            let (place, why) = item
            json.member("place", place)
            json.member("why", why)
        }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self) + "\n"
    }
}

/// One letter that is to be replayed, before its bytes are read.
private struct Wanted {
    var timeMs: Int64
    var place: TopicPartition
    var offset: Int64
}

/// Sends letters back to where they came from, or to another topic.
func replayLetters(
    _ plan: Plan,
    _ client: KafkaClient,
    _ filter: LetterFilter,
    limit: Int?,
    to: String?,
    isDry: Bool,
    asJSON: Bool
) throws(ConnectorError) -> Int32 {
    let topic = plan.outputs.deadLetters
    let group = "\(plan.app)-dlq"
    let sources = Set(plan.stream.source.topics)
    guard case .present(let partitions, _, _) = try client.admin.states(of: [topic])[0] else {
        throw missingLetters(plan, client.admin.brokers)
    }
    // First of all: from here on nobody else remembers anything in this group.
    let transaction = isDry ? nil : try client.takeOver(group)
    let places = (0..<partitions).map { TopicPartition(topic: topic, partition: Int32($0)) }
    let memory = try replayed(places, group: group, client)
    let sendable = to == nil ? try SendableRecords(client, Array(sources).sorted()) : nil
    // Coordinates first, bytes afterwards: letters may be many and large.
    var summary = ReplaySummary()
    var existing: [TopicPartition: [Int64]] = [:]
    var wanted: [Wanted] = []
    try client.scan(topic, group: group) { record in
        guard let letter = LetterRecord(record) else {
            summary.foreign += 1
            return true
        }
        summary.letters += 1
        let isSendable = !letter.isCut
        if isSendable { existing[record.place, default: []].append(record.offset) }
        guard filter.takes(letter, record) else { return true }
        summary.matching += 1
        if !isSendable {
            summary.cut += 1
        } else if memory[record.place]?.contains(record.offset) ?? false {
            summary.already += 1
        } else if to == nil, !sources.contains(letter.source.topic) {
            summary.otherTopic += 1
        } else if let why = sendable?.refusal(of: letter) {
            summary.refused.append((letter.place, why))
        } else {
            if sendable?.isAged(letter) ?? false { summary.aged += 1 }
            wanted.append(
                Wanted(
                    timeMs: record.timestampMs ?? .min,
                    place: record.place,
                    offset: record.offset
                )
            )
        }
        return true
    }
    // The oldest first.
    wanted.sort { ($0.timeMs, $0.place, $0.offset) < ($1.timeMs, $1.place, $1.offset) }
    if let limit { wanted.removeLast(max(0, wanted.count - limit)) }
    if let transaction, !wanted.isEmpty {
        var batch = ReplayBatch(group: group, memory: memory, existing: existing)
        try send(wanted, &batch, client, transaction, from: topic, to: to)
        summary.replayed = batch.sentCount
        summary.refused += batch.refused
    } else {
        summary.replayed = isDry ? wanted.count : 0
    }
    printOut(asJSON ? summary.json(isDry: isDry) : summary.text(isDry: isDry))
    return summary.refused.isEmpty ? ExitCode.done : ExitCode.findings
}

/// What was replayed before, by partition of the letters.
private func replayed(
    _ places: [TopicPartition], group: String, _ client: KafkaClient
) throws(ConnectorError) -> [TopicPartition: ReplayMemory] {
    var memory: [TopicPartition: ReplayMemory] = [:]
    for place in places { memory[place] = ReplayMemory() }
    for offset in try client.committed(places, group: group) {
        do throws(ReplayMemory.Problem) {
            memory[offset.partition] = try ReplayMemory(
                next: offset.next,
                metadata: offset.metadata
            )
        } catch {
            throw ConnectorError(
                .environment,
                "group '\(group)' holds metadata that is not a record of replays at \(offset.partition)"
            )
        }
    }
    return memory
}

/// Reads the letters once more, with their bytes, and sends those that are wanted.
private func send(
    _ wanted: [Wanted], _ batch: inout ReplayBatch, _ client: KafkaClient,
    _ transaction: HandTransaction, from topic: String, to other: String?
) throws(ConnectorError) {
    var chosen: [TopicPartition: Set<Int64>] = [:]
    for one in wanted { chosen[one.place, default: []].insert(one.offset) }
    try client.scan(topic, group: batch.group) { record throws(ConnectorError) in
        guard chosen[record.place]?.remove(record.offset) != nil,
            let letter = LetterRecord(record)
        else { return true }
        batch.append(record, letter, to: other)
        if batch.isFull { try batch.send(transaction) }
        if chosen[record.place]?.isEmpty ?? false { chosen[record.place] = nil }
        return !chosen.isEmpty
    }
    try batch.send(transaction)
}

/// What the source topics take, as far as it can be known before a record is sent.
private struct SendableRecords {
    private struct Bounds {
        var partitionCount: Int
        /// Record times that are taken, ms since 1970.
        var times: ClosedRange<Int64>
        /// Older records are deleted by age.
        var keptFromMs: Int64
    }

    private var bounds: [String: Bounds] = [:]

    init(_ client: KafkaClient, _ topics: [String]) throws(ConnectorError) {
        let now = SystemTime().wallMs()
        for (topic, state) in zip(topics, try client.admin.states(of: topics)) {
            guard case .present(let partitionCount, _, let settings) = state else { continue }
            func span(_ name: String) -> Int64? {
                settings?["message.timestamp.\(name).max.ms"].flatMap { Int64($0) }
            }
            var times = Int64.min...Int64.max
            // Where the broker sets the time itself, it looks at none.
            if settings?["message.timestamp.type"] != "LogAppendTime" {
                let (first, isBefore) = now.subtractingReportingOverflow(span("before") ?? .max)
                let (last, isAfter) = now.addingReportingOverflow(span("after") ?? .max)
                times = (isBefore ? .min : first)...(isAfter ? .max : last)
            }
            var keptFromMs = Int64.min
            // Where the broker sets the time itself, what is sent is new.
            if settings?["message.timestamp.type"] != "LogAppendTime",
                let retentionMs = settings?["retention.ms"].flatMap({ Int64($0) }), retentionMs >= 0
            {
                keptFromMs = now &- retentionMs
            }
            bounds[topic] = Bounds(
                partitionCount: partitionCount, times: times, keptFromMs: keptFromMs)
        }
    }

    /// A letter's record is older than what its topic keeps.
    func isAged(_ letter: LetterRecord) -> Bool {
        guard let bounds = bounds[letter.source.topic], let ms = letter.timestampMs else {
            return false
        }
        return ms < bounds.keptFromMs
    }

    /// Why a letter's record can't be sent to where it came from; `nil`: nothing is known against it.
    func refusal(of letter: LetterRecord) -> String? {
        guard let bounds = bounds[letter.source.topic] else { return nil }
        if Int(letter.source.partition) >= bounds.partitionCount {
            return "the topic has no partition \(letter.source.partition) now"
        }
        if let ms = letter.timestampMs, !bounds.times.contains(ms) {
            return
                "the topic takes no record of \(timeText(ms)) (message.timestamp.before.max.ms, .after.max.ms)"
        }
        return nil
    }
}

/// Letters of one transaction, and the memory that goes with them.
private struct ReplayBatch {
    let group: String
    var memory: [TopicPartition: ReplayMemory]
    let existing: [TopicPartition: [Int64]]
    private var letters: [(place: TopicPartition, offset: Int64, record: HandRecord, of: String)] =
        []
    private var byteCount = 0
    var sentCount = 0
    /// Letters that the cluster did not take, with its reason.
    var refused: [(place: String, why: String)] = []

    init(
        group: String,
        memory: [TopicPartition: ReplayMemory],
        existing: [TopicPartition: [Int64]]
    ) {
        self.group = group
        self.memory = memory
        self.existing = existing
    }

    var isFull: Bool { letters.count >= 1000 || byteCount >= 4 << 20 }

    mutating func append(_ record: ScannedRecord, _ letter: LetterRecord, to other: String?) {
        let own = "\(record.place.topic)/\(record.place.partition)/\(record.offset)"
        let sent = HandRecord(
            topic: other ?? letter.source.topic,
            partition: other == nil ? letter.source.partition : nil,
            key: record.key,
            value: record.value,
            // Of an earlier replay, whose record is broken again: said anew.
            headers: LetterRecord.original(of: record.headers).filter {
                !$0.name.hasPrefix("tidemark-replay")
            } + [
                ("tidemark-replay", Array(own.utf8)),
                ("tidemark-replay-of", Array(letter.place.utf8)),
                ("tidemark-replay-reason", Array(letter.reason.utf8)),
            ],
            timestampMs: letter.timestampMs)
        letters.append((record.place, record.offset, sent, letter.place))
        byteCount += (record.key?.count ?? 0) + (record.value?.count ?? 0)
    }

    /// Sends what is there, records and memory in one transaction.
    ///
    /// What the cluster refuses is found by halves and left out: one letter must not hold up the others.
    mutating func send(_ transaction: HandTransaction) throws(ConnectorError) {
        try send(letters[...], transaction)
        letters = []
        byteCount = 0
    }

    private mutating func send(
        _ part: ArraySlice<(place: TopicPartition, offset: Int64, record: HandRecord, of: String)>,
        _ transaction: HandTransaction
    ) throws(ConnectorError) {
        guard let first = part.first else { return }
        var after = memory
        var commits: [CommittedOffset] = []
        for (place, mine) in Dictionary(grouping: part, by: \.place) {
            var remembered = memory[place] ?? ReplayMemory()
            remembered.add(Set(mine.map(\.offset)), existing: existing[place] ?? [])
            let metadata: String
            do throws(ReplayMemory.Problem) {
                metadata = try remembered.metadata()
            } catch {
                throw ConnectorError(
                    .environment,
                    "there are too many gaps between the letters to replay: the record of what was sent would not fit",
                    hint: "replay the older ones first: --limit N without --reason and --since"
                )
            }
            after[place] = remembered
            commits.append(
                CommittedOffset(partition: place, next: remembered.next, metadata: metadata))
        }
        do throws(HandTransaction.Failure) {
            try transaction.run(part.map(\.record), group: group, offsets: commits)
        } catch {
            guard case .refused(let why) = error else { throw error.error }
            guard part.count > 1 else {
                refused.append((first.of, why.message))
                return
            }
            let middle = part.startIndex + part.count / 2
            try send(part[..<middle], transaction)
            try send(part[middle...], transaction)
            return
        }
        memory = after
        sentCount += part.count
    }
}
