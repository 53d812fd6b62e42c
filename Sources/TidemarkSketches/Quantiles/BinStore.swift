import TidemarkKernels

/// Counts of integer bins, dense between the lowest and the highest that is not empty.
struct BinStore: Sendable, Equatable {
    private(set) var counts: [UInt64] = []
    /// The bin of `counts[0]`.
    private(set) var base = 0
    /// The lowest bin that holds something; above `high` when empty.
    var low = Int.max
    /// The highest bin that holds something.
    var high = Int.min

    var isEmpty: Bool { low > high }
    var span: Int { low > high ? 0 : high - low + 1 }
    var total: UInt64 { isEmpty ? 0 : (low...high).reduce(0) { $0 + counts[$1 - base] } }

    static func == (a: BinStore, b: BinStore) -> Bool {
        a.low == b.low && a.high == b.high && a.isEmpty == b.isEmpty
            && (a.isEmpty || (a.low...a.high).allSatisfy { a[$0] == b[$0] })
    }

    subscript(bin: Int) -> UInt64 {
        bin < low || bin > high ? 0 : counts[bin - base]
    }

    /// Makes room for bins `from ... to` beside those that are there.
    mutating func reserve(_ from: Int, _ to: Int) {
        let first = Swift.min(from, low)
        let last = Swift.max(to, high)
        if first >= base && last < base + counts.count { return }
        var capacity = Swift.max(64, counts.count)
        while capacity < last - first + 1 { capacity *= 2 }
        // The slack lies on both sides: values come from both.
        let start = first - (capacity - (last - first + 1)) / 2
        var grown = [UInt64](repeating: 0, count: capacity)
        if !isEmpty {
            for bin in low...high { grown[bin - start] = counts[bin - base] }
        }
        counts = grown
        base = start
    }

    mutating func add(_ bin: Int, _ count: UInt64) {
        guard count > 0 else { return }
        reserve(bin, bin)
        counts[bin - base] &+= count
        low = Swift.min(low, bin)
        high = Swift.max(high, bin)
    }

    mutating func merge(_ other: BinStore) {
        guard !other.isEmpty else { return }
        reserve(other.low, other.high)
        for bin in other.low...other.high {
            counts[bin - base] &+= other.counts[bin - other.base]
        }
        low = Swift.min(low, other.low)
        high = Swift.max(high, other.high)
    }

    /// Joins bins 2i − 1 and 2i into bin i.
    mutating func collapse() {
        guard !isEmpty else { return }
        let (from, to) = (low, high)
        var joined = [UInt64](repeating: 0, count: counts.count)
        let first = Self.collapsed(from)
        for bin in from...to {
            joined[Self.collapsed(bin) - first] &+= counts[bin - base]
        }
        counts = joined
        base = first
        low = first
        high = Self.collapsed(to)
    }

    /// ceil(bin / 2).
    static func collapsed(_ bin: Int) -> Int { (bin + 1) >> 1 }

    /// Forgets all counts but keeps the memory.
    mutating func reset() {
        if !isEmpty {
            for bin in low...high { counts[bin - base] = 0 }
        }
        low = .max
        high = .min
    }

    /// Counts of bins that lie in the memory already, and widens the extent to them.
    mutating func scatter(_ codes: UnsafePointer<Int32>, count: Int, from: Int, to: Int) {
        reserve(from, to)
        let base = self.base
        unsafe counts.withUnsafeMutableBufferPointer { counts in
            guard let into = counts.baseAddress else { return }
            for i in 0..<count { unsafe into[Int(codes[i]) &- base] &+= 1 }
        }
        low = Swift.min(low, from)
        high = Swift.max(high, to)
    }

    var byteCount: Int { counts.count * 8 }
}

/// A block of values, split by sign and coded: what both histograms of magnitudes fold.
struct SignedBlock {
    static let size = 256
    private var positive = InlineArray<264, Double>(repeating: 0)
    private var negative = InlineArray<264, Double>(repeating: 0)
    private var codes = InlineArray<256, Int32>(repeating: 0)

    /// Calls `fold` once for each sign that there is, with the magnitudes and room for their codes.
    ///
    /// - Returns: How many values were finite, and how many of them smaller than `least`.
    mutating func split(
        _ values: UnsafePointer<Double>,
        count: Int,
        least: Double,
        fold: (
            _ magnitudes: UnsafePointer<Double>, _ count: Int,
            _ codes: UnsafeMutablePointer<Int32>, _ isNegative: Bool
        ) -> Void
    ) -> (kept: Int, small: Int) {
        unsafe withUnsafeMutableBytes(of: &positive) { above in
            unsafe withUnsafeMutableBytes(of: &negative) { below in
                unsafe withUnsafeMutableBytes(of: &codes) { codes in
                    guard let above = above.baseAddress, let below = below.baseAddress,
                        let codes = codes.baseAddress
                    else { return (0, 0) }
                    let p = unsafe above.assumingMemoryBound(to: Double.self)
                    let n = unsafe below.assumingMemoryBound(to: Double.self)
                    let c = unsafe codes.assumingMemoryBound(to: Int32.self)
                    let counts = unsafe splitSigns(
                        values,
                        count: count,
                        least: least,
                        positive: p,
                        negative: n
                    )
                    if counts.positive > 0 { unsafe fold(p, counts.positive, c, false) }
                    if counts.negative > 0 { unsafe fold(n, counts.negative, c, true) }
                    return (counts.positive + counts.negative + counts.small, counts.small)
                }
            }
        }
    }

    /// The least and the greatest code.
    static func extent(_ codes: UnsafePointer<Int32>, _ count: Int) -> (low: Int32, high: Int32) {
        var low = Int32.max
        var high = Int32.min
        for i in 0..<count {
            low = Swift.min(low, unsafe codes[i])
            high = Swift.max(high, unsafe codes[i])
        }
        return (low, high)
    }
}
