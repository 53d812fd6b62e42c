import TidemarkCodec
import TidemarkKernels
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
    }

    private let decoder: RecordDecoder
    private var entries: [[Entry]]
    private var texts: [[UInt8]]
    private var kept: [Int]
    // For whoever turns counts into summaries; room for so many.
    private var counts: UnsafeMutablePointer<TextCount>
    private var coupons: UnsafeMutablePointer<UInt32>
    private var roomCount = 64

    init(decoder: RecordDecoder, fieldCount: Int) {
        self.decoder = decoder
        entries = Array(repeating: [], count: fieldCount)
        texts = Array(repeating: [], count: fieldCount)
        kept = Array(repeating: 0, count: fieldCount)
        unsafe counts = .allocate(capacity: roomCount)
        unsafe coupons = .allocate(capacity: roomCount)
    }

    deinit {
        unsafe counts.deallocate()
        unsafe coupons.deallocate()
    }

    func keptCount(_ field: Int) -> Int { kept[field] }

    func reset(_ field: Int, keptCount: Int) {
        entries[field] = []
        texts[field] = []
        kept[field] = keptCount
    }

    /// All texts of the dictionary as it stands, by code.
    func all(_ field: Int) -> [Entry] {
        let count = decoder.dictionaryCount(field)
        for code in entries[field].count..<max(count, entries[field].count) {
            let text = unsafe decoder.text(field, code: UInt32(truncatingIfNeeded: code))
            let hash = unsafe text.baseAddress.map {
                unsafe murmur3($0, count: text.count, seed: dataSketchesSeed)
            }
            unsafe entries[field].append(
                Entry(
                    hash: hash?.low ?? 0, start: texts[field].count,
                    byteCount: Int32(truncatingIfNeeded: text.count),
                    coupon: text.isEmpty ? 0 : hash.map(HLLSketch.coupon) ?? 0))
            unsafe texts[field].append(contentsOf: text)
        }
        return entries[field]
    }

    /// The texts of some codes, each with its count.
    func counted(_ codes: borrowing CodeCounter, field: Int) -> [CountedItem] {
        let known = all(field)
        var items: [CountedItem] = []
        codes.forEach { code, count in
            let entry = known[Int(code)]
            let start = Int(entry.start)
            items.append(
                CountedItem(
                    bytes: Array(texts[field][start..<(start + Int(entry.byteCount))]),
                    hash: entry.hash, count: UInt64(count)))
        }
        return items
    }

    /// Adds the texts of some codes, each with its count, to a distinct count and to the most
    /// frequent ones, where they are asked for.
    func summarise(
        _ codes: borrowing CodeCounter, field: Int, into summary: CategorySummary,
        distinct: Bool, frequent: Bool
    ) {
        let known = all(field)
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
        unsafe texts[field].withUnsafeBufferPointer { texts in
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
