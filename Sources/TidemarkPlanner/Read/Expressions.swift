import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Reads row expressions: from text to a typed tree, errors with their place.
struct ExpressionReader {
    /// A part with its type; `nil` type: only `null`.
    private struct Typed {
        var expression: RowExpression
        var type: ExpressionType?
        var offset: Int
        /// As it was written.
        var source: String
    }

    private static let depthMax = 64
    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "is", "null", "true", "false", "where", "over",
    ]

    private let columns: [ColumnPlan]
    private var lexemes: [Lexeme] = []
    private var position = 0
    private var depth = 0
    private let scalars: [Unicode.Scalar]
    private(set) var used: Set<Int> = []

    private init(_ text: String, columns: [ColumnPlan]) {
        self.columns = columns
        scalars = Array(text.unicodeScalars)
    }

    /// The condition that `node` holds; `nil` after saying why not.
    static func condition(
        _ node: Node, what: String, columns: [ColumnPlan], reading: Reading
    ) -> (expression: RowExpression, columns: Set<Int>)? {
        guard let text = reading.text(node, expected: "a row condition") else { return nil }
        var reader = ExpressionReader(text, columns: columns)
        do throws(ExpressionFailure) {
            guard text.utf8.count <= 4096 else {
                throw ExpressionFailure(
                    "too-long", 0, "the expression has \(text.utf8.count) bytes",
                    expected: "at most 4 KiB")
            }
            reader.lexemes = try ExpressionScanner.lexemes(text)
            let typed = try reader.readAll(what: what)
            return (typed.expression, reader.used)
        } catch {
            var place = node.place
            if case .scalar(let raw, let style) = node.kind, raw == text {
                switch style {
                case .plain: place.column += error.offset
                case .quoted: place.column += error.offset + 1
                case .block: break
                }
            }
            reading.say(
                error.problem.rule, at: place, error.problem.message,
                expected: error.problem.expected, suggestion: error.problem.suggestion)
            return nil
        }
    }

    // MARK: Grammar

    private var next: Lexeme { lexemes[min(position, lexemes.count - 1)] }

    private mutating func take() -> Lexeme {
        let lexeme = next
        position += 1
        return lexeme
    }

    private mutating func take(symbol: String) -> Bool {
        guard next.token == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: String) -> Bool {
        guard next.token == .name(word, isQuoted: false) else { return false }
        position += 1
        return true
    }

    private mutating func readAll(what: String) throws(ExpressionFailure) -> Typed {
        let typed = try or()
        guard next.token == .end else {
            throw ExpressionFailure(
                "bad-expression", next.offset, "\(shown(next.source)) is not expected here",
                expected: "and, or, or the end")
        }
        guard typed.type == .boolean || typed.type == nil else {
            throw ExpressionFailure(
                "not-a-condition", typed.offset, "this is \(word(typed.type))",
                expected: "true or false",
                suggestion: "a comparison, `\(trimmed(typed.source)) > 0`")
        }
        return typed
    }

    private func word(_ type: ExpressionType?) -> String {
        switch type {
        case .number: "a number"
        case .text: "text"
        case .boolean: "a condition"
        case nil: "null"
        }
    }

    private func typed(_ e: RowExpression, _ type: ExpressionType?, from offset: Int) -> Typed {
        let end = next.offset
        return Typed(
            expression: e, type: type, offset: offset, source: source(offset, max(offset, end)))
    }

    private func want(_ type: ExpressionType, _ part: Typed, for what: String)
        throws(ExpressionFailure)
    {
        guard part.type == type || part.type == nil else {
            throw ExpressionFailure(
                "type-mismatch", part.offset,
                "\(shown(trimmed(part.source))) is \(word(part.type)); \(what) takes \(word(type))",
                expected: word(type))
        }
    }

    private mutating func enter() throws(ExpressionFailure) {
        depth += 1
        if depth > Self.depthMax {
            throw ExpressionFailure(
                "too-deep", next.offset, "nested more than 64 deep", expected: "at most 64")
        }
    }

    private mutating func or() throws(ExpressionFailure) -> Typed {
        try enter()
        defer { depth -= 1 }
        var left = try and()
        while next.token == .name("or", isQuoted: false) {
            position += 1
            let right = try and()
            try want(.boolean, left, for: "`or`")
            try want(.boolean, right, for: "`or`")
            left = typed(.or(left.expression, right.expression), .boolean, from: left.offset)
        }
        return left
    }

    private mutating func and() throws(ExpressionFailure) -> Typed {
        var left = try not()
        while next.token == .name("and", isQuoted: false) {
            position += 1
            let right = try not()
            try want(.boolean, left, for: "`and`")
            try want(.boolean, right, for: "`and`")
            left = typed(.and(left.expression, right.expression), .boolean, from: left.offset)
        }
        return left
    }

    private mutating func not() throws(ExpressionFailure) -> Typed {
        let offset = next.offset
        guard take(word: "not") else { return try comparison() }
        try enter()
        defer { depth -= 1 }
        let inner = try not()
        try want(.boolean, inner, for: "`not`")
        return typed(.not(inner.expression), .boolean, from: offset)
    }

    private mutating func comparison() throws(ExpressionFailure) -> Typed {
        let left = try sum()
        if take(word: "is") {
            let isNot = take(word: "not")
            guard take(word: "null") else {
                throw ExpressionFailure(
                    "bad-expression", next.offset, "`is` asks for null only",
                    expected: "`is null` or `is not null`", suggestion: "`==`")
            }
            let test = RowExpression.isNull(left.expression)
            return typed(isNot ? .not(test) : test, .boolean, from: left.offset)
        }
        let before = position
        let isNot = take(word: "not")
        if take(word: "in") {
            let literals = try literals(like: left)
            let test = RowExpression.isIn(left.expression, literals)
            return typed(isNot ? .not(test) : test, .boolean, from: left.offset)
        }
        position = before
        guard case .symbol(let symbol) = next.token, let comparison = Self.comparison(symbol) else {
            return left
        }
        position += 1
        let right = try sum()
        try check(left, right, symbol)
        let result = typed(
            .compare(comparison, left.expression, right.expression), .boolean, from: left.offset)
        if case .symbol(let another) = next.token, Self.comparison(another) != nil {
            throw ExpressionFailure(
                "bad-expression", next.offset, "comparisons don't chain", expected: "and",
                suggestion: "`\(trimmed(result.source)) and \(trimmed(right.source)) \(another) …`")
        }
        return result
    }

    private static func comparison(_ symbol: String) -> RowExpression.Comparison? {
        switch symbol {
        case "==": .equal
        case "!=": .notEqual
        case "<": .less
        case "<=": .lessOrEqual
        case ">": .greater
        case ">=": .greaterOrEqual
        default: nil
        }
    }

    /// Both sides of one type; booleans only for equality.
    private func check(_ left: Typed, _ right: Typed, _ symbol: String) throws(ExpressionFailure) {
        if left.type == nil || right.type == nil {
            let value = left.type == nil ? right : left
            throw ExpressionFailure(
                "compares-null", left.type == nil ? left.offset : right.offset,
                "a comparison with null is null, never true", expected: "`is null`",
                suggestion: "`\(trimmed(value.source)) is \(symbol == "!=" ? "not " : "")null`")
        }
        guard left.type == right.type else {
            // A text that reads as the other side's type needs no quotes.
            var suggestion: String?
            if left.type == .number, case .text(let text) = right.expression,
                Scalars.number(text) != nil
            {
                suggestion = "`\(trimmed(left.source)) \(symbol) \(text)`"
            } else if left.type == .boolean, case .text(let text) = right.expression,
                text == "true" || text == "false"
            {
                suggestion = "`\(trimmed(left.source)) \(symbol) \(text)`"
            } else if left.type == .text {
                let text = trimmed(right.source)
                suggestion = "`\(trimmed(left.source)) \(symbol) \"\(text)\"`"
            }
            throw ExpressionFailure(
                "type-mismatch", right.offset,
                "\(shown(trimmed(left.source))) is \(word(left.type)), "
                    + "\(shown(trimmed(right.source))) is \(word(right.type))",
                expected: word(left.type), suggestion: suggestion)
        }
        if left.type == .boolean, symbol != "==", symbol != "!=" {
            throw ExpressionFailure(
                "type-mismatch", left.offset, "true and false cannot be compared by size",
                expected: "== or !=")
        }
    }

    private mutating func literals(like left: Typed) throws(ExpressionFailure) -> [RowExpression] {
        guard take(symbol: "[") else {
            throw ExpressionFailure(
                "bad-expression", next.offset, "`in` takes a list", expected: "[ … ]",
                suggestion: "`\(trimmed(left.source)) in [\(next.source)]`")
        }
        var list: [RowExpression] = []
        repeat {
            let offset = next.offset
            let isNegative = take(symbol: "-")
            let lexeme = take()
            var literal: RowExpression
            let type: ExpressionType
            switch lexeme.token {
            case .number(let value):
                (literal, type) = (.number(isNegative ? -value : value), .number)
            case .text(let text) where !isNegative: (literal, type) = (.text(text), .text)
            case .name("true", false) where !isNegative:
                (literal, type) = (.boolean(true), .boolean)
            case .name("false", false) where !isNegative:
                (literal, type) = (.boolean(false), .boolean)
            default:
                throw ExpressionFailure(
                    "bad-expression", lexeme.offset, "\(shown(lexeme.source)) is not a literal",
                    expected: "a number or quoted text",
                    suggestion: lexeme.source.isEmpty ? nil : "`\"\(lexeme.source)\"`")
            }
            // A boolean column holds the texts `true` and `false`.
            if case .boolean(let value) = literal { literal = .text(value ? "true" : "false") }
            guard type == left.type else {
                throw ExpressionFailure(
                    "type-mismatch", offset,
                    "\(shown(trimmed(left.source))) is \(word(left.type)), "
                        + "\(shown(lexeme.source)) is \(word(type))", expected: word(left.type))
            }
            list.append(literal)
            guard list.count <= 1000 else {
                throw ExpressionFailure(
                    "too-many", offset, "more than 1000 literals", expected: "at most 1000")
            }
        } while take(symbol: ",")
        guard take(symbol: "]") else {
            throw ExpressionFailure(
                "bad-expression", next.offset, "the list is not closed", expected: "`,` or `]`")
        }
        return list
    }

    private mutating func sum() throws(ExpressionFailure) -> Typed {
        var left = try product()
        while next.token == .symbol("+") || next.token == .symbol("-") {
            let symbol = take().source
            let right = try product()
            try want(.number, left, for: "`\(symbol)`")
            try want(.number, right, for: "`\(symbol)`")
            left = typed(
                .arithmetic(symbol == "+" ? .add : .subtract, left.expression, right.expression),
                .number, from: left.offset)
        }
        return left
    }

    private mutating func product() throws(ExpressionFailure) -> Typed {
        var left = try unary()
        while next.token == .symbol("*") || next.token == .symbol("/") {
            let symbol = take().source
            let right = try unary()
            try want(.number, left, for: "`\(symbol)`")
            try want(.number, right, for: "`\(symbol)`")
            left = typed(
                .arithmetic(symbol == "*" ? .multiply : .divide, left.expression, right.expression),
                .number, from: left.offset)
        }
        return left
    }

    private mutating func unary() throws(ExpressionFailure) -> Typed {
        let offset = next.offset
        guard take(symbol: "-") else { return try atom() }
        let inner = try atom()
        try want(.number, inner, for: "`-`")
        if case .number(let value) = inner.expression {
            return typed(.number(-value), .number, from: offset)
        }
        return typed(.negate(inner.expression), .number, from: offset)
    }

    private mutating func atom() throws(ExpressionFailure) -> Typed {
        let lexeme = take()
        switch lexeme.token {
        case .number(let value): return typed(.number(value), .number, from: lexeme.offset)
        case .text(let text): return typed(.text(text), .text, from: lexeme.offset)
        case .symbol("("):
            let inner = try or()
            guard take(symbol: ")") else {
                throw ExpressionFailure(
                    "bad-expression", next.offset, "a parenthesis is not closed", expected: "`)`")
            }
            return typed(inner.expression, inner.type, from: lexeme.offset)
        case .name(let name, let isQuoted):
            if !isQuoted {
                switch name {
                case "true", "false":
                    return typed(.boolean(name == "true"), .boolean, from: lexeme.offset)
                case "null": return typed(.null, nil, from: lexeme.offset)
                default: break
                }
                if next.token == .symbol("(") { return try call(name, lexeme.offset) }
                if Self.keywords.contains(name) {
                    throw ExpressionFailure(
                        "bad-expression", lexeme.offset, "\(shown(name)) is not expected here",
                        expected: "a value")
                }
            }
            return try column(name, lexeme)
        case .symbol, .end:
            throw ExpressionFailure(
                "bad-expression", lexeme.offset,
                lexeme.token == .end
                    ? "the expression ends too early"
                    : "\(shown(lexeme.source)) is not expected here",
                expected: "a value")
        }
    }

    private mutating func column(_ name: String, _ lexeme: Lexeme) throws(ExpressionFailure)
        -> Typed
    {
        guard let index = columns.firstIndex(where: { $0.name == name }) else {
            let close = nearest(name, columns.map(\.name))
            let isUpper = ["AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE"].contains(name)
            throw ExpressionFailure(
                isUpper ? "bad-expression" : "unknown-column", lexeme.offset,
                isUpper ? "\(shown(name)) is written in lower case" : "no column \(shown(name))",
                expected: isUpper ? name.lowercased() : someOf(columns.map(\.name), near: name),
                suggestion: isUpper
                    ? "`\(name.lowercased())`"
                    : close.map { "`\($0)`" } ?? "`\"\(name)\"`, if it is a text")
        }
        used.insert(index)
        let type: ExpressionType =
            switch columns[index].type {
            case .number, .integer: .number
            case .category, .text: .text
            case .boolean: .boolean
            case .time: .number
            }
        if case .time = columns[index].type {
            throw ExpressionFailure(
                "later", lexeme.offset, "times in expressions come in a later version",
                expected: "another column")
        }
        return typed(.column(index), type, from: lexeme.offset)
    }

    private mutating func call(_ name: String, _ offset: Int) throws(ExpressionFailure) -> Typed {
        let function = try RowFunction.named(name, at: offset)
        _ = take(symbol: "(")
        var arguments: [Typed] = []
        if next.token != .symbol(")") {
            repeat { arguments.append(try or()) } while take(symbol: ",") && arguments.count < 32
        }
        guard take(symbol: ")") else {
            throw ExpressionFailure(
                "bad-expression", next.offset, "`\(name)(` is not closed", expected: "`,` or `)`")
        }
        let (count, takes, gives) = function.signature
        guard count.contains(arguments.count) else {
            let wanted =
                count.count == 1
                ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
            throw ExpressionFailure(
                "argument-count", offset, "`\(name)` has \(arguments.count) arguments",
                expected: wanted)
        }
        if let takes {
            for argument in arguments { try want(takes, argument, for: "`\(name)`") }
        }
        let type = function == .coalesce ? try common(arguments, offset) : gives
        return typed(.call(function, arguments.map(\.expression)), type, from: offset)
    }

    /// The type that all arguments of `coalesce` have; `nil`: they are all null.
    private func common(
        _ arguments: [Typed], _ offset: Int
    ) throws(ExpressionFailure) -> ExpressionType? {
        guard let type = arguments.lazy.compactMap(\.type).first else { return nil }
        for argument in arguments { try want(type, argument, for: "this `coalesce`") }
        if type == .boolean {
            throw ExpressionFailure(
                "later", offset, "`coalesce` of conditions comes in a later version",
                expected: "numbers or texts")
        }
        return type
    }

    private func source(_ from: Int, _ to: Int) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[from..<to])
        return text
    }
}
