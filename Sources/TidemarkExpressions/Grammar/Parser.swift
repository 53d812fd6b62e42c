import TidemarkLanguage
import TidemarkText

/// Reads an expression: from text to a tree that knows its places, whatever the parts mean.
package struct ExpressionParser {
    private static let depthMax = 64
    private static let byteCountMax = 4096
    private static let literalCountMax = 1000
    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "is", "null", "true", "false", "where", "over",
    ]

    private let scalars: [Unicode.Scalar]
    private let lexemes: [Lexeme]
    private var position = 0
    private var depth = 0

    /// The tree of a text.
    package static func parse(_ text: String) throws(ExpressionFailure) -> Syntax {
        guard text.utf8.count <= byteCountMax else {
            throw ExpressionFailure(
                "too-long", 0, "the expression has \(text.utf8.count) bytes",
                expected: "at most 4 KiB")
        }
        var parser = ExpressionParser(
            scalars: Array(text.unicodeScalars), lexemes: try ExpressionScanner.lexemes(text))
        let syntax = try parser.or()
        guard parser.next.token == .end else {
            throw ExpressionFailure(
                "bad-expression", parser.next.offset,
                "\(shown(parser.next.source)) is not expected here",
                expected: "and, or, or the end")
        }
        return syntax
    }

    private init(scalars: [Unicode.Scalar], lexemes: [Lexeme]) {
        self.scalars = scalars
        self.lexemes = lexemes
    }

    // MARK: Words

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

    /// A part that ends with the word taken last.
    private func syntax(_ kind: Syntax.Kind, from offset: Int) -> Syntax {
        let last = lexemes[max(0, min(position, lexemes.count) - 1)]
        return Syntax(
            kind: kind, offset: offset, end: last.offset + last.source.unicodeScalars.count)
    }

    private func source(_ syntax: Syntax) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[syntax.offset..<syntax.end])
        return text
    }

    private mutating func enter() throws(ExpressionFailure) {
        depth += 1
        if depth > Self.depthMax {
            throw ExpressionFailure(
                "too-deep", next.offset, "nested more than 64 deep", expected: "at most 64")
        }
    }

    // MARK: Grammar

    private mutating func or() throws(ExpressionFailure) -> Syntax {
        try enter()
        defer { depth -= 1 }
        var left = try and()
        while take(word: "or") {
            let right = try and()
            left = syntax(.or(left, right), from: left.offset)
        }
        return left
    }

    private mutating func and() throws(ExpressionFailure) -> Syntax {
        var left = try not()
        while take(word: "and") {
            let right = try not()
            left = syntax(.and(left, right), from: left.offset)
        }
        return left
    }

    private mutating func not() throws(ExpressionFailure) -> Syntax {
        let offset = next.offset
        guard take(word: "not") else { return try comparison() }
        try enter()
        defer { depth -= 1 }
        let inner = try not()
        return syntax(.not(inner), from: offset)
    }

    private mutating func comparison() throws(ExpressionFailure) -> Syntax {
        let left = try sum()
        if take(word: "is") {
            let isNot = take(word: "not")
            guard take(word: "null") else {
                throw ExpressionFailure(
                    "bad-expression", next.offset, "`is` asks for null only",
                    expected: "`is null` or `is not null`", suggestion: "`==`")
            }
            return syntax(.isNull(left, isNot: isNot), from: left.offset)
        }
        let before = position
        let isNot = take(word: "not")
        if take(word: "in") {
            guard next.token == .symbol("[") else {
                throw ExpressionFailure(
                    "bad-expression", next.offset, "`in` takes a list", expected: "[ … ]",
                    suggestion: "`\(source(left)) in [\(next.source)]`")
            }
            let literals = try literals()
            return syntax(.isIn(left, literals, isNot: isNot), from: left.offset)
        }
        position = before
        guard case .symbol(let symbol) = next.token, Self.comparisons.contains(symbol) else {
            return left
        }
        position += 1
        let right = try sum()
        let result = syntax(
            .compare(Syntax.Symbol(text: symbol), left, right), from: left.offset)
        if case .symbol(let another) = next.token, Self.comparisons.contains(another) {
            throw ExpressionFailure(
                "bad-expression", next.offset, "comparisons don't chain", expected: "and",
                suggestion: "`\(source(result)) and \(source(right)) \(another) …`")
        }
        return result
    }

    private static let comparisons: Set<String> = ["==", "!=", "<", "<=", ">", ">="]

    /// What stands between brackets.
    private mutating func literals() throws(ExpressionFailure) -> [Syntax] {
        _ = take(symbol: "[")
        var list: [Syntax] = []
        repeat {
            let offset = next.offset
            let isNegative = take(symbol: "-")
            let lexeme = take()
            guard let kind = Self.literal(lexeme.token, isNegative: isNegative) else {
                throw ExpressionFailure(
                    "bad-expression", lexeme.offset, "\(shown(lexeme.source)) is not a literal",
                    expected: "a number or quoted text",
                    suggestion: lexeme.source.isEmpty ? nil : "`\"\(lexeme.source)\"`")
            }
            list.append(syntax(kind, from: offset))
            guard list.count <= Self.literalCountMax else {
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

    private static func literal(_ token: Lexeme.Token, isNegative: Bool) -> Syntax.Kind? {
        switch token {
        case .number(let value): return .number(isNegative ? -value : value)
        case .duration(let ms): return .duration(isNegative ? -Double(ms) : Double(ms))
        case .text(let text) where !isNegative: return .text(text)
        case .name("true", false) where !isNegative: return .boolean(true)
        case .name("false", false) where !isNegative: return .boolean(false)
        case .name("null", false) where !isNegative: return .null
        default: return nil
        }
    }

    private mutating func sum() throws(ExpressionFailure) -> Syntax {
        var left = try product()
        while next.token == .symbol("+") || next.token == .symbol("-") {
            let symbol = Syntax.Symbol(text: take().source)
            let right = try product()
            left = syntax(.arithmetic(symbol, left, right), from: left.offset)
        }
        return left
    }

    private mutating func product() throws(ExpressionFailure) -> Syntax {
        var left = try unary()
        while next.token == .symbol("*") || next.token == .symbol("/") {
            let symbol = Syntax.Symbol(text: take().source)
            let right = try unary()
            left = syntax(.arithmetic(symbol, left, right), from: left.offset)
        }
        return left
    }

    private mutating func unary() throws(ExpressionFailure) -> Syntax {
        let offset = next.offset
        guard take(symbol: "-") else { return try atom() }
        let inner = try atom()
        switch inner.kind {
        case .number(let value): return syntax(.number(-value), from: offset)
        case .duration(let ms): return syntax(.duration(-ms), from: offset)
        default: return syntax(.negate(inner), from: offset)
        }
    }

    private mutating func atom() throws(ExpressionFailure) -> Syntax {
        let lexeme = take()
        switch lexeme.token {
        case .number(let value): return syntax(.number(value), from: lexeme.offset)
        case .duration(let ms): return syntax(.duration(Double(ms)), from: lexeme.offset)
        case .text(let text): return syntax(.text(text), from: lexeme.offset)
        case .symbol("("):
            let inner = try or()
            guard take(symbol: ")") else {
                throw ExpressionFailure(
                    "bad-expression", next.offset, "a parenthesis is not closed", expected: "`)`")
            }
            return syntax(inner.kind, from: lexeme.offset)
        case .name(let name, let isQuoted):
            if isQuoted { return syntax(.name(name), from: lexeme.offset) }
            return try word(name, lexeme)
        case .symbol, .end:
            throw ExpressionFailure(
                "bad-expression", lexeme.offset,
                lexeme.token == .end
                    ? "the expression ends too early"
                    : "\(shown(lexeme.source)) is not expected here",
                expected: "a value")
        }
    }

    /// A literal that is a word, a function or a name.
    private mutating func word(_ name: String, _ lexeme: Lexeme) throws(ExpressionFailure) -> Syntax
    {
        switch name {
        case "true", "false": return syntax(.boolean(name == "true"), from: lexeme.offset)
        case "null": return syntax(.null, from: lexeme.offset)
        default: break
        }
        if next.token == .symbol("(") { return try call(name, lexeme.offset) }
        if Self.keywords.contains(name) {
            throw ExpressionFailure(
                "bad-expression", lexeme.offset, "\(shown(name)) is not expected here",
                expected: "a value")
        }
        return syntax(.name(name), from: lexeme.offset)
    }

    private mutating func call(_ name: String, _ offset: Int) throws(ExpressionFailure) -> Syntax {
        _ = take(symbol: "(")
        var arguments: [Syntax.Argument] = []
        if next.token != .symbol(")") {
            repeat {
                arguments.append(try argument())
            } while take(symbol: ",") && arguments.count <= FunctionSpec.argumentCountMax
        }
        guard take(symbol: ")") else {
            throw ExpressionFailure(
                "bad-expression", next.offset, "`\(name)(` is not closed", expected: "`,` or `)`")
        }
        return syntax(.call(name, arguments), from: offset)
    }

    private mutating func argument() throws(ExpressionFailure) -> Syntax.Argument {
        var argument = Syntax.Argument(offset: next.offset)
        if next.token == .symbol("[") {
            let offset = next.offset
            argument.value = syntax(.list(try literals()), from: offset)
            argument.value?.end = syntax(.null, from: offset).end
            return argument
        }
        let isBare =
            next.token == .name("where", isQuoted: false)
            || next.token == .name("over", isQuoted: false)
        if !isBare { argument.value = try or() }
        if take(word: "where") { argument.condition = try or() }
        if take(word: "over") {
            let lexeme = take()
            guard case .name(let name, _) = lexeme.token else {
                throw ExpressionFailure(
                    "bad-expression", lexeme.offset,
                    "`over` takes the name of a baseline", expected: "a name")
            }
            argument.over = (name, lexeme.offset)
        }
        return argument
    }
}
