import TidemarkCore
import TidemarkDataflow

/// Which alerts fall into a planned downtime.
struct Mutes {
    private let mutes: [MutePlan]

    init(_ plan: Plan) { mutes = plan.mutes }

    /// Whether an alert of a monitor on a group is muted in a window.
    ///
    /// - `part`: of the group, as keys have it.
    func holds(monitor: String, part: [UInt8], _ window: Window) -> Bool {
        mutes.contains { mute in
            mute.holds(window) && mute.holds(monitor: monitor)
                && (mute.groups.isEmpty
                    || GroupPattern.match(GroupPattern.values(of: part), mute.groups))
        }
    }
}
