import TidemarkKernels
import TidemarkText

/// A summary's running state: what it needs to go on as if it had never left memory, in the same
/// draws and the same reductions.
///
/// The interchange bytes leave out what a reader of a finished summary does not need; these leave out
/// nothing, and no one but another process of the same application reads them.
package protocol RunningState: ~Copyable {
    /// Appends the state; a reader takes exactly these bytes.
    ///
    /// - Complexity: O(what is kept).
    borrowing func writeState(_ bytes: inout [UInt8])
    /// The summary whose state `reader` holds next.
    ///
    /// - Throws: `SketchError`; nothing in the bytes can make it trap.
    static func readState(_ reader: inout ByteReader) throws(SketchError) -> Self
}

extension KLLSketch: RunningState {
    /// Buffers and the state of its random choices among it.
    package borrowing func writeState(_ bytes: inout [UInt8]) { core.writeState(&bytes) }

    /// A sketch that makes the same choices as the one that was written.
    package static func readState(_ reader: inout ByteReader) throws(SketchError) -> KLLSketch {
        KLLSketch(try KLLCore.readState(&reader))
    }
}

extension KLLDoublesSketch: RunningState {
    /// Buffers and the state of its random choices among it.
    package borrowing func writeState(_ bytes: inout [UInt8]) { core.writeState(&bytes) }

    /// A sketch that makes the same choices as the one that was written.
    package static func readState(
        _ reader: inout ByteReader
    ) throws(SketchError) -> KLLDoublesSketch {
        KLLDoublesSketch(try KLLCore.readState(&reader))
    }
}

extension KLLCore {
    borrowing func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(k))
        bytes.append(littleEndian: seed)
        bytes.append(varint: drawCount)
        bytes.append(varint: valueCount)
        guard valueCount > 0 else { return }
        least.append(to: &bytes)
        most.append(to: &bytes)
        bytes.append(varint: UInt64(levelCount))
        for level in 0..<Int(levelCount) {
            var items = unsafe block
            var count = Int(blockUsed)
            if level > 0, let levels = unsafe levels {
                unsafe items = levels[level].items
                count = Int(unsafe levels[level].count)
            }
            bytes.append(varint: UInt64(count))
            guard let items = unsafe items else { continue }
            for index in 0..<count { unsafe items[index].append(to: &bytes) }
        }
    }

    static func readState(_ reader: inout ByteReader) throws(SketchError) -> KLLCore {
        let at = reader.offset
        let k = try reader.readVarint()
        guard 8 <= k, k <= 65_535 else { throw .corrupt(field: "k", offset: at) }
        var sketch = KLLCore(k: Int(k), seed: try reader.read(UInt64.self))
        sketch.drawCount = try reader.readVarint()
        sketch.valueCount = try reader.readVarint()
        guard sketch.valueCount > 0 else { return sketch }
        sketch.least = try Item.read(&reader)
        sketch.most = try Item.read(&reader)
        let levelCount = try reader.readVarint()
        guard levelCount <= 64 else { throw .corrupt(field: "levels", offset: reader.offset) }
        if levelCount > 1 { sketch.growLevels(Int(levelCount)) }
        for level in 0..<Int(levelCount) {
            let count = Int(clamping: try reader.readVarint())
            let limit = level == 0 ? blockCount : 1 << 18
            guard count <= limit, count * MemoryLayout<Item>.size <= reader.left else {
                throw .corrupt(field: "level", offset: reader.offset)
            }
            guard count > 0 else { continue }
            if level == 0 {
                sketch.reserveBlock(count)
                sketch.blockUsed = Int32(count)
                guard let block = unsafe sketch.block else { continue }
                for index in 0..<count { unsafe block[index] = try Item.read(&reader) }
            } else {
                let to = unsafe sketch.room(count, in: level)
                if let levels = unsafe sketch.levels { unsafe levels[level].count = Int32(count) }
                for index in 0..<count { unsafe to[index] = try Item.read(&reader) }
            }
        }
        sketch.levelCount = Int32(levelCount)
        return sketch
    }
}

extension HLLSketch: RunningState {
    /// Registers and coupons: they are all there is.
    package borrowing func writeState(_ bytes: inout [UInt8]) {
        // Registers and coupons are all there is.
        bytes.append(sized: serialize())
    }

    /// An equal sketch.
    package static func readState(_ reader: inout ByteReader) throws(SketchError) -> HLLSketch {
        try HLLSketch(bytes: try reader.readSized())
    }
}

extension DDSketch: RunningState {
    private static let logarithmicState: UInt64 = 1 << 32

    /// The bins, and how far they were joined.
    package borrowing func writeState(_ bytes: inout [UInt8]) {
        // A bit above all counts of bins: states of the usual mapping are as they were.
        bytes.append(
            varint: UInt64(binCountMax) | (mapping == .logarithmic ? Self.logarithmicState : 0))
        bytes.append(gamma)
        bytes.append(relativeError)
        bytes.append(multiplier)
        bytes.append(varint: zeroCount)
        positive.writeState(&bytes)
        negative.writeState(&bytes)
    }

    /// A sketch that goes on as the one that was written.
    package static func readState(_ reader: inout ByteReader) throws(SketchError) -> DDSketch {
        let at = reader.offset
        let word = try reader.readVarint()
        let binCountMax = Int(clamping: word & ~logarithmicState)
        guard 64 <= binCountMax, binCountMax <= 65_536 else {
            throw .corrupt(field: "bins", offset: at)
        }
        var sketch = DDSketch(
            binCountMax: binCountMax,
            mapping: word & logarithmicState == 0 ? .cubic : .logarithmic)
        sketch.gamma = try reader.readDouble()
        sketch.relativeError = try reader.readDouble()
        sketch.multiplier = try reader.readDouble()
        guard sketch.gamma > 1, sketch.gamma < .infinity, sketch.multiplier > 0,
            sketch.multiplier < .infinity, sketch.relativeError > 0, sketch.relativeError < 1
        else { throw .corrupt(field: "gamma", offset: at) }
        sketch.zeroCount = try reader.readVarint()
        sketch.positive = try BinStore.readState(&reader)
        sketch.negative = try BinStore.readState(&reader)
        return sketch
    }
}

extension BinStore {
    func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(span))
        guard !isEmpty else { return }
        bytes.append(littleEndian: Int64(low))
        for bin in low...high { bytes.append(varint: self[bin]) }
    }

    static func readState(_ reader: inout ByteReader) throws(SketchError) -> BinStore {
        var store = BinStore()
        let count = Int(clamping: try reader.readVarint())
        guard count > 0 else { return store }
        guard count <= 65_536, count <= reader.left else {
            throw .corrupt(field: "bins", offset: reader.offset)
        }
        let low = Int(try reader.read(Int64.self))
        guard low.magnitude < 1 << 40 else { throw .corrupt(field: "bin", offset: reader.offset) }
        store.reserve(low, low + count - 1)
        for bin in low..<low + count { store.add(bin, try reader.readVarint()) }
        return store
    }
}

extension FrequentItems: RunningState {
    /// Texts with their counts, and those that are still to be joined.
    package borrowing func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(lgMax))
        bytes.append(varint: total)
        bytes.append(varint: taken)
        for list in [items, loose] {
            bytes.append(varint: UInt64(list.count))
            for item in list {
                bytes.append(varint: item.count)
                bytes.append(varint: UInt64(item.byteCount))
                bytes.append(contentsOf: texts[item.start..<item.start + item.byteCount])
            }
        }
    }

    /// A sketch that goes on as the one that was written.
    package static func readState(
        _ reader: inout ByteReader
    ) throws(SketchError) -> FrequentItems {
        let at = reader.offset
        let lgMax = Int(clamping: try reader.readVarint())
        guard 3 <= lgMax, lgMax <= 20 else { throw .corrupt(field: "lgMax", offset: at) }
        var summary = FrequentItems(lgMax: lgMax)
        summary.total = try reader.readVarint()
        summary.taken = try reader.readVarint()
        summary.items = try readItems(&reader, &summary.texts)
        summary.loose = try readItems(&reader, &summary.texts)
        return summary
    }

    private static func readItems(
        _ reader: inout ByteReader, _ texts: inout [UInt8]
    ) throws(SketchError) -> [TextCount] {
        let count = Int(clamping: try reader.readVarint())
        guard count <= reader.left else { throw .corrupt(field: "items", offset: reader.offset) }
        var items: [TextCount] = []
        items.reserveCapacity(count)
        for _ in 0..<count {
            let times = try reader.readVarint()
            let text = try reader.readSized()
            items.append(
                TextCount(
                    hash: murmur3(text).low, count: times, start: texts.count,
                    byteCount: text.count))
            texts.append(contentsOf: text)
        }
        return items
    }
}

extension [UInt8] {
    /// The number of bytes, then the bytes.
    package mutating func append(sized bytes: [UInt8]) {
        append(varint: UInt64(bytes.count))
        append(contentsOf: bytes)
    }
}

extension ByteReader {
    /// What `append(sized:)` wrote.
    package mutating func readSized() throws(SketchError) -> [UInt8] {
        let count = Int(clamping: try readVarint())
        return Array(try readBytes(count))
    }
}
