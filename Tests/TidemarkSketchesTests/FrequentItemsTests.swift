import Testing
import TidemarkKernels
import TidemarkSketches

private func item(_ text: String, _ count: UInt64) -> CountedItem {
    CountedItem(bytes: Array(text.utf8), count: count)
}

@Suite struct FrequentItemsTests {
    @Test func `exact while distinct items fit, in any order of calls`() {
        var random = TestRandom(seed: 31)
        var truth: [String: UInt64] = [:]
        var summary = FrequentItems()
        for _ in 0..<50 {
            let added = (0..<40).map { _ in
                item("c\(random.below(700))", UInt64(random.below(5)))
            }
            for one in added {
                truth[String(decoding: one.bytes, as: UTF8.self), default: 0] += one.count
            }
            summary.update(added)
        }
        let expected = truth.filter { $0.value > 0 }.sorted {
            $0.value != $1.value
                ? $0.value > $1.value
                : Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8))
        }
        #expect(summary.isExact && summary.total == truth.values.reduce(0, +))
        let top = summary.top(1_000)
        #expect(top.map { String(decoding: $0.bytes, as: UTF8.self) } == expected.map(\.key))
        #expect(top.map(\.estimate) == expected.map(\.value))
    }

    @Test func `beyond, bounds hold the truth and are at most total over capacity apart`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = TestRandom(seed: seed)
            var truth: [Int: UInt64] = [:]
            var whole = FrequentItems(lgMax: 6)
            for _ in 0..<30 {
                var part = FrequentItems(lgMax: 6)
                for _ in 0..<3 {
                    let added = (0..<60).map { _ in
                        let id = Int(400 * random.uniform() * random.uniform() * random.uniform())
                        let count = UInt64(1 + random.below(20))
                        truth[id, default: 0] += count
                        return item("\(id)", count)
                    }
                    part.update(added)
                }
                whole.merge(part)
            }
            #expect(whole.itemCount <= whole.capacity)
            #expect(whole.total == truth.values.reduce(0, +))
            #expect(whole.offset <= whole.total / UInt64(whole.capacity + 1), "seed \(seed)")
            for (id, count) in truth {
                let (lower, upper) = whole.bounds(of: Array("\(id)".utf8))
                #expect(lower <= count && count <= upper, "seed \(seed), item \(id)")
            }
        }
    }

    @Test func `the peer's bytes are read, exact ones come back equal item by item`() throws {
        let read = try FrequentItems(bytes: frequentGolden.hexBytes)
        #expect(read.itemCount == 300 && read.isExact && read.lgMax == 10)
        for i in 0..<300 {
            let count = UInt64(1 + i * i % 97)
            #expect(read.bounds(of: Array("item-\(i)".utf8)) == (count, count))
        }
        var own = FrequentItems()
        own.update((0..<300).map { item("item-\($0)", UInt64(1 + $0 * $0 % 97)) })
        #expect(own.serialize() == read.serialize())
        let reduced = try FrequentItems(bytes: frequentReducedGolden.hexBytes)
        for (name, lower, upper) in frequentReducedBounds {
            #expect(reduced.bounds(of: Array(name.utf8)) == (lower, upper), "\(name)")
        }
    }

    @Test func `bytes come back equal, also reduced and empty`() throws {
        var summary = FrequentItems(lgMax: 4)
        #expect(try FrequentItems(bytes: summary.serialize()).total == 0)
        for i in 0..<100 {
            summary.update([item("x\(i % 17)", UInt64(i)), item("", 3)])
            #expect(
                try FrequentItems(bytes: summary.serialize()).serialize() == summary.serialize()
            )
        }
        let exact = summary.isExact
        #expect(!exact)
    }

    @Test func `wrong bytes throw and never trap`() {
        var refused = 0
        for bytes in [frequentGolden.hexBytes, frequentReducedGolden.hexBytes] {
            for wrong in mutations(of: bytes, seed: 5, count: 4_000) {
                do throws(SketchError) {
                    let read = try FrequentItems(bytes: wrong)
                    _ = read.serialize()
                    #expect(read.itemCount <= read.capacity)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 3_000)
    }
}
