import Testing
import TidemarkKernels
import TidemarkMonitors

/// Which values there were: the same however rows are parted, and bounded.
@Suite struct SeenValuesTests {
    /// Rows of a column whose values have a tail, and of their exact counts.
    private func rows(_ count: Int, key: UInt64, values: UInt64) -> [UInt32] {
        let random = CounterRandom(key: key)
        return (0..<UInt64(count)).map { row in
            let value = random.draw(2 * row) % (1 + random.draw(2 * row + 1) % values)
            return UInt32(truncatingIfNeeded: CounterRandom(key: 9).draw(value) >> 32)
        }
    }

    private func items(_ rows: some Sequence<UInt32>) -> [SeenValues.Item] {
        var counts: [UInt32: UInt64] = [:]
        for row in rows { counts[row, default: 0] += 1 }
        return counts.map { SeenValues.Item(hash: $0.key, count: $0.value) }
    }

    @Test(arguments: [40, 900, 20_000, 30_000] as [UInt64])
    func `parts merge in any order to what is counted at once`(values: UInt64) {
        let seed = values
        let rows = rows(30_000, key: seed, values: values)
        var whole = SeenValues()
        whole.add(items(rows))
        let exact = items(rows).sorted { $0.hash < $1.hash }
        #expect(whole.items == Array(exact.prefix(SeenValues.capacity)))
        #expect(whole.through == (exact.count > SeenValues.capacity ? exact[511].hash : .max))
        // Parts of unequal size, each folded in pieces, joined forwards, backwards and as a tree.
        let random = CounterRandom(key: seed)
        var parts: [SeenValues] = []
        var rest = rows[...]
        while !rest.isEmpty {
            var part = SeenValues()
            for piece in 0..<3 {
                let size = Int(random.draw(UInt64(parts.count * 3 + piece)) % 900)
                part.add(items(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            parts.append(part)
        }
        for order in [parts, parts.reversed()] {
            var joined = SeenValues()
            for part in order { joined.merge(part) }
            #expect(joined == whole)
        }
        var tree = parts
        while tree.count > 1 {
            var next: [SeenValues] = []
            for place in stride(from: 0, to: tree.count, by: 2) {
                var one = tree[place]
                if place + 1 < tree.count { one.merge(tree[place + 1]) }
                next.append(one)
            }
            tree = next
        }
        #expect(tree == [whole])
        for item in exact.prefix(600) {
            #expect(whole.contains(item.hash) == (item.hash <= whole.through))
        }
        #expect(!whole.contains(exact[0].hash &- 1))
    }

    @Test func `what is frequent in no part is rare in the whole`() {
        let rows = rows(40_000, key: 7, values: 3_000)
        var whole = SeenCounts()
        for start in stride(from: 0, to: rows.count, by: 1_000) {
            var part = SeenCounts()
            part.add(items(rows[start..<start + 1_000]))
            whole.merge(part)
        }
        let exact = Dictionary(uniqueKeysWithValues: items(rows).map { ($0.hash, $0.count) })
        #expect(whole.all.through < .max && whole.frequent.through == .max)
        for item in whole.frequent.items { #expect(item.count <= exact[item.hash] ?? 0) }
        for (hash, count) in exact where !whole.frequent.contains(hash) {
            #expect(count * SeenCounts.frequentOneIn < 40_000)
        }
    }

    @Test func `bytes are read again, and others are refused`() {
        for values in [1 as UInt64, 30, 5_000] {
            var counts = SeenCounts()
            counts.add(items(rows(3_000, key: values, values: values)))
            var bytes: [UInt8] = []
            counts.write(&bytes)
            var rest = (bytes + [7])[...]
            #expect(SeenCounts(&rest) == counts && rest == [7])
            for length in 0..<bytes.count {
                var cut = bytes[..<length]
                #expect(SeenCounts(&cut) == nil)
            }
            #expect(bytes.count <= (values == 30 ? 500 : 5_000))
        }
        var empty: [UInt8] = []
        SeenCounts().write(&empty)
        var rest = empty[...]
        #expect(SeenCounts(&rest) == SeenCounts())
        for wrong: [UInt8] in [
            [255, 255, 255, 255, 255, 255, 255, 255, 255, 1], [1, 5, 9, 1, 1],
            [2, 9, 3, 1, 0, 1, 1],
        ] {
            var rest = wrong[...]
            #expect(SeenCounts(&rest) == nil)
        }
    }
}
