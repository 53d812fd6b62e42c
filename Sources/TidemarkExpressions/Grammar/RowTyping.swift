import TidemarkLanguage
import TidemarkText

/// What an expression is asked for, and where: messages name it.
package struct ExpressionUse: Sendable {
    /// What sees one row: `a filter`.
    package var user: String
    /// What is wanted: `a row condition`.
    package var wanted: String

    package init(user: String, wanted: String = "a row condition") {
        self.user = user
        self.wanted = wanted
    }
}

/// A row expression that was checked.
package struct TypedExpression: Sendable {
    /// The expression.
    package var expression: RowExpression
    /// What its value is; `nil`: it is always null.
    package var type: ExpressionType?
    /// Its numbers are integers.
    package var isWhole: Bool
}

/// Gives the parts of a row expression their types, and columns and functions their meaning.
package struct RowTyping {
    /// A part with its type.
    private struct Typed {
        var expression: RowExpression
        /// `nil`: only `null`.
        var type: ExpressionType?
        var isWhole = false
        var syntax: Syntax

        var offset: Int { syntax.offset }
    }

    private let scalars: [Unicode.Scalar]
    private let columns: [ExpressionColumn]
    private let places: [String: Int]
    private let use: ExpressionUse

    /// The typed tree of a text over columns.
    package static func read(
        _ text: String, columns: [ExpressionColumn], use: ExpressionUse
    ) throws(ExpressionFailure) -> TypedExpression {
        let syntax = try ExpressionParser.parse(text)
        let typing = RowTyping(text, columns: columns, use: use)
        let typed = try typing.type(syntax)
        return TypedExpression(
            expression: typed.type == nil ? .null : typed.expression, type: typed.type,
            isWhole: typed.isWhole)
    }

    /// The typed tree of a part of a text.
    static func read(
        _ syntax: Syntax, of text: String, columns: [ExpressionColumn], use: ExpressionUse
    ) throws(ExpressionFailure) -> TypedExpression {
        let typed = try RowTyping(text, columns: columns, use: use).type(syntax)
        return TypedExpression(
            expression: typed.type == nil ? .null : typed.expression, type: typed.type,
            isWhole: typed.isWhole)
    }

    /// The condition that a part of a text is.
    static func condition(
        _ syntax: Syntax, of text: String, columns: [ExpressionColumn], use: ExpressionUse
    ) throws(ExpressionFailure) -> RowExpression {
        let typing = RowTyping(text, columns: columns, use: use)
        return try typing.condition(typing.type(syntax))
    }

    /// The condition that a text is.
    package static func condition(
        _ text: String, columns: [ExpressionColumn], use: ExpressionUse
    ) throws(ExpressionFailure) -> RowExpression {
        let syntax = try ExpressionParser.parse(text)
        let typing = RowTyping(text, columns: columns, use: use)
        return try typing.condition(typing.type(syntax))
    }

    private func condition(_ typed: Typed) throws(ExpressionFailure) -> RowExpression {
        guard typed.type == .boolean || typed.type == nil else {
            throw ExpressionFailure(
                "not-a-condition", typed.offset, "this is \(word(typed.type))",
                expected: "true or false",
                suggestion: "a comparison, `\(source(typed)) \(example(typed.type))`")
        }
        return typed.expression
    }

    private init(_ text: String, columns: [ExpressionColumn], use: ExpressionUse) {
        scalars = Array(text.unicodeScalars)
        self.columns = columns
        self.use = use
        places = Dictionary(zip(columns.map(\.name), 0...)) { first, _ in first }
    }

    // MARK: Words of messages

    private func word(_ type: ExpressionType?) -> String { type?.article ?? "null" }

    /// A comparison of a type.
    private func example(_ type: ExpressionType?) -> String {
        switch type {
        case .text: "== \"…\""
        case .duration: "> 5m"
        default: "> 0"
        }
    }

    private func source(_ typed: Typed) -> String { source(typed.syntax) }

    private func source(_ syntax: Syntax) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[syntax.offset..<syntax.end])
        return text
    }

    private func want(
        _ types: [ExpressionType], _ part: Typed, for what: String
    ) throws(ExpressionFailure) {
        guard let type = part.type, !types.contains(type) else { return }
        let wanted = alternatives(types.map { word($0) })
        throw ExpressionFailure(
            "type-mismatch", part.offset,
            "\(shown(source(part))) is \(word(type)); \(what) takes \(wanted)", expected: wanted)
    }

    // MARK: Parts

    private func type(_ syntax: Syntax) throws(ExpressionFailure) -> Typed {
        func typed(_ e: RowExpression, _ type: ExpressionType?, whole: Bool = false) -> Typed {
            Typed(expression: e, type: type, isWhole: whole, syntax: syntax)
        }
        switch syntax.kind {
        case .number(let value):
            return typed(.number(value), .number, whole: value == value.rounded())
        case .text(let text): return typed(.text(text), .text)
        case .boolean(let value): return typed(.boolean(value), .boolean)
        case .duration(let ms): return typed(.duration(ms), .duration)
        case .null: return typed(.null, nil)
        case .name(let name): return try column(name, syntax)
        case .call(let name, let arguments): return try call(name, arguments, syntax)
        case .list:
            throw ExpressionFailure(
                "bad-expression", syntax.offset, "a list is not a value", expected: "a value")
        case .not(let part):
            let inner = try type(part)
            try want([.boolean], inner, for: "`not`")
            return typed(.not(inner.expression), .boolean)
        case .negate(let part):
            let inner = try type(part)
            try want([.number, .duration], inner, for: "`-`")
            return typed(.negate(inner.expression), inner.type ?? .number, whole: inner.isWhole)
        case .and(let a, let b):
            let (left, right) = try both(a, b, "`and`")
            return typed(.and(left.expression, right.expression), .boolean)
        case .or(let a, let b):
            let (left, right) = try both(a, b, "`or`")
            return typed(.or(left.expression, right.expression), .boolean)
        case .isNull(let part, let isNot):
            let test = RowExpression.isNull(try type(part).expression)
            return typed(isNot ? .not(test) : test, .boolean)
        case .isIn(let part, let literals, let isNot):
            let test = try isIn(try type(part), literals)
            return typed(isNot ? .not(test) : test, .boolean)
        case .compare(let symbol, let a, let b):
            let (left, right) = (try type(a), try type(b))
            return typed(try compare(left, right, symbol.text), .boolean)
        case .arithmetic(let symbol, let a, let b):
            return try arithmetic(try type(a), try type(b), symbol.text, syntax)
        }
    }

    private func both(
        _ a: Syntax, _ b: Syntax, _ what: String
    ) throws(ExpressionFailure) -> (Typed, Typed) {
        let (left, right) = (try type(a), try type(b))
        try want([.boolean], left, for: what)
        try want([.boolean], right, for: what)
        return (left, right)
    }

    // MARK: Comparisons

    private static let comparisons: [String: RowExpression.Comparison] = [
        "==": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
        ">=": .greaterOrEqual,
    ]

    /// Both sides of one type; booleans only for equality.
    private func compare(
        _ left: Typed, _ right: Typed, _ symbol: String
    ) throws(ExpressionFailure) -> RowExpression {
        guard let type = left.type, let other = right.type else {
            let value = left.type == nil ? right : left
            throw ExpressionFailure(
                "compares-null", left.type == nil ? left.offset : right.offset,
                "a comparison with null is null, never true", expected: "`is null`",
                suggestion: "`\(source(value)) is \(symbol == "!=" ? "not " : "")null`")
        }
        guard type == other else { throw mismatch(left, right, symbol) }
        if type == .boolean, symbol != "==", symbol != "!=" {
            throw ExpressionFailure(
                "type-mismatch", left.offset, "true and false cannot be compared by size",
                expected: "== or !=")
        }
        guard let comparison = Self.comparisons[symbol] else {
            preconditionFailure("the parser takes no other symbols")
        }
        return .compare(comparison, left.expression, right.expression)
    }

    private func mismatch(_ left: Typed, _ right: Typed, _ symbol: String) -> ExpressionFailure {
        var suggestion: String?
        // A text that reads as the other side's type needs no quotes.
        if case .text(let text) = right.expression {
            let isNumber = left.type == .number && Scalars.number(text) != nil
            let isTruth = left.type == .boolean && (text == "true" || text == "false")
            var isDuration = false
            if left.type == .duration, case .success = Scalars.duration(text, "") {
                isDuration = true
            }
            if isNumber || isTruth || isDuration {
                suggestion = "`\(source(left)) \(symbol) \(text)`"
            }
        } else if left.type == .text {
            suggestion = "`\(source(left)) \(symbol) \"\(source(right))\"`"
        } else if left.type == .duration, right.type == .number {
            suggestion = "`seconds(\(source(left))) \(symbol) \(source(right))`"
        }
        return ExpressionFailure(
            "type-mismatch", right.offset,
            "\(shown(source(left))) is \(word(left.type)), "
                + "\(shown(source(right))) is \(word(right.type))",
            expected: word(left.type), suggestion: suggestion)
    }

    private func isIn(
        _ left: Typed, _ literals: [Syntax]
    ) throws(ExpressionFailure) -> RowExpression {
        guard let type = left.type else {
            throw ExpressionFailure(
                "compares-null", left.offset, "null is in no list: that is null, never true",
                expected: "a value")
        }
        var list: [RowExpression] = []
        for literal in literals {
            let item = try self.type(literal)
            guard let other = item.type else {
                throw ExpressionFailure(
                    "compares-null", literal.offset, "a comparison with null is null, never true",
                    expected: word(type), suggestion: "`or \(source(left)) is null`")
            }
            guard type == other else {
                throw ExpressionFailure(
                    "type-mismatch", literal.offset,
                    "\(shown(source(left))) is \(word(type)), "
                        + "\(shown(source(literal))) is \(word(other))", expected: word(type))
            }
            // The texts that values of a boolean column have.
            if case .boolean(let value) = item.expression {
                list.append(.text(value ? "true" : "false"))
            } else {
                list.append(item.expression)
            }
        }
        return .isIn(left.expression, list)
    }

    // MARK: Arithmetic

    private static let arithmetics: [String: RowExpression.Arithmetic] = [
        "+": .add, "-": .subtract, "*": .multiply, "/": .divide,
    ]

    private func arithmetic(
        _ left: Typed, _ right: Typed, _ symbol: String, _ syntax: Syntax
    ) throws(ExpressionFailure) -> Typed {
        guard let operation = Self.arithmetics[symbol] else {
            preconditionFailure("the parser takes no other symbols")
        }
        let expression = RowExpression.arithmetic(operation, left.expression, right.expression)
        let (a, b) = (left.type ?? right.type ?? .number, right.type ?? left.type ?? .number)
        if let type = RowExpression.type(of: operation, a, b) {
            return Typed(
                expression: expression, type: type,
                isWhole: left.isWhole && right.isWhole && operation != .divide, syntax: syntax)
        }
        // Of two sides the one that does not fit is the one that is told.
        let takesTimes = operation == .add || operation == .subtract
        let first: [ExpressionType] = takesTimes ? [.number, .time, .duration] : [.number]
        try want(operation == .divide ? [.number, .duration] : first, left, for: "`\(symbol)`")
        let second: [ExpressionType] =
            switch a {
            case .number: [.number]
            case .time: operation == .subtract ? [.time, .duration] : [.duration]
            case .duration: operation == .add ? [.duration, .time] : [.duration]
            case .boolean, .text: [.number]
            }
        try want(second, right, for: "`\(source(left)) \(symbol)`")
        throw ExpressionFailure(
            "type-mismatch", left.offset,
            "`\(symbol)` does not take \(word(left.type)) and \(word(right.type))",
            expected: "numbers")
    }

    // MARK: Columns and functions

    private func column(_ name: String, _ syntax: Syntax) throws(ExpressionFailure) -> Typed {
        guard let place = places[name] else { throw unknown(name, syntax.offset) }
        return Typed(
            expression: .column(place), type: columns[place].type, isWhole: columns[place].isWhole,
            syntax: syntax)
    }

    private func unknown(_ name: String, _ offset: Int) -> ExpressionFailure {
        let names = columns.map(\.name)
        if ["AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE"].contains(name) {
            return ExpressionFailure(
                "bad-expression", offset, "\(shown(name)) is written in lower case",
                expected: name.lowercased(), suggestion: "`\(name.lowercased())`")
        }
        return ExpressionFailure(
            "unknown-column", offset, "no column \(shown(name))",
            expected: someOf(names, near: name),
            suggestion: nearest(name, names).map { "`\($0)`" } ?? "`\"\(name)\"`, if it is a text")
    }

    private func call(
        _ name: String, _ arguments: [Syntax.Argument], _ syntax: Syntax
    ) throws(ExpressionFailure) -> Typed {
        guard let function = RowFunctions.named(name) else {
            throw unknownFunction(name, syntax.offset)
        }
        let spec = function.spec
        guard spec.argumentCounts.contains(arguments.count) else {
            let (least, most) = (spec.argumentCounts.lowerBound, spec.argumentCounts.upperBound)
            throw ExpressionFailure(
                "argument-count", syntax.offset,
                "`\(name)` has \(arguments.count) argument\(arguments.count == 1 ? "" : "s")",
                expected: least == most ? "\(least)" : "\(least) to \(most)",
                suggestion: "`\(spec.signature)`")
        }
        var typed: [Typed] = []
        for (place, argument) in arguments.enumerated() {
            typed.append(try self.argument(argument, spec.parameter(place), of: spec))
        }
        let expressions = typed.map(\.expression)
        if let (place, problem) = function.problem(expressions) {
            throw ExpressionFailure(
                problem.rule, typed[place].offset, problem.message, expected: problem.expected,
                suggestion: problem.suggestion)
        }
        var type = spec.gives
        if type == nil { type = try common(typed, spec) }
        let isWhole =
            switch spec.wholeness {
            case .never: false
            case .always: true
            case .ifArgumentsAre:
                typed.allSatisfy { $0.isWhole || $0.type != .number }
            }
        return Typed(
            expression: type == nil ? .null : .call(name, expressions), type: type,
            isWhole: isWhole, syntax: syntax)
    }

    /// The type that all arguments of any type have; `nil`: they are all null.
    private func common(
        _ arguments: [Typed], _ spec: FunctionSpec
    ) throws(ExpressionFailure) -> ExpressionType? {
        let alike = arguments.enumerated().filter { spec.parameter($0.offset).takes == .any }
            .map(\.element)
        guard let type = alike.lazy.compactMap(\.type).first else { return nil }
        for argument in alike { try want([type], argument, for: "this `\(spec.name)`") }
        return type
    }

    private func argument(
        _ argument: Syntax.Argument, _ parameter: FunctionSpec.Parameter, of spec: FunctionSpec
    ) throws(ExpressionFailure) -> Typed {
        if let word = argument.condition != nil ? "where" : argument.over != nil ? "over" : nil {
            throw ExpressionFailure(
                "aggregate-in-row", argument.offset,
                "`\(word)` belongs to an aggregate; `\(spec.name)` sees one row",
                expected: use.wanted, suggestion: "`if(…)`")
        }
        guard let syntax = argument.value else {
            throw ExpressionFailure(
                "bad-expression", argument.offset, "an argument is missing", expected: "a value")
        }
        switch parameter.takes {
        case .types(let types):
            let typed = try type(syntax)
            try want(types, typed, for: "`\(spec.name)`")
            return typed
        case .any: return try type(syntax)
        case .bounds: return try bounds(syntax, spec)
        case .pattern, .offset:
            guard case .text(let text) = syntax.kind else {
                let what = parameter.takes == .pattern ? "pattern" : "offset"
                throw ExpressionFailure(
                    "not-a-literal", syntax.offset,
                    "the \(what) of `\(spec.name)` is a text between quotes", expected: "a text",
                    suggestion: "`\"\(source(syntax))\"`")
            }
            return Typed(expression: .text(text), type: .text, syntax: syntax)
        case .column: return try readColumn(syntax, spec)
        }
    }

    private func bounds(
        _ syntax: Syntax, _ spec: FunctionSpec
    ) throws(ExpressionFailure) -> Typed {
        guard case .list(let literals) = syntax.kind else {
            throw ExpressionFailure(
                "not-a-literal", syntax.offset, "`\(spec.name)` takes its bounds between brackets",
                expected: "a list of numbers", suggestion: "`[\(source(syntax))]`")
        }
        var list: [RowExpression] = []
        for literal in literals {
            guard case .number = literal.kind else {
                throw ExpressionFailure(
                    "type-mismatch", literal.offset,
                    "\(shown(source(literal))) is not a number; bounds are", expected: "a number")
            }
            list.append(try type(literal).expression)
        }
        return Typed(expression: .list(list), type: .number, isWhole: true, syntax: syntax)
    }

    private func readColumn(
        _ syntax: Syntax, _ spec: FunctionSpec
    ) throws(ExpressionFailure) -> Typed {
        guard case .name(let name) = syntax.kind else {
            throw ExpressionFailure(
                "not-a-column", syntax.offset,
                "`\(spec.name)` asks why a column has no value, and this is not a column",
                expected: "the name of a column", suggestion: "`is null`")
        }
        let typed = try column(name, syntax)
        guard case .column(let place) = typed.expression, columns[place].isRead else {
            throw ExpressionFailure(
                "not-a-column", syntax.offset,
                "\(shown(name)) is computed: no record lacks it", expected: "a column of `schema`",
                suggestion: "`\(name) is null`")
        }
        return typed
    }

    /// Functions of a window.
    private static let aggregates: Set<String> = [
        "count", "sum", "mean", "sd", "min", "max", "quantile", "median", "distinct", "share",
        "null_share", "correlation", "psi", "ks", "js_distance", "hellinger", "total_variation",
        "l_infinity", "wasserstein", "chi_square", "change",
    ]

    private func unknownFunction(_ name: String, _ offset: Int) -> ExpressionFailure {
        let names = RowFunctions.specs.map(\.name)
        if Self.aggregates.contains(name) {
            let alike = ["min": "least", "max": "greatest"][name]
            return ExpressionFailure(
                "aggregate-in-row", offset, "`\(name)` needs a window; \(use.user) sees one row",
                expected: use.wanted,
                suggestion: alike.map { "`\($0)`, or a metric and a `when` monitor" }
                    ?? "a metric and a `when` monitor")
        }
        let aliases = [
            "avg": "mean", "len": "length", "ln": "log", "power": "pow", "ifnull": "coalesce",
            "nullif": "null_if", "iff": "if", "case": "if", "str": "text", "string": "text",
            "float": "number", "int": "number", "hour": "hour_of_day", "weekday": "day_of_week",
            "substr": "matches", "like": "matches", "regex": "matches", "trunc": "floor",
        ]
        let close = aliases[name.lowercased()].flatMap { names.contains($0) ? $0 : nil }
        return ExpressionFailure(
            "unknown-function", offset, "no function \(shown(name))",
            expected: "a row function: " + names.joined(separator: " "),
            suggestion: (close ?? nearest(name, names)).map { "`\($0)`" })
    }
}
