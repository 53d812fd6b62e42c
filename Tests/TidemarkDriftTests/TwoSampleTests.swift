import Glibc
import Testing
import TidemarkCore
import TidemarkDrift
import TidemarkKernels

func near(_ a: Double, _ b: Double, _ relative: Double = 1e-12) -> Bool {
    a == b || abs(a - b) <= relative * max(abs(a), abs(b))
}

/// What a test says of counts, and of edges where it needs them.
func compare(
    _ test: any TwoSampleTest.Type, _ current: [UInt64], _ baseline: [UInt64],
    boundaries: [Double] = [], now: ClosedRange<Double>? = nil, then: ClosedRange<Double>? = nil
) -> TestResult? {
    let reference = ReferenceCounts(baseline, range: then)
    return unsafe current.withUnsafeBufferPointer { counts in
        unsafe boundaries.withUnsafeBufferPointer { boundaries in
            test.compare(
                unsafe Evidence(
                    counts: counts, valueCount: current.reduce(0, +), boundaries: boundaries,
                    range: now),
                unsafe reference.evidence(boundaries: boundaries))
        }
    }
}

private enum Say {
    static func psi(current: [UInt64], baseline: [UInt64]) -> TestResult? {
        compare(PSI.self, current, baseline)
    }

    static func ks(current: [UInt64], baseline: [UInt64]) -> TestResult? {
        compare(KolmogorovSmirnov.self, current, baseline)
    }

    static func chiSquare(current: [UInt64], baseline: [UInt64]) -> TestResult? {
        compare(ChiSquare.self, current, baseline)
    }

    static func jsDistance(current: [UInt64], baseline: [UInt64]) -> TestResult? {
        compare(JensenShannon.self, current, baseline)
    }

    static func lInfinity(current: [UInt64], baseline: [UInt64]) -> TestResult? {
        compare(LInfinity.self, current, baseline)
    }
}

@Suite struct TwoSampleTests {
    @Test(arguments: tableGoldens.indices)
    func `tests and distances are scipy's`(index: Int) throws {
        let golden = tableGoldens[index]
        let (a, b) = (golden.current, golden.baseline)
        let ks = try #require(Say.ks(current: a, baseline: b))
        #expect(near(ks.value, golden.ks.d) && near(ks.p ?? -1, golden.ks.p, 0.02), "\(ks)")
        // As near as the expansions are where a verdict depends on it.
        #expect(
            golden.ks.p < 1e-30 || near(ks.p ?? -1, golden.ks.p, 1e-4), "\(ks) \(golden.ks)")
        let chi = try #require(Say.chiSquare(current: a, baseline: b))
        #expect(near(chi.value, golden.chiSquare.value, 1e-10), "\(chi)")
        // The peer gives 0 below about 1e-308.
        #expect(abs((chi.p ?? -1) - golden.chiSquare.p) <= max(1e-300, 1e-9 * golden.chiSquare.p))
        #expect(near(chi.effect, golden.cramersV, 1e-10))
        let js = try #require(Say.jsDistance(current: a, baseline: b))
        #expect(abs(js.value - golden.jsDistance) < 1e-10)
        let most = try #require(Say.lInfinity(current: a, baseline: b))
        #expect(near(most.value, golden.lInfinity))
    }

    @Test func `tails are accurate from the centre to 1e-300`() {
        for (degrees, x, p) in chiSquareGoldens {
            #expect(near(chiSquareUpper(degrees: degrees, x), p, 1e-10), "\(degrees) \(x) \(p)")
        }
        for (x, p) in normalGoldens { #expect(near(normalUpper(x), p, 1e-11), "\(x)") }
    }

    @Test func `KS takes the law of finite samples, exactly where they are small`() {
        for (d, n, m, p) in exactKSGoldens {
            #expect(near(ksUpper(d, n, m), p, 1e-9), "\(d) \(n) \(m): \(ksUpper(d, n, m)), \(p)")
        }
        for (d, n, p) in finiteKSGoldens {
            let ours = kolmogorovUpper(d, count: n)
            #expect(near(ours, p, 1e-3) || abs(ours - p) < 1e-7, "\(d) \(n): \(ours), \(p)")
        }
        #expect(ksUpper(0, 10, 10) == 1 && ksUpper(1, 1, 1) == 1)
        // Wholly apart: two of all orders of the values; the sum over paths comes to the same.
        #expect(near(ksUpper(1, 2, 3), 0.2, 1e-15) && near(ksUpper(1, 3, 2), 0.2, 1e-15))
        #expect(near(ksUpper(1, 1, 99_999), 2e-5, 1e-12))
        for (n, m) in [(1, 7), (4, 9), (12, 30), (40, 41)] as [(UInt64, UInt64)] {
            let below = 1 - 0.4 / Double(n * m)
            #expect(near(ksUpper(1, n, m), ksUpper(below, n, m), 1e-12), "\(n) and \(m)")
        }
        // The limit of Kolmogorov says 4e-6 here, the exact law 3.58e-6.
        #expect(abs(ksUpper(0.119_8, 500, 5_000) / 3.58e-6 - 1) < 0.1)
    }

    @Test func `the p of KS falls as the difference grows, through all the ways to work it out`() {
        for (n, m) in [(40, 500), (150, 700), (600, 300), (900, 1_200), (8_000, 100_000)] {
            var last = 1.0
            for step in 1..<400 {
                let p = ksUpper(Double(step) / 400, UInt64(n), UInt64(m))
                #expect(p <= last * (1 + 1e-5) + 1e-9, "\(n) \(m) \(step): \(p) after \(last)")
                last = p
            }
        }
    }

    @Test func `a few values can't reach a level, many can`() {
        #expect(!KolmogorovSmirnov.canReach(1e-5, current: 500, baseline: 2))
        #expect(KolmogorovSmirnov.canReach(1e-5, current: 500, baseline: 20))
        #expect(KolmogorovSmirnov.canReach(1e-12, current: 5_000, baseline: 5_000))
    }

    @Test func `PSI takes 0.5 in n + K ⁄ 2 for a cell empty on one side`() throws {
        let psi = try #require(Say.psi(current: [50, 50, 0, 0], baseline: [40, 0, 60, 0]))
        // Three cells remain; the fourth is empty on both sides.
        let empty = 0.5 / 101.5
        let expected =
            (0.5 - 0.4) * log(0.5 / 0.4) + (0.5 - empty) * log(0.5 / empty)
            + (empty - 0.6) * log(empty / 0.6)
        #expect(near(psi.value, expected) && psi.p == nil && psi.effect == psi.value)
        let same = try #require(Say.psi(current: [10, 20, 0], baseline: [100, 200, 0]))
        #expect(same.value == 0)
    }

    @Test func `degenerate tables`() throws {
        let one = try #require(Say.chiSquare(current: [0, 700, 0], baseline: [0, 10, 0]))
        #expect(one == TestResult(value: 0, p: 1, effect: 0))
        #expect(Say.chiSquare(current: [0, 0], baseline: [1, 2]) == nil)
        #expect(Say.ks(current: [1], baseline: [0]) == nil)
        #expect(Say.psi(current: [], baseline: []) == nil)
        let apart = try #require(Say.ks(current: [0, 5_000_000], baseline: [5_000_000, 0]))
        #expect(apart.value == 1 && apart.p == 0)
        // A new category: expected counts are pooled, so nothing divides by zero.
        let new = try #require(Say.chiSquare(current: [500, 500], baseline: [1_000, 0]))
        #expect(new.p ?? 1 < 1e-100 && new.effect > 0.5 && new.effect <= 1)
        #expect(try #require(Say.chiSquare(current: [9, 0], baseline: [0, 9])).effect == 1)
    }

    @Test func `what is listed of a test is what it does`() throws {
        let specs = TwoSample.specs
        #expect(Set(specs.map(\.name)).count == specs.count)
        #expect(Set(specs.map(\.name)).isDisjoint(with: TwoSample.refused.keys))
        let counts: [UInt64] = [10, 20, 30, 40]
        for test in TwoSample.all {
            let spec = test.spec
            #expect(TwoSample.named(spec.name)?.spec.name == spec.name)
            #expect(!spec.columns.isEmpty && spec.ignoreBelow > 0)
            #expect(spec.needs.isEmpty || !spec.columns.contains(.categories), "\(spec.name)")
            let boundaries = spec.needs.contains(.edges) ? [0.0, 1, 2] : []
            func result(_ now: [UInt64], _ then: [UInt64]) throws -> TestResult {
                try #require(
                    compare(
                        test, now, then, boundaries: boundaries, now: -1...3, then: -1...3))
            }
            let same = try result(counts, counts)
            #expect(same.effect == 0 && (same.p != nil) == spec.hasP, "\(spec.name)")
            let far = try result(counts, counts.reversed())
            #expect(far.effect > spec.ignoreBelow && far.value > 0, "\(spec.name)")
            #expect(spec.effectName != nil || far.effect == far.value, "\(spec.name)")
            #expect(compare(test, [0, 0, 0, 0], counts, boundaries: boundaries) == nil)
            #expect(compare(test, counts, [0, 0, 0, 0], boundaries: boundaries) == nil)
        }
        #expect(TwoSample.named("auto") == nil && TwoSample.named("") == nil)
    }

    @Test func `what serves in place of a test that is refused is there`() {
        for (name, refusal) in TwoSample.refused {
            let isThere = refusal.instead == "auto" || TwoSample.named(refusal.instead) != nil
            #expect(isThere, "\(name)")
        }
    }

    @Test func `Hellinger and total variation are what their definitions say`() throws {
        // By hand: shares 1/4, 3/4 beside 1, 0; and shares of sixths.
        let far = try #require(compare(Hellinger.self, [1, 3], [5, 0]))
        #expect(near(far.value, (1 - 0.5).squareRoot(), 1e-15))
        #expect(compare(TotalVariation.self, [1, 3], [5, 0])?.value == 0.75)
        #expect(compare(Hellinger.self, [0, 7], [9, 0])?.value == 1)
        #expect(compare(TotalVariation.self, [0, 7], [9, 0])?.value == 1)
        let sixths = try #require(compare(Hellinger.self, [1, 2, 3], [3, 2, 1]))
        let sum = 2 * (1.0 / 6 * 3.0 / 6).squareRoot() + 2.0 / 6
        #expect(near(sixths.value, (1 - sum).squareRoot(), 1e-12))
        #expect(
            near(compare(TotalVariation.self, [1, 2, 3], [3, 2, 1])?.value ?? 0, 1.0 / 3, 1e-15))
        // H² ≤ TV ≤ √2 H, whatever is drawn.
        let random = CounterRandom(key: 31)
        for draw in UInt64(0)..<500 {
            let a = (0..<9).map { random.draw(draw * 32 + $0) % 50 }
            let b = (9..<18).map { random.draw(draw * 32 + $0) % 50 }
            let h = try #require(compare(Hellinger.self, a, b)).value
            let tv = try #require(compare(TotalVariation.self, a, b)).value
            #expect(h * h <= tv + 1e-12 && tv <= 2.0.squareRoot() * h + 1e-12)
        }
    }

    @Test func `under the null the p-values of KS and chi-square are not too small too often`() {
        let random = CounterRandom(key: 18)
        var draw: UInt64 = 0
        func sample(_ n: Int) -> [UInt64] {
            var cells = [UInt64](repeating: 0, count: 22)
            for _ in 0..<n {
                draw += 1
                cells[Int(random.draw(draw) % 22)] += 1
            }
            return cells
        }
        var ks = 0
        var chi = 0
        for _ in 0..<2_000 {
            let a = sample(600)
            let b = sample(2_000)
            if (Say.ks(current: a, baseline: b)?.p ?? 1) <= 0.05 { ks += 1 }
            if (Say.chiSquare(current: a, baseline: b)?.p ?? 1) <= 0.05 { chi += 1 }
        }
        // 100 expected; three standard deviations are 30.
        #expect(ks <= 130 && ks > 20, "key 18: \(ks)")
        #expect(chi <= 130 && chi >= 70, "key 18: \(chi)")
    }
}

@Suite struct BaselineTests {
    @Test func `equal bins over the central share ignore outliers`() {
        let sorted = [-1e9] + (0..<9_998).map { Double($0) / 100 } + [1e9]
        let edges = Edges.central(sorted: sorted)
        #expect(edges.count == 21 && Edges.areAscending(edges))
        // The 10th and the 9,990th of 10,000 values.
        #expect(edges.first == sorted[9] && edges.last == sorted[9_989])
        let width = edges[1] - edges[0]
        #expect(zip(edges, edges.dropFirst()).allSatisfy { abs($1 - $0 - width) < 1e-9 })
    }

    /// How many of these values lie in each cell: under, the bins, over.
    private func counts(_ values: [Double], _ edges: [Double]) -> [Int] {
        var counts = [Int](repeating: 0, count: edges.count + 1)
        for value in values { counts[edges.count { $0 <= value }] += 1 }
        return counts
    }

    @Test func `frequent values have bins of their own, all others bins of about as many`() {
        let rest = (1...1_000).map { Double($0) + 0.5 }
        for (atoms, name) in [
            ([0.0], "zeros below"), ([-999, 9_999], "two sentinels"), ([500.25], "in the middle"),
            ([-999, 0, 500.25, 2e6], "four"), ([1e300, -1e300], "huge ones"),
        ] {
            let values = atoms.flatMap { [Double](repeating: $0, count: 300) } + rest
            let parted = Edges.parted(sorted: values.sorted(), count: 20)
            #expect(parted.atoms == atoms.sorted(), "\(name)")
            #expect(Edges.areAscending(parted.edges) && parted.edges.allSatisfy(\.isFinite))
            let counts = counts(values, parted.edges)
            #expect(counts.first == 0 && counts.last == 0, "\(name): room outside")
            for atom in atoms {
                #expect(counts[parted.edges.count { $0 <= atom }] == 300, "\(name)")
                // Any other value falls elsewhere, as near as f32 can tell.
                let other = atom == 0 ? 1e-3 : atom * (1 + 1e-6)
                #expect(
                    parted.edges.count { $0 <= other } != parted.edges.count { $0 <= atom },
                    "\(name)")
            }
            let most =
                counts.enumerated().filter { cell in
                    !atoms.contains { atom in parted.edges.count { $0 <= atom } == cell.offset }
                }.map(\.element).max() ?? 0
            #expect(most <= 250, "\(name): \(counts)")
        }
    }

    @Test func `few different values are told apart, one by one`() {
        let constant = Edges.parted(sorted: [Double](repeating: 7.25, count: 90))
        #expect(constant.atoms == [7.25] && constant.edges.count == 2)
        #expect(constant.edges[1] - constant.edges[0] < 1e-5)
        let counts = (0...9).flatMap { [Double](repeating: Double($0), count: 20 - $0) }
        let parted = Edges.parted(sorted: counts)
        #expect(parted.atoms == (0...9).map(Double.init) && parted.edges.count == 20)
        // Neighbours that differ in the last digit, and the ends of what f64 holds.
        for values in [
            [1.0, 1.0.nextUp, 1.0.nextUp.nextUp], [0, .leastNonzeroMagnitude],
            [-Double.greatestFiniteMagnitude, .greatestFiniteMagnitude],
            [0x1p60, 0x1p60.nextUp],
        ] {
            let parted = Edges.parted(sorted: values)
            #expect(Edges.areAscending(parted.edges) && parted.atoms == values)
            let codes = values.map { value in parted.edges.count { $0 <= value } }
            #expect(Set(codes).count == values.count, "\(values): \(parted.edges)")
        }
    }

    @Test func `edges of a constant column lie around it`() {
        for x in [0.0, 5, -1e300, 1e-300] {
            let edges = Edges.regular(from: x, to: x, count: 20)
            #expect(Edges.areAscending(edges) && edges.count > 2)
            #expect(edges.first.map { $0 <= x } == true && edges.last.map { x < $0 } == true)
        }
        let tight = Edges.regular(from: 1, to: 1.nextUp.nextUp, count: 20)
        #expect(Edges.areAscending(tight) && tight.count == 3)
        let wide = Edges.regular(from: -1.7e308, to: 1.7e308, count: 20)
        #expect(Edges.areAscending(wide) && wide.count == 21 && wide.allSatisfy(\.isFinite))
    }

    @Test func `quantiles are the smallest value whose rank reaches q`() {
        let sorted = (1...1_000).map { Double($0) }
        for i in 1...1_000 { #expect(Edges.quantile(sorted, Double(i) / 1_000) == Double(i)) }
        #expect(Edges.quantile(sorted, 0) == 1 && Edges.quantile(sorted, 1) == 1_000)
        #expect(Edges.quantile(sorted, 0.0011) == 2)
    }
}

@Suite struct VolumeTests {
    private func reference(_ windows: [Int64]) -> VolumeReference {
        VolumeReference(
            windows: Int64(windows.count), rows: windows.reduce(0, +),
            squares: windows.reduce(0) { $0 + UInt128($1) * UInt128($1) })
    }

    @Test func `rows beside known windows are scipy's, from the centre to 1e-300`() throws {
        for golden in volumeGoldens {
            let result = try #require(
                volumeResult(rows: golden.rows, of: reference(golden.windows)))
            #expect(near(result.change, golden.change, 1e-12))
            #expect(near(result.pDrop, golden.pDrop, 1e-9), "\(result) \(golden.pDrop)")
            #expect(near(result.pRise, golden.pRise, 1e-9), "\(result) \(golden.pRise)")
        }
    }

    @Test func `one window, or none with rows, says nothing`() {
        #expect(volumeResult(rows: 5, of: reference([])) == nil)
        #expect(volumeResult(rows: 5, of: reference([7])) == nil)
        // One window, if that will do: of two Poisson counts the sum is parted like tosses of a coin.
        var coin = 1.0
        var lower = 0.0
        for heads in 0...40 {
            lower += coin
            coin *= Double(140 - heads) / Double(heads + 1)
        }
        let one = volumeResult(rows: 40, of: reference([100]), takesOne: true)
        #expect(abs((one?.pDrop ?? 0) / (lower * pow(2, -140)) - 1) < 1e-12)
        #expect(one?.expected == 100 && one?.change == -0.6)
        #expect(volumeResult(rows: 5, of: reference([0, 0, 0])) == nil)
        #expect(volumeResult(rows: 0, of: reference([1, 0, 0]))?.change == -1)
    }

    @Test func `fewer rows are never less of a drop, and equal windows are Poisson`() throws {
        for windows in [[100, 120, 90, 110], [1000, 1000, 1000], [3, 0, 1, 7, 2]] as [[Int64]] {
            var before = -1.0
            for rows in 0...200 as ClosedRange<Int64> {
                let result = try #require(volumeResult(rows: rows, of: reference(windows)))
                #expect(result.pDrop >= before && (0...1).contains(result.pDrop))
                #expect((0...1).contains(result.pRise))
                before = result.pDrop
            }
        }
        // A billion rows a window: no overflow, no loss of the scatter.
        let large = try #require(
            volumeResult(
                rows: 1_000_000_000, of: reference(Array(repeating: 1_000_000_000, count: 2_000))))
        #expect(large.change == 0 && large.pDrop > 0.3 && large.pRise > 0.3)
    }
}

@Suite struct VerdictTests {
    @Test func `the level is the budget over the tests of its period`() {
        let week = ErrorBudget(count: 1, periodMs: 7 * 86_400_000)
        #expect(week.testsInPeriod(series: 1, stepMs: 60_000) == 10_080)
        #expect(week.testsInPeriod(series: 13, stepMs: 60_000) == 13 * 10_080)
        #expect(near(week.level(testsInPeriod: 13 * 10_080), 1 / (13.0 * 10_080)))
        #expect(week.level(testsInPeriod: 0.5) == 1 && week.level(testsInPeriod: 0) == 1)
    }

    @Test func `drift needs significance, size and rows, all three`() {
        let rule = DriftRule(level: 1e-6, ignoreBelow: 0.05, rowCountMin: 500)
        #expect(rule.verdict(p: 1e-6, effect: 0.05, rows: 500, baselineRows: 10) == .drift)
        #expect(rule.verdict(p: 1.1e-6, effect: 0.5, rows: 500, baselineRows: 10) == .ok)
        #expect(rule.verdict(p: 0, effect: 0.0499, rows: 500, baselineRows: 10) == .ok)
        #expect(rule.verdict(p: 0, effect: 1, rows: 499, baselineRows: 10) == .tooFew)
        #expect(rule.verdict(p: 0, effect: 1, rows: 500, baselineRows: 0) == .tooFew)
        #expect(rule.verdict(p: 0, effect: 1, rows: 0, baselineRows: nil) == .learning)
        #expect(rule.verdict(p: nil, effect: 1, rows: 500, baselineRows: 10) == .ok)
        #expect(
            rule.verdict(p: 1, effect: 0, rows: 500, baselineRows: 10, isBlind: true) == .blind)
        #expect(
            rule.verdict(p: 0, effect: 1, rows: 500, baselineRows: 10, isBlind: true) == .drift)
        #expect(
            rule.verdict(p: 1, effect: 0, rows: 9, baselineRows: 10, isBlind: true) == .tooFew)
        #expect(
            DriftRule(level: nil, ignoreBelow: 0.05, rowCountMin: 500).verdict(
                p: nil, effect: 1, rows: 500, baselineRows: 10) == .drift
        )
    }
}
