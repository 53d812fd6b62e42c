import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Freshness monitors of segments and of their groups: who had rows and has none, in event time.
///
/// A function of the log and of recorded decisions: what it says at the end of a pane is the same
/// wherever reading began. It is published in the order of those ends.
struct GroupSilence: Monitor {
    static let spec = KindSpec(name: "freshness")

    /// A monitor in one of its segments.
    private struct Place {
        var monitor: FreshnessPlan
        var segment: Int
        /// `freshness/monitor/segment`.
        var key: [UInt8]
        var expected: ExpectedGroups
    }

    private let plan: Plan
    private let text: SourceText
    private let rank: GroupRanking
    private var places: [Place] = []
    /// Decided, and not published yet, in the order of the ends of panes.
    private var said: [(atMs: Int64, records: [OutputRecord], isAlert: Bool)] = []

    /// The group part of a segment as a whole.
    private static let whole: [UInt8] = [0x2d]

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        self.rank = rank
        text = SourceText(plan: plan)
        func encoded(_ name: String) -> [UInt8] { percentEncoded(Array(name.utf8)) }
        for monitor in plan.stream.freshness where monitor.per != .source {
            for index in monitor.segments {
                let segment = plan.stream.segments[index]
                let key =
                    Array("freshness/".utf8) + encoded(monitor.name) + [0x2f]
                    + encoded(segment.name)
                places.append(
                    Place(
                        monitor: monitor, segment: index, key: key,
                        expected: ExpectedGroups(
                            monitor, key: key,
                            countMax: monitor.per == .group ? segment.groupCountMax : 1,
                            mutes: Mutes(plan))))
            }
        }
    }

    /// Memory of what is expected, bytes; kept up, not counted.
    var byteCount: Int { places.reduce(0) { $0 + $1.expected.byteCount } }

    /// Panes are told before the windows that end with them are closed, so this is how it stands at their end.
    var standings: [Standing] {
        places.map {
            Standing(
                monitor: $0.monitor.name, segment: $0.segment,
                tally: SeriesTally(
                    reached: Int64($0.expected.members.count),
                    breached: Int64($0.expected.members.count { $0.isSilent })))
        }
    }

    // MARK: Panes

    mutating func advance(_ moment: Moment, emit: (OutputRecord) -> Void) -> Advance {
        switch moment {
        case .paneEnded(let partials, let pane):
            observe(partials, in: pane)
            return Advance()
        case .reached(let throughMs): return say(throughMs: throughMs, emit: emit)
        default: return Advance()
        }
    }

    /// Takes a pane in and decides at its end.
    private mutating func observe(_ partials: [any Partial], in pane: PaneArrival) {
        for index in places.indices {
            let (monitor, segment) = (places[index].monitor, places[index].segment)
            var seen: [[UInt8]] = []
            var cut = GroupRank.all
            for partial in partials {
                let presence = partial.presence(segment: segment)
                if monitor.per == .segment {
                    if presence.hasRows { seen = [Self.whole] }
                } else {
                    cut = min(cut, presence.cut)
                    seen += presence.groups
                }
            }
            let events = places[index].expected.observe(seen, cut: cut, in: pane) { [rank] in
                rank($0, segment)
            }
            for event in events {
                guard monitor.alerts, let records = records(event, monitor, segment: segment)
                else { continue }
                said.append((pane.endMs, records, event.kind == .silent))
            }
        }
    }

    /// Publishes what was decided by then.
    private mutating func say(throughMs: Int64, emit: (OutputRecord) -> Void) -> Advance {
        let count = said.prefix { $0.atMs <= throughMs }.count
        guard count > 0 else { return Advance() }
        for one in said[..<count] { one.records.forEach(emit) }
        defer { said.removeFirst(count) }
        return Advance(alertCount: said[..<count].count(where: \.isAlert), hasSpoken: true)
    }

    private func records(
        _ event: ExpectedGroups.Event, _ monitor: FreshnessPlan, segment index: Int
    ) -> [OutputRecord]? {
        let segment = plan.stream.segments[index]
        guard let values = values(event.part, monitor, segment) else { return nil }
        let name =
            monitor.per == .segment
            ? "segment \(segment.name)" : String(decoding: event.part, as: UTF8.self)
        let seconds = (event.untilMs - event.sinceMs) / 1000
        let threshold = Double(monitor.limitMs) / 1000
        let own = monitor.summary.map {
            filled(
                $0,
                [
                    ("{column}", ""), ("{group}", name), ("{value}", "\(seconds)"),
                    ("{threshold}", shortText(threshold)), ("{baseline}", ""),
                ])
        }
        let summary =
            switch event.kind {
            case .silent: "\(name) has had no row for \(seconds) s"
            case .returned: "\(name) has rows again, after \(seconds) s"
            case .forgotten: "\(name) is no longer expected: no row for \(seconds) s"
            case .beyondLimit:
                "\(name) is no longer watched: \(segment.name) has more than"
                    + " \(segment.groupCountMax) groups"
            }
        return text.record(
            event.kind == .silent ? .noData : .resolved, monitor: monitor.name,
            severity: monitor.severity, test: "freshness",
            value: Double(event.untilMs - event.sinceMs) / 1000, threshold: threshold,
            summary: own ?? summary, runbook: monitor.runbook, description: monitor.description,
            openedMs: event.sinceMs,
            window: Window(startMs: event.sinceMs, endMs: event.untilMs),
            segment: (segment.name, values), mute: event.mute)
    }

    private func values(
        _ part: [UInt8], _ monitor: FreshnessPlan, _ segment: SegmentPlan
    ) -> GroupValues? {
        GroupValues(
            part: part, names: monitor.per == .segment ? [] : segment.dimensions.map(\.name))
    }

    // MARK: State

    var pendingBytes: Int { places.reduce(0) { $0 + $1.expected.pendingBytes } }

    mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        places.indices.flatMap {
            places[$0].expected.takeEntries(epoch: epoch, settledMs: settledMs)
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration? {
        guard frame.kind == .freshness else { return nil }
        let parts = key.split(separator: 0x2f, omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 4,
            let index = places.firstIndex(where: {
                $0.key.elementsEqual(parts[..<3].joined(separator: [0x2f]))
            })
        else { return .noMonitor }
        let (monitor, segment) = (places[index].monitor, places[index].segment)
        let part = parts.count == 4 ? Array(parts[3]) : nil
        if let part, values(part, monitor, plan.stream.segments[segment]) == nil {
            return .unusable("no group of this topology has it")
        }
        let isTaken = places[index].expected.restore(part, frame) { [rank] in rank($0, segment) }
        return isTaken ? .taken : .unusable("it is not a group of a freshness monitor")
    }

    /// Says through when an earlier process decided, after all entries.
    mutating func resume(throughMs: Int64) {
        for index in places.indices { places[index].expected.resume(throughMs: throughMs) }
    }
}

extension StateFrame {
    /// What an entry of a freshness monitor says; nil where it is none.
    package var freshnessText: String? {
        guard kind == .freshness else { return nil }
        guard payload.count == 2 else { return "panes that a freshness monitor has settled" }
        switch payload[0] {
        case 0: return "group that is expected, with rows until then"
        case 1: return "group that is expected, with rows lately"
        case 2: return "group whose silence was published, with rows until then"
        default: return nil
        }
    }
}
