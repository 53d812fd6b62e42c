import TidemarkKernels
import TidemarkText

/// Counts in bins that a reference has fixed, with what lies outside: an order-free summary.
///
/// Bin i holds e[i] ≤ x < e[i+1], compared in f64; beside the bins stand under, over, null (NaN,
/// infinities and what the caller says) and other. One code a value (`binCodes`) serves every
/// consumer of the same edges.
///
/// - Error: none.
/// - Memory: 8 B an edge and a bin.
package struct FrozenHistogram: ~Copyable, OrderFree, Sendable {
    /// Ascending; the outer ones may be infinite.
    package let edges: [Double]
    /// Under, bins, over.
    package private(set) var cells: [UInt64]
    /// Rows that held no number.
    package private(set) var nullCount: UInt64
    /// Rows of groups or values that were left out on purpose.
    package private(set) var otherCount: UInt64

    /// An empty histogram.
    ///
    /// - Precondition: 2 to 4,096 edges that ascend.
    package init(edges: [Double]) {
        precondition(Self.areEdges(edges), "the planner rejects edges that do not ascend")
        self.edges = edges
        cells = [UInt64](repeating: 0, count: edges.count + 1)
        nullCount = 0
        otherCount = 0
    }

    /// A histogram that was counted elsewhere: under, bins, over.
    ///
    /// - Precondition: 2 to 4,096 edges that ascend, and a cell more.
    package init(edges: [Double], cells: [UInt64], nullCount: UInt64) {
        self.init(edges: edges)
        precondition(cells.count == edges.count + 1, "a cell for each bin, under and over")
        self.cells = cells
        self.nullCount = nullCount
    }

    private static func areEdges(_ edges: [Double]) -> Bool {
        2 <= edges.count && edges.count <= 4096
            && zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }
    }

    /// Numbers that went in.
    package var count: UInt64 { cells.reduce(0, &+) }

    /// Adds values by way of their codes.
    ///
    /// - Complexity: about 1.5 ns a value and 20 bins with AVX-512.
    package mutating func update(_ values: UnsafePointer<Double>, count: Int) {
        var codes = InlineArray<256, UInt16>(repeating: 0)
        unsafe withUnsafeMutableBytes(of: &codes) { bytes in
            guard let codes = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt16.self) else {
                return
            }
            var at = 0
            while at < count {
                let part = Swift.min(256, count &- at)
                unsafe edges.withUnsafeBufferPointer { edges in
                    guard let base = edges.baseAddress else { return }
                    unsafe binCodes(
                        of: values + at,
                        count: part,
                        edges: base,
                        edgeCount: edges.count,
                        into: codes
                    )
                }
                unsafe update(codes: codes, count: part)
                at &+= part
            }
        }
    }

    /// Adds the values of an array.
    package mutating func update(_ values: [Double]) {
        unsafe values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe update(base, count: buffer.count)
        }
    }

    /// Adds values whose codes were computed for these edges.
    package mutating func update(codes: UnsafePointer<UInt16>, count: Int) {
        var nulls: UInt64 = 0
        unsafe cells.withUnsafeMutableBufferPointer { cells in
            for i in 0..<count {
                let code = unsafe Int(codes[i])
                if code < cells.count { unsafe cells[code] &+= 1 } else { nulls &+= 1 }
            }
        }
        nullCount &+= nulls
    }

    /// Counts rows without a number.
    package mutating func addNulls(_ count: UInt64) { nullCount &+= count }
    /// Counts rows that were left out on purpose.
    package mutating func addOthers(_ count: UInt64) { otherCount &+= count }

    /// Adds the counts of the other histogram.
    ///
    /// - Precondition: equal edges.
    package mutating func merge(_ other: borrowing FrozenHistogram) {
        precondition(edges == other.edges, "the reference gives one list of edges to all cells")
        for i in cells.indices { cells[i] &+= other.cells[i] }
        nullCount &+= other.nullCount
        otherCount &+= other.otherCount
    }

    /// An equal histogram with memory of its own.
    package borrowing func copy() -> FrozenHistogram {
        var other = FrozenHistogram(edges: edges)
        other.cells = cells
        other.nullCount = nullCount
        other.otherCount = otherCount
        return other
    }

    /// Bytes of our own: header, null, other, edges, cells.
    package borrowing func serialize() -> [UInt8] {
        var bytes = OwnFamily.frozenHistogram.header(UInt32(edges.count))
        bytes.append(varint: nullCount)
        bytes.append(varint: otherCount)
        for edge in edges { bytes.append(edge) }
        for cell in cells { bytes.append(varint: cell) }
        return bytes
    }

    /// The histogram that `serialize` wrote.
    package init(bytes: [UInt8]) throws(SketchError) {
        self = try Self.read(bytes)
    }

    private static func read(_ bytes: [UInt8]) throws(SketchError) -> FrozenHistogram {
        var reader = ByteReader(bytes)
        let edgeCount = Int(try OwnFamily.frozenHistogram.readHeader(&reader))
        let nullCount = try reader.readVarint()
        let otherCount = try reader.readVarint()
        guard edgeCount <= 4096 else { throw .corrupt(field: "edges", offset: 4) }
        var edges: [Double] = []
        for _ in 0..<edgeCount { edges.append(try reader.readDouble()) }
        guard areEdges(edges) else { throw .corrupt(field: "edges", offset: 8) }
        var histogram = FrozenHistogram(edges: edges)
        histogram.nullCount = nullCount
        histogram.otherCount = otherCount
        for i in histogram.cells.indices { histogram.cells[i] = try reader.readVarint() }
        try reader.finish()
        return histogram
    }
}
