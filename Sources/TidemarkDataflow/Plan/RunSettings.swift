import TidemarkCore

/// Topics that are written, and what is written to them.
package struct OutputsPlan: Sendable {
    /// The topic of results; `nil`: off.
    package var aggregates: String?
    /// Names of the columns whose results go there; `nil`: all.
    package var published: Set<String>?
    /// Kinds of sketches whose bytes are published.
    package var sketches: Set<SketchOutput> = []
    /// The topic of alerts.
    package var alerts: String
    /// The topic of records that could not be read.
    package var deadLetters: String
    /// The topic of rows that came too late; `nil`: they are counted only.
    package var late: String?
    /// Rows that are further ahead of the reference clock than `skew`; `nil`: they are counted only.
    package var quarantined: String?
    /// Topics that some of the alerts go to as well.
    package var destinations: [AlertDestination] = []
    /// Which alerts go there.
    package var routes: [AlertRoute] = []
    /// Of the alerts of a model that fire together one speaks for all; the others are muted.
    package var groupsAlerts = false

    /// A kind of sketch; the raw value is its name in the topology and the last part of the
    /// record's key.
    ///
    /// Those of the core have names here; a summary that is declared elsewhere brings one of its own.
    package struct SketchOutput: RawRepresentable, Sendable, Hashable {
        /// The name.
        package let rawValue: String

        /// The kind of this name.
        package init(rawValue: String) { self.rawValue = rawValue }

        /// KLL of numbers.
        package static let kll = SketchOutput(rawValue: "kll")
        /// DDSketch of numbers.
        package static let ddsketch = SketchOutput(rawValue: "ddsketch")
        /// HyperLogLog of texts.
        package static let hll = SketchOutput(rawValue: "hll")
        /// Frequent texts.
        package static let frequent = SketchOutput(rawValue: "frequent")
        /// Sums for skewness and kurtosis.
        package static let moments = SketchOutput(rawValue: "moments")
        /// Covariances of columns.
        package static let correlation = SketchOutput(rawValue: "correlation")
        /// Sums in which the past counts less.
        package static let decayed = SketchOutput(rawValue: "decayed")
        /// Counts in universal bins.
        package static let logLinear = SketchOutput(rawValue: "log_linear")
        /// Exact counts of texts.
        package static let counts = SketchOutput(rawValue: "counts")
        /// Sampled rows.
        package static let sample = SketchOutput(rawValue: "sample")
        /// Counts in fixed bins.
        package static let histogram = SketchOutput(rawValue: "histogram")
        /// Those of the core.
        package static let core: [SketchOutput] = [
            .kll, .ddsketch, .hll, .frequent, .moments, .correlation, .decayed, .logLinear,
            .counts, .sample, .histogram,
        ]
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
        [aggregates, sketchesTopic, alerts, deadLetters, late, quarantined].compactMap(\.self)
            + destinations.map(\.topic)
    }
}

/// What is never exceeded.
package struct Limits: Sendable {
    /// Memory of queues, batches, panes, windows and state together.
    package var memoryBytes = 512 << 20
    /// A longer record is a dead letter.
    package var recordBytes = 16 << 20
    /// Event time that a restart reads again at most, ms; beyond it open windows are written to the
    /// state topic.
    package var maxRereadMs: Int64 = 600_000
    /// Reading stops if more than this share of a minute's records are dead letters, quarantined or
    /// withdrawn; `nil`: never.
    package var badRowShare: Double? = 0.5
    /// The minute that `badRowShare` is taken over, ms.
    package var badRowSpanMs: Int64 = 60_000
    /// Records that the span must have before the share counts.
    package var badRowCountMin: Int64 = 100
    /// With as many records the share counts at once, before the span is over.
    package var badRowBurstCount: Int64 = 100_000
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

/// How a plan is run; results do not depend on it.
package struct RunSettings: Sendable {
    /// `nil`: one a core.
    package var workers: Int?
    /// Rows of a batch, at most.
    package var batchRows = 4096
    /// The longest wait between commits.
    package var commitMs: Int64 = 1000
    /// SIGTERM to exit.
    package var stopWithinMs: Int64 = 30_000
    /// Whether a crash may repeat results.
    package var delivery: Delivery = .exactlyOnce
    /// A process without news commits its positions all the same, so that one that another has
    /// replaced learns of it, and the group's offsets do not expire.
    package var heartbeatMs: Int64 = 5_000
    /// A unit of commit does not wait for the tick when its outputs are this large, bytes.
    package var unitBytesMax = 4 << 20
    /// The smallest limit that a unit is given where units take long to get through, bytes.
    package static let unitBytesMin = 16 << 10
    /// What a unit may hold before the first one is through, bytes: how fast results leave is not
    /// known yet.
    ///
    /// Each unit that is through soon doubles it, and more where its pace says so.
    package static let unitBytesFirst = 256 << 10
    /// A unit that takes longer makes the next ones smaller, ms.
    package static let unitMsMax: Int64 = 5_000

    /// What a crash may repeat.
    package enum Delivery: String, Sendable, CaseIterable {
        case exactlyOnce = "exactly_once"
        case atLeastOnce = "at_least_once"
    }

    package init() {}
}
