import Glibc
package import TidemarkKernels
import TidemarkText

/// How registers are packed in bytes; the sketch itself holds one a byte.
package enum HLLType: UInt8, Sendable, CaseIterable {
    /// Half a byte a register, over the smallest one, with a list of exceptions.
    case hll4 = 0
    /// Six bits a register.
    case hll6 = 1
    /// A byte a register.
    case hll8 = 2
}

/// A distinct-count sketch: an order-free summary.
///
/// HyperLogLog with one byte a register. While few, the items' coupons themselves are kept, up to
/// where DataSketches stops keeping them, so the state and its bytes depend on the set of items
/// alone.
///
/// - Error: relative standard error 1.04 / √(2^lgK), 1.6% at 12; while coupons are kept, 5e-5.
/// - Memory: nothing when empty, 32 B for 6 items, 2 KiB for 384, then 2^lgK bytes.
/// - Source: bytes as Apache DataSketches' `hll_sketch`, canonical: coupons sorted, marked out of
///   order, no HIP sum. Estimate: within 1e-5 of what DataSketches says of the same bytes.
@safe
package struct HLLSketch: ~Copyable, OrderFree {
    /// Logarithm of the number of registers.
    package let lgK: Int
    /// How bytes are packed.
    package var type: HLLType
    // Open addressing over non-zero coupons, or, in register mode, nil.
    var coupons: UnsafeMutablePointer<UInt32>?
    var lgCapacity = 0
    var couponCount = 0
    var registers: UnsafeMutablePointer<UInt8>?

    /// An empty sketch; allocates nothing.
    ///
    /// - Precondition: `4 <= lgK <= 21`.
    package init(lgK: Int = 12, type: HLLType = .hll8) {
        precondition(4 <= lgK && lgK <= 21, "lgK of HLL is 4 to 21")
        self.lgK = lgK
        self.type = type
        unsafe coupons = nil
        unsafe registers = nil
    }

    deinit {
        unsafe coupons?.deallocate()
        unsafe registers?.deallocate()
    }

    /// Memory behind the sketch, its own fields included.
    package var byteCount: Int {
        var sum = MemoryLayout<HLLSketch>.size
        if unsafe coupons != nil { sum += 4 << lgCapacity }
        if unsafe registers != nil { sum += 1 << lgK }
        return sum
    }

    /// Whether no item went in.
    package var isEmpty: Bool { unsafe couponCount == 0 && registers == nil }

    // MARK: Coupons

    /// The coupon of an item by its DataSketches hash: 26 bits of place, 6 of run length.
    package static func coupon(_ hash: Hash128) -> UInt32 {
        let run = UInt32(truncatingIfNeeded: Swift.min(hash.high.leadingZeroBitCount, 62) + 1)
        return run << 26 | UInt32(truncatingIfNeeded: hash.low) & 0x3ff_ffff
    }

    /// The coupon of a string by its UTF-8 bytes; nil for the empty one, which counts as nothing.
    package static func coupon(ofBytes bytes: UnsafeRawBufferPointer) -> UInt32? {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return nil }
        return coupon(unsafe murmur3(base, count: bytes.count, seed: dataSketchesSeed))
    }

    /// The coupon of a string by its UTF-8 bytes; nil for the empty one, which counts as nothing.
    package static func coupon(ofBytes bytes: [UInt8]) -> UInt32? {
        unsafe bytes.withUnsafeBytes { bytes in unsafe coupon(ofBytes: bytes) }
    }

    /// The coupon of an integer, as eight bytes.
    package static func coupon(of value: Int64) -> UInt32 {
        var little = value.littleEndian
        return coupon(
            unsafe withUnsafeBytes(of: &little) { bytes in
                guard let base = bytes.baseAddress else { return Hash128(low: 0, high: 0) }
                return unsafe murmur3(base, count: 8, seed: dataSketchesSeed)
            }
        )
    }

    /// Adds an item by its coupon.
    ///
    /// - Complexity: O(1), a few ns.
    package mutating func update(coupon: UInt32) {
        guard coupon != 0 else { return }
        if let registers = unsafe registers {
            let slot = Int(coupon & (1 << UInt32(lgK) - 1))
            let run = UInt8(truncatingIfNeeded: coupon >> 26)
            if unsafe registers[slot] < run { unsafe registers[slot] = run }
            return
        }
        insert(coupon)
        if couponCount > couponCountMax { promote() }
    }

    /// Adds items by their coupons.
    ///
    /// - Complexity: about 0.4 ns a coupon once there are registers.
    package mutating func update(coupons: UnsafePointer<UInt32>, count: Int) {
        if unsafe registers == nil && count > couponCountMax {
            unsafe promoteAtOnce(coupons, count: count)
        }
        if unsafe registers == nil { reserve(couponCount + count) }
        var at = 0
        while unsafe registers == nil && at < count {
            update(coupon: unsafe coupons[at])
            at += 1
        }
        guard at < count, let registers = unsafe registers else { return }
        unsafe raiseRegisters(
            registers,
            mask: 1 << UInt32(lgK) - 1,
            coupons: coupons + at,
            count: count - at
        )
    }

    /// Adds integers, hashed as eight bytes.
    ///
    /// - Complexity: about 1.2 ns an integer with AVX-512.
    package mutating func update(_ values: UnsafePointer<Int64>, count: Int) {
        // 1 KiB stays on the stack.
        unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { scratch in
            guard let room = scratch.baseAddress else { return }
            var at = 0
            while at < count {
                let part = Swift.min(256, count &- at)
                unsafe TidemarkKernels.coupons(of: values + at, count: part, into: room)
                unsafe update(coupons: room, count: part)
                at &+= part
            }
        }
    }

    /// Adds the integers of an array.
    package mutating func update(_ values: [Int64]) {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe update(base, count: buffer.count)
        }
    }

    /// Adds the items of the other sketch.
    ///
    /// - Precondition: equal `lgK`.
    package mutating func merge(_ other: borrowing HLLSketch) {
        precondition(lgK == other.lgK, "the planner gives one lgK to all cells of a column")
        if let others = unsafe other.registers {
            if unsafe registers == nil { promote() }
            if let own = unsafe registers { unsafe maximum(into: own, others, count: 1 << lgK) }
        } else if let others = unsafe other.coupons {
            if let registers = unsafe registers {
                // Empty places are coupons of 0.
                unsafe raiseRegisters(
                    registers, mask: 1 << UInt32(lgK) - 1, coupons: others,
                    count: 1 << other.lgCapacity)
            } else {
                reserve(couponCount + other.couponCount)
                for i in 0..<1 << other.lgCapacity { update(coupon: unsafe others[i]) }
            }
        }
    }

    /// Forgets all items and frees the memory.
    package mutating func reset() {
        unsafe coupons?.deallocate()
        unsafe registers?.deallocate()
        unsafe coupons = nil
        unsafe registers = nil
        couponCount = 0
        lgCapacity = 0
    }

    /// An equal sketch with memory of its own.
    package borrowing func copy() -> HLLSketch {
        var other = HLLSketch(lgK: lgK, type: type)
        other.merge(self)
        return other
    }

    /// Goes to registers without keeping coupons first, if it is certain that they would be left:
    /// there are at least as many different coupons as registers that are not 0.
    mutating func promoteAtOnce(_ added: UnsafePointer<UInt32>, count: Int) {
        let registerCount = 1 << lgK
        let made = UnsafeMutablePointer<UInt8>.allocate(capacity: registerCount)
        unsafe made.initialize(repeating: 0, count: registerCount)
        let mask: UInt32 = 1 << UInt32(lgK) - 1
        unsafe raiseRegisters(made, mask: mask, coupons: added, count: count)
        var taken = 0
        for i in 0..<registerCount { taken &+= unsafe made[i] == 0 ? 0 : 1 }
        guard taken > couponCountMax else { return unsafe made.deallocate() }
        if let old = unsafe coupons {
            unsafe raiseRegisters(made, mask: mask, coupons: old, count: 1 << lgCapacity)
            unsafe old.deallocate()
        }
        unsafe registers = made
        unsafe coupons = nil
        couponCount = 0
        lgCapacity = 0
    }

    // LIST holds 7; SET, from lgK 8, three quarters of 2^(lgK − 3).
    var couponCountMax: Int { lgK < 8 ? 7 : 3 << (lgK - 5) }

    mutating func insert(_ coupon: UInt32) {
        if unsafe coupons == nil || couponCount * 4 >= 3 << lgCapacity { grow() }
        guard let coupons = unsafe coupons else { return }
        let mask = 1 << lgCapacity - 1
        // Coupons are hashes already, but one place may hold many run lengths.
        var at = Int(truncatingIfNeeded: coupon &* 0x9e37_79b1 >> 8) & mask
        while unsafe coupons[at] != 0 {
            if unsafe coupons[at] == coupon { return }
            at = (at + 1) & mask
        }
        unsafe coupons[at] = coupon
        couponCount += 1
    }

    /// Makes room for this many coupons, if that many are kept: each step of growing hashes all
    /// anew.
    mutating func reserve(_ count: Int) {
        guard count > 0 else { return }
        let wanted = Swift.min(count, couponCountMax)
        var lg = 3
        while wanted * 4 > 3 << lg { lg += 1 }
        if unsafe coupons == nil || lg > lgCapacity { grow(to: lg) }
    }

    mutating func grow() { unsafe grow(to: coupons == nil ? 3 : lgCapacity + 1) }

    mutating func grow(to lg: Int) {
        let old = unsafe coupons
        let oldCount = unsafe old == nil ? 0 : 1 << lgCapacity
        lgCapacity = lg
        let grown = UnsafeMutablePointer<UInt32>.allocate(capacity: 1 << lgCapacity)
        unsafe grown.initialize(repeating: 0, count: 1 << lgCapacity)
        unsafe coupons = grown
        couponCount = 0
        for i in 0..<oldCount {
            if let coupon = unsafe old?[i], coupon != 0 { insert(coupon) }
        }
        unsafe old?.deallocate()
    }

    mutating func promote() {
        let made = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << lgK)
        unsafe made.initialize(repeating: 0, count: 1 << lgK)
        unsafe registers = made
        if let old = unsafe coupons {
            for i in 0..<1 << lgCapacity { update(coupon: unsafe old[i]) }
            unsafe old.deallocate()
        }
        unsafe coupons = nil
        couponCount = 0
        lgCapacity = 0
    }

    // MARK: Answers

    /// How many registers hold each value: what estimate and bytes are made of.
    ///
    /// - Complexity: O(2^lgK) in register mode; take it once where both are wanted.
    package var registerCounts: RegisterCounts {
        var counts = RegisterCounts()
        if let registers = unsafe registers {
            unsafe countRegisters(registers, count: 1 << lgK, into: &counts.byValue)
        }
        return counts
    }

    /// How many registers of a sketch hold each value, 0 to 63; none while it has coupons.
    package struct RegisterCounts: Sendable {
        var byValue = InlineArray<64, UInt32>(repeating: 0)
    }

    /// The estimated number of distinct items.
    ///
    /// - Complexity: O(2^lgK) in register mode.
    package var estimate: Double {
        guard unsafe registers != nil else {
            // Two items share a coupon with probability 2^-26 Σ 4^-v = 2^-26 / 3.
            let c = Double(couponCount)
            return couponCount < 2 ? c : c * (1 + (c - 1) / (6 * 0x1p26))
        }
        return Self.composite(registerCounts, lgK: lgK)
    }

    /// An interval around the estimate, `standardDeviations` (1 to 3) wide on each side.
    ///
    /// The lower end is never below the number of distinct items that certainly went in.
    package func bounds(standardDeviations: Int) -> (lower: Double, upper: Double) {
        let (_, lower, upper) = estimateAndBounds(standardDeviations: standardDeviations)
        return (lower, upper)
    }

    /// `estimate` and `bounds`, for the price of one.
    package func estimateAndBounds(standardDeviations: Int) -> (
        estimate: Double, lower: Double, upper: Double
    ) { estimateAndBounds(standardDeviations: standardDeviations, registerCounts) }

    /// As `estimateAndBounds(standardDeviations:)`; `counts`: of this sketch, as it is now.
    package func estimateAndBounds(
        standardDeviations: Int, _ counts: RegisterCounts
    ) -> (estimate: Double, lower: Double, upper: Double) {
        precondition(1 <= standardDeviations && standardDeviations <= 3)
        let sure: Double
        let error: Double
        let estimate: Double
        if unsafe registers == nil {
            sure = Double(couponCount)
            error = Double(standardDeviations) * 0.409 / 8192
            estimate = self.estimate
        } else {
            sure = Double((1 << lgK) - Int(counts.byValue[0]))
            error = Double(standardDeviations) * 1.04 / Double(1 << lgK).squareRoot()
            estimate = Self.composite(counts, lgK: lgK)
        }
        // Below lgK 7 three deviations reach the estimate itself.
        let upper = error < 0.99 ? estimate / (1 - error) : .infinity
        return (estimate, Swift.max(sure, estimate / (1 + error)), upper)
    }

    /// DataSketches' estimate from registers alone, without the order in which items came: the
    /// harmonic mean corrected by a table, or, while many registers are empty, their number.
    private static func composite(_ counts: RegisterCounts, lgK: Int) -> Double {
        let counts = counts.byValue
        let k = Double(1 << lgK)
        if counts[0] == 1 << lgK { return 0 }
        // Exact: integers times powers of two, summed from the smallest up.
        var sum = 0.0
        for v in stride(from: 63, through: 0, by: -1) {
            sum += Double(counts[v]) * Double(sign: .plus, exponent: -v, significand: 1)
        }
        let correction =
            switch lgK {
            case 4: 0.673
            case 5: 0.697
            case 6: 0.709
            default: 0.7213 / (1 + 1.079 / k)
            }
        let corrected = Self.corrected(correction * k / sum, lgK: lgK) * k
        if corrected > 3 * k { return corrected }
        let empty = Int(counts[0])
        let linear = empty == 0 ? k * log(2 * k) : k * (harmonic(1 << lgK) - harmonic(empty))
        let crossing = lgK == 4 ? 0.718 : lgK == 5 ? 0.672 : 0.64
        return (corrected + linear) / 2 > crossing * k ? corrected : linear
    }

    /// By a cubic through two knots on either side; all in units of 2^lgK.
    private static func corrected(_ raw: Double, lgK: Int) -> Double {
        let knots = unsafe hllKnots(lgK: lgK)
        let step: Double =
            switch lgK {
            case 4: 0.0625
            case 5: 0.0625
            case 6: 0.046875
            default: 0.0390625
            }
        let last = 256
        if raw < Double(unsafe knots[0]) { return 0 }
        if raw > Double(unsafe knots[last]) {
            return raw * (Double(last) * step) / Double(unsafe knots[last])
        }
        var low = 0
        var high = last
        while low + 1 < high {
            let middle = (low + high) / 2
            if Double(unsafe knots[middle]) <= raw { low = middle } else { high = middle }
        }
        let first = Swift.max(0, Swift.min(low - 1, last - 3))
        var total = 0.0
        for i in first...first + 3 {
            let x = Double(unsafe knots[i])
            var part = Double(i) * step
            for j in first...first + 3 where j != i {
                let other = Double(unsafe knots[j])
                part *= (raw - other) / (x - other)
            }
            total += part
        }
        return total
    }

    /// 1 + 1/2 + … + 1/n.
    private static func harmonic(_ n: Int) -> Double {
        if n < 32 {
            var sum = 0.0
            for i in 1...n { sum += 1.0 / Double(i) }
            return sum
        }
        let x = Double(n)
        let square = x * x
        var sum: Double = log(x) + 0.577215664901532860606512
        sum += 0.5 / x
        sum -= 1.0 / (12.0 * square)
        sum += 1.0 / (120.0 * square * square)
        return sum
    }
}

// The owner hands it over; nothing is shared.
extension HLLSketch: @unchecked Sendable {}
