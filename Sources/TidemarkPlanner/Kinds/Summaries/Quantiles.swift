import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Quantiles by sketch.
struct Quantiles: SummaryKind {
    private let usualRanks = ColumnSummary.ofNumbers.quantiles
    private let rank = Key("at", ValueType.share(max: 1), usual: 0.5, "ranks")
    /// With a smaller error a DDSketch would be as large as the rows.
    private let errorMin = 0.0001
    private let at: KeySpec
    private let sketch = Setting(
        "sketch", \ColumnSummary.quantileSketch,
        .choice(refused: [
            "req":
                "its ranks are closest at one end; `ddsketch` is so at both, and merges in any order",
            "tdigest":
                "nobody can say how large its error is; that of `kll` and `ddsketch` is stated",
            "theta": "it counts different values, and knows no ranks",
        ]), usual: .ofNumbers, json: "quantile_sketch",
        "kll: rank error, values in f32; kll_f64; ddsketch: relative error, order-free")
    private let k = Setting(
        "k", \ColumnSummary.kllK, .count(8...4096), usual: .ofNumbers, json: "kll_k",
        "accuracy of kll")
    private let relativeError = Setting(
        "relative_error", \ColumnSummary.relativeError, .share(max: 0.5), usual: .ofNumbers,
        json: "relative_error", "accuracy of ddsketch")
    private let mapping = Setting(
        "mapping", \ColumnSummary.hasLogarithmicBins, .choice([("cubic", false), ("log", true)]),
        usual: .ofNumbers, json: "mapping",
        "bins of ddsketch: cubic is faster; log is what Python's `ddsketch` merges")
    private let quantiles: KeySpec
    let part: PartSpec?
    var keys: [any TopologyKey] { [quantiles] }

    init() {
        quantiles = KeySpec(
            "quantiles", .any("{ at, sketch, k, relative_error, mapping }"),
            says: usualRanks.map { numberText($0 * 100) }.joined(separator: " ") + "%", off: true,
            shape: .either([.part("quantiles"), .off]), "by sketch")
        at = KeySpec(
            "at", .list("a list of shares"),
            says: "[" + usualRanks.map(shareText).joined(separator: ", ") + "]", "which quantiles")
        part = PartSpec(
            "quantiles", path: "summaries[].quantiles", "quantiles by sketch",
            [at, sketch, k, relativeError, mapping],
            example: "quantiles: { at: [50%, 99%], sketch: ddsketch, relative_error: 1% }")
    }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(quantiles, isFor: .numbers)
        if rule.f.isOff(quantiles) {
            for index in rule.numbers { scope.schema.columns[index].summary.quantiles = [] }
            return
        }
        guard let part,
            let q = rule.f.part(
                quantiles, part, shape: "{ at, sketch, k, relative_error, mapping }, or off")
        else { return }
        var given = ColumnSummary.ofNumbers
        let hasSketch = sketch.read(q, &given)
        let hasError = relativeError.read(q, &given) && given.relativeError >= errorMin
        check(q, isDDSketch: hasSketch && given.quantileSketch == .ddsketch, given)
        let ranks = q[at].map { readRanks($0, rule.f.reading) }
        mapping.read(q, &given)
        for index in rule.numbers {
            var summary = scope.columns[index].summary
            if let ranks {
                summary.quantiles = ranks
            } else if summary.quantiles.isEmpty {
                summary.quantiles = usualRanks
            }
            k.read(q, &summary)
            if hasSketch {
                summary.quantileSketch = given.quantileSketch
                summary.hasLogarithmicBins = given.hasLogarithmicBins
            }
            if hasError { summary.relativeError = given.relativeError }
            scope.schema.columns[index].summary = summary
        }
        if rule.numbers.isEmpty { k.read(q, &given) }
    }

    /// Keys that only DDSketch has.
    private func check(_ q: Fields, isDDSketch: Bool, _ given: ColumnSummary) {
        if let entry = q.entry(relativeError), !isDDSketch {
            q.reading.say(
                "type-of-role", at: entry.keyPlace, "`relative_error` is for ddsketch",
                expected: "`sketch: ddsketch` beside it", suggestion: "delete it, or say `k`")
        } else if let entry = q.entry(relativeError), given.relativeError < errorMin {
            q.reading.say(
                "out-of-range", at: entry.value.place, "a ddsketch below 0.01% is of no use",
                expected: "0.01% to 50%", suggestion: "`1%`")
        }
        if let entry = q.entry(mapping), !isDDSketch {
            q.reading.say(
                "type-of-role", at: entry.keyPlace, "`mapping` is for ddsketch",
                expected: "`sketch: ddsketch` beside it", suggestion: "delete it")
        }
    }

    private func readRanks(_ list: Node, _ reading: Reading) -> [Double] {
        var ranks: Set<Double> = []
        for item in reading.list(list, what: "a list of shares", orOne: true, countMax: 100) {
            if let rank = reading.scalar(item, rank) { ranks.insert(rank) }
        }
        if list.items?.isEmpty ?? false {
            reading.say(
                "empty-list", at: list.place, "no quantile is named", expected: "at least one",
                suggestion: "`quantiles: off`")
        }
        return ranks.sorted()
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        [("quantiles", .array(summary.quantiles.map { .number($0) }))]
            + [k, sketch, relativeError, mapping].compactMap { $0.fact(summary) }
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        var identity = SummaryIdentity(column: [summary.quantiles, summary.kllK])
        if summary.quantileSketch != .kll {
            identity.lines.append(
                Identity.Line("sketch", summary.quantileSketch.rawValue, summary.relativeError))
        }
        if summary.hasLogarithmicBins { identity.lines.append(Identity.Line("mapping", "log")) }
        return identity
    }
}
