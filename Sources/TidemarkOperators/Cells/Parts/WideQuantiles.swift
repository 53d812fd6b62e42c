import TidemarkDataflow
import TidemarkSketches

/// Quantiles of a column that chose another sketch than KLL over f32.
final class WideQuantiles: CellPart, @unchecked Sendable {
    // The owner is the cell.
    let sketchKind: QuantileSketch
    /// Ordered.
    private(set) var kll: KLLDoublesSketch
    /// Order-free.
    private(set) var dd: DDSketch

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.quantileSketch != .kll, !summary.quantiles.isEmpty else { return nil }
        sketchKind = summary.quantileSketch
        kll = KLLDoublesSketch(k: summary.kllK, seed: context.seed)
        dd = DDSketch(
            relativeError: summary.relativeError,
            mapping: summary.hasLogarithmicBins ? .logarithmic : .cubic)
    }

    private init(_ other: WideQuantiles) {
        sketchKind = other.sketchKind
        kll = other.kll.copy()
        dd = other.dd.copy()
    }

    func copy() -> any CellPart { WideQuantiles(self) }

    var isOrderFree: Bool { sketchKind == .ddsketch }
    var byteCount: Int { kll.byteCount + dd.byteCount }

    func fold(_ run: NumberRun) {
        if isOrderFree {
            unsafe dd.update(run.finite, count: run.finiteCount)
        } else {
            unsafe kll.update(run.finite, count: run.finiteCount)
        }
    }

    func merge(_ other: any CellPart) {
        guard let other = other as? WideQuantiles else { return }
        if isOrderFree { dd.merge(other.dd) } else { kll.merge(other.kll) }
    }

    func writeState(_ bytes: inout [UInt8]) {
        kll.writeState(&bytes)
        dd.writeState(&bytes)
    }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        kll = try KLLDoublesSketch.readState(&reader)
        dd = try DDSketch.readState(&reader)
    }

    /// A value for each rank in 0…1; empty without values.
    func quantiles(_ ranks: [Double]) -> [Double] {
        isOrderFree ? dd.quantiles(ranks) : kll.quantiles(ranks)
    }

    /// The bytes of the sketch in use.
    func serialize() -> [UInt8] { isOrderFree ? dd.serialize() : kll.serialize() }
}
