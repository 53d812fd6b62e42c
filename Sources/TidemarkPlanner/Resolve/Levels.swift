import TidemarkDataflow
import TidemarkDrift

/// Checks monitors, and spreads the budgets of false alerts over their tests.
enum Levels {
    /// The monitors with the level of each; how many groups and tests there are goes into `facts`.
    static func judge(
        _ monitors: [ReadMonitor], _ scope: Scope, _ facts: inout PlanFacts
    ) -> [MonitorPlan] {
        facts.groups = scope.segments.plans.indices.map { scope.groups(of: $0, baseline: nil) }
        var plans: [MonitorPlan] = []
        for var read in monitors {
            scope.monitorKinds.kind(of: read.plan).check(&read, scope)
            plans.append(read.plan)
        }
        // By who shares a budget, and by severity.
        var totals: [String: [Severity: Double]] = [:]
        for index in plans.indices {
            let plan = plans[index]
            plans[index].testsPerPeriod = tests(of: plan, scope, facts.budget)
            if plan.alerts {
                facts.testsPerPeriod[plan.severity, default: 0] += plans[index].testsPerPeriod
                totals[sharer(plan, facts.budget), default: [:]][plan.severity, default: 0] +=
                    plans[index].testsPerPeriod
            }
        }
        for index in plans.indices {
            let plan = plans[index]
            guard let rate = facts.budget.rate(of: plan.severity) else { continue }
            // One that never alerts is judged as if it did.
            let shared = totals[sharer(plan, facts.budget)] ?? [:]
            var total = shared[plan.severity] ?? 0
            if !plan.alerts { total += plan.testsPerPeriod }
            if total > 0 { plans[index].level = rate.level(testsInPeriod: total) }
            if !plan.overrides.isEmpty {
                plans[index].levels = levels(of: plan, scope, facts.budget, shared)
                plans[index].levels[plan.severity] = plans[index].level
            }
            plans[index].testsPerPeriod = total
        }
        return plans
    }

    /// Monitors with the same share a budget: all, or those that are one in the topology.
    private static func sharer(_ plan: MonitorPlan, _ budget: Budget) -> String {
        budget.isOfMonitor ? String(plan.name.prefix { $0 != "." }) : ""
    }

    /// The level at each severity, if the monitor's tests were of that one.
    ///
    /// - `shared`: tests of those who share its budget.
    private static func levels(
        of plan: MonitorPlan, _ scope: Scope, _ budget: Budget, _ shared: [Severity: Double]
    ) -> [Severity: Double] {
        var levels: [Severity: Double] = [:]
        for severity in Severity.allCases {
            guard let rate = budget.rate(of: severity) else { continue }
            var other = plan
            other.severity = severity
            let total = (shared[severity] ?? 0) + tests(of: other, scope, budget)
            if total > 0 { levels[severity] = rate.level(testsInPeriod: total) }
        }
        return levels
    }

    /// Tests of a monitor in the period of its severity's budget.
    private static func tests(of plan: MonitorPlan, _ scope: Scope, _ budget: Budget) -> Double {
        guard let rate = budget.rate(of: plan.severity) else { return 0 }
        let kind = scope.monitorKinds.kind(of: plan)
        let baselines = scope.baselines.plans
        // What the stream says is said of every group.
        let isLearned =
            baselines.indices.contains(plan.baseline) && baselines[plan.baseline].isOfStream
        var total = 0.0
        for segment in plan.segments {
            let groups = scope.groups(of: segment, baseline: isLearned ? nil : plan.baseline).count
            let series = groups * kind.testCount(plan, segment: segment, scope)
            for window in plan.windows
            where scope.segments.plans[segment].windows.contains(window) {
                total += rate.testsInPeriod(series: series, stepMs: scope.windows[window].stepMs)
            }
        }
        return total
    }
}
