import Testing
import TidemarkSketches

/// A state that is read back goes on exactly as the summary that it was taken from would have.
@Suite struct RunningStateTests {
    private func numbers(_ count: Int, seed: UInt64) -> [Double] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(Int64(bitPattern: state) >> 20) / 1e6
        }
    }

    /// Writes, reads whole, and reads every shortened form, which must throw.
    private func roundTrip<S: RunningState & ~Copyable>(_ summary: borrowing S) throws -> S {
        var bytes: [UInt8] = []
        summary.writeState(&bytes)
        for cut in Set([0, 1, bytes.count / 3, bytes.count / 2, bytes.count - 1])
        where cut < bytes.count {
            var reader = ByteReader(Array(bytes[..<cut]))
            do {
                _ = try S.readState(&reader)
                Issue.record("\(cut) of \(bytes.count) bytes were taken for a whole state")
            } catch {}
        }
        var reader = ByteReader(bytes)
        let read = try S.readState(&reader)
        try reader.finish()
        return read
    }

    @Test(arguments: [0, 1, 100, 257, 5_000, 60_000])
    func `KLL draws and compacts as before`(count: Int) throws {
        let (first, then) = (numbers(count, seed: 1), numbers(3_000, seed: 2))
        var one = KLLSketch(k: 200, seed: 7)
        one.update(first.map { Float($0) })
        var other = try roundTrip(one)
        var wide = KLLDoublesSketch(k: 200, seed: 7)
        wide.update(first)
        var otherWide = try roundTrip(wide)
        var next = KLLSketch(k: 200, seed: 9)
        next.update(then.map { Float($0) })
        one.merge(next)
        other.merge(next)
        one.update(then.map { Float($0) })
        other.update(then.map { Float($0) })
        wide.update(then)
        otherWide.update(then)
        #expect(one.serialize() == other.serialize())
        #expect(wide.serialize() == otherWide.serialize())
    }

    @Test(arguments: [0, 1, 100, 20_000])
    func `the others merge as before`(count: Int) throws {
        let (first, then) = (numbers(count, seed: 3), numbers(3_000, seed: 4))
        var dd = DDSketch(relativeError: 0.01, binCountMax: 128)
        unsafe first.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { _ = unsafe dd.update(base, count: buffer.count) }
        }
        var otherDD = try roundTrip(dd)
        var nextDD = DDSketch(relativeError: 0.01, binCountMax: 128)
        unsafe then.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { _ = unsafe nextDD.update(base, count: buffer.count) }
        }
        dd.merge(nextDD)
        otherDD.merge(nextDD)
        #expect(dd.serialize() == otherDD.serialize())

        var hll = HLLSketch(lgK: 12)
        var frequent = FrequentItems(lgMax: 4)
        func items(_ numbers: [Double]) -> [CountedItem] {
            numbers.map { CountedItem(bytes: Array("\(Int($0) % 50)".utf8), count: 1) }
        }
        for number in first {
            if let coupon = HLLSketch.coupon(ofBytes: Array("\(number)".utf8)) {
                hll.update(coupon: coupon)
            }
        }
        frequent.update(items(first))
        var otherHLL = try roundTrip(hll)
        var otherFrequent = try roundTrip(frequent)
        for number in then {
            if let coupon = HLLSketch.coupon(ofBytes: Array("\(number)".utf8)) {
                hll.update(coupon: coupon)
                otherHLL.update(coupon: coupon)
            }
        }
        frequent.update(items(then))
        otherFrequent.update(items(then))
        #expect(hll.serialize() == otherHLL.serialize())
        #expect(hll.estimate == otherHLL.estimate)
        #expect(frequent.serialize() == otherFrequent.serialize())
    }
}
