/// The aggregate of the slices under a sliding window, kept up to date from slide to slide.
///
/// A slice is what falls between two places where a window may begin; slices are numbered along the
/// time axis, and where nothing fell there is none. Which structure serves is decided by what is
/// aggregated: counts are taken away again (`SubtractOnEvictWindow`), summaries that cannot be are
/// kept in `TwoStackWindow`. A window of one slice costs no merge in either.
package protocol SlidingWindow {
    /// What is between two neighbouring starts of windows.
    associatedtype Slice
    /// What the slices of a window add up to.
    associatedtype Aggregate
    /// Adds a slice that no earlier slide has passed, and that is not there yet.
    mutating func insert(_ slice: Slice, at index: Int64)
    /// The aggregate of the slices in `range`, in their order; nil where there is none.
    ///
    /// Ranges move on: what stands before this one is let go.
    mutating func slide(to range: Range<Int64>) -> Aggregate?
}

/// Sums of which a part can be taken away again, exactly: counts.
package protocol Subtractable {
    /// What is added and taken away.
    associatedtype Slice
    /// Nothing.
    init()
    /// Adds a slice.
    mutating func add(_ slice: Slice)
    /// Takes a slice away that was added.
    mutating func subtract(_ slice: Slice)
}

/// A sliding window over what can be taken away again: one running sum.
///
/// What enters is added, what leaves subtracted. A window that moves back, or on past all that was
/// added, is summed anew. Slices stay until they are removed: an earlier window may be asked for once
/// more.
///
/// - Memory: the slices, and a sum.
/// - Complexity: a slice is added once and subtracted once; inserting costs the slices behind it.
/// - Source: "subtract-on-evict" in Tangwongsan, Hirzel, Schneider, as above.
package struct SubtractOnEvictWindow<Sum: Subtractable>: SlidingWindow {
    /// Numbers of the slices, ascending.
    package private(set) var indices: [Int64] = []
    /// The slices, each at the place of its number in `indices`.
    private var slices: [Sum.Slice] = []
    /// The sum of the last window.
    package private(set) var sum = Sum()
    /// The slices that are in the sum.
    private var range: Range<Int64> = 0..<0

    package init() {}

    /// Adds a slice; one that is there already stays beside it.
    package mutating func insert(_ slice: Sum.Slice, at index: Int64) {
        let place = place(of: index)
        indices.insert(index, at: place)
        slices.insert(slice, at: place)
        if range.contains(index) { sum.add(slice) }
    }

    /// Adds what the range newly holds and subtracts what it left; `nil` where no slice lies in it.
    package mutating func slide(to next: Range<Int64>) -> Sum? {
        if range.lowerBound <= next.lowerBound, next.lowerBound < range.upperBound,
            range.upperBound <= next.upperBound
        {
            for slice in self[range.lowerBound..<next.lowerBound] { sum.subtract(slice) }
            for slice in self[range.upperBound..<next.upperBound] { sum.add(slice) }
        } else {
            sum = Sum()
            for slice in self[next] { sum.add(slice) }
        }
        range = next
        return self[next].isEmpty ? nil : sum
    }

    /// Takes the first slices out, for ever.
    package mutating func removeFirst(_ count: Int) {
        // Their part of a sum that goes on can't be taken away any more.
        if count > 0, indices[count - 1] >= range.lowerBound { range = 0..<0 }
        indices.removeFirst(count)
        slices.removeFirst(count)
    }

    /// The slices of a range, in their order.
    package subscript(range: Range<Int64>) -> ArraySlice<Sum.Slice> {
        slices[place(of: range.lowerBound)..<place(of: range.upperBound)]
    }

    /// All slices, in their order.
    package var all: ArraySlice<Sum.Slice> { slices[...] }

    /// The first place at or behind an index.
    private func place(of index: Int64) -> Int {
        var (low, high) = (0, indices.count)
        while low < high {
            let middle = (low + high) / 2
            if indices[middle] >= index { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
