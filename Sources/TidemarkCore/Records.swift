import TidemarkText

/// The values of a group's dimensions, in the order of their names.
package struct GroupValues: Sendable, Hashable {
    /// `nil` is a dimension that the rows do not have (absent, null or of a wrong type).
    package var dimensions: [(name: String, value: [UInt8]?)]
    /// The rest: the groups beyond the segment's limit, merged; how many they are is beside it.
    package var isOther: Bool

    package init(dimensions: [(name: String, value: [UInt8]?)], isOther: Bool = false) {
        self.dimensions = dimensions
        self.isOther = isOther
    }

    /// `model=churn,region=eu`, percent-encoded; a dimension without a value is its name alone; all
    /// rows together are `-`, the rest is `~other` (no name begins so).
    package var part: [UInt8] {
        if isOther { return Array("~other".utf8) }
        if dimensions.isEmpty { return [0x2d] }
        var part: [UInt8] = []
        for (name, value) in dimensions {
            if !part.isEmpty { part.append(0x2c) }
            part.append(contentsOf: percentEncoded(Array(name.utf8)))
            guard let value else { continue }
            part.append(0x3d)
            part.append(contentsOf: percentEncoded(value))
        }
        return part
    }

    /// The group that `part` names; nil if it has other dimensions than these, or is none.
    package init?(part: [UInt8], names: [String]) {
        if names.isEmpty {
            guard part == [0x2d] else { return nil }
            self.init(dimensions: [])
            return
        }
        let texts = part.split(separator: 0x2c, omittingEmptySubsequences: false)
        guard texts.count == names.count else { return nil }
        var dimensions: [(name: String, value: [UInt8]?)] = []
        for (name, text) in zip(names, texts) {
            let encoded = percentEncoded(Array(name.utf8))
            guard text.starts(with: encoded) else { return nil }
            let rest = text.dropFirst(encoded.count)
            guard rest.isEmpty || rest.first == 0x3d else { return nil }
            dimensions.append(
                (name, rest.isEmpty ? nil : percentDecoded(rest.dropFirst())))
        }
        self.init(dimensions: dimensions)
    }

    /// By their parts: the names of dimensions count as well.
    package static func == (a: GroupValues, b: GroupValues) -> Bool { a.part == b.part }
    package func hash(into hasher: inout Hasher) { hasher.combine(part) }
}

/// `1m`, `1h`, … as keys have it: in the largest unit of s, ms that divides it (`60s`, `250ms`).
package func lengthText(_ ms: Int64) -> String { ms % 1000 == 0 ? "\(ms / 1000)s" : "\(ms)ms" }

/// How the rows of a group and window were counted for one column.
package struct RowCounts: Sendable, Equatable {
    /// All rows of the group and window: the sum of the five that follow.
    package var total: Int64 = 0
    /// Rows whose value could be used.
    package var value: Int64 = 0
    /// Rows that say null, or a text that stands for null.
    package var null: Int64 = 0
    /// Rows without the field.
    package var missing: Int64 = 0
    /// Rows with a value of another type than the column's, or a fraction in a column of integers.
    package var wrongType: Int64 = 0
    /// Rows with NaN or an infinity.
    package var nonFinite: Int64 = 0
    /// Rows that came after every window of this length that they belong to was over.
    ///
    /// They are counted in the window that the watermark was in, and not in `total`.
    package var late: Int64 = 0
    /// Rows too far ahead of the reference clock, counted where the late ones are, and not in
    /// `total`.
    package var quarantined: Int64 = 0
    package init() {}

    /// Joins the counts of other rows.
    package mutating func add(_ other: RowCounts) {
        total += other.total
        value += other.value
        null += other.null
        missing += other.missing
        wrongType += other.wrongType
        nonFinite += other.nonFinite
        late += other.late
        quarantined += other.quarantined
    }
}

/// The outcome of one test of a window against a baseline.
package struct TestResult: Sendable, Equatable {
    /// As records name it, such as `psi` or `ks`.
    package var name: String
    /// The statistic: the size of the difference, in the test's own unit.
    package var value: Double
    /// Probability of a difference at least as large without any drift; `nil`: the test has none.
    package var p: Double?
    package init(name: String, value: Double, p: Double?) {
        self.name = name
        self.value = value
        self.p = p
    }
}

/// How much of a baseline was learned by the start of a window, and how much makes it whole.
package struct LearnedProgress: Sendable, Equatable {
    /// Windows that have been learned.
    package var windows: Int64
    /// Windows that make the baseline whole.
    package var windowsNeeded: Int64
    /// Rows in the windows that have been learned.
    package var rows: Int64
    /// Rows that make the baseline whole, however many windows it has.
    package var rowsNeeded: Int64

    package init(windows: Int64, windowsNeeded: Int64, rows: Int64, rowsNeeded: Int64) {
        self.windows = windows
        self.windowsNeeded = windowsNeeded
        self.rows = rows
        self.rowsNeeded = rowsNeeded
    }
}

/// What a monitor says of a window.
package struct VerdictRecord: Sendable, Equatable {
    /// The monitor's name in the topology.
    package var monitor: String
    /// The baseline as records name it: `training@5b1e…`, `recent@trailing-3600s`; empty: there is
    /// none.
    package var baseline: String
    /// p of the test that decides on significance; `nil`: it has none, or nothing was compared.
    package var p: Double?
    /// The p that had to be reached; `nil` where the alert budget is off.
    package var level: Double?
    /// How large the difference is: the value of the test that decides on size; `nil`: nothing was
    /// compared.
    package var effect: Double?
    /// Smaller effects are ignored; `nil` where a fixed bound decides.
    package var ignoreBelow: Double?
    /// How many rows were expected, where the monitor is one of volume.
    package var expected: Double?
    /// What it came to.
    ///
    /// Of a column: `drift`, `ok`, `too_few`, `learning`, `no_baseline` or `blind`. Of volume:
    /// `drop`, `rise`, `ok`, `too_few` or `learning`.
    package var verdict: String
    /// How far the baseline is, while it is being learned.
    package var learned: LearnedProgress?
    package init(
        monitor: String, baseline: String, p: Double?, level: Double?, effect: Double?,
        ignoreBelow: Double?, verdict: String
    ) {
        self.monitor = monitor
        self.baseline = baseline
        self.p = p
        self.level = level
        self.effect = effect
        self.ignoreBelow = ignoreBelow
        self.verdict = verdict
    }
}

/// How values fell into fixed bins.
package struct HistogramRecord: Sendable, Equatable {
    /// The baseline whose edges these are (`training@5b1e…`), or `declared`.
    package var edges: String
    /// Values below the lowest edge; 0 where the outer bins are open.
    package var under: Int64
    /// Values in each bin, in ascending order: bin i holds e[i] ≤ x < e[i+1].
    package var counts: [Int64]
    /// Values at or above the highest edge; 0 where the outer bins are open.
    package var over: Int64
    package init(edges: String, under: Int64, counts: [Int64], over: Int64) {
        self.edges = edges
        self.under = under
        self.counts = counts
        self.over = over
    }
}

/// An item of a text column with how often it came, exactly or within bounds.
package struct TopItem: Sendable, Equatable {
    /// The text, UTF-8.
    package var value: [UInt8]
    /// How often it came, at most: the same as `upper`.
    package var count: Int64
    /// It came at least this often.
    package var lower: Int64
    /// It came at most this often; the same as `lower` where the count is exact.
    package var upper: Int64
    package init(value: [UInt8], count: Int64, lower: Int64, upper: Int64) {
        self.value = value
        self.count = count
        self.lower = lower
        self.upper = upper
    }
}

/// Mean and rate in which a value counts half as much for each half-life before the window's end.
package struct DecayedRecord: Sendable, Equatable {
    /// After so long before the window's end a value counts half, ms.
    package var halfLifeMs: Int64
    /// The weighted mean.
    package var mean: Double
    /// The standard deviation of the weighted population; `nil`: too few values.
    package var sd: Double?
    /// Values a second, weighted, as if the stream had been steady.
    package var rate: Double?
    package init(halfLifeMs: Int64, mean: Double, sd: Double?, rate: Double?) {
        self.halfLifeMs = halfLifeMs
        self.mean = mean
        self.sd = sd
        self.rate = rate
    }
}

/// Counts in universal bins: bin 32·e + i holds 2^e·(1 + i/32) ≤ |x| < 2^e·(1 + (i + 1)/32).
package struct LogLinearRecord: Sendable, Equatable {
    /// Consecutive bins.
    package struct Bins: Sendable, Equatable {
        /// The number of the first bin, 32·e + i; negative below 1.
        package var first: Int
        /// Values in each bin, from `first` on, without gaps.
        package var counts: [UInt64]
        package init(first: Int, counts: [UInt64]) {
            self.first = first
            self.counts = counts
        }
    }

    /// Values below 2^-64 in size, zero among them.
    package var zero: UInt64
    /// Values above zero; `nil`: there are none.
    package var positive: Bins?
    /// Values below zero, in bins of their size; `nil`: there are none.
    package var negative: Bins?
    /// A record of bins as the histogram has them: each sign's first bin and counts.
    package init(
        zero: UInt64, positive: (first: Int, counts: [UInt64])?,
        negative: (first: Int, counts: [UInt64])?
    ) {
        self.zero = zero
        self.positive = positive.map { Bins(first: $0.first, counts: $0.counts) }
        self.negative = negative.map { Bins(first: $0.first, counts: $0.counts) }
    }
}

/// Exact counts of texts, the most frequent first; `other` is what further texts have together.
package struct ValueCounts: Sendable {
    /// Texts with their counts.
    package var items: [(value: [UInt8], count: Int64)]
    /// How many rows have other texts than these.
    package var other: Int64
    package init(items: [(value: [UInt8], count: Int64)], other: Int64) {
        self.items = items
        self.other = other
    }
}

/// A row that was sampled: where it lies, and the column's value in it.
package struct SampledRow: Sendable, Equatable {
    /// The number of the partition; 0 for a file.
    package var partition: Int
    /// The record's offset; in a file its number, from 0.
    package var offset: Int64
    /// The column's value in that row.
    package var value: Double
    package init(partition: Int, offset: Int64, value: Double) {
        self.partition = partition
        self.offset = offset
        self.value = value
    }
}

/// How a column varies with another, over the rows that have all columns of the rule.
package struct CorrelationRecord: Sendable, Equatable {
    /// Name of the other column.
    package var with: String
    /// Rows that have all columns of the rule.
    package var n: Int64
    /// Divides by n − 1; `nil`: fewer than two rows.
    package var covariance: Double?
    /// Pearson's, −1 to 1; `nil`: fewer than two rows, or one of the two does not vary.
    package var correlation: Double?
    package init(with: String, n: Int64, covariance: Double?, correlation: Double?) {
        self.with = with
        self.n = n
        self.covariance = covariance
        self.correlation = correlation
    }
}

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
    /// The third standardised moment of the population, 0 for a normal one; `nil` where all values
    /// are equal.
    package var skewness: Double?
    /// The fourth standardised moment of the population, 3 for a normal one; `nil` where all values
    /// are equal.
    package var kurtosis: Double?
    /// Mean and rate with more weight on what is new; `nil`: not asked for.
    package var decayed: DecayedRecord?
    /// With each other column of each rule that names this one; empty: none does.
    package var correlations: [CorrelationRecord] = []
    /// Counts in universal bins; `nil`: not asked for.
    package var logLinear: LogLinearRecord?
    /// `nil`, here and below: not asked for.
    package var counts: ValueCounts?
    /// Rows chosen by the hash of where they lie, smallest hash first; `nil`: not asked for.
    package var sample: [SampledRow]?
    /// By rank: 0.01 is `p01`.
    ///
    /// `isSingle`: it is known as an f32, and written by the digits of one.
    package var quantiles: [(rank: Double, value: Double, isSingle: Bool)] = []
    /// Values beyond the range of f32 count as its largest in `quantiles`, and there are some.
    package var quantilesOverflow = false
    /// Counts between fixed edges; `nil`: no edges are known for this group and column.
    package var histogram: HistogramRecord?
    /// About how many different texts came, with bounds on that number; `nil`: not asked for.
    package var distinct: (estimate: Double, lower: Double, upper: Double)?
    /// The most frequent texts; `nil`: not asked for.
    package var top: [TopItem]?
    /// Tests against each baseline: `n` values of the window and `nBaseline` of the baseline.
    package var drift: [(baseline: String, n: Int64, nBaseline: Int64, tests: [TestResult])] = []
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

/// One event in the life of an alert.
package struct AlertRecord: Sendable {
    /// What happened to the alert.
    package enum Transition: String, Sendable {
        case firing, resolved
        /// Nothing arrives: the firing of a freshness monitor.
        case noData = "no_data"
    }

    /// Why an alert resolved without a window that cleared it.
    package enum Reason: String, Sendable {
        /// No verdict for `resolve_after`: its group is gone, or too small to be judged.
        case expired
        /// It went on for `resolve_after`, and was learned as what is usual now.
        case learned
        /// The topology was changed, and its windows are not continued.
        case changed
    }

    /// The same from firing to resolution: a hash of monitor, group, column and opening window.
    package var id: String
    /// The `ce_id` of this event: the same when it is published again after a restart.
    package var eventId: String
    /// What happened.
    package var transition: Transition
    /// Name of the topology.
    package var topology: String
    /// `Plan.revision`, 16 hex digits.
    package var revision: String
    /// The monitor's name in the topology.
    package var monitor: String
    /// `page`, `warn` or `info`.
    package var severity: String
    /// Why it is published and nobody is paged: `backfill` or `cool_down`.
    package var mutedBy: String?
    /// Why it resolved, where no window said that all is well again.
    package var reason: Reason?
    /// One line for a person: what, where, how much.
    package var summary: String
    /// What the topology's author says of the monitor, or of the topology.
    package var description: String?
    /// A link, as the monitor has it.
    package var runbook: String?
    /// Who answers for the topology, as it says.
    package var owner: String?
    /// As the topology has them, in its order.
    package var labels: [(name: String, value: String)] = []
    /// The segment's name; empty where the alert is about the source as a whole.
    package var operatorName: String
    /// Whose rows it is about; without dimensions where it is about the source.
    package var group: GroupValues
    /// The column that differs; empty for volume, freshness and the source.
    package var column: String
    /// The test that decides on size; `volume`, `freshness`, or the word for a condition of the source.
    package var test: String
    /// What was measured, in the test's own unit (seconds for freshness); `nil`: no window cleared
    /// the alert.
    package var value: Double?
    /// The bound that `value` is held against.
    package var threshold: Double
    /// The value is above the threshold where it fires, or below it.
    package var isAbove = true
    /// p of the test that decides on significance; `nil`: it has none.
    package var p: Double?
    /// The p that had to be reached; `nil`: only the size counts.
    package var level: Double?
    /// The window that made the transition; the span of the silence where freshness is watched.
    package var window: Window
    /// Start of the window that opened the alert, ms: part of its id.
    package var openedMs: Int64
    /// End of that window, ms of event time: when it was first seen.
    package var firstSeenMs: Int64
    /// The window was long over when its first row was read.
    package var backfill: Bool
    /// Values of the window that were compared; its rows where volume is watched.
    package var n: Int64
    /// Values or rows of the baseline; 0: there is no baseline.
    package var nBaseline: Int64
    /// As records name it; empty: there is none.
    package var baseline: String
    /// Every test that was run, the one that decides among them.
    package var tests: [TestResult] = []
    /// Rows of the window by cell: bins, or categories and then all others.
    package var current: [Int64] = []
    /// Rows of the baseline, cell by cell as in `current`.
    package var reference: [Int64] = []
    /// Bounds of the cells of numbers, ascending; empty for categories.
    package var edges: [Double] = []
    /// Names of the cells of a category column; empty for numbers, and where cells are hashes.
    package var categories: [String] = []

    package init(
        id: String, eventId: String, transition: Transition, topology: String, revision: String,
        monitor: String, severity: String, summary: String, operatorName: String,
        group: GroupValues, column: String, test: String, threshold: Double, window: Window,
        openedMs: Int64, firstSeenMs: Int64, backfill: Bool, n: Int64, nBaseline: Int64,
        baseline: String
    ) {
        self.id = id
        self.eventId = eventId
        self.transition = transition
        self.topology = topology
        self.revision = revision
        self.monitor = monitor
        self.severity = severity
        self.summary = summary
        self.operatorName = operatorName
        self.group = group
        self.column = column
        self.test = test
        self.threshold = threshold
        self.window = window
        self.openedMs = openedMs
        self.firstSeenMs = firstSeenMs
        self.backfill = backfill
        self.n = n
        self.nBaseline = nBaseline
        self.baseline = baseline
    }
}
