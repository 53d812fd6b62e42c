import TidemarkDataflow
import TidemarkLanguage

/// How many values there are, by sketch.
struct Distinct: SummaryKind {
    private let distinct = KeySpec(
        "distinct", .any("{ sketch, lg_k, registers }"),
        says: "lg_k \(ColumnSummary.ofTexts.distinctLgK ?? 0)", off: true,
        shape: .either([.part("distinct"), .off]), "by sketch")
    private let sketch = Key(
        "sketch",
        ValueType<String>.choice(
            ["hll"],
            refused: [
                "theta":
                    "sets are joined here and never cut, which `hll` does in a quarter of the memory"
            ]), usual: "hll", "which sketch")
    private let lgK = Setting(
        "lg_k", \ColumnSummary.distinctLgK, ValueType<Int>.count(4...21).optional,
        usual: .ofTexts, json: "distinct_lg_k", "accuracy")
    private let registers = Setting(
        "registers", \ColumnSummary.registerBits, .choice([("8", 8), ("6", 6), ("4", 4)]),
        usual: .ofTexts, json: "register_bits", "bits of a register in the bytes")
    var keys: [any TopologyKey] { [distinct] }
    var part: PartSpec? {
        PartSpec(
            "distinct", path: "summaries[].distinct", "how many values there are, by sketch",
            [sketch, lgK, registers], example: "distinct: { lg_k: 14 }")
    }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(distinct, isFor: .categories)
        if rule.f.isOff(distinct) {
            for index in rule.texts { scope.schema.columns[index].summary.distinctLgK = nil }
            return
        }
        guard let part,
            let f = rule.f.part(distinct, part, shape: "{ sketch, lg_k, registers }, or off")
        else { return }
        _ = f.value(sketch)
        var given = ColumnSummary.ofTexts
        let isGiven = lgK.read(f, &given)
        registers.read(f, &given)
        for index in rule.texts {
            registers.read(f, &scope.schema.columns[index].summary)
            let current = scope.columns[index].summary.distinctLgK
            scope.schema.columns[index].summary.distinctLgK =
                isGiven ? given.distinctLgK : current ?? given.distinctLgK
        }
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        [("register_bits", .count(summary.registerBits)), lgK.fact(summary)].compactMap(\.self)
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        var identity = SummaryIdentity(column: [summary.distinctLgK])
        if summary.registerBits != ColumnSummary().registerBits {
            identity.lines = [Identity.Line("registers", summary.registerBits)]
        }
        return identity
    }
}
