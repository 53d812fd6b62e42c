import CPattern
package import TidemarkLanguage
import TidemarkText

/// A regular expression in the syntax of RE2: time is linear in the text, and memory is bounded.
///
/// Several threads may look at once.
@safe
package final class Pattern: @unchecked Sendable {
    private let handle: OpaquePointer

    /// What the expression and its automata take at most, bytes.
    private static let memoryMax: Int64 = 1 << 20

    /// Why a text is no regular expression.
    package struct Problem: Error {
        /// In the words of RE2.
        package var message: String
        /// Where the wrong part stands, in characters.
        package var offset: Int
    }

    /// Compiles an expression.
    package init(_ text: String) throws(Problem) {
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
    package func occurs(in text: UnsafeRawBufferPointer) -> Bool {
        unsafe tm_pattern_matches(
            handle, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
    }

    /// What is wrong with an expression, in the words of a message; `nil`: nothing.
    package static func problem(_ text: String) -> ScalarProblem? {
        do throws(Problem) {
            _ = try Pattern(text)
            return nil
        } catch {
            let part = String(String.UnicodeScalarView(text.unicodeScalars.dropFirst(error.offset)))
            return ScalarProblem(
                rule: "bad-pattern",
                message: "\(shown(part)) is not a regular expression: \(error.message)",
                expected: "the syntax of RE2, like \"^[0-9]{4}[A-Z]{2}$\"", suggestion: nil)
        }
    }
}
