import TidemarkCore
package import TidemarkExpressions
package import TidemarkLanguage
package import TidemarkText

/// The longest texts that rows may have, bytes of UTF-8; a row with a longer one is a dead letter.
package enum TextLimit {
    /// For a column that names groups: names are parts of keys.
    package static let dimensionBytes = 1_024
    /// For any other text that is read.
    package static let valueBytes = 32_768
}

/// A source and what is watched on it.
package struct StreamPlan: Sendable {
    /// Where rows come from.
    package var source: SourcePlan
    /// All declared columns; other parts of the plan point at places in this list.
    package var columns: [ColumnPlan]
    /// The column of the event time; `nil`: Kafka record time.
    package var eventTimeColumn: Int?
    /// Rows for which it is not true are left out everywhere; `nil`: all count.
    package var filter: RowExpression?
    /// Ways to slice the rows.
    package var segments: [SegmentPlan]
    /// Lengths of windows, each with its step.
    package var windows: [WindowPlan]
    /// Length of a pane, what is folded and read again as one piece, ms; divides every window
    /// length and step.
    package var paneMs: Int64
    /// What windows are compared with; monitors point at places in this list.
    package var baselines: [BaselinePlan]
    /// Monitors of drift and of volume.
    package var monitors: [MonitorPlan]
    /// Monitors of silence.
    package var freshness: [FreshnessPlan] = []
    /// Columns whose covariances are kept, a list for each rule that asks, ascending.
    package var correlations: [[Int]] = []
    /// Numbers and conditions of groups in windows.
    package var metrics: [MetricPlan] = []

    package init(
        source: SourcePlan, columns: [ColumnPlan], eventTimeColumn: Int?, filter: RowExpression?,
        segments: [SegmentPlan], windows: [WindowPlan], paneMs: Int64, baselines: [BaselinePlan],
        monitors: [MonitorPlan]
    ) {
        self.source = source
        self.columns = columns
        self.eventTimeColumn = eventTimeColumn
        self.filter = filter
        self.segments = segments
        self.windows = windows
        self.paneMs = paneMs
        self.baselines = baselines
        self.monitors = monitors
    }
}

/// What is read, and when it is complete.
package struct SourcePlan: Sendable {
    /// Kafka topics of one schema; empty if `file` is set.
    package var topics: [String]
    /// NDJSON; `-` is standard input.
    package var file: String?
    /// Where an application without committed positions begins.
    package var start: Start = .committed
    /// Records of open and aborted transactions are not read.
    package var isolationCommitted = true
    /// Watermark of a partition: its greatest event time less this, ms.
    package var outOfOrdernessMs: Int64 = 10_000
    /// Rows further ahead of the reference clock are quarantined, ms.
    package var skewMs: Int64 = 300_000
    /// A partition that was read to its end and stays quiet so long does not hold up the others,
    /// ms; `nil`: it always does.
    package var idleMs: Int64? = 30_000
    /// A partition that is quiet though its end was not reached, or is not known, holds the others for
    /// so long at most; `nil`: as long as it takes.
    package var holdMs: Int64? = 900_000
    /// Partitions further ahead of the slowest are paused, ms of event time; `nil`: never.
    package var alignmentMs: Int64? = 60_000
    /// So long a broker collects records before it answers, ms; 0: it answers with the first one.
    package var fetchWaitMs: Int64 = 0
    /// What `skewMs` is counted from.
    package var clock: ReferenceClock = .record
    /// How records are written.
    package var encoding = RecordEncoding.json
    /// How many rows each row stands for, where no column says so.
    package var weight = 1.0

    /// Where an application without committed positions begins.
    package enum Start: Sendable, Equatable {
        case committed, earliest, latest
        case time(ms: Int64)
    }

    /// What "now" is when rows from the future are quarantined: never the wall clock, so that a
    /// replay quarantines the same rows.
    package enum ReferenceClock: Sendable, Equatable {
        /// The running maximum of Kafka record time.
        case record
        /// The modification time of the file.
        case file
        case time(ms: Int64)
    }

    package init(topics: [String], file: String? = nil) {
        self.topics = topics
        self.file = file
    }
}

/// How the source's records are written.
package enum RecordEncoding: Sendable, Equatable {
    case json
    /// A row of comma-separated values, its fields named in their order.
    case csv(columns: [String], separator: UInt8)
}

/// A declared column: where its value lies in a record, and what it is.
package struct ColumnPlan: Sendable, Equatable {
    /// As the topology has it, and records too.
    package var name: String
    /// What it is for.
    package var role: ColumnRole
    /// How its values are read.
    package var type: ColumnType
    /// Where the value lies in a record; of CSV one key, the field's name.
    package var path: [PathStep]
    /// `"12.5"` is read as 12.5 in a number column.
    package var acceptText = false
    /// Texts that mean null.
    package var nullValues: [String] = []
    /// What a time without an offset means, of a time that is a text; `nil`: UTC, since nobody said so.
    package var zone: ZoneRules?
    /// Something uses it: the others are not decoded.
    package var isRead = true
    /// It is computed of columns that were read: `path` leads nowhere.
    package var isComputed = false
    /// What computes it; `nil`: it is read, or a step of somebody else's computes it.
    package var computation: Computation?
    /// The planner made it for a segment or a monitor: no topology names it.
    package var isHidden = false
    /// It is only there for metrics: it has no record of its own.
    package var isUnpublished = false
    /// A frame has values of it.
    package var isHeld: Bool { isRead || isComputed }
    /// How it is summarised where it is watched.
    package var summary = ColumnSummary()
    /// What its values are promised to be: keys of `expect`.
    package var expected = Settings()
    /// Checks of quality that count its values by what is expected: rows of each are counted in every cell.
    package var tallies: [String] = []

    package init(name: String, role: ColumnRole, type: ColumnType, path: [PathStep]) {
        self.name = name
        self.role = role
        self.type = type
        self.path = path
    }

    /// An expression that gives a column its values.
    package struct Computation: Sendable, Equatable {
        /// The key of the topology that has it, as metrics name it: `derive.ratio`.
        package var source: String
        /// Over the columns of the stream.
        package var expression: RowExpression

        package init(source: String, expression: RowExpression) {
            self.source = source
            self.expression = expression
        }
    }

    /// The column as expressions see it.
    package var asExpressionColumn: ExpressionColumn {
        let value: ExpressionType =
            switch type {
            case .number, .integer: .number
            case .boolean: .boolean
            case .category, .text: .text
            case .time: .time
            }
        return ExpressionColumn(
            name: name, type: value, isWhole: type == .integer, isRead: computation == nil)
    }
}

/// What a column is for; the raw value is its name in the language and in records.
package enum ColumnRole: String, Sendable, CaseIterable {
    case feature, score, `class`, label, model, version, environment, segment, id, attribute
    case weight, time
    /// Whether rows break the rule of a monitor: 1, or 0 where they keep it.
    case rule
    /// It is worked out of the rows of a window, and no row has a value of it.
    case metric
}

/// How values of a column are read.
package enum ColumnType: Sendable, Equatable {
    /// f64.
    case number
    /// i64; a fraction is a wrong type.
    case integer
    case boolean
    /// Text compared by value; integers and booleans become their text.
    case category
    /// Text that is counted, never listed.
    case text
    case time(TimeUnit)

    /// It has a mean and quantiles.
    package var isNumeric: Bool { self == .number || self == .integer }
    /// Its values are kept as texts: they are counted by value, or only counted.
    package var isText: Bool { self == .category || self == .text || self == .boolean }
}

/// What a number that is a time counts in, since 1970.
package enum TimeUnit: String, Sendable {
    case s, ms, us, ns
    /// A date and time of ISO 8601.
    case text
}

/// One step on the way from a record to a value: a member of an object, or an element of an array.
package enum PathStep: Sendable, Equatable {
    case key(String)
    case index(Int)
}

/// What is kept of a column in each group and pane.
///
/// Counts always are.
package struct ColumnSummary: Sendable, Equatable {
    /// Sums for mean and sd.
    package var moments = false
    /// Smallest and greatest value.
    package var range = false
    /// Counts in fixed bins; `nil`: off.
    package var histogram: HistogramPlan?
    /// Ranks in 0...1, in ascending order; empty: none.
    package var quantiles: [Double] = []
    /// Accuracy of KLL: the rank error is 1.33% for 200, and falls nearly as 1/k.
    package var kllK = 200
    /// Which sketch quantiles come from.
    package var quantileSketch = QuantileSketch.kll
    /// The largest relative error of a quantile, for DDSketch.
    package var relativeError = 0.01
    /// DDSketch's bins by the logarithm itself, as its Python package has them, not by a cubic.
    package var hasLogarithmicBins = false
    /// Bits of a register in HLL bytes: 8, 6 or 4.
    package var registerBits = 8
    /// lgK of the HLL sketch; `nil`: off.
    package var distinctLgK: Int?
    /// Frequent items listed; `nil`: off.
    package var topCount: Int?
    /// Skewness and kurtosis.
    package var shape = false
    /// How long until a value counts half, for the decayed mean and rate; `nil`: off.
    package var halfLifeMs: Int64?
    /// Counts in the universal bins, 32 to each power of two.
    package var logLinear = false
    /// Texts told apart by exact counts; `nil`: off.
    package var valueCountMax: Int?
    /// Rows sampled; `nil`: off.
    package var sampleCount: Int?
    /// Texts that came more than once are counted, for a check of quality.
    package var countsRepeats = false
    /// Baselines of the stream are to know which values there were, for a check of quality.
    package var keepsSeen = false
    /// Exact sums for metrics.
    package var metricSums = false
    /// Quantiles for metrics.
    package var metricQuantiles = false
    /// Summaries that are known here by name and settings alone, in the order of their names.
    package var parts: [PartPlan] = []

    package init() {}
}

/// What a column's quantiles are kept in.
package enum QuantileSketch: String, Sendable, CaseIterable {
    /// KLL over f32: rank error, ordered.
    case kll
    /// KLL over f64.
    case kllDoubles = "kll_f64"
    /// DDSketch: relative error of the value, order-free.
    case ddsketch
}

/// Where the bins of a histogram begin and end.
package enum HistogramPlan: Sendable, Equatable {
    /// The edges that the baseline in this place of `StreamPlan.baselines` has for the group.
    case baseline(Int)
    /// Ascending, at least two.
    case edges([Double])
}

/// A way to slice rows; its name is `operator` in records.
package struct SegmentPlan: Sendable {
    /// As the topology has it.
    package var name: String
    /// Columns that make the group, sorted by dimension name; none: one group for all rows.
    package var dimensions: [(name: String, column: Int)]
    /// Rows of the segment, within those that the stream's filter keeps; `nil`: all.
    package var condition: RowExpression?
    /// Groups kept; the rest merge into `other`.
    package var groupCountMax = 10_000
    /// Groups kept before others, as values in the order of `dimensions`.
    package var keep: [[String]] = []
    /// Places in `StreamPlan.windows`.
    package var windows: [Int]
    /// Watched columns, in the order of declaration.
    package var columns: [Int]

    package init(
        name: String, dimensions: [(name: String, column: Int)], condition: RowExpression? = nil,
        windows: [Int], columns: [Int]
    ) {
        self.name = name
        self.dimensions = dimensions
        self.condition = condition
        self.windows = windows
        self.columns = columns
    }
}

/// Windows of one length: tumbling when `stepMs == lengthMs`, else hopping.
///
/// Aligned to 1970.
package struct WindowPlan: Sendable, Hashable {
    /// A multiple of the pane.
    package var lengthMs: Int64
    /// Divides the length.
    package var stepMs: Int64

    package init(lengthMs: Int64, stepMs: Int64) {
        self.lengthMs = lengthMs
        self.stepMs = stepMs
    }

    /// Steps in a length: 1 where windows tumble.
    package var sliceCount: Int64 { lengthMs / stepMs }

    /// The number of the slice (a step, counted from 1970) that holds a time.
    package func slice(at ms: Int64) -> Int64 { ms.flooredDivision(by: stepMs) }
}

/// What the planner needs to know of a baseline file; the executable hands in what reads it.
package struct BaselineSummary: Sendable {
    /// SHA-256 of the file, hex.
    package var contentHash: String
    /// The canonical group parts that it holds (`model=churn`), or `*` for pooled.
    package var groups: [String]
    /// Every column it knows.
    package var columns: [Column]
    /// Entries in whose cells most changes can't be seen.
    package var blind: [Blind]

    /// An entry of which one cell, of many values, holds nearly all rows.
    package struct Blind: Sendable, Equatable {
        /// The group's part, `model=churn`, or `*`.
        package var group: String
        /// The column's name.
        package var column: String
        /// The share of its rows that lie in that cell, 0 to 1.
        package var share: Double

        package init(group: String, column: String, share: Double) {
            self.group = group
            self.column = column
            self.share = share
        }
    }

    /// A column that some group of the file has.
    package struct Column: Sendable {
        /// As the file has it.
        package var name: String
        /// Its cells are bins of numbers, else categories.
        package var isNumeric: Bool
        /// Bins between the edges, or categories.
        package var cellCount: Int
        /// Rows of all groups together.
        package var rowCount: Int64
        package init(name: String, isNumeric: Bool, cellCount: Int, rowCount: Int64) {
            self.name = name
            self.isNumeric = isNumeric
            self.cellCount = cellCount
            self.rowCount = rowCount
        }
    }

    package init(
        contentHash: String, groups: [String], columns: [Column], blind: [Blind] = []
    ) {
        self.contentHash = contentHash
        self.groups = groups
        self.columns = columns
        self.blind = blind
    }
}
