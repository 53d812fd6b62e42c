import CKernels

/// Folds the values of one column in one cell: `column[rows[0]], …, column[rows[count − 1]]`.
///
/// NaN and infinities are no values: they are dropped (the caller counts them). Sums go to `cell`
/// as integers, exact and free of order.
///
/// - `edges`: e[0] < … < e[k], compared in f64; the outer ones may be infinite. `edgeCount` = k + 1.
/// - `bins`: k + 2 counters, added to: under (x < e[0]), k bins (e[i] ≤ x < e[i+1]), over (e[k] ≤ x).
/// - `run`: room for `count + 16`; gets the values in row order as f32 (beyond its range saturated,
///   −0 as 0), for sketches.
///
/// Returns How many values there were.
/// - Complexity: about 1 ns a value with AVX-512 and 20 bins, from runs of 100 up.
@discardableResult
package func foldExact(
    column: UnsafePointer<Double>,
    rows: UnsafePointer<UInt16>,
    count: Int,
    plan: SumPlan,
    cell: UnsafeMutablePointer<NumericCell>,
    edges: UnsafePointer<Double>? = nil,
    edgeCount: Int = 0,
    bins: UnsafeMutablePointer<UInt64>? = nil,
    run: UnsafeMutablePointer<Float>? = nil
) -> Int {
    var plan = unsafe unsafeBitCast(plan, to: tk_sum_plan.self)
    // The layouts are equal, field by field; `TidemarkKernels` tests check the sizes.
    return unsafe tk_fold_exact(
        column,
        rows,
        count,
        &plan,
        UnsafeMutableRawPointer(cell).assumingMemoryBound(to: tk_numeric_cell.self),
        edges,
        edgeCount,
        edgeCount > 0 ? bins : nil,
        run
    )
}

/// As `foldExact` for a column without a plan: sums go to `cell` in f64, in row order.
///
/// - Complexity: about 2 ns a value; the chain of additions is sequential on purpose.
@discardableResult
package func foldOrdered(
    column: UnsafePointer<Double>,
    rows: UnsafePointer<UInt16>,
    count: Int,
    cell: UnsafeMutablePointer<OrderedCell>,
    edges: UnsafePointer<Double>? = nil,
    edgeCount: Int = 0,
    bins: UnsafeMutablePointer<UInt64>? = nil,
    run: UnsafeMutablePointer<Float>? = nil
) -> Int {
    unsafe tk_fold_ordered(
        column,
        rows,
        count,
        UnsafeMutableRawPointer(cell).assumingMemoryBound(to: tk_ordered_cell.self),
        edges,
        edgeCount,
        edgeCount > 0 ? bins : nil,
        run
    )
}

/// Sorts 256 values in place, in registers.
///
/// - Precondition: no NaN and no −0.
/// - Complexity: about 0.2 µs with AVX-512.
package func sort256(_ values: UnsafeMutablePointer<Float>) {
    unsafe tk_sort256(values)
}

/// Sorts a copy of 256 values and writes those at `offset`, `offset + stride`, ….
///
/// - Precondition: no NaN and no −0; `stride` is 2, 4 or 8; `0 <= offset < stride`.
package func sort256(
    _ values: UnsafePointer<Float>,
    keepEvery stride: Int,
    from offset: Int,
    into kept: UnsafeMutablePointer<Float>
) {
    precondition((stride == 2 || stride == 4 || stride == 8) && 0 <= offset && offset < stride)
    unsafe tk_sort256_keep(
        values,
        Int32(truncatingIfNeeded: stride),
        Int32(truncatingIfNeeded: offset),
        kept
    )
}

/// Sorts a copy of up to 512 values and writes those at `offset`, `offset + stride`, …, of which there
/// are `count / stride`.
///
/// `kept` may be where the values are.
/// - Precondition: no NaN and no −0; `count <= 512`; `stride` is 1 or 2; `0 <= offset < stride`.
/// - Complexity: about 0.5 µs with AVX-512.
package func sort512(
    _ values: UnsafePointer<Float>, count: Int, keepEvery stride: Int, from offset: Int,
    into kept: UnsafeMutablePointer<Float>
) {
    precondition(count <= 512 && (stride == 1 || stride == 2) && 0 <= offset && offset < stride)
    unsafe tk_sort512_keep(
        values, count, Int32(truncatingIfNeeded: stride), Int32(truncatingIfNeeded: offset), kept)
}

/// How many of HyperLogLog's registers hold each value, 0 to 63.
///
/// - Complexity: about 0.1 ns a register and value that occurs.
package func countRegisters(
    _ registers: UnsafePointer<UInt8>, count: Int, into counts: inout InlineArray<64, UInt32>
) {
    unsafe withUnsafeMutableBytes(of: &counts) { bytes in
        guard let base = bytes.baseAddress else { return }
        unsafe tk_count_registers(registers, count, base.assumingMemoryBound(to: UInt32.self))
    }
}

/// Keeps the larger of each two bytes.
package func maximum(
    into: UnsafeMutablePointer<UInt8>,
    _ other: UnsafePointer<UInt8>,
    count: Int
) {
    unsafe tk_max_bytes(into, other, count)
}

/// Items of a sketch's level, of which each weighs 2^level.
@safe
package struct LevelItems<Item: BitwiseCopyable>: BitwiseCopyable {
    // As `tk_level` lays it out.
    /// The level's items, in the order in which the sketch keeps them.
    package let items: UnsafePointer<Item>
    /// How many.
    package let count: Int
    /// The logarithm of what an item weighs, to base 2.
    package let level: Int

    /// `count` items from `items` on; `level` is below 64.
    package init(items: UnsafePointer<Item>, count: Int, level: Int) {
        unsafe self.items = unsafe items
        self.count = count
        self.level = level
    }
}

/// Writes the items of all levels in one order, and for each what it and all before it weigh.
///
/// - Precondition: no NaN and no −0; room for all items in both. The list of levels is put in another
///   order.
/// - Complexity: about 4 ns an item with AVX-512.
package func orderLevels(
    _ levels: UnsafeMutableBufferPointer<LevelItems<Float>>,
    values: UnsafeMutablePointer<Float>,
    cumulative: UnsafeMutablePointer<UInt64>
) {
    guard let base = levels.baseAddress else { return }
    unsafe tk_order_levels(
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: tk_level.self), levels.count, values,
        cumulative)
}

/// The most items, in all levels and in one of them, that `reachWeights` takes.
package let reachedItemCountMax = (all: Int(TK_REACH_ITEMS), level: 512)

/// For each weight the least item that weighs so much together with all before it, in the order of
/// `orderLevels`.
///
/// - Precondition: no NaN and no −0; weights are 1 to that of all items; no more items than
///   `reachedItemCountMax`.
/// - Complexity: about 2 ns an item with AVX-512, and 0.1 µs a weight.
package func reachWeights(
    _ weights: UnsafeBufferPointer<UInt64>,
    of levels: UnsafeMutableBufferPointer<LevelItems<Float>>,
    into reached: UnsafeMutablePointer<Float>
) {
    guard let base = levels.baseAddress, let first = weights.baseAddress else { return }
    unsafe tk_reach_weights(
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: tk_level.self), levels.count, first,
        weights.count, reached)
}

/// Merges two ascending lists of keys into a third.
///
/// - Precondition: each list has room for a guard before its first and behind its last key (both
///   are overwritten); keys are neither 0 nor the largest number; `into` overlaps neither list.
/// - Complexity: about 1 ns a key.
package func mergeKeys(
    _ a: UnsafeMutablePointer<UInt64>,
    _ aCount: Int,
    _ b: UnsafeMutablePointer<UInt64>,
    _ bCount: Int,
    into: UnsafeMutablePointer<UInt64>
) {
    unsafe tk_merge_keys(a, aCount, b, bCount, into)
}
