import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Counts in fixed bins.
struct Histogram: SummaryKind {
    private static let binCount = 20
    private static let shape = "{ edges, bins }, or off"
    private let histogram = KeySpec(
        "histogram", .any("{ edges, bins }"), says: "edges of the baseline", off: true,
        shape: .either([.part("histogram"), .off]), "counts in fixed bins")
    private let edges = KeySpec(
        "edges", .any("a baseline, a list of numbers, { from, to }, or universal"),
        says: "the baseline",
        "where bins begin and end")
    private let bins = Key(
        "bins", ValueType<Int>.count(2...256), usual: Self.binCount, "how many bins")
    var keys: [any TopologyKey] { [histogram] }
    var part: PartSpec? {
        PartSpec(
            "histogram", path: "summaries[].histogram", "counts in fixed bins", [edges, bins],
            example: "histogram: { edges: { from: 0, to: 1 }, bins: 20 }")
    }

    /// The bins of a number that no rule speaks of.
    ///
    /// They are those of the only baseline file, if it has the column; else equal ones over the expected range.
    static func usual(_ column: Int, _ scope: Scope) -> HistogramPlan? {
        let files = scope.baselines.plans.indices.filter {
            !scope.baselines.plans[$0].isOfStream
        }
        if files.count == 1,
            scope.baselines.summaries[files[0]]?.columns.contains(where: {
                $0.name == scope.columns[column].name && $0.isNumeric
            }) ?? false
        {
            return .baseline(files[0])
        }
        return scope.schema.ranges[column].map { .edges(equalEdges($0.0, $0.1, binCount)) }
    }

    /// Edges that fit numbers of any size: ten to each power of ten between 0.0001 and 100,000,000, on both sides of
    /// zero.
    ///
    /// A bin is a quarter wider than its lower end, so changes within a quarter are not seen.
    static let universalEdges: [Double] = {
        let steps: [Double] = [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8]
        let powers: [Double] = [
            1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
        ]
        let above = powers.flatMap { power in steps.map { $0 * power } } + [1e8]
        return above.reversed().map { -$0 } + above
    }()

    /// Gives universal bins to numbers that are compared with what the stream says, where nobody says where their
    /// values lie.
    static func fillUniversal(_ monitors: [ReadMonitor], _ scope: inout Scope) {
        for read in monitors
        where scope.baselines.plans.indices.contains(read.plan.baseline)
            && scope.baselines.plans[read.plan.baseline].isOfStream
        {
            let columns = read.plan.columns.filter {
                scope.columns[$0].type.isNumeric && scope.columns[$0].summary.histogram == nil
                    && !scope.binless.contains($0) && scope.isWatched($0, in: read.plan.segments)
            }
            guard let first = columns.first else { continue }
            for column in columns {
                scope.schema.columns[column].summary.histogram = .edges(universalEdges)
            }
            let names =
                columns.prefix(3).map { "`\(scope.columns[$0].name)`" }.joined(separator: ", ")
                + (columns.count > 3 ? " and \(columns.count - 3) more" : "")
            scope.reading.say(
                .note, "edges-universal", at: read.place,
                "nobody says where the values of \(names) lie: they are counted in universal bins, ten "
                    + "to each power of ten, and changes within a bin are not seen",
                expected: "edges that are known before the data, from a file or declared",
                suggestion: "`\(scope.columns[first].name): { type: number, expect: "
                    + "{ range: [0, 1] } }`")
        }
    }

    private static func equalEdges(_ from: Double, _ to: Double, _ bins: Int) -> [Double] {
        (0...bins).map { $0 == bins ? to : from + (to - from) * Double($0) / Double(bins) }
    }

    func apply(_ rule: SummaryRule, _ scope: inout Scope) {
        rule.check(histogram, isFor: .numbers)
        if rule.f.isOff(histogram) {
            for index in rule.numbers {
                scope.schema.columns[index].summary.histogram = nil
                scope.binless.insert(index)
            }
            return
        }
        guard let part, let h = rule.f.part(histogram, part, shape: Self.shape) else { return }
        let count = h.given(bins)
        guard let edges = h[edges] else {
            applyUsual(h, count, rule, &scope)
            return
        }
        if edges.items != nil {
            guard let list = readList(edges, h, count) else { return }
            for index in rule.numbers {
                scope.schema.columns[index].summary.histogram = .edges(list)
            }
        } else if edges.entries != nil {
            guard let (low, high) = readEnds(edges, rule.f.reading) else { return }
            let list = Self.equalEdges(low, high, count ?? bins.usual)
            for index in rule.numbers {
                scope.schema.columns[index].summary.histogram = .edges(list)
            }
        } else if edges.text == "universal" {
            for index in rule.numbers {
                scope.schema.columns[index].summary.histogram = .edges(Self.universalEdges)
            }
        } else if let baseline = readBaseline(edges, scope) {
            apply(baseline, edges, h, count, rule, &scope)
        }
    }

    /// Without edges: the bins that columns have anyway, in another number.
    private func applyUsual(
        _ h: Fields, _ count: Int?, _ rule: SummaryRule, _ scope: inout Scope
    ) {
        for index in rule.numbers {
            let known = scope.columns[index].summary.histogram
            if let count, case .baseline(let baseline) = known {
                check(count, index, baseline, at: h[bins]?.place ?? h.place, scope)
            } else if let (from, to) = scope.schema.ranges[index] {
                scope.schema.columns[index].summary.histogram = .edges(
                    Self.equalEdges(from, to, count ?? bins.usual))
            } else if known == nil {
                rule.f.reading.say(
                    "edges-missing", at: h.place,
                    "no edges are known for the bins of \(shown(scope.columns[index].name)) lie",
                    expected: "`edges`", suggestion: "`edges: { from: 0, to: 1 }`")
                return
            }
        }
    }

    /// Edges one by one; `nil` after reporting what is wrong.
    private func readList(_ edges: Node, _ h: Fields, _ count: Int?) -> [Double]? {
        let reading = h.reading
        let list = reading.list(edges, what: "a list of numbers", countMax: 257).compactMap {
            reading.number($0)
        }
        guard list.count == edges.items?.count else { return nil }
        guard list.count >= 3, zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) else {
            reading.say(
                "bad-edges", at: edges.place, "these are not edges of bins",
                expected: "at least 3 numbers, each greater than the one before",
                suggestion: nil)
            return nil
        }
        if let count, count != list.count - 1, let place = h[bins]?.place {
            reading.say(
                "bins-differ", at: place, "the edges make \(list.count - 1) bins",
                expected: "\(list.count - 1)", suggestion: "delete `bins`")
        }
        return list
    }

    /// `{ from, to }`; `nil` after reporting what is wrong.
    private func readEnds(_ edges: Node, _ reading: Reading) -> (Double, Double)? {
        let names = ["from", "to"]
        for entry in edges.entries ?? [] where !names.contains(entry.key) {
            reading.say(
                "unknown-key", at: entry.keyPlace, "\(shown(entry.key)) is not a key of `edges`",
                expected: "from, to", suggestion: nearest(entry.key, names).map { "`\($0)`" })
        }
        guard let from = edges["from"], let to = edges["to"] else {
            reading.say(
                "missing-key", at: edges.place, "`edges` lacks one of its ends",
                expected: "{ from, to }", suggestion: "`{ from: 0, to: 1 }`")
            return nil
        }
        guard let low = reading.number(from), let high = reading.number(to) else { return nil }
        guard low < high, (high - low).isFinite else {
            reading.say(
                "bad-edges", at: to.place, "`to` is not greater than `from`",
                expected: "above \(numberText(low))", suggestion: nil)
            return nil
        }
        return (low, high)
    }

    /// The file that brings edges; `nil` after reporting what is wrong.
    private func readBaseline(_ edges: Node, _ scope: Scope) -> Int? {
        let reading = scope.reading
        guard let name = reading.text(edges, expected: "a baseline, a list or { from, to }") else {
            return nil
        }
        guard let baseline = scope.baselines.named(name, at: edges.place, reading) else {
            return nil
        }
        guard !scope.baselines.plans[baseline].isOfStream else {
            let plan = scope.baselines.plans[baseline]
            let what =
                plan.learning != nil
                ? "learned" : plan.topic != nil ? "of a topic" : "another group"
            reading.say(
                "edges-missing", at: edges.place,
                "\(shown(name)) is \(what): it uses bins, and does not define any",
                expected: "a baseline from a file, a list of numbers, or { from, to }",
                suggestion: "`{ from: 0, to: 1 }`")
            return nil
        }
        return baseline
    }

    /// Takes the edges of a file for all numbers of a rule.
    private func apply(
        _ baseline: Int, _ edges: Node, _ h: Fields, _ count: Int?, _ rule: SummaryRule,
        _ scope: inout Scope
    ) {
        for index in rule.numbers {
            guard scope.baselines.holds(baseline, scope.columns[index]) else {
                rule.f.reading.say(
                    "edges-missing", at: edges.place,
                    "\(scope.baselines.fileName(baseline)) has no \(shown(scope.columns[index].name))",
                    expected: "every column of this rule",
                    suggestion: "build it again, or other edges")
                continue
            }
            if let count {
                check(count, index, baseline, at: h[bins]?.place ?? edges.place, scope)
            }
            scope.schema.columns[index].summary.histogram = .baseline(baseline)
        }
    }

    /// Warns where a number of bins is not that of the file.
    private func check(
        _ count: Int, _ column: Int, _ baseline: Int, at place: Place, _ scope: Scope
    ) {
        let name = scope.columns[column].name
        guard let known = scope.baselines.column(name, of: baseline), known.cellCount != count
        else { return }
        scope.reading.say(
            .warning, "bins-differ", at: place,
            "\(scope.baselines.fileName(baseline)) has \(known.cellCount) bins for "
                + "\(shown(name)), which are used",
            expected: "\(known.cellCount)", suggestion: "delete `bins`")
    }

    func facts(_ summary: ColumnSummary, _ stream: StreamPlan) -> [Fact] {
        let value: JSONValue =
            switch summary.histogram {
            case .baseline(let index):
                .object([("edges", .text(stream.baselines[index].name))])
            case .edges(let edges): .object([("edges", .array(edges.map { .number($0) }))])
            case nil: .null
            }
        return [("histogram", value)]
    }

    func identity(_ summary: ColumnSummary, _ stream: StreamPlan) -> SummaryIdentity {
        let value: String? =
            switch summary.histogram {
            case .baseline(let index): "baseline \(stream.baselines[index].name)"
            case .edges(let edges): edges.canonicalText
            case nil: nil
            }
        return SummaryIdentity(column: [value])
    }
}
