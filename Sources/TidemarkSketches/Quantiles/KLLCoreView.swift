import Glibc
import TidemarkText

/// Capacities of a DataSketches KLL sketch.
enum KLLLayout {
    /// Items that all levels hold together.
    ///
    /// - Precondition: `1 <= levelCount <= 60`.
    static func capacity(k: Int, levelCount: Int) -> Int {
        var sum = 0
        for depth in 0..<levelCount { sum += capacity(k: k, depth: depth) }
        return sum
    }

    /// The largest rank error with 99% confidence, as fitted to DataSketches; ours is below it.
    static func rankError(k: Int) -> Double { 2.296 / pow(Double(k), 0.9723) }

    /// Like `rankError`, for the share of values in an interval.
    static func shareError(k: Int) -> Double { 2.446 / pow(Double(k), 0.9433) }

    /// round(k · (2/3)^depth), at least 8, in the integers of the format's definition.
    static func capacity(k: Int, depth: Int) -> Int {
        func part(_ k: Int, _ depth: Int) -> Int {
            var power = 1
            for _ in 0..<depth { power *= 3 }
            return (((k << 1) << depth) / power + 1) >> 1
        }
        let size = depth <= 30 ? part(k, depth) : part(part(k, depth / 2), depth - depth / 2)
        return max(8, size)
    }
}

/// The values of a KLL sketch in order, with cumulative weights.
struct KLLCoreView<Item: KLLItem>: Sendable {
    /// The parameter of the bytes that leave.
    let k: Int
    /// How many values the sketch has seen.
    let count: UInt64
    let min: Item
    let max: Item
    /// One more than the highest level that holds items.
    let levelCount: Int
    /// Retained values, ascending.
    let values: [Item]
    /// For each value, the weight of it and of those before it; the last is `count`.
    let cumulative: [UInt64]

    /// For each rank in 0…1 the smallest value whose rank reaches it; empty when the sketch is.
    ///
    /// 0 gives the exact smallest value, 1 the exact largest.
    func quantiles(_ ranks: [Double]) -> [Item] {
        guard count > 0 else { return [] }
        return ranks.map { quantile($0) }
    }

    func quantile(_ rank: Double) -> Item {
        if rank <= 0 { return min }
        guard rank < 1 else { return max }
        let least = Self.leastWeight(rank, of: count)
        // The first place that reaches it; the last one does.
        let place = unsafe cumulative.withUnsafeBufferPointer { cumulative in
            var at = 0
            var left = cumulative.count
            while left > 1 {
                let half = left / 2
                at &+= unsafe cumulative[at &+ half &- 1] < least ? half : 0
                left &-= half
            }
            return at
        }
        return values[place]
    }

    /// The least weight whose share of `count` reaches a rank.
    ///
    /// - Precondition: `0 < rank && rank < 1`.
    static func leastWeight(_ rank: Double, of count: UInt64) -> UInt64 {
        // By trial around the product, which is rounded: a division for each place that a search looks
        // at would cost more than the rest of it.
        let n = Double(count)
        var least = UInt64(rank * n)
        while least > 1, Double(least &- 1) / n >= rank { least &-= 1 }
        while Double(least) / n < rank { least &+= 1 }
        return Swift.min(least, count)
    }

    /// The share of values ≤ `value`; nil when empty.
    func rank(of value: Item) -> Double? {
        guard count > 0 else { return nil }
        if value >= max { return 1 }
        if value < min { return 0 }
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? 0 : Double(cumulative[low - 1]) / Double(count)
    }

    /// For each split point the share of values ≤ it, then 1; empty when the sketch is.
    ///
    /// - Precondition: the points ascend.
    func cdf(_ splits: [Item]) -> [Double] {
        precondition(zip(splits, splits.dropFirst()).allSatisfy { $0 < $1 }, "points ascend")
        guard count > 0 else { return [] }
        return splits.map { rank(of: $0) ?? 0 } + [1]
    }

    /// The share of values in each interval that the split points make: ≤ the first, …, > the last.
    func pmf(_ splits: [Item]) -> [Double] {
        var before = 0.0
        return cdf(splits).map { share in
            defer { before = share }
            return share - before
        }
    }

    /// How far a rank may be off, with 99% confidence; 0 while nothing was thrown away.
    var rankError: Double { UInt64(values.count) == count ? 0 : KLLLayout.rankError(k: k) }

    /// How far the share of an interval may be off, with 99% confidence.
    var shareError: Double { UInt64(values.count) == count ? 0 : KLLLayout.shareError(k: k) }

    /// With 99% confidence the value of the rank lies between these; nil when empty.
    func quantileBounds(_ rank: Double) -> (lower: Item, upper: Item)? {
        guard count > 0 else { return nil }
        return (quantile(rank - rankError), quantile(rank + rankError))
    }

    /// The bytes of a DataSketches KLL sketch with parameter `k`.
    ///
    /// If all that is retained has room, it leaves as it is. Else
    /// the values are drawn anew from the view, without randomness: the weights of the levels are
    /// laid side by side over the mass, evenly mixed, and each takes the value in its middle. That
    /// adds at most half the largest weight, n / 576, to the rank error.
    func serialize() -> [UInt8] {
        guard count > 1 else {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(12)
            bytes.append(contentsOf: [2, count == 0 ? 1 : 2, 15, count == 0 ? 1 : 4])
            bytes.append(littleEndian: UInt16(k))
            bytes.append(contentsOf: [8, 0])
            if count == 1 { values[0].append(to: &bytes) }
            return bytes
        }
        // What fits leaves as it is: bytes that were read go out the same.
        let fits =
            levelCount <= 60 && values.count <= KLLLayout.capacity(k: k, levelCount: levelCount)
        let counts = fits ? keptLevels() : levelCounts()
        let retained = counts.reduce(0, +)
        let capacity = KLLLayout.capacity(k: k, levelCount: counts.count)
        let header = 20 + 4 * counts.count
        let byteCount = header + MemoryLayout<Item>.size * (2 + retained)
        return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { bytes, written in
            written = byteCount
            // Every target is little-endian.
            guard let to = UnsafeMutableRawPointer(bytes.baseAddress) else { return }
            unsafe to.storeBytes(of: 5 | 1 << 8 | 15 << 16 | 2 << 24, as: UInt32.self)
            unsafe to.storeBytes(of: UInt16(k), toByteOffset: 4, as: UInt16.self)
            unsafe to.storeBytes(of: 8, toByteOffset: 6, as: UInt16.self)
            unsafe to.storeBytes(of: count, toByteOffset: 8, as: UInt64.self)
            unsafe to.storeBytes(of: UInt16(k), toByteOffset: 16, as: UInt16.self)
            unsafe to.storeBytes(of: UInt16(counts.count), toByteOffset: 18, as: UInt16.self)
            var start = capacity - retained
            for (level, c) in counts.enumerated() {
                unsafe to.storeBytes(
                    of: UInt32(start), toByteOffset: 20 + 4 * level, as: UInt32.self)
                start += c
            }
            unsafe to.storeBytes(of: min, toByteOffset: header, as: Item.self)
            unsafe to.storeBytes(
                of: max, toByteOffset: header + MemoryLayout<Item>.size, as: Item.self)
            let items = unsafe to + header + 2 * MemoryLayout<Item>.size
            if fits {
                unsafe writeLevels(counts, into: items)
            } else {
                unsafe redraw(counts, into: items)
            }
        }
    }

    /// How many items of each level are retained.
    private func keptLevels() -> [Int] {
        var counts = InlineArray<64, Int>(repeating: 0)
        var before: UInt64 = 0
        for sum in cumulative {
            counts[(sum &- before).trailingZeroBitCount & 63] &+= 1
            before = sum
        }
        return (0..<levelCount).map { counts[$0] }
    }

    /// Puts an item to its place among those of all levels: bytes are not aligned to items.
    @inline(__always)
    private static func put(_ item: Item, _ place: Int, in items: UnsafeMutableRawPointer) {
        unsafe items.storeBytes(
            of: item, toByteOffset: MemoryLayout<Item>.stride &* place, as: Item.self)
    }

    private func writeLevels(_ counts: [Int], into items: UnsafeMutableRawPointer) {
        var next = InlineArray<64, Int>(repeating: 0)
        for (level, c) in counts.enumerated() where level < 63 { next[level + 1] = next[level] + c }
        var before: UInt64 = 0
        for i in values.indices {
            let level = (cumulative[i] &- before).trailingZeroBitCount & 63
            before = cumulative[i]
            unsafe Self.put(values[i], next[level], in: items)
            next[level] &+= 1
        }
    }

    /// How many items each level gets: all that the small weights can hold in the four highest
    /// levels, below them one where the remaining count is odd.
    private func levelCounts() -> [Int] {
        // By depth below the highest level; beyond the four highest nothing is asked.
        var capacities = InlineArray<4, Int>(repeating: 0)
        for depth in 0..<4 { capacities[depth] = KLLLayout.capacity(k: k, depth: depth) }
        var levelCount = 1
        while true {
            var counts = InlineArray<64, Int>(repeating: 0)
            var left = count
            for i in 0..<levelCount - 1 {
                let depth = levelCount - 1 - i
                var c = depth > 3 ? 0 : Swift.min(UInt64(capacities[depth]), left)
                if (left - c) & 1 == 1 { c = c == 0 ? 1 : c - 1 }
                counts[i] = Int(c)
                left = (left - c) / 2
            }
            if left <= UInt64(capacities[0]) {
                counts[levelCount - 1] = Int(left)
                return (0..<levelCount).map { counts[$0] }
            }
            levelCount += 1
        }
    }

    /// Writes the items of all levels, level 0 first, each level ascending, as they lie in memory:
    /// every target is little-endian.
    private func redraw(_ counts: [Int], into items: UnsafeMutableRawPointer) {
        // At most four levels take turns: each has a next due place in the mass, and the one that
        // is due first gets an item. One that has had all of its items is due beyond all places.
        var due = InlineArray<4, Double>(repeating: .infinity)
        var step = InlineArray<4, Double>(repeating: 0)
        var slot = InlineArray<4, Int>(repeating: 0)
        // A bit each: whether the items that are left are odd in number.
        var odd: UInt64 = 0
        let n = Double(count)
        let lowest = Swift.max(0, counts.count - 4)
        var start = 0
        var skipped: UInt64 = 0
        // The single items of lower levels hold next to nothing; they stand for the middle.
        for level in 0..<lowest where counts[level] > 0 {
            unsafe Self.put(quantile(0.5), start, in: items)
            start += 1
            skipped += 1 << UInt64(level)
        }
        var left = 0
        for level in lowest..<counts.count {
            let i = level - lowest
            slot[i] = start
            odd |= UInt64(counts[level] & 1) << UInt64(i)
            start += counts[level]
            left += counts[level]
            guard counts[level] > 0 else { continue }
            step[i] = n / Double(counts[level])
            due[i] = step[i] / 2
        }
        let half = count / 2
        var (due0, due1, due2, due3) = (due[0], due[1], due[2], due[3])
        let (step0, step1, step2, step3) = (step[0], step[1], step[2], step[3])
        var mass: UInt64 = 0
        var at = 0
        let last = values.count - 1
        unsafe cumulative.withUnsafeBufferPointer { cumulative in
            unsafe values.withUnsafeBufferPointer { values in
                for _ in 0..<left {
                    // Whose turn it is follows a pattern; how far it is from the last place does
                    // not, so up to three places are passed without a branch.
                    let (a, b) = (due1 < due0, due3 < due2)
                    let isUpper = (b ? due3 : due2) < (a ? due1 : due0)
                    let i = isUpper ? (b ? 3 : 2) : (a ? 1 : 0)
                    due0 += i == 0 ? step0 : 0
                    due1 += i == 1 ? step1 : 0
                    due2 += i == 2 ? step2 : 0
                    due3 += i == 3 ? step3 : 0
                    let level = UInt64(truncatingIfNeeded: lowest &+ i)
                    let weight: UInt64 = 1 &<< level
                    // A weight above 1 is even: its two middle places take turns.
                    let turn = weight > 1 ? odd &>> UInt64(truncatingIfNeeded: i) & 1 : 0
                    odd ^= 1 &<< UInt64(truncatingIfNeeded: i)
                    let middle = mass &+ (weight &- 1 &+ turn) / 2
                    while at &+ 4 <= last, unsafe cumulative[at &+ 3] <= middle { at &+= 4 }
                    if at &+ 4 <= last {
                        let first = unsafe cumulative[at] <= middle ? 1 : 0
                        let second = unsafe cumulative[at &+ 1] <= middle ? 1 : 0
                        let third = unsafe cumulative[at &+ 2] <= middle ? 1 : 0
                        at &+= first &+ second &+ third
                    } else {
                        while unsafe cumulative[at] <= middle { at &+= 1 }
                    }
                    unsafe Self.put(values[at], slot[i], in: items)
                    slot[i] &+= 1
                    mass &+= weight
                    // Where the single items' mass was left out: the middle.
                    if mass >= half, mass &- weight < half { mass &+= skipped }
                }
            }
        }
    }
}
