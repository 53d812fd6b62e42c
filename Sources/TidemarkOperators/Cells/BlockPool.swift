import TidemarkKernels

/// Blocks of one size, from slabs that lie in large pages: thousands of blocks are written to in turn, a
/// row each.
///
/// - Memory: whole slabs, of 2 MiB or at least eight blocks.
/// - Complexity: no allocation while there are enough blocks.
///
/// The owner is the folder.
@safe
final class BlockPool {
    @safe
    private struct Block {
        let words: UnsafeMutablePointer<UInt64>
    }

    private let blockByteCount: Int
    private let slabByteCount: Int
    private let blocksPerSlab: Int
    private var slabs: [Block] = []
    private var free: [Block] = []
    private var usedCount = 0
    /// The most that were in use since `trim` was called last.
    private var usedCountMost = 0

    /// What stands before the blocks of a slab: the number of them that are in use.
    private static let headerByteCount = 64
    private static let largePageByteCount = 2 << 20

    /// - Precondition: a block is whole words.
    init(blockByteCount: Int) {
        precondition(blockByteCount % 8 == 0, "a block is whole words")
        self.blockByteCount = blockByteCount
        var size = Self.largePageByteCount
        while size < 8 * blockByteCount + Self.headerByteCount { size *= 2 }
        slabByteCount = size
        blocksPerSlab = (size - Self.headerByteCount) / blockByteCount
    }

    deinit { for slab in slabs { unsafe slab.words.deallocate() } }

    var byteCount: Int { slabs.count * slabByteCount }

    /// A block whose content is arbitrary.
    func take() -> UnsafeMutablePointer<UInt64> {
        if free.isEmpty { addSlab() }
        let block = free.removeLast()
        usedCount += 1
        usedCountMost = max(usedCountMost, usedCount)
        unsafe slab(of: block).words.pointee += 1
        return unsafe block.words
    }

    /// Takes a block back.
    func give(_ words: UnsafeMutablePointer<UInt64>) {
        let block = unsafe Block(words: words)
        usedCount -= 1
        unsafe slab(of: block).words.pointee -= 1
        free.append(block)
    }

    /// Frees slabs that were not needed since it was called last.
    func trim() {
        var spare = slabs.count - (usedCountMost + blocksPerSlab - 1) / blocksPerSlab
        usedCountMost = usedCount
        guard spare > 0 else { return }
        for (place, slab) in slabs.enumerated().reversed() where spare > 0 {
            guard unsafe slab.words.pointee == 0 else { continue }
            free.removeAll { unsafe self.slab(of: $0).words == slab.words }
            slabs.remove(at: place)
            unsafe slab.words.deallocate()
            spare -= 1
        }
    }

    private func addSlab() {
        let start = unsafe allocateLargePages(byteCount: slabByteCount, alignment: slabByteCount)
        let words = unsafe start.bindMemory(to: UInt64.self, capacity: slabByteCount / 8)
        unsafe words.initialize(to: 0)
        unsafe slabs.append(Block(words: words))
        free.reserveCapacity(slabs.count * blocksPerSlab)
        // The first one is taken first.
        for place in (0..<blocksPerSlab).reversed() {
            let byte = Self.headerByteCount + place * blockByteCount
            unsafe free.append(Block(words: words + byte / 8))
        }
    }

    /// Slabs begin at multiples of their size.
    private func slab(of block: Block) -> Block {
        let address = unsafe UInt(bitPattern: block.words) & ~UInt(slabByteCount - 1)
        guard let words = unsafe UnsafeMutablePointer<UInt64>(bitPattern: address) else {
            preconditionFailure("a block lies in a slab")
        }
        return unsafe Block(words: words)
    }
}
