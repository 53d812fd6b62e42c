import TidemarkBatch
import TidemarkText

enum LowerFunction: TextFunction {
    static let spec = FunctionSpec("lower", [.init("t", .text)], gives: .text, "in small letters")
    static func apply(_ text: String) -> String { text.lowercased() }
}

enum UpperFunction: TextFunction {
    static let spec = FunctionSpec("upper", [.init("t", .text)], gives: .text, "in capitals")
    static func apply(_ text: String) -> String { text.uppercased() }
}

/// A function of one text that gives a text: worked out once a code.
protocol TextFunction: RowFunction {
    /// What it gives.
    static func apply(_ text: String) -> String
}

extension TextFunction {
    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        guard let texts = out.texts else { preconditionFailure("an output of texts") }
        let memo = unsafe site.memo(input, null: UInt32.max) { text in
            unsafe texts.code(of: Array(apply(String(decoding: text, as: UTF8.self)).utf8))
        }
        return { rows in
            memo.catchUp()
            unsafe memo.look(input.codes(rows), rows.count, into: out.codes(rows))
            return false
        }
    }
}

enum LengthFunction: RowFunction {
    static let spec = FunctionSpec(
        "length", [.init("t", .text)], gives: .number, whole: .always,
        "its number of characters (code points)")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        let memo = unsafe site.memo(input, null: Double.nan) { text in
            unsafe Double(String(decoding: text, as: UTF8.self).unicodeScalars.count)
        }
        return { rows in
            memo.catchUp()
            unsafe memo.look(input.codes(rows), rows.count, into: out.numbers(rows))
            return false
        }
    }
}

enum StartsWithFunction: TextCondition {
    static let spec = FunctionSpec(
        "starts_with", [.init("t", .text), .init("p", .text)], gives: .boolean,
        "whether t begins with p")
    static func holds(_ text: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        unsafe text.count >= other.count
            && areEqual(.init(rebasing: text[..<other.count]), other)
    }
}

enum EndsWithFunction: TextCondition {
    static let spec = FunctionSpec(
        "ends_with", [.init("t", .text), .init("p", .text)], gives: .boolean,
        "whether t ends with p")
    static func holds(_ text: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        unsafe text.count >= other.count
            && areEqual(.init(rebasing: text[(text.count - other.count)...]), other)
    }
}

enum ContainsFunction: TextCondition {
    static let spec = FunctionSpec(
        "contains", [.init("t", .text), .init("p", .text)], gives: .boolean,
        "whether p occurs in t")
    static func holds(_ text: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        guard text.count >= other.count else { return false }
        return (0...(text.count - other.count)).contains {
            unsafe areEqual(.init(rebasing: text[$0..<($0 + other.count)]), other)
        }
    }
}

enum TextOfFunction: RowFunction {
    static let spec = FunctionSpec(
        "text", [.init("x", .types([.number, .boolean, .time, .text]))], gives: .text,
        "x as text: 12.5, 42, true, 2026-11-23T14:00:00.000Z")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        switch input.type {
        case .text:
            let memo = site.translation(input)
            return { rows in
                memo.catchUp()
                unsafe memo.look(input.codes(rows), rows.count, into: out.codes(rows))
                return false
            }
        case .boolean: return ofTruths(site, input, out)
        case .number, .time, .duration: return ofNumbers(input, out)
        }
    }

    private static func ofTruths(_ site: CallSite, _ input: Register, _ out: Register) -> Kernel {
        let words = TruthWords(out, site.forgetting)
        return { rows in
            let (no, yes) = words.codes
            let (x, codes) = unsafe (input.truths(rows), out.codes(rows))
            for row in 0..<rows.count {
                let truth = unsafe x[row]
                unsafe codes[row] = truth == Truth.yes ? yes : truth == Truth.no ? no : .max
            }
            return false
        }
    }

    private static func ofNumbers(_ input: Register, _ out: Register) -> Kernel {
        guard let texts = out.texts else { preconditionFailure("an output of texts") }
        let isTime = input.type == .time
        return { rows in
            let (x, codes) = unsafe (input.numbers(rows), out.codes(rows))
            var (known, knownCode) = (Double.nan, UInt32.max)
            for row in 0..<rows.count {
                // Minus zero is zero.
                let value = unsafe x[row] + 0
                if value != known {
                    known = value
                    // Rows that are none hold anything.
                    knownCode = value.isFinite ? code(value, isTime, texts) : .max
                }
                unsafe codes[row] = knownCode
            }
            return false
        }
    }

    private static func code(_ value: Double, _ isTime: Bool, _ texts: TextDictionary) -> UInt32 {
        let ms = Int64(clamped: value)
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { letters in
            guard let start = letters.baseAddress else { return UInt32.max }
            let count = unsafe isTime ? writeTime(ms, into: start) : writeNumber(value, into: start)
            return unsafe texts.code(of: UnsafeRawBufferPointer(start: start, count: count))
        }
    }
}

/// The codes of `true` and `false` in an output.
///
/// The owner is a worker.
final class TruthWords {
    private let texts: TextDictionary
    private var known: (no: UInt32, yes: UInt32)?

    init(_ output: Register, _ forgetting: Forgetting) {
        guard let texts = output.texts else { preconditionFailure("an output of texts") }
        self.texts = texts
        forgetting.add { [weak self] in self?.known = nil }
    }

    var codes: (no: UInt32, yes: UInt32) {
        if let known { return known }
        let codes = (
            no: texts.code(of: Array("false".utf8)), yes: texts.code(of: Array("true".utf8))
        )
        known = codes
        return codes
    }
}

extension Int64 {
    /// The whole part; the nearest that there is, for one that is too large.
    init(clamped value: Double) {
        self = value >= 9.2e18 ? .max : value <= -9.2e18 ? .min : value.isNaN ? 0 : Int64(value)
    }
}
