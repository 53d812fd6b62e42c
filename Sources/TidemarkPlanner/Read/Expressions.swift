import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Reads row expressions: from text to a typed tree, errors with their place.
struct ExpressionReader {
    private enum Token: Equatable {
        case number(Double)
        case text(String)
        case name(String, isQuoted: Bool)
        case symbol(String)
        case end
    }

    private struct Lexeme {
        var token: Token
        /// Place in the text, in characters.
        var offset: Int
        var source: String
    }

    private struct Failure: Error {
        var offset: Int
        var problem: ScalarProblem
    }

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
    private static let aggregates: Set<String> = [
        "count", "sum", "mean", "sd", "min", "max", "quantile", "median", "distinct", "share",
        "null_share", "correlation", "psi", "ks", "js_distance", "hellinger", "total_variation",
        "l_infinity", "wasserstein", "chi_square", "change",
    ]
    private static let laterFunctions: Set<String> = [
        "log10", "sign", "pow", "mod", "clamp", "if", "null_if", "hour_of_day", "day_of_week",
        "seconds", "matches", "bucket", "missing", "wrong_type", "non_finite", "text", "number",
    ]

    private let columns: [ColumnPlan]
    private var lexemes: [Lexeme] = []
    private var position = 0
    private var depth = 0
    private var scalars: [Unicode.Scalar]
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
        do throws(Failure) {
            guard text.utf8.count <= 4096 else {
                throw Failure(
                    offset: 0,
                    problem: ScalarProblem(
                        rule: "too-long", message: "the expression has \(text.utf8.count) bytes",
                        expected: "at most 4 KiB", suggestion: nil))
            }
            try reader.scan()
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

    private func failure(
        _ rule: String, _ offset: Int, _ message: String, expected: String? = nil,
        suggestion: String? = nil
    ) -> Failure {
        Failure(
            offset: offset,
            problem: ScalarProblem(
                rule: rule, message: message, expected: expected, suggestion: suggestion))
    }

    // MARK: Words

    private mutating func scan() throws(Failure) {
        var index = 0
        func isDigit(_ s: Unicode.Scalar) -> Bool { (0x30...0x39).contains(s.value) }
        func isLetter(_ s: Unicode.Scalar) -> Bool {
            (0x61...0x7a).contains(s.value) || (0x41...0x5a).contains(s.value) || s == "_"
        }
        while index < scalars.count {
            let from = index
            let scalar = scalars[index]
            if scalar == " " || scalar == "\n" || scalar == "\t" || scalar == "\r" {
                index += 1
                continue
            }
            if isDigit(scalar) {
                while index < scalars.count, isDigit(scalars[index]) || scalars[index] == "_" {
                    index += 1
                }
                if index + 1 < scalars.count, scalars[index] == ".", isDigit(scalars[index + 1]) {
                    index += 1
                    while index < scalars.count, isDigit(scalars[index]) { index += 1 }
                }
                if index < scalars.count, scalars[index] == "e" || scalars[index] == "E" {
                    var next = index + 1
                    if next < scalars.count, scalars[next] == "-" || scalars[next] == "+" {
                        next += 1
                    }
                    if next < scalars.count, isDigit(scalars[next]) {
                        index = next
                        while index < scalars.count, isDigit(scalars[index]) { index += 1 }
                    }
                }
                let text = string(from, index)
                guard var value = Scalars.number(text) else {
                    throw failure(
                        "bad-number", from, "\(shown(text)) is not a number", expected: "a number")
                }
                if index < scalars.count, scalars[index] == "%" {
                    index += 1
                    value /= 100
                } else if index < scalars.count, isLetter(scalars[index]) {
                    while index < scalars.count, isLetter(scalars[index]) || isDigit(scalars[index])
                    {
                        index += 1
                    }
                    let isDuration =
                        if case .success = Scalars.duration(string(from, index), "") { true } else {
                            false
                        }
                    throw failure(
                        isDuration ? "later" : "bad-number", from,
                        isDuration
                            ? "durations in expressions come in a later version"
                            : "\(shown(string(from, index))) is not a number", expected: "a number")
                }
                add(.number(value), from, index)
                continue
            }
            if isLetter(scalar) {
                while index < scalars.count, isLetter(scalars[index]) || isDigit(scalars[index]) {
                    index += 1
                }
                add(.name(string(from, index), isQuoted: false), from, index)
                continue
            }
            if scalar == "`" || scalar == "\"" || scalar == "'" {
                index += 1
                var text = ""
                while index < scalars.count, scalars[index] != scalar {
                    if scalars[index] == "\\", scalar != "`", index + 1 < scalars.count,
                        ["\\", "\"", "'"].contains(scalars[index + 1])
                    {
                        index += 1
                    }
                    text.unicodeScalars.append(scalars[index])
                    index += 1
                }
                guard index < scalars.count else {
                    throw failure(
                        "bad-expression", from, "a quote that is never closed",
                        expected: "a second \(scalar)")
                }
                index += 1
                add(scalar == "`" ? .name(text, isQuoted: true) : .text(text), from, index)
                continue
            }
            let two = index + 1 < scalars.count ? string(index, index + 2) : ""
            if ["==", "!=", "<=", ">="].contains(two) {
                index += 2
                add(.symbol(two), from, index)
                continue
            }
            let one = String(scalar)
            let rest = index + 1 < scalars.count ? Character(scalars[index + 1]) : " "
            switch one {
            case "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ",":
                index += 1
                if one == "<", rest == ">" {
                    throw failure(
                        "bad-expression", from, "`<>` is not an operator",
                        expected: "== != < <= > >=", suggestion: "`!=`")
                }
                add(.symbol(one), from, index)
            case "=":
                // As it should be: what stands around it with `==`.
                let before = string(0, from)
                var end = from + 1
                while end < scalars.count, scalars[end] == " " { end += 1 }
                let whole = trim(before) + " == " + trim(string(end, scalars.count))
                throw failure(
                    "one-equals", from, "`=` is not an operator", expected: "== != < <= > >=",
                    suggestion: "`\(whole)`")
            case "!", "&", "|":
                let word = one == "!" ? "not" : one == "&" ? "and" : "or"
                throw failure(
                    "bad-expression", from, "\(shown(one)) is not an operator",
                    expected: "and, or, not", suggestion: "`\(word)`")
            default:
                throw failure(
                    "bad-expression", from, "\(shown(one)) has no meaning here",
                    expected: "a row expression")
            }
        }
        lexemes.append(Lexeme(token: .end, offset: scalars.count, source: ""))
    }

    private mutating func add(_ token: Token, _ from: Int, _ to: Int) {
        lexemes.append(Lexeme(token: token, offset: from, source: string(from, to)))
    }

    private func string(_ from: Int, _ to: Int) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[from..<to])
        return text
    }

    private func trim(_ text: String) -> String {
        var slice = Substring(text)
        while slice.first == " " { slice = slice.dropFirst() }
        while slice.last == " " { slice = slice.dropLast() }
        return String(slice)
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

    private mutating func readAll(what: String) throws(Failure) -> Typed {
        let typed = try or()
        guard next.token == .end else {
            throw failure(
                "bad-expression", next.offset, "\(shown(next.source)) can't follow here",
                expected: "and, or, or the end")
        }
        guard typed.type == .boolean || typed.type == nil else {
            throw failure(
                "not-a-condition", typed.offset, "this is \(word(typed.type))",
                expected: "true or false", suggestion: "a comparison, `\(trim(typed.source)) > 0`")
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
            expression: e, type: type, offset: offset, source: string(offset, max(offset, end)))
    }

    private func want(_ type: ExpressionType, _ part: Typed, for what: String) throws(Failure) {
        guard part.type == type || part.type == nil else {
            throw failure(
                "type-mismatch", part.offset,
                "\(shown(trim(part.source))) is \(word(part.type)); \(what) takes \(word(type))",
                expected: word(type))
        }
    }

    private mutating func enter() throws(Failure) {
        depth += 1
        if depth > Self.depthMax {
            throw failure(
                "too-deep", next.offset, "nested more than 64 deep", expected: "at most 64")
        }
    }

    private mutating func or() throws(Failure) -> Typed {
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

    private mutating func and() throws(Failure) -> Typed {
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

    private mutating func not() throws(Failure) -> Typed {
        let offset = next.offset
        guard take(word: "not") else { return try comparison() }
        try enter()
        defer { depth -= 1 }
        let inner = try not()
        try want(.boolean, inner, for: "`not`")
        return typed(.not(inner.expression), .boolean, from: offset)
    }

    private mutating func comparison() throws(Failure) -> Typed {
        let left = try sum()
        if take(word: "is") {
            let isNot = take(word: "not")
            guard take(word: "null") else {
                throw failure(
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
            throw failure(
                "bad-expression", next.offset, "comparisons don't chain", expected: "and",
                suggestion: "`\(trim(result.source)) and \(trim(right.source)) \(another) …`")
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
    private func check(_ left: Typed, _ right: Typed, _ symbol: String) throws(Failure) {
        if left.type == nil || right.type == nil {
            let value = left.type == nil ? right : left
            throw failure(
                "compares-null", left.type == nil ? left.offset : right.offset,
                "a comparison with null is null, never true", expected: "`is null`",
                suggestion: "`\(trim(value.source)) is \(symbol == "!=" ? "not " : "")null`")
        }
        guard left.type == right.type else {
            // A text that reads as the other side's type needs no quotes.
            var suggestion: String?
            if left.type == .number, case .text(let text) = right.expression,
                Scalars.number(text) != nil
            {
                suggestion = "`\(trim(left.source)) \(symbol) \(text)`"
            } else if left.type == .boolean, case .text(let text) = right.expression,
                text == "true" || text == "false"
            {
                suggestion = "`\(trim(left.source)) \(symbol) \(text)`"
            } else if left.type == .text {
                let text = trim(right.source)
                suggestion = "`\(trim(left.source)) \(symbol) \"\(text)\"`"
            }
            throw failure(
                "type-mismatch", right.offset,
                "\(shown(trim(left.source))) is \(word(left.type)), "
                    + "\(shown(trim(right.source))) is \(word(right.type))",
                expected: word(left.type), suggestion: suggestion)
        }
        if left.type == .boolean, symbol != "==", symbol != "!=" {
            throw failure(
                "type-mismatch", left.offset, "conditions have no order", expected: "== or !=")
        }
    }

    private mutating func literals(like left: Typed) throws(Failure) -> [RowExpression] {
        guard take(symbol: "[") else {
            throw failure(
                "bad-expression", next.offset, "`in` takes a list", expected: "[ … ]",
                suggestion: "`\(trim(left.source)) in [\(next.source)]`")
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
                throw failure(
                    "bad-expression", lexeme.offset, "\(shown(lexeme.source)) is not a literal",
                    expected: "a number or quoted text",
                    suggestion: lexeme.source.isEmpty ? nil : "`\"\(lexeme.source)\"`")
            }
            // A boolean column holds the texts `true` and `false`.
            if case .boolean(let value) = literal { literal = .text(value ? "true" : "false") }
            guard type == left.type else {
                throw failure(
                    "type-mismatch", offset,
                    "\(shown(trim(left.source))) is \(word(left.type)), "
                        + "\(shown(lexeme.source)) is \(word(type))", expected: word(left.type))
            }
            list.append(literal)
            guard list.count <= 1000 else {
                throw failure(
                    "too-many", offset, "more than 1000 literals", expected: "at most 1000")
            }
        } while take(symbol: ",")
        guard take(symbol: "]") else {
            throw failure(
                "bad-expression", next.offset, "the list is not closed", expected: "`,` or `]`")
        }
        return list
    }

    private mutating func sum() throws(Failure) -> Typed {
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

    private mutating func product() throws(Failure) -> Typed {
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

    private mutating func unary() throws(Failure) -> Typed {
        let offset = next.offset
        guard take(symbol: "-") else { return try atom() }
        let inner = try atom()
        try want(.number, inner, for: "`-`")
        if case .number(let value) = inner.expression {
            return typed(.number(-value), .number, from: offset)
        }
        return typed(.negate(inner.expression), .number, from: offset)
    }

    private mutating func atom() throws(Failure) -> Typed {
        let lexeme = take()
        switch lexeme.token {
        case .number(let value): return typed(.number(value), .number, from: lexeme.offset)
        case .text(let text): return typed(.text(text), .text, from: lexeme.offset)
        case .symbol("("):
            let inner = try or()
            guard take(symbol: ")") else {
                throw failure(
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
                    throw failure(
                        "bad-expression", lexeme.offset, "\(shown(name)) can't stand here",
                        expected: "a value")
                }
            }
            return try column(name, lexeme)
        case .symbol, .end:
            throw failure(
                "bad-expression", lexeme.offset,
                lexeme.token == .end
                    ? "the expression ends too early" : "\(shown(lexeme.source)) can't stand here",
                expected: "a value")
        }
    }

    private mutating func column(_ name: String, _ lexeme: Lexeme) throws(Failure) -> Typed {
        guard let index = columns.firstIndex(where: { $0.name == name }) else {
            let close = nearest(name, columns.map(\.name))
            let isUpper = ["AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE"].contains(name)
            throw failure(
                isUpper ? "bad-expression" : "unknown-column", lexeme.offset,
                isUpper ? "\(shown(name)) is written in small letters" : "no column \(shown(name))",
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
            throw failure(
                "later", lexeme.offset, "times in expressions come in a later version",
                expected: "another column")
        }
        return typed(.column(index), type, from: lexeme.offset)
    }

    private mutating func call(_ name: String, _ offset: Int) throws(Failure) -> Typed {
        guard let function = RowFunction(rawValue: name) else {
            if Self.aggregates.contains(name) {
                throw failure(
                    "aggregate-in-row", offset, "`\(name)` needs a window; a filter sees one row",
                    expected: "a row condition", suggestion: "a metric and a `when` monitor")
            }
            if Self.laterFunctions.contains(name) {
                throw failure(
                    "later", offset, "`\(name)` comes in a later version",
                    expected: RowFunction.allCases.map(\.rawValue).joined(separator: " "))
            }
            throw failure(
                "unknown-function", offset, "no function \(shown(name))",
                expected: "a row function: "
                    + RowFunction.allCases.map(\.rawValue).joined(separator: " "),
                suggestion: nearest(name, RowFunction.allCases.map(\.rawValue)).map { "`\($0)`" })
        }
        _ = take(symbol: "(")
        var arguments: [Typed] = []
        if next.token != .symbol(")") {
            repeat { arguments.append(try or()) } while take(symbol: ",") && arguments.count < 32
        }
        guard take(symbol: ")") else {
            throw failure(
                "bad-expression", next.offset, "`\(name)(` is not closed", expected: "`,` or `)`")
        }
        let count: ClosedRange<Int>
        let takes: ExpressionType?
        let gives: ExpressionType?
        switch function {
        case .abs, .floor, .ceil, .sqrt, .exp, .log:
            (count, takes, gives) = (1...1, .number, .number)
        case .round: (count, takes, gives) = (1...2, .number, .number)
        case .least, .greatest: (count, takes, gives) = (1...32, .number, .number)
        case .coalesce: (count, takes, gives) = (1...32, nil, nil)
        case .lower, .upper: (count, takes, gives) = (1...1, .text, .text)
        case .length: (count, takes, gives) = (1...1, .text, .number)
        case .startsWith, .endsWith, .contains: (count, takes, gives) = (2...2, .text, .boolean)
        }
        guard count.contains(arguments.count) else {
            let wanted =
                count.count == 1
                ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
            throw failure(
                "argument-count", offset, "`\(name)` has \(arguments.count) arguments",
                expected: wanted)
        }
        if let takes {
            for argument in arguments { try want(takes, argument, for: "`\(name)`") }
        }
        var result = gives
        if function == .coalesce {
            result = arguments.lazy.compactMap(\.type).first
            if let result {
                for argument in arguments { try want(result, argument, for: "this `coalesce`") }
            }
            if result == .boolean {
                throw failure(
                    "later", offset, "`coalesce` of conditions comes in a later version",
                    expected: "numbers or texts")
            }
        }
        return typed(.call(function, arguments.map(\.expression)), result, from: offset)
    }
}
