import TidemarkAlerts
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Fires where series of any of its members are in breach.
typealias AnyOf = RollUps<AnyMember>

/// Fires where series of each of its members are in breach.
typealias AllOf = RollUps<EachMember>

/// When a roll-up fires, by how the series of its members stand.
protocol RollUpRule: SendableMetatype {
    /// The kind, as topologies have it.
    static var name: String { get }
    static func isMet(_ members: [SeriesTally], _ bound: RollUpBound) -> Bool
}

/// Members count together.
enum AnyMember: RollUpRule {
    static let name = "any_of"
    static func isMet(_ members: [SeriesTally], _ bound: RollUpBound) -> Bool {
        members.reduce(into: SeriesTally(), +=).reaches(bound)
    }
}

/// Each member counts for itself.
enum EachMember: RollUpRule {
    static let name = "all_of"
    static func isMet(_ members: [SeriesTally], _ bound: RollUpBound) -> Bool {
        members.allSatisfy { $0.reaches(bound) }
    }
}

/// Roll-ups: how many series of other monitors are in breach, in each segment as a whole.
///
/// Those without a verdict count for nothing. A silence has no window: it counts in each that ends while it lasts.
struct RollUps<Rule: RollUpRule>: Monitor {
    static var spec: KindSpec { KindSpec(name: Rule.name) { (Rule.name, threshold($0)) } }

    private let plan: Plan
    private let monitors: [Int]
    /// The monitors that members stand for, by their names.
    private let members: Set<String>
    /// Of the window that is closing: by segment, by the name of a monitor.
    private var tallies: [[String: SeriesTally]]

    init(_ plan: Plan, rank: @escaping GroupRanking) {
        self.plan = plan
        let all = plan.stream.monitors
        monitors = all.indices.filter { all[$0].kind == Rule.name }
        members = Set(monitors.flatMap { all[$0].members.flatMap(\.monitors) })
        tallies = plan.stream.segments.map { _ in [:] }
    }

    private static func threshold(_ monitor: MonitorPlan) -> Double {
        switch monitor.atLeast {
        case .count(let count): Double(count)
        case .share(let share): share
        }
    }

    var listens: Bool { !monitors.isEmpty }

    mutating func note(_ record: AggregateRecord, segment: Int, size: Int) {
        for verdict in record.verdicts
        where verdict.verdict.isReached && members.contains(verdict.monitor) {
            tallies[segment][verdict.monitor, default: SeriesTally()] += SeriesTally(
                reached: 1, breached: verdict.verdict.isBreach ? 1 : 0)
        }
    }

    mutating func note(_ standing: Standing) {
        guard members.contains(standing.monitor) else { return }
        tallies[standing.segment][standing.monitor, default: SeriesTally()] += standing.tally
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
        let members = monitor.members.map { member in
            member.monitors.compactMap { known[$0] }.reduce(into: SeriesTally(), +=)
        }
        let whole = members.reduce(into: SeriesTally(), +=)
        let isMet = Rule.isMet(members, monitor.atLeast)
        let verdict: Verdict = whole.reached == 0 ? .tooFew : isMet ? .met : .ok
        record.verdicts.append(
            VerdictRecord(
                monitor: monitor.name, baseline: "", p: nil, level: nil,
                effect: whole.reached == 0
                    ? nil : Double(whole.breached) / Double(whole.reached), ignoreBelow: nil,
                verdict: verdict))
        alerts.take(verdict, isNear: false, of: index, window) { saying, text in
            let now = "\(whole.breached) of \(grouped(whole.reached)) series"
            let names = zip(monitor.members, members).map { "\($0.name) \($1.breached)" }
                .joined(separator: ", ")
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
}

extension SeriesTally {
    /// Whether so many of them are in breach.
    fileprivate func reaches(_ bound: RollUpBound) -> Bool {
        switch bound {
        case .count(let count): breached >= count
        case .share(let share): reached > 0 && Double(breached) >= share * Double(reached)
        }
    }
}
