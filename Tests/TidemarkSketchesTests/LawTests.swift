import Testing
import TidemarkKernels
import TidemarkSketches

/// Checks the laws of one type on six parts of a stream.
///
/// `agrees` says what two merge orders must have in common where bytes may differ; nil: bytes.
/// - Throws: What reading a summary's own bytes throws.
private func checkLaws<S: Summary & ~Copyable>(
    _ name: String,
    empty: () -> S,
    part: (Contents) -> S,
    agrees: ((borrowing S, borrowing S) -> Bool)? = nil
) throws {
    func same(_ a: borrowing S, _ b: borrowing S, _ law: String) {
        if let agrees {
            let agree = agrees(a, b)
            #expect(agree, "\(name): \(law)")
        } else {
            #expect(a.serialize() == b.serialize(), "\(name): \(law)")
        }
    }
    let contents = (0..<6).map { Contents(part: $0) }
    for i in 0..<6 {
        let one = part(contents[i])
        // Neutral, from both sides: to the same bytes.
        var left = empty()
        left.merge(one)
        #expect(left.serialize() == one.serialize(), "\(name): empty on the left, part \(i)")
        var right = one.copy()
        right.merge(empty())
        #expect(right.serialize() == one.serialize(), "\(name): empty on the right, part \(i)")
        // Bytes are the summary.
        let read = try S(bytes: one.serialize())
        #expect(read.serialize() == one.serialize(), "\(name): bytes, part \(i)")
        for j in 0..<6 {
            let other = part(contents[j])
            var ab = one.copy()
            ab.merge(other)
            #expect(one.serialize() == part(contents[i]).serialize(), "\(name): a copy is its own")
            var again = part(contents[i])
            again.merge(other)
            #expect(ab.serialize() == again.serialize(), "\(name): the same merges, the same bytes")
            var ba = other.copy()
            ba.merge(one)
            same(ab, ba, "commutative, parts \(i) and \(j)")
            // (a + b) + c = a + (b + c)
            let third = part(contents[(i + 2 * j + 1) % 6])
            var first = ab.copy()
            first.merge(third)
            var tail = other.copy()
            tail.merge(third)
            var second = one.copy()
            second.merge(tail)
            same(first, second, "associative, parts \(i) and \(j)")
            let back = try S(bytes: first.serialize())
            #expect(back.serialize() == first.serialize(), "\(name): bytes of merged ones")
        }
    }
}

@Suite struct LawTests {
    @Test func `order-free summaries merge to the same bytes in any order`() throws {
        for type in HLLType.allCases {
            try checkLaws(
                "HLL \(type)",
                empty: { HLLSketch(lgK: 8, type: type) },
                part: { $0.hll(type) }
            )
        }
        try checkLaws(
            "DDSketch",
            empty: { DDSketch(relativeError: 0.005) },
            part: { $0.dd() }
        )
        try checkLaws(
            "DDSketch by the logarithm",
            empty: { DDSketch(relativeError: 0.005, mapping: .logarithmic) },
            part: { $0.dd(.logarithmic) }
        )
        try checkLaws("log-linear", empty: { LogLinearHistogram() }, part: { $0.logLinear() })
        try checkLaws(
            "frozen histogram",
            empty: { FrozenHistogram(edges: [-5, 0, 1, 2.5, 9, 11]) },
            part: { $0.frozen() }
        )
        try checkLaws(
            "bottom-k",
            empty: { BottomKSample(k: 100, topicHash: 7) },
            part: { $0.sample() }
        )
        try checkLaws("exact counts", empty: { ExactCounts(capacity: 200) }, part: { $0.exact() })
    }

    @Test func `ordered summaries agree within their error in any order`() throws {
        let probes = stride(from: -1.0, through: 40, by: 0.5)
        try checkLaws(
            "KLL f32",
            empty: { KLLSketch(seed: 0) },
            part: { $0.kll() },
            agrees: { a, b in
                let (x, y) = (a.view(), b.view())
                return a.count == b.count && a.min == b.min && a.max == b.max
                    && probes.allSatisfy { p in
                        abs((x.rank(of: Float(p)) ?? 0) - (y.rank(of: Float(p)) ?? 0)) <= 0.0266
                    }
            }
        )
        try checkLaws(
            "KLL f64",
            empty: { KLLDoublesSketch(seed: 0) },
            part: { $0.kllDoubles() },
            agrees: { a, b in
                let (x, y) = (a.view(), b.view())
                return a.count == b.count && a.min == b.min && a.max == b.max
                    && probes.allSatisfy { p in
                        abs((x.rank(of: p) ?? 0) - (y.rank(of: p) ?? 0)) <= 0.0266
                    }
            }
        )
        try checkLaws(
            "frequent strings",
            empty: { FrequentItems(lgMax: 5) },
            part: { $0.strings() },
            agrees: { a, b in
                // Intervals that both hold the truth overlap.
                let worst = a.total / UInt64(a.capacity + 1)
                guard a.total == b.total, a.offset <= worst, b.offset <= worst else { return false }
                for item in a.top(5) {
                    let other = b.bounds(of: item.bytes)
                    guard item.lower <= other.upper, other.lower <= item.upper else { return false }
                }
                return true
            }
        )
        try checkLaws(
            "frequent integers",
            empty: { FrequentIntegers(lgMax: 5) },
            part: { $0.frequentIntegers() },
            agrees: { a, b in
                let worst = a.total / UInt64(a.capacity + 1)
                guard a.total == b.total, a.offset <= worst, b.offset <= worst else { return false }
                for item in a.items.prefix(5) {
                    let other = b.bounds(of: item.value)
                    guard item.lower <= other.upper, other.lower <= item.upper else { return false }
                }
                return true
            }
        )
        try checkLaws(
            "moments",
            empty: { Moments() },
            part: { $0.moments() },
            agrees: { a, b in
                a.valueCount == b.valueCount && close(a.mean, b.mean)
                    && close(a.variance, b.variance) && close(a.skewness, b.skewness)
                    && close(a.kurtosis, b.kurtosis)
            }
        )
        try checkLaws(
            "comoments",
            empty: { Comoments(width: 3) },
            part: { $0.comoments() },
            agrees: { a, b in
                a.rowCount == b.rowCount && close(a.covariance(0, 1), b.covariance(0, 1))
                    && close(a.covariance(2, 2), b.covariance(2, 2))
                    && close(a.correlation(1, 2), b.correlation(1, 2))
            }
        )
        try checkLaws(
            "decayed moments",
            empty: { DecayedMoments(halfLifeMs: 1_000) },
            part: { $0.decayed() },
            agrees: { a, b in
                a.newestMs == b.newestMs && close(a.weight, b.weight) && close(a.mean, b.mean)
                    && close(a.sd, b.sd)
            }
        )
    }

    @Test func `what was merged into an invertible summary can be taken off`() {
    }
}
