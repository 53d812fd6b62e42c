import TidemarkDataflow
import TidemarkKernels
import TidemarkSketches
import TidemarkText

/// The exact sum of a column's values and of their squares, for metrics: order-free.
///
/// Where a baseline or the topology says in what range values lie, the cell's own sums do, and this part is not
/// made; see `ColumnShape`.
///
/// - Memory: 1.1 KB.
final class MetricSums: CellPart, @unchecked Sendable {
    // The owner is the cell.
    private(set) var count: UInt64 = 0
    private var sum = ExactSum()
    private var squares = ExactSum()
    /// Values whose squares are beyond the range of a double.
    private var unsquared: UInt64 = 0

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.metricSums else { return nil }
    }

    private init(_ other: MetricSums) {
        (count, sum, squares, unsquared) = (
            other.count, other.sum, other.squares, other.unsquared
        )
    }

    func copy() -> any CellPart { MetricSums(self) }
    var isOrderFree: Bool { true }
    var byteCount: Int { Self.byteCount }
    static let byteCount = 1_150

    func fold(_ run: NumberRun) {
        count += UInt64(run.finiteCount)
        unsafe sum.add(run.finite, count: run.finiteCount)
        unsquared += UInt64(
            unsafe squares.addSquares(of: run.finite, count: run.finiteCount))
    }

    func merge(_ other: any CellPart) {
        guard let other = other as? MetricSums else { return }
        count += other.count
        unsquared += other.unsquared
        sum.merge(other.sum)
        squares.merge(other.squares)
    }

    func writeState(_ bytes: inout [UInt8]) {
        bytes.append(littleEndian: count)
        bytes.append(littleEndian: unsquared)
        for digits in [sum.digits, squares.digits] {
            for digit in digits { bytes.append(littleEndian: UInt64(bitPattern: digit)) }
        }
    }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        count = try reader.read(UInt64.self)
        unsquared = try reader.read(UInt64.self)
        sum = try Self.readSum(&reader)
        squares = try Self.readSum(&reader)
    }

    private static func readSum(_ reader: inout ByteReader) throws(SketchError) -> ExactSum {
        var digits: [Int64] = []
        for _ in 0..<ExactSum.digitCount {
            digits.append(Int64(bitPattern: try reader.read(UInt64.self)))
        }
        guard let sum = ExactSum(digits: digits) else {
            throw .corrupt(field: "exact sum", offset: 0)
        }
        return sum
    }

    // MARK: Learned windows

    /// How many numbers `amounts` has.
    static let amountCount = 1 + 3 * ExactSum.digitCount

    /// Its sums as numbers that are not negative, which add up from window to window.
    var amounts: [UInt64] {
        let (digits, isNegative) = sum.magnitude
        let none = [UInt64](repeating: 0, count: digits.count)
        return [unsquared] + (isNegative ? none + digits : digits + none)
            + squares.magnitude.digits
    }

    /// The sums of `count` values that these amounts are; `nil` where they are none.
    init?(count: UInt64, amounts: ArraySlice<UInt64>) {
        let digitCount = ExactSum.digitCount
        guard amounts.count == Self.amountCount, let unsquared = amounts.first else { return nil }
        let digits = Array(amounts.dropFirst())
        guard
            let sum = ExactSum(
                positive: digits[..<digitCount], negative: digits[digitCount..<2 * digitCount]),
            let squares = ExactSum(
                positive: digits[(2 * digitCount)...],
                negative: repeatElement(0, count: digitCount))
        else { return nil }
        (self.count, self.unsquared, self.sum, self.squares) = (count, unsquared, sum, squares)
    }

    // MARK: Values

    /// The sum of the values; infinite where it is beyond the range of a double.
    var total: Double { sum.value.sum }

    /// Their mean; `nil` without values.
    var mean: Double? { count == 0 ? nil : total / Double(count) }

    /// Their standard deviation, which divides by n − 1; `nil` for fewer than two values.
    var sd: Double? {
        guard count > 1, unsquared == 0 else { return nil }
        return ExactSum.standardDeviation(sum, squares: squares, count: count)
    }
}

/// Quantiles of a column for metrics, within 1% of the value: order-free.
///
/// - Memory: 8 B a bin, a few hundred bins.
final class MetricQuantiles: CellPart, @unchecked Sendable {
    // The owner is the cell.
    private var sketch = DDSketch()
    /// How far a quantile may be off, as a share of itself: more where values span more than seventeen powers of ten.
    var accuracy: Double { sketch.relativeError }

    init?(_ summary: ColumnSummary, _ context: PartContext) {
        guard summary.metricQuantiles else { return nil }
    }

    private init(_ other: MetricQuantiles) { sketch = other.sketch.copy() }

    func copy() -> any CellPart { MetricQuantiles(self) }
    var isOrderFree: Bool { true }
    var byteCount: Int { 64 + sketch.byteCount }

    func fold(_ run: NumberRun) { unsafe sketch.update(run.finite, count: run.finiteCount) }

    func merge(_ other: any CellPart) {
        guard let other = other as? MetricQuantiles else { return }
        sketch.merge(other.sketch)
    }

    func writeState(_ bytes: inout [UInt8]) { sketch.writeState(&bytes) }

    func readState(_ reader: inout ByteReader) throws(SketchError) {
        sketch = try DDSketch.readState(&reader)
    }

    /// The value of a rank; `nil` without values.
    func quantile(_ rank: Double) -> Double? {
        sketch.isEmpty ? nil : sketch.quantiles([rank]).first
    }
}
