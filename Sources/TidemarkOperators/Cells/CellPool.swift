import Synchronization
import TidemarkDataflow
import TidemarkKernels
import TidemarkSketches

/// What a `GroupCell` keeps in raw memory: it outlives the cell and serves another one.
///
/// The owner is its cell, or the pool.
@safe
final class CellMemory: @unchecked Sendable {
    let states: UnsafeMutablePointer<Int64>
    let exact: UnsafeMutablePointer<NumericCell>
    let ordered: UnsafeMutablePointer<OrderedCell>
    let kll: UnsafeMutablePointer<KLLSketch>
    let counters: UnsafeMutablePointer<UInt64>
    let codes: UnsafeMutablePointer<CodeCounter>
    let categories: [CategorySummary?]
    private let memory: UnsafeMutableRawPointer
    let columnCount: Int
    let counterCount: Int
    /// What the pool counts while it has it.
    fileprivate var pooledByteCount = 0

    /// Empty memory for cells of a shape.
    init(_ shape: GroupShape) {
        columnCount = shape.columns.count
        counterCount = shape.counterCount
        let parts = unsafe Self.parts(columnCount, counterCount)
        unsafe memory = parts.memory
        unsafe (states, exact, ordered) = unsafe (parts.states, parts.exact, parts.ordered)
        unsafe (kll, counters, codes) = unsafe (parts.kll, parts.counters, parts.codes)
        categories = shape.columns.map {
            $0.column.type.isText ? CategorySummary($0.column.summary) : nil
        }
        for (index, column) in shape.columns.enumerated() {
            unsafe (kll + index).initialize(
                to: KLLSketch(k: column.column.summary.kllK, seed: 0))
            unsafe (codes + index).initialize(to: CodeCounter())
        }
        clear()
    }

    /// Equal memory; but for the texts of an open pane, which it has none of.
    init(copying other: CellMemory) {
        columnCount = other.columnCount
        counterCount = other.counterCount
        let parts = unsafe Self.parts(columnCount, counterCount)
        unsafe memory = parts.memory
        unsafe (states, exact, ordered) = unsafe (parts.states, parts.exact, parts.ordered)
        unsafe (kll, counters, codes) = unsafe (parts.kll, parts.counters, parts.codes)
        unsafe states.initialize(from: other.states, count: columnCount * GroupCell.stateCount)
        unsafe exact.initialize(from: other.exact, count: columnCount)
        unsafe ordered.initialize(from: other.ordered, count: columnCount)
        unsafe counters.initialize(from: other.counters, count: counterCount)
        categories = other.categories.map { $0?.copy() }
        for index in 0..<columnCount {
            unsafe (kll + index).initialize(to: other.kll[index].copy())
            unsafe (codes + index).initialize(to: CodeCounter())
        }
    }

    deinit {
        unsafe kll.deinitialize(count: columnCount)
        unsafe codes.deinitialize(count: columnCount)
        unsafe memory.deallocate()
    }

    /// Where everything stands in one piece of memory.
    @unsafe
    private struct Parts {
        let memory: UnsafeMutableRawPointer
        let states: UnsafeMutablePointer<Int64>
        let exact: UnsafeMutablePointer<NumericCell>
        let ordered: UnsafeMutablePointer<OrderedCell>
        let kll: UnsafeMutablePointer<KLLSketch>
        let counters: UnsafeMutablePointer<UInt64>
        let codes: UnsafeMutablePointer<CodeCounter>
    }

    /// One piece, for a fold goes through all of it: few pages, and lines that follow each other.
    ///
    /// Sums come first, a cache line each.
    private static func parts(_ columnCount: Int, _ counterCount: Int) -> Parts {
        var byteCount = 0
        func room<Item: ~Copyable>(_: Item.Type, _ count: Int) -> Int {
            defer { byteCount += count * MemoryLayout<Item>.stride }
            return byteCount
        }
        let exact = room(NumericCell.self, columnCount)
        let counters = room(UInt64.self, counterCount)
        let kll = room(KLLSketch.self, columnCount)
        let codes = room(CodeCounter.self, columnCount)
        let states = room(Int64.self, columnCount * GroupCell.stateCount)
        let ordered = room(OrderedCell.self, columnCount)
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: max(64, byteCount), alignment: 64)
        return unsafe Parts(
            memory: memory,
            states: (memory + states).bindMemory(
                to: Int64.self, capacity: columnCount * GroupCell.stateCount),
            exact: (memory + exact).bindMemory(to: NumericCell.self, capacity: columnCount),
            ordered: (memory + ordered).bindMemory(to: OrderedCell.self, capacity: columnCount),
            kll: (memory + kll).bindMemory(to: KLLSketch.self, capacity: columnCount),
            counters: (memory + counters).bindMemory(to: UInt64.self, capacity: counterCount),
            codes: (memory + codes).bindMemory(to: CodeCounter.self, capacity: columnCount))
    }

    /// What is nothing but numbers.
    private func clear() {
        unsafe states.initialize(repeating: 0, count: columnCount * GroupCell.stateCount)
        unsafe exact.initialize(repeating: NumericCell(), count: columnCount)
        unsafe ordered.initialize(repeating: OrderedCell(), count: columnCount)
        unsafe counters.initialize(repeating: 0, count: counterCount)
    }

    /// Forgets everything and keeps the memory; a cell seeds its sketches anew.
    func reset() {
        clear()
        for index in 0..<columnCount {
            unsafe codes[index].reset()
            categories[index]?.reset()
        }
    }

    var byteCount: Int {
        var count = 256 + counterCount * 8
        for index in 0..<columnCount {
            count += 200 + (unsafe kll[index].byteCount) + (unsafe codes[index].byteCount)
            count += categories[index]?.byteCount ?? 0
        }
        return count
    }
}

/// Memory of cells that are done with, for the next cells of the same segment: a pane is opened every
/// few seconds, with tens of sketches a group.
final class CellPool: Sendable {
    private struct Free: ~Copyable {
        var memories: [CellMemory] = []
        var byteCount = 0
    }

    private let free = Mutex(Free())
    /// What it keeps at most.
    private static let byteCountMax = 2 << 20

    /// Memory for a cell of this shape; nil where there is none.
    func take(_ shape: GroupShape) -> CellMemory? {
        let memory = free.withLock { free -> CellMemory? in
            // Nearly always the last one: groups differ in counters where their baselines do.
            guard
                let place = free.memories.lastIndex(where: {
                    $0.counterCount == shape.counterCount
                })
            else { return nil }
            let memory = free.memories.remove(at: place)
            free.byteCount -= memory.pooledByteCount
            return memory
        }
        memory?.reset()
        return memory
    }

    /// Keeps the memory of a cell that is gone, unless there is enough.
    func give(_ memory: CellMemory) {
        let byteCount = memory.byteCount
        memory.pooledByteCount = byteCount
        free.withLock { free in
            guard free.byteCount + byteCount <= Self.byteCountMax else { return }
            free.byteCount += byteCount
            free.memories.append(memory)
        }
    }
}
