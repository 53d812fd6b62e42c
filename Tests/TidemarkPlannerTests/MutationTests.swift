import Testing
import TidemarkPlanner
import TidemarkTopology

struct MutationTests {
    /// SplitMix64.
    private struct Random {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return Int((z ^ (z >> 31)) % UInt64(bound))
        }
    }

    private static let pieces = [
        "{", "}", "[", "]", ":", ": ", ",", "- ", "\n", "  ", "\"", "'", "*", "&a ", "!x ", "|",
        ">",
        "#", "${", "${env:X}", "..", "f0..f9999999", "off", "~", "99999999999999999999", "1e999",
        "0", "-1", "\t", "\u{0}", "é", "5m every 7s", "(", "((", ")", "%", "=", "not ", "@", "`",
        "---\n", "? ", "<<: ", "all", "filter: f0 > 1\n", "windows: [1w every 1s]\n",
        "summaries: [{ columns: all, histogram: { edges: { from: 0, to: 1e308 } } }]\n",
        "segments: { x: { by: [c0] } }\n",
    ]

    @Test func `two thousand mutations of the shipped files give a plan or an error`() {
        let paths = ["minimal", "w1", "w1-drift"].map { "topologies/\($0).yaml" }
        for seed in 0..<2000 {
            var random = Random(state: UInt64(seed))
            var world = shipped0
            let path = paths[seed % paths.count]
            var bytes = Array((world.files[path] ?? "").utf8)
            for _ in 0...random.next(4) {
                let at = random.next(bytes.count + 1)
                switch random.next(4) {
                case 0: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.next(12)))
                case 1:
                    bytes.insert(
                        contentsOf: Self.pieces[random.next(Self.pieces.count)].utf8, at: at)
                case 2 where at < bytes.count: bytes[at] = UInt8(random.next(128))
                default:
                    let from = random.next(bytes.count + 1)
                    let part = bytes[from..<min(bytes.count, from + 40)]
                    bytes.insert(contentsOf: part, at: at)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            world.files[path] = text
            let result = world.plan(path)
            let hasErrors = result.diagnostics.contains { $0.severity == .error }
            #expect((result.plan == nil) == hasErrors, "seed \(seed)")
            for diagnostic in result.diagnostics {
                #expect(explain(rule: diagnostic.rule) != nil, "seed \(seed): \(diagnostic.rule)")
                #expect(diagnostic.line >= 1 && diagnostic.column >= 1, "seed \(seed)")
                _ = diagnostic.rendered(source: text)
            }
            _ = planText(result)
            _ = planJSON(result)
        }
    }

    private let shipped0 = shipped()
}
