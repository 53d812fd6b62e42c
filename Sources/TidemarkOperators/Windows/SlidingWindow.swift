import TidemarkCore
import TidemarkMonitors
import TidemarkText

/// Values that join in a fixed order; the order may matter.
package protocol Mergeable {
    /// Adds what `next`, which stands behind, holds. Copies of either are untouched.
    mutating func merge(_ next: Self)
}

extension Array: Mergeable where Element: Mergeable {
    /// Merges element by element.
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
/// What comes late for a slice belongs to the windows that hold both its slice and the one that was
/// filling when it came. Where both lie in one block it is kept twice: behind the later slice for the
/// prefix, behind its own for the suffix. What came over the end of a block is merged window by window.
///
/// - Memory: a slice for each of a window and of the block that is filling, and the prefix.
/// - Complexity: 3 − 4/N merges a slide, amortised, where a window has N slices, and at most N − 1 in
///   one: never more than merging all slices anew, and as many where N is 1 or 2. Beside them two for
///   what came late, and in each slide one for each slice of which something came over the end of its
///   block.
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
    /// The aggregate of the slices from there to `prefixEnd`.
    private var prefix: Slice?
    private var prefixEnd: Int64 = 0
    /// What came late, by the slice that it belongs to or came in.
    private var late: [Int64: Latecomers] = [:]

    /// What came late of a slice, and in it.
    package struct Latecomers {
        /// What belongs to earlier slices of its block and came while this one was filling.
        package var arrived: Slice?
        /// What belongs to this slice and came while later ones of its block were filling.
        package var missed: Slice?
        /// What belongs to this slice and came in the next block, as far as the last window took it
        /// in.
        package var crossed: Slice?
        /// The rest of it, by the slice that was filling, ascending.
        package var waiting: [(at: Int64, slice: Slice)] = []

        package init() {}
        fileprivate var isEmpty: Bool {
            arrived == nil && missed == nil && crossed == nil && waiting.isEmpty
        }
    }

    /// A window of `length` slices, at least 1.
    package init(length: Int64) {
        precondition(length >= 1, "a window has a slice")
        self.length = length
    }

    /// Puts a slice where none is; it takes the place of what came there by `update`.
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

    /// Adds what belongs to a slice and came while a later one was filling, less than a window apart.
    ///
    /// Windows that hold both have it. `index` is the later one, which no window has read yet.
    package mutating func insert(late slice: Slice, of source: Int64, at index: Int64) {
        precondition(source < index && index - source < length, "no window holds both")
        precondition(
            flippedEnd.map { index >= Swift.max($0, prefixEnd) } ?? true,
            "a slice that a window has read takes no more")
        if source.flooredDivision(by: length) == index.flooredDivision(by: length) {
            Self.add(slice, to: &late[index, default: Latecomers()].arrived)
            Self.add(slice, to: &late[source, default: Latecomers()].missed)
        } else if start.map({ source >= $0 }) ?? true {
            var waiting = late[source]?.waiting ?? []
            if let last = waiting.indices.last, waiting[last].at == index {
                waiting[last].slice.merge(slice)
            } else {
                waiting.append((index, slice))
            }
            late[source, default: Latecomers()].waiting = waiting
        }
    }

    private static func add(_ slice: Slice, to sum: inout Slice?) {
        if sum == nil { sum = slice } else { sum?.merge(slice) }
    }

    /// The aggregate of the window's slices, with what came late for them.
    package mutating func slide(to range: Range<Int64>) -> Slice? {
        precondition(Int64(range.count) == length, "windows are of one length")
        let first = range.lowerBound
        let blockEnd = (first.flooredDivision(by: length) + 1) * length
        letGo(before: first)
        if flippedEnd != blockEnd { flip(first..<blockEnd) }
        while prefixEnd < range.upperBound {
            if let slice = slices[prefixEnd] { Self.add(slice, to: &prefix) }
            if let slice = late[prefixEnd]?.arrived { Self.add(slice, to: &prefix) }
            prefixEnd += 1
        }
        // Taken over: no later window reads it.
        var window = slices.removeValue(forKey: first) ?? suffix(after: first)
        if let prefix { Self.add(prefix, to: &window) }
        if !late.isEmpty { addCrossed(first..<blockEnd, before: range.upperBound, to: &window) }
        return window
    }

    /// Adds what came over the end of the block of the first slice.
    private mutating func addCrossed(
        _ sources: Range<Int64>, before end: Int64, to window: inout Slice?
    ) {
        for source in late.keys.filter({ sources.contains($0) }).sorted() {
            guard var own = late[source] else { continue }
            let count = own.waiting.prefix { $0.at < end }.count
            for one in own.waiting[..<count] { Self.add(one.slice, to: &own.crossed) }
            own.waiting.removeFirst(count)
            late[source] = own
            if let crossed = own.crossed { Self.add(crossed, to: &window) }
        }
    }

    private mutating func letGo(before first: Int64) {
        if let start, first - start <= slices.count {
            for index in start..<first { slices[index] = nil }
        } else {
            slices = slices.filter { $0.key >= first }
        }
        if !late.isEmpty { late = late.filter { $0.key >= first } }
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
            var slice = slices.removeValue(forKey: index)
            if var own = late[index] {
                if let missed = own.missed { Self.add(missed, to: &slice) }
                (own.arrived, own.missed) = (nil, nil)
                late[index] = own.isEmpty ? nil : own
            }
            guard var slice else { continue }
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

    /// What came late of a slice, and in it.
    package func latecomers(_ index: Int64) -> Latecomers? { late[index] }

    /// What came late, in no order.
    package var latecomers: some Collection<Slice> {
        late.values.flatMap { one in
            [one.arrived, one.missed, one.crossed].compactMap(\.self) + one.waiting.map(\.slice)
        }
    }

    /// Takes back what came late of a slice, and in it.
    package mutating func restore(late latecomers: Latecomers, at index: Int64) {
        late[index] = latecomers
    }

    /// Takes a suffix aggregate back, those that stand behind it first.
    package mutating func restore(flipped slice: Slice, at index: Int64) {
        slices[index] = slice
        flippedEnd = (index.flooredDivision(by: length) + 1) * length
        prefixEnd = flippedEnd ?? 0
    }
}
