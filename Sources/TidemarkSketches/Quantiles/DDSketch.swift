import Glibc
import TidemarkKernels
import TidemarkText

/// A quantile sketch of relative error: an order-free summary of f64 values.
///
/// Values fall into bins whose ends grow by a factor γ = (1 + α) / (1 − α), negative ones apart. When
/// more than `binCountMax` bins lie between the outermost, every two neighbours join and γ becomes
/// γ²: which level is reached depends on the values alone, so any order of updates and merges gives
/// the same bytes, and the error grows for all quantiles alike instead of being lost at one end.
///
/// - Error: relative, at most `relativeError` (α as given until bins join) for every quantile.
/// - Memory: nothing when empty, else 8 B a bin, at most 32 kB at 2,048 bins.
/// - Source: Masson, Rim, Lee, "DDSketch", VLDB 2019; uniform collapse: Epicoco et al., "UDDSketch",
///   2020; bytes: DataDog's protobuf `DDSketch`, cubic interpolation or the logarithm itself.
package struct DDSketch: ~Copyable, OrderFree, Sendable {
    /// How a value's bin is found: what one mapping calls bin 100 is another's 99.
    package enum Mapping: UInt8, Sendable {
        /// A cubic between powers of two: four times as fast.
        case cubic = 3
        /// log₂: what the package `ddsketch` of Python takes unless told otherwise, and so merges.
        case logarithmic = 0
    }

    /// Bins between the outermost ones, both signs together, at most.
    package let binCountMax: Int
    /// How values find their bins; sketches of two mappings do not merge.
    package internal(set) var mapping: Mapping
    /// The growth of the bins' ends now.
    package internal(set) var gamma: Double
    /// The largest relative error of a quantile now.
    package internal(set) var relativeError: Double
    var multiplier: Double
    var positive: BinStore
    var negative: BinStore
    var zeroCount: UInt64

    private static let normalMin = Double.leastNormalMagnitude

    /// An empty sketch; allocates nothing.
    ///
    /// - Precondition: `0.0001 <= relativeError <= 0.5`, `64 <= binCountMax <= 65536`.
    package init(
        relativeError: Double = 0.01, binCountMax: Int = 2048, mapping: Mapping = .cubic
    ) {
        precondition(0.0001 <= relativeError && relativeError <= 0.5, "α is 0.0001 to 0.5")
        precondition(64 <= binCountMax && binCountMax <= 65_536, "64 to 65,536 bins")
        self.binCountMax = binCountMax
        self.mapping = mapping
        self.relativeError = relativeError
        let growth = 2 * relativeError / (1 - relativeError)
        gamma = 1 + growth
        multiplier = Self.octave(mapping) / log1p(growth)
        positive = BinStore()
        negative = BinStore()
        zeroCount = 0
    }

    /// ln 2, or less where the mapping is steeper than log₂: the cubic is by at most 10/7 · ln 2.
    private static func octave(_ mapping: Mapping) -> Double {
        mapping == .cubic ? 0.7 : 0.6931471805599453
    }

    /// How many values went in.
    package var count: UInt64 { positive.total + negative.total + zeroCount }
    /// Whether no value went in.
    package var isEmpty: Bool { positive.isEmpty && negative.isEmpty && zeroCount == 0 }
    /// Bins between the outermost ones.
    package var binCount: Int { positive.span + negative.span }
    /// Memory behind the sketch, its own fields included.
    package var byteCount: Int {
        MemoryLayout<DDSketch>.size + positive.byteCount + negative.byteCount
    }

    /// Adds values; NaN and infinities are left out, numbers below 2.3e-308 count as 0.
    ///
    /// - Returns: How many went in.
    /// - Complexity: about 1.5 ns a value, 6 ns with the logarithm.
    @discardableResult
    package mutating func update(_ values: UnsafePointer<Double>, count: Int) -> Int {
        var kept = 0
        var block = SignedBlock()
        var at = 0
        while at < count {
            let part = Swift.min(SignedBlock.size, count &- at)
            let found = unsafe block.split(values + at, count: part, least: Self.normalMin) {
                unsafe addOneSign($0, $1, $2, isNegative: $3)
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

    private mutating func addOneSign(
        _ values: UnsafePointer<Double>,
        _ count: Int,
        _ codes: UnsafeMutablePointer<Int32>,
        isNegative: Bool
    ) {
        switch mapping {
        case .cubic:
            unsafe cubicCodes(of: values, count: count, multiplier: multiplier, into: codes)
        case .logarithmic:
            unsafe logarithmCodes(of: values, count: count, multiplier: multiplier, into: codes)
        }
        var (low, high) = unsafe SignedBlock.extent(codes, count)
        // Bins join before memory would have to grow beyond the limit.
        while (isNegative ? positive : negative).span
            + Self.span(isNegative ? negative : positive, Int(low), Int(high)) > binCountMax
        {
            collapse()
            for i in 0..<count { unsafe codes[i] = (codes[i] &+ 1) >> 1 }
            low = (low &+ 1) >> 1
            high = (high &+ 1) >> 1
        }
        if isNegative {
            unsafe negative.scatter(codes, count: count, from: Int(low), to: Int(high))
        } else {
            unsafe positive.scatter(codes, count: count, from: Int(low), to: Int(high))
        }
    }

    private static func span(_ store: BinStore, _ low: Int, _ high: Int) -> Int {
        Swift.max(store.high, high) - Swift.min(store.low, low) + 1
    }

    private mutating func collapse() {
        positive.collapse()
        negative.collapse()
        gamma *= gamma
        multiplier /= 2
        relativeError = 2 * relativeError / (1 + relativeError * relativeError)
    }

    /// Whether both began with the same relative error and mapping, so that they can be merged.
    package func isMergeable(with other: borrowing DDSketch) -> Bool {
        var (a, b) = (Swift.min(gamma, other.gamma), Swift.max(gamma, other.gamma))
        while a < b { a *= a }
        swap(&a, &b)
        return a == b && binCountMax == other.binCountMax && mapping == other.mapping
    }

    /// Adds the values of the other sketch.
    ///
    /// - Precondition: `isMergeable(with: other)`.
    /// - Complexity: O(bins).
    package mutating func merge(_ other: borrowing DDSketch) {
        if other.isEmpty { return }
        precondition(isMergeable(with: other), "the planner gives one α to all cells of a column")
        var (theirs, ours) = (other.positive, other.negative)
        var otherGamma = other.gamma
        while gamma < otherGamma { collapse() }
        func level() {
            while otherGamma < gamma {
                theirs.collapse()
                ours.collapse()
                otherGamma *= otherGamma
            }
        }
        level()
        while Self.joined(positive, theirs) + Self.joined(negative, ours) > binCountMax {
            collapse()
            level()
        }
        positive.merge(theirs)
        negative.merge(ours)
        zeroCount &+= other.zeroCount
    }

    private static func joined(_ a: BinStore, _ b: BinStore) -> Int {
        if a.isEmpty { return b.span }
        return b.isEmpty ? a.span : span(a, b.low, b.high)
    }

    /// An equal sketch with memory of its own.
    package borrowing func copy() -> DDSketch {
        var other = DDSketch(
            relativeError: 0.01, binCountMax: binCountMax, mapping: mapping)
        other.gamma = gamma
        other.relativeError = relativeError
        other.multiplier = multiplier
        other.positive = positive
        other.negative = negative
        other.zeroCount = zeroCount
        return other
    }

    // MARK: Answers

    /// For each rank in 0…1 a value within `relativeError` of the one of that rank, (n − 1) · rank
    /// rounded down; empty when the sketch is.
    package func quantiles(_ ranks: [Double]) -> [Double] {
        let n = count
        guard n > 0 else { return [] }
        return ranks.map { quantile($0, n) }
    }

    private func quantile(_ share: Double, _ n: UInt64) -> Double {
        let rank = UInt64(Swift.max(0, Swift.min(1, share)) * Double(n - 1))
        let below = negative.total
        if rank < below {
            return -value(of: Self.bin(negative, reaching: below - 1 - rank))
        }
        if rank < below + zeroCount { return 0 }
        return value(of: Self.bin(positive, reaching: rank - below - zeroCount))
    }

    private static func bin(_ store: BinStore, reaching rank: UInt64) -> Int {
        var sum: UInt64 = 0
        var bin = store.low
        while bin < store.high {
            sum += store[bin]
            if sum > rank { break }
            bin += 1
        }
        return bin
    }

    /// The share of values that are certainly or nearly ≤ `value`: bins up to the value's own; nil
    /// when empty.
    package func rank(of value: Double) -> Double? {
        let n = count
        guard n > 0, !value.isNaN else { return nil }
        var sum: UInt64 = 0
        if !negative.isEmpty {
            for bin in negative.low...negative.high where -self.value(of: bin) <= value {
                sum += negative[bin]
            }
        }
        if value >= 0 { sum += zeroCount }
        if !positive.isEmpty {
            for bin in positive.low...positive.high where self.value(of: bin) <= value {
                sum += positive[bin]
            }
        }
        return Double(sum) / Double(n)
    }

    /// Calls `body` with each bin that holds values, the lowest first: a value that stands for it, and how
    /// many it holds.
    ///
    /// They are within `relativeError` of that value; those that count as 0 stand for 0.
    ///
    /// - Complexity: O(bins between the outermost ones).
    package func forEachBin(_ body: (_ value: Double, _ count: UInt64) -> Void) {
        if !negative.isEmpty {
            for bin in (negative.low...negative.high).reversed() where negative[bin] > 0 {
                body(-value(of: bin), negative[bin])
            }
        }
        if zeroCount > 0 { body(0, zeroCount) }
        if !positive.isEmpty {
            for bin in positive.low...positive.high where positive[bin] > 0 {
                body(value(of: bin), positive[bin])
            }
        }
    }

    /// The value that stands for a bin: its upper end times 2 / (1 + γ).
    private func value(of bin: Int) -> Double {
        let t = Double(bin) / multiplier
        if mapping == .logarithmic { return binaryPower(t) * (2 / (1 + gamma)) }
        let exponent = t.rounded(.down)
        let wanted = t - exponent
        // The cubic's inverse, by Newton: it rises, slope between 0.74 and 1.43.
        var s = wanted
        for _ in 0..<8 {
            let f = ((6.0 / 35.0 * s - 0.6) * s + 10.0 / 7.0) * s - wanted
            s -= f / ((18.0 / 35.0 * s - 1.2) * s + 10.0 / 7.0)
        }
        let low = Swift.max(-1074, Swift.min(1023, exponent))
        return Double(sign: .plus, exponent: Int(low), significand: 1 + s) * (2 / (1 + gamma))
    }

    // MARK: Bytes

    /// Protobuf of DataDog's `DDSketch`, read by ddsketch 3.0.1.
    package borrowing func serialize() -> [UInt8] {
        // 0 is the default and left out.
        let kind: [UInt8] = mapping == .cubic ? [0x18, mapping.rawValue] : []
        var bytes: [UInt8] = [0x0a, UInt8(9 + kind.count), 0x09]
        bytes.append(gamma)
        bytes.append(contentsOf: kind)
        for (store, tag) in [(positive, 0x12 as UInt8), (negative, 0x1a)] {
            var inner: [UInt8] = []
            if !store.isEmpty {
                inner.append(UInt8(0x12))
                inner.append(varint: UInt64(store.span * 8))
                for bin in store.low...store.high { inner.append(Double(store[bin])) }
                // Zigzag; 0 is the default and left out.
                if store.low != 0 {
                    inner.append(UInt8(0x18))
                    inner.append(
                        varint: UInt64(bitPattern: Int64(store.low << 1 ^ store.low >> 63))
                    )
                }
            }
            bytes.append(tag)
            bytes.append(varint: UInt64(inner.count))
            bytes.append(contentsOf: inner)
        }
        if zeroCount > 0 {
            bytes.append(UInt8(0x21))
            bytes.append(Double(zeroCount))
        }
        return bytes
    }

    /// The sketch that protobuf bytes hold; merges with sketches of the same γ and 2,048 bins.
    ///
    /// - Throws: `SketchError` for other interpolations, sparse stores, counts that are not whole.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes, binCountMax: 2048)
    }

    /// As `init(bytes:)`, with a limit of its own.
    package init(bytes: [UInt8], binCountMax: Int) throws(SketchError) {
        self = try Self.read(bytes, binCountMax: binCountMax)
    }

    private static func read(
        _ bytes: [UInt8],
        binCountMax: Int
    ) throws(SketchError) -> DDSketch {
        var reader = ByteReader(bytes)
        var sketch = DDSketch(binCountMax: binCountMax)
        var hasMapping = false
        while reader.left > 0 {
            let at = reader.offset
            switch try reader.readVarint() {
            case 0x0a:
                let (gamma, offset, kind) = try readMapping(&reader)
                guard let mapping = UInt8(exactly: kind).flatMap({ Mapping(rawValue: $0) }) else {
                    throw .unsupported(field: "interpolation", value: kind)
                }
                guard offset == 0 else { throw .unsupported(field: "index offset", value: 1) }
                guard gamma > 1.0001, gamma < 1e9 else {
                    throw .corrupt(field: "gamma", offset: at)
                }
                sketch.mapping = mapping
                sketch.gamma = gamma
                sketch.relativeError = (gamma - 1) / (gamma + 1)
                sketch.multiplier = octave(mapping) / log(gamma)
                hasMapping = true
            case 0x12: sketch.positive = try readStore(&reader)
            case 0x1a: sketch.negative = try readStore(&reader)
            case 0x21: sketch.zeroCount = try whole(try reader.readDouble(), at)
            default: throw .unsupported(field: "field", value: Int(bytes[at]))
            }
        }
        guard hasMapping else { throw .truncated(needed: 13, byteCount: bytes.count) }
        let (some, over) = sketch.positive.total.addingReportingOverflow(sketch.negative.total)
        guard !over, some < 1 << 60 else { throw .corrupt(field: "counts", offset: 0) }
        while sketch.binCount > binCountMax { sketch.collapse() }
        return sketch
    }

    private static func whole(_ count: Double, _ offset: Int) throws(SketchError) -> UInt64 {
        guard count >= 0, count <= 0x1p53, count == count.rounded() else {
            throw .corrupt(field: "count", offset: offset)
        }
        return UInt64(count)
    }

    private static func readLength(_ reader: inout ByteReader) throws(SketchError) -> Int {
        let length = try reader.readVarint()
        guard length <= UInt64(reader.left) else {
            throw .truncated(needed: Int(clamping: length), byteCount: reader.left)
        }
        return Int(length)
    }

    private static func readMapping(
        _ reader: inout ByteReader
    ) throws(SketchError) -> (gamma: Double, offset: Double, kind: Int) {
        let end = try readLength(&reader) + reader.offset
        var mapping = (gamma: 0.0, offset: 0.0, kind: 0)
        while reader.offset < end {
            let at = reader.offset
            switch try reader.readVarint() {
            case 0x09: mapping.gamma = try reader.readDouble()
            case 0x11: mapping.offset = try reader.readDouble()
            case 0x18: mapping.kind = Int(clamping: try reader.readVarint())
            default: throw .corrupt(field: "mapping", offset: at)
            }
        }
        guard reader.offset == end else { throw .corrupt(field: "mapping", offset: end) }
        return mapping
    }

    private static func readStore(_ reader: inout ByteReader) throws(SketchError) -> BinStore {
        let end = try readLength(&reader) + reader.offset
        var counts: [UInt64] = []
        var first = 0
        while reader.offset < end {
            let at = reader.offset
            switch try reader.readVarint() {
            case 0x12:
                let length = try readLength(&reader)
                guard length % 8 == 0, length <= 1 << 19, counts.isEmpty else {
                    throw .corrupt(field: "bins", offset: at)
                }
                for _ in 0..<length / 8 {
                    let place = reader.offset
                    counts.append(try whole(try reader.readDouble(), place))
                }
            case 0x18:
                let zigzag = try reader.readVarint()
                guard zigzag < 1 << 33 else { throw .corrupt(field: "first bin", offset: at) }
                first = Int(zigzag >> 1) ^ -Int(zigzag & 1)
            default: throw .unsupported(field: "store", value: Int(at))
            }
        }
        guard reader.offset == end else { throw .corrupt(field: "store", offset: end) }
        var store = BinStore()
        guard let low = counts.firstIndex(where: { $0 > 0 }),
            let high = counts.lastIndex(where: { $0 > 0 })
        else { return store }
        store.reserve(first + low, first + high)
        var sum: UInt64 = 0
        for i in low...high {
            sum += counts[i]
            guard sum < 1 << 60 else { throw .corrupt(field: "counts", offset: end) }
            store.add(first + i, counts[i])
        }
        return store
    }
}
