import TidemarkDataflow
package import TidemarkLanguage

/// All kinds of monitors, in the order in which they speak.
package enum MonitorKinds {
    /// A new kind is one more line here.
    static let all: [any Monitor.Type] = [
        Drift.self, Quality.self, Rule.self, Volume.self, Age.self, Metric.self, When.self,
        AnyOf.self, AllOf.self, SourceSilence.self, BadRows.self,
        SourceConditions.self,
        GroupSilence.self,
    ]

    /// Those that the language knows by what they say of themselves.
    package static let declared: [MonitorSpec] = all.compactMap { $0.spec.language }

    /// What there is to know of the kind that a plan's monitor is of.
    static func spec(of monitor: MonitorPlan) -> KindSpec {
        guard let kind = all.first(where: { $0.spec.name == monitor.kind }) else {
            preconditionFailure("the planner knows no other kinds")
        }
        return kind.spec
    }
}
