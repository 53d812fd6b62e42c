import Glibc
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkPlanner
import TidemarkRuntime
import TidemarkText

/// A partition's position as the group has it, beside the log.
private struct Position {
    var extent: PartitionExtent
    /// `nil`: nothing was committed.
    var next: Int64?
    /// What the metadata says, if it can be read at all.
    var metadata: CommitMetadata?
    /// Why the next start would not use it; `nil`: it would.
    var rejection: String?

    var lag: Int64? { next.map { max(0, extent.end - $0) } }
    var stateEpoch: Int?
    /// One past the last record, those of open transactions included.
    var logEnd: Int64?

    /// Records that cannot be read yet: they lie behind a transaction that is open.
    var heldCount: Int64 { max(0, (logEnd ?? extent.end) - extent.end) }
}

/// The ends of the log as they are for whoever reads everything.
///
/// A client that reads committed records is told where those end.
private func noteLogEnds(
    _ positions: inout [Position], _ plan: Plan
) throws(ConnectorError) {
    guard plan.stream.source.isolationCommitted else { return }
    var open = plan
    open.stream.source.isolationCommitted = false
    let client = try handClient(open)
    defer { client.close(withinMs: 2000) }
    let extents = try client.source.extents()
    for place in positions.indices {
        positions[place].logEnd =
            extents.first { $0.partition == positions[place].extent.partition }?.end
    }
}

private func positions(
    _ plan: Plan,
    _ dataHash: String,
    _ client: KafkaClient
) throws(ConnectorError) -> [Position] {
    let extents = try client.source.extents()
    let committed = try client.offsets.committed(extents.map(\.partition))
    let cluster = fnv1a(client.offsets.clusterId)
    return extents.map { extent in
        guard let found = committed.first(where: { $0.partition == extent.partition }) else {
            return Position(extent: extent, next: nil, metadata: nil, rejection: nil)
        }
        var position = Position(
            extent: extent,
            next: found.next,
            metadata: nil,
            rejection: nil,
            stateEpoch: nil
        )
        do throws(CommitMetadata.Rejection) {
            position.metadata = try CommitMetadata(
                found.metadata,
                applicationHash: fnv1a(plan.app),
                clusterHash: cluster,
                dataHash: fnv1a(dataHash),
                next: found.next
            )
        } catch {
            position.rejection = PositionMark(found.metadata) == nil ? words(error) : "set by hand"
            position.metadata = decoded(found)
        }
        position.stateEpoch =
            position.metadata?.stateEpoch ?? PositionMark(found.metadata)?.stateEpoch
        if position.rejection == nil, let low = position.metadata?.low, low < extent.beginning {
            position.rejection = "low-water is gone from the log"
        }
        return position
    }
}

/// What metadata says, whatever application and topology it belongs to.
private func decoded(_ offset: CommittedOffset) -> CommitMetadata? {
    let words = offset.metadata.split(separator: " ")
    guard words.count > 4, let application = UInt64(words[1], radix: 36),
        let cluster = UInt64(words[2], radix: 36), let data = UInt64(words[3], radix: 36),
        let next = Int64(words[4], radix: 36)
    else { return nil }
    return try? CommitMetadata(
        offset.metadata,
        applicationHash: application,
        clusterHash: cluster,
        dataHash: data,
        next: next
    )
}

private func words(_ rejection: CommitMetadata.Rejection) -> String {
    switch rejection {
    case .absent: "absent"
    case .unreadable: "unreadable"
    case .otherApplication: "of another application"
    case .otherCluster: "of another cluster"
    case .otherTopology: "of another topology"
    case .otherOffset: "of another offset"
    }
}

/// `tidemark offsets show|set TOPOLOGY`.
func offsetsCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let action = invocation.arguments[0]
    let actions = ["show", "set", "clock"]
    guard actions.contains(action) else {
        throw UsageError(
            message: "`offsets` does not know `\(action)`",
            hint: "tidemark offsets \(nearest(action, actions) ?? "show") TOPOLOGY"
        )
    }
    guard invocation.arguments.count == 2 else {
        throw UsageError(
            message: "`offsets \(action)` needs TOPOLOGY",
            hint: "tidemark offsets \(action) TOPOLOGY"
        )
    }
    let target = try invocation.value("--to").map(parsedTarget)
    if action == "set", target == nil {
        throw UsageError(
            message: "`offsets set` needs --to",
            hint: "--to earliest|latest|2026-01-31T12:00:00Z|OFFSET"
        )
    }
    var clockMs: Int64?
    if action == "clock" {
        guard case .time(let ms)? = target else {
            throw UsageError(
                message: "`offsets clock` needs --to with a time", hint: "--to 2026-01-31T12:00:00Z"
            )
        }
        clockMs = ms
    }
    guard let (plan, dataHash) = handPlan(invocation.arguments[1], invocation) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        let before = try positions(plan, dataHash, client)
        if let clockMs {
            let chosen = try choose(before, invocation.value("--partition"), plan)
            return try setClock(clockMs, chosen, plan, client, invocation)
        }
        guard action == "set", let target else {
            var shown = before
            try noteLogEnds(&shown, plan)
            printOut(invocation.has("--json") ? json(plan, shown) : text(plan, shown))
            return ExitCode.done
        }
        let chosen = try choose(before, invocation.value("--partition"), plan)
        var moves: [Move] = []
        for position in chosen {
            moves.append(Move(position: position, to: try offset(target, position.extent, client)))
        }
        return try carryOut(moves, all: before, plan, client, invocation, clearsState: false)
    } catch {
        return printFailure(error)
    }
}

/// `tidemark reset TOPOLOGY`.
func resetCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let target = try invocation.value("--to").map(parsedTarget)
    guard let (plan, dataHash) = handPlan(invocation.arguments[0], invocation) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        let before = try positions(plan, dataHash, client)
        var moves: [Move] = []
        for position in before {
            if let target {
                moves.append(
                    Move(position: position, to: try offset(target, position.extent, client))
                )
            } else if let next = position.next {
                moves.append(Move(position: position, to: next))
            }
        }
        return try carryOut(moves, all: before, plan, client, invocation, clearsState: true)
    } catch {
        return printFailure(error)
    }
}

/// Puts reference clocks right that records with a wrong time led astray; everything else stays as
/// it was committed.
private func setClock(
    _ clockMs: Int64, _ positions: [Position], _ plan: Plan, _ client: KafkaClient,
    _ invocation: Invocation
) throws(ConnectorError) -> Int32 {
    var offsets: [CommittedOffset] = []
    for position in positions {
        guard position.rejection == nil, let next = position.next, var metadata = position.metadata
        else {
            printOut("\(position.extent.partition)  nothing committed that could be used\n")
            continue
        }
        printOut(
            "\(position.extent.partition)  reference clock \(time(metadata.clock.referenceMs)) to"
                + " \(time(clockMs))\n")
        metadata.clock.referenceMs = clockMs
        metadata.clock.maxEventMs = min(metadata.clock.maxEventMs, clockMs)
        metadata.clock.leapMs = TimeLimit.never
        metadata.clock.leapScore = 0
        metadata.clock.doubtMs = TimeLimit.never
        metadata.sequence += 1
        offsets.append(
            CommittedOffset(
                partition: position.extent.partition, next: next, metadata: metadata.encoded()))
    }
    if invocation.has("--dry-run") || offsets.isEmpty { return ExitCode.done }
    try refuseIfLive(plan, client)
    guard try isConfirmed(invocation) else {
        printError("tidemark: nothing was changed\n")
        return ExitCode.findings
    }
    let transaction = try client.takeOver(plan.app)
    do throws(HandTransaction.Failure) {
        try transaction.run([], group: plan.app, offsets: offsets)
    } catch {
        throw error.error
    }
    printOut("done\n")
    return ExitCode.done
}

// MARK: Where to

private enum Target {
    case earliest, latest
    case time(Int64)
    case offset(Int64)
}

private func parsedTarget(_ text: String) throws(UsageError) -> Target {
    switch text {
    case "earliest": return .earliest
    case "latest": return .latest
    default: break
    }
    if let offset = Int64(text), offset >= 0 { return .offset(offset) }
    if let ms = timeMs(text) { return .time(ms) }
    throw UsageError(
        message: "`--to \(text)` is not a place in a topic",
        hint: "--to earliest|latest|2026-01-31T12:00:00Z|OFFSET"
    )
}

private func offset(
    _ target: Target,
    _ extent: PartitionExtent,
    _ client: KafkaClient
) throws(ConnectorError) -> Int64 {
    switch target {
    case .earliest: return extent.beginning
    case .latest: return extent.end
    case .time(let ms): return try client.source.firstOffset(extent, start: .time(ms: ms))
    case .offset(let offset):
        guard (extent.beginning...extent.end).contains(offset) else {
            throw ConnectorError(
                .environment,
                "\(extent.partition) has the offsets \(extent.beginning) to \(extent.end), not \(offset)"
            )
        }
        return offset
    }
}

/// `3` of the only topic, or `topic/3`.
private func choose(
    _ positions: [Position],
    _ name: String?,
    _ plan: Plan
) throws(ConnectorError) -> [Position] {
    guard let name else { return positions }
    let parts = name.split(separator: "/").map(String.init)
    let topics = plan.stream.source.topics
    let topic = parts.count == 2 ? parts[0] : topics.count == 1 ? topics[0] : nil
    let found = positions.filter {
        $0.extent.partition.topic == topic && "\($0.extent.partition.partition)" == parts.last
    }
    guard !found.isEmpty else {
        throw ConnectorError(
            .environment,
            "no partition `\(name)` in \(topics.joined(separator: ", "))",
            hint: topics.count == 1 ? "--partition 0" : "--partition \(topics[0])/0"
        )
    }
    return found
}

// MARK: To do it

private struct Move {
    var position: Position
    var to: Int64
}

/// Moves positions to a new state epoch, and takes state away if asked for: in one transaction, under
/// the transactional id of the application, so that an older process can finish nothing afterwards.
private func carryOut(
    _ moves: [Move],
    all: [Position],
    _ plan: Plan,
    _ client: KafkaClient,
    _ invocation: Invocation,
    clearsState: Bool
) throws(ConnectorError) -> Int32 {
    let epoch = (all.compactMap(\.stateEpoch).max() ?? 0) + 1
    let live = clearsState ? try liveState(plan, client) : nil
    for move in moves {
        let from = move.position.next.map { "\($0)" } ?? "-"
        printOut(
            "\(move.position.extent.partition)  \(from) to \(move.to)  (\(move.position.extent.beginning) to \(move.position.extent.end))\n"
        )
    }
    if clearsState {
        printOut(
            live.map {
                "\(plan.stateTopicName)  \(grouped(Int64($0.count))) entries to be removed\n"
            } ?? "\(plan.stateTopicName)  does not exist: there is no state to remove\n"
        )
    }
    printOut("state epoch \(epoch): the first windows of the next start are incomplete\n")
    if invocation.has("--dry-run") { return ExitCode.done }
    try refuseIfLive(plan, client)
    guard try isConfirmed(invocation) else {
        printError("tidemark: nothing was changed\n")
        return ExitCode.findings
    }
    let mark = PositionMark(stateEpoch: epoch).text
    let transaction = try client.takeOver(plan.app)
    do throws(HandTransaction.Failure) {
        try transaction.run(
            live ?? [],
            group: plan.app,
            offsets: moves.map {
                CommittedOffset(
                    partition: $0.position.extent.partition,
                    next: $0.to,
                    metadata: mark
                )
            }
        )
    } catch {
        throw error.error
    }
    printOut("done\n")
    return ExitCode.done
}

/// What takes away all entries that the state topic has; `nil`: there is no such topic.
private func liveState(_ plan: Plan, _ client: KafkaClient) throws(ConnectorError) -> [HandRecord]?
{
    var live: [TopicPartition: Set<[UInt8]>] = [:]
    let read = try client.scan(plan.stateTopicName, group: plan.app) { record in
        guard let key = record.key else { return true }
        if record.value == nil {
            live[record.place]?.remove(key)
        } else {
            live[record.place, default: []].insert(key)
        }
        return true
    }
    guard read != nil else { return nil }
    return live.flatMap { place, keys in
        keys.map {
            HandRecord(topic: place.topic, partition: place.partition, key: $0, value: nil)
        }
    }
}

private func refuseIfLive(_ plan: Plan, _ client: KafkaClient) throws(ConnectorError) {
    guard let reason = try liveReason(plan, client) else { return }
    throw ConnectorError(
        .environment,
        "'\(plan.app)' seems to be running: \(reason)",
        hint: "stop it, then run this again"
    )
}

/// What can be known of a process of this application that is at work; `nil`: nothing.
///
/// Members of its group, positions that move. An idle process shows neither; it is fenced.
private func liveReason(_ plan: Plan, _ client: KafkaClient) throws(ConnectorError) -> String? {
    let members = try client.admin.memberCount(of: plan.app)
    if members > 0 { return "its group has \(members) member\(members == 1 ? "" : "s")" }
    let partitions = try client.source.extents().map(\.partition)
    let first = try client.offsets.committed(partitions)
    sleepMs(Int(min(max(2 * plan.run.commitMs + 500, 700), 20_500)))
    return try client.offsets.committed(partitions) == first
        ? nil : "its positions move while we look"
}

/// `--yes`, or a yes from a person at a terminal.
private func isConfirmed(_ invocation: Invocation) throws(ConnectorError) -> Bool {
    if invocation.has("--yes") { return true }
    guard isatty(0) == 1 else {
        throw ConnectorError(
            .environment,
            "there is no terminal to ask for confirmation",
            hint:
                "tidemark \(invocation.verb.name) \(invocation.arguments.joined(separator: " ")) --yes"
        )
    }
    printOut("do it? [y/N] ")
    let answer = readLine() ?? ""
    return answer == "y" || answer == "yes"
}

// MARK: Printed

private func time(_ ms: Int64?) -> String {
    guard let ms, ms != TimeLimit.never else { return "-" }
    return timeText(ms)
}

private func text(_ plan: Plan, _ positions: [Position]) -> String {
    var cells = [
        [
            "partition", "beginning", "low-water", "next", "end", "lag", "log end", "epoch",
            "published through", "metadata",
        ]
    ]
    for position in positions {
        let metadata = position.metadata
        cells.append([
            "\(position.extent.partition)", "\(position.extent.beginning)",
            metadata.map { "\($0.low)" } ?? "-", position.next.map { "\($0)" } ?? "-",
            "\(position.extent.end)", position.lag.map { "\($0)" } ?? "-",
            position.logEnd.map { "\($0)" } ?? "-",
            position.stateEpoch.map { "\($0)" } ?? "-", time(metadata?.publishedThroughMs),
            position.next == nil ? "nothing committed" : position.rejection ?? "valid",
        ])
    }
    let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    var text = "group \(plan.app)\n"
    for row in cells {
        let line = zip(row, widths).map { $0.padded($1) }.joined(separator: "  ")
        text += line.trimmedEnd + "\n"
    }
    for position in positions where position.heldCount > 0 {
        text +=
            "\(position.extent.partition): \(position.heldCount) records from offset"
            + " \(position.extent.end) on wait behind an open transaction: `kafka-transactions.sh"
            + " find-hanging` and `describe-producers` say whose\n"
    }
    for position in positions {
        guard let metadata = position.metadata else { continue }
        var more: [String] = []
        if metadata.incompleteThroughMs != TimeLimit.never {
            more.append(
                "incomplete through \(time(metadata.incompleteThroughMs)), rev \(metadata.incompleteRev)"
            )
        }
        if metadata.clock.referenceMs != TimeLimit.never {
            more.append("reference clock \(time(metadata.clock.referenceMs)) at low-water")
        }
        if metadata.clock.leapMs != TimeLimit.never {
            more.append("a leap to \(time(metadata.clock.leapMs)) waits for records that agree")
        }
        for floor in metadata.floors {
            more.append("floor \(time(floor.floorMs)) from offset \(floor.offset)")
        }
        if !more.isEmpty {
            text += "\(position.extent.partition): \(more.joined(separator: "; "))\n"
        }
    }
    return text
}

private func json(_ plan: Plan, _ positions: [Position]) -> String {
    var json = JSONWriter()
    func timeMember(_ name: StaticString, _ ms: Int64) {
        if ms != TimeLimit.never { json.member(name, ms) }
    }
    json.beginObject()
    json.member("group", plan.app)
    json.key("partitions")
    json.objects(positions) { json, position in
        json.member("topic", position.extent.partition.topic)
        json.member("partition", Int(position.extent.partition.partition))
        json.member("beginning", position.extent.beginning)
        json.member("end", position.extent.end)
        if let logEnd = position.logEnd { json.member("log_end", logEnd) }
        if let next = position.next {
            json.member("next", next)
            json.member("lag", position.lag ?? 0)
            json.member("metadata", position.rejection ?? "valid")
        }
        if let epoch = position.stateEpoch { json.member("state_epoch", epoch) }
        if let metadata = position.metadata {
            json.member("low_water", metadata.low)
            timeMember("published_through", metadata.publishedThroughMs)
            timeMember("incomplete_through", metadata.incompleteThroughMs)
            json.member("incomplete_rev", metadata.incompleteRev)
            timeMember("max_event_time", metadata.clock.maxEventMs)
            timeMember("reference_clock", metadata.clock.referenceMs)
            json.key("floors")
            json.objects(metadata.floors) { json, floor in
                json.member("offset", floor.offset)
                json.member("floor", floor.floorMs)
            }
        }
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self) + "\n"
}

extension String {
    var trimmedEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
