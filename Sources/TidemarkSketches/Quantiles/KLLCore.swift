import TidemarkKernels

/// KLL by blocks, of f32 or f64: `KLLSketch` and `KLLDoublesSketch` say what it promises.
@safe
struct KLLCore<Item: KLLItem>: ~Copyable {
    static var blockCount: Int { 256 }
    static var blockLevel: Int { 2 }

    @safe
    struct Level {
        var items: UnsafeMutablePointer<Item>?
        var count: Int32 = 0
        var capacity: Int32 = 0
    }

    /// The parameter of the bytes that leave, and the floor of the levels' capacities.
    let k: Int
    var seed: UInt64
    var drawCount: UInt64
    var valueCount: UInt64
    var least: Item
    var most: Item
    var block: UnsafeMutablePointer<Item>?
    var blockUsed: Int32
    private var blockCapacity: Int32
    // Level i has weight 2^i; level 0 is the block.
    var levels: UnsafeMutablePointer<Level>?
    var levelCount: Int32
    private var levelCapacity: Int32
    /// Bytes of block and levels; kept, as it is asked for whenever a pane is sealed.
    private var heldByteCount: Int32

    /// An empty sketch; allocates nothing.
    ///
    /// - Precondition: `8 <= k <= 65535`.
    init(k: Int = 200, seed: UInt64) {
        precondition(8 <= k && k <= 65_535, "k of KLL is 8 to 65535")
        self.k = k
        self.seed = seed
        drawCount = 0
        valueCount = 0
        least = .infinity
        most = -.infinity
        blockUsed = 0
        blockCapacity = 0
        levelCount = 0
        levelCapacity = 0
        heldByteCount = 0
        unsafe block = nil
        unsafe levels = nil
    }

    deinit {
        unsafe block?.deallocate()
        if let levels = unsafe levels {
            for i in 0..<Int(levelCapacity) { unsafe levels[i].items?.deallocate() }
            unsafe levels.deallocate()
        }
    }

    /// How many values went in.
    var count: Int { Int(truncatingIfNeeded: valueCount) }
    /// Whether no value went in.
    var isEmpty: Bool { valueCount == 0 }
    /// The smallest value; nil when empty.
    var min: Item? { valueCount == 0 ? nil : least }
    /// The largest value; nil when empty.
    var max: Item? { valueCount == 0 ? nil : most }

    /// How many values are kept.
    var retainedCount: Int {
        var sum = Int(blockUsed)
        if let levels = unsafe levels {
            for i in 0..<Int(levelCount) { sum += Int(unsafe levels[i].count) }
        }
        return sum
    }

    /// Memory behind the sketch, its own fields included.
    var byteCount: Int { MemoryLayout<KLLCore>.size + Int(heldByteCount) }

    /// Adds values; NaN is left out.
    ///
    /// - Complexity: about 1 ns a value with AVX-512.
    mutating func update(_ values: UnsafePointer<Item>, count: Int) {
        var from = unsafe values
        var left = count
        while left > 0 {
            let part = Swift.min(left, Self.blockCount)
            unsafe add(from, count: part)
            unsafe from += part
            left &-= part
        }
    }

    /// Adds the values of an array.
    mutating func update(_ values: [Item]) {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe update(base, count: buffer.count)
        }
    }

    /// Adds what `next` summarises; `next` stands after this one in canonical order.
    ///
    /// - Complexity: about 1 µs for panes of 1,000 values.
    mutating func merge(_ next: borrowing KLLCore) {
        guard next.valueCount > 0 else { return }
        if let items = unsafe next.block {
            unsafe absorb(items, count: Int(next.blockUsed))
        }
        if let others = unsafe next.levels {
            for i in 1..<Swift.max(1, Int(next.levelCount)) {
                guard let items = unsafe others[i].items else { continue }
                unsafe append(items, count: Int(others[i].count), to: i)
            }
        }
        valueCount &+= next.valueCount
        least = Swift.min(least, next.least)
        most = Swift.max(most, next.most)
    }

    /// Forgets all values but keeps the memory; draws start again under `seed`.
    mutating func reset(seed: UInt64) {
        self.seed = seed
        drawCount = 0
        valueCount = 0
        least = .infinity
        most = -.infinity
        blockUsed = 0
        if let levels = unsafe levels {
            for i in 0..<Int(levelCount) { unsafe levels[i].count = 0 }
        }
        levelCount = 0
    }

    /// An equal sketch with memory of its own.
    borrowing func copy() -> KLLCore {
        var other = KLLCore(k: k, seed: seed)
        other.drawCount = drawCount
        other.valueCount = valueCount
        other.least = least
        other.most = most
        if let items = unsafe block {
            other.reserveBlock(Int(blockUsed))
            if let to = unsafe other.block { unsafe to.update(from: items, count: Int(blockUsed)) }
            other.blockUsed = blockUsed
        }
        if let levels = unsafe levels {
            other.growLevels(Int(levelCount))
            for i in 1..<Swift.max(1, Int(levelCount)) {
                let count = Int(unsafe levels[i].count)
                guard count > 0, let items = unsafe levels[i].items else { continue }
                unsafe other.room(count, in: i).update(from: items, count: count)
                if let own = unsafe other.levels { unsafe own[i].count = Int32(count) }
            }
        }
        other.levelCount = levelCount
        return other
    }

    /// What is kept, the heaviest level first.
    private borrowing func withLevels<T>(
        _ body: (UnsafeMutableBufferPointer<LevelItems<Item>>, _ total: Int) -> T
    ) -> T {
        unsafe withUnsafeTemporaryAllocation(
            of: LevelItems<Item>.self, capacity: Swift.max(1, Int(levelCount))
        ) { parts in
            var used = 0
            var total = 0
            for i in stride(from: Int(levelCount) - 1, through: 0, by: -1) {
                var items = unsafe block
                var count = Int(blockUsed)
                if i > 0, let levels = unsafe levels {
                    unsafe items = levels[i].items
                    count = Int(unsafe levels[i].count)
                }
                guard count > 0, let items = unsafe items else { continue }
                unsafe parts[used] = LevelItems(items: items, count: count, level: i)
                used += 1
                total += count
            }
            return unsafe body(UnsafeMutableBufferPointer(rebasing: parts[..<used]), total)
        }
    }

    /// The retained values in order, with their weights.
    borrowing func view() -> KLLCoreView<Item> {
        let (highest, (values, cumulative)) = unsafe withLevels { parts, total in
            let highest = unsafe parts.isEmpty ? 0 : parts[0].level
            return unsafe (highest, Item.inOrder(parts, total: total))
        }
        return KLLCoreView(
            k: k,
            count: valueCount,
            min: least,
            max: most,
            levelCount: highest + 1,
            values: values,
            cumulative: cumulative
        )
    }

    /// For each rank in 0…1 the smallest value whose rank reaches it; empty when the sketch is.
    ///
    /// The same answers as the view's, mostly without putting all items in one order.
    borrowing func quantiles(_ ranks: [Double]) -> [Item] {
        let (count, least, most) = (valueCount, least, most)
        guard count > 0 else { return [] }
        let weights = ranks.map { rank in
            // The ends are not asked for.
            0 < rank && rank < 1 ? KLLCoreView<Item>.leastWeight(rank, of: count) : 1
        }
        guard var reached = unsafe withLevels({ unsafe Item.reached(weights, $0, total: $1) })
        else { return view().quantiles(ranks) }
        for (place, rank) in ranks.enumerated() {
            if rank <= 0 { reached[place] = least } else if !(rank < 1) { reached[place] = most }
        }
        return reached
    }

    // MARK: Blocks and levels

    private mutating func draw() -> UInt64 {
        drawCount &+= 1
        return CounterRandom(key: seed).draw(drawCount)
    }

    /// At most one block: checks and cleans while it copies.
    private mutating func add(_ values: UnsafePointer<Item>, count: Int) {
        guard let (low, high) = unsafe Item.extent(values, count: count, least, most) else {
            for i in 0..<count where unsafe !values[i].isNaN {
                unsafe add(values + i, count: 1)
            }
            return
        }
        // −0 becomes 0: networks and sorts see them as equal, bytes would not.
        least = low + 0
        most = high + 0
        valueCount &+= UInt64(truncatingIfNeeded: count)
        unsafe absorb(values, count: count)
    }

    /// Moves values into the block, without counting them.
    private mutating func absorb(_ values: UnsafePointer<Item>, count: Int) {
        var from = unsafe values
        var left = count
        while left > 0 {
            // A full block waits for the next value: 256 values are still exact.
            if Int(blockUsed) == Self.blockCount { compactBlock() }
            let used = Int(blockUsed)
            let part = Swift.min(left, Self.blockCount &- used)
            reserveBlock(used &+ part)
            guard let block = unsafe block else { return }
            let to = unsafe block + used
            for i in 0..<part { unsafe to[i] = from[i] + 0 }
            blockUsed = Int32(truncatingIfNeeded: used &+ part)
            if levelCount == 0 { levelCount = 1 }
            unsafe from += part
            left &-= part
        }
    }

    /// Begins to fetch the places of the next values.
    borrowing func prefetch() {
        guard let block = unsafe block else { return }
        let left = Int(blockCapacity - blockUsed) * MemoryLayout<Item>.stride
        unsafe prefetchForWriting(block + Int(blockUsed), byteCount: Swift.min(left, 128))
    }

    /// Begins to fetch the list of levels, to read it.
    borrowing func prefetchLevels() {
        guard let levels = unsafe levels else { return }
        unsafe prefetchForReading(
            levels, byteCount: Int(levelCount) &* MemoryLayout<Level>.stride)
    }

    /// Begins to fetch all items, to read them; the list of levels is there.
    borrowing func prefetchItems() {
        if let block = unsafe block {
            unsafe prefetchForReading(
                block, byteCount: Int(blockUsed) &* MemoryLayout<Item>.stride)
        }
        guard let levels = unsafe levels else { return }
        for i in 1..<Swift.max(1, Int(levelCount)) {
            guard let items = unsafe levels[i].items else { continue }
            unsafe prefetchForReading(
                items, byteCount: Int(levels[i].count) &* MemoryLayout<Item>.stride)
        }
    }

    /// Adds values that are clean already, and may sort them: no NaN, no −0, and `least` and `most`
    /// are the extremes of these and all values before.
    mutating func update(
        clean values: UnsafeMutablePointer<Item>, count: Int, least: Item, most: Item
    ) {
        guard count > 0 else { return }
        self.least = least
        self.most = most
        valueCount &+= UInt64(truncatingIfNeeded: count)
        if levelCount == 0 { levelCount = 1 }
        var from = unsafe values
        var left = count
        while left > 0 {
            if Int(blockUsed) == Self.blockCount { compactBlock() }
            let used = Int(blockUsed)
            if used == 0, left > Self.blockCount {
                // A block that more values follow need not be kept first.
                unsafe compactBlock(from)
                unsafe from += Self.blockCount
                left &-= Self.blockCount
                continue
            }
            let part = Swift.min(left, Self.blockCount &- used)
            reserveBlock(used &+ part)
            guard let block = unsafe block else { return }
            unsafe (block + used).update(from: from, count: part)
            blockUsed = Int32(truncatingIfNeeded: used &+ part)
            unsafe from += part
            left &-= part
        }
    }

    mutating func reserveBlock(_ count: Int) {
        guard count > Int(blockCapacity) else { return }
        var capacity = Swift.max(16, Int(blockCapacity))
        while capacity < count { capacity *= 2 }
        let grown = UnsafeMutablePointer<Item>.allocate(capacity: capacity)
        if let block = unsafe block {
            unsafe grown.update(from: block, count: Int(blockUsed))
            unsafe block.deallocate()
        }
        unsafe block = grown
        hold(Item.self, capacity - Int(blockCapacity))
        blockCapacity = Int32(capacity)
    }

    private mutating func compactBlock() {
        guard let items = unsafe block else { return }
        blockUsed = 0
        unsafe compactBlock(items)
    }

    /// Moves every 2nd or 4th of a block's values up; may sort them.
    private mutating func compactBlock(_ items: UnsafeMutablePointer<Item>) {
        // The first block keeps every 2nd value: 3 of 257 would be more than 1% of error.
        let level = levelCount <= 1 ? 1 : Self.blockLevel
        let stride = 1 << level
        let offset = Int(truncatingIfNeeded: draw() >> UInt64(64 - level))
        let kept = Self.blockCount / stride
        let to = unsafe room(kept, in: level)
        unsafe Item.sort256(items, keepEvery: stride, from: offset, into: to)
        added(kept, to: level)
    }

    /// Room for `count` more items of level `i`, behind its items.
    mutating func room(_ count: Int, in i: Int) -> UnsafeMutablePointer<Item> {
        if i >= Int(levelCapacity) { growLevels(i + 1) }
        if i >= Int(levelCount) { levelCount = Int32(i + 1) }
        guard let levels = unsafe levels else { preconditionFailure("levels were just made") }
        let used = Int(unsafe levels[i].count)
        if used + count > Int(unsafe levels[i].capacity) {
            var capacity = Swift.max(64, Int(unsafe levels[i].capacity))
            while capacity < used + count { capacity *= 2 }
            let grown = UnsafeMutablePointer<Item>.allocate(capacity: capacity)
            if let items = unsafe levels[i].items {
                unsafe grown.update(from: items, count: used)
                unsafe items.deallocate()
            }
            hold(Item.self, capacity - Int(unsafe levels[i].capacity))
            unsafe levels[i].items = grown
            unsafe levels[i].capacity = Int32(capacity)
        }
        guard let items = unsafe levels[i].items else { preconditionFailure("room was just made") }
        return unsafe items + used
    }

    private mutating func hold<T>(_: T.Type, _ more: Int) {
        heldByteCount &+= Int32(truncatingIfNeeded: MemoryLayout<T>.stride * more)
    }

    mutating func growLevels(_ count: Int) {
        var capacity = Swift.max(4, Int(levelCapacity))
        while capacity < count { capacity *= 2 }
        let grown = UnsafeMutablePointer<Level>.allocate(capacity: capacity)
        unsafe grown.initialize(repeating: Level(items: nil), count: capacity)
        if let levels = unsafe levels {
            unsafe grown.update(from: levels, count: Int(levelCapacity))
            unsafe levels.deallocate()
        }
        unsafe levels = grown
        hold(Level.self, capacity - Int(levelCapacity))
        levelCapacity = Int32(capacity)
    }

    private mutating func append(_ items: UnsafePointer<Item>, count: Int, to i: Int) {
        var from = unsafe items
        var left = count
        while left > 0 {
            let part = Swift.min(left, Self.blockCount)
            unsafe room(part, in: i).update(from: from, count: part)
            added(part, to: i)
            unsafe from += part
            left &-= part
        }
    }

    private mutating func added(_ count: Int, to i: Int) {
        guard let levels = unsafe levels else { return }
        unsafe levels[i].count &+= Int32(truncatingIfNeeded: count)
        if Int(unsafe levels[i].count) >= limit(of: i) { compact(i) }
    }

    /// The two highest levels are the ones whose compactions weigh most.
    private func limit(of i: Int) -> Int {
        let floor = k <= 200 ? 256 : 256 * ((k + 199) / 200)
        return i >= Int(levelCount) - 2 ? 2 * floor : floor
    }

    /// Sorts level `i` and moves every second value up; of an odd number one stays.
    private mutating func compact(_ i: Int) {
        guard let levels = unsafe levels, let items = unsafe levels[i].items else { return }
        let count = Int(unsafe levels[i].count)
        let random = draw()
        let offset = Int(truncatingIfNeeded: random >> 63)
        let half = count / 2
        let to = unsafe room(half, in: i + 1)
        // `room` may have moved the array of levels, not their items.
        guard let levels = unsafe self.levels else { return }
        unsafe levels[i].count = Int32(truncatingIfNeeded: count & 1)
        if count & 1 == 0 {
            unsafe Item.halve(items, count: count, from: offset, into: to)
        } else {
            unsafe Item.sort(items, count: count)
            if random >> 62 & 1 == 0 {
                // The smallest stays.
                for j in 0..<half { unsafe to[j] = items[1 &+ 2 &* j &+ offset] }
            } else {
                // The largest stays, at the front; the smallest waits at the end.
                unsafe items[0] = exchange(&items[count - 1], with: items[0])
                unsafe to[0] = offset == 0 ? items[count - 1] : items[1]
                for j in 1..<Swift.max(1, half) { unsafe to[j] = items[2 &* j &+ offset] }
            }
        }
        added(half, to: i + 1)
    }
}

extension KLLCore {
    /// The sketch that DataSketches bytes hold; draws go on under `seed`.
    static func read(_ bytes: [UInt8], seed: UInt64) throws(SketchError) -> KLLCore {
        var reader = ByteReader(bytes)
        let preamble = try reader.read(UInt8.self)
        let version = try reader.read(UInt8.self)
        let family = try reader.read(UInt8.self)
        guard family == 15 else { throw .unsupported(field: "family", value: Int(family)) }
        guard version == 1 || version == 2 else {
            throw .unsupported(field: "serial version", value: Int(version))
        }
        let flags = try reader.read(UInt8.self)
        let k = Int(try reader.read(UInt16.self))
        let m = try reader.read(UInt8.self)
        _ = try reader.read(UInt8.self)
        guard k >= 8 else { throw .corrupt(field: "k", offset: 4) }
        guard m == 8 else { throw .unsupported(field: "m", value: Int(m)) }
        var sketch = KLLCore(k: k, seed: seed)
        if flags & 1 != 0 {
            guard preamble == 2 else { throw .corrupt(field: "preamble", offset: 0) }
            try reader.finish()
            return sketch
        }
        if flags & 4 != 0 {
            guard preamble == 2, version == 2 else { throw .corrupt(field: "preamble", offset: 0) }
            let item = try Item.read(&reader)
            guard !item.isNaN else { throw .corrupt(field: "item", offset: 8) }
            try reader.finish()
            sketch.update([item])
            return sketch
        }
        guard preamble == 5, version == 1 else { throw .corrupt(field: "preamble", offset: 0) }
        let count = try reader.read(UInt64.self)
        let minimalK = Int(try reader.read(UInt16.self))
        let levelCount = Int(try reader.read(UInt8.self))
        _ = try reader.read(UInt8.self)
        guard count > 0, count < 1 << 62 else { throw .corrupt(field: "n", offset: 8) }
        guard 8 <= minimalK && minimalK <= k else { throw .corrupt(field: "min k", offset: 16) }
        guard 1 <= levelCount && levelCount <= 60 else {
            throw .corrupt(field: "levels", offset: 18)
        }
        var starts: [Int] = []
        for _ in 0..<levelCount { starts.append(Int(try reader.read(UInt32.self))) }
        starts.append(KLLLayout.capacity(k: k, levelCount: levelCount))
        for i in 0..<levelCount where starts[i] > starts[i + 1] {
            throw .corrupt(field: "levels", offset: 20 + 4 * i)
        }
        let least = try Item.read(&reader)
        let most = try Item.read(&reader)
        guard least <= most else { throw .corrupt(field: "min", offset: 20 + 4 * levelCount) }
        var weight: UInt64 = 0
        for i in 0..<levelCount {
            var items: [Item] = []
            for _ in starts[i]..<starts[i + 1] {
                let at = reader.offset
                let item = try Item.read(&reader) + 0
                guard least <= item && item <= most else {
                    throw .corrupt(field: "item", offset: at)
                }
                if i > 0, let last = items.last, last > item {
                    throw .corrupt(field: "order", offset: at)
                }
                items.append(item)
            }
            // At most 2^18 items a level and 60 levels: no overflow below level 45.
            let (share, over) = UInt64(items.count).multipliedReportingOverflow(by: 1 << UInt64(i))
            let (sum, more) = weight.addingReportingOverflow(share)
            guard !over && !more && sum <= count else { throw .corrupt(field: "n", offset: 8) }
            weight = sum
            unsafe items.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
                if i == 0 {
                    unsafe sketch.absorb(base, count: buffer.count)
                } else {
                    unsafe sketch.append(base, count: buffer.count, to: i)
                }
            }
        }
        guard weight == count else { throw .corrupt(field: "n", offset: 8) }
        try reader.finish()
        sketch.valueCount = count
        sketch.least = least + 0
        sketch.most = most + 0
        return sketch
    }
}

// The owner hands it over; nothing is shared.
extension KLLCore: @unchecked Sendable {}
