import Glibc
import TidemarkKernels
import TidemarkSketches

/// CPU time of the process, ns.
private func cpuNs() -> Double {
    var t = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
    return Double(t.tv_sec) * 1e9 + Double(t.tv_nsec)
}

/// Prints the least of several rounds, ns a unit: `name<TAB>ns`.
private func measure(_ name: String, _ units: Int, rounds: Int = 9, _ work: () -> Void) {
    var least = Double.infinity
    for _ in 0..<rounds {
        let start = cpuNs()
        work()
        least = min(least, (cpuNs() - start) / Double(units))
    }
    print("\(name)\t\((least * 1000).rounded() / 1000)")
}

private struct Random: RandomNumberGenerator {
    var n: UInt64 = 0
    mutating func next() -> UInt64 {
        n += 1
        return CounterRandom(key: 42).draw(n)
    }
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    mutating func normal() -> Double {
        (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform())
    }
}

/// Integers 0 ..< universe, the i-th of frequency ∝ 1 / (i + 1)^s, spread over 64 bits.
private func zipf(_ count: Int, universe: Int, s: Double, _ random: inout Random) -> [Int64] {
    var cumulative: [Double] = []
    var sum = 0.0
    for i in 0..<universe {
        sum += pow(Double(i + 1), -s)
        cumulative.append(sum)
    }
    return (0..<count).map { _ in
        let u = random.uniform() * sum
        var low = 0
        var high = universe - 1
        while low < high {
            let middle = (low + high) / 2
            if cumulative[middle] < u { low = middle + 1 } else { high = middle }
        }
        return Int64(bitPattern: UInt64(low) &* 0x9e37_79b9_7f4a_7c15)
    }
}

/// Figures of the sketches under the tier that `TIDEMARK_SIMD` allows.
func runBenchmark() {
    print("tier\t\(InstructionTier.current.name)")
    var random = Random()
    let n = 1 << 20
    let normals = (0..<n).map { _ in random.normal() }
    let lognormals = normals.map { exp($0) }
    let floats = normals.map { Float($0) }
    let integers = (0..<n).map { _ in Int64(bitPattern: random.next()) }
    let skewed = zipf(n, universe: 100_000, s: 1.1, &random)
    let steep = zipf(n, universe: 100_000, s: 1.5, &random)
    var checksum = 0

    unsafe floats.withUnsafeBufferPointer { floats in
        guard let values = floats.baseAddress else { return }
        measure("kll f32 update", n) {
            var sketch = KLLSketch(seed: 1)
            unsafe sketch.update(values, count: n)
            checksum &+= sketch.retainedCount
        }
        measure("kll f32 update, 180 cells in turn, runs of 300", 180 * 300 * 10) {
            let cells = UnsafeMutablePointer<KLLSketch>.allocate(capacity: 180)
            for i in 0..<180 { unsafe (cells + i).initialize(to: KLLSketch(seed: UInt64(i))) }
            for round in 0..<10 {
                for i in 0..<180 {
                    unsafe cells[i].update(values + (round * 180 + i) * 300, count: 300)
                }
            }
            checksum &+= unsafe cells[7].retainedCount
            unsafe cells.deinitialize(count: 180)
            unsafe cells.deallocate()
        }
        let panes = 60
        let cells = UnsafeMutablePointer<KLLSketch>.allocate(capacity: panes)
        for i in 0..<panes {
            unsafe (cells + i).initialize(to: KLLSketch(seed: UInt64(i)))
            unsafe cells[i].update(values + i * 1_000, count: 1_000)
        }
        var window = KLLSketch(seed: 99)
        measure("kll f32 merge, panes of 1,000", 20 * panes) {
            for round in 0..<20 {
                window.reset(seed: UInt64(round))
                for i in 0..<panes { unsafe window.merge(cells[i]) }
            }
        }
        measure("kll f32 export to k = 200", 100) {
            for _ in 0..<100 { checksum &+= window.serialize().count }
        }
        unsafe cells.deinitialize(count: panes)
        unsafe cells.deallocate()
    }
    unsafe normals.withUnsafeBufferPointer { normals in
        guard let values = normals.baseAddress else { return }
        measure("kll f64 update", n) {
            var sketch = KLLDoublesSketch(seed: 1)
            unsafe sketch.update(values, count: n)
            checksum &+= sketch.retainedCount
        }
        measure("ddsketch update, normal", n) {
            var sketch = DDSketch()
            checksum &+= unsafe sketch.update(values, count: n)
        }
        measure("log-linear update, normal", n) {
            var histogram = LogLinearHistogram()
            checksum &+= unsafe histogram.update(values, count: n)
        }
        measure("frozen histogram update, 20 bins", n) {
            var histogram = FrozenHistogram(edges: (0...20).map { Double($0) * 0.3 - 3 })
            unsafe histogram.update(values, count: n)
            checksum &+= Int(histogram.count)
        }
        measure("moments to order 4", n) {
            var moments = Moments()
            unsafe moments.update(values, count: n)
            checksum &+= Int(moments.valueCount)
        }
        measure("bottom-k sample, k = 200", n) {
            var sample = BottomKSample(k: 200, topicHash: 1)
            for i in 0..<n { sample.update(unsafe values[i], partition: 1, offset: Int64(i)) }
            checksum &+= sample.values.count
        }
    }
    let rows = stride(from: 0, to: 30 * 6_400, by: 30).map { Array(normals[$0..<$0 + 30]) }
    measure("covariance, 30 columns, a row", rows.count) {
        var moments = Comoments(width: 30)
        for row in rows { moments.update(row) }
        checksum &+= Int(moments.rowCount)
    }
    measure("ddsketch update, lognormal", n) {
        var sketch = DDSketch()
        checksum &+= sketch.update(lognormals)
    }
    measure("hll update, integers", n) {
        var sketch = HLLSketch()
        sketch.update(integers)
        checksum &+= sketch.byteCount
    }
    var codes = [UInt32](repeating: 0, count: 10_000)
    unsafe integers.withUnsafeBufferPointer { integers in
        guard let base = integers.baseAddress else { return }
        unsafe coupons(of: base, count: codes.count, into: &codes)
    }
    var closed = HLLSketch()
    unsafe closed.update(coupons: codes, count: codes.count)
    measure("hll at close, a dictionary code", 100 * codes.count) {
        for _ in 0..<100 { unsafe closed.update(coupons: codes, count: codes.count) }
    }
    measure("frequent integers, Zipf 1.1", n) {
        var frequent = FrequentIntegers()
        frequent.update(skewed)
        checksum &+= Int(frequent.total)
    }
    measure("frequent integers, Zipf 1.5", n) {
        var frequent = FrequentIntegers()
        frequent.update(steep)
        checksum &+= Int(frequent.total)
    }
    print("checksum\t\(checksum)")
}
