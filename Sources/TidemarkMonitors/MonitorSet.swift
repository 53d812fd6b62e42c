package import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
package import TidemarkRecords
import TidemarkText

/// All monitors of a plan, with all that they remember from window to window: alerts, what was learned, who
/// is expected.
///
/// Stage 2 owns it. It shows a closing window to those that judge it, group by group, and gives them their
/// state to keep.
package struct MonitorSet: ~Copyable {
    private let plan: Plan
    private var monitors: [any Monitor]
    /// By segment, by window length, by column, and behind the columns of groups as a whole: who judges it.
    private let judges: [[[[Int]]]]
    /// Those that want to know what others found.
    private let listeners: [Int]
    private var alerts: AlertDesk
    private var learned: LearnedBaselines
    private let others: OtherGroups
    private var topics: TopicBaselines
    private var abandoned: AbandonedAlerts
    private var blindNotices: BlindNotices
    // Not copyable: it is asked with every column of every window, and is never handed on.

    /// The monitors of a plan, before anything was read back.
    package init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        let monitors = MonitorKinds.all.map { $0.init(plan, rank: rank) }
        self.monitors = monitors
        let stream = plan.stream
        let columns: [Int?] = stream.columns.indices.map { $0 } + [nil]
        judges = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                columns.map { column in
                    monitors.indices.filter {
                        monitors[$0].judges(segment: segment, size: size, column: column)
                    }
                }
            }
        }
        listeners = monitors.indices.filter { monitors[$0].listens }
        alerts = AlertDesk(plan: plan)
        learned = LearnedBaselines(plan: plan)
        others = OtherGroups(plan: plan)
        topics = TopicBaselines(plan: plan)
        abandoned = AbandonedAlerts(plan: plan)
        blindNotices = BlindNotices(plan)
    }

    /// Memory that grows with the number of groups, bytes; kept up, not counted.
    package var byteCount: Int {
        monitors.reduce(learned.byteCount + topics.byteCount) { $0 + $1.byteCount }
    }

    private func judges(_ segment: Int, _ size: Int, column: Int?) -> [Int] {
        judges[segment][size][column ?? plan.stream.columns.count]
    }

    // MARK: Windows

    /// Whether segments are judged as a whole, after all their groups.
    package var rollsUp: Bool { !listeners.isEmpty }

    /// Whether groups of a segment are compared with each other in windows of a length.
    package func comparesGroups(segment: Int, size: Int) -> Bool {
        others.areWanted(segment: segment, size: size)
    }

    /// What was learned of a group by the start of a window that closes, and the other groups that it is compared
    /// with.
    ///
    /// - `cellCount`: cells in which a column is learned, by its place in the segment.
    /// - `counts`: what the window holds of a group, by its part; `nil`: nothing.
    package func references(
        _ group: GroupValues, part: [UInt8], segment: Int, _ closing: WindowClosing,
        cellCount: (Int) -> Int, counts: ([UInt8]) -> GroupCounts?
    ) -> WindowReferences {
        var found = learned.references(part, segment: segment, closing, cellCount: cellCount)
        others.add(group, segment: segment, closing, counts: counts, to: &found)
        topics.add(part, segment: segment, closing, cellCount: cellCount, to: &found)
        return found
    }

    /// Whether windows of that length are judged: of a column in a segment, or (`nil`) of groups as a whole.
    package func judges(segment: Int, size: Int, column: Int?) -> Bool {
        !judges(segment, size, column: column).isEmpty
    }

    /// Judges a column of a group; adds results of tests and verdicts to its record.
    ///
    /// - Returns: the events of alerts that the window brought about.
    package mutating func judge(
        _ window: borrowing WindowEvidence, _ record: inout AggregateRecord
    ) -> [AlertRecord] {
        for index in judges(window.segment, window.closing.size, column: window.column) {
            monitors[index].judge(window, &record, &alerts)
        }
        for index in listeners {
            monitors[index].note(record, segment: window.segment, size: window.closing.size)
        }
        return alerts.takeEvents()
    }

    /// Judges a group as a whole.
    ///
    /// - Returns: its record, and the events of alerts; `nil` where no monitor does.
    package mutating func judgeGroup(
        _ group: GroupValues, rows: RowCounts, segment: Int, _ references: WindowReferences,
        _ closing: WindowClosing
    ) -> (record: AggregateRecord, events: [AlertRecord])? {
        guard judges(segment: segment, size: closing.size, column: nil) else { return nil }
        var record = AggregateRecord(
            topology: plan.name, revision: plan.revision,
            operatorName: plan.stream.segments[segment].name, group: group, column: "", role: "",
            isNumeric: false, window: closing.window, rev: closing.rev, complete: closing.complete,
            backfill: closing.backfill)
        record.rows = rows
        let window = WindowEvidence(
            closing, segment: segment, part: group.part, rows: rows, references: references)
        let events = judge(window, &record)
        return (record, events)
    }

    /// A group without rows, as it was judged.
    package struct AbsentGroup {
        /// Its record as a whole.
        package var record: AggregateRecord
        /// It fell silent, or its verdicts changed: else the record is not published, in every window anew.
        package var isNews: Bool
        /// The events of alerts that the window brought about.
        package var events: [AlertRecord]
    }

    /// Judges the groups that are known and have no row in a window: 0 is a number, too.
    ///
    /// - `present`: the parts of the groups that have some.
    /// - `take`: is given those that were judged, in the order of their parts.
    package mutating func judgeAbsent(
        beside present: some Sequence<[UInt8]>, segment: Int, _ closing: WindowClosing,
        take: (AbsentGroup) -> Void
    ) {
        let kinds = monitors.compactMap { $0.absentees(segment: segment, size: closing.size) }
        guard closing.complete, !kinds.isEmpty else { return }
        let present = Set(present)
        for kind in kinds {
            let places = kind.baselines.map {
                LearnedBaselines.Place(baseline: $0, segment: segment, size: closing.size)
            }
            var absent: [[UInt8]: [LearnedBaselines.Place]] = [:]
            for place in places {
                for group in learned.groups(at: place, startMs: closing.window.startMs)
                where !present.contains(group) {
                    absent[group, default: []].append(place)
                }
            }
            for (group, places) in absent.sorted(by: { $0.key.precedes($1.key) }) {
                if let judged = judgeAbsent(
                    group, at: places, isAwake: kind.needsNoBaseline, closing)
                {
                    take(judged)
                }
            }
        }
    }

    /// `isAwake`: it is judged though no baseline is known of it.
    private mutating func judgeAbsent(
        _ group: [UInt8], at places: [LearnedBaselines.Place], isAwake: Bool,
        _ closing: WindowClosing
    ) -> AbsentGroup? {
        guard let owner = places.first,
            let values = GroupValues(
                part: group, names: plan.stream.segments[owner.segment].dimensions.map(\.name))
        else { return nil }
        var references = WindowReferences()
        var isAwake = isAwake
        for place in places {
            let reference = learned.reference(
                place, group: group, startMs: closing.window.startMs, cellCount: 0)
            guard let reference else { continue }
            references[place.baseline] = reference
            if isAwake { continue }
            isAwake = !learned.isAsleep(
                place, group: group, startMs: closing.window.startMs, reference)
        }
        guard isAwake,
            let (record, events) = judgeGroup(
                values, rows: RowCounts(), segment: owner.segment, references, closing)
        else { return nil }
        let said = Array(record.verdicts.map(\.verdict.rawValue).joined(separator: ",").utf8)
        let isNews = said != learned.silence(owner, group: group)
        learned.setSilence(owner, group: group, said)
        for place in places {
            learned.learn(
                place, group: group, closing, rows: 0, isPresent: false, cells: [],
                alerts: alerts.states)
        }
        return AbsentGroup(record: record, isNews: isNews, events: events)
    }

    /// Takes a window of a group in, after its records: what it teaches is in force from the next one on.
    package mutating func learn(
        _ group: [UInt8], _ counts: GroupCounts, segment: Int, _ closing: WindowClosing
    ) {
        learned.learn(group, counts, segment: segment, closing, alerts: alerts.states)
    }

    /// What a person should know of a record, once.
    package mutating func notices(of record: AggregateRecord) -> [Notice] {
        blindNotices.notices(of: record)
    }

    /// Says that a window was closed, after all its groups.
    ///
    /// - Returns: what a person should know, once; records of what is judged after all groups; and the events of
    ///   alerts: those of these records, and the ends of those whose groups are gone.
    package mutating func closed(
        _ closing: WindowClosing
    ) -> (notices: [Notice], records: [AggregateRecord], events: [AlertRecord]) {
        var records: [AggregateRecord] = []
        if !listeners.isEmpty {
            for standing in monitors.flatMap(\.standings) {
                for index in listeners { monitors[index].note(standing) }
            }
        }
        for index in listeners {
            for record in monitors[index].closed(closing, &alerts) {
                // Of a segment as a whole there is one record.
                let place = records.firstIndex { $0.operatorName == record.operatorName }
                if let place {
                    records[place].verdicts += record.verdicts
                } else {
                    records.append(record)
                }
            }
        }
        let begun = alerts.takeEvents()
        topics.closed(closing)
        let notices = learned.closed(closing) + topics.takeNotices()
        let events = alerts.closed(
            closing,
            isForgotten: { [plan, learned] series in
                let place = LearnedBaselines.Place(
                    baseline: plan.stream.monitors[series.monitor].baseline,
                    segment: series.segment, size: series.size)
                return !learned.knows(series.group, at: place)
            }, unjudged: { MonitorKinds.spec(of: $0).unjudged($0) })
        return (notices, records, begun + events)
    }

    // MARK: Moments

    /// Tells every monitor; when the state was restored, publishes the end of alerts that nothing goes on
    /// with.
    package mutating func advance(
        _ moment: Moment, emit: (OutputRecord) -> Void
    ) throws(ConnectorError) -> Advance {
        if case .started = moment {
            for alert in abandoned.records { alert.records(plan.outputs).forEach(emit) }
            abandoned = AbandonedAlerts(plan: plan)
        }
        topics.advance(moment)
        var advance = Advance()
        for index in monitors.indices {
            advance.add(try monitors[index].advance(moment, emit: emit))
        }
        return advance
    }

    // MARK: State

    /// About what `takeEntries` would give now, bytes.
    package var pendingBytes: Int {
        monitors.reduce(
            alerts.states.pendingBytes + learned.pendingBytes + topics.pendingBytes
        ) { $0 + $1.pendingBytes }
    }

    /// What changed since the last call; see `StageTwo.takeEntries`.
    package mutating func takeEntries(epoch: Int, settledMs: Int64) -> [StateEntry] {
        var entries =
            alerts.takeEntries(epoch: epoch) + learned.takeEntries(epoch: epoch)
            + topics.takeEntries(epoch: epoch)
        for index in monitors.indices {
            entries += monitors[index].takeEntries(epoch: epoch, settledMs: settledMs)
        }
        return entries
    }

    /// Takes an entry of this state epoch in.
    package mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        switch frame.kind {
        case .alert: return alerts.restore(frame, key: key)
        case .baseline: return learned.restore(frame, key: key)
        case .topicBaseline: return topics.restore(frame, key: key)
        default:
            for index in monitors.indices {
                if let outcome = monitors[index].restore(frame, key: key) { return outcome }
            }
            return .noMonitor
        }
    }

    /// Takes an entry of an earlier state epoch in: an alert that fires there is to be resolved.
    package mutating func restore(abandoned frame: StateFrame, key: [UInt8]) {
        abandoned.take(frame, key: key)
    }

    /// Says that all entries were read back, and through when an earlier process decided.
    package mutating func resume(throughMs: Int64) {
        topics.resume(throughMs: throughMs)
        for index in monitors.indices { monitors[index].resume(throughMs: throughMs) }
    }
}
