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

    /// From when on a silence counts: it does not while it is planned, and begins anew where that ends.
    ///
    /// - `sinceMs`: nothing came since then; `nowMs`: until then.
    /// - `part`: of the group, as keys have it; empty: the source as a whole.
    func silenceStart(
        monitor: String, part: [UInt8], sinceMs: Int64, nowMs: Int64
    ) -> Int64 {
        mutes.reduce(sinceMs) { startMs, mute in
            guard mute.holds(monitor: monitor),
                mute.groups.isEmpty
                    || GroupPattern.match(GroupPattern.values(of: part), mute.groups)
            else { return startMs }
            return max(startMs, mute.lastMoment(after: sinceMs, through: nowMs) ?? startMs)
        }
    }
}
