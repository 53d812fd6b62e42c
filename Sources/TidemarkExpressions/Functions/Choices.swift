import TidemarkBatch
import TidemarkLanguage
import TidemarkText

enum IfFunction: RowFunction {
    static let spec = FunctionSpec(
        "if", [.init("c", .boolean), .init("a", .any), .init("b", .any)], gives: nil,
        whole: .ifArgumentsAre, "a where c is true, else b; b too where c is null")

    static func kernel(_ site: CallSite) -> Kernel {
        let (condition, out) = (site.input(0), site.output)
        let (a, b) = (site.input(1), site.input(2))
        switch out.type {
        case .number, .time, .duration:
            return { rows in
                let (c, z) = unsafe (condition.truths(rows), out.numbers(rows))
                let (x, y) = unsafe (a.numbers(rows), b.numbers(rows))
                for row in 0..<rows.count {
                    unsafe z[row] = c[row] == Truth.yes ? x[row] : y[row]
                }
                return false
            }
        case .boolean:
            return { rows in
                let (c, z) = unsafe (condition.truths(rows), out.truths(rows))
                let (x, y) = unsafe (a.truths(rows), b.truths(rows))
                for row in 0..<rows.count {
                    unsafe z[row] = c[row] == Truth.yes ? x[row] : y[row]
                }
                return false
            }
        case .text:
            let (first, second) = (TranslatedText(site, a), TranslatedText(site, b))
            return { rows in
                let (c, z) = unsafe (condition.truths(rows), out.codes(rows))
                first.catchUp(rows)
                second.catchUp(rows)
                for row in 0..<rows.count {
                    unsafe z[row] = c[row] == Truth.yes ? first.code(row) : second.code(row)
                }
                return false
            }
        }
    }
}

enum CoalesceFunction: RowFunction {
    static let spec = FunctionSpec(
        "coalesce", [.init("a", .any)], repeats: true, gives: nil, whole: .ifArgumentsAre,
        "the first of its arguments that is not null")

    static func kernel(_ site: CallSite) -> Kernel {
        let (all, out) = (site.inputs.compactMap(\.self), site.output)
        switch out.type {
        case .number, .time, .duration:
            return { rows in
                let z = unsafe out.numbers(rows)
                unsafe z.update(from: all[0].numbers(rows), count: rows.count)
                for other in all.dropFirst() {
                    let x = unsafe other.numbers(rows)
                    for row in 0..<rows.count {
                        let known = unsafe z[row]
                        unsafe z[row] = known.isNaN ? x[row] : known
                    }
                }
                return false
            }
        case .boolean:
            return { rows in
                let z = unsafe out.truths(rows)
                unsafe z.update(from: all[0].truths(rows), count: rows.count)
                for other in all.dropFirst() {
                    let x = unsafe other.truths(rows)
                    for row in 0..<rows.count {
                        let known = unsafe z[row]
                        unsafe z[row] = known == Truth.null ? x[row] : known
                    }
                }
                return false
            }
        case .text:
            let texts = all.map { TranslatedText(site, $0) }
            return { rows in
                let z = unsafe out.codes(rows)
                for (place, text) in texts.enumerated() {
                    text.catchUp(rows)
                    for row in 0..<rows.count where unsafe place == 0 || z[row] == .max {
                        unsafe z[row] = text.code(row)
                    }
                }
                return false
            }
        }
    }
}

enum NullIfFunction: RowFunction {
    static let spec = FunctionSpec(
        "null_if", [.init("a", .any), .init("b", .any)], gives: nil, whole: .ifArgumentsAre,
        "null where a equals b, else a")

    static func kernel(_ site: CallSite) -> Kernel {
        let (a, b, out) = (site.input(0), site.input(1), site.output)
        switch out.type {
        case .number, .time, .duration:
            return { rows in
                let (x, y, z) = unsafe (a.numbers(rows), b.numbers(rows), out.numbers(rows))
                for row in 0..<rows.count {
                    let value = unsafe x[row]
                    unsafe z[row] = value == y[row] ? .nan : value
                }
                return false
            }
        case .boolean:
            return { rows in
                let (x, y, z) = unsafe (a.truths(rows), b.truths(rows), out.truths(rows))
                for row in 0..<rows.count {
                    let value = unsafe x[row]
                    unsafe z[row] = value == y[row] ? Truth.null : value
                }
                return false
            }
        case .text:
            let text = TranslatedText(site, a)
            return { rows in
                let (x, y, z) = unsafe (a.codes(rows), b.codes(rows), out.codes(rows))
                text.catchUp(rows)
                for row in 0..<rows.count {
                    var code = text.code(row)
                    if let first = unsafe a.text(x[row]), let second = unsafe b.text(y[row]),
                        unsafe areEqual(first, second)
                    {
                        code = .max
                    }
                    unsafe z[row] = code
                }
                return false
            }
        }
    }
}

/// The texts of an argument as codes of the output.
///
/// The owner is a worker.
@safe
private final class TranslatedText {
    private let input: Register
    private let memo: CodeMemo<UInt32>
    private let codes: Register

    init(_ site: CallSite, _ input: Register) {
        self.input = input
        memo = site.translation(input)
        codes = Register(.text, rowCount: Register.chunk, texts: site.output.texts)
    }

    /// Translates the rows at work.
    func catchUp(_ rows: Range<Int>) {
        memo.catchUp()
        unsafe memo.look(input.codes(rows), rows.count, into: codes.codes(rows))
    }

    /// The code of a row at work.
    @inline(__always)
    func code(_ row: Int) -> UInt32 { unsafe codes.codes(0..<1)[row] }
}

enum BucketFunction: RowFunction {
    static let spec = FunctionSpec(
        "bucket", [.init("x", .number), .init("[10, 100]", .bounds)], gives: .text,
        "where x lies: \"<10\", \"10..100\" (10 is in it, 100 is not) or \">=100\"")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        let bounds = bounds(site.arguments[1])
        let labels = labels(bounds).map { Array($0.utf8) }
        guard let texts = out.texts else { preconditionFailure("an output of texts") }
        let known = BucketCodes()
        site.forgetting.add { known.codes = [] }
        return { rows in
            if known.codes.isEmpty { known.codes = labels.map { texts.code(of: $0) } }
            let (x, z) = unsafe (input.numbers(rows), out.codes(rows))
            for row in 0..<rows.count {
                let value = unsafe x[row]
                var place = 0
                for bound in bounds { place += value >= bound ? 1 : 0 }
                unsafe z[row] = value.isNaN ? .max : known.codes[place]
            }
            return false
        }
    }

    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)? {
        let bounds = bounds(arguments[1])
        guard zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) else { return nil }
        let sorted = Set(bounds).sorted().map(shortest).joined(separator: ", ")
        return argumentProblem(
            1, "bad-bounds", "the bounds of a bucket do not ascend",
            expected: "numbers, each greater than the one before", suggestion: "`[\(sorted)]`")
    }

    private static func bounds(_ argument: RowExpression) -> [Double] {
        guard case .list(let literals) = argument else { return [] }
        return literals.compactMap { if case .number(let value) = $0 { value } else { nil } }
    }

    private static func shortest(_ value: Double) -> String {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { letters in
            guard let start = letters.baseAddress else { return "" }
            let count = unsafe writeNumber(value, into: start)
            return unsafe String(
                decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }

    private static func labels(_ bounds: [Double]) -> [String] {
        let texts = bounds.map(shortest)
        guard let first = texts.first, let last = texts.last else { return [] }
        return ["<\(first)"] + zip(texts, texts.dropFirst()).map { "\($0)..\($1)" } + [">=\(last)"]
    }
}

/// The codes of the labels of a bucket.
private final class BucketCodes {
    var codes: [UInt32] = []
}
