import TidemarkKernels
import TidemarkText

/// The bytes of a sketch, as Apache DataSketches has them.
extension HLLSketch {
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
