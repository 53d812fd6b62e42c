import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What summaries and monitors are read and checked against: all that was read before them.
struct Scope {
    let reading: Reading
    let monitorKinds: MonitorKinds
    /// Reads a baseline that belongs to a monitor.
    let baselineReader: BaselinePart.Reader
    /// The declared columns; what is kept of each comes from `summaries`.
    var schema: Schema
    let windows: [WindowPlan]
    let paneMs: Int64
    /// Topics that are read.
    let topicCount: Int
    /// A file is read.
    let isFile: Bool
    /// How many rows a row stands for; `nil`: itself.
    let weight: RowWeight?
    /// Their columns are set once it is known which columns rules and monitors name.
    var segments: Segments
    /// Monitors add their own.
    var baselines: Baselines
    /// Columns that a rule or a monitor names though they are not watched by themselves.
    var named: Set<Int> = []
    /// Columns of which no histogram is wanted.
    var binless: Set<Int> = []
    /// Columns whose values that come again are counted, for checks of quality.
    var repeats: Set<Int> = []
    /// Columns of which learned baselines keep which values there were, for checks of quality.
    var seen: Set<Int> = []
    /// Columns whose different values are counted, for checks of quality.
    var counted: Set<Int> = []
    /// Numbers and conditions of windows.
    var metrics = Metrics()
    /// Columns that are correlated, a list for each rule that asks.
    var correlations: [[Int]] = []

    var columns: [ColumnPlan] { schema.columns }

    /// Columns that are watched without being named.
    var watchedColumns: [Int] {
        columns.indices.filter { Selector.isWatched(columns[$0].role) }
    }

    /// Adds columns that are computed for a segment or a monitor.
    mutating func add(_ computed: [ColumnPlan]) {
        for column in computed {
            schema.columns.append(column)
            schema.places.append(schema.places.last ?? Place(file: "", line: 1, column: 1))
        }
    }

    /// Whether any of the segments watches a column.
    func isWatched(_ column: Int, in places: [Int]) -> Bool {
        places.contains { segments.plans[$0].columns.contains(column) }
    }

    /// How many groups of a segment a baseline knows; without one, how many there may be.
    func groups(of segment: Int, baseline: Int?) -> (count: Int, isCounted: Bool) {
        let segment = segments.plans[segment]
        let bound = segment.dimensions.isEmpty ? 1 : segment.groupCountMax
        let known =
            baseline.map { baselines.summaries[$0].map { [$0] } ?? [] }
            ?? Array(baselines.summaries.values)
        var best: Int?
        for summary in known {
            let counted = summary.groups.count {
                Self.names(ofPart: $0) == segment.dimensions.map(\.name)
            }
            if counted > 0 { best = max(best ?? 0, counted) }
        }
        if let best { return (min(best, bound), true) }
        if segment.dimensions.isEmpty { return (1, true) }
        if let baseline, let summary = baselines.summaries[baseline], !summary.groups.contains("*")
        {
            return (0, true)
        }
        return (bound, false)
    }

    /// The dimension names in a group's part: `model=churn,region=eu`; `*` and `-` have none.
    static func names(ofPart part: String) -> [String] {
        if part == "*" || part == "-" || part.hasPrefix("~") { return [] }
        return part.split(separator: ",").map { String($0.prefix { $0 != "=" }) }
    }
}
