/// How many series of a monitor there are with a verdict, and how many of them are in breach.
///
/// A series is a monitor at a group and column.
struct SeriesTally {
    var reached: Int64 = 0
    var breached: Int64 = 0

    static func += (sum: inout SeriesTally, other: SeriesTally) {
        sum.reached += other.reached
        sum.breached += other.breached
    }
}

/// How the series of a monitor that judges no windows stand in a segment, at the end of a window that closes.
struct Standing {
    /// The monitor's name.
    var monitor: String
    /// Place in `StreamPlan.segments`.
    var segment: Int
    var tally: SeriesTally
}
