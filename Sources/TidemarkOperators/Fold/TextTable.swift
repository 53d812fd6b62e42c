import TidemarkBatch
import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches

/// What is worked out once of each text of a dictionary: its hash, its coupon for HyperLogLog, and
/// where its bytes lie.
///
/// The owner is the worker.
@safe
final class TextTable {
    /// One text of a dictionary.
    struct Entry: BitwiseCopyable {
        var hash: UInt64
        var start: Int
        var byteCount: Int32
        /// 0: the empty text, which HyperLogLog leaves out.
        var coupon: UInt32
        /// A bit for each rule of the column that the text breaks.
        var broken: UInt8
    }

    private let frame: Frame
    private var entries: [[Entry]]
    private var texts: [[UInt8]]
    private var kept: [Int]
    // For whoever turns counts into summaries; room for so many.
    private var counts: UnsafeMutablePointer<TextCount>
    private var coupons: UnsafeMutablePointer<UInt32>
    private var roomCount = 64
    /// By column: what its texts may be.
    private let rules: [[any TextRule]]

    /// `rules`: what texts may be, by column of the frame; at most eight a column.
    init(frame: Frame, rules: [[any TextRule]]) {
        precondition(rules.allSatisfy { $0.count <= 8 }, "a bit for each rule")
        self.frame = frame
        self.rules = rules
        entries = frame.columns.map { _ in [] }
        texts = frame.columns.map { _ in [] }
        kept = frame.columns.map { _ in 0 }
        unsafe counts = .allocate(capacity: roomCount)
        unsafe coupons = .allocate(capacity: roomCount)
    }

    deinit {
        unsafe counts.deallocate()
        unsafe coupons.deallocate()
    }

    func keptCount(_ column: Int) -> Int { kept[column] }

    func reset(_ column: Int, keptCount: Int) {
        entries[column] = []
        texts[column] = []
        kept[column] = keptCount
    }

    /// All texts of the dictionary as it stands, by code.
    func all(_ column: Int) -> [Entry] {
        let count = frame.textCount(column)
        for code in entries[column].count..<max(count, entries[column].count) {
            let text = unsafe frame.text(column, code: UInt32(truncatingIfNeeded: code))
            let hash = unsafe text.baseAddress.map {
                unsafe murmur3($0, count: text.count, seed: dataSketchesSeed)
            }
            var broken: UInt8 = 0
            for (place, rule) in rules[column].enumerated() {
                if unsafe rule.isBroken(Array(text)) { broken |= 1 << UInt8(place) }
            }
            unsafe entries[column].append(
                Entry(
                    hash: hash?.low ?? 0, start: texts[column].count,
                    byteCount: Int32(truncatingIfNeeded: text.count),
                    coupon: text.isEmpty ? 0 : hash.map(HLLSketch.coupon) ?? 0,
                    broken: broken))
            unsafe texts[column].append(contentsOf: text)
        }
        return entries[column]
    }

    /// The texts of some codes, each with its count.
    func counted(_ codes: borrowing CodeCounter, column: Int) -> [CountedItem] {
        let known = all(column)
        var items: [CountedItem] = []
        codes.forEach { code, count in
            let entry = known[Int(code)]
            let start = Int(entry.start)
            items.append(
                CountedItem(
                    bytes: Array(texts[column][start..<(start + Int(entry.byteCount))]),
                    hash: entry.hash, count: UInt64(count)))
        }
        return items
    }

    /// Adds the texts of some codes, each with its count, to a distinct count and to the most
    /// frequent ones, where they are asked for.
    func summarise(
        _ codes: borrowing CodeCounter, column: Int, into summary: CategorySummary,
        distinct: Bool, frequent: Bool
    ) {
        let known = all(column)
        let count = codes.distinctCount
        reserve(count)
        let (counts, coupons) = unsafe (self.counts, self.coupons)
        unsafe known.withUnsafeBufferPointer { known in
            var at = 0
            codes.forEach { code, count in
                let entry = unsafe known[Int(code)]
                unsafe (counts + at).initialize(
                    to: TextCount(
                        hash: entry.hash, count: UInt64(count), start: entry.start,
                        byteCount: Int(entry.byteCount)))
                unsafe coupons[at] = entry.coupon
                at &+= 1
            }
        }
        if distinct { unsafe summary.distinct.update(coupons: coupons, count: count) }
        guard frequent else { return }
        unsafe texts[column].withUnsafeBufferPointer { texts in
            unsafe summary.frequent.update(
                UnsafeMutableBufferPointer(start: counts, count: count), texts: texts.baseAddress)
        }
    }

    private func reserve(_ count: Int) {
        guard count > roomCount else { return }
        while roomCount < count { roomCount *= 2 }
        unsafe counts.deallocate()
        unsafe coupons.deallocate()
        unsafe counts = .allocate(capacity: roomCount)
        unsafe coupons = .allocate(capacity: roomCount)
    }
}
