/// A quantile sketch of f64 values: an ordered summary.
///
/// As `KLLSketch`, for columns whose values f32 cannot tell apart: ids, times, large amounts.
///
/// - Error: as `KLLSketch`.
/// - Memory: twice that of `KLLSketch`.
/// - Source: bytes as Apache DataSketches' `kll_doubles_sketch`.
package struct KLLDoublesSketch: ~Copyable, Ordered, Sendable {
    var core: KLLCore<Double>

    /// An empty sketch; allocates nothing.
    ///
    /// - Precondition: `8 <= k <= 65535`.
    package init(k: Int = 200, seed: UInt64) { core = KLLCore(k: k, seed: seed) }

    init(_ core: consuming KLLCore<Double>) { self.core = core }

    // Swift 6.3 takes a struct around a generic one for trivial and leaks the core where raw memory
    // is deinitialised; a destructor of its own tells it otherwise.
    deinit {}

    /// The parameter of the bytes that leave, and the floor of the levels' capacities.
    package var k: Int { core.k }
    /// How many values went in.
    package var count: Int { core.count }
    /// Whether no value went in.
    package var isEmpty: Bool { core.isEmpty }
    /// The smallest value; nil when empty.
    package var min: Double? { core.min }
    /// The largest value; nil when empty.
    package var max: Double? { core.max }
    /// How many values are kept.
    package var retainedCount: Int { core.retainedCount }
    /// Memory behind the sketch, its own fields included.
    package var byteCount: Int { core.byteCount }

    /// Adds values; NaN is left out.
    ///
    /// - Complexity: about 4 ns a value with AVX-512.
    package mutating func update(_ values: UnsafePointer<Double>, count: Int) {
        unsafe core.update(values, count: count)
    }

    /// Adds the values of an array.
    package mutating func update(_ values: [Double]) { core.update(values) }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    ///
    /// - Complexity: about 1 µs for panes of 1,000 values.
    package mutating func merge(_ next: borrowing KLLDoublesSketch) { core.merge(next.core) }

    /// Forgets all values but keeps the memory; draws start again under `seed`.
    package mutating func reset(seed: UInt64) { core.reset(seed: seed) }

    /// An equal sketch with memory of its own.
    package borrowing func copy() -> KLLDoublesSketch { KLLDoublesSketch(core.copy()) }

    /// The retained values in order, with their weights: what every question is answered from.
    ///
    /// - Complexity: a few µs; take it once where several questions follow.
    package borrowing func view() -> KLLDoublesView { KLLDoublesView(core: core.view()) }

    /// For each rank in 0…1 the smallest value whose rank reaches it; empty when the sketch is.
    package borrowing func quantiles(_ ranks: [Double]) -> [Double] { view().quantiles(ranks) }

    /// The share of values ≤ `value`; nil when empty.
    package borrowing func rank(of value: Double) -> Double? { view().rank(of: value) }

    /// The bytes of a DataSketches `kll_doubles_sketch` with this `k`.
    package borrowing func serialize() -> [UInt8] { view().serialize() }

    /// The sketch that DataSketches bytes hold; draws go on under seed 0.
    ///
    /// - Throws: `SketchError` for anything that is no `kll_doubles_sketch`.
    package init(bytes: [UInt8]) throws(SketchError) {
        core = try KLLCore.read(bytes, seed: 0)
    }

    /// As `init(bytes:)`; draws go on under `seed`.
    package init(bytes: [UInt8], seed: UInt64) throws(SketchError) {
        core = try KLLCore.read(bytes, seed: seed)
    }
}

/// The values of an f64 KLL sketch in order, with cumulative weights.
package struct KLLDoublesView: Sendable {
    let core: KLLCoreView<Double>

    /// How many values the sketch has seen.
    package var count: UInt64 { core.count }
    /// Retained values, ascending.
    package var values: [Double] { core.values }
    /// For each value, the weight of it and of those before it; the last is `count`.
    package var cumulative: [UInt64] { core.cumulative }

    /// For each rank in 0…1 the smallest value whose rank reaches it; empty when the sketch is.
    ///
    /// 0 gives the exact smallest value, 1 the exact largest.
    package func quantiles(_ ranks: [Double]) -> [Double] { core.quantiles(ranks) }

    /// With 99% confidence the value of the rank lies between these; nil when empty.
    package func quantileBounds(_ rank: Double) -> (lower: Double, upper: Double)? {
        core.quantileBounds(rank)
    }

    /// The share of values ≤ `value`; nil when empty.
    package func rank(of value: Double) -> Double? { core.rank(of: value) }

    /// For each split point the share of values ≤ it, then 1; empty when the sketch is.
    ///
    /// - Precondition: the points ascend.
    package func cdf(_ splits: [Double]) -> [Double] { core.cdf(splits) }

    /// The share of values in each interval that the split points make: ≤ the first, …, > the last.
    package func pmf(_ splits: [Double]) -> [Double] { core.pmf(splits) }

    /// How far a rank may be off, with 99% confidence; 0 while nothing was thrown away.
    package var rankError: Double { core.rankError }

    /// How far the share of an interval may be off, with 99% confidence.
    package var shareError: Double { core.shareError }

    /// The bytes of a DataSketches `kll_doubles_sketch` with parameter `k`.
    package func serialize() -> [UInt8] { core.serialize() }
}
