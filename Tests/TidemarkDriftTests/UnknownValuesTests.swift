import Testing
import TidemarkCore
import TidemarkDrift
import TidemarkTestSupport

/// Values that a baseline does not know: how many are usual.
@Suite struct UnknownValuesTests {
    /// How the values of a column are spread.
    private struct Law {
        var name: String
        /// The share of all values up to each.
        var upTo: [Double] = []

        init(_ name: String, _ weights: [Double]) {
            self.name = name
            let sum = weights.reduce(0, +)
            var seen = 0.0
            upTo = weights.map { weight in
                seen += weight / sum
                return seen
            }
        }

        func draw(_ random: inout SeededRandom) -> Int {
            let x = Double.random(in: 0..<1, using: &random)
            var (low, high) = (0, upTo.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if upTo[middle] < x { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    private static let laws = [
        Law("5 alike", Array(repeating: 1, count: 5)),
        Law("300 alike", Array(repeating: 1, count: 300)),
        Law("3,000 alike", Array(repeating: 1, count: 3_000)),
        Law("30,000 alike: ids", Array(repeating: 1, count: 30_000)),
        Law("Zipf 1 of 5,000", (1...5_000).map { 1 / Double($0) }),
        Law("Zipf 1.5 of 5,000", (1...5_000).map { 1 / (Double($0) * Double($0).squareRoot()) }),
        Law("Zipf 3 of 20", (1...20).map { 1 / Double($0 * $0 * $0) }),
        Law("rare ones", [0.99] + (0..<50).map { _ in 0.0002 }),
    ]

    /// The test errs on the quiet side: p at or below a level comes no more often than that, within what so
    /// many draws can tell.
    @Test func `where nothing changes, p is small no more often than it says`() {
        var random = SeededRandom(15)
        let (rows, window, count) = (2_000, 600, 400)
        for law in Self.laws {
            var small: [Double: Int] = [0.05: 0, 0.01: 0]
            for _ in 0..<count {
                var counts: [Int: Int64] = [:]
                for _ in 0..<rows { counts[law.draw(&random), default: 0] += 1 }
                let unknown = (0..<window).count { _ in counts[law.draw(&random)] == nil }
                let p = excessP(
                    ShareCount(Int64(unknown), of: Int64(window)),
                    over: UnknownValues.expected(counts.values))
                for level in small.keys where p <= level { small[level, default: 0] += 1 }
            }
            // Four standard deviations above the level.
            for (level, found) in small {
                let expected = level * Double(count)
                #expect(
                    Double(found) <= expected + 4 * expected.squareRoot(),
                    "\(law.name): p ≤ \(level) in \(found) of \(count)")
            }
        }
    }

    /// In a long tail it stands out in a cell by its hash alone: see the tests of null streams.
    @Test func `a new value of 2% is no chance in a window of 2,000 rows`() {
        var random = SeededRandom(16)
        for law in Self.laws
        where !law.name.contains("000") {
            var counts: [Int: Int64] = [:]
            for _ in 0..<10_000 { counts[law.draw(&random), default: 0] += 1 }
            let unknown = (0..<1_960).count { _ in counts[law.draw(&random)] == nil }
            let p = excessP(
                ShareCount(Int64(unknown + 40), of: 2_000),
                over: UnknownValues.expected(counts.values))
            #expect(p < 1e-6, "\(law.name): \(p)")
        }
    }

    @Test func `the expected rows are those of a parting drawn many times`() {
        var random = SeededRandom(17)
        let counts: [Int64] = [1, 1, 1, 2, 2, 3, 5, 8, 40, 300]
        let draws = 20_000
        for least in [1, 4, 9] as [Int64] {
            var sum: Int64 = 0
            for _ in 0..<draws {
                for count in counts {
                    let first = (0..<count).reduce(Int64(0)) { found, _ in
                        found + (random.chance(0.5) ? 1 : 0)
                    }
                    let bound = least == 1 ? 1 : (least + 1) / 2
                    if first < bound { sum += count - first }
                }
            }
            let mean = Double(sum) / Double(draws)
            let found = UnknownValues.expected(counts, least: least)
            // It is rounded up.
            #expect(
                Double(found.count) >= mean - 0.1 && Double(found.count) <= mean + 1.1,
                "\(least): \(found.count), drawn \(mean)")
            #expect(found.total == 181)
        }
    }
}
