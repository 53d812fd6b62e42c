import CPattern
import TidemarkLanguage
import TidemarkText

/// A regular expression in the syntax of RE2: time is linear in the text, and memory is bounded.
@safe
final class Pattern {
    private let handle: OpaquePointer

    /// What the expression and its automata take at most, bytes.
    static let memoryMax: Int64 = 1 << 20

    /// Why a text is no regular expression.
    struct Problem: Error {
        /// In the words of RE2.
        var message: String
        /// Where the wrong part stands, in characters.
        var offset: Int
    }

    /// Compiles an expression.
    init(_ text: String) throws(Problem) {
        let bytes = Array(text.utf8)
        var at = 0
        var letters = [CChar](repeating: 0, count: 160)
        let made = unsafe tm_pattern_new(
            bytes, bytes.count, Self.memoryMax, &letters, letters.count, &at)
        guard let made = unsafe made else {
            let end = letters.firstIndex(of: 0) ?? letters.count
            let message = letters[..<end].map { UInt8(bitPattern: $0) }
            let before = bytes[..<min(at, bytes.count)]
            throw Problem(
                message: String(decoding: message, as: UTF8.self),
                offset: at >= bytes.count
                    ? 0 : String(decoding: before, as: UTF8.self).unicodeScalars.count)
        }
        unsafe handle = made
    }

    deinit { unsafe tm_pattern_free(handle) }

    /// Whether it occurs in a text.
    func occurs(in text: UnsafeRawBufferPointer) -> Bool {
        unsafe tm_pattern_matches(
            handle, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
    }
}

enum MatchesFunction: RowFunction {
    static let spec = FunctionSpec(
        "matches", [.init("t", .text), .init("pattern", .pattern)], gives: .boolean,
        "whether the regular expression (RE2) occurs in t; `^` and `$` tie it to the ends")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        guard case .text(let text) = site.arguments[1], let pattern = try? Pattern(text) else {
            preconditionFailure("the pattern was compiled when it was read")
        }
        let memo = unsafe site.memo(input, null: Truth.null) {
            unsafe Truth.of(pattern.occurs(in: $0))
        }
        return { rows in
            memo.catchUp()
            unsafe memo.look(input.codes(rows), rows.count, into: out.truths(rows))
            return false
        }
    }

    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)? {
        guard case .text(let text) = arguments[1] else { return nil }
        do throws(Pattern.Problem) {
            _ = try Pattern(text)
            return nil
        } catch {
            let part = String(String.UnicodeScalarView(text.unicodeScalars.dropFirst(error.offset)))
            return argumentProblem(
                1, "bad-pattern", "\(shown(part)) is not a regular expression: \(error.message)",
                expected: "the syntax of RE2, like \"^[0-9]{4}[A-Z]{2}$\"")
        }
    }
}
