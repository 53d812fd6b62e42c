import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Words of records that readers compare with.
struct WordTests {
    @Test func `verdicts are the words that the schema lists`() {
        #expect(
            Verdict.allCases.map(\.rawValue) == [
                "drift", "ok", "too_few", "learning", "no_baseline", "blind", "drop", "rise",
                "excess", "met",
            ])
        #expect(Verdict.allCases.filter(\.isReached) == [.drift, .ok, .drop, .rise, .excess, .met])
    }

    @Test func `a quantile is named by its percent`() {
        let names = [0, 0.01, 0.5, 0.95, 0.999, 0.0001, 1].map { quantileName($0) }
        #expect(names == ["p00", "p01", "p50", "p95", "p99.9", "p00.01", "p100"])
    }

    @Test func `roles and severities are those of topologies`() {
        func words(_ facts: [FieldFacts], _ name: String) -> [String]? {
            guard case .word(let words) = facts.first(where: { $0.name == name })?.shape else {
                return nil
            }
            return words
        }
        let roles = words(AggregateRecord.facts(), "role")
        #expect(roles == ColumnRole.allCases.map(\.rawValue))
        #expect(words(AlertRecord.facts(), "severity") == Severity.allCases.map(\.rawValue))
    }
}
