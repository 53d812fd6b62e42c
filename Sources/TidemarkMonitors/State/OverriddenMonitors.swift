import TidemarkDataflow

/// The monitors of a plan, as `overrides` have them for some groups and columns.
///
/// Which overrides a group's values match is looked up once, when it is first judged; what they come to is worked out
/// once for each combination that occurs. Without overrides nothing is looked up.
struct OverriddenMonitors {
    private struct Variant: Hashable {
        var monitor: Int
        /// A bit for each override that holds.
        var matched: UInt64
    }

    private struct Group: Hashable {
        var monitor: Int
        var part: [UInt8]
    }

    private let monitors: [MonitorPlan]
    private let hasOverrides: Bool
    private var matched: [Group: UInt64] = [:]
    private var variants: [Variant: MonitorPlan] = [:]
    /// Groups are looked up anew beyond that, so that what is kept has a bound.
    private static let groupCountMax = 100_000

    init(_ plan: Plan) {
        monitors = plan.stream.monitors
        hasOverrides = monitors.contains { !$0.overrides.isEmpty }
    }

    /// The monitor as it is for a group and column; `nil`: as the plan has it.
    ///
    /// - `column`: `nil` for the group as a whole.
    mutating func variant(_ monitor: Int, column: Int?, part: [UInt8]) -> MonitorPlan? {
        guard hasOverrides, !monitors[monitor].overrides.isEmpty else { return nil }
        let overrides = monitors[monitor].overrides
        let group = Group(monitor: monitor, part: part)
        let ofGroup: UInt64
        if let known = matched[group] {
            ofGroup = known
        } else {
            let values = GroupPattern.values(of: part)
            ofGroup = overrides.indices.reduce(0) { bits, place in
                GroupPattern.match(values, overrides[place].groups)
                    ? bits | 1 << UInt64(place) : bits
            }
            if matched.count >= Self.groupCountMax { matched = [:] }
            matched[group] = ofGroup
        }
        var bits = ofGroup
        for (place, override) in overrides.enumerated() {
            guard let columns = override.columns else { continue }
            if column.map({ !columns.contains($0) }) ?? true { bits &= ~(1 << UInt64(place)) }
        }
        guard bits != 0 else { return nil }
        let variant = Variant(monitor: monitor, matched: bits)
        if let known = variants[variant] { return known }
        var plan = monitors[monitor]
        for (place, override) in overrides.enumerated() where bits >> UInt64(place) & 1 != 0 {
            override.apply(&plan)
        }
        plan.level = plan.levels[plan.severity]
        variants[variant] = plan
        return plan
    }

    /// The same, or as the plan has it.
    mutating func plan(_ monitor: Int, column: Int?, part: [UInt8]) -> MonitorPlan {
        variant(monitor, column: column, part: part) ?? monitors[monitor]
    }
}
