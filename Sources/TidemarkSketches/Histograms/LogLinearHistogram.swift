import TidemarkKernels
import TidemarkText

/// Counts in universal bins, 32 to each power of two: an order-free summary of f64 values.
///
/// The bins are the same for every column everywhere, so two histograms can always be compared
/// and merged. Magnitudes from 2^-64 to 2^64 have bins of their own, negative ones apart;
/// smaller ones count as 0, larger ones in the outermost bin.
///
/// - Error: a quantile is within 1/65 (1.6%) of the value of its rank, in the range stated.
/// - Memory: nothing when empty, 8 B a bin between the outermost ones, at most 64 kB.
/// - Source: the layout of HdrHistogram (Gil Tene), over floating point.
package struct LogLinearHistogram: ~Copyable, OrderFree, Sendable {
    static let bits = 5
    private static let last: Int32 = 64 << 5 - 1
    private static let least = 0x1p-64

    private var positive = BinStore()
    private var negative = BinStore()
    private var zeroCount: UInt64 = 0

    /// An empty histogram; allocates nothing.
    package init() {}

    /// How many values went in.
    package var count: UInt64 { positive.total + negative.total + zeroCount }
    /// Whether no value went in.
    package var isEmpty: Bool { positive.isEmpty && negative.isEmpty && zeroCount == 0 }
    /// Memory behind the histogram, its own fields included.
    package var byteCount: Int {
        MemoryLayout<LogLinearHistogram>.size + positive.byteCount + negative.byteCount
    }

    /// Adds values; NaN and infinities are left out.
    ///
    /// - Returns: How many went in.
    /// - Complexity: about 2 ns a value.
    @discardableResult
    package mutating func update(_ values: UnsafePointer<Double>, count: Int) -> Int {
        var kept = 0
        var block = SignedBlock()
        var at = 0
        while at < count {
            let part = Swift.min(SignedBlock.size, count &- at)
            let found = unsafe block.split(values + at, count: part, least: Self.least) {
                let (magnitudes, count, codes, isNegative) = unsafe ($0, $1, $2, $3)
                unsafe logLinearCodes(of: magnitudes, count: count, bits: Self.bits, into: codes)
                for i in 0..<count { unsafe codes[i] = Swift.min(codes[i], Self.last) }
                let (low, high) = unsafe SignedBlock.extent(codes, count)
                if isNegative {
                    unsafe negative.scatter(codes, count: count, from: Int(low), to: Int(high))
                } else {
                    unsafe positive.scatter(codes, count: count, from: Int(low), to: Int(high))
                }
            }
            kept &+= found.kept
            zeroCount &+= UInt64(truncatingIfNeeded: found.small)
            at &+= part
        }
        return kept
    }

    /// Adds the values of an array.
    @discardableResult
    package mutating func update(_ values: [Double]) -> Int {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe update(base, count: buffer.count)
        }
    }

    /// Adds the counts of the other one; the same bytes in any order.
    package mutating func merge(_ other: borrowing LogLinearHistogram) {
        positive.merge(other.positive)
        negative.merge(other.negative)
        zeroCount &+= other.zeroCount
    }

    /// An equal histogram with memory of its own.
    package borrowing func copy() -> LogLinearHistogram {
        var other = LogLinearHistogram()
        other.positive = positive
        other.negative = negative
        other.zeroCount = zeroCount
        return other
    }

    /// The counts: of zeros, then from the lowest to the highest bin of either sign that is not empty.
    ///
    /// Bin 32·e + i holds 2^e·(1 + i/32) ≤ |x| < 2^e·(1 + (i + 1)/32).
    package var bins:
        (
            zero: UInt64, positive: (first: Int, counts: [UInt64])?,
            negative: (first: Int, counts: [UInt64])?
        )
    {
        func list(_ store: BinStore) -> (first: Int, counts: [UInt64])? {
            store.isEmpty ? nil : (store.low, (store.low...store.high).map { store[$0] })
        }
        return (zeroCount, list(positive), list(negative))
    }

    /// For each rank in 0…1 the middle of the bin that holds it; empty when the histogram is.
    package func quantiles(_ ranks: [Double]) -> [Double] {
        let n = count
        guard n > 0 else { return [] }
        let below = negative.total
        return ranks.map { share in
            let rank = UInt64(Swift.max(0, Swift.min(1, share)) * Double(n - 1))
            if rank < below { return -Self.middle(Self.bin(negative, below - 1 - rank)) }
            if rank < below + zeroCount { return 0 }
            return Self.middle(Self.bin(positive, rank - below - zeroCount))
        }
    }

    private static func bin(_ store: BinStore, _ rank: UInt64) -> Int {
        var sum: UInt64 = 0
        var bin = store.low
        while bin < store.high {
            sum += store[bin]
            if sum > rank { break }
            bin += 1
        }
        return bin
    }

    /// The harmonic middle of a bin's ends: the same relative distance to both.
    private static func middle(_ bin: Int) -> Double {
        let a = lowerEnd(bin)
        let b = lowerEnd(bin + 1)
        return 2 * a * b / (a + b)
    }

    private static func lowerEnd(_ bin: Int) -> Double {
        Double(
            sign: .plus,
            exponent: bin >> bits,
            significand: 1 + Double(bin & (1 << bits - 1)) / Double(1 << bits)
        )
    }

    /// Bytes of our own: header, zeros, then both signs as first bin, bin count and counts.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.logLinear.header(UInt32(Self.bits))
        bytes.append(varint: zeroCount)
        for store in [positive, negative] {
            bytes.append(varint: UInt64(store.span))
            guard !store.isEmpty else { continue }
            bytes.append(varint: UInt64(store.low + 1 << 16))
            for bin in store.low...store.high { bytes.append(varint: store[bin]) }
        }
        return bytes
    }

    /// The histogram that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> LogLinearHistogram {
        var reader = ByteReader(bytes)
        let bits = try OwnFamily.logLinear.readHeader(&reader)
        guard bits == UInt32(Self.bits) else { throw .unsupported(field: "bits", value: Int(bits)) }
        var histogram = LogLinearHistogram()
        histogram.zeroCount = try readCount(&reader)
        histogram.positive = try readStore(&reader)
        histogram.negative = try readStore(&reader)
        try reader.finish()
        return histogram
    }

    private static func readCount(_ reader: inout ByteReader) throws(SketchError) -> UInt64 {
        let count = try reader.readVarint()
        guard count < 1 << 48 else { throw .corrupt(field: "count", offset: reader.offset) }
        return count
    }

    private static func readStore(_ reader: inout ByteReader) throws(SketchError) -> BinStore {
        var store = BinStore()
        let span = try reader.readVarint()
        guard span > 0 else { return store }
        let first = Int(clamping: try reader.readVarint()) - 1 << 16
        guard span <= 4096, -64 << bits <= first, first + Int(span) <= Int(last) + 1 else {
            throw .corrupt(field: "bins", offset: reader.offset)
        }
        for i in 0..<Int(span) {
            let count = try readCount(&reader)
            guard count > 0 || (i > 0 && i < Int(span) - 1) else {
                throw .corrupt(field: "outermost bin", offset: reader.offset)
            }
            store.add(first + i, count)
        }
        return store
    }
}
