import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What a column's values are promised to be: its keys are those of the checks of quality.
struct ExpectPart: Sendable {
    /// Where numbers lie; bounds of the histogram, whether or not a check looks at them.
    private static let range = ContractSpec(
        "range", .numbers, of: [.numbers], "where numbers lie; bounds of the histogram")
    let contracts: [ContractSpec]
    let part: PartSpec

    /// The keys of these checks.
    init(_ checks: [CheckSpec]) {
        var contracts = checks.compactMap(\.contract)
        if !contracts.contains(where: { $0.key.name == Self.range.key.name }) {
            contracts.insert(Self.range, at: 0)
        }
        self.contracts = contracts
        part = PartSpec(
            "expect", path: "source.schema.*.expect", "what values are promised to be",
            contracts.map(\.key),
            example: "expect: { null: 1%, range: [0, 1] }")
    }

    /// Where the numbers of a column are promised to lie.
    static func range(of column: ColumnPlan) -> (Double, Double)? {
        let value = column.expected[range.key.name]
        guard let ends = value?.asArray, ends.count == 2, let least = ends[0].asNumber,
            let most = ends[1].asNumber
        else { return nil }
        return (least, most)
    }

    /// What `expect` says of a column; what is wrong with it is reported.
    func read(_ f: Fields, _ column: ColumnPlan) -> Settings {
        Settings(
            contracts.compactMap { contract in
                guard let node = f[contract.key], isFor(column, contract, node, f.reading),
                    let value = value(node, contract, f.reading)
                else { return nil }
                return (contract.key.name, value)
            })
    }

    private func isFor(
        _ column: ColumnPlan, _ contract: ContractSpec, _ node: Node, _ reading: Reading
    ) -> Bool {
        if let sort = column.sort, contract.columns.contains(sort) { return true }
        let sorts = CheckSpec.Columns.allCases.filter(contract.columns.contains)
        reading.say(
            "type-of-role", at: node.place,
            "`\(contract.key.name)` is for \(alternatives(sorts.map(\.rawValue)))",
            expected: contract.columns == [.numbers]
                ? "type number or integer"
                : "a column that is one of \(alternatives(sorts.map(\.rawValue)))",
            suggestion: "delete it")
        return false
    }

    private func value(
        _ node: Node, _ contract: ContractSpec, _ reading: Reading
    ) -> JSONValue? {
        switch contract.form {
        case .share:
            return reading.scalar(
                node, Key(contract.key.name, ValueType.share(max: 1).optional, "")
            )
            .flatMap { $0 }.map { .number($0) }
        case .numbers: return ends(node, mayBeEqual: false, reading) { reading.number($0) }
        case .counts:
            return ends(node, mayBeEqual: true, reading) { item in
                reading.scalar(item, contract.key) { Scalars.count($0) }.map(Double.init)
            }.map { value in
                .array((value.asArray ?? []).map { .integer(Int64($0.asNumber ?? 0)) })
            }
        case .texts:
            let items = reading.list(node, what: "a list of texts", countMax: 10_000)
            let texts = items.compactMap { reading.text($0) }
            guard !texts.isEmpty, texts.count == items.count else {
                if node.items?.isEmpty ?? false {
                    reading.say(
                        "empty-list", at: node.place, "no value is named",
                        expected: "at least one", suggestion: "delete it")
                }
                return nil
            }
            return .texts(texts)
        case .pattern: return pattern(node, contract, reading)
        }
    }

    private func pattern(
        _ node: Node, _ contract: ContractSpec, _ reading: Reading
    ) -> JSONValue? {
        guard let text = reading.text(node, expected: "a regular expression") else { return nil }
        guard let problem = Pattern.problem(text) else { return .text(text) }
        reading.say(
            problem.rule, at: node.place, problem.message, expected: problem.expected,
            suggestion: problem.suggestion)
        return nil
    }

    /// `[least, most]`; two equal counts are a promise, too, while a range of numbers has bins.
    private func ends(
        _ node: Node, mayBeEqual: Bool, _ reading: Reading, _ read: (Node) -> Double?
    ) -> JSONValue? {
        let numbers = reading.list(node, what: "two numbers, [least, most]", countMax: 2)
            .compactMap(read)
        if numbers.count == 2, numbers[0] < numbers[1] || mayBeEqual && numbers[0] == numbers[1] {
            return .array(numbers.map { .number($0) })
        }
        if node.items != nil {
            reading.say(
                "bad-range", at: node.place, "this is not a range",
                expected: "two numbers, [least, most], the smaller first",
                suggestion: numbers.count == 2 && numbers[0] > numbers[1]
                    ? "`[\(numberText(numbers[1])), \(numberText(numbers[0]))]`" : nil)
        }
        return nil
    }
}

extension ColumnPlan {
    /// What checks of quality take it for; `nil`: they don't look at it.
    var sort: CheckSpec.Columns? {
        if role == .id { return .ids }
        switch type {
        case .number, .integer: return .numbers
        case .category, .boolean: return .categories
        case .text: return .texts
        case .time: return nil
        }
    }
}
