package import TidemarkBatch

/// What a row's condition comes to, a byte each.
package enum Truth {
    /// It is false.
    package static let no: UInt8 = 0
    /// It is true.
    package static let yes: UInt8 = 1
    /// It is null: a value that it needs does not exist.
    package static let null: UInt8 = 2

    /// The truth of a value that exists.
    @inline(__always)
    static func of(_ value: Bool) -> UInt8 { value ? yes : no }
}

/// The values of one part of an expression: for all rows of a frame, or for the few at work.
///
/// Numbers, times and durations are doubles in which NaN is null; conditions are bytes, see `Truth`; texts are
/// codes of a dictionary, in which `UInt32.max` (or any that the dictionary does not have) is null. The owner
/// is a worker.
@safe
package final class Register {
    /// What its values are.
    package let type: ExpressionType
    /// Of texts: where codes are looked up.
    package let texts: TextDictionary?
    /// It has a place for each row of the frame, and not for those at work alone.
    let isWhole: Bool
    /// Rows that are computed together: few enough for registers to stay in the nearest cache.
    package static let chunk = 512
    private let base: UnsafeMutableRawPointer
    private let isOwned: Bool

    /// Room for so many rows; none of it has a value.
    ///
    /// - `texts`: `nil`: a dictionary of its own, where it holds texts.
    init(_ type: ExpressionType, rowCount: Int, isWhole: Bool = false, texts: TextDictionary? = nil)
    {
        self.type = type
        self.isWhole = isWhole
        isOwned = true
        let byteCount = max(64, rowCount * 8)
        unsafe base = .allocate(byteCount: byteCount, alignment: 64)
        self.texts = type == .text ? texts ?? TextDictionary() : nil
        switch type {
        case .number, .time, .duration:
            unsafe base.bindMemory(to: Double.self, capacity: rowCount)
                .initialize(repeating: .nan, count: rowCount)
        case .boolean:
            unsafe base.bindMemory(to: UInt8.self, capacity: rowCount)
                .initialize(repeating: Truth.null, count: rowCount)
        case .text:
            unsafe base.bindMemory(to: UInt32.self, capacity: rowCount)
                .initialize(repeating: .max, count: rowCount)
        }
    }

    /// A column of a frame, as it stands there.
    init(numbers: UnsafeMutablePointer<Double>) {
        type = .number
        texts = nil
        isWhole = true
        isOwned = false
        unsafe base = UnsafeMutableRawPointer(numbers)
    }

    /// A column of a frame, as it stands there.
    init(codes: UnsafeMutablePointer<UInt32>, of texts: TextDictionary) {
        type = .text
        self.texts = texts
        isWhole = true
        isOwned = false
        unsafe base = UnsafeMutableRawPointer(codes)
    }

    deinit { if isOwned { unsafe base.deallocate() } }

    /// Doubles of the rows at work.
    @inline(__always)
    func numbers(_ rows: Range<Int>) -> UnsafeMutablePointer<Double> {
        unsafe base.assumingMemoryBound(to: Double.self) + (isWhole ? rows.lowerBound : 0)
    }

    /// Truths of the rows at work.
    @inline(__always)
    func truths(_ rows: Range<Int>) -> UnsafeMutablePointer<UInt8> {
        unsafe base.assumingMemoryBound(to: UInt8.self) + (isWhole ? rows.lowerBound : 0)
    }

    /// Codes of the rows at work.
    @inline(__always)
    func codes(_ rows: Range<Int>) -> UnsafeMutablePointer<UInt32> {
        unsafe base.assumingMemoryBound(to: UInt32.self) + (isWhole ? rows.lowerBound : 0)
    }

    /// The text of a code; `nil`: null.
    @inline(__always)
    func text(_ code: UInt32) -> UnsafeRawBufferPointer? {
        guard let texts, code < UInt32(clamping: texts.count) else { return nil }
        return unsafe texts.text(code)
    }

    /// Whether a row at work has no value; `place` counts from the first one of `rows`.
    func isNull(_ place: Int, _ rows: Range<Int>) -> Bool {
        switch type {
        case .number, .time, .duration: unsafe numbers(rows)[place].isNaN
        case .boolean: unsafe truths(rows)[place] > Truth.yes
        case .text: unsafe codes(rows)[place] >= UInt32(clamping: texts?.count ?? 0)
        }
    }
}

/// Computes a register for the rows at work, of registers that are computed before it.
///
/// - Returns: whether a row has no value though all that it is computed of have one: it is undefined.
package typealias Kernel = (_ rows: Range<Int>) -> Bool
