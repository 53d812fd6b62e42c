import TidemarkLanguage
import TidemarkText

/// An expression over aggregates that was checked.
package struct MetricExpression: Sendable, Equatable {
    /// Over `columns`.
    package var expression: RowExpression
    /// What its value is; `nil`: it is always null.
    package var type: ExpressionType?
    /// What `expression` is made of: first a number for each of `aggregates`, then a text for each of
    /// `dimensions`.
    package var columns: [ExpressionColumn] {
        aggregates.indices.map { ExpressionColumn(name: "\($0)", type: .number, isRead: false) }
            + dimensions.map { ExpressionColumn(name: $0, type: .text, isRead: false) }
    }
    /// In the order in which they were first named.
    package var aggregates: [Aggregate]
    /// Dimensions that it names.
    package var dimensions: [String]
    /// Its standard error, over the same columns, where its parts vary together in a way that is known; `nil`: it is
    /// worked out of the errors of the aggregates.
    package var standardError: RowExpression?

    /// An expression whose columns are these aggregates, and behind them these dimensions.
    package init(
        expression: RowExpression, type: ExpressionType?, aggregates: [Aggregate],
        dimensions: [String]
    ) {
        self.expression = expression
        self.type = type
        self.aggregates = aggregates
        self.dimensions = dimensions
    }

    /// The same over a baseline: aggregates of the window become those of the baseline.
    package func over(_ baseline: String) -> MetricExpression {
        var other = self
        for place in other.aggregates.indices where other.aggregates[place].baseline == nil {
            other.aggregates[place].baseline = baseline
        }
        return other
    }
}

/// A baseline, as expressions over aggregates know it.
package struct MetricBaseline: Sendable {
    /// What it keeps, beside the cells that tests compare.
    package enum Keeps: Sendable {
        /// Whatever a window has: it is another group.
        case everything
        /// Counts and sums: they are learned of windows, which are added up.
        case sums
        /// How many rows lack a value: it is a file.
        case nulls
    }

    /// As the topology has it.
    package var name: String
    /// What aggregates may be taken of it.
    package var keeps: Keeps

    package init(_ name: String, keeps: Keeps) {
        self.name = name
        self.keeps = keeps
    }

    /// Why an aggregate can't be taken of it, and what can be; `nil`: it can.
    package func refusal(of aggregate: Aggregate) -> (message: String, expected: String)? {
        switch keeps {
        case .everything: return nil
        case .sums:
            switch aggregate.kind {
            case .min, .max, .quantile, .distinct:
                return (
                    "`\(name)` adds windows up, which `\(aggregate.kind.word)` can't be had of",
                    "`count`, `sum`, `mean`, `sd`, `share`, `null_share`, `correlation`"
                )
            default: return nil
            }
        case .nulls:
            if case .nullShare = aggregate.kind, case .column = aggregate.value,
                aggregate.condition == nil
            {
                return nil
            }
            if case .test = aggregate.kind { return nil }
            return (
                "`\(name)` is a file, which does not keep \(aggregate.kind.word) of its rows",
                "`null_share` of a column, a test such as `psi`, or another baseline"
            )
        }
    }
}

extension AggregateKind {
    /// As expressions have it.
    package var word: String {
        switch self {
        case .rows, .count: "count"
        case .sum: "sum"
        case .mean: "mean"
        case .sd: "sd"
        case .min: "min"
        case .max: "max"
        case .quantile: "quantile"
        case .distinct: "distinct"
        case .share: "share"
        case .nullShare: "null_share"
        case .test(let name): name
        }
    }
}

/// What expressions over aggregates may name.
package struct MetricScope: Sendable {
    /// Columns of the stream, inside of aggregates.
    package var columns: [ExpressionColumn]
    /// Dimensions of segments.
    package var dimensions: [String]
    /// Metrics that are known already.
    package var metrics: [(name: String, metric: MetricExpression)] = []
    /// Baselines.
    package var baselines: [MetricBaseline]
    /// Names of the tests of a column against a baseline.
    package var tests: [String]
    /// How many rows a row stands for; `nil`: itself.
    package var weight: RowWeight?

    package init(
        columns: [ExpressionColumn], dimensions: [String], baselines: [MetricBaseline],
        tests: [String]
    ) {
        self.columns = columns
        self.dimensions = dimensions
        self.baselines = baselines
        self.tests = tests
    }
}

/// Reads an expression over the rows of a window: from text to a typed tree over aggregates.
///
/// Aggregates, dimensions and other metrics are columns of a table of one row; what stands around them is then a
/// row expression like any other, with the same types, functions and nulls.
package struct MetricReader {
    private let text: String
    private let scalars: [Unicode.Scalar]
    let scope: MetricScope
    private var aggregates: [Aggregate] = []
    /// Metrics that are named over a baseline.
    private var overs: [(name: String, metric: MetricExpression)] = []
    /// By offset in the text: the standard error of an aggregate that is put together from others.
    private var errors: [Int: Syntax] = [:]

    private static let use = ExpressionUse(user: "an aggregate", wanted: "an aggregate")

    /// The typed tree of a text.
    package static func read(
        _ text: String, _ scope: MetricScope
    ) throws(ExpressionFailure) -> MetricExpression {
        var reader = MetricReader(text, scope)
        let parsed = try ExpressionParser.parse(text)
        let syntax = try reader.outside(parsed, over: nil)
        // Names of aggregates can't be written: nobody else has them.
        let inputs = reader.aggregates.indices.map {
            ExpressionColumn(name: Self.name($0), type: .number, isRead: false)
        }
        let dimensions = scope.dimensions.map {
            ExpressionColumn(name: $0, type: .text, isRead: false)
        }
        let metrics = reader.metrics.map { name, metric in
            ExpressionColumn(name: name, type: metric.type ?? .number, isRead: false)
        }
        let typed = try RowTyping.read(
            syntax, of: text, columns: inputs + metrics + dimensions, use: use)
        var metric = reader.joined(typed)
        // Of one aggregate alone: what stands around several is not worked out.
        if case .call = parsed.kind, let error = reader.errors[parsed.offset] {
            let typed = try RowTyping.read(
                error, of: text, columns: inputs + metrics + dimensions, use: use)
            metric.standardError = typed.expression
        }
        return metric
    }

    /// Notes the standard error of the aggregate at a place of the text.
    mutating func noteError(_ error: Syntax, of offset: Int) { errors[offset] = error }

    private init(_ text: String, _ scope: MetricScope) {
        self.text = text
        self.scope = scope
        scalars = Array(text.unicodeScalars)
    }

    private static func name(_ place: Int) -> String { "\u{0}\(place)" }

    /// Metrics that it may name, and those that it names over a baseline.
    private var metrics: [(name: String, metric: MetricExpression)] { scope.metrics + overs }

    private func source(_ syntax: Syntax) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[syntax.offset..<syntax.end])
        return text
    }

    /// Puts other metrics in their places, so that aggregates and dimensions alone are left.
    private func joined(_ typed: TypedExpression) -> MetricExpression {
        var aggregates = aggregates
        var dimensions: [String] = []
        func place(of aggregate: Aggregate) -> Int {
            if let known = aggregates.firstIndex(of: aggregate) { return known }
            aggregates.append(aggregate)
            return aggregates.count - 1
        }
        func place(of dimension: String) -> Int {
            if let known = dimensions.firstIndex(of: dimension) { return known }
            dimensions.append(dimension)
            return dimensions.count - 1
        }
        // Dimensions stand behind all aggregates, whose number is known at the end: negative until then.
        let own = self.aggregates.count
        let metrics = self.metrics
        let expression = typed.expression.replacingColumns { column in
            if column < own { return .column(column) }
            if column < own + metrics.count {
                let metric = metrics[column - own].metric
                return metric.expression.replacingColumns { part in
                    part < metric.aggregates.count
                        ? .column(place(of: metric.aggregates[part]))
                        : .column(-1 - place(of: metric.dimensions[part - metric.aggregates.count]))
                }
            }
            return .column(-1 - place(of: scope.dimensions[column - own - metrics.count]))
        }
        let count = aggregates.count
        return MetricExpression(
            expression: expression.replacingColumns { .column($0 < 0 ? count - 1 - $0 : $0) },
            type: typed.type, aggregates: aggregates, dimensions: dimensions)
    }

    // MARK: Outside of aggregates

    /// The syntax with a name in place of each aggregate.
    ///
    /// - `over`: the baseline that all aggregates are taken of.
    private mutating func outside(
        _ syntax: Syntax, over: (name: String, offset: Int)?
    ) throws(ExpressionFailure) -> Syntax {
        var syntax = syntax
        switch syntax.kind {
        case .number, .text, .boolean, .duration, .null, .list: break
        case .name(let name):
            try check(name, syntax)
            if let over { syntax.kind = .name(try self.name(of: name, over: over)) }
        case .not(let part): syntax.kind = .not(try outside(part, over: over))
        case .negate(let part): syntax.kind = .negate(try outside(part, over: over))
        case .isNull(let part, let isNot):
            syntax.kind = .isNull(try outside(part, over: over), isNot: isNot)
        case .isIn(let part, let list, let isNot):
            syntax.kind = .isIn(try outside(part, over: over), list, isNot: isNot)
        case .and(let a, let b):
            syntax.kind = .and(try outside(a, over: over), try outside(b, over: over))
        case .or(let a, let b):
            syntax.kind = .or(try outside(a, over: over), try outside(b, over: over))
        case .compare(let symbol, let a, let b):
            syntax.kind = .compare(
                symbol, try outside(a, over: over), try outside(b, over: over))
        case .arithmetic(let symbol, let a, let b):
            syntax.kind = .arithmetic(
                symbol, try outside(a, over: over), try outside(b, over: over))
        case .call(let name, let arguments):
            syntax.kind = try call(name, arguments, syntax, over: over)
        }
        return syntax
    }

    /// A name outside of aggregates is that of a metric or a dimension.
    private func check(_ name: String, _ syntax: Syntax) throws(ExpressionFailure) {
        let known = scope.metrics.map(\.name) + scope.dimensions
        if known.contains(name) { return }
        if scope.columns.contains(where: { $0.name == name }) {
            throw ExpressionFailure(
                "row-in-aggregate", syntax.offset,
                "\(shown(name)) has one value a row; a metric is one value a window",
                expected: "an aggregate", suggestion: "`mean(\(name))`")
        }
        throw ExpressionFailure(
            "unknown-name", syntax.offset, "no metric or dimension \(shown(name))",
            expected: known.isEmpty ? "an aggregate" : someOf(known, near: name),
            suggestion: nearest(name, known).map { "`\($0)`" })
    }

    /// What stands for a metric over a baseline; a dimension is the same.
    private mutating func name(
        of name: String, over: (name: String, offset: Int)
    ) throws(ExpressionFailure) -> String {
        guard let metric = scope.metrics.first(where: { $0.name == name })?.metric else {
            return name
        }
        let whole = metric.over(over.name)
        for aggregate in whole.aggregates { try check(aggregate, over.offset) }
        // No metric is called so.
        let known = "\u{1}\(over.name)\u{1}\(name)"
        if !overs.contains(where: { $0.name == known }) { overs.append((known, whole)) }
        return known
    }

    private mutating func call(
        _ name: String, _ arguments: [Syntax.Argument], _ syntax: Syntax,
        over: (name: String, offset: Int)?
    ) throws(ExpressionFailure) -> Syntax.Kind {
        if name == "change" { return try change(arguments, syntax) }
        if scope.tests.contains(name) {
            return add(try test(name, arguments, syntax))
        }
        if name == "correlation" { return try correlation(arguments, syntax, over: over) }
        if let spec = Aggregates.named(name) {
            let aggregate = try aggregate(spec, arguments, syntax, over: over)
            return try weighted(aggregate, at: syntax) ?? add(aggregate)
        }
        guard RowFunctions.named(name) != nil else {
            let names = Aggregates.all.map(\.name) + ["change"] + scope.tests
            throw ExpressionFailure(
                "unknown-function", syntax.offset, "no function \(shown(name))",
                expected: "an aggregate: " + names.joined(separator: " "),
                suggestion: name == "avg" || name == "average"
                    ? "`mean`" : nearest(name, names).map { "`\($0)`" })
        }
        var inner: [Syntax.Argument] = []
        for argument in arguments {
            var argument = argument
            if let value = argument.value { argument.value = try outside(value, over: over) }
            inner.append(argument)
        }
        return .call(name, inner)
    }

    /// The name that stands for an aggregate.
    mutating func add(_ aggregate: Aggregate) -> Syntax.Kind {
        if let known = aggregates.firstIndex(of: aggregate) { return .name(Self.name(known)) }
        aggregates.append(aggregate)
        return .name(Self.name(aggregates.count - 1))
    }

    /// `change(x, baseline)`: now over then, less 1.
    private mutating func change(
        _ arguments: [Syntax.Argument], _ syntax: Syntax
    ) throws(ExpressionFailure) -> Syntax.Kind {
        guard arguments.count == 2, let value = arguments[0].value else {
            throw ExpressionFailure(
                "argument-count", syntax.offset, "`change` takes an aggregate and a baseline",
                expected: "2", suggestion: "`change(aggregate, baseline)`")
        }
        let now = try outside(value, over: nil)
        let then = try outside(value, over: try baseline(arguments[1], of: "change"))
        func part(_ kind: Syntax.Kind) -> Syntax {
            Syntax(kind: kind, offset: syntax.offset, end: syntax.end)
        }
        return .arithmetic(
            Syntax.Symbol(text: "-"), part(.arithmetic(Syntax.Symbol(text: "/"), now, then)),
            part(.number(1)))
    }

    /// `correlation(x, y)`, by what x + y and x − y vary: sums of products would depend on their order.
    private mutating func correlation(
        _ arguments: [Syntax.Argument], _ syntax: Syntax, over: (name: String, offset: Int)?
    ) throws(ExpressionFailure) -> Syntax.Kind {
        guard arguments.count == 2, let spec = Aggregates.named("sd"),
            let second = arguments[1].value
        else {
            throw ExpressionFailure(
                "argument-count", syntax.offset, "`correlation` takes two numbers", expected: "2",
                suggestion: "`correlation(x, y)`")
        }
        guard arguments[1].condition == nil, arguments[1].over == nil else {
            throw ExpressionFailure(
                "bad-expression", arguments[1].offset,
                "`where` and `over` stand behind the first argument", expected: "correlation(x, y)",
                suggestion: "`correlation(x where c, y)`")
        }
        var first = try aggregate(spec, [arguments[0]], syntax, over: over)
        let (y, _) = try value(second, spec)
        guard let x = first.value else { return .null }
        func part(_ kind: Syntax.Kind) -> Syntax {
            Syntax(kind: kind, offset: syntax.offset, end: syntax.end)
        }
        func symbol(_ text: String, _ a: Syntax, _ b: Syntax) -> Syntax {
            part(.arithmetic(Syntax.Symbol(text: text), a, b))
        }
        var spreads: [Syntax] = []
        let both = RowExpression.and(.not(.isNull(x)), .not(.isNull(y)))
        first.condition = first.condition.map { .and($0, both) } ?? both
        for value in [.arithmetic(.add, x, y), .arithmetic(.subtract, x, y), x, y] {
            first.value = value
            spreads.append(part(try weighted(first, at: syntax) ?? add(first)))
        }
        let covariance = symbol(
            "-", symbol("*", spreads[0], spreads[0]), symbol("*", spreads[1], spreads[1]))
        let product = symbol("*", part(.number(4)), symbol("*", spreads[2], spreads[3]))
        let bounds = [part(.number(-1)), part(.number(1))]
        return .call(
            "clamp",
            ([symbol("/", covariance, product)] + bounds).map {
                Syntax.Argument(value: $0, offset: syntax.offset)
            })
    }

    private func baseline(
        _ argument: Syntax.Argument, of function: String
    ) throws(ExpressionFailure) -> (name: String, offset: Int) {
        guard case .name(let name)? = argument.value?.kind else {
            throw ExpressionFailure(
                "not-a-baseline", argument.offset,
                "`\(function)` takes the name of a baseline here",
                expected: alternatives(scope.baselines.map(\.name)))
        }
        try check(baseline: name, argument.offset)
        return (name, argument.offset)
    }

    private func check(baseline name: String, _ offset: Int) throws(ExpressionFailure) {
        let names = scope.baselines.map(\.name)
        guard !names.contains(name) else { return }
        throw ExpressionFailure(
            "unknown-baseline", offset, "no baseline \(shown(name))",
            expected: names.isEmpty
                ? "one that `baselines` declares" : someOf(names, near: name),
            suggestion: nearest(name, names).map { "`\($0)`" })
    }

    /// Whether the baseline that an aggregate is taken of keeps what it takes.
    private func check(_ aggregate: Aggregate, _ offset: Int) throws(ExpressionFailure) {
        guard let name = aggregate.baseline,
            let baseline = scope.baselines.first(where: { $0.name == name }),
            let refusal = baseline.refusal(of: aggregate)
        else { return }
        throw ExpressionFailure(
            "not-kept", offset, refusal.message, expected: refusal.expected,
            suggestion: nil)
    }

    // MARK: Aggregates

    private func aggregate(
        _ spec: AggregateSpec, _ arguments: [Syntax.Argument], _ syntax: Syntax,
        over: (name: String, offset: Int)?
    ) throws(ExpressionFailure) -> Aggregate {
        guard spec.argumentCounts.contains(arguments.count) else {
            let (least, most) = (spec.argumentCounts.lowerBound, spec.argumentCounts.upperBound)
            throw ExpressionFailure(
                "argument-count", syntax.offset,
                "`\(spec.name)` has \(arguments.count) argument\(arguments.count == 1 ? "" : "s")",
                expected: least == most ? "\(least)" : "\(least) to \(most)",
                suggestion: "`\(spec.signature)`")
        }
        var aggregate = Aggregate(kind: spec.kind)
        if let first = arguments.first {
            if let value = first.value {
                if spec.kind == .rows { aggregate.kind = .count }
                (aggregate.value, aggregate.type) = try self.value(value, spec)
            } else if spec.kind != .rows {
                throw ExpressionFailure(
                    "argument-count", first.offset, "`\(spec.name)` is taken of something",
                    expected: spec.signature)
            }
            if let condition = first.condition {
                aggregate.condition = try RowTyping.condition(
                    condition, of: text, columns: scope.columns, use: Self.use)
            }
            if let baseline = first.over { try check(baseline: baseline.name, baseline.offset) }
            aggregate.baseline = first.over?.name ?? over?.name
        } else {
            aggregate.baseline = over?.name
        }
        if arguments.count == 2 { try takeRank(arguments[1], spec, &aggregate) }
        try check(aggregate, arguments.first?.over?.offset ?? over?.offset ?? syntax.offset)
        return aggregate
    }

    private func value(
        _ syntax: Syntax, _ spec: AggregateSpec
    ) throws(ExpressionFailure) -> (RowExpression, ExpressionType?) {
        let typed = try RowTyping.read(syntax, of: text, columns: scope.columns, use: Self.use)
        if let type = typed.type, !spec.takes.isEmpty, !spec.takes.contains(type) {
            let suggestion: String? =
                switch (spec.kind, type) {
                case (_, .duration): "`\(spec.name)(seconds(\(source(syntax))))`"
                case (.mean, .boolean), (.sum, .boolean): "`share(\(source(syntax)))`"
                case (_, .text): "`distinct`, `count` or `null_share`"
                default: nil
                }
            throw ExpressionFailure(
                "type-mismatch", syntax.offset,
                "\(shown(source(syntax))) is \(type.article); `\(spec.name)` takes "
                    + alternatives(spec.takes.map(\.article)),
                expected: alternatives(spec.takes.map(\.article)), suggestion: suggestion)
        }
        return (typed.expression, typed.type)
    }

    private func takeRank(
        _ argument: Syntax.Argument, _ spec: AggregateSpec, _ aggregate: inout Aggregate
    ) throws(ExpressionFailure) {
        guard let syntax = argument.value, argument.condition == nil, argument.over == nil else {
            throw ExpressionFailure(
                "bad-expression", argument.offset,
                "`where` and `over` stand behind the first argument", expected: spec.signature)
        }
        guard case .number(let rank) = syntax.kind, (0...1).contains(rank) else {
            throw ExpressionFailure(
                "out-of-limits", syntax.offset, "\(shown(source(syntax))) is not a rank",
                expected: "a number from 0 to 1", suggestion: "`0.95`, or `95%`")
        }
        aggregate.kind = .quantile(rank)
    }

    /// A test of a column against a baseline.
    private func test(
        _ name: String, _ arguments: [Syntax.Argument], _ syntax: Syntax
    ) throws(ExpressionFailure) -> Aggregate {
        guard arguments.count == 2, arguments[0].condition == nil, arguments[0].over == nil else {
            throw ExpressionFailure(
                "argument-count", syntax.offset, "`\(name)` takes a column and a baseline",
                expected: "2", suggestion: "`\(name)(column, baseline)`")
        }
        guard case .name(let column)? = arguments[0].value?.kind,
            let place = scope.columns.firstIndex(where: { $0.name == column })
        else {
            let names = scope.columns.map(\.name)
            throw ExpressionFailure(
                "unknown-column", arguments[0].offset,
                "`\(name)` compares a column with what a baseline has of it",
                expected: "the name of a column",
                suggestion: arguments[0].value.map(source).flatMap { nearest($0, names) }
                    .map { "`\($0)`" })
        }
        return Aggregate(
            kind: .test(name), value: .column(place), type: scope.columns[place].type,
            baseline: try baseline(arguments[1], of: name).name)
    }
}

extension RowExpression {
    /// The expression with something else in place of each column.
    package func replacingColumns(_ other: (Int) -> RowExpression) -> RowExpression {
        switch self {
        case .number, .text, .boolean, .duration, .null: self
        case .column(let column): other(column)
        case .compare(let comparison, let a, let b):
            .compare(comparison, a.replacingColumns(other), b.replacingColumns(other))
        case .and(let a, let b): .and(a.replacingColumns(other), b.replacingColumns(other))
        case .or(let a, let b): .or(a.replacingColumns(other), b.replacingColumns(other))
        case .not(let a): .not(a.replacingColumns(other))
        case .isNull(let a): .isNull(a.replacingColumns(other))
        case .isIn(let a, let list): .isIn(a.replacingColumns(other), list)
        case .arithmetic(let operation, let a, let b):
            .arithmetic(operation, a.replacingColumns(other), b.replacingColumns(other))
        case .negate(let a): .negate(a.replacingColumns(other))
        case .call(let name, let arguments):
            .call(name, arguments.map { $0.replacingColumns(other) })
        case .list(let list): .list(list)
        }
    }
}
