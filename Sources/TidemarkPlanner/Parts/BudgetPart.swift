import TidemarkDrift
import TidemarkLanguage
import TidemarkTopology

extension ValueType where Value == ErrorBudget {
    /// False alerts in a period, such as `1 per week`.
    static var rate: ValueType {
        let rate = ValueType<Rate>.rate
        @Sendable func asRate(_ budget: ErrorBudget) -> Rate {
            Rate(count: budget.count, periodMs: budget.periodMs)
        }
        return ValueType(
            rate.form,
            parse: { text, spec in
                rate.read(text, of: spec).map {
                    ErrorBudget(count: $0.count, periodMs: $0.periodMs)
                }
            },
            text: { rate.text(asRate($0)) }, json: { rate.json(asRate($0)) })
    }
}

/// False alerts that are expected.
enum BudgetPart {
    private static let usual = Budget()
    private static let rate = ValueType<ErrorBudget>.rate.orOff
    static let severities = [
        Setting("page", \Budget.page, rate, usual: usual, "of severity page"),
        Setting("warn", \Budget.warn, rate, usual: usual, "of severity warn"),
        Setting("info", \Budget.info, rate, usual: usual, "of severity info"),
    ]
    static let per = Key(
        "per",
        ValueType<String>.choice(["topology", "stream", "monitor"]), usual: "topology",
        "what one budget covers: all monitors together, or each; a topology has one stream")
    static let method = Key(
        "method",
        ValueType<String>.choice(
            ["fixed"],
            refused: Dictionary(
                uniqueKeysWithValues: ["e_lond", "lord", "saffron", "addis", "e_bh"].map {
                    (
                        $0,
                        "its levels follow from the verdicts before, in an order that partitions and restarts do not keep"
                    )
                })),
        usual: "fixed", "how it is spread")
    static let part = PartSpec(
        "budget", path: "budget", "false alerts that are expected, spread over the tests",
        severities + [per, method], example: "budget: { page: 1 per month }")

    static func read(_ top: Fields) -> Budget {
        var budget = usual
        guard let f = top.part(TopologyPart.budget, part) else { return budget }
        f.read(severities, into: &budget)
        for severity in severities {
            guard f.isOff(severity), let entry = f.entry(severity) else { continue }
            top.reading.say(
                .warning, "budget-off", at: entry.keyPlace,
                "the false alarms of severity \(entry.key) have no limit", expected: "a rate",
                suggestion: "`1 per week`")
        }
        budget.isOfMonitor = f.value(per) == "monitor"
        _ = f.value(method)
        return budget
    }
}
