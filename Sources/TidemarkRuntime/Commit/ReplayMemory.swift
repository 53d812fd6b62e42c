/// Which records of a partition were replayed: everything before `next`, and some ranges behind it.
///
/// It stands in a group's own offset record, the ranges in its metadata, so that a replay and the
/// memory of it are one transaction.
package struct ReplayMemory: Sendable, Equatable {
    /// Everything before it was replayed, or can't be.
    package private(set) var next: Int64
    /// Replayed offsets behind `next`, ascending, each with at least one record left out before it.
    package private(set) var ranges: [ClosedRange<Int64>]

    /// Well below what brokers take (4,096 bytes by default).
    package static let byteCountMax = 3_500

    /// Why a commit's text cannot be used, or cannot be made: there are too many gaps for its size.
    package enum Problem: Error, Equatable { case unreadable, tooManyGaps(Int) }

    /// Everything before `next` was replayed, and nothing after it.
    package init(next: Int64 = 0) {
        self.next = next
        ranges = []
    }

    /// Reads what a commit says.
    package init(next: Int64, metadata: String) throws(Problem) {
        self.init(next: next)
        var words = metadata.split(separator: " ")
        if words.isEmpty { return }
        guard words.removeFirst() == "replay1", words.count % 2 == 0 else { throw .unreadable }
        var at = next
        for place in stride(from: 0, to: words.count, by: 2) {
            guard let gap = Int64(words[place], radix: 36), gap > 0,
                let more = Int64(words[place + 1], radix: 36), more >= 0,
                at < .max / 4, gap < .max / 4, more < .max / 4
            else { throw .unreadable }
            ranges.append(at + gap...at + gap + more)
            at += gap + more + 1
        }
    }

    /// Whether a letter was replayed.
    ///
    /// - Complexity: O(log ranges).
    package func contains(_ offset: Int64) -> Bool {
        if offset < next { return true }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < offset { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(offset)
    }

    /// Remembers `replayed` too; `existing` are all offsets that can be replayed, ascending.
    ///
    /// What does not exist is no gap: control records, records that were cut short.
    /// - Complexity: O(existing).
    package mutating func add(_ replayed: Set<Int64>, existing: [Int64]) {
        var done: [ClosedRange<Int64>] = []
        var firstLeft: Int64?
        var isOpen = false
        for offset in existing {
            guard contains(offset) || replayed.contains(offset) else {
                firstLeft = firstLeft ?? offset
                isOpen = false
                continue
            }
            guard firstLeft != nil else { continue }
            if isOpen, let last = done.popLast() {
                done.append(last.lowerBound...offset)
            } else {
                done.append(offset...offset)
                isOpen = true
            }
        }
        ranges = done
        next = max(next, firstLeft ?? existing.last.map { $0 + 1 } ?? next)
    }

    /// As metadata: gaps and lengths in base 36.
    package func metadata() throws(Problem) -> String {
        guard !ranges.isEmpty else { return "" }
        var text = "replay1"
        var at = next
        for range in ranges {
            text += " \(String(range.lowerBound - at, radix: 36))"
            text += " \(String(range.upperBound - range.lowerBound, radix: 36))"
            at = range.upperBound + 1
        }
        guard text.utf8.count <= Self.byteCountMax else { throw .tooManyGaps(ranges.count) }
        return text
    }
}
