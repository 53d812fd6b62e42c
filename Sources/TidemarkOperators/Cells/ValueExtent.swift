import TidemarkKernels

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
    func holding(_ rank: Double, _ value: Float) -> (rank: Double, value: Double, isSingle: Bool) {
        if value <= Self.single(least) { return (rank, least, false) }
        if value >= Self.single(most) { return (rank, most, false) }
        return (rank, Double(value), true)
    }

    /// A quantile of another sketch.
    func holding(_ rank: Double, _ value: Double) -> (rank: Double, value: Double, isSingle: Bool) {
        (rank, min(max(value, least), most), false)
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
