import TidemarkLanguage

/// How large the results of a plan may become, by what they hold: topics refuse records beyond their
/// `max.message.bytes`.
///
/// Texts are counted as long as texts may be; that JSON writes control characters in six bytes is not.
package struct ResultSize: Sendable, Equatable {
    /// The largest aggregate that has its usual size: bytes of numbers and of sketches that are as large for few
    /// rows as for many.
    package private(set) var aggregateBytes = 0
    /// The largest aggregate if every text that is listed were as long as texts may be, and numbers of all sizes.
    package private(set) var aggregateBytesMax = 0
    /// The largest record of sketch bytes that has its usual size; 0 where none are published.
    package private(set) var sketchBytes = 0
    /// The largest one if its texts were as long as texts may be.
    package private(set) var sketchBytesMax = 0
    /// The largest alert if the categories of its evidence were as long as texts may be.
    package private(set) var alertBytesMax = 0

    /// The largest record of any kind.
    package var most: Int { max(aggregateBytesMax, sketchBytesMax, alertBytesMax) }

    /// A record without its lists: names, counts, words of the topology.
    private static let recordBytes = 4_096
    /// A number in JSON, with its name.
    private static let numberBytes = 40
    /// Its coordinates and its value: at least about, and at most.
    private static let sampledRowBytes = (sure: 48, most: 96)
    /// A column's name and three numbers.
    private static let pairBytes = (sure: 64, most: 256)
    /// What one monitor has to say: tests, bounds, and what was learned.
    private static let verdictBytes = 1_024
    /// Bins of a baseline, with those of frequent values.
    private static let baselineEdgeCount = 512
    /// Categories that a baseline names.
    private static let categoryCount = 20
    /// Universal bins of both signs, and the digits of a count.
    private static let universalBytes = 2 * 2_046 * 32 * 12
    /// Texts that the sketch of frequent ones holds.
    private static let frequentCount = 768

    /// The sizes for a plan.
    ///
    /// - Complexity: O(columns).
    package init(_ plan: Plan) {
        let stream = plan.stream
        // Named in the value and, in escapes, in key and headers.
        let names = stream.segments.map(\.dimensions.count).max() ?? 0
        let groupBytes = names * TextLimit.dimensionBytes * 5
        let verdicts = stream.monitors.count * Self.verdictBytes
        for (index, column) in stream.columns.enumerated() where column.isHeld {
            let summary = column.summary
            let edgeCount =
                switch summary.histogram {
                case .edges(let edges): edges.count
                case .baseline: Self.baselineEdgeCount
                case nil: 0
                }
            let histogram = 2 * edgeCount * Self.numberBytes
            var bytes = Self.recordBytes + verdicts + histogram
            bytes += summary.quantiles.count * Self.numberBytes
            for part in summary.parts { bytes += part.recordBytes }
            let sampled = summary.sampleCount ?? 0
            let pairs = stream.correlations.filter { $0.contains(index) }.reduce(0) {
                $0 + $1.count - 1
            }
            let most =
                bytes + sampled * Self.sampledRowBytes.most + pairs * Self.pairBytes.most
            bytes += sampled * Self.sampledRowBytes.sure + pairs * Self.pairBytes.sure
            let listed =
                column.type.isText ? (summary.topCount ?? 0) + (summary.valueCountMax ?? 0) : 0
            let texts = listed * (TextLimit.valueBytes + 2 * Self.numberBytes)
            let universal = summary.logLinear ? Self.universalBytes : 0
            aggregateBytes = max(aggregateBytes, bytes + listed * 2 * Self.numberBytes)
            aggregateBytesMax = max(aggregateBytesMax, most + texts + universal + groupBytes)
            let sketch = Self.sketchBytes(index, plan)
            sketchBytes = max(sketchBytes, sketch.sure)
            sketchBytesMax = max(sketchBytesMax, sketch.most)
            let categories = column.type.isText ? Self.categoryCount * TextLimit.valueBytes : 0
            alertBytesMax = max(
                alertBytesMax,
                3 * Self.recordBytes + verdicts + histogram + categories + groupBytes)
        }
    }

    private static func sketchBytes(_ index: Int, _ plan: Plan) -> (sure: Int, most: Int) {
        let column = plan.stream.columns[index]
        let (outputs, summary) = (plan.outputs, column.summary)
        var bytes = 0
        var most = 0
        for part in summary.parts {
            guard let name = part.sketchName, outputs.sketches.contains(.init(rawValue: name))
            else {
                continue
            }
            most = max(most, part.sketchBytes)
        }
        if outputs.sketches.contains(.hll), column.type.isText, let lgK = summary.distinctLgK {
            // Registers of so many bits; 40 bytes before them, and what 4 bits do not hold behind.
            bytes = max(bytes, 64 + (1 << lgK) * summary.registerBits / 8)
        }
        if outputs.sketches.contains(.kll), column.type.isNumeric {
            bytes = max(bytes, 64 + 4 * summary.kllK * 8)
        }
        if outputs.sketches.contains(.ddsketch), summary.quantileSketch == .ddsketch {
            bytes = max(bytes, 64 + 2_048 * 8)
        }
        if outputs.sketches.contains(.correlation) {
            for list in plan.stream.correlations where list.contains(index) {
                // A sum for every two, means, and up to 64 rows that are still to be added.
                let sums = 64 + (list.count + 1) * list.count / 2 * 8 + list.count * 16
                bytes = max(bytes, sums)
                most = max(most, sums + list.count * 64 * 8)
            }
        }
        if outputs.sketches.contains(.frequent), summary.topCount != nil {
            most = max(most, 64 + frequentCount * (12 + TextLimit.valueBytes))
        }
        return (bytes, max(bytes, most))
    }
}
