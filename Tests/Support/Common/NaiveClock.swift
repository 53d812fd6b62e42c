/// The reference clock as its rule is told: a leap of the record time waits for others that agree.
package struct NaiveClock {
    package let step: Int64
    package let skew: Int64
    package var reference: Int64?
    /// What the row at hand may be ahead of.
    package var now: Int64 = .min
    /// Panes after it are taken back.
    package var withdrawn: Int64?
    private var leaping: [Int64] = []
    private var contradictions = 0
    private var doubt: Int64 = .min

    package init(step: Int64, skew: Int64) {
        self.step = step
        self.skew = skew
    }

    package mutating func follow(_ time: Int64) {
        withdrawn = nil
        guard let reference else {
            now = time
            let first = leaping.min()
            leaping.append(time)
            guard let first else { return }
            if time < first - step {
                withdrawn = time + skew
            } else {
                self.reference = leaping.min()
                leaping = []
                follow(time)
            }
            return
        }
        if time <= reference + step {
            if let least = leaping.min(), time > reference - (least - reference) / 2 {
                contradictions += 1
                if leaping.count <= contradictions {
                    let lead = least - reference
                    if lead > skew { doubt = least + lead }
                    withdrawn = reference + skew
                    (leaping, contradictions) = ([], 0)
                }
            }
            self.reference = max(reference, time)
            now = self.reference ?? .min
            return
        }
        let isLess = leaping.min().map { time < $0 - skew } ?? false
        if isLess {
            doubt = leaping.min() ?? doubt
            withdrawn = time + skew
        }
        leaping.append(time)
        let least = leaping.min() ?? time
        let (span, lead) = (time - least, least - reference)
        let needed = min(30_000, lead / 10)
        let agree = leaping.count - contradictions
        let isBelieved =
            leaping.count > 1
            && (span >= needed || agree >= 32 && span >= min(3_000, needed)) && !isLess
        if isBelieved {
            self.reference = least
            (leaping, contradictions) = ([], 0)
            follow(time)
        } else {
            now = time > doubt ? max(time, reference) : reference
        }
    }
}
