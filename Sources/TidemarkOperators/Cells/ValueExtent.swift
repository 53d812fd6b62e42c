import TidemarkKernels
import TidemarkRecords

/// The smallest and the largest value of a column in a window, exactly: no quantile lies outside.
///
/// A sketch over f32 or in bins of relative width knows its values only nearly.
struct ValueExtent {
    var least: Double
    var most: Double

    /// A quantile of a sketch over f32, as a record has it.
    ///
    /// A quantile that rounds to the same f32 as the smallest or largest value is that value. Any
    /// other is written with the shortest digits of an f32, and lies strictly between the two.
    @inline(__always)
    func holding(_ rank: Double, _ value: Float) -> QuantileRecord {
        if value <= Self.single(least) {
            return QuantileRecord(rank: rank, value: least, isSingle: false)
        }
        if value >= Self.single(most) {
            return QuantileRecord(rank: rank, value: most, isSingle: false)
        }
        return QuantileRecord(rank: rank, value: Double(value), isSingle: true)
    }

    /// A quantile of another sketch.
    func holding(_ rank: Double, _ value: Double) -> QuantileRecord {
        QuantileRecord(
            rank: rank, value: min(max(value, least), most), isSingle: false)
    }

    /// Whether a value is beyond the range of f32, so that its sketch takes it for the largest one.
    var isBeyondSingle: Bool {
        let largest = Double(Float.greatestFiniteMagnitude)
        return least <= most && (most > largest || least < -largest)
    }

    /// Rounds to f32 as the fold does: what is out of range becomes the largest.
    @inline(__always)
    private static func single(_ value: Double) -> Float {
        let largest = Float.greatestFiniteMagnitude
        return max(-largest, min(largest, Float(value)))
    }
}

extension GroupCell {
    /// The smallest and the largest number of a column; without any, nothing lies between them.
    func extent(_ place: Int) -> ValueExtent {
        switch shape.columns[place].sums {
        case .exact:
            unsafe ValueExtent(least: exact[place].min, most: exact[place].max)
        case .ordered:
            unsafe ValueExtent(least: ordered[place].min, most: ordered[place].max)
        case .none: ValueExtent(least: -.infinity, most: .infinity)
        }
    }
}
