import Glibc
import TidemarkKernels
import TidemarkText

/// Mean, variance, skewness and kurtosis in f64: an ordered summary.
///
/// Values collect in blocks of 64 that belong to the summary; a full block is summed in two passes
/// relative to the first value ever, then joined. So the state depends on the values in their order
/// and on the merges, never on how calls were batched; merges must come in canonical order.
///
/// - Error: within 1e-12 of the exact moments, also where the mean is 1e9 times the deviation.
/// - Memory: 64 B, and 512 B for the open block.
/// - Source: pairwise joins of central sums: Pébay, SAND2008-6212.
package struct Moments: ~Copyable, Ordered, Sendable {
    /// How many values went in.
    package private(set) var count: UInt64 = 0
    private var shift = 0.0
    private var joined = BlockMoments()
    private var pending: [Double] = []

    /// An empty summary; allocates nothing.
    package init() {}

    /// Adds values; NaN and infinities are left out.
    ///
    /// - Complexity: about 1.3 ns a value for all four orders.
    package mutating func update(_ values: UnsafePointer<Double>, count: Int) {
        if pending.capacity < 64 { pending.reserveCapacity(64) }
        var at = 0
        while at < count {
            if pending.isEmpty && count &- at >= 64 && self.count > 0 {
                // Whole blocks are summed where they lie.
                var plain = true
                for i in at..<at &+ 64 { plain = plain && (unsafe values[i] * 0 == 0) }
                if plain {
                    let block = unsafe moments64(values + at, shift: shift)
                    Self.join(&joined, Double(self.count), block, 64)
                    self.count &+= 64
                    at &+= 64
                    continue
                }
            }
            let x = unsafe values[at]
            at &+= 1
            guard x.magnitude < .infinity else { continue }
            if self.count == 0 && pending.isEmpty { shift = x }
            pending.append(x)
            if pending.count == 64 { closeBlock() }
        }
    }

    /// Adds the values of an array.
    package mutating func update(_ values: [Double]) {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe update(base, count: buffer.count)
        }
    }

    private mutating func closeBlock() {
        let shift = self.shift
        let block = unsafe pending.withUnsafeBufferPointer { buffer -> BlockMoments in
            guard let base = buffer.baseAddress else { return BlockMoments() }
            return unsafe moments64(base, shift: shift)
        }
        Self.join(&joined, Double(count), block, 64)
        count &+= 64
        pending.removeAll(keepingCapacity: true)
    }

    /// The sums with the open block in them.
    private var settled: (n: Double, BlockMoments) {
        var all = joined
        var n = Double(count)
        guard !pending.isEmpty else { return (n, all) }
        Self.join(&all, n, Self.short(pending, shift), Double(pending.count))
        n += Double(pending.count)
        return (n, all)
    }

    private static func short(_ values: [Double], _ shift: Double) -> BlockMoments {
        var block = BlockMoments()
        var sum = 0.0
        for x in values { sum += x - shift }
        block.mean = sum / Double(values.count)
        for x in values {
            let c = x - shift - block.mean
            let q = c * c
            block.second += q
            block.third += q * c
            block.fourth += q * q
        }
        return block
    }

    /// Joins `b` of `m` values to `a` of `n`.
    private static func join(_ a: inout BlockMoments, _ n: Double, _ b: BlockMoments, _ m: Double) {
        guard n > 0 else {
            a = b
            return
        }
        let total = n + m
        let d = b.mean - a.mean
        let share = d / total
        let square = d * share * n * m
        a.fourth +=
            b.fourth + square * share * share * (n * n - n * m + m * m)
            + 6 * share * share * (n * n * b.second + m * m * a.second)
            + 4 * share * (n * b.third - m * a.third)
        a.third +=
            b.third + square * share * (n - m) + 3 * share * (n * b.second - m * a.second)
        a.second += b.second + square
        a.mean += share * m
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    package mutating func merge(_ next: borrowing Moments) {
        guard next.count > 0 || !next.pending.isEmpty else { return }
        if count == 0 && pending.isEmpty {
            self = next.copy()
            return
        }
        let (n, all) = settled
        joined = all
        count &+= UInt64(pending.count)
        pending.removeAll(keepingCapacity: true)
        var (m, theirs) = next.settled
        theirs.mean += next.shift - shift
        Self.join(&joined, n, theirs, m)
        m = 0
        count &+= next.count &+ UInt64(next.pending.count)
    }

    /// Equal moments with memory of their own.
    package borrowing func copy() -> Moments {
        var other = Moments()
        other.count = count
        other.shift = shift
        other.joined = joined
        other.pending = pending
        return other
    }

    /// How many values went in, those of the open block included.
    package var valueCount: UInt64 { count + UInt64(pending.count) }

    /// The mean; nil when empty.
    package var mean: Double? {
        let (n, all) = settled
        return n > 0 ? shift + all.mean : nil
    }

    /// The variance over n − 1; nil below two values.
    package var variance: Double? {
        let (n, all) = settled
        return n > 1 ? all.second / (n - 1) : nil
    }

    /// The third standardised moment, of the population; nil where the variance is 0.
    package var skewness: Double? {
        let (n, all) = settled
        guard n > 0, all.second > 0 else { return nil }
        return n.squareRoot() * all.third / (all.second * all.second.squareRoot())
    }

    /// The fourth standardised moment, of the population, 3 for a normal one; nil where the variance
    /// is 0.
    package var kurtosis: Double? {
        let (n, all) = settled
        guard n > 0, all.second > 0 else { return nil }
        return n * all.fourth / (all.second * all.second)
    }

    /// Bytes of our own: header, count, shift, four sums, the open block.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.moments.header(UInt32(pending.count))
        bytes.append(littleEndian: count)
        for x in [shift, joined.mean, joined.second, joined.third, joined.fourth] {
            bytes.append(x)
        }
        for x in pending { bytes.append(x) }
        return bytes
    }

    /// The moments that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> Moments {
        var reader = ByteReader(bytes)
        let pendingCount = try OwnFamily.moments.readHeader(&reader)
        guard pendingCount < 64 else { throw .corrupt(field: "open block", offset: 4) }
        var moments = Moments()
        moments.count = try reader.read(UInt64.self)
        guard moments.count < 1 << 53 else { throw .corrupt(field: "n", offset: 8) }
        moments.shift = try reader.readFinite()
        moments.joined.mean = try reader.readFinite()
        moments.joined.second = try reader.readFinite()
        moments.joined.third = try reader.readFinite()
        moments.joined.fourth = try reader.readFinite()
        guard moments.joined.second >= 0, moments.joined.fourth >= 0 else {
            throw .corrupt(field: "sum", offset: 32)
        }
        for _ in 0..<pendingCount { moments.pending.append(try reader.readFinite()) }
        try reader.finish()
        return moments
    }
}

extension ByteReader {
    mutating func readFinite() throws(SketchError) -> Double {
        let at = offset
        let x = try readDouble()
        guard x.magnitude < .infinity else { throw .corrupt(field: "number", offset: at) }
        return x
    }
}

/// Means and covariances of several columns: an ordered summary of rows.
///
/// As `Moments`: blocks of 64 rows of the summary's own, relative to the first row.
///
/// - Error: within 1e-12 of the exact covariance, in units of both deviations.
/// - Memory: 512 B a column, 8 B a pair.
/// - Source: Pébay, SAND2008-6212.
package struct Comoments: ~Copyable, Ordered, Sendable {
    /// How many columns a row has.
    package let width: Int
    private var count: UInt64
    private var shifts: [Double]
    private var means: [Double]
    /// Lower triangle, row by row.
    private var sums: [Double]
    /// Column after column, 64 places each.
    private var block: [Double]
    private var blockRows: Int
    private var blockMeans: [Double]
    private var blockSums: [Double]

    /// An empty summary.
    ///
    /// - Precondition: `1 <= width <= 256`.
    package init(width: Int) {
        precondition(1 <= width && width <= 256, "1 to 256 columns")
        self.width = width
        count = 0
        blockRows = 0
        shifts = [Double](repeating: 0, count: width)
        means = shifts
        blockMeans = shifts
        sums = [Double](repeating: 0, count: width * (width + 1) / 2)
        blockSums = sums
        block = [Double](repeating: 0, count: 64 * width)
    }

    /// How many rows went in.
    package var rowCount: UInt64 { count + UInt64(blockRows) }

    /// Adds a row; rows with NaN or infinities are left out.
    ///
    /// - Precondition: `row.count == width`.
    /// - Complexity: about 0.2 ns a pair of columns.
    /// - Returns: Whether it went in.
    @discardableResult
    package mutating func update(_ row: [Double]) -> Bool {
        precondition(row.count == width, "a row has as many numbers as there are columns")
        for x in row where !(x.magnitude < .infinity) { return false }
        if rowCount == 0 { shifts = row }
        for i in 0..<width { block[64 * i + blockRows] = row[i] - shifts[i] }
        blockRows += 1
        if blockRows == 64 { closeBlock() }
        return true
    }

    private mutating func closeBlock() {
        for i in blockSums.indices { blockSums[i] = 0 }
        let width = self.width
        unsafe block.withUnsafeMutableBufferPointer { values in
            unsafe blockMeans.withUnsafeMutableBufferPointer { means in
                unsafe blockSums.withUnsafeMutableBufferPointer { sums in
                    guard let values = values.baseAddress, let means = means.baseAddress,
                        let sums = sums.baseAddress
                    else { return }
                    unsafe comoments64(values, width: width, means: means, sums: sums)
                }
            }
        }
        join(blockMeans, blockSums, 64)
        blockRows = 0
    }

    private mutating func join(_ otherMeans: [Double], _ otherSums: [Double], _ m: UInt64) {
        let n = Double(count)
        let weight = n * Double(m) / (n + Double(m))
        var place = 0
        for a in 0..<width {
            let da = otherMeans[a] - means[a]
            for b in 0...a {
                sums[place] += otherSums[place] + da * (otherMeans[b] - means[b]) * weight
                place += 1
            }
        }
        let share = Double(m) / (n + Double(m))
        for a in 0..<width { means[a] += (otherMeans[a] - means[a]) * share }
        count += m
    }

    /// Joins the open block's rows.
    private mutating func settle() {
        guard blockRows > 0 else { return }
        var blockMeans = [Double](repeating: 0, count: width)
        var blockSums = [Double](repeating: 0, count: sums.count)
        for a in 0..<width {
            for i in 0..<blockRows { blockMeans[a] += block[64 * a + i] }
            blockMeans[a] /= Double(blockRows)
        }
        var place = 0
        for a in 0..<width {
            for b in 0...a {
                for i in 0..<blockRows {
                    blockSums[place] +=
                        (block[64 * a + i] - blockMeans[a]) * (block[64 * b + i] - blockMeans[b])
                }
                place += 1
            }
        }
        join(blockMeans, blockSums, UInt64(blockRows))
        blockRows = 0
    }

    /// Adds the rows that `next` summarises; `next` stands after this one in canonical order.
    ///
    /// - Precondition: equal `width`.
    package mutating func merge(_ next: borrowing Comoments) {
        precondition(width == next.width, "the planner gives one list of columns to all cells")
        guard next.rowCount > 0 else { return }
        if rowCount == 0 {
            self = next.copy()
            return
        }
        settle()
        var other = next.copy()
        other.settle()
        for a in 0..<width { other.means[a] += other.shifts[a] - shifts[a] }
        join(other.means, other.sums, other.count)
    }

    /// Equal moments with memory of their own.
    package borrowing func copy() -> Comoments {
        var other = Comoments(width: width)
        other.count = count
        other.shifts = shifts
        other.means = means
        other.sums = sums
        other.block = block
        other.blockRows = blockRows
        return other
    }

    /// The means of the columns; empty without rows.
    package var columnMeans: [Double] {
        var all = copy()
        all.settle()
        return all.count == 0 ? [] : (0..<width).map { all.shifts[$0] + all.means[$0] }
    }

    /// The covariance of two columns over n − 1; nil below two rows.
    package func covariance(_ a: Int, _ b: Int) -> Double? {
        guard rowCount > 1 else { return nil }
        var all = copy()
        all.settle()
        let (row, column) = (Swift.max(a, b), Swift.min(a, b))
        return all.sums[row * (row + 1) / 2 + column] / Double(all.count - 1)
    }

    /// Pearson's correlation of two columns; nil where one of them is constant.
    package func correlation(_ a: Int, _ b: Int) -> Double? {
        guard let joint = covariance(a, b), let x = covariance(a, a), let y = covariance(b, b),
            x > 0, y > 0
        else { return nil }
        return joint / (x.squareRoot() * y.squareRoot())
    }

    /// Bytes of our own: header, count, shifts, means, sums, the open block.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.comoments.header(UInt32(width | blockRows << 16))
        bytes.append(littleEndian: count)
        for list in [shifts, means, sums] {
            for x in list { bytes.append(x) }
        }
        for a in 0..<width {
            for i in 0..<blockRows { bytes.append(block[64 * a + i]) }
        }
        return bytes
    }

    /// The moments that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> Comoments {
        var reader = ByteReader(bytes)
        let header = Int(try OwnFamily.comoments.readHeader(&reader))
        let width = header & 0xffff
        let blockRows = header >> 16
        guard 1 <= width && width <= 256, blockRows < 64 else {
            throw .corrupt(field: "width", offset: 4)
        }
        let places = width * (width + 1) / 2
        let needed = 16 + 8 * (2 * width + places + width * blockRows)
        guard bytes.count >= needed else {
            throw .truncated(needed: needed, byteCount: bytes.count)
        }
        var moments = Comoments(width: width)
        moments.count = try reader.read(UInt64.self)
        guard moments.count < 1 << 53 else { throw .corrupt(field: "n", offset: 8) }
        for a in 0..<width { moments.shifts[a] = try reader.readFinite() }
        for a in 0..<width { moments.means[a] = try reader.readFinite() }
        for i in 0..<places { moments.sums[i] = try reader.readFinite() }
        for a in 0..<width {
            for i in 0..<blockRows { moments.block[64 * a + i] = try reader.readFinite() }
        }
        moments.blockRows = blockRows
        try reader.finish()
        return moments
    }
}

/// Mean and deviation in which a value counts half as much after each half-life: an ordered summary.
///
/// Weights grow forward from the newest time seen, 2^((t − newest) / half-life), so a value that
/// comes late gets the weight of its own time, and nothing needs a clock.
///
/// - Memory: 48 B.
/// - Source: forward decay: Cormode et al., ICDE 2009.
package struct DecayedMoments: Ordered, Sendable, Equatable {
    /// How long until a value counts half, milliseconds.
    package let halfLifeMs: Int64
    /// The newest time seen; what the weights are relative to.
    package private(set) var newestMs: Int64 = .min
    /// The sum of weights at `newestMs`.
    package private(set) var weight = 0.0
    private var average = 0.0
    private var square = 0.0

    /// An empty summary.
    ///
    /// - Precondition: `halfLifeMs > 0`.
    package init(halfLifeMs: Int64) {
        precondition(halfLifeMs > 0, "a half-life is above 0")
        self.halfLifeMs = halfLifeMs
    }

    /// Adds a value of event time `ms`; NaN and infinities are left out.
    package mutating func update(_ x: Double, at ms: Int64) {
        guard x.magnitude < .infinity else { return }
        advance(to: ms)
        add(exp2(Double(ms &- newestMs) / Double(halfLifeMs)), x, 0)
    }

    /// Moves the newest time on; weights fall, mean and deviation stay.
    package mutating func advance(to ms: Int64) {
        guard ms > newestMs else { return }
        if weight > 0 {
            let factor = exp2((Double(newestMs) - Double(ms)) / Double(halfLifeMs))
            weight *= factor
            square *= factor
        }
        newestMs = ms
    }

    private mutating func add(_ w: Double, _ mean: Double, _ spread: Double) {
        guard w > 0 else { return }
        let total = weight + w
        let d = mean - average
        square += spread + d * d * (weight * w / total)
        average += d * (w / total)
        weight = total
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    ///
    /// - Precondition: equal half-lives.
    package mutating func merge(_ next: borrowing DecayedMoments) {
        let theirs = next.halfLifeMs
        precondition(halfLifeMs == theirs, "the planner gives one half-life to all cells")
        guard next.newestMs > .min else { return }
        let newest = Swift.max(newestMs, next.newestMs)
        let distance = Double(next.newestMs) - Double(newest)
        let factor = exp2(distance / Double(halfLifeMs))
        advance(to: newest)
        add(next.weight * factor, next.average, next.square * factor)
    }

    /// Equal moments.
    package borrowing func copy() -> DecayedMoments { copy self }

    /// Values a second at `newestMs`, if none older than `ms` came in; nil without weight.
    ///
    /// A steady stream gives its rate, however the span and the half-life compare.
    package func rate(overMs ms: Int64) -> Double? {
        guard weight > 0, ms > 0 else { return nil }
        let halfLives = Double(ms) / Double(halfLifeMs)
        return weight * log(2) * 1000 / Double(halfLifeMs) / (1 - exp2(-halfLives))
    }

    /// The weighted mean; nil without weight.
    package var mean: Double? { weight > 0 ? average : nil }
    /// The weighted standard deviation, of the population; nil without weight.
    package var sd: Double? { weight > 0 ? (square / weight).squareRoot() : nil }

    /// Bytes of our own: header, half-life, newest time, weight, mean, squares.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.decayedMoments.header()
        bytes.append(littleEndian: halfLifeMs)
        bytes.append(littleEndian: newestMs)
        for x in [weight, average, square] { bytes.append(x) }
        return bytes
    }

    /// The moments that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        var reader = ByteReader(bytes)
        _ = try OwnFamily.decayedMoments.readHeader(&reader)
        halfLifeMs = try reader.read(Int64.self)
        newestMs = try reader.read(Int64.self)
        weight = try reader.readFinite()
        average = try reader.readFinite()
        square = try reader.readFinite()
        guard halfLifeMs > 0, weight >= 0, square >= 0 else {
            throw .corrupt(field: "half-life, weight or squares", offset: 8)
        }
        try reader.finish()
    }
}
