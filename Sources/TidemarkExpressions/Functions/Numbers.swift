import Glibc
import TidemarkLanguage

enum AbsoluteFunction: NumberFunction {
    static let spec = FunctionSpec(
        "abs", [.init("x", .number)], gives: .number, whole: .ifArgumentsAre, "without its sign")
    static func apply(_ x: Double) -> Double { x.magnitude }
}

enum CeilFunction: NumberFunction {
    static let spec = FunctionSpec(
        "ceil", [.init("x", .number)], gives: .number, whole: .always,
        "the smallest integer that is not below")
    static func apply(_ x: Double) -> Double { x.rounded(.up) }
}

enum FloorFunction: NumberFunction {
    static let spec = FunctionSpec(
        "floor", [.init("x", .number)], gives: .number, whole: .always,
        "the greatest integer that is not above")
    static func apply(_ x: Double) -> Double { x.rounded(.down) }
}

enum RoundFunction: RowFunction {
    static let spec = FunctionSpec(
        "round", [.init("x", .number), .init("digits", .number, isOptional: true)], gives: .number,
        whole: .never,
        "the nearest number with so many digits after the point (0), halves away from zero")

    /// To an integer.
    private enum ToInteger: NumberFunction {
        static let spec = RoundFunction.spec
        static func apply(_ x: Double) -> Double { x.rounded(.toNearestOrAwayFromZero) }
    }

    /// To digits after the point, before it where they are negative.
    private enum ToDigits: TwoNumberFunction {
        static let spec = RoundFunction.spec
        static func apply(_ x: Double, _ digits: Double) -> Double {
            guard digits == digits.rounded(), digits.magnitude <= 308 else { return .nan }
            let scale = Glibc.pow(10, digits)
            let scaled = x * scale
            // So large a number has no such digits.
            guard scaled.isFinite else { return x }
            return scaled.rounded(.toNearestOrAwayFromZero) / scale
        }
    }

    static func kernel(_ site: CallSite) -> Kernel {
        site.inputs.count == 1 ? ToInteger.kernel(site) : ToDigits.kernel(site)
    }
}

enum SquareRootFunction: NumberFunction {
    static let spec = FunctionSpec(
        "sqrt", [.init("x", .number)], gives: .number, "the square root; null below 0")
    static func apply(_ x: Double) -> Double { x.squareRoot() }
}

enum ExponentialFunction: NumberFunction {
    static let spec = FunctionSpec("exp", [.init("x", .number)], gives: .number, "e to the power")
    static func apply(_ x: Double) -> Double { x.isNaN ? x : Glibc.exp(x) }
}

enum LogarithmFunction: NumberFunction {
    static let spec = FunctionSpec(
        "log", [.init("x", .number)], gives: .number, "the natural logarithm; null up to 0")
    static func apply(_ x: Double) -> Double { x > 0 ? Glibc.log(x) : .nan }
}

enum DecimalLogarithmFunction: NumberFunction {
    static let spec = FunctionSpec(
        "log10", [.init("x", .number)], gives: .number, "the logarithm to base 10; null up to 0")
    static func apply(_ x: Double) -> Double { x > 0 ? Glibc.log10(x) : .nan }
}

enum SignFunction: NumberFunction {
    static let spec = FunctionSpec(
        "sign", [.init("x", .number)], gives: .number, whole: .always, "-1, 0 or 1")
    static func apply(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x.isNaN ? x : 0 }
}

enum PowerFunction: TwoNumberFunction {
    static let spec = FunctionSpec(
        "pow", [.init("x", .number), .init("y", .number)], gives: .number,
        "x to the power of y; null where that is no number")
    static func apply(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
}

enum RemainderFunction: TwoNumberFunction {
    static let spec = FunctionSpec(
        "mod", [.init("x", .number), .init("y", .number)], gives: .number, whole: .ifArgumentsAre,
        "what is left of x after whole parts of y, with the sign of x; null for y = 0")
    static func apply(_ x: Double, _ y: Double) -> Double {
        x.truncatingRemainder(dividingBy: y)
    }
}

enum ClampFunction: RowFunction {
    static let spec = FunctionSpec(
        "clamp", [.init("x", .number), .init("lo", .number), .init("hi", .number)], gives: .number,
        whole: .ifArgumentsAre, "x, at least lo and at most hi; null where lo is above hi")

    static func kernel(_ site: CallSite) -> Kernel {
        let (a, low, high, out) = (site.input(0), site.input(1), site.input(2), site.output)
        return { rows in
            let (x, y) = unsafe (a.numbers(rows), out.numbers(rows))
            let (least, most) = unsafe (low.numbers(rows), high.numbers(rows))
            var undefined: UInt64 = 0
            for row in 0..<rows.count {
                let (value, lo, hi) = unsafe (x[row], least[row], most[row])
                let isNull = value.isNaN || lo.isNaN || hi.isNaN
                undefined |= !isNull && lo > hi ? 1 : 0
                unsafe y[row] =
                    isNull || lo > hi ? .nan : value < lo ? lo : value > hi ? hi : value
            }
            return undefined != 0
        }
    }
}

enum LeastFunction: RowFunction {
    static let spec = FunctionSpec(
        "least", [.init("a", .number)], repeats: true, gives: .number, whole: .ifArgumentsAre,
        "the smallest of its arguments")
    static func kernel(_ site: CallSite) -> Kernel { extreme(site) { $1 < $0 } }
}

enum GreatestFunction: RowFunction {
    static let spec = FunctionSpec(
        "greatest", [.init("a", .number)], repeats: true, gives: .number, whole: .ifArgumentsAre,
        "the greatest of its arguments")
    static func kernel(_ site: CallSite) -> Kernel { extreme(site) { $1 > $0 } }
}

/// One of its arguments: the one that no other one beats.
@inline(__always)
private func extreme(
    _ site: CallSite, _ beats: @escaping (_ known: Double, _ other: Double) -> Bool
) -> Kernel {
    let (all, out) = (site.inputs.compactMap(\.self), site.output)
    return { rows in
        let y = unsafe out.numbers(rows)
        unsafe y.update(from: all[0].numbers(rows), count: rows.count)
        for other in all.dropFirst() {
            let x = unsafe other.numbers(rows)
            for row in 0..<rows.count {
                let (known, value) = unsafe (y[row], x[row])
                unsafe y[row] =
                    known.isNaN || value.isNaN ? .nan : beats(known, value) ? value : known
            }
        }
        return false
    }
}

enum NumberOfTextFunction: RowFunction {
    static let spec = FunctionSpec(
        "number", [.init("t", .text)], gives: .number,
        "the number that a text is, such as 12.5 or -1e3; null where it is none")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        let memo = unsafe site.memo(input, null: Double.nan) { unsafe decimal($0) }
        return { rows in
            memo.catchUp()
            let (codes, y) = unsafe (input.codes(rows), out.numbers(rows))
            unsafe memo.look(codes, rows.count, into: y)
            var undefined = false
            for row in 0..<rows.count where unsafe y[row].isNaN {
                undefined = undefined || !input.isNull(row, rows)
            }
            return undefined
        }
    }

    /// Digits, with a sign, a point and an exponent at choice; NaN: the text is no such number.
    private static func decimal(_ text: UnsafeRawBufferPointer) -> Double {
        var at = 0
        func isDigit() -> Bool { unsafe at < text.count && (0x30...0x39).contains(text[at]) }
        func take(_ letters: UInt8...) -> Bool {
            guard at < text.count, unsafe letters.contains(text[at]) else { return false }
            at += 1
            return true
        }
        func digits() -> Bool {
            guard isDigit() else { return false }
            while isDigit() { at += 1 }
            return true
        }
        _ = take(0x2d)
        guard text.count <= 400, digits() else { return .nan }
        if take(0x2e), !digits() { return .nan }
        if take(0x65, 0x45) {
            _ = take(0x2d, 0x2b)
            guard digits() else { return .nan }
        }
        guard at == text.count else { return .nan }
        return unsafe settled(Double(String(decoding: text, as: UTF8.self)) ?? .nan)
    }
}

/// A problem with an argument, as functions find it.
func argumentProblem(
    _ argument: Int, _ rule: String, _ message: String, expected: String, suggestion: String? = nil
) -> (argument: Int, problem: ScalarProblem) {
    (
        argument,
        ScalarProblem(rule: rule, message: message, expected: expected, suggestion: suggestion)
    )
}
