/// How a window over panes answers.
package enum WindowMethod: String, Sendable, CaseIterable {
    /// Merges all panes in order for each answer: no state, the only method whose bytes are a
    /// function of the window's panes alone where merging is ordered.
    case recompute
    /// Two stacks of partial merges: three merges a slide on average, all panes at once sometimes.
    case twoStacks
    /// DABA Lite: at most six merges a slide, every time.
    case daba
    /// Adds what comes, subtracts what goes: two additions a slide; for invertible summaries.
    case subtract

    /// The method for a kind of summary and a window of so many panes.
    ///
    /// Ordered summaries are always recomputed: partial merges kept from slide to slide would make
    /// an answer depend on where the state began, and a restart begins elsewhere.
    package static func choose(
        isOrderFree: Bool,
        isInvertible: Bool,
        paneCount: Int
    ) -> WindowMethod {
        // Up to four panes a recompute costs no more merges than any of the others.
        if !isOrderFree || paneCount <= 4 { return .recompute }
        return isInvertible ? .subtract : .daba
    }
}

/// A sliding window over sealed panes: insert at the end, evict at the front, answer at any time.
///
/// One interface for four methods; this one recomputes. Panes are owned by the window once they
/// are inserted. `mergeCount` counts merges (and subtractions) ever made.
package class PaneWindow<S: Summary & ~Copyable> {
    /// A summary with identity, so that it can stand in a list.
    final class Box {
        var value: S
        init(_ value: consuming S) { self.value = value }
        func copy() -> Box { Box(value.copy()) }
    }

    fileprivate var panes = PaneQueue<Box>()
    fileprivate let empty: Box
    /// Merges and subtractions made so far.
    package fileprivate(set) var mergeCount = 0

    /// A window without panes; `empty` is what it answers then.
    fileprivate init(empty: consuming S) { self.empty = Box(empty) }

    /// A window of the method.
    ///
    /// - Precondition: `.subtract` is made by `invertible(empty:)`.
    package static func make(_ method: WindowMethod, empty: consuming S) -> PaneWindow<S> {
        switch method {
        case .recompute: return PaneWindow(empty: empty)
        case .twoStacks: return TwoStacksWindow(empty: empty)
        case .daba: return DABAWindow(empty: empty)
        case .subtract: preconditionFailure("a window that subtracts is made by `invertible`")
        }
    }

    /// How many panes it holds.
    package var paneCount: Int { panes.count }

    /// Adds the newest pane.
    package func insert(_ pane: consuming S) { panes.append(Box(pane)) }

    /// Removes the oldest pane.
    ///
    /// - Precondition: there is one.
    package func evict() { _ = panes.removeFirst() }

    /// All panes merged, oldest first.
    package func query() -> S {
        guard panes.count > 0 else { return empty.value.copy() }
        var all = panes[0].value.copy()
        for i in 1..<max(1, panes.count) { merge(&all, panes[i]) }
        return all
    }

    fileprivate func merge(_ a: inout S, _ b: Box) {
        a.merge(b.value)
        mergeCount += 1
    }
}

extension PaneWindow where S: Invertible & ~Copyable {
    /// A window that adds what comes and subtracts what goes.
    package static func invertible(empty: consuming S) -> PaneWindow<S> {
        SubtractWindow(empty: empty)
    }
}

/// A first-in first-out list whose front moves without copying.
struct PaneQueue<Element> {
    private var elements: [Element?] = []
    private var start = 0

    var count: Int { elements.count - start }

    subscript(i: Int) -> Element {
        get {
            guard let element = elements[start + i] else { preconditionFailure("was evicted") }
            return element
        }
        set { elements[start + i] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() -> Element {
        precondition(count > 0, "an empty window has no oldest pane")
        let first = self[0]
        elements[start] = nil
        start += 1
        if start > 32 && 2 * start > elements.count {
            elements.removeFirst(start)
            start = 0
        }
        return first
    }
}

/// The front stack holds merges of a pane with all older-stack panes behind it; the back is merged
/// as it comes.
private final class TwoStacksWindow<S: Summary & ~Copyable>: PaneWindow<S> {
    // The first `frontCount` panes are merges up to the end of the front.
    private var frontCount = 0
    private var back: Box?

    override func insert(_ pane: consuming S) {
        let box = Box(pane)
        if let back { merge(&back.value, box) } else { back = box.copy() }
        panes.append(box)
    }

    override func evict() {
        if frontCount == 0 {
            // Turn the back over, from its end.
            for i in stride(from: panes.count - 2, through: 0, by: -1) {
                merge(&panes[i].value, panes[i + 1])
            }
            frontCount = panes.count
            back = nil
        }
        _ = panes.removeFirst()
        frontCount -= 1
    }

    override func query() -> S {
        if frontCount == 0 { return (back ?? empty).value.copy() }
        var all = panes[0].value.copy()
        if let back { merge(&all, back) }
        return all
    }
}

/// DABA Lite: the turning over of the back, done two steps at each operation.
///
/// Panes stand in four ranges, [F, L) merged up to B, [L, R) merged up to R, [R, A) as they came,
/// [A, B) merged up to B, and behind B as they came. F is 0 here: places move down on eviction.
///
/// - Source: Tangwongsan, Hirzel, Schneider, "In-order sliding-window aggregation in worst-case
///   constant time", 2021.
private final class DABAWindow<S: Summary & ~Copyable>: PaneWindow<S> {
    private var l = 0
    private var r = 0
    private var a = 0
    private var b = 0
    // Merges of [R, B) as it was when the ranges turned, and of all behind B.
    private var middle: Box?
    private var back: Box?

    override func insert(_ pane: consuming S) {
        let box = Box(pane)
        if let back { merge(&back.value, box) } else { back = box.copy() }
        panes.append(box)
        step()
    }

    override func evict() {
        _ = panes.removeFirst()
        l -= 1
        r -= 1
        a -= 1
        b -= 1
        step()
    }

    private func step() {
        let end = panes.count
        if b <= 0 {
            // One pane or none: it is its own merge.
            l = end
            r = end
            a = end
            b = end
            middle = nil
            back = nil
            return
        }
        if l == b {
            l = 0
            a = end
            b = end
            middle = back
            back = nil
        }
        if l == r {
            a += 1
            r += 1
            l += 1
        } else {
            if let middle { merge(&panes[l].value, middle) }
            l += 1
            if a < b { merge(&panes[a - 1].value, panes[a]) }
            a -= 1
        }
    }

    override func query() -> S {
        guard panes.count > 0 else { return empty.value.copy() }
        guard b > 0 else { return (back ?? empty).value.copy() }
        var all = panes[0].value.copy()
        if let back { merge(&all, back) }
        return all
    }
}

private final class SubtractWindow<S: Invertible & ~Copyable>: PaneWindow<S> {
    private var sum: Box

    override init(empty: consuming S) {
        sum = Box(empty.copy())
        super.init(empty: empty)
    }

    override func insert(_ pane: consuming S) {
        let box = Box(pane)
        merge(&sum.value, box)
        panes.append(box)
    }

    override func evict() {
        sum.value.subtract(panes.removeFirst().value)
        mergeCount += 1
    }

    override func query() -> S { sum.value.copy() }
}
