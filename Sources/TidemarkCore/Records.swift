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

    package static func == (a: GroupValues, b: GroupValues) -> Bool { a.part == b.part }
    package func hash(into hasher: inout Hasher) { hasher.combine(part) }
}

/// `text` with every byte but letters, digits and `- . _ ~` percent-encoded (RFC 3986, unreserved).
package func percentEncoded(_ text: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(text.count)
    appendPercentEncoded(text, to: &out)
    return out
}

private func appendPercentEncoded(_ text: some Sequence<UInt8>, to out: inout [UInt8]) {
    func letter(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }
    for byte in text {
        switch byte {
        case 0x41...0x5a, 0x61...0x7a, 0x30...0x39, 0x2d, 0x2e, 0x5f, 0x7e: out.append(byte)
        default:
            out.append(0x25)
            out.append(letter(byte >> 4))
            out.append(letter(byte & 15))
        }
    }
}

/// An integer's decimal digits, as text has them.
package func decimalText(_ number: Int64) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 20) { text, count in
        // From the end on: 20 places hold the sign and 19 digits.
        var magnitude = number.magnitude
        var at = 20
        repeat {
            at -= 1
            unsafe text[at] = UInt8(truncatingIfNeeded: 0x30 + magnitude % 10)
            magnitude /= 10
        } while magnitude > 0
        if number < 0 {
            at -= 1
            unsafe text[at] = 0x2d
        }
        count = 20 - at
        if at > 0 { for place in 0..<count { unsafe text[place] = text[at + place] } }
    }
}

/// The bytes that `percentEncoded` made these of.
package func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
    func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        default: nil
        }
    }
    var out: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
        if byte == 0x25, rest.count >= 2, let high = digit(rest[rest.startIndex]),
            let low = digit(rest[rest.startIndex + 1])
        {
            out.append(high << 4 | low)
            rest = rest.dropFirst(2)
        } else {
            out.append(byte)
        }
    }
    return out
}

/// `1m`, `1h`, … as keys have it: in the largest unit of s, ms that divides it (`60s`, `250ms`).
package func lengthText(_ ms: Int64) -> String { ms % 1000 == 0 ? "\(ms / 1000)s" : "\(ms)ms" }

/// How the rows of a group and window were counted for one column.
package struct RowCounts: Sendable, Equatable {
    package var total: Int64 = 0
    package var value: Int64 = 0
    package var null: Int64 = 0
    package var missing: Int64 = 0
    package var wrongType: Int64 = 0
    package var nonFinite: Int64 = 0
    package var late: Int64 = 0
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
    package var name: String
    package var value: Double
    package var p: Double?
    package init(name: String, value: Double, p: Double?) {
        self.name = name
        self.value = value
        self.p = p
    }
}

/// How much of a baseline was learned by the start of a window, and how much makes it whole.
package struct LearnedProgress: Sendable, Equatable {
    package var windows: Int64
    package var windowsNeeded: Int64
    package var rows: Int64
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
    package var monitor: String
    package var baseline: String
    package var p: Double?
    package var level: Double?
    package var effect: Double?
    /// Smaller effects are ignored; `nil` where a fixed bound decides.
    package var ignoreBelow: Double?
    /// Of rows: how many were expected.
    package var expected: Double?
    /// `drift`, `ok`, `too_few` or `learning`; of rows `drop` or `rise`.
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
    package var under: Int64
    package var counts: [Int64]
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
    package var value: [UInt8]
    package var count: Int64
    package var lower: Int64
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
    package var halfLifeMs: Int64
    package var mean: Double
    /// Of the weighted population.
    package var sd: Double?
    /// Values a second.
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
        package var first: Int
        package var counts: [UInt64]
        package init(first: Int, counts: [UInt64]) {
            self.first = first
            self.counts = counts
        }
    }

    package var zero: UInt64
    package var positive: Bins?
    package var negative: Bins?
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
    package var items: [(value: [UInt8], count: Int64)]
    package var other: Int64
    package init(items: [(value: [UInt8], count: Int64)], other: Int64) {
        self.items = items
        self.other = other
    }
}

/// A row that was sampled: where it lies, and the column's value in it.
package struct SampledRow: Sendable, Equatable {
    package var partition: Int
    package var offset: Int64
    package var value: Double
    package init(partition: Int, offset: Int64, value: Double) {
        self.partition = partition
        self.offset = offset
        self.value = value
    }
}

/// How a column varies with another, over the rows that have all columns of the rule.
package struct CorrelationRecord: Sendable, Equatable {
    package var with: String
    package var n: Int64
    package var covariance: Double?
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
    package var topology: String
    package var revision: String
    /// The segment's name.
    package var operatorName: String
    package var group: GroupValues
    /// How many groups the rest holds, if this is it.
    package var otherGroupCount: Int?
    /// Empty: the group as a whole.
    package var column: String
    package var role: String
    package var isNumeric: Bool
    package var window: Window
    package var rev: Int
    package var complete: Bool
    package var backfill: Bool
    package var rows = RowCounts()
    package var min: Double?
    package var max: Double?
    package var mean: Double?
    package var sd: Double?
    /// The third and fourth standardised moments of the population; 0 and 3 for a normal one.
    package var skewness: Double?
    package var kurtosis: Double?
    package var decayed: DecayedRecord?
    package var correlations: [CorrelationRecord] = []
    package var logLinear: LogLinearRecord?
    /// `nil`, here and below: not asked for.
    package var counts: ValueCounts?
    package var sample: [SampledRow]?
    /// By rank: 0.01 is `p01`.
    ///
    /// `isSingle`: it is known as an f32, and written by the digits of one.
    package var quantiles: [(rank: Double, value: Double, isSingle: Bool)] = []
    /// Values beyond the range of f32 count as its largest in `quantiles`, and there are some.
    package var quantilesOverflow = false
    package var histogram: HistogramRecord?
    package var distinct: (estimate: Double, lower: Double, upper: Double)?
    /// `nil`: not asked for.
    package var top: [TopItem]?
    package var drift: [(baseline: String, n: Int64, nBaseline: Int64, tests: [TestResult])] = []
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

/// One list of bytes behind the other, in memory of just their size.
package func joined(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
    let count = first.count + second.count
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, written in
        written = count
        guard let to = bytes.baseAddress else { return }
        unsafe first.withUnsafeBufferPointer { part in
            guard let from = part.baseAddress else { return }
            unsafe to.update(from: from, count: part.count)
        }
        unsafe second.withUnsafeBufferPointer { part in
            guard let from = part.baseAddress else { return }
            unsafe (to + first.count).update(from: from, count: part.count)
        }
    }
}

/// One event in the life of an alert.
package struct AlertRecord: Sendable {
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

    package var id: String
    package var eventId: String
    package var transition: Transition
    package var topology: String
    package var revision: String
    package var monitor: String
    package var severity: String
    /// Why it is published and nobody is paged: `backfill` or `cool_down`.
    package var mutedBy: String?
    /// Why it resolved, where no window said that all is well again.
    package var reason: Reason?
    package var summary: String
    /// What the topology's author says of the monitor, or of the topology.
    package var description: String?
    package var runbook: String?
    package var owner: String?
    package var labels: [(name: String, value: String)] = []
    package var operatorName: String
    package var group: GroupValues
    package var column: String
    /// The test that decides on size, its value and the bound.
    package var test: String
    package var value: Double?
    package var threshold: Double
    /// The value is above the threshold where it fires, or below it.
    package var isAbove = true
    package var p: Double?
    package var level: Double?
    package var window: Window
    package var openedMs: Int64
    package var firstSeenMs: Int64
    package var backfill: Bool
    package var n: Int64
    package var nBaseline: Int64
    package var baseline: String
    package var tests: [TestResult] = []
    /// Cells of the window and of the baseline: bins, or categories and other.
    package var current: [Int64] = []
    package var reference: [Int64] = []
    package var edges: [Double] = []
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
