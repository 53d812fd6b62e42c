import Glibc
import Testing
import TidemarkKernels
import TidemarkSketches

/// With TIDEMARK_EXPORT=<directory>, writes sketches there for check_peer.py to read; else nothing.
@Suite(.enabled(if: unsafe getenv("TIDEMARK_EXPORT") != nil))
struct ExportTests {
    private func write(_ name: String, _ bytes: [UInt8]) {
        let directory = unsafe String(cString: getenv("TIDEMARK_EXPORT"))
        guard let file = unsafe fopen("\(directory)/\(name)", "wb") else {
            Issue.record("cannot write \(name)")
            return
        }
        _ = unsafe fwrite(bytes, 1, bytes.count, file)
        _ = unsafe fclose(file)
    }

    @Test func `sketches for the peer to read`() {
        for n in [0, 1, 2, 199, 200, 201, 256, 257, 1_000, 5_000, 100_000, 3_000_000] {
            for merged in [false, true] {
                var random = TestRandom(seed: UInt64(n))
                let values = random.permutation(n)
                var sketch = KLLSketch(seed: 3)
                for part in 0..<(merged ? 24 : 1) {
                    let parts = merged ? 24 : 1
                    var next = KLLSketch(seed: UInt64(part))
                    next.update(Array(values[part * n / parts..<(part + 1) * n / parts]))
                    sketch.merge(next)
                }
                let name = "kll-\(n)-\(merged ? "merged" : "one")"
                write("\(name).bin", sketch.serialize())
                let view = try? KLLSketch(bytes: sketch.serialize()).view()
                let ranks = (0..<50).map { i -> String in
                    let probe = Float(i * n / 50)
                    return "\(probe) \(view?.rank(of: probe) ?? 0)"
                }
                write("\(name).ranks", Array(ranks.joined(separator: "\n").utf8))
            }
        }
        for lgK in [4, 7, 8, 12, 14] {
            for n in [0, 1, 7, 8, 25, 300, 385, 5_000, 200_000] {
                var sketch = HLLSketch(lgK: lgK)
                for i in 0..<n { sketch.update(coupon: HLLSketch.coupon(of: Int64(i))) }
                write("hll-\(lgK)-\(n).bin", sketch.serialize())
                write("hll-\(lgK)-\(n).estimate", Array("\(sketch.estimate)".utf8))
            }
        }
        for n in [0, 1, 300, 768, 5_000] {
            var summary = FrequentItems()
            for i in 0..<n {
                let bytes = Array("item \(i) é".utf8)
                summary.update([CountedItem(bytes: bytes, count: UInt64(1 + 100_000 / (i + 1)))])
            }
            write("frequent-\(n).bin", summary.serialize())
        }
        for n in [0, 1, 200, 1_000, 100_000] {
            var sketch = KLLDoublesSketch(seed: 4)
            var random = TestRandom(seed: UInt64(n))
            sketch.update(random.permutation(n).map { Double($0) })
            write("klld-\(n).bin", sketch.serialize())
        }
        for type in [HLLType.hll4, .hll6] {
            for lgK in [4, 8, 12] {
                for n in [0, 5, 25, 300, 5_000, 200_000] {
                    var sketch = HLLSketch(lgK: lgK, type: type)
                    sketch.update((0..<n).map { Int64($0) })
                    write("hlltype-\(type.rawValue)-\(lgK)-\(n).bin", sketch.serialize())
                }
            }
        }
        for n in [0, 1, 300, 5_000] {
            var summary = FrequentIntegers()
            for i in 0..<n { summary.update(Int64(i - 100), weight: UInt64(1 + 100_000 / (i + 1))) }
            write("integers-\(n).bin", summary.serialize())
        }
        for n in [1, 1_000, 50_000] {
            var sketch = DDSketch()
            let values = (0..<n).map { Double(($0 * 7919 + 13) % 1_000_003) - 250_000 }
            sketch.update(values + [0, 0])
            write("dd-\(n).bin", sketch.serialize())
            var logarithmic = DDSketch(mapping: .logarithmic)
            logarithmic.update(values + [0, 0])
            write("ddlog-\(n).bin", logarithmic.serialize())
        }
    }
}
