import Testing
import TidemarkDrift

@Suite struct WassersteinTests {
    private func distance(_ golden: WassersteinGolden) throws -> TestResult {
        try #require(
            compare(
                Wasserstein.self, golden.now, golden.then, boundaries: golden.boundaries,
                now: golden.nowRange, then: golden.thenRange))
    }

    @Test(arguments: wassersteinGoldens)
    func `the distance is scipy's, within what binning allows`(golden: WassersteinGolden) throws {
        let result = try distance(golden)
        // The same cells as 2,000 values each: as exact as those are fine.
        #expect(near(result.value, golden.ofCells, 1e-4), "\(result) \(golden.ofCells)")
        /// Σ share · width / 2 of a side: what moving its values evenly over their cells may cost.
        func allowance(_ counts: [UInt64], _ range: ClosedRange<Double>) -> Double {
            let edges =
                [min(range.lowerBound, golden.boundaries[0])] + golden.boundaries
                + [max(range.upperBound, golden.boundaries[golden.boundaries.count - 1])]
            let n = Double(counts.reduce(0, +))
            return counts.indices.reduce(0) {
                $0 + Double(counts[$1]) / n * (edges[$1 + 1] - edges[$1]) / 2
            }
        }
        let allowed =
            allowance(golden.now, golden.nowRange) + allowance(golden.then, golden.thenRange)
        #expect(abs(result.value - golden.ofValues) <= allowed, "\(result) \(golden.ofValues)")
        // evidently's figure is scipy's over the sd of the values.
        #expect(
            abs(result.effect * golden.sd - golden.ofValues)
                <= allowed + 0.3 * golden.ofValues, "\(result) \(golden.sd)")
    }

    @Test func `a shift by a cell is that cell's width, and lines are cut where they cross`()
        throws
    {
        func value(_ now: [UInt64], _ then: [UInt64], _ edges: [Double]) throws -> Double {
            try #require(compare(Wasserstein.self, now, then, boundaries: edges)).value
        }
        let edges = [10.0, 12, 14, 16]
        #expect(try value([0, 5, 0, 0, 0], [0, 0, 70, 0, 0], edges) == 2)
        #expect(try value([0, 0, 0, 5, 0], [0, 70, 0, 0, 0], edges) == 4)
        // Even over 10…12 and 14…16 beside even over 12…14: each half moves by 2.
        #expect(try value([0, 2, 0, 2, 0], [0, 0, 9, 0, 0], edges) == 1.5)
        #expect(try value([0, 3, 5, 8, 0], [0, 6, 10, 16, 0], edges) == 0)
        // Symmetric, and the same where edges are mirrored.
        let (a, b): ([UInt64], [UInt64]) = ([0, 4, 9, 2, 0], [0, 1, 7, 30, 0])
        #expect(near(try value(a, b, edges), try value(b, a, edges)))
        #expect(
            near(
                try value(a, b, edges),
                try value(a.reversed(), b.reversed(), [-16, -14, -12, -10])))
    }

    @Test func `outer cells reach as far as their side is known to, else to the edge`() throws {
        let (now, then): ([UInt64], [UInt64]) = ([0, 0, 10], [0, 10, 0])
        func value(_ range: ClosedRange<Double>?) throws -> Double {
            try #require(
                compare(Wasserstein.self, now, then, boundaries: [0, 1], now: range)
            ).value
        }
        // From even over 0…1 to a point at 1, or to even over 1…5.
        #expect(try value(nil) == 0.5)
        #expect(near(try value(1...5), 2.5))
        // A range that the counts do not show changes nothing.
        #expect(near(try value(-100...5), 2.5))
        let both = try #require(
            compare(
                Wasserstein.self, [4, 0], [4, 0], boundaries: [0], now: -4 ... -1,
                then: -2 ... -1))
        // F is even over −4…0, G over −2…0.
        #expect(near(both.value, 1))
    }

    @Test func `the effect is in standard deviations of the baseline, whatever the unit`() throws {
        for scale in [1e-200, 1e-9, 1, 1e9, 1e200] {
            let edges = [0.0, 1, 2, 3].map { $0 * scale }
            let result = try #require(
                compare(Wasserstein.self, [0, 0, 0, 9, 0], [0, 9, 0, 0, 0], boundaries: edges))
            // Even over a width of 1.
            #expect(near(result.effect, 2 * 12.0.squareRoot(), 1e-9), "\(scale)")
            #expect(near(result.value, 2 * scale))
        }
    }

    @Test func `edges without room, alone, or at the ends of doubles give a number`() throws {
        let most = Double.greatestFiniteMagnitude
        for (edges, counts, range) in [
            ([0.0], [3, 4], nil), ([0.0], [3, 4], -most...most), ([-most, most], [1, 5, 2], nil),
            ([1, 1.0.nextUp], [0, 5, 2], 1...most), ([], [7], 0...1),
            ([.leastNonzeroMagnitude, 2 * .leastNonzeroMagnitude], [1, 1, 1], nil),
        ] as [([Double], [UInt64], ClosedRange<Double>?)] {
            let result = try #require(
                compare(
                    Wasserstein.self, counts, counts.reversed(), boundaries: edges, now: range,
                    then: nil))
            #expect(result.value >= 0 && result.value.isFinite, "\(edges) \(result)")
            #expect(result.effect >= 0 && result.effect.isFinite, "\(edges) \(result)")
        }
    }
}
