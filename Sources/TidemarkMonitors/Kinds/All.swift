import TidemarkDataflow

/// All kinds of monitors, in the order in which they speak.
enum MonitorKinds {
    /// A new kind is one more line here.
    static let all: [any Monitor.Type] = [
        Drift.self, Volume.self, SourceSilence.self, BadRows.self, SourceConditions.self,
        GroupSilence.self,
    ]

    /// What there is to know of the kind that a plan's monitor is of.
    static func spec(of monitor: MonitorPlan) -> MonitorSpec {
        monitor.volume == nil ? Drift.spec : Volume.spec
    }
}
