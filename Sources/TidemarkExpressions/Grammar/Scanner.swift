package import TidemarkLanguage
import TidemarkText

/// A word of an expression.
struct Lexeme {
    /// What it is.
    enum Token: Equatable {
        case number(Double)
        /// Milliseconds.
        case duration(Int64)
        case text(String)
        case name(String, isQuoted: Bool)
        case symbol(String)
        case end
    }

    var token: Token
    /// Place in the text, in characters.
    var offset: Int
    /// As it was written.
    var source: String
}

/// What is wrong with an expression, and where.
package struct ExpressionFailure: Error {
    /// Place in the text, in characters.
    package var offset: Int
    /// What is wrong there.
    package var problem: ScalarProblem

    /// A problem at a place.
    package init(
        _ rule: String, _ offset: Int, _ message: String, expected: String? = nil,
        suggestion: String? = nil
    ) {
        self.offset = offset
        problem = ScalarProblem(
            rule: rule, message: message, expected: expected, suggestion: suggestion)
    }
}

/// Without spaces at its ends.
func trimmed(_ text: String) -> String {
    var slice = Substring(text)
    while slice.first == " " { slice = slice.dropFirst() }
    while slice.last == " " { slice = slice.dropLast() }
    return String(slice)
}

/// Cuts the text of an expression into words.
struct ExpressionScanner {
    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var lexemes: [Lexeme] = []

    private static let comparisons = "== != < <= > >="

    /// The words of a text, `end` behind them.
    static func lexemes(_ text: String) throws(ExpressionFailure) -> [Lexeme] {
        var scanner = ExpressionScanner(scalars: Array(text.unicodeScalars))
        while let scalar = scanner.current { try scanner.scan(scalar) }
        scanner.lexemes.append(Lexeme(token: .end, offset: scanner.scalars.count, source: ""))
        return scanner.lexemes
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private var current: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    private mutating func scan(_ scalar: Unicode.Scalar) throws(ExpressionFailure) {
        switch scalar {
        case " ", "\n", "\t", "\r": index += 1
        case "0"..."9": try scanNumber()
        case _ where Self.isLetter(scalar):
            let from = index
            skipWord()
            add(.name(string(from, index), isQuoted: false), from)
        case "`", "\"", "'": try scanQuoted(scalar)
        default: try scanSymbol(scalar)
        }
    }

    // MARK: Numbers

    private mutating func scanNumber() throws(ExpressionFailure) {
        let from = index
        skipDigits(orUnderscores: true)
        skipFraction()
        skipExponent()
        let text = string(from, index)
        guard var value = Scalars.number(text) else {
            throw ExpressionFailure(
                "bad-number", from, "\(shown(text)) is not a number", expected: "a number")
        }
        if current == "%" {
            index += 1
            value /= 100
        } else if let next = current, Self.isLetter(next) {
            skipWord()
            let text = string(from, index)
            guard case .success(let ms) = Scalars.duration(text, "") else {
                throw ExpressionFailure(
                    "bad-number", from, "\(shown(text)) is not a number", expected: "a number")
            }
            add(.duration(ms), from)
            return
        }
        add(.number(value), from)
    }

    private mutating func skipDigits(orUnderscores: Bool = false) {
        while let next = current, Self.isDigit(next) || (orUnderscores && next == "_") {
            index += 1
        }
    }

    private mutating func skipFraction() {
        guard current == ".", index + 1 < scalars.count, Self.isDigit(scalars[index + 1]) else {
            return
        }
        index += 1
        skipDigits()
    }

    private mutating func skipExponent() {
        guard current == "e" || current == "E" else { return }
        var next = index + 1
        if next < scalars.count, scalars[next] == "-" || scalars[next] == "+" { next += 1 }
        guard next < scalars.count, Self.isDigit(scalars[next]) else { return }
        index = next
        skipDigits()
    }

    // MARK: Words

    private mutating func skipWord() {
        while let next = current, Self.isLetter(next) || Self.isDigit(next) { index += 1 }
    }

    /// A text, or the name of a column in backticks, which knows no escapes.
    private mutating func scanQuoted(_ quote: Unicode.Scalar) throws(ExpressionFailure) {
        let from = index
        index += 1
        var text = ""
        while let next = current, next != quote {
            if next == "\\", quote != "`", index + 1 < scalars.count,
                ["\\", "\"", "'"].contains(scalars[index + 1])
            {
                index += 1
            }
            text.unicodeScalars.append(scalars[index])
            index += 1
        }
        guard index < scalars.count else {
            throw ExpressionFailure(
                "bad-expression", from, "a quote that is never closed",
                expected: "a second \(quote)")
        }
        index += 1
        add(quote == "`" ? .name(text, isQuoted: true) : .text(text), from)
    }

    // MARK: Symbols

    private mutating func scanSymbol(_ scalar: Unicode.Scalar) throws(ExpressionFailure) {
        let from = index
        let two = index + 1 < scalars.count ? string(index, index + 2) : ""
        if ["==", "!=", "<=", ">="].contains(two) {
            index += 2
            add(.symbol(two), from)
            return
        }
        let one = String(scalar)
        switch one {
        case "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ",":
            if two == "<>" {
                throw ExpressionFailure(
                    "bad-expression", from, "`<>` is not an operator",
                    expected: Self.comparisons, suggestion: "`!=`")
            }
            index += 1
            add(.symbol(one), from)
        case "=":
            // As it should be: what stands around it with `==`.
            var end = from + 1
            while end < scalars.count, scalars[end] == " " { end += 1 }
            let whole =
                trimmed(string(0, from)) + " == " + trimmed(string(end, scalars.count))
            throw ExpressionFailure(
                "one-equals", from, "`=` is not an operator", expected: Self.comparisons,
                suggestion: "`\(whole)`")
        case "!", "&", "|":
            let word = one == "!" ? "not" : one == "&" ? "and" : "or"
            throw ExpressionFailure(
                "bad-expression", from, "\(shown(one)) is not an operator",
                expected: "and, or, not", suggestion: "`\(word)`")
        default:
            throw ExpressionFailure(
                "bad-expression", from, "\(shown(one)) has no meaning here",
                expected: "a row expression")
        }
    }

    private mutating func add(_ token: Lexeme.Token, _ from: Int) {
        lexemes.append(Lexeme(token: token, offset: from, source: string(from, index)))
    }

    private func string(_ from: Int, _ to: Int) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars[from..<to])
        return text
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
    }
}
