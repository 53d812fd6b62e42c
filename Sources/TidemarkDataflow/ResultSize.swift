/// How large the results of a plan may become, by what they hold: topics refuse records beyond their
/// `max.message.bytes`.
package struct ResultSize: Sendable, Equatable {
    /// The largest aggregate that has its usual size: bytes of numbers and of sketches that are as large for few
    /// rows as for many.
    package private(set) var aggregateBytes = 0
    /// The largest aggregate if every text that is listed were as long as texts may be.
    package private(set) var aggregateBytesMax = 0
    /// The largest record of sketch bytes; 0 where none are published.
    package private(set) var sketchBytes = 0

    /// A record without its lists: names, counts, verdicts.
    private static let recordBytes = 4_096
    /// A number in JSON, with its name.
    private static let numberBytes = 40

    package init(_ plan: Plan) {
        for column in plan.stream.columns where column.isRead {
            let summary = column.summary
            var bytes = Self.recordBytes
            if case .edges(let edges) = summary.histogram {
                bytes += edges.count * Self.numberBytes
            }
            bytes += summary.quantiles.count * Self.numberBytes
            let listed =
                column.type.isText ? (summary.topCount ?? 0) + (summary.valueCountMax ?? 0) : 0
            aggregateBytes = max(aggregateBytes, bytes + listed * 2 * Self.numberBytes)
            aggregateBytesMax = max(
                aggregateBytesMax, bytes + listed * (TextLimit.valueBytes + 2 * Self.numberBytes))
            sketchBytes = max(sketchBytes, Self.sketchBytes(column, plan.outputs))
        }
    }

    private static func sketchBytes(_ column: ColumnPlan, _ outputs: OutputsPlan) -> Int {
        var bytes = 0
        if outputs.sketches.contains(.hll), column.type.isText,
            let lgK = column.summary.distinctLgK
        {
            // Registers of so many bits; 40 bytes before them, and what 4 bits do not hold behind.
            bytes = max(bytes, 64 + (1 << lgK) * column.summary.registerBits / 8)
        }
        if outputs.sketches.contains(.kll), column.type.isNumeric {
            bytes = max(bytes, 64 + 4 * column.summary.kllK * 8)
        }
        return bytes
    }
}
