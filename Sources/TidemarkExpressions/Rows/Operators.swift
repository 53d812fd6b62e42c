import TidemarkBatch

/// Kernels of operators: what functions have in their files.
enum Operators {
    static func arithmetic(
        _ operation: RowExpression.Arithmetic, _ a: Register, _ b: Register, _ out: Register
    ) -> Kernel {
        switch operation {
        case .add: numbers(Sum.self, a, b, out)
        case .subtract: numbers(Difference.self, a, b, out)
        case .multiply: numbers(Product.self, a, b, out)
        case .divide: numbers(Quotient.self, a, b, out)
        }
    }

    private static func numbers<Operation: NumberOperation>(
        _: Operation.Type, _ a: Register, _ b: Register, _ out: Register
    ) -> Kernel {
        { rows in
            let (x, y, z) = unsafe (a.numbers(rows), b.numbers(rows), out.numbers(rows))
            var undefined: UInt64 = 0
            for row in 0..<rows.count {
                let (first, second) = unsafe (x[row], y[row])
                let result = settled(Operation.apply(first, second))
                unsafe z[row] = result
                undefined |= result.isNaN && !first.isNaN && !second.isNaN ? 1 : 0
            }
            return undefined != 0
        }
    }

    static func negate(_ a: Register, _ out: Register) -> Kernel {
        { rows in
            let (x, y) = unsafe (a.numbers(rows), out.numbers(rows))
            for row in 0..<rows.count { unsafe y[row] = -x[row] }
            return false
        }
    }

    static func compareNumbers(
        _ comparison: RowExpression.Comparison, _ a: Register, _ b: Register, _ out: Register
    ) -> Kernel {
        switch comparison {
        case .equal: truths(Equal.self, a, b, out)
        case .notEqual: truths(NotEqual.self, a, b, out)
        case .less: truths(Less.self, a, b, out)
        case .lessOrEqual: truths(LessOrEqual.self, a, b, out)
        case .greater: truths(Less.self, b, a, out)
        case .greaterOrEqual: truths(LessOrEqual.self, b, a, out)
        }
    }

    private static func truths<Comparison: NumberComparison>(
        _: Comparison.Type, _ a: Register, _ b: Register, _ out: Register
    ) -> Kernel {
        { rows in
            let (x, y, z) = unsafe (a.numbers(rows), b.numbers(rows), out.truths(rows))
            for row in 0..<rows.count {
                let (first, second) = unsafe (x[row], y[row])
                let truth: UInt8 = Comparison.holds(first, second) ? Truth.yes : Truth.no
                unsafe z[row] = first.isNaN || second.isNaN ? Truth.null : truth
            }
            return false
        }
    }

    static func compareTexts(_ comparison: RowExpression.Comparison, _ site: CallSite) -> Kernel {
        let (a, b) = (site.input(0), site.input(1))
        switch comparison {
        case .equal: return unsafe textCondition(site, a, b) { unsafe Truth.of(areEqual($0, $1)) }
        case .notEqual:
            return unsafe textCondition(site, a, b) { unsafe Truth.of(!areEqual($0, $1)) }
        case .less: return unsafe textCondition(site, a, b) { unsafe Truth.of(precedes($0, $1)) }
        case .lessOrEqual:
            return unsafe textCondition(site, a, b) { unsafe Truth.of(!precedes($1, $0)) }
        case .greater: return unsafe textCondition(site, a, b) { unsafe Truth.of(precedes($1, $0)) }
        case .greaterOrEqual:
            return unsafe textCondition(site, a, b) { unsafe Truth.of(!precedes($0, $1)) }
        }
    }

    static func compareTruths(
        isEqual: Bool, _ a: Register, _ b: Register, _ out: Register
    ) -> Kernel {
        both(a, b, out) { x, y in
            x == Truth.null || y == Truth.null ? Truth.null : Truth.of((x == y) == isEqual)
        }
    }

    static func and(_ a: Register, _ b: Register, _ out: Register) -> Kernel {
        both(a, b, out) { x, y in
            x == Truth.no || y == Truth.no
                ? Truth.no : x == Truth.null || y == Truth.null ? Truth.null : Truth.yes
        }
    }

    static func or(_ a: Register, _ b: Register, _ out: Register) -> Kernel {
        both(a, b, out) { x, y in
            x == Truth.yes || y == Truth.yes
                ? Truth.yes : x == Truth.null || y == Truth.null ? Truth.null : Truth.no
        }
    }

    @inline(__always)
    private static func both(
        _ a: Register, _ b: Register, _ out: Register,
        _ combine: @escaping (UInt8, UInt8) -> UInt8
    ) -> Kernel {
        { rows in
            let (x, y, z) = unsafe (a.truths(rows), b.truths(rows), out.truths(rows))
            for row in 0..<rows.count { unsafe z[row] = combine(x[row], y[row]) }
            return false
        }
    }

    static func not(_ a: Register, _ out: Register) -> Kernel {
        { rows in
            let (x, y) = unsafe (a.truths(rows), out.truths(rows))
            for row in 0..<rows.count {
                let truth = unsafe x[row]
                unsafe y[row] = truth == Truth.null ? truth : Truth.yes - truth
            }
            return false
        }
    }

    static func isNull(_ a: Register, _ out: Register) -> Kernel {
        switch a.type {
        case .number, .time, .duration:
            return { rows in
                let (x, y) = unsafe (a.numbers(rows), out.truths(rows))
                for row in 0..<rows.count { unsafe y[row] = x[row].isNaN ? Truth.yes : Truth.no }
                return false
            }
        case .boolean:
            return { rows in
                let (x, y) = unsafe (a.truths(rows), out.truths(rows))
                for row in 0..<rows.count {
                    unsafe y[row] = x[row] == Truth.null ? Truth.yes : Truth.no
                }
                return false
            }
        case .text:
            return { rows in
                let (x, y) = unsafe (a.codes(rows), out.truths(rows))
                let count = UInt32(clamping: a.texts?.count ?? 0)
                for row in 0..<rows.count {
                    unsafe y[row] = x[row] >= count ? Truth.yes : Truth.no
                }
                return false
            }
        }
    }

    static func isIn(_ literals: [RowExpression], _ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        switch input.type {
        case .text:
            let wanted = Set(literals.compactMap(bytes))
            let memo = unsafe site.memo(input, null: Truth.null) { text in
                unsafe Truth.of(wanted.contains(Array(text)))
            }
            return { rows in
                memo.catchUp()
                unsafe memo.look(input.codes(rows), rows.count, into: out.truths(rows))
                return false
            }
        case .boolean:
            let words = literals.compactMap(bytes).map { String(decoding: $0, as: UTF8.self) }
            let (no, yes) = (words.contains("false"), words.contains("true"))
            return both(input, input, out) { truth, _ in
                truth == Truth.null ? truth : Truth.of(truth == Truth.yes ? yes : no)
            }
        case .number, .time, .duration:
            return isIn(sorted: Set(literals.compactMap(number)).sorted(), input, out)
        }
    }

    private static func isIn(
        sorted wanted: [Double], _ input: Register, _ out: Register
    ) -> Kernel {
        { rows in
            let (x, y) = unsafe (input.numbers(rows), out.truths(rows))
            for row in 0..<rows.count {
                let value = unsafe x[row]
                var (from, to) = (0, wanted.count)
                while from < to {
                    let middle = (from + to) / 2
                    if wanted[middle] < value { from = middle + 1 } else { to = middle }
                }
                let isFound = from < wanted.count && wanted[from] == value
                unsafe y[row] = value.isNaN ? Truth.null : Truth.of(isFound)
            }
            return false
        }
    }

    private static func bytes(_ literal: RowExpression) -> [UInt8]? {
        if case .text(let text) = literal { return Array(text.utf8) }
        return nil
    }

    private static func number(_ literal: RowExpression) -> Double? {
        switch literal {
        case .number(let value), .duration(let value): value
        default: nil
        }
    }
}

// Types in place of closures: a loop is made for each, with nothing called for a row.

private protocol NumberOperation {
    static func apply(_ x: Double, _ y: Double) -> Double
}
private enum Sum: NumberOperation {
    static func apply(_ x: Double, _ y: Double) -> Double { x + y }
}
private enum Difference: NumberOperation {
    static func apply(_ x: Double, _ y: Double) -> Double { x - y }
}
private enum Product: NumberOperation {
    static func apply(_ x: Double, _ y: Double) -> Double { x * y }
}
private enum Quotient: NumberOperation {
    static func apply(_ x: Double, _ y: Double) -> Double { x / y }
}

private protocol NumberComparison {
    static func holds(_ x: Double, _ y: Double) -> Bool
}
private enum Equal: NumberComparison {
    static func holds(_ x: Double, _ y: Double) -> Bool { x == y }
}
private enum NotEqual: NumberComparison {
    static func holds(_ x: Double, _ y: Double) -> Bool { x != y }
}
private enum Less: NumberComparison {
    static func holds(_ x: Double, _ y: Double) -> Bool { x < y }
}
private enum LessOrEqual: NumberComparison {
    static func holds(_ x: Double, _ y: Double) -> Bool { x <= y }
}
