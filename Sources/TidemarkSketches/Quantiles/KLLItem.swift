import TidemarkKernels

/// What KLL needs of the numbers that it keeps: f32 or f64, without NaN and −0.
protocol KLLItem: BinaryFloatingPoint, BitwiseCopyable, Sendable {
    /// Writes those of 256 items that come at `offset`, `offset + stride`, … in order; may sort.
    static func sort256(
        _ items: UnsafeMutablePointer<Self>,
        keepEvery stride: Int,
        from offset: Int,
        into kept: UnsafeMutablePointer<Self>
    )
    /// Writes every second of an even number of items in order, from `offset` on; may sort.
    static func halve(
        _ items: UnsafeMutablePointer<Self>, count: Int, from offset: Int,
        into kept: UnsafeMutablePointer<Self>
    )
    /// Sorts in place.
    static func sort(_ items: UnsafeMutablePointer<Self>, count: Int)
    /// The smaller of `least` and all values, and the larger of `most` and all values; nil if one of
    /// them is NaN.
    static func extent(
        _ values: UnsafePointer<Self>,
        count: Int,
        _ least: Self,
        _ most: Self
    ) -> (low: Self, high: Self)?
    /// Joins levels in order; each item weighs 2^level.
    static func inOrder(
        _ parts: UnsafeMutableBufferPointer<LevelItems<Self>>,
        total: Int
    ) -> (values: [Self], cumulative: [UInt64])
    /// For each weight the least item that weighs so much together with all before it; nil where all
    /// items have to be joined in order for it.
    static func reached(
        _ weights: [UInt64],
        _ parts: UnsafeMutableBufferPointer<LevelItems<Self>>,
        total: Int
    ) -> [Self]?
    static func read(_ reader: inout ByteReader) throws(SketchError) -> Self
    func append(to bytes: inout [UInt8])
}

extension KLLItem {
    @inline(__always)
    static func insertionSort(_ items: UnsafeMutablePointer<Self>, count: Int) {
        for i in 1..<Swift.max(1, count) {
            let x = unsafe items[i]
            var j = i
            while unsafe j > 0 && items[j &- 1] > x {
                unsafe items[j] = items[j &- 1]
                j &-= 1
            }
            unsafe items[j] = x
        }
    }
}

/// Memory for numbers of eight bytes, on the stack up to 1,288 of them: compactions of a level.
private func withScratch<T: BitwiseCopyable>(
    of: T.Type,
    _ count: Int,
    _ body: (UnsafeMutablePointer<T>) -> Void
) {
    if count <= 1288 {
        var words = InlineArray<1288, UInt64>(repeating: 0)
        unsafe withUnsafeMutableBytes(of: &words) { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe body(base.assumingMemoryBound(to: T.self))
        }
        return
    }
    unsafe withUnsafeTemporaryAllocation(of: T.self, capacity: count) { buffer in
        guard let base = buffer.baseAddress else { return }
        unsafe body(base)
    }
}

extension Float: KLLItem {
    static func extent(
        _ values: UnsafePointer<Float>,
        count: Int,
        _ least: Float,
        _ most: Float
    ) -> (low: Float, high: Float)? {
        var lows = SIMD16<Float>(repeating: least)
        var highs = SIMD16<Float>(repeating: most)
        var wrongs = SIMDMask<SIMD16<Int32>>(repeating: false)
        var i = 0
        while i &+ 16 <= count {
            let x = unsafe UnsafeRawPointer(values + i).loadUnaligned(as: SIMD16<Float>.self)
            lows.replace(with: x, where: x .< lows)
            highs.replace(with: x, where: x .> highs)
            wrongs = wrongs .| (x .!= x)
            i &+= 16
        }
        var low = lows.min()
        var high = highs.max()
        var wrong = any(wrongs)
        while i < count {
            let x = unsafe values[i]
            wrong = wrong || x != x
            low = x < low ? x : low
            high = x > high ? x : high
            i &+= 1
        }
        return wrong ? nil : (low, high)
    }

    static func sort256(
        _ items: UnsafeMutablePointer<Float>,
        keepEvery stride: Int,
        from offset: Int,
        into kept: UnsafeMutablePointer<Float>
    ) {
        unsafe TidemarkKernels.sort256(items, keepEvery: stride, from: offset, into: kept)
    }

    static func halve(
        _ items: UnsafeMutablePointer<Float>, count: Int, from offset: Int,
        into kept: UnsafeMutablePointer<Float>
    ) {
        if count == 256 {
            unsafe TidemarkKernels.sort256(items, keepEvery: 2, from: offset, into: kept)
        } else if 256 < count && count <= 512 {
            unsafe sort512(items, count: count, keepEvery: 2, from: offset, into: kept)
        } else {
            unsafe sort(items, count: count)
            for i in 0..<count / 2 { unsafe kept[i] = items[2 &* i &+ offset] }
        }
    }

    static func sort(_ items: UnsafeMutablePointer<Float>, count: Int) {
        unsafe sortItems(items, count: count)
    }

    static func inOrder(
        _ parts: UnsafeMutableBufferPointer<LevelItems<Float>>,
        total: Int
    ) -> (values: [Float], cumulative: [UInt64]) {
        var values: [Float] = []
        let cumulative = unsafe [UInt64](unsafeUninitializedCapacity: total) { sums, sumCount in
            values = unsafe [Float](unsafeUninitializedCapacity: total) { items, count in
                count = total
                guard let items = items.baseAddress, let sums = sums.baseAddress else { return }
                unsafe orderLevels(parts, values: items, cumulative: sums)
            }
            sumCount = total
        }
        return (values, cumulative)
    }

    static func reached(
        _ weights: [UInt64],
        _ parts: UnsafeMutableBufferPointer<LevelItems<Float>>,
        total: Int
    ) -> [Float]? {
        guard total <= reachedItemCountMax.all else { return nil }
        for index in 0..<parts.count {
            guard unsafe parts[index].count <= reachedItemCountMax.level else { return nil }
        }
        return unsafe [Float](unsafeUninitializedCapacity: weights.count) { items, count in
            count = weights.count
            guard let items = items.baseAddress else { return }
            unsafe weights.withUnsafeBufferPointer {
                unsafe reachWeights($0, of: parts, into: items)
            }
        }
    }

    static func read(_ reader: inout ByteReader) throws(SketchError) -> Float {
        try reader.readFloat()
    }

    func append(to bytes: inout [UInt8]) { bytes.append(self) }
}

extension Double: KLLItem {
    static func extent(
        _ values: UnsafePointer<Double>,
        count: Int,
        _ least: Double,
        _ most: Double
    ) -> (low: Double, high: Double)? {
        var low = least
        var high = most
        var wrong = false
        for i in 0..<count {
            let x = unsafe values[i]
            wrong = wrong || x != x
            low = x < low ? x : low
            high = x > high ? x : high
        }
        return wrong ? nil : (low, high)
    }

    static func sort256(
        _ items: UnsafeMutablePointer<Double>,
        keepEvery stride: Int,
        from offset: Int,
        into kept: UnsafeMutablePointer<Double>
    ) {
        unsafe TidemarkKernels.sort256(items)
        var from = offset
        for i in 0..<256 / stride {
            unsafe kept[i] = items[from]
            from &+= stride
        }
    }

    static func halve(
        _ items: UnsafeMutablePointer<Double>, count: Int, from offset: Int,
        into kept: UnsafeMutablePointer<Double>
    ) {
        if count == 256 {
            unsafe sort256(items, keepEvery: 2, from: offset, into: kept)
        } else {
            unsafe sort(items, count: count)
            for i in 0..<count / 2 { unsafe kept[i] = items[2 &* i &+ offset] }
        }
    }

    static func sort(_ items: UnsafeMutablePointer<Double>, count: Int) {
        if count <= 24 {
            unsafe insertionSort(items, count: count)
            return
        }
        unsafe withScratch(of: Double.self, 256 + count) { block in
            let spare = unsafe block + 256
            var used = 0
            while used < count {
                let part = Swift.min(256, count - used)
                unsafe block.update(from: items + used, count: part)
                for i in part..<256 { unsafe block[i] = .infinity }
                unsafe TidemarkKernels.sort256(block)
                unsafe merge(items, used, block, part, into: spare)
                used += part
                unsafe items.update(from: spare, count: used)
            }
        }
    }

    private static func merge(
        _ a: UnsafePointer<Double>,
        _ aCount: Int,
        _ b: UnsafePointer<Double>,
        _ bCount: Int,
        into: UnsafeMutablePointer<Double>
    ) {
        var i = 0
        var j = 0
        for at in 0..<aCount &+ bCount {
            let first = unsafe j == bCount || (i < aCount && a[i] <= b[j])
            unsafe into[at] = first ? a[i] : b[j]
            i &+= first ? 1 : 0
            j &+= first ? 0 : 1
        }
    }

    static func inOrder(
        _ parts: UnsafeMutableBufferPointer<LevelItems<Double>>,
        total: Int
    ) -> (values: [Double], cumulative: [UInt64]) {
        var values: [Double] = []
        var levels: [UInt8] = []
        for index in 0..<parts.count {
            let part = unsafe parts[index]
            let sorted = unsafe [Double](unsafeUninitializedCapacity: part.count) { buffer, count in
                count = part.count
                guard let base = buffer.baseAddress else { return }
                unsafe base.update(from: part.items, count: part.count)
                unsafe sort(base, count: part.count)
            }
            let level = UInt8(truncatingIfNeeded: part.level)
            if values.isEmpty {
                values = sorted
                levels = [UInt8](repeating: level, count: part.count)
                continue
            }
            var joined: [Double] = []
            var joinedLevels: [UInt8] = []
            joined.reserveCapacity(values.count + sorted.count)
            joinedLevels.reserveCapacity(values.count + sorted.count)
            var i = 0
            // Heavier items stand behind lighter ones of the same value, as in f32.
            for x in sorted {
                while i < values.count && values[i] < x {
                    joined.append(values[i])
                    joinedLevels.append(levels[i])
                    i += 1
                }
                joined.append(x)
                joinedLevels.append(level)
            }
            joined.append(contentsOf: values[i...])
            joinedLevels.append(contentsOf: levels[i...])
            values = joined
            levels = joinedLevels
        }
        var sum: UInt64 = 0
        let cumulative = levels.map { level in
            sum &+= 1 &<< UInt64(level)
            return sum
        }
        return (values, cumulative)
    }

    static func reached(
        _: [UInt64], _: UnsafeMutableBufferPointer<LevelItems<Double>>, total _: Int
    ) -> [Double]? { nil }

    static func read(_ reader: inout ByteReader) throws(SketchError) -> Double {
        try reader.readDouble()
    }

    func append(to bytes: inout [UInt8]) { bytes.append(self) }
}

// MARK: Sorting and merging

/// Sorts items without NaN and −0: blocks of 256 in registers, then merges.
private func sortItems(_ items: UnsafeMutablePointer<Float>, count: Int) {
    if count <= 24 {
        unsafe Float.insertionSort(items, count: count)
        return
    }
    // 256 at once beyond 512, then merges.
    if count <= 512 {
        guard count <= 256 else {
            return unsafe sort512(items, count: count, keepEvery: 1, from: 0, into: items)
        }
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: 256) { scratch in
            guard let sorted = scratch.baseAddress else { return }
            unsafe sorted.update(from: items, count: count)
            for i in count..<256 { unsafe sorted[i] = .infinity }
            unsafe sort256(sorted)
            unsafe items.update(from: sorted, count: count)
        }
        return
    }
    // Two lists of keys, each block between the guards that `mergeKeys` wants.
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: 256) { scratch in
        guard let sorted = scratch.baseAddress else { return }
        unsafe withScratch(of: UInt64.self, 2 * count + 262) { base in
            var merged = unsafe base + 1
            var spare = unsafe base + count + 3
            let added = unsafe base + 2 * count + 5
            var used = 0
            while used < count {
                let part = min(256, count - used)
                unsafe sorted.update(from: items + used, count: part)
                for i in part..<256 { unsafe sorted[i] = .infinity }
                unsafe sort256(sorted)
                if used == 0 {
                    unsafe writeKeys(sorted, count: part, tag: 0, into: merged)
                } else {
                    unsafe writeKeys(sorted, count: part, tag: 0, into: added)
                    unsafe mergeKeys(merged, used, added, part, into: spare)
                    unsafe swap(&merged, &spare)
                }
                used += part
            }
            for i in 0..<count { unsafe items[i] = item(ofKey: merged[i]) }
        }
    }
}

/// Writes keys: bits that order as the value does, above `tag`; never 0 or the largest.
private func writeKeys(
    _ sorted: UnsafePointer<Float>,
    count: Int,
    tag: Int,
    into keys: UnsafeMutablePointer<UInt64>
) {
    let low = UInt64(truncatingIfNeeded: tag)
    for i in 0..<count {
        let bits = unsafe sorted[i].bitPattern
        let sign = UInt32(bitPattern: Int32(bitPattern: bits) >> 31)
        unsafe keys[i] = UInt64(bits ^ (sign | 0x8000_0000)) << 32 | low
    }
}

@inline(__always)
private func item(ofKey key: UInt64) -> Float {
    let ordered = UInt32(truncatingIfNeeded: key >> 32)
    let sign = UInt32(bitPattern: Int32(bitPattern: ordered) >> 31)
    return Float(bitPattern: ordered ^ (~sign | 0x8000_0000))
}
