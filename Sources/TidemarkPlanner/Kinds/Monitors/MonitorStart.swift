import TidemarkDataflow
import TidemarkLanguage
import TidemarkTopology

extension MonitorKind {
    /// How reading a monitor that judges windows begins: its keys, and a plan with all that such kinds have in common.
    ///
    /// - `what`: what a person calls it.
    /// - `own`: settings that are the kind's own.
    /// - `overridable`: those that overrides may set, beside what all monitors have; `nil`: it has no overrides.
    /// - `usual`: what of the kind holds where a topology says nothing.
    /// - Returns: `nil` after reporting what is wrong.
    func start(
        _ monitor: MonitorEntry, as what: String, _ own: [Setting<MonitorPlan>] = [],
        overridable: [Setting<MonitorPlan>]?, _ scope: Scope,
        usual: (inout MonitorPlan) -> Void = { _ in }
    ) -> (keys: Fields, plan: MonitorPlan)? {
        guard let part,
            let f = scope.reading.fields(monitor.entry.value, part, what: what)
        else { return nil }
        var plan = monitor.common
        (plan.name, plan.kind, plan.baseline) = (monitor.entry.key, name, -1)
        usual(&plan)
        f.read(AlertKeys.ofMonitor + own, into: &plan)
        Reach.read(f, scope, into: &plan)
        if let overridable { OverridesPart.read(f, overridable, scope, into: &plan) }
        return (f, plan)
    }
}
