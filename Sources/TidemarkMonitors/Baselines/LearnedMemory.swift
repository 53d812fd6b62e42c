import TidemarkCore

/// What is learned of a group: its windows one by one, and what stands beside them.
final class LearnedMemory {
    var head: LearnedHead
    /// False where its windows were read back without it.
    ///
    /// Delivery at least once may lose the head of a unit that was cut short. Then it is written with
    /// the next one.
    var isHeadKnown = true
    /// By their starts.
    var windows = SubtractOnEvictWindow<LearnedSum>()
    /// About: of the windows, and of a head and a sum.
    var byteCount = 0

    /// `name`: of the group, which stands in two tables.
    init(head: LearnedHead, name: [UInt8]) {
        self.head = head
        byteCount = 400 + 2 * name.count
    }

    /// Where a span of windows begins that ends before `toMs`: what is set apart has no place in it.
    func spanStart(_ spanMs: Int64, to toMs: Int64) -> Int64 {
        var (left, endMs) = (spanMs, toMs)
        for apart in head.apart.reversed() where apart.lowerBound < toMs {
            let usualMs = endMs - min(apart.upperBound, endMs)
            if usualMs >= left { break }
            left -= usualMs
            endMs = apart.lowerBound
        }
        return endMs - left
    }

    /// Notes that a window was set apart.
    ///
    /// - Returns: whether that is news.
    func setApart(_ window: Range<Int64>) -> Bool {
        guard !head.apart.contains(where: { $0.contains(window.lowerBound) }) else {
            return false
        }
        if let last = head.apart.last, last.upperBound == window.lowerBound {
            head.apart[head.apart.count - 1] = last.lowerBound..<window.upperBound
        } else {
            head.apart.append(window)
            head.apart.sort { $0.lowerBound < $1.lowerBound }
            if head.apart.count > LearnedHead.apartCountMax { head.apart.removeFirst() }
        }
        return true
    }

    /// All that starts in `fromMs ..< toMs`, with what the head took in.
    func sum(from fromMs: Int64, to toMs: Int64) -> LearnedSum {
        let firstMs = min(toMs, max(fromMs, head.throughMs))
        var sum = windows.slide(to: firstMs..<toMs) ?? LearnedSum()
        if head.windows > 0 { sum.add(head) }
        return sum
    }
}
