import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// Who of a segment had rows and has none: the groups that one freshness monitor expects there, or the
/// segment as a whole.
///
/// All is decided at the ends of panes, in event time: how long it is since the end of the last pane
/// that held a row. A pane that nobody has a row in decides nothing, for then the source is silent.
/// Where a whole source was silent for as long as the limit and comes back, all are expected anew
/// from its return on: that they were silent, too, is no news.
///
/// - A group beyond the segment's limit may be among the merged ones: it counts as seen, and as not
///   returned.
/// - Above the limit those of the greatest ranks are given up, as in windows.
///
/// What a restart reads again says who was seen in it; what it does not is state. A group that has rows
/// in every pane costs one entry in its life: it says `recent`, which is the newest of the panes that
/// are not read again, and one head beside the groups names that pane. So the state is a function of
/// the log and of a time, wherever reading begins.
///
/// - Memory: about 140 bytes a group and its name.
/// - Complexity: a look-up for each group with rows in a pane; a pass over all when one is due, or when
///   panes have settled.
struct ExpectedGroups {
    /// What the state topic says of when a group was last seen.
    enum Stored: Equatable {
        case none
        /// In the pane that the head calls recent.
        case recent
        case at(Int64)
        /// Then, and its silence was said.
        case silent(Int64)
    }

    struct Member {
        var part: [UInt8]
        var rank: GroupRank
        /// End of the last pane with a row.
        var lastMs: Int64
        var isSilent = false
        /// Why the alert that is open was published muted.
        var mute: AlertMute?
        var stored = Stored.none
    }

    /// What the end of a pane decided about a group.
    struct Event {
        enum Kind { case silent, returned, forgotten, beyondLimit }
        var kind: Kind
        var part: [UInt8]
        var mute: AlertMute?
        /// End of the last pane with a row before the silence.
        var sinceMs: Int64
        /// Start of the pane in which it returned; end of the one that decided anything else.
        var untilMs: Int64
    }

    private let limitMs: Int64
    private let forgetMs: Int64
    private let maxAgeMs: Int64
    private let countMax: Int
    private let name: String
    private let mutes: Mutes

    private(set) var members: [Member] = []
    private var places: [[UInt8]: Int] = [:]
    /// Bytes of members and their names, kept up.
    private(set) var byteCount = 0
    private var head = Head()
    /// As the state topic has it.
    private var storedHead: Head?
    /// End of the newest pane.
    private var newestMs = TimeLimit.never
    /// Ends of panes that a restart reads again.
    private var openEndsMs: [Int64] = []
    /// What ended by then was decided by an earlier process.
    private var resumedMs = TimeLimit.never
    /// No member is due before.
    private var dueMs = Int64.max
    /// Members may need other entries than they have.
    private var isChanged = false
    /// Of groups by their part, and with no part of all together.
    private var entries: EntryStore<[UInt8]?>
    /// About what members that changed will have to write, bytes.
    private var changedBytes = 0

    /// What is kept of all members together.
    struct Head: Equatable {
        /// End of the newest pane that is not read again.
        var recentMs = TimeLimit.never
        /// The same one unit of commit before: where state is newer than the offsets (delivery at least
        /// once), that one counts.
        var earlierMs = TimeLimit.never
        /// The source returned then: silence counts from there on.
        var returnedMs = TimeLimit.never
        /// The last pane that had more groups than the limit.
        var crowdedMs = TimeLimit.never

        var numbers: [Int64] { [recentMs, earlierMs, returnedMs, crowdedMs] }

        init() {}

        init?(_ numbers: [Int64]) {
            guard numbers.count == 4 else { return nil }
            (recentMs, earlierMs) = (numbers[0], numbers[1])
            (returnedMs, crowdedMs) = (numbers[2], numbers[3])
        }
    }

    /// - `key`: what the keys of its entries begin with.
    /// - `countMax`: groups that are expected at most.
    /// - `mutes`: when silence is planned.
    init(_ monitor: FreshnessPlan, key: [UInt8], countMax: Int, mutes: Mutes) {
        name = monitor.name
        self.mutes = mutes
        entries = EntryStore(.freshness) { part in part.map { key + [0x2f] + $0 } ?? key }
        limitMs = monitor.limitMs
        forgetMs = monitor.forgetMs
        maxAgeMs = monitor.maxAgeMs
        self.countMax = countMax
    }

    // MARK: Panes

    /// Takes the next pane in.
    ///
    /// `seen`: the groups with a row in it, each once or more often. `cut`: groups of this rank or above
    /// may have rows that nobody can tell. `rank`: of a group that is not known yet.
    ///
    /// - Returns: what it decided, in the order of the groups.
    mutating func observe(
        _ seen: [[UInt8]], cut: GroupRank, in pane: PaneArrival, rank: ([UInt8]) -> GroupRank
    ) -> [Event] {
        // What an earlier process decided is not decided again: it is in the entries.
        let isNew = pane.endMs > resumedMs
        if newestMs != TimeLimit.never, pane.startMs - newestMs >= limitMs {
            head.returnedMs = max(head.returnedMs, pane.startMs)
        }
        newestMs = max(newestMs, pane.endMs)
        openEndsMs.append(pane.endMs)
        var events: [Event] = []
        for part in seen {
            if let place = places[part] {
                see(place, in: pane, isNew: isNew, &events)
            } else if isNew || mayHaveBeenKnown(pane.endMs) {
                add(Member(part: part, rank: rank(part), lastMs: pane.endMs))
            }
        }
        if cut < .all {
            for place in members.indices
            where !members[place].isSilent && !(members[place].rank < cut) {
                members[place].lastMs = max(members[place].lastMs, pane.endMs)
            }
        }
        keepLimit(in: pane, isNew: isNew, &events)
        if isNew { decide(in: pane, &events) }
        return events.sorted { $0.part.precedes($1.part) }
    }

    /// A group in a pane that is read again, and without an entry, was known if nobody was given up in
    /// that pane or after it, and it is not too long ago.
    private func mayHaveBeenKnown(_ endMs: Int64) -> Bool {
        endMs > head.crowdedMs && resumedMs - endMs < forgetMs
    }

    /// About what the next unit of commit has to write, bytes.
    var pendingBytes: Int { entries.pendingBytes + changedBytes }

    private mutating func add(_ member: Member) {
        changedBytes += Self.bytes(member)
        places[member.part] = members.count
        members.append(member)
        byteCount += Self.bytes(member)
        dueMs = min(dueMs, member.lastMs + limitMs)
    }

    private mutating func see(
        _ place: Int, in pane: PaneArrival, isNew: Bool, _ events: inout [Event]
    ) {
        guard pane.endMs > members[place].lastMs else { return }
        let sinceMs = members[place].lastMs
        members[place].lastMs = pane.endMs
        guard members[place].isSilent else { return }
        if isNew {
            events.append(
                Event(
                    kind: .returned, part: members[place].part, mute: members[place].mute,
                    sinceMs: sinceMs, untilMs: pane.startMs))
        }
        members[place].isSilent = false
        members[place].mute = nil
        isChanged = true
        changedBytes += Self.bytes(members[place])
        dueMs = min(dueMs, pane.endMs + limitMs)
    }

    private mutating func keepLimit(
        in pane: PaneArrival, isNew: Bool, _ events: inout [Event]
    ) {
        guard members.count > countMax else { return }
        if isNew { head.crowdedMs = pane.endMs }
        isChanged = true
        let order = members.indices.sorted { members[$0].rank < members[$1].rank }
        remove(Set(order[countMax...])) { member in
            guard isNew, member.isSilent else { return }
            events.append(
                Event(
                    kind: .beyondLimit, part: member.part, mute: member.mute,
                    sinceMs: member.lastMs, untilMs: pane.endMs))
        }
    }

    private mutating func decide(in pane: PaneArrival, _ events: inout [Event]) {
        guard pane.endMs >= dueMs else { return }
        var nextMs = Int64.max
        var forgotten: Set<Int> = []
        let isOld =
            pane.referenceMs != TimeLimit.never && pane.referenceMs - pane.endMs > maxAgeMs
        for place in members.indices {
            let member = members[place]
            let silentMs = pane.endMs - max(member.lastMs, head.returnedMs)
            if silentMs >= forgetMs {
                forgotten.insert(place)
                continue
            }
            // A planned silence does not count.
            var startMs = pane.endMs - silentMs
            if !member.isSilent, silentMs >= limitMs {
                startMs = mutes.silenceStart(
                    monitor: name, part: member.part, sinceMs: startMs, nowMs: pane.endMs)
            }
            if !member.isSilent, pane.endMs - startMs >= limitMs {
                members[place].isSilent = true
                members[place].mute = isOld ? .backfill : nil
                isChanged = true
                changedBytes += Self.bytes(member)
                events.append(
                    Event(
                        kind: .silent, part: member.part, mute: members[place].mute,
                        sinceMs: member.lastMs, untilMs: pane.endMs))
            }
            nextMs = min(
                nextMs,
                members[place].isSilent
                    ? pane.endMs - silentMs + forgetMs : startMs + limitMs)
        }
        dueMs = nextMs
        remove(forgotten) { member in
            guard member.isSilent else { return }
            events.append(
                Event(
                    kind: .forgotten, part: member.part, mute: member.mute,
                    sinceMs: member.lastMs, untilMs: pane.endMs))
        }
    }

    private mutating func remove(_ chosen: Set<Int>, _ say: (Member) -> Void) {
        guard !chosen.isEmpty else { return }
        var kept: [Member] = []
        kept.reserveCapacity(members.count - chosen.count)
        for (place, member) in members.enumerated() {
            guard chosen.contains(place) else {
                places[member.part] = kept.count
                kept.append(member)
                continue
            }
            say(member)
            places[member.part] = nil
            byteCount -= Self.bytes(member)
            if member.stored != .none { entries.remove(member.part) }
        }
        members = kept
    }

    private static func bytes(_ member: Member) -> Int {
        // The name stands in the list and in the table; 40: heads of allocations.
        104 + member.part.count + 40
    }

    // MARK: State

    /// What the next unit of commit has to write, if a restart reads no pane again that ends by
    /// `settledMs`.
    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        changedBytes = 0
        if let recentMs = openEndsMs.last(where: { $0 <= settledMs }) {
            openEndsMs.removeAll { $0 <= settledMs }
            if recentMs > head.recentMs {
                head.earlierMs = head.recentMs
                head.recentMs = recentMs
                isChanged = true
            }
        }
        if isChanged {
            isChanged = false
            for place in members.indices {
                let stored = needed(members[place], settledMs: settledMs)
                guard stored != members[place].stored else { continue }
                members[place].stored = stored
                entries.write(members[place].part, byteCount: 2)
            }
        }
        let isWanted = !members.isEmpty || storedHead != nil
        if isWanted, storedHead != head {
            storedHead = head
            entries.write(nil, byteCount: 32)
        }
        return entries.take(epoch: epoch) { [members, places, head] part in
            guard let part else {
                return EntryContent(
                    appliedThroughMs: head.recentMs, payload: Self.bytes(head.numbers))
            }
            return places[part].map { Self.content(members[$0]) }
        }
    }

    /// What the topic has to say of a member; what it says already where that is enough.
    private func needed(_ member: Member, settledMs: Int64) -> Stored {
        if member.isSilent { return .silent(member.lastMs) }
        let seen = Stored.at(member.lastMs)
        switch member.stored {
        case .silent:
            guard member.lastMs <= settledMs else { return seen }
        case .none:
            // While groups are given up, who is not is written down.
            guard member.lastMs > settledMs, head.crowdedMs <= settledMs else { break }
            return .none
        case .recent, .at:
            // A pane that is read again says more.
            if member.lastMs > settledMs { return member.stored }
        }
        return member.lastMs == head.recentMs ? .recent : seen
    }

    private static func content(_ member: Member) -> EntryContent {
        let form: UInt8 =
            switch member.stored {
            case .none, .at: 0
            case .recent: 1
            case .silent: 2
            }
        return EntryContent(
            appliedThroughMs: member.lastMs, payload: [form, UInt8(member.mute?.rawValue ?? 0)])
    }

    private static func bytes(_ numbers: [Int64]) -> [UInt8] {
        numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
    }

    /// Takes the entry of a group in, or (without a part) that of all together, before `resume`.
    ///
    /// - Returns: false if it is none.
    mutating func restore(
        _ part: [UInt8]?, _ frame: StateFrame, rank: ([UInt8]) -> GroupRank
    ) -> Bool {
        let payload = frame.payload
        guard let part else {
            let numbers = stride(from: 0, to: payload.count - 7, by: 8).map { start in
                (0..<8).reduce(Int64(0)) { $0 | Int64(payload[start + $1]) << Int64($1 * 8) }
            }
            guard payload.count % 8 == 0, let head = Head(numbers) else { return false }
            (self.head, storedHead) = (head, head)
            return true
        }
        guard payload.count == 2, payload[0] <= 2, places[part] == nil,
            frame.appliedThroughMs.magnitude < 1 << 60
        else { return false }
        var member = Member(part: part, rank: rank(part), lastMs: frame.appliedThroughMs)
        switch payload[0] {
        case 0: member.stored = .at(member.lastMs)
        case 1: member.stored = .recent
        default:
            member.stored = .silent(member.lastMs)
            member.isSilent = true
            member.mute = AlertMute(rawValue: Int64(payload[1]))
        }
        add(member)
        changedBytes = 0
        return true
    }

    /// Says that all entries were taken in, and through when an earlier process decided.
    mutating func resume(throughMs: Int64) {
        resumedMs = throughMs
        // State that is newer than the offsets.
        if head.recentMs > throughMs { head.recentMs = head.earlierMs }
        if head.crowdedMs > throughMs { head.crowdedMs = TimeLimit.never }
        newestMs = head.recentMs
        for place in members.indices where members[place].stored == .recent {
            members[place].lastMs = max(head.recentMs, members[place].lastMs)
        }
        isChanged = true
        dueMs = .min
    }
}
