import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// The mean of a column without its smallest and largest values: order-free.
///
/// Of n values the ⌊share · n⌋ smallest and as many of the largest are left out, as `scipy.stats.trim_mean` does.
///
/// - Error: at most 1% of the mean size of the values that count. They are kept in bins of DDSketch, which become
///   coarser only where values span more than about 17 powers of ten.
/// - Memory: 8 B a bin, a few hundred bins.
final class TrimmedMeanPart: CellPart, @unchecked Sendable {
    // The owner is the cell.
    private static let share = Key(
        "share", ValueType<Double>.share(max: 0.49), usual: 0.1,
        "the share of the values that is left out at each end")

    static let spec: SummarySpec? = SummarySpec(
        "trimmed_mean", of: .numbers, keys: [SettingKey(share)], isOrderFree: true,
        cellBytes: { _ in 6_500 }, "the mean without the smallest and the largest values")

    static let fields = [trimmedMean]

    private static let trimmedMean = PartField(
        "trimmed_mean", place: 80,
        shape: .object([
            FieldFacts(name: "share", shape: .number, help: "left out at each end"),
            FieldFacts(name: "mean", shape: .number, help: "of the rest, within 1%"),
        ]), presence: "with `trimmed_mean`",
        help: "the mean without the smallest and the largest values")

    private let share: Double
    private var sketch = DDSketch()

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard let settings = Self.spec.flatMap(summary.settings) else { return nil }
        share = settings[Self.share]
    }

    private init(_ other: TrimmedMeanPart) {
        share = other.share
        sketch = other.sketch.copy()
    }

    func copy() -> any CellPart { TrimmedMeanPart(self) }

    var isOrderFree: Bool { true }
    var byteCount: Int { 64 + sketch.byteCount }

    func fold(_ run: NumberRun) { unsafe sketch.update(run.finite, count: run.finiteCount) }

    func merge(_ other: any CellPart) {
        guard let other = other as? TrimmedMeanPart else { return }
        sketch.merge(other.sketch)
    }

    func writeState(_ bytes: inout [UInt8]) { sketch.writeState(&bytes) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        sketch = try DDSketch.readState(&reader)
    }

    func describe(into record: inout AggregateRecord) {
        guard !sketch.isEmpty else { return }
        let n = sketch.count
        let cut = UInt64(share * Double(n))
        // Places in the order of sizes: those from `cut` to `n - cut` count.
        var (before, sum) = (UInt64(0), 0.0)
        sketch.forEachBin { value, count in
            let first = max(before, cut)
            let end = min(before + count, n - cut)
            if first < end { sum += value * Double(end - first) }
            before += count
        }
        record.parts.add(
            Self.trimmedMean,
            .members(["share": .finite(share), "mean": .finite(sum / Double(n - 2 * cut))]))
    }
}
