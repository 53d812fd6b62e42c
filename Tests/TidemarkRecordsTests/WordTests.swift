import Testing
import TidemarkCore
import TidemarkRecords

/// Words of records that readers compare with.
struct WordTests {
    @Test func `verdicts are the words that the schema lists`() {
        #expect(
            Verdict.allCases.map(\.rawValue) == [
                "drift", "ok", "too_few", "learning", "no_baseline", "blind", "drop", "rise",
                "excess",
            ])
        #expect(Verdict.allCases.filter(\.isReached) == [.drift, .ok, .drop, .rise, .excess])
    }

    @Test func `a quantile is named by its percent`() {
        let names = [0, 0.01, 0.5, 0.95, 0.999, 0.0001, 1].map { quantileName($0) }
        #expect(names == ["p00", "p01", "p50", "p95", "p99.9", "p00.01", "p100"])
    }
}
