import TidemarkKernels
import TidemarkText

/// Predictions of three models for the demo: the same records for the same seed.
///
/// Half-way two features of one model change; nothing else does. A few records are late, a few are
/// no JSON.
struct DemoTraffic {
    static let models = ["churn", "fraud", "ranking"]
    /// What changes, and where.
    static let driftingModel = "fraud"
    static let driftingColumns = ["amount", "tenure"]
    /// 2024-01-15T10:00:00Z.
    static let startMs: Int64 = 1_705_312_800_000
    static let spanMs: Int64 = 3_600_000

    let recordCount: Int
    let drifts: Bool
    private let random: CounterRandom
    private var draws: UInt64 = 0

    init(seed: UInt64, recordCount: Int, drifts: Bool) {
        self.recordCount = recordCount
        self.drifts = drifts
        random = CounterRandom(key: seed)
    }

    /// When the change begins, event time.
    static var driftMs: Int64 { startMs + spanMs / 2 }

    struct Record {
        var value: [UInt8]
        var isBad: Bool
    }

    /// Record `index` of the hour.
    mutating func record(_ index: Int) -> Record {
        let progress = Int64(index) * Self.spanMs / Int64(recordCount)
        let isDrifted = drifts && progress >= Self.spanMs / 2
        let model = Self.models[Int(uniform() * 3)]
        var time = Self.startMs + progress + Int64(uniform() * 1500)
        // About one in five hundred comes half a minute late.
        if uniform() < 0.002 { time -= 30_000 }
        var amount = (3 + 0.7 * normal()).exponential
        let age = (42 + 12 * normal()).clamped(18, 95).rounded()
        var tenure = -24 * (1 - uniform()).naturalLogarithm
        if isDrifted, model == Self.driftingModel {
            amount *= 1.35
            tenure += 6
        }
        let country = ["de", "fr", "es", "it", "pl", "nl", "se", "pt"][
            Int(uniform() * uniform() * 8)]
        let score = ((uniform() + uniform() + uniform()) / 3)
        if uniform() < 0.0005 {
            return Record(
                value: Array("{\"model\":\"\(model)\",\"ts\":\(time),\"features".utf8), isBad: true)
        }
        let ageText = uniform() < 0.01 ? "null" : fixed(age, 0)
        return Record(
            value: Array(
                """
                {"model":"\(model)","ts":\(time),"features":{"amount":\(fixed(amount, 2)),"age":\(ageText),"tenure":\(fixed(tenure, 3)),"country":"\(country)"},"score":\(fixed(score, 5))}
                """.utf8), isBad: false)
    }

    private mutating func uniform() -> Double {
        draws += 1
        return Double(random.draw(draws) >> 11) / 9_007_199_254_740_992
    }

    /// The sum of twelve uniforms, less six: normal enough for a demo.
    private mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += uniform() }
        return sum
    }
}
