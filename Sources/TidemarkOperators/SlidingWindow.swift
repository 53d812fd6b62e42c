import TidemarkCore

/// What the slices under a sliding window come to, kept up from slide to slide.
///
/// A slice is what falls between two places where a window may begin; slices are numbered along the
/// time axis, and where nothing fell there is none. Which structure serves is decided by what is
/// aggregated: counts are taken away again (`SubtractOnEvictWindow`), summaries that cannot be are
/// kept in `TwoStackWindow`. A window of one slice costs no merge in either.
package protocol SlidingWindow {
    associatedtype Slice
    associatedtype Aggregate
    /// Adds a slice that no earlier slide has passed, and that is not there yet.
    mutating func insert(_ slice: Slice, at index: Int64)
    /// What the slices in `range` come to, in their order; nil where there is none.
    ///
    /// Ranges move on: what stands before this one is let go.
    mutating func slide(to range: Range<Int64>) -> Aggregate?
}

/// Values that join in a fixed order; the order may matter.
package protocol Mergeable {
    /// Adds what `next`, which stands behind, holds. Copies of either are untouched.
    mutating func merge(_ next: Self)
}

extension Array: Mergeable where Element: Mergeable {
    /// Place by place.
    package mutating func merge(_ next: [Element]) {
        for place in indices { self[place].merge(next[place]) }
    }
}

/// A sliding window over what can be merged and not taken away: two stacks that flip at fixed places.
///
/// The axis is cut into blocks as long as a window. When a window first reads a block to its end,
/// the block's slices become suffix aggregates, right to left; what has come of the next block is one
/// prefix aggregate, which grows by a slice a slide. A window is a suffix of one block and a prefix
/// of the next. So each aggregate is made of slices under the window alone, always in the same way:
/// an ordered summary has the same bytes wherever reading began.
///
/// - Memory: a slice for each of a window and of the block that is filling, and the prefix.
/// - Complexity: 3 − 4/N merges a slide, amortised, where a window has N slices, and at most N − 1 in
///   one: never more than merging all slices anew, and as many where N is 1 or 2.
/// - Source: van Herk 1992, Gil and Werman 1993; as a queue of two stacks: Tangwongsan, Hirzel,
///   Schneider, "In-order sliding-window aggregation in worst-case constant time", 2021.
package struct TwoStackWindow<Slice: Mergeable>: SlidingWindow {
    /// Slices of a window, and of a block.
    private let length: Int64
    /// The first slice of the last window; none before it is kept.
    private var start: Int64?
    /// Slices; suffix aggregates in the block that was flipped.
    private var slices: [Int64: Slice] = [:]
    /// The end of that block.
    private var flippedEnd: Int64?
    /// What the slices from there to `prefixEnd` come to.
    private var prefix: Slice?
    private var prefixEnd: Int64 = 0

    /// A window of `length` slices, at least 1.
    package init(length: Int64) {
        precondition(length >= 1, "a window has a slice")
        self.length = length
    }

    package mutating func insert(_ slice: Slice, at index: Int64) {
        update(at: index, default: slice) { $0 = slice }
    }

    /// Changes a slice that no window has read yet, where it is kept.
    package mutating func update(
        at index: Int64, default make: @autoclosure () -> Slice, _ body: (inout Slice) -> Void
    ) {
        precondition(
            flippedEnd.map { index >= Swift.max($0, prefixEnd) } ?? true,
            "a slice that a window has read takes no more")
        body(&slices[index, default: make()])
    }

    package mutating func slide(to range: Range<Int64>) -> Slice? {
        precondition(Int64(range.count) == length, "windows are of one length")
        let first = range.lowerBound
        let blockEnd = (first.flooredDivision(by: length) + 1) * length
        letGo(before: first)
        if flippedEnd != blockEnd { flip(first..<blockEnd) }
        while prefixEnd < range.upperBound {
            if let slice = slices[prefixEnd] {
                if prefix == nil { prefix = slice } else { prefix?.merge(slice) }
            }
            prefixEnd += 1
        }
        // Taken over: no later window reads it.
        guard var window = slices.removeValue(forKey: first) ?? suffix(after: first) else {
            return prefix
        }
        if let prefix { window.merge(prefix) }
        return window
    }

    private mutating func letGo(before first: Int64) {
        if let start, first - start <= slices.count {
            for index in start..<first { slices[index] = nil }
        } else {
            slices = slices.filter { $0.key >= first }
        }
        start = first
    }

    /// Makes suffix aggregates of the slices of a block that are still read.
    private mutating func flip(_ range: Range<Int64>) {
        // It shares what it took from the slices.
        prefix = nil
        prefixEnd = range.upperBound
        flippedEnd = range.upperBound
        var next: Slice?
        for index in range.reversed() {
            guard var slice = slices.removeValue(forKey: index) else { continue }
            if let next { slice.merge(next) }
            slices[index] = slice
            next = slice
        }
    }

    // MARK: State

    /// Where something is kept; in no order.
    package var indices: some Collection<Int64> { slices.keys }

    /// The prefix aggregate where it is more than a slice.
    package var joinedPrefix: Slice? {
        flippedEnd.map { prefixEnd > $0 + 1 } ?? false ? prefix : nil
    }

    /// What is kept at an index: a slice, or a suffix aggregate.
    package subscript(index: Int64) -> Slice? { slices[index] }

    /// Whether suffix aggregates are kept there.
    package func isFlipped(_ index: Int64) -> Bool {
        flippedEnd.map { $0 - length <= index && index < $0 } ?? false
    }

    /// The suffix aggregate of what stands behind a slice in its block, which was flipped.
    package func suffix(after index: Int64) -> Slice? {
        guard isFlipped(index), let flippedEnd else { return nil }
        for later in index + 1..<Swift.max(index + 1, flippedEnd) {
            if let slice = slices[later] { return slice }
        }
        return nil
    }

    /// Takes a suffix aggregate back, those that stand behind it first.
    package mutating func restore(flipped slice: Slice, at index: Int64) {
        slices[index] = slice
        flippedEnd = (index.flooredDivision(by: length) + 1) * length
        prefixEnd = flippedEnd ?? 0
    }
}
