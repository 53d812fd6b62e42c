import CKernels

/// A sum of finite doubles that is exact, and so the same in any order and grouping: order-free.
///
/// The digits of all exponents lie side by side, 32 bits each; it is rounded when it is asked for.
/// - Memory: 544 B.
/// - Complexity: O(1) a value.
/// - Source: Neal, Fast exact summation using small and large superaccumulators, 2015.
package struct ExactSum: BitwiseCopyable, Sendable {
    /// The digits, and how many values were added since carries were made.
    private var words = InlineArray<68, Int64>(repeating: 0)

    /// Nothing: 0.
    package init() {}

    /// Adds values.
    ///
    /// - Precondition: they are finite.
    package mutating func add(_ values: UnsafePointer<Double>, count: Int) {
        unsafe withWords { unsafe tk_sum_add($0, values, count) }
    }

    /// Adds the squares of values, without those that are beyond the range of a double.
    ///
    /// - Returns: how many were left out.
    package mutating func addSquares(of values: UnsafePointer<Double>, count: Int) -> Int {
        unsafe withWords { unsafe tk_sum_add_squares($0, values, count) }
    }

    /// Adds another sum.
    package mutating func merge(_ other: ExactSum) {
        var other = other
        unsafe withWords { to in
            unsafe other.withWords { unsafe tk_sum_merge(to, $0) }
        }
    }

    /// The double next to it, and the one next to what is then left.
    package var value: (sum: Double, rest: Double) {
        var copy = self
        var rest = 0.0
        let sum = unsafe copy.withWords { unsafe tk_sum_value($0, &rest) }
        return (sum, rest)
    }

    /// The standard deviation of values, which divides by n − 1: however far they lie from 0, and however little apart.
    ///
    /// - `squares`: the sum of their squares, with all of them in it.
    /// - Precondition: there are two or more.
    package static func standardDeviation(
        _ sum: ExactSum, squares: ExactSum, count: UInt64
    ) -> Double {
        var (sum, squares) = (sum, squares)
        return unsafe sum.withWords { sum in
            unsafe squares.withWords { unsafe tk_sum_sd(sum, $0, count) }
        }
    }

    /// How many numbers `digits` has.
    package static let digitCount = Int(TK_SUM_DIGITS)

    /// Digits that all equal sums have alike: its state.
    package var digits: [Int64] {
        var copy = self
        unsafe copy.withWords { unsafe tk_sum_settle($0) }
        return (0..<Self.digitCount).map { copy.words[$0] }
    }

    /// The sum of which these were the digits; `nil` where they are none.
    package init?(digits: [Int64]) {
        guard digits.count == Self.digitCount,
            digits.dropLast().allSatisfy({ 0 <= $0 && $0 < 1 << 32 }),
            // Far more values than anybody counts.
            let last = digits.last, -(1 << 40) < last && last < 1 << 40
        else { return nil }
        for place in digits.indices { words[place] = digits[place] }
    }

    /// Digits of its amount, as if it were not negative, and whether it is.
    ///
    /// Digits of several sums may be added up; see `init(positive:negative:)`.
    package var magnitude: (digits: [UInt64], isNegative: Bool) {
        let own = digits
        let isNegative = (own.last ?? 0) < 0
        guard isNegative else { return (own.map { UInt64(bitPattern: $0) }, false) }
        var carry: Int64 = 0
        var amounts: [UInt64] = []
        for digit in own.dropLast() {
            let next = carry - digit
            amounts.append(UInt64(bitPattern: next & 0xffff_ffff))
            carry = next >> 32
        }
        amounts.append(UInt64(bitPattern: carry - (own.last ?? 0)))
        return (amounts, true)
    }

    /// The difference of two amounts, of which these are digits that were added up; `nil` where they are none.
    package init?(positive: some Sequence<UInt64>, negative: some Sequence<UInt64>) {
        var digits: [Int64] = []
        var carry: Int64 = 0
        for (plus, minus) in zip(positive, negative) {
            guard plus < 1 << 62, minus < 1 << 62 else { return nil }
            let next = carry + Int64(plus) - Int64(minus)
            digits.append(next & 0xffff_ffff)
            carry = next >> 32
        }
        // The last digit takes what there is.
        guard let last = digits.popLast() else { return nil }
        digits.append(carry << 32 | last)
        self.init(digits: digits)
    }

    private mutating func withWords<T>(_ body: (UnsafeMutablePointer<Int64>) -> T) -> T {
        unsafe withUnsafeMutableBytes(of: &words) { bytes in
            // In bounds: the array is these words.
            guard let base = bytes.baseAddress else {
                preconditionFailure("an array in place has an address")
            }
            return unsafe body(base.assumingMemoryBound(to: Int64.self))
        }
    }
}
