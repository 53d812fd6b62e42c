import Glibc
package import TidemarkBatch

/// Where a function stands in an expression: what it is computed of, and where its values go.
package struct CallSite {
    /// As they were read: what is no value (a pattern, bounds, a column) is found here alone.
    package let arguments: [RowExpression]
    /// By argument: its values; `nil`: it has none.
    package let inputs: [Register?]
    /// Where the values go.
    package let output: Register
    /// Whose rows they are.
    package let frame: Frame
    /// Takes what has to be done when codes have other meanings.
    let forgetting: Forgetting

    /// The values of an argument.
    ///
    /// - Precondition: it has some: the parameter takes values.
    func input(_ place: Int) -> Register {
        guard let register = inputs[place] else {
            preconditionFailure("an argument that takes values has a register")
        }
        return register
    }

    /// What is worked out once of each text of an argument.
    func memo<Value: BitwiseCopyable>(
        _ input: Register, null: Value, _ compute: @escaping (UnsafeRawBufferPointer) -> Value
    ) -> CodeMemo<Value> {
        guard let texts = input.texts else { preconditionFailure("an argument of texts") }
        let memo = unsafe CodeMemo(texts, null: null, compute)
        forgetting.add { memo.forget() }
        return memo
    }

    /// What turns codes of an argument into codes of the same texts in the output.
    func translation(_ input: Register) -> CodeMemo<UInt32> {
        guard let texts = output.texts else { preconditionFailure("an output of texts") }
        return unsafe memo(input, null: .max) { text in unsafe texts.code(of: text) }
    }
}

/// What has to be done when codes of texts have other meanings.
///
/// The owner is a worker.
package final class Forgetting {
    private var actions: [() -> Void] = []

    /// Adds something that has to be done then.
    func add(_ action: @escaping () -> Void) { actions.append(action) }

    /// Does it all.
    func run() { for action in actions { action() } }
}

/// Numbers that became what is no number are null.
@inline(__always)
func settled(_ value: Double) -> Double {
    value.magnitude <= .greatestFiniteMagnitude ? value : .nan
}

/// A function of one number that gives a number.
package protocol NumberFunction: RowFunction {
    /// What it gives; NaN and infinity: it is undefined there.
    static func apply(_ x: Double) -> Double
}

extension NumberFunction {
    package static func kernel(_ site: CallSite) -> Kernel {
        let (a, out) = (site.input(0), site.output)
        return { rows in
            let (x, y) = unsafe (a.numbers(rows), out.numbers(rows))
            var undefined: UInt64 = 0
            for row in 0..<rows.count {
                let value = unsafe x[row]
                let result = settled(apply(value))
                unsafe y[row] = result
                undefined |= result.isNaN && !value.isNaN ? 1 : 0
            }
            return undefined != 0
        }
    }
}

/// A function of two numbers that gives a number.
package protocol TwoNumberFunction: RowFunction {
    /// What it gives; NaN and infinity: it is undefined there.
    static func apply(_ x: Double, _ y: Double) -> Double
}

extension TwoNumberFunction {
    package static func kernel(_ site: CallSite) -> Kernel {
        let (a, b, out) = (site.input(0), site.input(1), site.output)
        return { rows in
            let (x, y, z) = unsafe (a.numbers(rows), b.numbers(rows), out.numbers(rows))
            var undefined: UInt64 = 0
            for row in 0..<rows.count {
                let (first, second) = unsafe (x[row], y[row])
                // A power of null may be 1, which null has no business to be.
                let isNull = first.isNaN || second.isNaN
                let result = isNull ? .nan : settled(apply(first, second))
                unsafe z[row] = result
                undefined |= result.isNaN && !isNull ? 1 : 0
            }
            return undefined != 0
        }
    }
}

/// A function of two texts that gives a condition.
package protocol TextCondition: RowFunction {
    /// Whether it holds.
    static func holds(_ text: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool
}

extension TextCondition {
    package static func kernel(_ site: CallSite) -> Kernel {
        unsafe textCondition(site, site.input(0), site.input(1)) { a, b in
            unsafe Truth.of(holds(a, b))
        }
    }
}

/// A condition on two texts: once a code where one of them is written down, else row by row.
func textCondition(
    _ site: CallSite, _ a: Register, _ b: Register,
    _ decide: @escaping (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> UInt8
) -> Kernel {
    let out = site.output
    func byCode(
        _ input: Register, _ compute: @escaping (UnsafeRawBufferPointer) -> UInt8
    ) -> Kernel {
        let memo = unsafe site.memo(input, null: Truth.null, compute)
        return { rows in
            memo.catchUp()
            unsafe memo.look(input.codes(rows), rows.count, into: out.truths(rows))
            return false
        }
    }
    if case .text(let literal) = site.arguments[1] {
        let bytes = Array(literal.utf8)
        return unsafe byCode(a) { text in
            unsafe bytes.withUnsafeBytes { other in unsafe decide(text, other) }
        }
    }
    if case .text(let literal) = site.arguments[0] {
        let bytes = Array(literal.utf8)
        return unsafe byCode(b) { other in
            unsafe bytes.withUnsafeBytes { text in unsafe decide(text, other) }
        }
    }
    return { rows in
        let (x, y, z) = unsafe (a.codes(rows), b.codes(rows), out.truths(rows))
        for row in 0..<rows.count {
            guard let text = unsafe a.text(x[row]), let other = unsafe b.text(y[row]) else {
                unsafe z[row] = Truth.null
                continue
            }
            unsafe z[row] = decide(text, other)
        }
        return false
    }
}

/// Whether two pieces of memory hold the same bytes.
func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard a.count > 0, let x = a.baseAddress, let y = b.baseAddress else { return true }
    return unsafe memcmp(x, y, a.count) == 0
}

/// Whether a text comes before another one, byte by byte.
func precedes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    let count = min(a.count, b.count)
    if count > 0, let x = a.baseAddress, let y = b.baseAddress {
        let order = unsafe memcmp(x, y, count)
        if order != 0 { return order < 0 }
    }
    return a.count < b.count
}
