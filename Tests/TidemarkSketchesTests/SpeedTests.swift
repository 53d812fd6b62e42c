import Glibc
import Testing
import TidemarkKernels
import TidemarkSketches

private func now() -> Double {
    var t = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &t)
    return Double(t.tv_sec) * 1e9 + Double(t.tv_nsec)
}

/// The best of several rounds, ns per unit.
private func best(_ units: Int, _ work: () -> Void) -> Double {
    var least = Double.infinity
    for _ in 0..<7 {
        let start = now()
        work()
        least = min(least, (now() - start) / Double(units))
    }
    return least
}

/// Prints figures, with TIDEMARK_BENCH=1; checks no time, machines differ.
@Suite(.serialized, .enabled(if: unsafe getenv("TIDEMARK_BENCH") != nil))
struct SpeedTests {
    @Test func `figures of the sketches`() {
        print("tier \(InstructionTier.current)")
        var random = TestRandom(seed: 1)
        let values = (0..<4_000_000).map { _ in Float(random.uniform()) }
        unsafe values.withUnsafeBufferPointer { buffer in
            let base = buffer.baseAddress!
            var one = KLLSketch(seed: 1)
            print(
                "kll update, one sketch: \(best(4_000_000) { unsafe one.update(base, count: 4_000_000) }) ns/value"
            )
            var sum = 0
            print(
                "kll update, 500 sketches of 1000 in runs of 100:",
                best(500_000) {
                    let cells = UnsafeMutablePointer<KLLSketch>.allocate(capacity: 500)
                    for i in 0..<500 {
                        unsafe (cells + i).initialize(to: KLLSketch(seed: UInt64(i)))
                    }
                    for round in 0..<10 {
                        for i in 0..<500 {
                            unsafe cells[i].update(base + (round * 500 + i) * 100, count: 100)
                        }
                    }
                    for i in 0..<500 { unsafe sum += cells[i].retainedCount }
                    unsafe cells.deinitialize(count: 500)
                    unsafe cells.deallocate()
                },
                "ns/value, retained",
                sum / 3500
            )
            for (panes, size) in [(6, 1000), (12, 600), (24, 500), (6, 1500)] {
                let cells = UnsafeMutablePointer<KLLSketch>.allocate(capacity: panes)
                for i in 0..<panes {
                    unsafe (cells + i).initialize(to: KLLSketch(seed: UInt64(i)))
                    unsafe cells[i].update(base + i * size, count: size)
                }
                var window = KLLSketch(seed: 99)
                let merge = best(200 * panes) {
                    for r in 0..<200 {
                        window.reset(seed: UInt64(r))
                        for i in 0..<panes { unsafe window.merge(cells[i]) }
                    }
                }
                let view = best(200) { for _ in 0..<200 { sum += window.view().values.count } }
                let taken = window.view()
                let bytes = best(200) { for _ in 0..<200 { sum += taken.serialize().count } }
                let quantiles = best(200) {
                    for _ in 0..<200 {
                        sum += taken.quantiles([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).count
                    }
                }
                unsafe print(
                    "kll \(panes) panes of \(size): merge \(merge) ns each, view \(view), quantiles \(quantiles), bytes \(bytes) ns; retained \(window.retainedCount), memory \(window.byteCount), pane memory \(cells[0].byteCount), bytes \(taken.serialize().count)"
                )
                unsafe cells.deinitialize(count: panes)
                unsafe cells.deallocate()
            }
            var block = [Float](repeating: 0, count: 256)
            print(
                "sort256:",
                best(256_000) {
                    for i in 0..<1_000 {
                        unsafe block.withUnsafeMutableBufferPointer { to in
                            unsafe to.baseAddress!.update(from: base + i * 256, count: 256)
                            unsafe sort256(to.baseAddress!)
                        }
                    }
                },
                "ns/value"
            )
            print("checksum \(sum)")
        }
    }

    @Test func `figures of the folds`() {
        var random = TestRandom(seed: 2)
        let column = (0..<4096).map { _ in random.normal() }
        var rows = (0..<4096).map { UInt16($0) }
        rows.shuffle(using: &random)
        let plan = SumPlan(from: -4, to: 4)
        for bins in [0, 20, 100, 256] {
            let edges = bins == 0 ? [] : (0...bins).map { Double($0) / Double(bins) * 6 - 3 }
            for run in [1000, 256, 100, 32, 16, 4] {
                var cell = NumericCell()
                var ordered = OrderedCell()
                var counts = [UInt64](repeating: 0, count: bins + 2)
                var items = [Float](repeating: 0, count: 4096 + 16)
                let runs = 4096 / run
                var exact = 0.0
                var sequential = 0.0
                unsafe counts.withUnsafeMutableBufferPointer { counts in
                    unsafe items.withUnsafeMutableBufferPointer { items in
                        exact = best(runs * run * 50) {
                            for _ in 0..<50 {
                                for r in 0..<runs {
                                    unsafe foldExact(
                                        column: column,
                                        rows: rows.withUnsafeBufferPointer {
                                            unsafe $0.baseAddress! + r * run
                                        },
                                        count: run,
                                        plan: plan,
                                        cell: &cell,
                                        edges: edges,
                                        edgeCount: edges.count,
                                        bins: counts.baseAddress,
                                        run: items.baseAddress
                                    )
                                }
                            }
                        }
                        sequential = best(runs * run * 50) {
                            for _ in 0..<50 {
                                for r in 0..<runs {
                                    unsafe foldOrdered(
                                        column: column,
                                        rows: rows.withUnsafeBufferPointer {
                                            unsafe $0.baseAddress! + r * run
                                        },
                                        count: run,
                                        cell: &ordered,
                                        edges: edges,
                                        edgeCount: edges.count,
                                        bins: counts.baseAddress,
                                        run: items.baseAddress
                                    )
                                }
                            }
                        }
                    }
                }
                print(
                    "fold, \(bins) bins, runs of \(run): exact \(exact), ordered \(sequential) ns/value, count \(cell.count)"
                )
            }
        }
    }
}
