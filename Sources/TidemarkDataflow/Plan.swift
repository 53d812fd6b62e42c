import TidemarkCore

/// A checked topology: what the runtime runs and the operators compute.
///
/// The planner makes it from YAML; a test may make it by hand. Everything in it is resolved:
/// columns are indices, durations are milliseconds, every default is filled in.
package struct Plan: Sendable {
    package var name: String
    /// Consumer group, transactional id, prefix of internal topics.
    package var app: String
    /// Hash of everything below that can change a result or an alert, 16 hex digits.
    package var revision: String
    package var owner: String?
    package var description: String?
    package var labels: [(name: String, value: String)] = []
    package var kafka = KafkaSettings()
    package var stream: StreamPlan
    package var alerts = AlertDefaults()
    package var outputs: OutputsPlan
    package var limits = Limits()
    package var run = RunSettings()

    /// What the application's state topic is called, whether or not it needs one.
    package var stateTopicName: String { "\(app)-state" }

    /// The compacted topic of entry state; `nil` where nothing outlives a window.
    package var stateTopic: String? {
        stream.monitors.contains(where: \.alerts) || !stream.freshness.isEmpty || mayNeedSnapshots
            || stream.baselines.contains { $0.learning != nil }
            ? stateTopicName : nil
    }

    /// A window may stay open for longer than what a restart should read again.
    package var mayNeedSnapshots: Bool {
        let longest = stream.windows.map(\.lengthMs).max() ?? 0
        return longest + rereadFloorMs > limits.maxRereadMs
    }

    /// What is read again at least: the rows of panes that are not sealed everywhere yet.
    package var rereadFloorMs: Int64 {
        stream.paneMs + stream.source.outOfOrdernessMs + (stream.source.alignmentMs ?? 0)
    }

    package init(
        name: String, app: String, revision: String, stream: StreamPlan, outputs: OutputsPlan
    ) {
        self.name = name
        self.app = app
        self.revision = revision
        self.stream = stream
        self.outputs = outputs
    }
}

/// How to reach the cluster.
///
/// `brokers` and secrets are references until `resolve` is called, so that a plan can be printed
/// and hashed.
package struct KafkaSettings: Sendable {
    package var brokers: String = "localhost:9092"
    package var tls: TLS?
    package var sasl: SASL?
    /// Every other librdkafka property, as text, in the order of the file.
    package var properties: [(name: String, value: Secret)] = []

    package struct TLS: Sendable {
        package var caPath: String?
        package var certificatePath: String?
        package var key: Secret?
        package var verify = true
        package init() {}
    }

    package struct SASL: Sendable {
        package var mechanism: String
        package var username: String?
        package var password: Secret?
        /// A JSON web token, read anew whenever the last one nears its end (`OAUTHBEARER`).
        package var token: Secret?
        package init(mechanism: String) { self.mechanism = mechanism }
    }

    package init() {}
}

/// A value that is never printed: what is shown is where it comes from.
package struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    /// `${env:NAME}`, `${file:PATH}`, or the text itself where it is no secret.
    package let reference: String
    /// What the reference stands for.
    package let reveal: @Sendable () -> String?

    package init(reference: String, reveal: @escaping @Sendable () -> String?) {
        self.reference = reference
        self.reveal = reveal
    }

    /// A value that anyone may read.
    package init(plain text: String) {
        self.init(reference: text) { text }
    }

    package var description: String { reference }
    package var customMirror: Mirror { Mirror(self, children: ["reference": reference]) }
}

/// A source and what is watched on it.
package struct StreamPlan: Sendable {
    package var source: SourcePlan
    /// All declared columns; other parts of the plan point at places in this list.
    package var columns: [ColumnPlan]
    /// The column of the event time; `nil`: Kafka record time.
    package var eventTimeColumn: Int?
    package var filter: RowExpression?
    package var segments: [SegmentPlan]
    package var windows: [WindowPlan]
    /// Divides every window length and step.
    package var paneMs: Int64
    package var baselines: [BaselinePlan]
    package var monitors: [MonitorPlan]
    package var freshness: [FreshnessPlan] = []
    /// Columns whose covariances are kept, a list for each rule that asks, ascending.
    package var correlations: [[Int]] = []

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

package struct SourcePlan: Sendable {
    /// Kafka topics of one schema; empty if `file` is set.
    package var topics: [String]
    /// NDJSON; `-` is standard input.
    package var file: String?
    package var start: Start = .committed
    package var isolationCommitted = true
    package var outOfOrdernessMs: Int64 = 10_000
    package var skewMs: Int64 = 300_000
    /// `nil`: off.
    package var idleMs: Int64? = 30_000
    package var alignmentMs: Int64? = 60_000
    package var clock: ReferenceClock = .record
    package var encoding = RecordEncoding.json

    package enum Start: Sendable, Equatable {
        case committed, earliest, latest
        case time(ms: Int64)
    }

    /// What "now" is to the quarantine of future rows (D7): never the wall clock.
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
    package var name: String
    package var role: ColumnRole
    package var type: ColumnType
    package var path: [PathStep]
    /// `"12.5"` is read as 12.5 in a number column.
    package var acceptText = false
    /// Texts that mean null.
    package var nullValues: [String] = []
    /// Something uses it: the others are not decoded.
    package var isRead = true
    /// How it is summarised where it is watched.
    package var summary = ColumnSummary()

    package init(name: String, role: ColumnRole, type: ColumnType, path: [PathStep]) {
        self.name = name
        self.role = role
        self.type = type
        self.path = path
    }
}

package enum ColumnRole: String, Sendable, CaseIterable {
    case feature, score, `class`, label, model, version, environment, segment, id, attribute
    case weight, time
}

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

    package var isNumeric: Bool { self == .number || self == .integer }
    package var isText: Bool { self == .category || self == .text || self == .boolean }
}

package enum TimeUnit: String, Sendable {
    case s, ms, us, ns
    /// RFC 3339.
    case text
}

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
    package var histogram: HistogramPlan?
    /// Ranks in 0...1, in ascending order; empty: none.
    package var quantiles: [Double] = []
    package var kllK = 200
    package var quantileSketch = QuantileSketch.kll
    /// The largest relative error of a quantile, for DDSketch.
    package var relativeError = 0.01
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

    /// Whether anything is kept that most columns lack.
    package var hasExtras: Bool {
        shape || halfLifeMs != nil || logLinear || valueCountMax != nil || sampleCount != nil
    }

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

package enum HistogramPlan: Sendable, Equatable {
    /// The edges that the baseline in this place of `StreamPlan.baselines` has for the group.
    case baseline(Int)
    /// Ascending, at least two.
    case edges([Double])
}

/// A way to slice rows; its name is `operator` in records.
package struct SegmentPlan: Sendable {
    package var name: String
    /// Columns that make the group, sorted by dimension name; none: one group for all rows.
    package var dimensions: [(name: String, column: Int)]
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

package struct BaselinePlan: Sendable {
    package var name: String
    /// Empty where it is learned.
    package var path: String
    /// SHA-256 of the file, hex.
    package var contentHash: String
    /// How it is learned on the stream; `nil`: it is a file.
    package var learning: LearningPlan?

    package init(name: String, path: String, contentHash: String) {
        self.name = name
        self.path = path
        self.contentHash = contentHash
    }

    package init(name: String, learning: LearningPlan) {
        self.init(name: name, path: "", contentHash: "")
        self.learning = learning
    }

    /// As records name it: `training@5b1e…`, the first 12 digits of the hash; a learned one
    /// `recent@trailing-3600s`.
    package var label: String {
        guard let learning else { return "\(name)@\(contentHash.prefix(12))" }
        return "\(name)@\(learning.span.rawValue)-\(lengthText(learning.lengthMs))"
    }
}

/// A baseline that stage 2 learns: the counts of a group's closed windows, added up.
///
/// Each (segment, window length, group) learns its own, of complete windows that do not overlap:
/// those that start at a multiple of their length. It is in force in windows that start at or after
/// the end of the last window it holds, never in one that it learned from.
package struct LearningPlan: Sendable, Equatable {
    package enum Span: String, Sendable {
        /// From the group's first window on, until it is complete.
        case first
        /// The windows before the one that is compared.
        case trailing
    }

    package var span: Span
    /// Rounded up to whole windows.
    package var lengthMs: Int64
    /// The trailing span ends so long before the window starts.
    package var skipMs: Int64 = 0
    /// With fewer rows of the group it is not complete.
    package var minRows: Int64 = 1000

    /// Of a volume monitor's own baseline: few rows are what it looks for.
    package static let volumeMinRows: Int64 = 100
    /// A trailing span holds at most so many windows, one by one.
    package static let windowCountMax: Int64 = 2_016

    package init(span: Span, lengthMs: Int64) {
        self.span = span
        self.lengthMs = lengthMs
    }

    /// How many windows of a length make it up.
    package func windowCount(lengthMs windowMs: Int64) -> Int64 {
        (lengthMs + windowMs - 1) / windowMs
    }

    /// A group without rows for longer than this many days (UTC) is forgotten, and learns anew when it
    /// returns.
    package var forgetDays: Int64 {
        max(7, (lengthMs + skipMs).flooredDivision(by: 86_400_000) + 1)
    }
}

/// What the planner needs to know of a baseline file; the executable hands in what reads it.
package struct BaselineSummary: Sendable {
    package var contentHash: String
    /// The canonical group parts that it holds (`model=churn`), or `*` for pooled.
    package var groups: [String]
    /// Every column it knows.
    package var columns: [Column]

    package struct Column: Sendable {
        package var name: String
        package var isNumeric: Bool
        /// Bins between the edges, or categories.
        package var cellCount: Int
        package var rowCount: Int64
        package init(name: String, isNumeric: Bool, cellCount: Int, rowCount: Int64) {
            self.name = name
            self.isNumeric = isNumeric
            self.cellCount = cellCount
            self.rowCount = rowCount
        }
    }

    package init(contentHash: String, groups: [String], columns: [Column]) {
        self.contentHash = contentHash
        self.groups = groups
        self.columns = columns
    }
}

/// A monitor of silence: nothing comes for so long.
///
/// Of the source as a whole it is the one monitor that a clock on the wall decides, since event time
/// stands still when everything is silent. Of a segment or of its groups it is a matter of event
/// time, and so a function of the log.
package struct FreshnessPlan: Sendable, Equatable {
    /// What must not be silent.
    package enum Per: String, Sendable, CaseIterable {
        case source, segment, group
    }

    package var name: String
    package var per = Per.source
    /// Places in `StreamPlan.segments`; none where it watches the source.
    package var segments: [Int] = []
    package var limitMs: Int64
    /// After so long a silence a group or segment is no longer expected: a week, or twice the limit
    /// where that is longer; ms of event time.
    package var forgetMs: Int64
    package var severity: Severity = .page
    /// Silences that were over for longer, by the reference clock, are published muted; ms.
    package var maxAgeMs: Int64 = 3_600_000
    package var description: String?
    package var summary: String?
    package var runbook: String?

    package init(name: String, limitMs: Int64) {
        self.name = name
        self.limitMs = limitMs
        forgetMs = max(7 * 86_400_000, 2 * limitMs)
    }
}

/// What a volume monitor takes for too few or too many rows of a group in a window.
package struct VolumeRule: Sendable, Equatable {
    /// Fewer by this share than expected, and significantly; `nil`: not watched.
    package var drop: Double?
    /// More by this share than expected, and significantly; `nil`: not watched.
    package var rise: Double?
    /// Fewer rows than this, whatever is expected.
    package var below: Int64?
    /// More rows than this.
    package var above: Int64?

    package init() {}

    /// Compares with what is expected, and so has tests that cost budget: how many a window.
    package var testCount: Int { (drop == nil ? 0 : 1) + (rise == nil ? 0 : 1) }
}

/// A monitor of drift (D9), for each (segment, group, column, window) of its reach, or of volume, for
/// each (segment, group, window).
package struct MonitorPlan: Sendable {
    package var name: String
    package var description: String?
    /// `nil`: it watches drift.
    package var volume: VolumeRule?
    /// None where it watches volume.
    package var columns: [Int]
    /// Places in `StreamPlan.segments` and `.windows`.
    package var segments: [Int]
    package var windows: [Int]
    package var baseline: Int
    /// `auto` is resolved by column: see `tests(for:)`.
    package var tests: Tests
    package var ignoreBelow: Double?
    package var minRows: Int64 = 500
    package var severity: Severity = .page
    package var alerts = true
    package var hold: Hold = .windows(1, of: 1)
    package var clearHold: Hold = .windows(2, of: 2)
    /// Resolves below this share of `ignoreBelow` (hysteresis).
    package var clearBelow = 0.8
    package var coolDownMs: Int64 = 3_600_000
    package var maxAgeMs: Int64 = 3_600_000
    package var summary: String?
    package var runbook: String?
    /// The p-value that a test must reach: the budget of the severity over the tests that run in
    /// its period; `nil` where the budget is off (then the effect alone decides).
    package var level: Double?
    /// Tests a period that `level` was reckoned with.
    package var testsPerPeriod: Double = 0

    package enum Tests: Sendable, Equatable {
        /// Significance by KS or chi-square, size by PSI.
        case automatic
        /// Named tests, each with its own `ignore_below`.
        case named([NamedTest])
    }

    package struct NamedTest: Sendable, Equatable {
        package var test: DriftTest
        package var ignoreBelow: Double
        package init(test: DriftTest, ignoreBelow: Double) {
            self.test = test
            self.ignoreBelow = ignoreBelow
        }
    }

    package init(
        name: String, columns: [Int], segments: [Int], windows: [Int], baseline: Int, tests: Tests
    ) {
        self.name = name
        self.columns = columns
        self.segments = segments
        self.windows = windows
        self.baseline = baseline
        self.tests = tests
    }
}

package enum DriftTest: String, Sendable, CaseIterable {
    case psi, ks
    case chiSquare = "chi_square"
    case jsDistance = "js_distance"
    case lInfinity = "l_infinity"
}

package enum Severity: String, Sendable, CaseIterable {
    case page, warn, info
}

/// How long a state must last: `5m`, or `2 of 3` windows.
package enum Hold: Sendable, Equatable {
    case duration(ms: Int64)
    case windows(Int, of: Int)
}

package struct AlertDefaults: Sendable {
    package var routes: [String] = []
    package init() {}
}

package struct OutputsPlan: Sendable {
    /// `nil`: off.
    package var aggregates: String?
    package var sketches: Set<SketchOutput> = []
    package var alerts: String
    package var deadLetters: String
    package var late: String?

    package enum SketchOutput: String, Sendable, CaseIterable {
        case kll, ddsketch, hll, frequent, moments, correlation, decayed
        case logLinear = "log_linear"
        case counts, sample, histogram
    }

    package init(aggregates: String?, alerts: String, deadLetters: String, late: String?) {
        self.aggregates = aggregates
        self.alerts = alerts
        self.deadLetters = deadLetters
        self.late = late
    }

    /// The topic beside the aggregates that carries sketch bytes; `nil`: none is asked for.
    package var sketchesTopic: String? {
        sketches.isEmpty ? nil : aggregates.map { $0 + "-sketches" }
    }

    /// Every topic that is written.
    package var topics: [String] {
        [aggregates, sketchesTopic, alerts, deadLetters, late].compactMap(\.self)
    }
}

package struct Limits: Sendable {
    package var memoryBytes = 512 << 20
    package var recordBytes = 16 << 20
    /// Event time that a restart reads again at most, ms; beyond it open windows are written to the
    /// state topic.
    package var maxRereadMs: Int64 = 600_000
    /// More dead letters than this share of a minute's records, and reading stops; `nil`: never.
    package var badRowShare: Double? = 0.5
    /// That minute, and the fewest records that say anything.
    package var badRowSpanMs: Int64 = 60_000
    package var badRowCountMin: Int64 = 1_000
    /// How `memoryBytes` is split.
    package var memory = MemorySplit(memoryBytes: 512 << 20)
    package init() {}
}

/// One memory limit, split at plan time; each part is obeyed by waiting, never by growing.
package struct MemorySplit: Sendable, Equatable {
    /// Payload bytes that the Kafka client may hold before we ask (`queued.max.messages.kbytes`).
    package var clientQueueBytes: Int
    /// Produced and not yet acknowledged, bytes.
    package var producerQueueBytes: Int
    /// Sealed panes, dead letters and late rows between workers and the coordinator.
    package var mailboxBytes: Int
    /// Batches and their arenas, all workers.
    package var batchBytes: Int
    /// What is left for panes and windows.
    package var paneBytes: Int

    /// The split of `memoryBytes`: a quarter to the client's queue as it occupies memory (payload
    /// with the client's own overhead counts about threefold), a sixth to the producer's.
    package init(memoryBytes total: Int) {
        clientQueueBytes = total / 12
        producerQueueBytes = total / 6
        mailboxBytes = total / 12
        batchBytes = total / 6
        paneBytes = total - 3 * clientQueueBytes - producerQueueBytes - mailboxBytes - batchBytes
    }
}

package struct RunSettings: Sendable {
    /// `nil`: one a core.
    package var workers: Int?
    package var batchRows = 4096
    /// The longest wait between commits.
    package var commitMs: Int64 = 1000
    /// SIGTERM to exit.
    package var stopWithinMs: Int64 = 30_000
    package var delivery: Delivery = .exactlyOnce
    /// A process without news commits its positions all the same, so that one that another has
    /// replaced learns of it, and the group's offsets do not expire.
    package var heartbeatMs: Int64 = 5_000
    /// A unit of commit does not wait for the tick when its outputs are this large, bytes.
    package var unitBytesMax = 4 << 20

    /// What a crash may repeat.
    package enum Delivery: String, Sendable, CaseIterable {
        case exactlyOnce = "exactly_once"
        case atLeastOnce = "at_least_once"
    }

    package init() {}
}
