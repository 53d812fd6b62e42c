import TidemarkDataflow

/// Sealed panes that wait for the merged watermark, in the order of their starts.
///
/// While catching up there are many, and windows are closed one after the other: the first one is asked
/// for often.
/// - Complexity: O(1) for a pane that starts last, as nearly all do, and for taking the first.
struct PendingPanes {
    /// `sourceMs`: where the rows belong; the pane itself, or an earlier one for which they came late.
    typealias Parts = [(slot: Int, sourceMs: Int64, partial: any Partial)]

    private var panes: [Int64: Parts] = [:]
    /// Starts, ascending; those before `head` were taken.
    private var starts: [Int64] = []
    private var head = 0

    /// Panes that wait.
    var count: Int { panes.count }

    /// The start of the first one; nil without any.
    var firstMs: Int64? { head < starts.count ? starts[head] : nil }

    /// The starts of all that wait, ascending.
    var waiting: ArraySlice<Int64> { starts[head...] }

    mutating func add(_ partial: any Partial, slot: Int, sourceMs: Int64, startMs: Int64) {
        if panes[startMs] == nil {
            var (low, high) = (head, starts.count)
            if let last = starts.last, last < startMs { low = high }
            while low < high {
                let middle = (low + high) / 2
                if starts[middle] < startMs { low = middle + 1 } else { high = middle }
            }
            starts.insert(startMs, at: low)
        }
        panes[startMs, default: []].append((slot, sourceMs, partial))
    }

    /// Takes the first pane out, in canonical order: itself before what came late in it, of later panes
    /// before earlier ones, partition by partition; nothing without one.
    mutating func removeFirst() -> Parts {
        guard let startMs = firstMs else { return [] }
        head += 1
        if head > 1_024, head * 2 > starts.count {
            starts.removeFirst(head)
            head = 0
        }
        return (panes.removeValue(forKey: startMs) ?? []).sorted {
            $0.sourceMs == $1.sourceMs ? $0.slot < $1.slot : $0.sourceMs > $1.sourceMs
        }
    }
}
