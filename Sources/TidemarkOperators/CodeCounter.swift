/// Exact counts by dictionary code: an open-addressing table whose slot is the code itself, so that
/// a small dictionary is a plain array.
///
/// - Memory: 8 bytes a slot, at most half of them taken.
@safe
struct CodeCounter: ~Copyable {
    private var codes: UnsafeMutablePointer<UInt32>
    private var counts: UnsafeMutablePointer<UInt32>
    private var mask: Int
    private(set) var distinctCount = 0
    private(set) var valueCount: Int64 = 0

    private static let free = UInt32.max

    init() {
        mask = 15
        unsafe codes = Self.allocate(16, filledWith: Self.free)
        unsafe counts = Self.allocate(16, filledWith: 0)
    }

    deinit {
        unsafe codes.deallocate()
        unsafe counts.deallocate()
    }

    var byteCount: Int { (mask + 1) * 8 }

    /// Counts the codes of some rows; `UInt32.max` is no value.
    ///
    /// - Returns: how many rows were taken: fewer than given when `distinctCountMax` was reached, so
    ///   that what happens then depends on the row, not on the batch.
    mutating func add(
        _ column: UnsafePointer<UInt32>, rows: UnsafePointer<UInt16>, count: Int,
        distinctCountMax: Int
    ) -> Int {
        for index in 0..<count {
            let code = unsafe column[Int(rows[index])]
            if code == .max { continue }
            add(code)
            if distinctCount >= distinctCountMax { return index + 1 }
        }
        return count
    }

    @inline(__always)
    private mutating func add(_ code: UInt32, _ count: UInt32 = 1) {
        valueCount += Int64(count)
        var slot = Int(code) & mask
        while true {
            let held = unsafe codes[slot]
            if held == code {
                unsafe counts[slot] &+= count
                return
            }
            if held == Self.free { break }
            slot = (slot + 1) & mask
        }
        unsafe codes[slot] = code
        unsafe counts[slot] = count
        distinctCount += 1
        if distinctCount * 2 > mask { grow() }
    }

    /// Calls `body` with each code and its count, in no stated order.
    func forEach(_ body: (UInt32, UInt32) -> Void) {
        for slot in 0...mask where unsafe codes[slot] != Self.free {
            body(unsafe codes[slot], unsafe counts[slot])
        }
    }

    /// Takes over new codes after the dictionary was compacted.
    mutating func remap(_ newCodes: [UInt32]) {
        var other = CodeCounter()
        forEach { code, count in other.add(newCodes[Int(code)], count) }
        self = other
    }

    private mutating func grow() {
        let (oldCodes, oldCounts, oldMask) = unsafe (codes, counts, mask)
        let slotCount = (mask + 1) * 2
        mask = slotCount - 1
        unsafe codes = Self.allocate(slotCount, filledWith: Self.free)
        unsafe counts = Self.allocate(slotCount, filledWith: 0)
        for old in 0...oldMask where unsafe oldCodes[old] != Self.free {
            var slot = Int(unsafe oldCodes[old]) & mask
            while unsafe codes[slot] != Self.free { slot = (slot + 1) & mask }
            unsafe codes[slot] = oldCodes[old]
            unsafe counts[slot] = oldCounts[old]
        }
        unsafe oldCodes.deallocate()
        unsafe oldCounts.deallocate()
    }

    private static func allocate(_ count: Int, filledWith value: UInt32)
        -> UnsafeMutablePointer<UInt32>
    {
        let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        unsafe memory.initialize(repeating: value, count: count)
        return unsafe memory
    }
}
