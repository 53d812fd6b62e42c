import Foundation
import Testing
import TidemarkKernels

struct ExactSumTests {
    private func sum(_ values: [Double]) -> ExactSum {
        var sum = ExactSum()
        unsafe sum.add(values, count: values.count)
        return sum
    }

    @Test func `a sum is exact whatever is added in between`() {
        #expect(sum([1e308, 1, -1e308]).value == (1, 0))
        #expect(sum([1e16, 1, 1e16, -2e16]).value == (1, 0))
        #expect(sum([.leastNonzeroMagnitude, 1, -1]).value.sum == .leastNonzeroMagnitude)
        #expect(sum([-.leastNonzeroMagnitude]).value.sum == -.leastNonzeroMagnitude)
        #expect(sum([1, 0x1p-53, 0x1p-106]).value == (0x1.0000000000001p0, -0x1p-53 + 0x1p-106))
        // Halfway between two doubles: to the even one.
        #expect(sum([1, 0x1p-53]).value == (1, 0x1p-53))
        #expect(sum([0x1.0000000000001p0, 0x1p-53]).value.sum == 0x1.0000000000002p0)
        #expect(sum([]).value == (0, 0))
        #expect(sum([.greatestFiniteMagnitude, .greatestFiniteMagnitude]).value.sum == .infinity)
    }

    @Test func `sums of integers are those of wide integers, in any order and grouping`() {
        var random = SystemRandomNumberGenerator()
        for round in 0..<50 {
            let shift = Double(
                sign: .plus, exponent: Int.random(in: -900...900, using: &random), significand: 1)
            let whole = (0..<3_000).map { _ in
                Int64.random(in: -(1 << 52)...1 << 52, using: &random)
                    >> Int64.random(in: 0...40, using: &random)
            }
            let exact = whole.reduce(Int128(0)) { $0 + Int128($1) }
            let values = whole.map { Double($0) * shift }
            let expected = Double(exact) * shift
            #expect(sum(values).value.sum == expected, "\(round)")
            var parts = ExactSum()
            for part in stride(from: 0, to: values.count, by: 7) {
                parts.merge(sum(Array(values[part..<min(part + 7, values.count)])))
            }
            #expect(parts.digits == sum(values.shuffled()).digits)
            let again = ExactSum(digits: parts.digits)
            #expect(again?.value.sum == expected)
        }
    }

    @Test func `squares are exact to the last digit of a double`() {
        var squares = ExactSum()
        let values = [0x1.fffffffffffffp0, 3, -0x1p-500, 1e200]
        let left = unsafe squares.addSquares(of: values, count: values.count)
        #expect(left == 1)
        // (2 − 2^-52)² = 4 − 2^-50 + 2^-104, and 9, and a little.
        #expect(squares.value == (13, -0x1.fffffffffffffp-51))
    }

    @Test func `a standard deviation is right however far values lie from 0`() {
        func sd(_ values: [Double]) -> Double {
            var squares = ExactSum()
            let left = unsafe squares.addSquares(of: values, count: values.count)
            #expect(left == 0)
            return ExactSum.standardDeviation(
                sum(values), squares: squares, count: UInt64(values.count))
        }
        #expect(sd([0.1, 0.1, 0.1]) == 0)
        #expect(sd([1e15, 1e15 + 2]) == 2.0.squareRoot())
        #expect(sd([-1e15, -1e15 - 2]) == 2.0.squareRoot())
        #expect(abs(sd([1e150, -1e150]) / 1e150 - 2.0.squareRoot()) < 1e-15)
        #expect(sd([0, 0x1p-530]) == 0x1p-530 * 0.5.squareRoot())
        #expect(sd([5, 7, 9, 11]) == (20.0 / 3).squareRoot())
    }

    @Test func `amounts of windows add up to the sum of all`() {
        for values in [[1e300, -3, 0x1p-1074], [-1e300, 2.5, -1], [0, -0.0], [-7]] as [[Double]] {
            var positive = [UInt64](repeating: 0, count: ExactSum.digitCount)
            var negative = positive
            for value in values {
                let (digits, isNegative) = sum([value]).magnitude
                for (place, digit) in digits.enumerated() {
                    if isNegative { negative[place] += digit } else { positive[place] += digit }
                }
            }
            let whole = ExactSum(positive: positive, negative: negative)
            #expect(whole?.digits == sum(values).digits)
        }
        let none = [UInt64](repeating: .max, count: ExactSum.digitCount)
        #expect(ExactSum(positive: none, negative: none) == nil)
    }

    @Test func `digits that are none are refused`() {
        #expect(ExactSum(digits: []) == nil)
        var digits = sum([1]).digits
        digits[3] = -1
        #expect(ExactSum(digits: digits) == nil)
    }
}
