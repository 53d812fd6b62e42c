import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Fires where series of any of its members are in breach.
struct AnyOf: Monitor {
    static let spec = KindSpec(name: "any_of") { ("any_of", RollUps.threshold($0)) }
    private var rollUps: RollUps

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        rollUps = RollUps(plan, kind: Self.spec.name, needsAll: false)
    }

    var listens: Bool { rollUps.areThere }
    mutating func note(_ record: AggregateRecord, segment: Int, size: Int) {
        rollUps.note(record, segment: segment)
    }
    mutating func closed(
        _ closing: WindowClosing, _ alerts: inout AlertDesk
    ) -> [AggregateRecord] { rollUps.closed(closing, &alerts) }
}

/// Fires where series of each of its members are in breach.
struct AllOf: Monitor {
    static let spec = KindSpec(name: "all_of") { ("all_of", RollUps.threshold($0)) }
    private var rollUps: RollUps

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        rollUps = RollUps(plan, kind: Self.spec.name, needsAll: true)
    }

    var listens: Bool { rollUps.areThere }
    mutating func note(_ record: AggregateRecord, segment: Int, size: Int) {
        rollUps.note(record, segment: segment)
    }
    mutating func closed(
        _ closing: WindowClosing, _ alerts: inout AlertDesk
    ) -> [AggregateRecord] { rollUps.closed(closing, &alerts) }
}

/// Roll-ups: how many series of other monitors are in breach, in each segment as a whole.
///
/// A series is a monitor at a group and column. Those without a verdict count for nothing.
struct RollUps {
    /// How many series of a monitor have a verdict, and how many are in breach.
    private struct Tally {
        var reached: Int64 = 0
        var breached: Int64 = 0
    }

    private let plan: Plan
    private let needsAll: Bool
    private let monitors: [Int]
    /// Members by their names.
    private let places: [String: Int]
    /// Of the window that is closing: by segment, by monitor.
    private var tallies: [[Int: Tally]]

    init(_ plan: Plan, kind: String, needsAll: Bool) {
        self.plan = plan
        self.needsAll = needsAll
        let all = plan.stream.monitors
        monitors = all.indices.filter { all[$0].kind == kind }
        let members = Set(monitors.flatMap { all[$0].members.joined() })
        places = Dictionary(uniqueKeysWithValues: members.map { (all[$0].name, $0) })
        tallies = plan.stream.segments.map { _ in [:] }
    }

    var areThere: Bool { !monitors.isEmpty }

    static func threshold(_ monitor: MonitorPlan) -> Double {
        switch monitor.atLeast {
        case .count(let count): Double(count)
        case .share(let share): share
        }
    }

    mutating func note(_ record: AggregateRecord, segment: Int) {
        for verdict in record.verdicts {
            guard verdict.verdict.isReached, let place = places[verdict.monitor] else { continue }
            tallies[segment][place, default: Tally()].reached += 1
            if verdict.verdict.isBreach {
                tallies[segment][place, default: Tally()].breached += 1
            }
        }
    }

    mutating func closed(
        _ closing: WindowClosing, _ alerts: inout AlertDesk
    ) -> [AggregateRecord] {
        var records: [AggregateRecord] = []
        for segment in tallies.indices {
            let watching = monitors.filter {
                let monitor = plan.stream.monitors[$0]
                return monitor.isJudged && monitor.segments.contains(segment)
                    && monitor.windows.contains(closing.size)
                    && plan.stream.segments[segment].windows.contains(closing.size)
            }
            guard !watching.isEmpty else { continue }
            var record = AggregateRecord(
                topology: plan.name, revision: plan.revision,
                operatorName: plan.stream.segments[segment].name,
                group: GroupValues(dimensions: []),
                column: "", role: "", isNumeric: false, window: closing.window, rev: closing.rev,
                complete: closing.complete, backfill: closing.backfill)
            let window = WindowEvidence(
                closing, segment: segment, part: record.group.part, rows: RowCounts(),
                references: WindowReferences())
            for index in watching { judge(index, window, &record, &alerts) }
            records.append(record)
        }
        tallies = plan.stream.segments.map { _ in [:] }
        return records
    }

    private func judge(
        _ index: Int, _ window: borrowing WindowEvidence, _ record: inout AggregateRecord,
        _ alerts: inout AlertDesk
    ) {
        let monitor = plan.stream.monitors[index]
        let known = tallies[window.segment]
        let members = monitor.members.map { places in
            places.reduce(into: Tally()) { sum, place in
                sum.reached += known[place]?.reached ?? 0
                sum.breached += known[place]?.breached ?? 0
            }
        }
        let whole = members.reduce(into: Tally()) {
            $0.reached += $1.reached
            $0.breached += $1.breached
        }
        let isMet =
            needsAll
            ? members.allSatisfy { isEnough($0, monitor.atLeast) }
            : isEnough(whole, monitor.atLeast)
        let verdict: Verdict = whole.reached == 0 ? .tooFew : isMet ? .met : .ok
        record.verdicts.append(
            VerdictRecord(
                monitor: monitor.name, baseline: "", p: nil, level: nil,
                effect: whole.reached == 0
                    ? nil : Double(whole.breached) / Double(whole.reached), ignoreBelow: nil,
                verdict: verdict))
        alerts.take(verdict, isNear: false, of: index, window) { saying, text in
            let now = "\(whole.breached) of \(grouped(whole.reached)) series"
            let names = zip(monitor.members, members).map { places, tally in
                "\(plan.stream.monitors[places.first ?? index].name) \(tally.breached)"
            }.joined(separator: ", ")
            var alert = text.record(
                saying, monitor, record, window.closing, test: monitor.kind,
                threshold: Self.threshold(monitor),
                summary: saying.transition == .firing
                    ? "\(monitor.name): \(now) are in breach (\(names))"
                    : "\(monitor.name): \(now) are in breach, as few as may be again")
            alert.value = Double(whole.breached)
            alert.isAbove = true
            alert.now = now
            alert.n = whole.reached
            return alert
        }
    }

    private func isEnough(_ tally: Tally, _ bound: RollUpBound) -> Bool {
        switch bound {
        case .count(let count): tally.breached >= count
        case .share(let share):
            tally.reached > 0 && Double(tally.breached) >= share * Double(tally.reached)
        }
    }
}
