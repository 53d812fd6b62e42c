import Testing
import TidemarkAlerts
import TidemarkCore
import TidemarkKernels

private let minute: Int64 = 60_000

/// The four ways in which a verdict counts for an alert.
enum Said: CaseIterable {
    case breached, cleared, between, none

    /// Verdicts that count so.
    var verdicts: [Verdict] {
        switch self {
        case .breached: [.drift, .drop, .rise, .excess, .met]
        case .cleared, .between: [.ok, .blind]
        case .none: [.tooFew, .learning, .noBaseline]
        }
    }

    var isNear: Bool { self == .between }
}

private struct Closed {
    var verdict: Said
    var startMs: Int64
    var endMs: Int64
    var complete: Bool
}

/// What the rules say, from the whole history at every window, without any state but the index of
/// the last transition.
private func naive(_ windows: [Closed], _ options: AlertOptions) -> [AlertAction] {
    var actions: [AlertAction] = []
    var firing: (opening: Closed, from: Int)?
    var from = 0
    for now in windows.indices {
        var action = AlertAction.none
        let seen = windows[from...now].filter { $0.complete && $0.verdict != .none }
        let counts = windows[now].complete && windows[now].verdict != .none
        func holding(_ hold: Hold, _ wanted: Said) -> Closed? {
            guard counts, windows[now].verdict == wanted else { return nil }
            switch hold {
            case .windows(let count, let of):
                let last = seen.suffix(of).filter { $0.verdict == wanted }
                return last.count >= count ? last.first : nil
            case .duration(let ms):
                let other = seen.lastIndex { $0.verdict != wanted }
                let row = seen[(other.map { $0 + 1 } ?? 0)...]
                guard let first = row.first, windows[now].endMs - first.startMs >= ms else {
                    return nil
                }
                return first
            }
        }
        if let alert = firing {
            if holding(options.clearHold, .cleared) != nil {
                action = .resolve(
                    AlertEvent(
                        openingStartMs: alert.opening.startMs,
                        firstSeenMs: alert.opening.endMs,
                        atMs: windows[now].endMs,
                        sequence: 1
                    )
                )
                firing = nil
                from = now + 1
            }
        } else if let opening = holding(options.hold, .breached) {
            action = .fire(
                AlertEvent(
                    openingStartMs: opening.startMs,
                    firstSeenMs: opening.endMs,
                    atMs: windows[now].endMs,
                    sequence: 0
                )
            )
            firing = (opening, now)
            from = now + 1
        }
        actions.append(action)
    }
    return actions
}

private func run(_ windows: [Closed], _ options: AlertOptions) -> [AlertAction] {
    var cycle = AlertLifecycle()
    return windows.map {
        cycle.observe(
            $0.verdict.verdicts[Int($0.endMs / minute) % $0.verdict.verdicts.count],
            isNear: $0.verdict.isNear,
            startMs: $0.startMs,
            endMs: $0.endMs,
            complete: $0.complete,
            options: options
        )
    }
}

/// One window a minute; b breached, c cleared, h between, - none, i breached but incomplete.
private func windows(_ text: String) -> [Closed] {
    text.enumerated().map { i, letter in
        let verdict: Said =
            switch letter {
            case "b", "i": .breached
            case "c": .cleared
            case "h": .between
            default: .none
            }
        return Closed(
            verdict: verdict,
            startMs: Int64(i) * minute,
            endMs: Int64(i + 1) * minute,
            complete: letter != "i"
        )
    }
}

/// F and R where it fires and resolves.
private func trace(_ text: String, _ options: AlertOptions) -> String {
    run(windows(text), options).map {
        switch $0 {
        case .none: "."
        case .fire: "F"
        case .resolve: "R"
        }
    }.joined()
}

@Suite struct AlertTests {
    @Test func `by default it fires at once and resolves after two clear windows of two`() {
        #expect(trace("cbbccb", AlertOptions()) == ".F..RF")
        #expect(trace("bcbcbcc", AlertOptions()) == "F.....R")
    }

    @Test func `m of n fires at the breach that makes m, and opens at the oldest of them`() {
        let options = AlertOptions(hold: .windows(count: 2, of: 3))
        #expect(trace("bccbcbccb", options) == ".....F.R.")
        guard case .fire(let event) = run(windows("cbcb"), options)[3] else {
            Issue.record("no firing")
            return
        }
        #expect(event.openingStartMs == minute && event.firstSeenMs == 2 * minute)
        #expect(event.atMs == 4 * minute && event.sequence == 0)
    }

    @Test func `a window without a verdict is as if it had not been`() {
        let options = AlertOptions(hold: .windows(count: 2, of: 2))
        #expect(trace("b-b", options) == "..F")
        #expect(trace("bib", options) == "..F")
        #expect(trace("i-i-i", AlertOptions()) == ".....")
        #expect(trace("bc---c", AlertOptions()) == "F....R")
        #expect(trace("b-b", AlertOptions(hold: .duration(ms: 3 * minute))) == "..F")
    }

    @Test func `a duration runs from the start of the first window to the end of the last`() {
        let options = AlertOptions(
            hold: .duration(ms: 3 * minute),
            clearHold: .duration(ms: 2 * minute)
        )
        #expect(trace("bbbcchcc", options) == "..F.R...")
        #expect(trace("bbcbbb", options) == ".....F")
        #expect(trace("bbhbbb", options) == ".....F")
        #expect(trace("bbbchcc", options) == "..F...R")
        #expect(trace("b", AlertOptions(hold: .duration(ms: 0))) == "F")
    }

    @Test func `between the thresholds an alert neither fires nor resolves`() {
        #expect(trace("hhbhhhhcc", AlertOptions()) == "..F.....R")
        #expect(trace("bchchcc", AlertOptions()) == "F.....R")
    }

    @Test func `what was seen before a transition counts for nothing after it`() {
        let options = AlertOptions(
            hold: .windows(count: 2, of: 4),
            clearHold: .windows(count: 2, of: 4)
        )
        #expect(trace("cccbbbcbc", options) == "....F...R")
        #expect(trace("bbccb", options) == ".F.R.")
    }

    @Test func `it agrees with a naive recompute over random histories`() {
        let holds: [Hold] = [
            .windows(count: 1, of: 1), .windows(count: 2, of: 2), .windows(count: 2, of: 3),
            .windows(count: 3, of: 5), .windows(count: 5, of: 5), .windows(count: 1, of: 4),
            .windows(count: 40, of: 64), .duration(ms: 0), .duration(ms: minute),
            .duration(ms: 3 * minute), .duration(ms: 10 * minute),
        ]
        var firings = 0
        for seed in 0..<3_000 as Range<UInt64> {
            let random = CounterRandom(key: seed)
            let weights = random.draw(0)
            var at: Int64 = 0
            var history: [Closed] = []
            for i in 1...120 as ClosedRange<UInt64> {
                let draw = random.draw(i)
                // Streaks, gaps, sliding windows and windows without a verdict.
                let verdict: Said =
                    switch (draw & 15, weights >> (i / 16 * 4) & 3) {
                    case (0, _): .none
                    case (1, _), (2, _): .between
                    case (3...5, _): .breached
                    case (6...8, _): .cleared
                    case (_, 0...1): .breached
                    default: .cleared
                    }
                at += draw >> 8 & 15 == 0 ? 7 * minute : minute
                history.append(
                    Closed(
                        verdict: verdict,
                        startMs: at - (draw >> 16 & 1 == 0 ? 1 : 2) * minute,
                        endMs: at,
                        complete: draw >> 12 & 15 != 0
                    )
                )
            }
            let options = AlertOptions(
                hold: holds[Int(random.draw(1_000) % UInt64(holds.count))],
                clearHold: holds[Int(random.draw(1_001) % UInt64(holds.count))]
            )
            let found = run(history, options)
            #expect(found == naive(history, options), "seed \(seed), \(options)")
            firings += found.filter { if case .fire = $0 { true } else { false } }.count
        }
        #expect(firings > 3_000)
    }

    @Test func `every verdict counts in just one way, and near or not only where it is no breach`()
    {
        let counted = Set(Said.allCases.flatMap(\.verdicts))
        #expect(counted == Set(Verdict.allCases))
        #expect(Verdict.allCases.allSatisfy { !($0.isBreach && $0.isCalm) })
        for said in Said.allCases {
            #expect(said.verdicts.allSatisfy { $0.isBreach == (said == .breached) })
            #expect(said.verdicts.allSatisfy { ($0.isBreach || $0.isCalm) == (said != .none) })
        }
    }

    @Test func `phases are inactive, pending, firing`() {
        var cycle = AlertLifecycle()
        let options = AlertOptions(hold: .windows(count: 2, of: 2))
        var phases: [AlertPhase] = []
        for window in windows("cbcbbcc") {
            _ = cycle.observe(
                window.verdict.verdicts[0],
                isNear: window.verdict.isNear,
                startMs: window.startMs,
                endMs: window.endMs,
                complete: window.complete,
                options: options
            )
            phases.append(cycle.phase)
        }
        #expect(phases == [.inactive, .pending, .pending, .pending, .firing, .firing, .inactive])
        #expect(cycle.firing == nil)
    }

    @Test func `ids depend on every part, and on nothing else`() {
        let identity = AlertIdentity { bytes in
            let hash = murmur3(bytes)
            return (hash.low, hash.high)
        }
        let id = identity.alertID(
            monitor: "drift",
            group: "model=churn",
            column: "f3",
            openingStartMs: 0,
            openingEndMs: minute
        )
        #expect(
            id.utf8.count == 32
                && id
                    == identity.alertID(
                        monitor: "drift",
                        group: "model=churn",
                        column: "f3",
                        openingStartMs: 0,
                        openingEndMs: minute
                    )
        )
        let others = [
            identity.alertID(
                monitor: "drift2",
                group: "model=churn",
                column: "f3",
                openingStartMs: 0,
                openingEndMs: minute
            ),
            identity.alertID(
                monitor: "drift",
                group: "model=churnf",
                column: "3",
                openingStartMs: 0,
                openingEndMs: minute
            ),
            identity.alertID(
                monitor: "drift",
                group: "model=churn",
                column: "f3",
                openingStartMs: 1,
                openingEndMs: minute
            ),
            identity.alertID(
                monitor: "drift",
                group: "model=churn",
                column: "f3",
                openingStartMs: 0,
                openingEndMs: 2 * minute
            ),
            identity.eventID(alert: id, transition: "firing", sequence: 0),
            identity.eventID(alert: id, transition: "resolved", sequence: 1),
        ]
        #expect(Set(others + [id]).count == 7)
    }
}
