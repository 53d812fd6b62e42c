import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkOperators
import TidemarkPlanner
import TidemarkRecords
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

extension LetterRecord {
    /// What the headers of a record of the topic say; `nil`: it is no letter of ours.
    fileprivate init?(_ record: ScannedRecord) {
        do throws(RecordError) {
            try self.init(headers: record.headers)
        } catch {
            return nil
        }
    }

    /// Where the record came from.
    fileprivate var place: String { "\(topic)/\(partition)/\(offset)" }
}

/// What `--reason` and `--since` let through.
private struct LetterFilter {
    var reasons: Set<String>
    var sinceMs: Int64?

    func takes(_ letter: LetterRecord, _ record: ScannedRecord) -> Bool {
        if !reasons.isEmpty, !reasons.contains(letter.reason) { return false }
        guard let sinceMs else { return true }
        return (record.timestampMs ?? .min) >= sinceMs
    }
}

/// `tidemark dlq list|replay TOPOLOGY`.
func dlqCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let action = invocation.arguments[0]
    guard action == "list" || action == "replay" else {
        throw UsageError(
            message: "`dlq` does not know `\(action)`",
            hint: "tidemark dlq \(nearest(action, ["list", "replay"]) ?? "list") TOPOLOGY"
        )
    }
    guard invocation.arguments.count == 2 else {
        throw UsageError(
            message: "`dlq \(action)` needs TOPOLOGY",
            hint: "tidemark dlq \(action) TOPOLOGY"
        )
    }
    let filter = LetterFilter(
        reasons: Set(invocation.values("--reason")),
        sinceMs: try invocation.value("--since").map(parsedSince)
    )
    let limit = try invocation.count("--limit")
    let samples = try invocation.count("--samples") ?? 3
    guard let (plan, _) = handPlan(invocation.arguments[1], invocation) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        if action == "list" {
            return try list(
                plan,
                client,
                filter,
                samples: samples,
                asJSON: invocation.has("--json")
            )
        }
        return try replay(
            plan,
            client,
            filter,
            limit: limit,
            to: invocation.value("--to"),
            isDry: invocation.has("--dry-run"),
            asJSON: invocation.has("--json")
        )
    } catch {
        return printFailure(error)
    }
}

private func parsedSince(_ text: String) throws(UsageError) -> Int64 {
    if let ms = timeMs(text) { return ms }
    if let ms = durationMs(text) { return SystemTime().wallMs() - ms }
    throw UsageError(
        message: "`--since \(text)` is no time",
        hint: "--since 2h, or --since 2026-01-31T12:00:00Z"
    )
}

private func missing(_ plan: Plan, _ brokers: String) -> ConnectorError {
    ConnectorError(
        .environment,
        "dead-letter topic '\(plan.outputs.deadLetters)' does not exist at \(brokers)",
        hint: "tidemark topics check TOPOLOGY"
    )
}

// MARK: list

/// What a topic of letters holds, by reason.
private struct LetterCounts {
    /// Letters that are counted together.
    struct Kind: Hashable {
        var reason: String
        var topology: String
        var source: TopicPartition
    }

    /// A letter that is shown.
    struct Sample {
        /// Where the record came from.
        var place: String
        /// Where the letter is.
        var own: String
        var detail: String
        var timeMs: Int64?
    }

    let topic: String
    /// How many letters of a reason are shown.
    let sampleCountMax: Int
    private var counts: [Kind: Int] = [:]
    private var samples: [String: [Sample]] = [:]
    /// Records that are no letters of ours.
    var foreignCount = 0
    private var firstMs = Int64.max
    private var lastMs = Int64.min

    init(topic: String, sampleCountMax: Int) {
        self.topic = topic
        self.sampleCountMax = sampleCountMax
    }

    mutating func add(_ letter: LetterRecord, _ record: ScannedRecord) {
        let kind = Kind(
            reason: letter.reason, topology: letter.topology ?? "-", source: letter.source)
        counts[kind, default: 0] += 1
        if let ms = record.timestampMs {
            firstMs = min(firstMs, ms)
            lastMs = max(lastMs, ms)
        }
        guard samples[letter.reason, default: []].count < sampleCountMax else { return }
        samples[letter.reason, default: []].append(
            Sample(
                place: letter.place,
                own: "\(record.place.topic)/\(record.place.partition)/\(record.offset)",
                detail: letter.detail ?? "", timeMs: record.timestampMs))
    }

    private var kinds: [Kind] {
        counts.keys.sorted { a, b in
            (a.reason, a.source, a.topology) < (b.reason, b.source, b.topology)
        }
    }

    private var total: Int { counts.values.reduce(0, +) }

    func json() -> String {
        var json = JSONWriter()
        json.beginObject()
        json.member("topic", topic)
        json.member("letters", total)
        json.member("foreign", foreignCount)
        json.key("counts")
        json.objects(kinds) { json, kind in
            json.member("reason", kind.reason)
            json.member("operator", kind.topology)
            json.member("topic", kind.source.topic)
            json.member("partition", Int(kind.source.partition))
            json.member("count", counts[kind] ?? 0)
        }
        json.key("samples")
        let shown = samples.keys.sorted().flatMap { reason in
            (samples[reason] ?? []).map { (reason, $0) }
        }
        json.objects(shown) { json, item in
            let (reason, sample) = item
            json.member("reason", reason)
            json.member("place", sample.place)
            json.member("letter", sample.own)
            json.member("detail", sample.detail)
            if let ms = sample.timeMs { json.member("time", ms) }
        }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self) + "\n"
    }

    func text() -> String {
        var text = "\(topic)  \(grouped(Int64(total))) letters"
        if total > 0, firstMs <= lastMs { text += "  \(timeText(firstMs)) to \(timeText(lastMs))" }
        text += "\n"
        if foreignCount > 0 {
            text += "\(grouped(Int64(foreignCount))) records that are not our letters\n"
        }
        let rows = kinds.map {
            [$0.reason, $0.topology, "\($0.source)", grouped(Int64(counts[$0] ?? 0))]
        }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            text +=
                "  " + zip(row, widths).map { $0.padded($1) }.joined(separator: "  ").trimmedEnd
                + "\n"
        }
        for reason in samples.keys.sorted() {
            text += "\(reason)\n"
            for sample in samples[reason] ?? [] {
                text += "    \(sample.place)  in \(sample.own)  \(sample.detail)".trimmedEnd + "\n"
            }
        }
        return text
    }
}

private func list(
    _ plan: Plan,
    _ client: KafkaClient,
    _ filter: LetterFilter,
    samples: Int,
    asJSON: Bool
) throws(ConnectorError) -> Int32 {
    var counts = LetterCounts(topic: plan.outputs.deadLetters, sampleCountMax: samples)
    let read = try client.scan(counts.topic, group: "\(plan.app)-dlq") { record in
        if let letter = LetterRecord(record) {
            if filter.takes(letter, record) { counts.add(letter, record) }
        } else {
            counts.foreignCount += 1
        }
        return true
    }
    guard read != nil else { throw missing(plan, client.admin.brokers) }
    printOut(asJSON ? counts.json() : counts.text())
    return ExitCode.done
}

// MARK: replay

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

private func replay(
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
        throw missing(plan, client.admin.brokers)
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
