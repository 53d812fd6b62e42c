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
    private var coupons: UnsafeMutablePointer<UInt32>?
    private var lgCapacity = 0
    private var couponCount = 0
    private var registers: UnsafeMutablePointer<UInt8>?

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
    private mutating func promoteAtOnce(_ added: UnsafePointer<UInt32>, count: Int) {
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
    private var couponCountMax: Int { lgK < 8 ? 7 : 3 << (lgK - 5) }

    private mutating func insert(_ coupon: UInt32) {
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
    private mutating func reserve(_ count: Int) {
        guard count > 0 else { return }
        let wanted = Swift.min(count, couponCountMax)
        var lg = 3
        while wanted * 4 > 3 << lg { lg += 1 }
        if unsafe coupons == nil || lg > lgCapacity { grow(to: lg) }
    }

    private mutating func grow() { unsafe grow(to: coupons == nil ? 3 : lgCapacity + 1) }

    private mutating func grow(to lg: Int) {
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

    private mutating func promote() {
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
        fileprivate var byValue = InlineArray<64, UInt32>(repeating: 0)
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

    // MARK: Bytes

    /// Canonical bytes of a DataSketches `hll_sketch` of this `type`.
    package borrowing func serialize() -> [UInt8] { serialize(registerCounts) }

    /// As `serialize()`; `counts`: of this sketch, as it is now.
    package borrowing func serialize(_ registerCounts: RegisterCounts) -> [UInt8] {
        var bytes: [UInt8] = []
        let lg = UInt8(truncatingIfNeeded: lgK)
        if let registers = unsafe registers {
            let counts = registerCounts.byValue
            var large = 0.0
            var small = 0.0
            // Exact: integers times powers of two, summed from the smallest up.
            for v in stride(from: 63, through: 32, by: -1) {
                small += Double(counts[v]) * Double(sign: .plus, exponent: -v, significand: 1)
            }
            for v in stride(from: 31, through: 0, by: -1) {
                large += Double(counts[v]) * Double(sign: .plus, exponent: -v, significand: 1)
            }
            var floor = 0
            var high: UInt32 = 0
            if type == .hll4 {
                while floor < 63, counts[floor] == 0 { floor += 1 }
                for v in stride(from: floor + 15, to: 64, by: 1) { high += counts[v] }
            }
            bytes.reserveCapacity(44 + 1 << lgK)
            bytes.append(contentsOf: [
                10, 1, 7, lg, 0, 8 | 16, UInt8(floor), 2 | type.rawValue << 2,
            ])
            bytes.append(0.0)
            bytes.append(large)
            bytes.append(small)
            bytes.append(littleEndian: counts[floor])
            bytes.append(littleEndian: high)
            unsafe pack(UnsafePointer(registers), floor: UInt8(floor), into: &bytes)
            return bytes
        }
        var sorted: [UInt32] = []
        if let coupons = unsafe coupons {
            for i in 0..<1 << lgCapacity where unsafe coupons[i] != 0 {
                sorted.append(unsafe coupons[i])
            }
        }
        sortCoupons(&sorted)
        if sorted.count <= 7 {
            let flags: UInt8 = 8 | 16 | (sorted.isEmpty ? 4 : 0)
            bytes.append(contentsOf: [
                2, 1, 7, lg, 3, flags, UInt8(sorted.count), type.rawValue << 2,
            ])
        } else {
            var lgSize: UInt8 = 5
            while sorted.count > 3 << Int(lgSize - 2) { lgSize += 1 }
            bytes.append(contentsOf: [3, 1, 7, lg, lgSize, 8 | 16, 0, 1 | type.rawValue << 2])
            bytes.append(littleEndian: UInt32(sorted.count))
        }
        for coupon in sorted { bytes.append(littleEndian: coupon) }
        return bytes
    }

    private borrowing func pack(
        _ registers: UnsafePointer<UInt8>,
        floor: UInt8,
        into bytes: inout [UInt8]
    ) {
        let count = 1 << lgK
        switch type {
        case .hll8:
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: registers, count: count))
        case .hll6:
            // Four registers in three bytes, the lowest bits first.
            for i in stride(from: 0, to: count, by: 4) {
                let word =
                    unsafe UInt32(registers[i]) | UInt32(registers[i + 1]) << 6
                    | UInt32(registers[i + 2]) << 12 | UInt32(registers[i + 3]) << 18
                bytes.append(UInt8(truncatingIfNeeded: word))
                bytes.append(UInt8(truncatingIfNeeded: word >> 8))
                bytes.append(UInt8(truncatingIfNeeded: word >> 16))
            }
            // The format reads two bytes at a time.
            bytes.append(UInt8(0))
        case .hll4:
            for i in stride(from: 0, to: count, by: 2) {
                let (a, b) = unsafe (registers[i] - floor, registers[i + 1] - floor)
                bytes.append(Swift.min(a, 15) | Swift.min(b, 15) << 4)
            }
            for i in 0..<count where unsafe registers[i] - floor >= 15 {
                bytes.append(littleEndian: UInt32(unsafe registers[i]) << 26 | UInt32(i))
            }
        }
    }

    /// The sketch that DataSketches bytes hold, of whichever type.
    ///
    /// - Throws: `SketchError` for anything else.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> HLLSketch {
        var reader = ByteReader(bytes)
        let preamble = try reader.read(UInt8.self)
        let version = try reader.read(UInt8.self)
        let family = try reader.read(UInt8.self)
        let lgK = Int(try reader.read(UInt8.self))
        let lgSize = Int(try reader.read(UInt8.self))
        let flags = try reader.read(UInt8.self)
        let listCount = Int(try reader.read(UInt8.self))
        let mode = try reader.read(UInt8.self)
        guard family == 7 else { throw .unsupported(field: "family", value: Int(family)) }
        guard version == 1 else { throw .unsupported(field: "serial version", value: Int(version)) }
        guard 4 <= lgK && lgK <= 21 else { throw .corrupt(field: "lgK", offset: 3) }
        guard let type = HLLType(rawValue: mode >> 2 & 3) else {
            throw .corrupt(field: "type", offset: 7)
        }
        var sketch = HLLSketch(lgK: lgK, type: type)
        let empty = flags & 4 != 0
        let compact = flags & 8 != 0
        switch mode & 3 {
        case 0:
            guard preamble == 2, listCount < 8, !empty || listCount == 0 else {
                throw .corrupt(field: "list", offset: 6)
            }
            let slots = compact || empty ? listCount : 8
            try sketch.readCoupons(&reader, slots: slots, count: listCount)
            if empty && !compact && reader.left == 32 { _ = try reader.readBytes(32) }
        case 1:
            guard preamble == 3, lgK > 7 else { throw .corrupt(field: "set", offset: 0) }
            let count = Int(try reader.read(UInt32.self))
            guard count <= sketch.couponCountMax, 5 <= lgSize, lgSize <= lgK - 3 else {
                throw .corrupt(field: "set", offset: 8)
            }
            try sketch.readCoupons(&reader, slots: compact ? count : 1 << lgSize, count: count)
        case 2:
            guard preamble == 10 else { throw .corrupt(field: "preamble", offset: 0) }
            for _ in 0..<3 { _ = try reader.readDouble() }
            _ = try reader.read(UInt32.self)
            let exceptions = Int(try reader.read(UInt32.self))
            guard exceptions == 0 || type == .hll4, exceptions <= 1 << lgK else {
                throw .corrupt(field: "exceptions", offset: 36)
            }
            guard type == .hll4 ? listCount <= 62 : listCount == 0 else {
                throw .corrupt(field: "smallest register", offset: 6)
            }
            try sketch.readRegisters(&reader, floor: UInt8(listCount))
            // The updatable form writes its whole table, empty places too.
            let slots = compact ? exceptions : type == .hll4 ? reader.left / 4 : 0
            try sketch.readExceptions(&reader, slots: slots, count: exceptions)
        default:
            throw .corrupt(field: "mode", offset: 7)
        }
        try reader.finish()
        return sketch
    }

    private mutating func readRegisters(
        _ reader: inout ByteReader,
        floor: UInt8
    ) throws(SketchError) {
        let start = reader.offset
        let count = 1 << lgK
        let packed: Int
        switch type {
        case .hll8: packed = count
        case .hll6: packed = count / 4 * 3 + 1
        case .hll4: packed = count / 2
        }
        let bytes = try reader.readBytes(packed)
        promote()
        guard let registers = unsafe registers else { return }
        for i in 0..<count {
            var value: UInt8
            switch type {
            case .hll8: value = bytes[start + i]
            case .hll6:
                let at = start + i / 4 * 3
                let word =
                    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
                value = UInt8(truncatingIfNeeded: word >> UInt32(i % 4 * 6) & 63)
            case .hll4:
                value = bytes[start + i / 2] >> UInt8(i % 2 * 4) & 15
                // 255 until its exception is read.
                value = value == 15 ? 255 : value + floor
            }
            guard value <= 63 || value == 255 && type == .hll4 else {
                throw .corrupt(field: "register", offset: start + i)
            }
            unsafe registers[i] = value
        }
    }

    private mutating func readExceptions(
        _ reader: inout ByteReader,
        slots: Int,
        count: Int
    ) throws(SketchError) {
        guard let registers = unsafe registers else { return }
        var found = 0
        for _ in 0..<slots {
            let at = reader.offset
            let pair = try reader.read(UInt32.self)
            if pair == 0 { continue }
            let slot = Int(pair & (1 << UInt32(lgK) - 1))
            guard unsafe registers[slot] == 255, pair & 0x3ff_ffff < 1 << UInt32(lgK) else {
                throw .corrupt(field: "exception", offset: at)
            }
            unsafe registers[slot] = UInt8(pair >> 26)
            found += 1
        }
        guard found == count else { throw .corrupt(field: "exceptions", offset: 36) }
        for i in 0..<1 << lgK where unsafe registers[i] == 255 {
            throw .corrupt(field: "exception missing", offset: 40 + i / 2)
        }
    }

    private mutating func readCoupons(
        _ reader: inout ByteReader,
        slots: Int,
        count: Int
    ) throws(SketchError) {
        for _ in 0..<slots {
            let at = reader.offset
            let coupon = try reader.read(UInt32.self)
            if coupon == 0 { continue }
            guard coupon >> 26 != 0 else { throw .corrupt(field: "coupon", offset: at) }
            update(coupon: coupon)
        }
        guard couponCount == count else { throw .corrupt(field: "coupons", offset: 8) }
    }
}

/// Sorts coupons, ascending: byte by byte, where they are many.
private func sortCoupons(_ coupons: inout [UInt32]) {
    guard coupons.count > 64 else { return coupons.sort() }
    // How many come before those of each byte's value; the lowest byte first.
    var starts = InlineArray<1024, Int>(repeating: 0)
    for coupon in coupons {
        for byte in 0..<4 { starts[byte << 8 | Int(coupon >> UInt32(8 * byte) & 255)] &+= 1 }
    }
    var sorted = coupons
    for byte in 0..<4 {
        var before = 0
        for value in byte << 8..<(byte + 1) << 8 {
            let count = starts[value]
            starts[value] = before
            before &+= count
        }
        for coupon in coupons {
            let value = byte << 8 | Int(coupon >> UInt32(8 * byte) & 255)
            sorted[starts[value]] = coupon
            starts[value] &+= 1
        }
        swap(&coupons, &sorted)
    }
}

// The owner hands it over; nothing is shared.
extension HLLSketch: @unchecked Sendable {}
