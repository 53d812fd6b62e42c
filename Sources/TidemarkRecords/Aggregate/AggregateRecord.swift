package import TidemarkCore
import TidemarkText

/// One record of the aggregates topic: a (window, group, column).
package struct AggregateRecord: Sendable {
    /// Name of the topology.
    package var topology: String
    /// Hash of what can change a result, 16 hex digits: `Plan.revision`.
    package var revision: String
    /// The segment's name.
    package var operatorName: String
    /// The values of the segment's dimensions that these rows have.
    package var group: GroupValues
    /// How many groups the rest holds, if this is it.
    package var otherGroupCount: Int?
    /// Empty: the group as a whole.
    package var column: String
    /// What the column is declared as: `feature`, `score`, …; empty for the group as a whole.
    package var role: String
    /// The column holds numbers, else categories.
    package var isNumeric: Bool
    /// The rows' event time lies in here.
    package var window: Window
    /// How often the window was published before, when it was incomplete.
    package var rev: Int
    /// False if the input began or ended within the window, or a partition that could not be read
    /// is missing.
    package var complete: Bool
    /// The window was long over when its first row was read, as in a replay.
    package var backfill: Bool
    /// How the rows were counted for this column.
    package var rows = RowCounts()
    /// The smallest value; `nil`, here and in the three below: not asked for, or no value.
    package var min: Double?
    /// The greatest value.
    package var max: Double?
    /// Sum of the values over their number.
    package var mean: Double?
    /// Standard deviation, which divides by n − 1; `nil` for a single value too.
    package var sd: Double?
    /// What summaries add that the topology asks for, each under its name: `PartField`.
    package var parts = RecordParts()
    /// In the order of their ranks; empty: not asked for, or no value.
    package var quantiles: [QuantileRecord] = []
    /// Values beyond the range of f32 count as its largest in `quantiles`, and there are some.
    package var quantilesOverflow = false
    /// Counts between fixed edges; `nil`: no edges are known for this group and column.
    package var histogram: HistogramRecord?
    /// About how many different texts came, with bounds on that number; `nil`: not asked for.
    package var distinct: DistinctRecord?
    /// The most frequent texts; `nil`: not asked for.
    package var top: [TopItem]?
    /// What a metric came to; `nil`: the column is none.
    package var metric: MetricRecord?
    /// Tests against each baseline.
    package var drift: [DriftRecord] = []
    /// What each monitor of the column makes of the window.
    package var verdicts: [VerdictRecord] = []

    package init(
        topology: String, revision: String, operatorName: String, group: GroupValues,
        column: String, role: String, isNumeric: Bool, window: Window, rev: Int, complete: Bool,
        backfill: Bool
    ) {
        self.topology = topology
        self.revision = revision
        self.operatorName = operatorName
        self.group = group
        self.column = column
        self.role = role
        self.isNumeric = isNumeric
        self.window = window
        self.rev = rev
        self.complete = complete
        self.backfill = backfill
    }

    /// `operator/model=churn,region=eu/column/60s`: the series, whose records stay on one partition.
    ///
    /// The column of the group as a whole is `-`.
    package var series: [UInt8] { series(groupPart: group.part) }

    /// `series`, where the group's part is at hand.
    package func series(groupPart: [UInt8]) -> [UInt8] {
        joined(
            Self.seriesHead(operatorName: operatorName, groupPart: groupPart),
            Self.seriesTail(column: column, lengthMs: window.lengthMs))
    }

    /// What the series of a group's records begin with: all before the column.
    package static func seriesHead(operatorName: String, groupPart: [UInt8]) -> [UInt8] {
        var head: [UInt8] = []
        head.reserveCapacity(operatorName.utf8.count + groupPart.count + 8)
        appendPercentEncoded(operatorName.utf8, to: &head)
        head.append(0x2f)
        head.append(contentsOf: groupPart)
        head.append(0x2f)
        return head
    }

    /// What the series of a column and window length end with.
    package static func seriesTail(column: String, lengthMs: Int64) -> [UInt8] {
        var tail: [UInt8] = []
        if column.isEmpty {
            tail.append(0x2d)
        } else {
            appendPercentEncoded(column.utf8, to: &tail)
        }
        tail.append(0x2f)
        tail.append(contentsOf: lengthText(lengthMs).utf8)
        return tail
    }

    /// The record's key: the series and the window's start.
    package var key: [UInt8] { key(series: series) }

    /// `key`, where the series is at hand.
    package func key(series: [UInt8]) -> [UInt8] {
        joined(series, [0x2f] + decimalText(window.startMs))
    }
}
